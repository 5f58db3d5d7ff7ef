/* `wayleave az -- ...`: Azure's own command line, unmodified, as a client of this Wayleave. */
#pragma once

#include "cli/cli.h"

int az_run(struct cli *c);
