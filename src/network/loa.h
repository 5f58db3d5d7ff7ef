/* The letter of authorization for a direct port pair: what the building's owner needs to lay the cross
 * connects, as a PDF of one page. */
#pragma once

#include "base/buf.h"

enum { LOA_NAME_MAX = 200 }; /* bytes of the customer's name */

struct loa_link {
	const char *router, *port, *patch_panel, *rack, *connector; /* "": not known */
};

/* All texts are UTF-8; what Latin-1 lacks is shown as '?'. */
struct loa {
	const char *customer, *date, *port, *guid, *location, *facility;
	uint32_t gbps;
	struct loa_link links[2];
};

void loa_write(const struct loa *l, struct buf *out);
