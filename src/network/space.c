/* The rules of space.h. */
#include "network/space.h"

bool
space_is_unicast(const struct prefix *p)
{
	static const struct prefix never[] = {
		{ { NET_V4, { 0 } }, 8 },                 /* this network */
		{ { NET_V4, { 127 } }, 8 },               /* loopback */
		{ { NET_V4, { 169, 254 } }, 16 },         /* link local */
		{ { NET_V4, { 224 } }, 3 },               /* multicast and above */
		{ { NET_V4, { 168, 63, 129, 16 } }, 32 }, /* the platform's address */
		{ { NET_V6, { 0 } }, 8 },                 /* unspecified, loopback, mapped */
		{ { NET_V6, { 0xfe, 0x80 } }, 10 },       /* link local */
		{ { NET_V6, { 0xff } }, 8 },              /* multicast */
	};

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (prefix_overlaps(&never[i], p))
			return false;
	return true;
}

int
space_prefix(const char *text, struct prefix *ret, struct err *e)
{
	struct err why;

	if (prefix_parse(text, ret, &why) < 0)
		return err_set(e, -EINVAL, "'%.60s' is not a prefix: %s", text, why.text);
	if (ret->addr.family == NET_V4 && (ret->len < 2 || ret->len > 29))
		return err_set(e, -EINVAL, "'%.60s' is not an IPv4 prefix of /2 to /29", text);
	if (ret->addr.family == NET_V6 && (ret->len < 7 || ret->len > 64))
		return err_set(e, -EINVAL, "'%.60s' is not an IPv6 prefix of /7 to /64", text);
	if (!space_is_unicast(ret))
		return err_set(e, -EINVAL, "'%.60s' holds addresses that are not unicast", text);
	return 0;
}

int
space_subnet_prefix(const char *text, struct prefix *ret, struct err *e)
{
	int r = space_prefix(text, ret, e);

	if (r == 0 && ret->addr.family == NET_V6 && ret->len != 64)
		return err_set(e, -EINVAL, "'%.60s' is not a /64, as a subnet's IPv6 prefix is",
			       text);
	return r;
}

uint64_t
space_number(const struct addr *a)
{
	uint64_t n = 0;

	if (a->family == NET_V4)
		return addr_u32(a);
	for (unsigned i = 8; i < 16; i++)
		n = n << 8 | a->b[i];
	return n;
}

struct addr
space_address(const struct prefix *subnet, uint64_t number)
{
	struct addr a = subnet->addr;

	if (a.family == NET_V4)
		return addr_v4((uint32_t)number);
	for (unsigned i = 16; i-- > 8; number >>= 8)
		a.b[i] = (uint8_t)number;
	return a;
}

struct space_range
space_range(const struct prefix *subnet)
{
	uint64_t first = space_number(&subnet->addr);

	if (subnet->addr.family == NET_V6)
		return (struct space_range){ 4, UINT64_MAX - 1, INT32_MAX };
	if (subnet->addr.family != NET_V4 || subnet->len > 29 || !subnet->len)
		return (struct space_range){ 1, 0, 0 };
	uint64_t last = first + (1ull << (32 - subnet->len)) - 2;

	return (struct space_range){ first + 4, last, last };
}

uint64_t
space_size(const struct prefix *subnet)
{
	struct space_range r = space_range(subnet);

	return r.first > r.last ? 0 : r.last_found - r.first + 1;
}

enum space_verdict
space_verdict(const struct prefix *subnet, const struct addr *a)
{
	struct space_range r = space_range(subnet);
	uint64_t n = space_number(a);

	if (!prefix_contains(subnet, a))
		return SPACE_OUTSIDE;
	return n < r.first || n > r.last ? SPACE_RESERVED : SPACE_FINE;
}
