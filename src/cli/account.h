/* `wayleave env`, `wayleave token`, `wayleave trust`. */
#pragma once

#include "cli/cli.h"

int account_env(struct cli *c);
int account_token(struct cli *c);
int account_trust(struct cli *c);

/* Writes bundle: the system's CAs, when there are any, and ours. */
int account_bundle(const char *ca, const char *bundle, bool *ret_has_system, struct err *e);
