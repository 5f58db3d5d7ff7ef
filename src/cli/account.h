/* `wayleave env`, `wayleave token`, `wayleave trust`. */
#pragma once

#include "cli/cli.h"

int account_env(struct cli *c);
int account_token(struct cli *c);
int account_trust(struct cli *c);
