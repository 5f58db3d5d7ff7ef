/* `wayleave user invite|revoke`, `wayleave signing-key list|rotate`: who may sign in, and with what. */
#pragma once

#include "cli/cli.h"

int signin_invite(struct cli *c);
int signin_revoke(struct cli *c);
int signin_keys(struct cli *c);
int signin_rotate(struct cli *c);
