/* The fixed structs that the keeper gets from its children, any bytes in them: first byte the kind,
 * then the struct. What is accepted must keep what the keeper builds on it. */
#include "net/ids.h"
#include "supervise/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
domain(const struct keeper_domain *d)
{
	struct err e;
	struct prefix subnet;

	if (request_check_domain(d, &e) < 0)
		return;
	subnet = prefix_make(&d->local, d->plen);
	if (!prefix_contains(&subnet, &d->peer) || d->number > FABRIC_NUMBER_MAX ||
	    d->key.len > sizeof(d->key.b))
		abort();
}

static void
name(const char ifname[KEEPER_IFNAME])
{
	struct err e;

	if (request_check_ifname(ifname, &e) == 0 &&
	    (!memchr(ifname, '\0', KEEPER_IFNAME) || strchr(ifname, '/')))
		abort();
}

static void
dial(const struct keeper_dial *d)
{
	struct err e;

	if (request_check_dial(d, &e) == 0 &&
	    (d->domain > FABRIC_NUMBER_MAX || d->key.len > sizeof(d->key.b)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keeper_msg m;
	struct err e;

	memset(&m, 0, sizeof(m));
	if (size < 1)
		return 0;
	memcpy(&m.domain, data + 1, MIN(size - 1, sizeof(m) - offsetof(struct keeper_msg, domain)));
	switch (data[0] % 5) {
	case 0:
		domain(&m.domain);
		break;
	case 1:
		name(m.port.ifname);
		break;
	case 2:
		name(m.nic.ifname);
		break;
	case 3:
		dial(&m.dial);
		break;
	default:
		request_check_addr(&m.fabric_peer.local, "local", &e);
		request_check_key(&m.fabric_peer.key, &e);
	}
	return 0;
}
