#include "net/addr.h"

#include <arpa/inet.h>

int
addr_parse(const char *text, struct addr *ret, struct err *e)
{
	struct addr a = { 0 };

	if (inet_pton(AF_INET, text, a.b) == 1)
		a.family = NET_V4;
	else if (inet_pton(AF_INET6, text, a.b) == 1)
		a.family = NET_V6;
	else
		return err_set(e, -EINVAL, "'%.60s' is not an IP address", text);
	*ret = a;
	return 0;
}

const char *
addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	if (!a->family ||
	    !inet_ntop(a->family == NET_V4 ? AF_INET : AF_INET6, a->b, out, ADDR_TEXT))
		snprintf(out, ADDR_TEXT, "none");
	return out;
}

int
addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* Mask of byte i in a prefix of len bits. */
static uint8_t
mask_byte(unsigned len, unsigned i)
{
	if (len >= (i + 1) * 8)
		return 0xff;
	return len <= i * 8 ? 0 : (uint8_t)(0xff00 >> (len - i * 8));
}

struct prefix
prefix_make(const struct addr *a, unsigned len)
{
	struct prefix p = { .addr = *a, .len = (uint8_t)len };

	for (unsigned i = 0; i < 16; i++)
		p.addr.b[i] &= mask_byte(len, i);
	return p;
}

int
prefix_parse(const char *text, struct prefix *ret, struct err *e)
{
	const char *slash = strchr(text, '/');
	char head[ADDR_TEXT];
	struct prefix p;
	unsigned long len;
	char *end;

	if (!slash || (size_t)(slash - text) >= sizeof(head) || slash[1] < '0' || slash[1] > '9')
		return err_set(e, -EINVAL, "'%.60s' is not a prefix (ADDRESS/LENGTH)", text);
	memcpy(head, text, (size_t)(slash - text));
	head[slash - text] = 0;
	if (addr_parse(head, &p.addr, e) < 0)
		return err_wrap(e, -EINVAL, "prefix '%.60s'", text);
	len = strtoul(slash + 1, &end, 10);
	if (*end || len > addr_bits(&p.addr))
		return err_set(e, -EINVAL, "'%.60s': length is not within 0..%u", text,
			       addr_bits(&p.addr));
	p.len = (uint8_t)len;
	*ret = prefix_make(&p.addr, p.len);
	if (!addr_equal(&ret->addr, &p.addr))
		return err_set(e, -EINVAL, "'%.60s' has bits set beyond its length", text);
	return 0;
}

const char *
prefix_format(const struct prefix *p, char out[PREFIX_TEXT])
{
	char a[ADDR_TEXT];

	snprintf(out, PREFIX_TEXT, "%s/%u", addr_format(&p->addr, a), p->len);
	return out;
}

bool
prefix_contains(const struct prefix *p, const struct addr *a)
{
	if (p->addr.family != a->family)
		return false;
	for (unsigned i = 0; i * 8 < p->len; i++)
		if ((a->b[i] ^ p->addr.b[i]) & mask_byte(p->len, i))
			return false;
	return true;
}

bool
prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_contains(outer, &inner->addr);
}

bool
prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

int
prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int r = addr_compare(&a->addr, &b->addr);

	return r ? r : (int)a->len - (int)b->len;
}

struct addr
prefix_nth(const struct prefix *p, uint32_t n)
{
	struct addr a = p->addr;
	unsigned last = addr_bits(&a) / 8;
	uint64_t carry = n;

	while (carry && last--) {
		carry += a.b[last];
		a.b[last] = (uint8_t)carry;
		carry >>= 8;
	}
	return a;
}

int
mac_parse(const char *text, struct mac *ret, struct err *e)
{
	struct mac m;
	char tail;

	if (strlen(text) != 17 || sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &m.b[0],
					 &m.b[1], &m.b[2], &m.b[3], &m.b[4], &m.b[5], &tail) != 6)
		return err_set(e, -EINVAL, "'%.40s' is not a MAC address", text);
	*ret = m;
	return 0;
}

const char *
mac_format(const struct mac *m, char out[MAC_TEXT])
{
	snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3],
		 m->b[4], m->b[5]);
	return out;
}

socklen_t
addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == NET_V6) {
		struct sockaddr_in6 *s = (struct sockaddr_in6 *)ret;

		s->sin6_family = AF_INET6;
		s->sin6_port = htons(port);
		memcpy(&s->sin6_addr, a->b, 16);
		return sizeof(*s);
	}
	struct sockaddr_in *s = (struct sockaddr_in *)ret;

	s->sin_family = AF_INET;
	s->sin_port = htons(port);
	memcpy(&s->sin_addr, a->b, 4);
	return sizeof(*s);
}

struct addr
addr_from_sockaddr(const struct sockaddr *sa, uint16_t *ret_port)
{
	struct addr a = { 0 };
	uint16_t port = 0;

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in s;

		memcpy(&s, sa, sizeof(s));
		a.family = NET_V4;
		memcpy(a.b, &s.sin_addr, 4);
		port = ntohs(s.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 s;

		memcpy(&s, sa, sizeof(s));
		a.family = NET_V6;
		memcpy(a.b, &s.sin6_addr, 16);
		port = ntohs(s.sin6_port);
	}
	if (ret_port)
		*ret_port = port;
	return a;
}
