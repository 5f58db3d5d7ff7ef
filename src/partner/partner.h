/* Resellers (CSP). A partner is a tenant that may have customers; a customer is a tenant and its
 * subscriptions, made through the partner's API. On every such subscription the partner's group
 * AdminAgents holds Owner: a role assignment to a foreign principal, which the customer sees in his
 * own lists and deletes when he likes; from then on the partner's agents are strangers there.
 *
 *   /providers/Wayleave.Partner/partners/NAME                      the cloud's operator's
 *   /providers/Wayleave.Partner/partners/NAME/createAdministrator
 *   /providers/Wayleave.Partner/customers/NAME                     a partner's own
 *   /providers/Wayleave.Partner/customers/NAME/subscriptions/NAME
 *   /providers/Wayleave.Partner/customers/NAME/createAdministrator  the customer's first one only
 *   /providers/Wayleave.Partner/customers/NAME/createScimToken      before he has an administrator
 *   /providers/Wayleave.Directory/scimToken                        any tenant's own: POST, DELETE (src/identity)
 *
 * Threads: any.
 */
#pragma once

#include "arm/engine.h"
#include "identity/identity.h"

struct arm_extension partner_extension(struct identity *id);
