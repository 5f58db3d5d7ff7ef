/* The lab is Python beside the program (lab/lab, lab/demo); these hand over to it. */
#pragma once

#include "cli/cli.h"

int lab_run(struct cli *c);
int lab_demo(struct cli *c);
