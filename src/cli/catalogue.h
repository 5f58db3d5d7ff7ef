/* `wayleave catalogue ...`: what the cloud could sell, as files an operator edits. */
#pragma once

#include "cli/cli.h"

int catalogue_show(struct cli *c);         /* catalogue show [FILE] */
int catalogue_diff_command(struct cli *c); /* catalogue diff [DIR] */
int catalogue_apply(struct cli *c);        /* catalogue apply [DIR] */

/* The directory of the catalogue that comes with the programs, or $WAYLEAVE_CATALOGUE. */
int catalogue_find(char *out, size_t size, struct err *e);
