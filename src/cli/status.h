/* `wayleave status` and `wayleave routes`. */
#pragma once

#include "cli/cli.h"

int status_run(struct cli *c);
int status_routes(struct cli *c);
