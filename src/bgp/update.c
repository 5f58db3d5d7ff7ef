/* UPDATE: parsing as RFC 7606 wants it, and writing attributes.
 *
 * One table says what each attribute's flags and length must be; a handler looks at the value. A
 * handler's answer is one of four, and the strongest of a message wins:
 *
 *   GOOD      use it
 *   DISCARD   forget this attribute, go on
 *   WITHDRAW  the routes announced here are to be withdrawn; go on, for worse may follow
 *   RESET     the structure is gone: NOTIFICATION
 *
 * RFC 4271 4.3, 6.3; 4456, 4760, 6793, 7606, 7607, 8092, 9012. */
#include "bgp/message.h"

enum {
	A_ORIGIN = 1,
	A_PATH,
	A_NEXT_HOP,
	A_MED,
	A_LOCAL_PREF,
	A_ATOMIC,
	A_AGGREGATOR,
	A_COMMUNITIES,
	A_ORIGINATOR,
	A_CLUSTERS,
	A_REACH = 14,
	A_UNREACH,
	A_EXT,
	A_AS4_PATH,
	A_AS4_AGGREGATOR,
	A_TUNNEL = 23,
	A_LARGE = 32,
};
enum { F_OPTIONAL = 0x80, F_TRANSITIVE = 0x40, F_PARTIAL = 0x20, F_EXTENDED = 0x10 };
enum {
	E_LIST = 1,
	E_WELL_KNOWN,
	E_MISSING,
	E_FLAGS,
	E_LENGTH,
	E_ORIGIN,
	E_NEXT_HOP = 8,
	E_OPTIONAL,
	E_NETWORK,
	E_PATH
};
enum answer { GOOD, DISCARD, WITHDRAW, RESET };
enum { SEG_SET = 1, SEG_SEQUENCE = 2, TUNNEL_GRE = 2, TUNNEL_ENCAPSULATION = 1 };

struct parse {
	const struct bgp_update_options *o;
	struct bgp_update *u;
	struct bgp_fault *f;
	const uint8_t *raw; /* the attribute at hand with its header */
	size_t raw_len;
	uint8_t subcode; /* of the first treat-as-withdraw */
	uint8_t seen[32];
	bool any_reach; /* an MP_REACH_NLRI, spoken or not */
	const uint8_t *as4_path;
	size_t as4_len;
	bool has_as4_aggregator;
	uint32_t as4_aggregator_as, as4_aggregator_id;
};

static enum answer
reset(struct parse *p, uint8_t subcode)
{
	bgp_fault_set(p->f, BGP_ERR_UPDATE, subcode, p->raw, p->raw_len);
	return RESET;
}

static void
complain(struct parse *p, enum answer a, uint8_t type, uint8_t subcode, const char *why)
{
	if (a == DISCARD)
		p->u->n_discarded++;
	if (a == WITHDRAW && p->u->verdict != BGP_WITHDRAW) {
		p->u->verdict = BGP_WITHDRAW;
		p->u->why = NULL;
		p->subcode = subcode;
	}
	if (!p->u->why) {
		p->u->why = why;
		p->u->why_type = type;
	}
}

/* ---- handlers: the length is already one the table allows ---- */

static enum answer
parse_origin(struct parse *p, struct cursor c)
{
	p->u->attr.origin = cur_u8(&c);
	p->u->attr.has |= BGP_HAS_ORIGIN;
	return p->u->attr.origin <= BGP_ORIGIN_INCOMPLETE ? GOOD : WITHDRAW;
}

/* Whether segments of `width`-byte AS numbers are well formed (RFC 7606 7.2, 7607 2). */
static bool
is_path(struct cursor c, unsigned width)
{
	while (cur_left(&c)) {
		uint8_t type = cur_u8(&c);
		uint8_t n = cur_u8(&c);

		if ((type != SEG_SET && type != SEG_SEQUENCE) || !n)
			return false;
		while (n--)
			if (!(width == 4 ? cur_be32(&c) : cur_be16(&c)))
				return false; /* AS 0, or past the end */
	}
	return !c.bad;
}

static enum answer
parse_path(struct parse *p, struct cursor c)
{
	struct bgp_draft *d = &p->u->attr;
	uint8_t *w = p->u->path;

	d->has |= BGP_HAS_PATH;
	if (!is_path(c, p->o->as4 ? 4 : 2))
		return WITHDRAW;
	if (p->o->as4) {
		d->path = c.p;
		d->path_len = cur_left(&c);
		return GOOD;
	}
	d->path = w;
	while (cur_left(&c)) {
		uint8_t n;

		*w++ = cur_u8(&c);
		*w++ = n = cur_u8(&c);
		for (; n; n--) {
			*w++ = 0;
			*w++ = 0;
			*w++ = cur_u8(&c);
			*w++ = cur_u8(&c);
		}
	}
	d->path_len = (size_t)(w - d->path);
	return GOOD;
}

static bool
is_host(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a < 0xe0000000;
}

static enum answer
parse_next_hop(struct parse *p, struct cursor c)
{
	uint32_t a = cur_be32(&c);

	p->u->attr.next_hop = addr_v4(a);
	p->u->attr.has |= BGP_HAS_NEXT_HOP;
	return is_host(a) ? GOOD : WITHDRAW;
}

static enum answer
parse_med(struct parse *p, struct cursor c)
{
	p->u->attr.med = cur_be32(&c);
	p->u->attr.has |= BGP_HAS_MED;
	return GOOD;
}

static enum answer
parse_local_pref(struct parse *p, struct cursor c)
{
	p->u->attr.local_pref = cur_be32(&c);
	p->u->attr.has |= BGP_HAS_LOCAL_PREF;
	return GOOD;
}

static enum answer
parse_atomic(struct parse *p, struct cursor c)
{
	p->u->attr.has |= BGP_HAS_ATOMIC;
	return GOOD;
}

static enum answer
parse_aggregator(struct parse *p, struct cursor c)
{
	struct bgp_draft *d = &p->u->attr;

	if (cur_left(&c) != (p->o->as4 ? 8 : 6))
		return DISCARD;
	d->aggregator_as = p->o->as4 ? cur_be32(&c) : cur_be16(&c);
	d->aggregator_id = cur_be32(&c);
	if (!d->aggregator_as)
		return DISCARD; /* RFC 7607 */
	d->has |= BGP_HAS_AGGREGATOR;
	return GOOD;
}

static enum answer
parse_communities(struct parse *p, struct cursor c)
{
	p->u->attr.communities = c.p;
	p->u->attr.n_communities = cur_left(&c) / 4;
	return GOOD;
}

static enum answer
parse_originator(struct parse *p, struct cursor c)
{
	p->u->attr.originator = cur_be32(&c);
	p->u->attr.has |= BGP_HAS_ORIGINATOR;
	return GOOD;
}

static enum answer
parse_clusters(struct parse *p, struct cursor c)
{
	p->u->attr.clusters = c.p;
	p->u->attr.n_clusters = cur_left(&c) / 4;
	return GOOD;
}

static enum answer
parse_ext(struct parse *p, struct cursor c)
{
	p->u->attr.ext = c.p;
	p->u->attr.n_ext = cur_left(&c) / 8;
	return GOOD;
}

static enum answer
parse_large(struct parse *p, struct cursor c)
{
	p->u->attr.large = c.p;
	p->u->attr.n_large = cur_left(&c) / 12;
	return GOOD;
}

/* RFC 6793 6: a bad one is discarded; a speaker of 4-byte numbers must not send any. */
static enum answer
parse_as4_path(struct parse *p, struct cursor c)
{
	if (p->o->as4 || !cur_left(&c) || !is_path(c, 4))
		return DISCARD;
	p->as4_path = c.p;
	p->as4_len = cur_left(&c);
	return GOOD;
}

static enum answer
parse_as4_aggregator(struct parse *p, struct cursor c)
{
	if (p->o->as4)
		return DISCARD;
	p->as4_aggregator_as = cur_be32(&c);
	p->as4_aggregator_id = cur_be32(&c);
	p->has_as4_aggregator = p->as4_aggregator_as != 0;
	return p->has_as4_aggregator ? GOOD : DISCARD;
}

/* Kept as they came, to be reflected unchanged. */
static void
keep_other(struct parse *p, uint8_t flags, uint8_t type, struct cursor c)
{
	struct bgp_draft *d = &p->u->attr;
	size_t n = cur_left(&c);
	uint8_t *w = p->u->other + d->other_len;

	d->other = p->u->other;
	*w++ = (uint8_t)((flags & ~F_EXTENDED & 0xf0) | (n > 255 ? F_EXTENDED : 0));
	*w++ = type;
	if (n > 255)
		*w++ = (uint8_t)(n >> 8);
	*w++ = (uint8_t)n;
	memcpy(w, c.p, n);
	d->other_len = (size_t)(w + n - p->u->other);
}

/* One GRE tunnel's sub-TLVs (RFC 9012 3.2.4). A malformed one makes this tunnel unknown, no more. */
static bool
gre_key(struct cursor c, struct fabric_key *ret)
{
	bool found = false;

	while (cur_left(&c)) {
		uint8_t type = cur_u8(&c);
		size_t n = type < 128 ? cur_u8(&c) : cur_be16(&c);
		struct cursor v = cur_sub(&c, n);

		if (v.bad)
			return false;
		if (type != TUNNEL_ENCAPSULATION || found)
			continue;
		if (n != 4)
			return false;
		ret->v = cur_be32(&v);
		found = true;
	}
	return found && !c.bad;
}

static enum answer
parse_tunnel(struct parse *p, struct cursor c)
{
	struct cursor all = c;

	while (cur_left(&c)) {
		uint16_t type = cur_be16(&c);
		uint16_t n = cur_be16(&c);
		struct cursor v = cur_sub(&c, n);
		struct fabric_key key;

		if (v.bad)
			return WITHDRAW; /* RFC 9012 13 */
		if (type != TUNNEL_GRE || p->u->attr.has & BGP_HAS_KEY || !gre_key(v, &key))
			continue;
		p->u->attr.key = key;
		p->u->attr.has |= BGP_HAS_KEY;
	}
	if (c.bad)
		return WITHDRAW;
	keep_other(p, F_OPTIONAL | F_TRANSITIVE, A_TUNNEL, all);
	return GOOD;
}

static bool
is_nlri(enum bgp_family f, struct cursor c)
{
	struct bgp_nlri n;

	while (bgp_nlri_next(f, &c, &n))
		;
	return !c.bad;
}

/* RFC 4760 3; errors here cost the session (RFC 7606 5.3, 7.11): what was announced is not known. */
static enum answer
parse_reach(struct parse *p, struct cursor c)
{
	uint16_t afi = cur_be16(&c);
	uint8_t safi = cur_u8(&c);
	uint8_t n = cur_u8(&c);
	struct cursor hop = cur_sub(&c, n);
	enum bgp_family f = bgp_family_find(afi, safi);

	cur_u8(&c);
	if (c.bad)
		return reset(p, E_OPTIONAL);
	p->any_reach = true;
	if (f == BGP_N_FAMILIES || !(p->o->families >> f & 1))
		return GOOD;
	if (n != (f == BGP_VPNV4 ? 12 : 4))
		return reset(p, E_OPTIONAL);
	if (f == BGP_VPNV4)
		cur_be64(&hop); /* the RD of a next hop is zero, and ignored */
	p->u->reach_next_hop = addr_v4(cur_be32(&hop));
	if (!is_nlri(f, c))
		return reset(p, E_OPTIONAL);
	p->u->has_reach = true;
	p->u->reach_family = f;
	p->u->reach = c;
	return is_host(addr_u32(&p->u->reach_next_hop)) ? GOOD : WITHDRAW;
}

static enum answer
parse_unreach(struct parse *p, struct cursor c)
{
	uint16_t afi = cur_be16(&c);
	uint8_t safi = cur_u8(&c);
	enum bgp_family f = bgp_family_find(afi, safi);

	if (c.bad)
		return reset(p, E_OPTIONAL);
	if (f == BGP_N_FAMILIES || !(p->o->families >> f & 1))
		return GOOD;
	if (!is_nlri(f, c))
		return reset(p, E_OPTIONAL);
	p->u->has_unreach = true;
	p->u->unreach_family = f;
	p->u->unreach = c;
	return GOOD;
}

/* ---- the table ---- */

struct spec {
	const char *name;
	enum answer (*parse)(struct parse *p, struct cursor c);
	uint8_t flags;     /* optional and transitive, as they must be */
	uint16_t min, max; /* length; max 0: any */
	uint8_t unit;      /* length is a multiple of; 0: any */
	enum answer malformed;
	bool internal_only; /* from an external peer: discarded unread */
	uint8_t subcode;    /* of a bad value */
};

#define WELL_KNOWN F_TRANSITIVE
#define OPTIONAL_NT F_OPTIONAL
#define OPTIONAL_T (F_OPTIONAL | F_TRANSITIVE)

/* clang-format off */
static const struct spec specs[] = {
	[A_ORIGIN]         = { "ORIGIN", parse_origin, WELL_KNOWN, 1, 1, 0, WITHDRAW, false, E_ORIGIN },
	[A_PATH]           = { "AS_PATH", parse_path, WELL_KNOWN, 0, 0, 0, WITHDRAW, false, E_PATH },
	[A_NEXT_HOP]       = { "NEXT_HOP", parse_next_hop, WELL_KNOWN, 4, 4, 0, WITHDRAW, false, E_NEXT_HOP },
	[A_MED]            = { "MULTI_EXIT_DISC", parse_med, OPTIONAL_NT, 4, 4, 0, WITHDRAW, false, E_OPTIONAL },
	[A_LOCAL_PREF]     = { "LOCAL_PREF", parse_local_pref, WELL_KNOWN, 4, 4, 0, WITHDRAW, true, E_LENGTH },
	[A_ATOMIC]         = { "ATOMIC_AGGREGATE", parse_atomic, WELL_KNOWN, 0, 0, 255, DISCARD, false, E_LENGTH },
	[A_AGGREGATOR]     = { "AGGREGATOR", parse_aggregator, OPTIONAL_T, 6, 8, 2, DISCARD, false, E_OPTIONAL },
	[A_COMMUNITIES]    = { "COMMUNITIES", parse_communities, OPTIONAL_T, 4, 0, 4, WITHDRAW, false, E_OPTIONAL },
	[A_ORIGINATOR]     = { "ORIGINATOR_ID", parse_originator, OPTIONAL_NT, 4, 4, 0, WITHDRAW, true, E_OPTIONAL },
	[A_CLUSTERS]       = { "CLUSTER_LIST", parse_clusters, OPTIONAL_NT, 4, 0, 4, WITHDRAW, true, E_OPTIONAL },
	[A_REACH]          = { "MP_REACH_NLRI", parse_reach, OPTIONAL_NT, 0, 0, 0, RESET, false, E_NEXT_HOP },
	[A_UNREACH]        = { "MP_UNREACH_NLRI", parse_unreach, OPTIONAL_NT, 0, 0, 0, RESET, false, E_OPTIONAL },
	[A_EXT]            = { "EXTENDED COMMUNITIES", parse_ext, OPTIONAL_T, 8, 0, 8, WITHDRAW, false, E_OPTIONAL },
	[A_AS4_PATH]       = { "AS4_PATH", parse_as4_path, OPTIONAL_T, 0, 0, 0, DISCARD, false, E_OPTIONAL },
	[A_AS4_AGGREGATOR] = { "AS4_AGGREGATOR", parse_as4_aggregator, OPTIONAL_T, 8, 8, 0, DISCARD, false, E_OPTIONAL },
	[A_TUNNEL]         = { "TUNNEL_ENCAPSULATION", parse_tunnel, OPTIONAL_T, 0, 0, 0, WITHDRAW, false, E_OPTIONAL },
	[A_LARGE]          = { "LARGE_COMMUNITY", parse_large, OPTIONAL_T, 12, 0, 12, WITHDRAW, false, E_OPTIONAL },
};
/* clang-format on */

static bool
is_length(const struct spec *s, size_t n)
{
	if (s->unit == 255) /* none at all */
		return n == 0;
	return n >= s->min && (!s->max || n <= s->max) && (!s->unit || n % s->unit == 0);
}

static enum answer
unknown(struct parse *p, uint8_t flags, uint8_t type, struct cursor c)
{
	if (!(flags & F_OPTIONAL))
		return reset(p, E_WELL_KNOWN);
	if (flags & F_TRANSITIVE)
		keep_other(p, flags | F_PARTIAL, type, c);
	return GOOD;
}

static enum answer
attribute(struct parse *p, uint8_t flags, uint8_t type, struct cursor c)
{
	const struct spec *s = type < COUNT(specs) && specs[type].parse ? &specs[type] : NULL;
	enum answer a, again;

	if (p->seen[type / 8] >> type % 8 & 1) {
		if (type == A_REACH || type == A_UNREACH) {
			p->raw_len = 0;
			return reset(p, E_LIST); /* RFC 7606 3 (g) */
		}
		complain(p, DISCARD, type, E_LIST, "attribute appears twice");
		return DISCARD;
	}
	p->seen[type / 8] |= (uint8_t)(1 << type % 8);
	if (!s)
		return unknown(p, flags, type, c);
	if (s->internal_only && p->o->is_external) {
		complain(p, DISCARD, type, s->subcode, "attribute is not for external peers");
		return DISCARD;
	}
	if ((flags & (F_OPTIONAL | F_TRANSITIVE)) != s->flags) {
		/* RFC 7606 3 (c). The MP attributes are still read: what to withdraw is in there. */
		a = s->malformed == DISCARD ? DISCARD : WITHDRAW;
		complain(p, a, type, E_FLAGS, "attribute flags are wrong");
		again = type == A_REACH || type == A_UNREACH ? s->parse(p, c) : GOOD;
		return again == RESET ? RESET : a;
	}
	if (!is_length(s, cur_left(&c))) {
		complain(p, s->malformed, type, E_LENGTH, "attribute length is wrong");
		return s->malformed;
	}
	a = s->parse(p, c);
	if (a == DISCARD || a == WITHDRAW)
		complain(p, a, type, s->subcode, "attribute value is malformed");
	return a;
}

static int
attributes(struct parse *p, struct cursor c)
{
	while (cur_left(&c)) {
		const uint8_t *start = c.p;
		uint8_t flags = cur_u8(&c);
		uint8_t type = cur_u8(&c);
		size_t n = flags & F_EXTENDED ? cur_be16(&c) : cur_u8(&c);
		struct cursor v = cur_sub(&c, n);

		if (v.bad) { /* RFC 7606 4: the NLRI field is still found by the total length */
			complain(p, WITHDRAW, type, E_LIST,
				 "attribute runs past the end of the list");
			return 0;
		}
		p->raw = start;
		p->raw_len = (size_t)(c.p - start);
		if (attribute(p, flags, type, v) == RESET)
			return -EBADMSG;
	}
	return 0;
}

/* ---- what can be judged only when all is read ---- */

/* RFC 6793 4.2.3: the 4-byte path, behind as much of the 2-byte one as it is shorter. */
static void
merge_as4(struct parse *p)
{
	struct bgp_draft *d = &p->u->attr;
	unsigned have = bgp_path_hops(d->path, d->path_len), lead;
	uint8_t *out = p->u->path + 2 * BGP_MESSAGE_MAX, *w = out;
	const uint8_t *seg = d->path;

	if (d->has & BGP_HAS_AGGREGATOR && d->aggregator_as != ASN_TRANS)
		return;
	if (p->has_as4_aggregator && d->has & BGP_HAS_AGGREGATOR) {
		d->aggregator_as = p->as4_aggregator_as;
		d->aggregator_id = p->as4_aggregator_id;
	}
	if (!p->as4_path || bgp_path_hops(p->as4_path, p->as4_len) > have)
		return;
	lead = have - bgp_path_hops(p->as4_path, p->as4_len);
	for (; lead; seg += 2 + 4u * seg[1]) {
		unsigned n = seg[0] == SEG_SET ? seg[1] : MIN(lead, seg[1]);

		*w++ = seg[0];
		*w++ = (uint8_t)n;
		memcpy(w, seg + 2, 4u * n);
		w += 4u * n;
		lead -= seg[0] == SEG_SET ? 1 : n;
	}
	memcpy(w, p->as4_path, p->as4_len);
	d->path = out;
	d->path_len = (size_t)(w - out) + p->as4_len;
}

static void
check_mandatory(struct parse *p)
{
	const struct bgp_update *u = p->u;
	bool classic = cur_left(&u->announced);
	static const struct {
		uint16_t has;
		uint8_t type;
	} wanted[] = { { BGP_HAS_ORIGIN, A_ORIGIN },
		       { BGP_HAS_PATH, A_PATH },
		       { BGP_HAS_NEXT_HOP, A_NEXT_HOP } };

	if (!classic && !p->any_reach)
		return;
	for (size_t i = 0; i < COUNT(wanted); i++) {
		if (u->attr.has & wanted[i].has || (wanted[i].type == A_NEXT_HOP && !classic) ||
		    u->verdict == BGP_WITHDRAW)
			continue;
		complain(p, WITHDRAW, wanted[i].type, E_MISSING, "mandatory attribute is missing");
	}
}

static bool
is_empty_list(const struct cursor *c)
{
	return !cur_left(c);
}

static void
find_eor(struct parse *p, size_t attrs_len)
{
	struct bgp_update *u = p->u;

	if (!is_empty_list(&u->withdrawn) || !is_empty_list(&u->announced))
		return;
	if (!attrs_len) {
		u->is_eor = true;
		u->eor_family = BGP_IPV4;
	} else if (u->has_unreach && is_empty_list(&u->unreach) && p->raw_len == attrs_len) {
		u->is_eor = true;
		u->eor_family = u->unreach_family;
	}
}

int
bgp_update_parse(struct cursor c, const struct bgp_update_options *o, struct bgp_update *u,
		 struct bgp_fault *f)
{
	struct parse p = { .o = o, .u = u, .f = f };
	struct cursor attrs;
	uint16_t n;

	memset(u, 0, offsetof(struct bgp_update, path));
	n = cur_be16(&c);
	u->withdrawn = cur_sub(&c, n);
	n = cur_be16(&c);
	attrs = cur_sub(&c, n);
	u->announced = c;
	if (c.bad || u->withdrawn.bad || attrs.bad)
		return bgp_fault_set(f, BGP_ERR_UPDATE, E_LIST, NULL, 0);
	if (attributes(&p, attrs) < 0)
		return -EBADMSG;
	if (!is_nlri(BGP_IPV4, u->withdrawn) || !is_nlri(BGP_IPV4, u->announced))
		return bgp_fault_set(f, BGP_ERR_UPDATE, E_NETWORK, NULL, 0);
	check_mandatory(&p);
	find_eor(&p, n);
	if (u->verdict == BGP_WITHDRAW) {
		/* RFC 7606 5.2: nothing here to withdraw, so the error cannot be answered that way */
		if (is_empty_list(&u->announced) && !p.any_reach)
			return bgp_fault_set(f, BGP_ERR_UPDATE, p.subcode, NULL, 0);
	} else if (!o->as4) {
		merge_as4(&p);
	}
	if (!(o->families >> BGP_IPV4 & 1))
		u->withdrawn = u->announced = (struct cursor){ 0 };
	return 0;
}

/* ---- writing ---- */

static void
attr_head(struct buf *b, uint8_t flags, uint8_t type, size_t n)
{
	if (n > 255) {
		buf_u8(b, flags | F_EXTENDED);
		buf_u8(b, type);
		buf_be16(b, (uint16_t)n);
	} else {
		buf_u8(b, flags);
		buf_u8(b, type);
		buf_u8(b, (uint8_t)n);
	}
}

static void
attr_u32(struct buf *b, uint8_t flags, uint8_t type, uint32_t v)
{
	attr_head(b, flags, type, 4);
	buf_be32(b, v);
}

static void
attr_list(struct buf *b, uint8_t flags, uint8_t type, const uint8_t *p, size_t n)
{
	if (!n)
		return;
	attr_head(b, flags, type, n);
	buf_put(b, p, n);
}

static bool
needs_as4(const struct bgp_draft *d)
{
	struct asn as;
	size_t at = 0;

	while (bgp_path_next(d->path, d->path_len, &at, &as))
		if (as.v > UINT16_MAX)
			return true;
	return false;
}

static void
path_put(struct buf *b, const struct bgp_draft *d, bool as4)
{
	size_t n = 0;

	if (as4) {
		attr_head(b, F_TRANSITIVE, A_PATH, d->path_len);
		buf_put(b, d->path, d->path_len);
		return;
	}
	for (size_t at = 0; at < d->path_len; at += 2 + 4u * d->path[at + 1])
		n += 2 + 2u * d->path[at + 1];
	attr_head(b, F_TRANSITIVE, A_PATH, n);
	for (size_t at = 0; at < d->path_len; at += 2 + 4u * d->path[at + 1]) {
		const uint8_t *s = d->path + at;

		buf_put(b, s, 2);
		for (unsigned i = 0; i < s[1]; i++) {
			const uint8_t *a = s + 2 + 4 * i;

			buf_be16(b, a[0] || a[1] ? ASN_TRANS : (uint16_t)(a[2] << 8 | a[3]));
		}
	}
}

static void
aggregator_put(struct buf *b, const struct bgp_draft *d, bool as4)
{
	attr_head(b, OPTIONAL_T, A_AGGREGATOR, as4 ? 8 : 6);
	if (as4)
		buf_be32(b, d->aggregator_as);
	else
		buf_be16(b, d->aggregator_as > UINT16_MAX ? ASN_TRANS : (uint16_t)d->aggregator_as);
	buf_be32(b, d->aggregator_id);
}

/* The kept attributes with a type in [from, to), in the order they came. */
static void
other_put(struct buf *b, const struct bgp_draft *d, unsigned from, unsigned to)
{
	for (size_t at = 0, n; at < d->other_len; at += n) {
		const uint8_t *q = d->other + at;

		n = q[0] & F_EXTENDED ? 4u + (size_t)(q[2] << 8 | q[3]) : 3u + q[2];
		if (q[1] >= from && q[1] < to)
			buf_put(b, q, n);
	}
}

void
bgp_attr_put(struct buf *b, const struct bgp_draft *d, bool as4, bool classic_next_hop)
{
	bool as4_aggregator = !as4 && d->has & BGP_HAS_AGGREGATOR && d->aggregator_as > UINT16_MAX;

	attr_head(b, F_TRANSITIVE, A_ORIGIN, 1);
	buf_u8(b, d->origin);
	path_put(b, d, as4);
	if (classic_next_hop)
		attr_u32(b, F_TRANSITIVE, A_NEXT_HOP, addr_u32(&d->next_hop));
	if (d->has & BGP_HAS_MED)
		attr_u32(b, OPTIONAL_NT, A_MED, d->med);
	if (d->has & BGP_HAS_LOCAL_PREF)
		attr_u32(b, F_TRANSITIVE, A_LOCAL_PREF, d->local_pref);
	if (d->has & BGP_HAS_ATOMIC)
		attr_head(b, F_TRANSITIVE, A_ATOMIC, 0);
	if (d->has & BGP_HAS_AGGREGATOR)
		aggregator_put(b, d, as4);
	attr_list(b, OPTIONAL_T, A_COMMUNITIES, d->communities, d->n_communities * 4);
	if (d->has & BGP_HAS_ORIGINATOR)
		attr_u32(b, OPTIONAL_NT, A_ORIGINATOR, d->originator);
	attr_list(b, OPTIONAL_NT, A_CLUSTERS, d->clusters, d->n_clusters * 4);
	attr_list(b, OPTIONAL_T, A_EXT, d->ext, d->n_ext * 8);
	if (!as4 && needs_as4(d))
		attr_list(b, OPTIONAL_T, A_AS4_PATH, d->path, d->path_len);
	if (as4_aggregator) {
		attr_head(b, OPTIONAL_T, A_AS4_AGGREGATOR, 8);
		buf_be32(b, d->aggregator_as);
		buf_be32(b, d->aggregator_id);
	}
	other_put(b, d, 0, A_LARGE);
	attr_list(b, OPTIONAL_T, A_LARGE, d->large, d->n_large * 12);
	other_put(b, d, A_LARGE, 256);
}

void
bgp_tunnel_put(struct buf *b, struct fabric_key key)
{
	attr_head(b, OPTIONAL_T, A_TUNNEL, 10);
	buf_be16(b, TUNNEL_GRE);
	buf_be16(b, 6);
	buf_u8(b, TUNNEL_ENCAPSULATION);
	buf_u8(b, 4);
	buf_be32(b, key.v);
}
