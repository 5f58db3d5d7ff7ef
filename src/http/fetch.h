/* Asking other people's servers, for identity: HTTPS with a checked certificate, no redirects, no
 * proxy but the environment's, a limit on bytes and seconds. Blocks; any thread. */
#pragma once

#include "identity/identity.h"

struct identity_fetch http_fetch(void);
