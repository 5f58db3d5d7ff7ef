/* Framing, OPEN, NOTIFICATION, ROUTE-REFRESH and NLRI. UPDATE's attributes are in update.c. */
#include "bgp/message.h"

const struct bgp_family_info bgp_families[BGP_N_FAMILIES] = {
	[BGP_IPV4] = { 1, 1, "IPv4 unicast" },
	[BGP_VPNV4] = { 1, 128, "VPNv4" },
};

enum bgp_family
bgp_family_find(uint16_t afi, uint8_t safi)
{
	enum bgp_family f = 0;

	while (f < BGP_N_FAMILIES && (bgp_families[f].afi != afi || bgp_families[f].safi != safi))
		f++;
	return f;
}

const char *
bgp_state_text(enum bgp_state s)
{
	static const char *const text[] = {
#define STATE_TEXT(name, t) [BGP_##name] = t,
		BGP_STATES(STATE_TEXT)
#undef STATE_TEXT
	};

	return s < COUNT(text) ? text[s] : "?";
}

const char *
bgp_reason_text(enum bgp_reason r)
{
	static const char *const text[] = {
#define REASON_TEXT(name, t) [BGP_REASON_##name] = t,
		BGP_REASONS(REASON_TEXT)
#undef REASON_TEXT
	};

	return r < COUNT(text) ? text[r] : "?";
}

const char *
bgp_reason_name(enum bgp_reason r)
{
	static const char *const text[] = {
#define REASON_NAME(name, t) [BGP_REASON_##name] = #name,
		BGP_REASONS(REASON_NAME)
#undef REASON_NAME
	};

	return r < COUNT(text) ? text[r] : "?";
}

/* ---- faults ---- */

int
bgp_fault_set(struct bgp_fault *f, uint8_t code, uint8_t subcode, const void *data, size_t n)
{
	f->code = code;
	f->subcode = subcode;
	f->n = (uint16_t)MIN(n, sizeof(f->data));
	if (f->n)
		memcpy(f->data, data, f->n);
	return -EBADMSG;
}

struct fault_words {
	uint8_t code, subcode; /* subcode 0 names the code */
	const char *text;
};

/* clang-format off */
static const struct fault_words fault_words[] = {
	{ BGP_ERR_HEADER, 0, "message header error" },
	{ BGP_ERR_HEADER, 1, "connection not synchronised" },
	{ BGP_ERR_HEADER, 2, "bad message length" },
	{ BGP_ERR_HEADER, 3, "bad message type" },
	{ BGP_ERR_OPEN, 0, "OPEN message error" },
	{ BGP_ERR_OPEN, 1, "unsupported version" },
	{ BGP_ERR_OPEN, 2, "bad peer AS" },
	{ BGP_ERR_OPEN, 3, "bad BGP identifier" },
	{ BGP_ERR_OPEN, 4, "unsupported optional parameter" },
	{ BGP_ERR_OPEN, 6, "unacceptable hold time" },
	{ BGP_ERR_OPEN, 7, "unsupported capability" },
	{ BGP_ERR_UPDATE, 0, "UPDATE message error" },
	{ BGP_ERR_UPDATE, 1, "malformed attribute list" },
	{ BGP_ERR_UPDATE, 2, "unrecognized well-known attribute" },
	{ BGP_ERR_UPDATE, 3, "missing well-known attribute" },
	{ BGP_ERR_UPDATE, 4, "attribute flags error" },
	{ BGP_ERR_UPDATE, 5, "attribute length error" },
	{ BGP_ERR_UPDATE, 6, "invalid ORIGIN attribute" },
	{ BGP_ERR_UPDATE, 8, "invalid NEXT_HOP attribute" },
	{ BGP_ERR_UPDATE, 9, "optional attribute error" },
	{ BGP_ERR_UPDATE, 10, "invalid network field" },
	{ BGP_ERR_UPDATE, 11, "malformed AS_PATH" },
	{ BGP_ERR_HOLD, 0, "hold timer expired" },
	{ BGP_ERR_FSM, 0, "finite state machine error" },
	{ BGP_ERR_FSM, 1, "unexpected message in OpenSent" },
	{ BGP_ERR_FSM, 2, "unexpected message in OpenConfirm" },
	{ BGP_ERR_FSM, 3, "unexpected message in Established" },
	{ BGP_ERR_CEASE, 0, "cease" },
	{ BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIX, "maximum number of prefixes reached" },
	{ BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "administrative shutdown" },
	{ BGP_ERR_CEASE, BGP_CEASE_DECONFIGURED, "peer de-configured" },
	{ BGP_ERR_CEASE, BGP_CEASE_RESET, "administrative reset" },
	{ BGP_ERR_CEASE, BGP_CEASE_REJECTED, "connection rejected" },
	{ BGP_ERR_CEASE, BGP_CEASE_CONFIG, "other configuration change" },
	{ BGP_ERR_CEASE, BGP_CEASE_COLLISION, "connection collision resolution" },
	{ BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "out of resources" },
	{ BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, "hard reset" },
	{ BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, "BFD down" },
	{ BGP_ERR_REFRESH, 0, "ROUTE-REFRESH message error" },
	{ BGP_ERR_REFRESH, 1, "invalid message length" },
	{ BGP_ERR_SEND_HOLD, 0, "send hold timer expired" },
};
/* clang-format on */

static const char *
words_of(uint8_t code, uint8_t subcode)
{
	for (size_t i = 0; i < COUNT(fault_words); i++)
		if (fault_words[i].code == code && fault_words[i].subcode == subcode)
			return fault_words[i].text;
	return NULL;
}

/* The peer's words (RFC 9003), made safe for a terminal: bytes outside printable ASCII show as ?. */
static void
append_words(const struct bgp_fault *f, char *out, size_t size)
{
	size_t n = strlen(out), len = f->n ? MIN(f->data[0], f->n - 1u) : 0;

	if (!len || size - n < 6)
		return;
	n += (size_t)snprintf(out + n, size - n, ": \"");
	for (size_t i = 0; i < len && n + 2 < size; i++)
		out[n++] = f->data[1 + i] >= 0x20 && f->data[1 + i] < 0x7f ? (char)f->data[1 + i]
									   : '?';
	out[n++] = '"';
	out[n] = 0;
}

const char *
bgp_fault_text(const struct bgp_fault *f, char *out, size_t size)
{
	const char *code = words_of(f->code, 0),
		   *sub = f->subcode ? words_of(f->code, f->subcode) : NULL;

	if (f->code == BGP_ERR_CEASE && f->subcode == BGP_CEASE_HARD_RESET && f->n >= 2) {
		struct bgp_fault in; /* RFC 8538 3.1: what is meant is inside */

		bgp_fault_set(&in, f->data[0], f->data[1], f->data + 2, f->n - 2u);
		if (in.code != BGP_ERR_CEASE || in.subcode != BGP_CEASE_HARD_RESET)
			return bgp_fault_text(&in, out, size);
	}
	if (!code)
		snprintf(out, size, "code %u subcode %u", f->code, f->subcode);
	else if (sub)
		snprintf(out, size, "%s: %s", code, sub);
	else if (f->subcode)
		snprintf(out, size, "%s: subcode %u", code, f->subcode);
	else
		snprintf(out, size, "%s", code);
	if (f->code == BGP_ERR_CEASE &&
	    (f->subcode == BGP_CEASE_SHUTDOWN || f->subcode == BGP_CEASE_RESET))
		append_words(f, out, size);
	return out;
}

/* ---- framing (RFC 4271 4.1, 6.1) ---- */

int
bgp_header_parse(const uint8_t *p, size_t *ret_len, enum bgp_type *ret_type, struct bgp_fault *f)
{
	static const struct {
		uint16_t min, max;
	} bounds[] = {
		[BGP_TYPE_OPEN] = { 29, BGP_MESSAGE_MAX },
		[BGP_TYPE_UPDATE] = { 23, BGP_MESSAGE_MAX },
		[BGP_TYPE_NOTIFICATION] = { 21, BGP_MESSAGE_MAX },
		[BGP_TYPE_KEEPALIVE] = { BGP_HEADER, BGP_HEADER },
		[BGP_TYPE_REFRESH] = { BGP_HEADER,
				       BGP_MESSAGE_MAX }, /* judged by the peer: RFC 7313 5 */
	};
	uint16_t len = (uint16_t)(p[16] << 8 | p[17]);
	uint8_t type = p[18];

	for (unsigned i = 0; i < 16; i++)
		if (p[i] != 0xff)
			return bgp_fault_set(f, BGP_ERR_HEADER, 1, NULL, 0);
	if (len < BGP_HEADER || len > BGP_MESSAGE_MAX)
		return bgp_fault_set(f, BGP_ERR_HEADER, 2, p + 16, 2);
	if (type < BGP_TYPE_OPEN || type > BGP_TYPE_REFRESH)
		return bgp_fault_set(f, BGP_ERR_HEADER, 3, &type, 1);
	if (len < bounds[type].min || len > bounds[type].max)
		return bgp_fault_set(f, BGP_ERR_HEADER, 2, p + 16, 2);
	*ret_len = len;
	*ret_type = type;
	return 0;
}

static size_t
header_put(struct buf *b, enum bgp_type type)
{
	static const uint8_t marker[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	size_t at = b->n;

	buf_put(b, marker, sizeof(marker));
	buf_be16(b, 0);
	buf_u8(b, type);
	return at;
}

static void
header_finish(struct buf *b, size_t at)
{
	buf_be16_at(b, at + 16, (uint16_t)(b->n - at));
}

void
bgp_keepalive_build(struct buf *b)
{
	header_finish(b, header_put(b, BGP_TYPE_KEEPALIVE));
}

void
bgp_notification_build(struct buf *b, const struct bgp_fault *f)
{
	size_t at = header_put(b, BGP_TYPE_NOTIFICATION);

	buf_u8(b, f->code);
	buf_u8(b, f->subcode);
	buf_put(b, f->data, f->n);
	header_finish(b, at);
}

int
bgp_notification_parse(struct cursor c, struct bgp_fault *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->code = cur_u8(&c);
	ret->subcode = cur_u8(&c);
	if (c.bad)
		return -EBADMSG;
	bgp_fault_set(ret, ret->code, ret->subcode, c.p, cur_left(&c));
	return 0;
}

void
bgp_fault_harden(struct bgp_fault *f)
{
	struct bgp_fault in = *f;

	f->code = BGP_ERR_CEASE;
	f->subcode = BGP_CEASE_HARD_RESET;
	f->data[0] = in.code;
	f->data[1] = in.subcode;
	f->n = (uint16_t)MIN(in.n + 2u, sizeof(f->data));
	memcpy(f->data + 2, in.data, f->n - 2u);
}

void
bgp_refresh_build(struct buf *b, enum bgp_family family)
{
	size_t at = header_put(b, BGP_TYPE_REFRESH);

	buf_be16(b, bgp_families[family].afi);
	buf_u8(b, 0);
	buf_u8(b, bgp_families[family].safi);
	header_finish(b, at);
}

/* ---- OPEN (RFC 4271 4.2, 6.2; capabilities RFC 5492; extended parameters RFC 9072) ---- */

enum { PARAM_CAPABILITIES = 2, PARAM_EXTENDED = 255 };
enum { CAP_MP = 1, CAP_REFRESH = 2, CAP_GRACEFUL = 64, CAP_AS4 = 65 };
enum { GR_RESTARTED = 0x8, GR_NOTIFICATION = 0x4, GR_FORWARDING = 0x80 };

static void
graceful_parse(struct cursor *c, struct bgp_open *o)
{
	uint16_t w = cur_be16(c);

	o->graceful = true;
	o->restarted = w >> 12 & GR_RESTARTED;
	o->notification_bit = w >> 12 & GR_NOTIFICATION;
	o->restart_s = w & 0xfff;
	o->gr_families = o->gr_forwarding = 0; /* the last of several counts */
	while (cur_left(c)) {
		uint16_t afi = cur_be16(c);
		uint8_t safi = cur_u8(c);
		uint8_t flags = cur_u8(c);
		enum bgp_family f = bgp_family_find(afi, safi);

		if (c->bad || f == BGP_N_FAMILIES)
			continue;
		o->gr_families |= (uint8_t)(1 << f);
		if (flags & GR_FORWARDING)
			o->gr_forwarding |= (uint8_t)(1 << f);
	}
}

/* False: malformed. */
static bool
capability_parse(uint8_t code, struct cursor c, struct bgp_open *o)
{
	switch (code) {
	case CAP_MP: {
		uint16_t afi = cur_be16(&c);
		uint8_t safi;
		enum bgp_family f;

		cur_u8(&c);
		safi = cur_u8(&c);
		f = bgp_family_find(afi, safi);
		o->has_mp = true;
		if (!c.bad && f != BGP_N_FAMILIES)
			o->families |= (uint8_t)(1 << f);
		return !c.bad && !cur_left(&c);
	}
	case CAP_REFRESH:
		o->refresh = true;
		return !cur_left(&c);
	case CAP_AS4:
		o->as4 = true;
		o->as.v = cur_be32(&c);
		return !c.bad && !cur_left(&c);
	case CAP_GRACEFUL:
		graceful_parse(&c, o);
		return !c.bad;
	default:
		return true;
	}
}

static bool
capabilities_parse(struct cursor c, struct bgp_open *o)
{
	while (cur_left(&c)) {
		uint8_t code = cur_u8(&c);
		uint8_t len = cur_u8(&c);
		struct cursor v = cur_sub(&c, len);

		if (v.bad || !capability_parse(code, v, o))
			return false;
	}
	return !c.bad;
}

static int
params_parse(struct cursor c, struct bgp_open *o, struct bgp_fault *f)
{
	uint8_t len = cur_u8(&c);
	bool extended = len && cur_left(&c) && c.p[0] == PARAM_EXTENDED;

	if (extended) {
		cur_u8(&c);
		if (cur_be16(&c) != cur_left(&c) || c.bad)
			return bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0);
	} else if (c.bad || len != cur_left(&c)) {
		return bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0);
	}
	while (cur_left(&c)) {
		uint8_t type = cur_u8(&c);
		size_t n = extended ? cur_be16(&c) : cur_u8(&c);
		struct cursor v = cur_sub(&c, n);

		if (v.bad)
			return bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0);
		if (type != PARAM_CAPABILITIES)
			return bgp_fault_set(f, BGP_ERR_OPEN, 4, NULL, 0);
		if (!capabilities_parse(v, o))
			return bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0);
	}
	return c.bad ? bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0) : 0;
}

int
bgp_open_parse(struct cursor c, struct bgp_open *ret, struct bgp_fault *f)
{
	memset(ret, 0, sizeof(*ret));
	ret->version = cur_u8(&c);
	ret->as2 = cur_be16(&c);
	ret->hold = cur_be16(&c);
	ret->id = cur_be32(&c);
	if (c.bad)
		return bgp_fault_set(f, BGP_ERR_OPEN, 0, NULL, 0);
	if (ret->version != 4)
		return bgp_fault_set(f, BGP_ERR_OPEN, 1, "\0\4", 2);
	ret->as.v = ret->as2;
	if (params_parse(c, ret, f) < 0)
		return -EBADMSG;
	if (!ret->has_mp)
		ret->families = 1 << BGP_IPV4; /* RFC 4760 8 */
	if (!ret->as.v || !ret->as2)           /* RFC 7607 */
		return bgp_fault_set(f, BGP_ERR_OPEN, 2, NULL, 0);
	if (!ret->id) /* RFC 6286 */
		return bgp_fault_set(f, BGP_ERR_OPEN, 3, NULL, 0);
	if (ret->hold == 1 || ret->hold == 2)
		return bgp_fault_set(f, BGP_ERR_OPEN, 6, NULL, 0);
	return 0;
}

static void
graceful_put(struct buf *b, const struct bgp_open *o)
{
	unsigned n = (unsigned)__builtin_popcount(o->gr_families);
	unsigned flags = (o->restarted ? GR_RESTARTED : 0) |
			 (o->notification_bit ? GR_NOTIFICATION : 0);

	buf_u8(b, CAP_GRACEFUL);
	buf_u8(b, (uint8_t)(2 + 4 * n));
	buf_be16(b, (uint16_t)(flags << 12 | (o->restart_s & 0xfff)));
	for (unsigned f = 0; f < BGP_N_FAMILIES; f++) {
		if (!(o->gr_families >> f & 1))
			continue;
		buf_be16(b, bgp_families[f].afi);
		buf_u8(b, bgp_families[f].safi);
		buf_u8(b, o->gr_forwarding >> f & 1 ? GR_FORWARDING : 0);
	}
}

void
bgp_open_build(struct buf *b, const struct bgp_open *o)
{
	size_t at = header_put(b, BGP_TYPE_OPEN), params;

	buf_u8(b, 4);
	buf_be16(b, o->as.v > UINT16_MAX ? ASN_TRANS : (uint16_t)o->as.v);
	buf_be16(b, o->hold);
	buf_be32(b, o->id);
	params = b->n;
	buf_put(b, (uint8_t[]){ 0, PARAM_CAPABILITIES, 0 }, 3);
	for (unsigned f = 0; f < BGP_N_FAMILIES; f++) {
		if (!(o->families >> f & 1))
			continue;
		buf_put(b, (uint8_t[]){ CAP_MP, 4 }, 2);
		buf_be16(b, bgp_families[f].afi);
		buf_u8(b, 0);
		buf_u8(b, bgp_families[f].safi);
	}
	if (o->refresh)
		buf_put(b, (uint8_t[]){ CAP_REFRESH, 0 }, 2);
	if (o->as4) {
		buf_put(b, (uint8_t[]){ CAP_AS4, 4 }, 2);
		buf_be32(b, o->as.v);
	}
	if (o->graceful)
		graceful_put(b, o);
	b->p[params + 2] = (uint8_t)(b->n - params - 3);
	b->p[params] = (uint8_t)(b->n - params - 1);
	if (b->p[params + 2] == 0) { /* no capability at all: no parameter */
		b->n = params + 1;
		b->p[params] = 0;
	}
	header_finish(b, at);
}

/* ---- NLRI (RFC 4271 4.3; VPNv4 RFC 4364 4.3.4 with RFC 8277 2) ---- */

bool
bgp_nlri_next(enum bgp_family family, struct cursor *c, struct bgp_nlri *ret)
{
	unsigned bits;
	uint8_t b[4] = { 0 };

	if (!cur_left(c))
		return false;
	bits = cur_u8(c);
	ret->rd.v = 0;
	if (family == BGP_VPNV4) {
		if (bits < 88 || bits > 120) {
			c->bad = true;
			return false;
		}
		bits -= 88;
		cur_be24(c); /* one label (RFC 8277); the key is in the tunnel attribute */
		ret->rd.v = cur_be64(c);
	}
	if (bits > 32) {
		c->bad = true;
		return false;
	}
	cur_copy(c, b, (bits + 7) / 8);
	if (c->bad)
		return false;
	ret->addr = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	ret->addr &= bits ? ~0u << (32 - bits) : 0;
	ret->len = (uint8_t)bits;
	return true;
}

void
bgp_nlri_put(struct buf *b, enum bgp_family family, const struct bgp_nlri *n, bool is_withdraw)
{
	uint8_t out[1 + 3 + 8 + 4], *w = out;

	*w++ = (uint8_t)(n->len + (family == BGP_VPNV4 ? 88 : 0));
	if (family == BGP_VPNV4) {
		uint32_t label = is_withdraw ? 0x800000
					     : 3 << 4 | 1; /* implicit null, bottom of stack */

		*w++ = (uint8_t)(label >> 16);
		*w++ = (uint8_t)(label >> 8);
		*w++ = (uint8_t)label;
		for (int i = 56; i >= 0; i -= 8)
			*w++ = (uint8_t)(n->rd.v >> i);
	}
	for (unsigned i = 0; i < (n->len + 7u) / 8; i++)
		*w++ = (uint8_t)(n->addr >> (24 - 8 * i));
	buf_put(b, out, (size_t)(w - out));
}
