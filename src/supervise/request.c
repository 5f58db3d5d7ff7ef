#include "supervise/request.h"

#include "net/ids.h"

#include <ctype.h>

enum { PLEN_MIN = 24, PLEN_MAX = 31, MTU_MIN = 576, MTU_MAX = 3400 };

int
request_check_number(uint32_t number, struct err *e)
{
	return number >= 1 && number <= FABRIC_NUMBER_MAX
		       ? 0
		       : err_set(e, -EINVAL, "number %u is out of range", number);
}

int
request_check_key(const struct keeper_key *k, struct err *e)
{
	return k->len <= KEEPER_KEY_MAX ? 0 : err_set(e, -EINVAL, "key of %u bytes", k->len);
}

int
request_check_ifname(const char name[KEEPER_IFNAME], struct err *e)
{
	size_t n = strnlen(name, KEEPER_IFNAME);

	if (n == 0 || n == KEEPER_IFNAME || name[0] == '.')
		return err_set(e, -EINVAL, "bad interface name");
	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)name[i]) || strchr("/:%", name[i]))
			return err_set(e, -EINVAL, "bad interface name");
	return 0;
}

int
request_check_addr(const struct addr *a, const char *what, struct err *e)
{
	static const uint8_t zero[12];
	uint8_t first = a->b[0];

	if (a->family != NET_V4 || memcmp(a->b + 4, zero, sizeof(zero)) != 0)
		return err_set(e, -EINVAL, "%s: not an IPv4 address", what);
	if (first == 0 || first == 127 || first >= 224)
		return err_set(e, -EINVAL, "%s: not a unicast address", what);
	return 0;
}

static int
check_subnet(const struct keeper_domain *d, struct err *e)
{
	struct prefix subnet;
	int r = request_check_addr(&d->local, "local address", e);

	if (r == 0)
		r = request_check_addr(&d->peer, "peer address", e);
	if (r < 0)
		return r;
	if (d->plen < PLEN_MIN || d->plen > PLEN_MAX)
		return err_set(e, -EINVAL, "prefix length %u", d->plen);
	subnet = prefix_make(&d->local, d->plen);
	if (!prefix_contains(&subnet, &d->peer) || addr_equal(&d->local, &d->peer))
		return err_set(e, -EINVAL, "local and peer address are not two of one subnet");
	return 0;
}

int
request_check_domain(const struct keeper_domain *d, struct err *e)
{
	int r = request_check_number(d->number, e);

	if (r == 0)
		r = check_subnet(d, e);
	if (r == 0)
		r = request_check_key(&d->key, e);
	if (r < 0)
		return r;
	if (d->flags & ~(KEEPER_DOMAIN_BFD | KEEPER_DOMAIN_GTSM))
		return err_set(e, -EINVAL, "unknown flags %x", d->flags);
	if (d->mtu && (d->mtu < MTU_MIN || d->mtu > MTU_MAX))
		return err_set(e, -EINVAL, "MTU %u", d->mtu);
	if (d->mac.b[0] & 1)
		return err_set(e, -EINVAL, "a group MAC address");
	return 0;
}

int
request_check_dial(const struct keeper_dial *d, struct err *e)
{
	int r = d->domain ? request_check_number(d->domain, e) : 0;

	if (r == 0)
		r = request_check_addr(&d->local, "local address", e);
	if (r == 0)
		r = request_check_addr(&d->peer, "peer address", e);
	return r < 0 ? r : request_check_key(&d->key, e);
}
