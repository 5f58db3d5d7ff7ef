/* `wayleave events`. */
#pragma once

#include "cli/cli.h"

int events_watch(struct cli *c);
