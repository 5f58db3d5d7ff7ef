/* `wayleave user|group|role|partner|customer`: who is who and who may what. The operator's, or a
 * partner's with --as. */
#pragma once

#include "cli/cli.h"

int directory_list(struct cli *c); /* user, group, app, role, partner, customer */
int directory_show(struct cli *c);
int directory_create(struct cli *c);
int directory_delete(struct cli *c);
int directory_enable(struct cli *c); /* also disable */
int directory_member(struct cli *c); /* group add, group remove */
int directory_assign(struct cli *c);
int directory_assigned(struct cli *c);
int directory_revoke(struct cli *c);
int directory_admin(struct cli *c); /* of a partner or a customer: the secret is shown once */
