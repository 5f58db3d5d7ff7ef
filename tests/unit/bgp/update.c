/* UPDATE: every malformation with the answer RFC 7606 (and 4271, 4760, 6793, 7607, 9012) wants, and
 * a round trip of what we encode.
 *
 * A case is written as attributes in hex; the frame around them is made here. The NLRI of every
 * case are 10.1.0.0/16 and 10.2.0.0/16, so that the bad attribute is never the last thing read. */
#include "../test.h"
#include "base/buf.h"
#include "bgp/message.h"

enum want {
	USE,
	WITHDRAWN,
	DISCARDED,
	RESET_1 = 100,
	RESET_2,
	RESET_3,
	RESET_4,
	RESET_5,
	RESET_6,
	RESET_8 = 107,
	RESET_9,
	RESET_10,
	RESET_11
};

#define ORIGIN "40 01 01 00 "
#define PATH "40 02 06 02 01 00 00 fd f2 "
#define NEXT_HOP "40 03 04 c0 a8 00 01 "
#define MUST ORIGIN PATH NEXT_HOP
#define LP "40 05 04 00 00 00 64 "
/* VPNv4 10.1.0.0/16 of RD 0:1:2, next hop 10.255.0.1 */
#define VPN_NLRI "68 00 00 31 00 00 00 01 00 00 00 02 0a 01 "
#define REACH "80 0e 1f 00 01 80 0c 00 00 00 00 00 00 00 00 0a ff 00 01 00 " VPN_NLRI

enum { EXT = 1 /* from an external peer */, AS2 = 2, NO_NLRI = 4, VPN = 8 };

struct test_case {
	const char *name;
	unsigned how;
	const char *attrs;
	enum want want;
};

/* clang-format off */
static const struct test_case cases[] = {
	{ "plain", EXT, MUST, USE },
	{ "order does not matter", EXT, NEXT_HOP PATH ORIGIN, USE },
	{ "extended length where none is needed", EXT, "50 01 00 01 00 " PATH NEXT_HOP, USE },
	{ "low flag bits are ignored", EXT, "4f 01 01 00 " PATH NEXT_HOP, USE },
	{ "partial bit on a well-known attribute", EXT, "60 01 01 00 " PATH NEXT_HOP, USE },

	/* mandatory ones missing: 7606 3 (d) */
	{ "no ORIGIN", EXT, PATH NEXT_HOP, WITHDRAWN },
	{ "no AS_PATH", EXT, ORIGIN NEXT_HOP, WITHDRAWN },
	{ "no NEXT_HOP", EXT, ORIGIN PATH, WITHDRAWN },
	{ "no attributes at all", EXT, "", WITHDRAWN },
	{ "no LOCAL_PREF from an internal peer", 0, MUST, USE },

	/* ORIGIN: 7606 7.1 */
	{ "ORIGIN 2", EXT, "40 01 01 02 " PATH NEXT_HOP, USE },
	{ "ORIGIN 3", EXT, "40 01 01 03 " PATH NEXT_HOP, WITHDRAWN },
	{ "ORIGIN of length 0", EXT, "40 01 00 " PATH NEXT_HOP, WITHDRAWN },
	{ "ORIGIN of length 2", EXT, "40 01 02 00 00 " PATH NEXT_HOP, WITHDRAWN },
	{ "ORIGIN optional", EXT, "c0 01 01 00 " PATH NEXT_HOP, WITHDRAWN },
	{ "ORIGIN not transitive", EXT, "00 01 01 00 " PATH NEXT_HOP, WITHDRAWN },
	{ "ORIGIN twice", EXT, MUST "40 01 01 02 ", DISCARDED },

	/* AS_PATH: 7.2 */
	{ "empty AS_PATH", 0, ORIGIN "40 02 00 " NEXT_HOP, USE },
	{ "AS_SET", EXT, ORIGIN "40 02 0c 02 01 00 00 fd f2 01 01 00 00 fd f3 " NEXT_HOP, USE },
	{ "segment type 0", EXT, ORIGIN "40 02 06 00 01 00 00 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "segment type 3 (confederation)", EXT, ORIGIN "40 02 06 03 01 00 00 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "segment type 5", EXT, ORIGIN "40 02 06 05 01 00 00 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "segment of no AS", EXT, ORIGIN "40 02 02 02 00 " NEXT_HOP, WITHDRAWN },
	{ "segment past the end", EXT, ORIGIN "40 02 06 02 02 00 00 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "one byte left over", EXT, ORIGIN "40 02 07 02 01 00 00 fd f2 02 " NEXT_HOP, WITHDRAWN },
	{ "AS 0 (RFC 7607)", EXT, ORIGIN "40 02 06 02 01 00 00 00 00 " NEXT_HOP, WITHDRAWN },
	{ "2-byte path of a 4-byte speaker", EXT, ORIGIN "40 02 04 02 01 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "2-byte path", EXT | AS2, ORIGIN "40 02 04 02 01 fd f2 " NEXT_HOP, USE },
	{ "2-byte AS 0", EXT | AS2, ORIGIN "40 02 04 02 01 00 00 " NEXT_HOP, WITHDRAWN },
	{ "AS_PATH optional", EXT, ORIGIN "c0 02 06 02 01 00 00 fd f2 " NEXT_HOP, WITHDRAWN },
	{ "AS_PATH twice", EXT, MUST "40 02 06 02 01 00 00 fd f3 ", DISCARDED },

	/* NEXT_HOP: 7.3 */
	{ "NEXT_HOP of length 3", EXT, ORIGIN PATH "40 03 03 c0 a8 00 ", WITHDRAWN },
	{ "NEXT_HOP of length 5", EXT, ORIGIN PATH "40 03 05 c0 a8 00 01 02 ", WITHDRAWN },
	{ "NEXT_HOP 0.0.0.0", EXT, ORIGIN PATH "40 03 04 00 00 00 00 ", WITHDRAWN },
	{ "NEXT_HOP multicast", EXT, ORIGIN PATH "40 03 04 e0 00 00 01 ", WITHDRAWN },
	{ "NEXT_HOP optional", EXT, ORIGIN PATH "c0 03 04 c0 a8 00 01 ", WITHDRAWN },

	/* MULTI_EXIT_DISC: 7.4; LOCAL_PREF: 7.5 */
	{ "MED", EXT, MUST "80 04 04 00 00 00 01 ", USE },
	{ "MED of length 3", EXT, MUST "80 04 03 00 00 00 ", WITHDRAWN },
	{ "MED transitive", EXT, MUST "c0 04 04 00 00 00 01 ", WITHDRAWN },
	{ "LOCAL_PREF", 0, MUST LP, USE },
	{ "LOCAL_PREF from outside", EXT, MUST LP, DISCARDED },
	{ "bad LOCAL_PREF from outside", EXT, MUST "40 05 01 00 ", DISCARDED },
	{ "LOCAL_PREF of length 3", 0, MUST "40 05 03 00 00 00 ", WITHDRAWN },
	{ "LOCAL_PREF of length 0", 0, MUST "40 05 00 ", WITHDRAWN },

	/* ATOMIC_AGGREGATE 7.6, AGGREGATOR 7.7 */
	{ "ATOMIC_AGGREGATE", EXT, MUST "40 06 00 ", USE },
	{ "ATOMIC_AGGREGATE of length 1", EXT, MUST "40 06 01 00 ", DISCARDED },
	{ "ATOMIC_AGGREGATE optional", EXT, MUST "c0 06 00 ", DISCARDED },
	{ "AGGREGATOR", EXT, MUST "c0 07 08 00 00 fd f2 01 02 03 04 ", USE },
	{ "AGGREGATOR of length 6", EXT, MUST "c0 07 06 fd f2 01 02 03 04 ", DISCARDED },
	{ "AGGREGATOR of length 6 for 2 bytes", EXT | AS2, ORIGIN "40 02 04 02 01 fd f2 " NEXT_HOP "c0 07 06 fd f2 01 02 03 04 ", USE },
	{ "AGGREGATOR of length 7", EXT, MUST "c0 07 07 00 00 fd f2 01 02 03 ", DISCARDED },
	{ "AGGREGATOR with AS 0 (RFC 7607)", EXT, MUST "c0 07 08 00 00 00 00 01 02 03 04 ", DISCARDED },
	{ "AGGREGATOR not transitive", EXT, MUST "80 07 08 00 00 fd f2 01 02 03 04 ", DISCARDED },

	/* COMMUNITIES 7.8, EXTENDED 7.14, LARGE (RFC 8092 5) */
	{ "COMMUNITIES", EXT, MUST "c0 08 08 fd f2 00 01 ff ff ff 01 ", USE },
	{ "COMMUNITIES of length 0", EXT, MUST "c0 08 00 ", WITHDRAWN },
	{ "COMMUNITIES of length 3", EXT, MUST "c0 08 03 fd f2 00 ", WITHDRAWN },
	{ "COMMUNITIES not optional", EXT, MUST "40 08 04 fd f2 00 01 ", WITHDRAWN },
	{ "EXTENDED COMMUNITIES", EXT, MUST "c0 10 08 00 02 2f 2c 00 00 00 64 ", USE },
	{ "EXTENDED COMMUNITIES of length 0", EXT, MUST "c0 10 00 ", WITHDRAWN },
	{ "EXTENDED COMMUNITIES of length 7", EXT, MUST "c0 10 07 00 02 2f 2c 00 00 00 ", WITHDRAWN },
	{ "LARGE_COMMUNITY", EXT, MUST "c0 20 0c 00 00 00 01 00 00 00 02 00 00 00 03 ", USE },
	{ "LARGE_COMMUNITY of length 0", EXT, MUST "c0 20 00 ", WITHDRAWN },
	{ "LARGE_COMMUNITY of length 11", EXT, MUST "c0 20 0b 00 00 00 01 00 00 00 02 00 00 00 ", WITHDRAWN },

	/* ORIGINATOR_ID 7.9, CLUSTER_LIST 7.10 */
	{ "ORIGINATOR_ID", 0, MUST "80 09 04 01 02 03 04 ", USE },
	{ "ORIGINATOR_ID from outside", EXT, MUST "80 09 04 01 02 03 04 ", DISCARDED },
	{ "ORIGINATOR_ID of length 5", 0, MUST "80 09 05 01 02 03 04 05 ", WITHDRAWN },
	{ "CLUSTER_LIST", 0, MUST "80 0a 08 01 02 03 04 05 06 07 08 ", USE },
	{ "CLUSTER_LIST from outside", EXT, MUST "80 0a 03 01 02 03 ", DISCARDED },
	{ "CLUSTER_LIST of length 0", 0, MUST "80 0a 00 ", WITHDRAWN },
	{ "CLUSTER_LIST of length 6", 0, MUST "80 0a 06 01 02 03 04 05 06 ", WITHDRAWN },

	/* AS4_PATH, AS4_AGGREGATOR (RFC 6793 6) */
	{ "AS4_PATH from a 4-byte speaker", EXT, MUST "c0 11 06 02 01 00 00 fd f2 ", DISCARDED },
	{ "AS4_PATH", EXT | AS2, ORIGIN "40 02 04 02 01 5b a0 " NEXT_HOP "c0 11 06 02 01 fa 56 ea 01 ", USE },
	{ "bad AS4_PATH", EXT | AS2, ORIGIN "40 02 04 02 01 5b a0 " NEXT_HOP "c0 11 05 02 01 fa 56 ea ", DISCARDED },
	{ "empty AS4_PATH", EXT | AS2, ORIGIN "40 02 04 02 01 5b a0 " NEXT_HOP "c0 11 00 ", DISCARDED },
	{ "bad AS4_AGGREGATOR", EXT | AS2, ORIGIN "40 02 04 02 01 5b a0 " NEXT_HOP "c0 12 07 fa 56 ea 01 01 02 03 ", DISCARDED },

	/* unknown ones */
	{ "unknown optional transitive", EXT, MUST "c0 63 02 01 02 ", USE },
	{ "unknown optional", EXT, MUST "80 63 02 01 02 ", USE },
	{ "unknown well-known", EXT, MUST "40 63 02 01 02 ", RESET_2 },
	{ "attribute type 0, optional", EXT, MUST "c0 00 00 ", USE },

	/* the list: 7606 4 */
	{ "attribute past the end", EXT, MUST "80 04 05 00 00 00 01 ", WITHDRAWN },
	{ "one byte left over behind the attributes", EXT, MUST "80 ", WITHDRAWN },
	{ "two bytes left over", EXT, MUST "80 04 ", WITHDRAWN },
	{ "extended length with one byte of it", EXT, MUST "90 04 00 ", WITHDRAWN },
	{ "worst of two answers", EXT, "40 01 01 03 " PATH NEXT_HOP "40 63 00 ", RESET_2 },
	{ "withdraw and discard", EXT, "40 01 01 03 " PATH NEXT_HOP "40 06 01 00 ", WITHDRAWN },

	/* nothing to withdraw: 7606 5.2 */
	{ "bad ORIGIN without routes", EXT | NO_NLRI, "40 01 01 03 " PATH NEXT_HOP, RESET_6 },
	{ "bad flags without routes", EXT | NO_NLRI, "c0 01 01 00 " PATH NEXT_HOP, RESET_4 },
	{ "bad length without routes", EXT | NO_NLRI, "40 01 02 00 00 " PATH NEXT_HOP, RESET_5 },
	{ "bad AS_PATH without routes", EXT | NO_NLRI, ORIGIN "40 02 02 02 00 " NEXT_HOP, RESET_11 },
	{ "good attributes without routes", EXT | NO_NLRI, MUST, USE },
	{ "ORIGIN alone without routes", EXT | NO_NLRI, ORIGIN, USE },
	{ "discard without routes", EXT | NO_NLRI, MUST "40 06 01 00 ", DISCARDED },

	/* MP_REACH_NLRI, MP_UNREACH_NLRI: 7606 3 (g), 5, 7.11, 7.12 */
	{ "VPNv4", VPN | NO_NLRI, REACH ORIGIN PATH LP, USE },
	{ "VPNv4 without NEXT_HOP needs none", VPN | NO_NLRI, ORIGIN PATH LP REACH, USE },
	{ "VPNv4 without ORIGIN", VPN | NO_NLRI, REACH PATH LP, WITHDRAWN },
	{ "VPNv4 behind a bad attribute", VPN | NO_NLRI, "40 01 01 03 " PATH LP REACH, WITHDRAWN },
	{ "VPNv4 before a cut attribute", VPN | NO_NLRI, REACH ORIGIN PATH "80 04 05 00 ", WITHDRAWN },
	{ "MP_REACH twice", VPN | NO_NLRI, REACH REACH ORIGIN PATH LP, RESET_1 },
	{ "MP_UNREACH twice", VPN | NO_NLRI, "80 0f 03 00 01 80 80 0f 03 00 01 80 ", RESET_1 },
	{ "MP_REACH transitive", VPN | NO_NLRI, "c0 0e 1f 00 01 80 0c 00 00 00 00 00 00 00 00 0a ff 00 01 00 " VPN_NLRI ORIGIN PATH LP, WITHDRAWN },
	{ "MP_REACH next hop of length 4", VPN | NO_NLRI, "80 0e 17 00 01 80 04 0a ff 00 01 00 " VPN_NLRI ORIGIN PATH LP, RESET_9 },
	{ "MP_REACH next hop past the end", VPN | NO_NLRI, "80 0e 05 00 01 80 0c 00 " ORIGIN PATH LP, RESET_9 },
	{ "MP_REACH of length 2", VPN | NO_NLRI, "80 0e 02 00 01 " ORIGIN PATH LP, RESET_9 },
	{ "MP_REACH next hop 0", VPN | NO_NLRI, "80 0e 1f 00 01 80 0c 00 00 00 00 00 00 00 00 00 00 00 00 00 " VPN_NLRI ORIGIN PATH LP, WITHDRAWN },
	{ "VPNv4 prefix of 33 bits", VPN | NO_NLRI, "80 0e 22 00 01 80 0c 00 00 00 00 00 00 00 00 0a ff 00 01 00 79 00 00 31 00 00 00 01 00 00 00 02 0a 01 01 01 01 " ORIGIN PATH LP, RESET_9 },
	{ "VPNv4 prefix shorter than its RD", VPN | NO_NLRI, "80 0e 1c 00 01 80 0c 00 00 00 00 00 00 00 00 0a ff 00 01 00 50 00 00 31 00 00 00 01 00 00 00 " ORIGIN PATH LP, RESET_9 },
	{ "VPNv4 prefix past the end", VPN | NO_NLRI, "80 0e 1e 00 01 80 0c 00 00 00 00 00 00 00 00 0a ff 00 01 00 68 00 00 31 00 00 00 01 00 00 00 02 0a " ORIGIN PATH LP, RESET_9 },
	{ "a family we did not negotiate", VPN | NO_NLRI, "80 0e 05 00 02 01 00 00 " ORIGIN PATH LP, USE },
	{ "MP_UNREACH", VPN | NO_NLRI, "80 0f 11 00 01 80 68 80 00 00 00 00 00 01 00 00 00 02 0a 01 ", USE },
	{ "MP_UNREACH with an IPv4 /33", VPN | NO_NLRI, "80 0f 14 00 01 80 79 80 00 00 00 00 00 01 00 00 00 02 0a 01 01 01 01 ", RESET_9 },
	{ "MP_UNREACH of length 2", VPN | NO_NLRI, "80 0f 02 00 01 ", RESET_9 },
	{ "MP_UNREACH not optional", VPN | NO_NLRI, "40 0f 03 00 01 80 ", RESET_4 },

	/* TUNNEL_ENCAPSULATION (RFC 9012 13) */
	{ "tunnel", VPN | NO_NLRI, REACH ORIGIN PATH LP "c0 17 0a 00 02 00 06 01 04 00 06 40 01 ", USE },
	{ "tunnel of unknown type", VPN | NO_NLRI, REACH ORIGIN PATH LP "c0 17 06 00 63 00 02 01 00 ", USE },
	{ "tunnel TLV past the end", VPN | NO_NLRI, REACH ORIGIN PATH LP "c0 17 0a 00 02 00 07 01 04 00 06 40 01 ", WITHDRAWN },
	{ "tunnel sub-TLV past the end", VPN | NO_NLRI, REACH ORIGIN PATH LP "c0 17 0a 00 02 00 06 01 05 00 06 40 01 ", USE },
	{ "tunnel with a byte left over", VPN | NO_NLRI, REACH ORIGIN PATH LP "c0 17 0b 00 02 00 06 01 04 00 06 40 01 00 ", WITHDRAWN },
	{ "tunnel not optional", VPN | NO_NLRI, REACH ORIGIN PATH LP "40 17 0a 00 02 00 06 01 04 00 06 40 01 ", WITHDRAWN },
};
/* clang-format on */

static void
put_hex(struct buf *b, const char *hex)
{
	while (*hex) {
		unsigned v = 0;
		int n = 0;

		assert_int_equal(sscanf(hex, "%2x%n", &v, &n), 1);
		buf_u8(b, (uint8_t)v);
		for (hex += n; *hex == ' '; hex++)
			;
	}
}

static struct bgp_update update;

static int
parse(const struct test_case *c, struct bgp_fault *f)
{
	AUTO_BUF b = { 0 };
	struct bgp_update_options o = { .as4 = !(c->how & AS2),
					.is_external = c->how & EXT,
					.families = c->how & VPN ? 1 << BGP_VPNV4 : 1 << BGP_IPV4 };
	uint8_t *exact;
	int r;

	buf_be16(&b, 0);
	buf_be16(&b, 0);
	put_hex(&b, c->attrs);
	buf_be16_at(&b, 2, (uint16_t)(b.n - 4));
	if (!(c->how & NO_NLRI))
		put_hex(&b, "10 0a 01 10 0a 02");
	exact = malloc(b.n); /* its exact size: ASan sees a read past the end */
	assert_non_null(exact);
	memcpy(exact, b.p, b.n);
	r = bgp_update_parse(cur_make(exact, b.n), &o, &update, f);
	free(exact);
	return r;
}

static void
test_malformed(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct test_case *c = &cases[i];
		struct bgp_fault f = { 0 };
		int r = parse(c, &f);
		int got = r < 0                            ? RESET_1 + f.subcode - 1
			  : update.verdict == BGP_WITHDRAW ? WITHDRAWN
			  : update.n_discarded             ? DISCARDED
							   : USE;
		int want = c->want;

		if (r < 0)
			assert_int_equal(f.code, BGP_ERR_UPDATE);
		if (got != want)
			fail_msg("%s: got %d, want %d (%s)", c->name, got, want,
				 update.why ? update.why : "");
	}
}

/* Where the lengths do not add up the session goes (RFC 7606 3 (b), 4271 6.3). */
static void
test_structure(void **state)
{
	static const struct {
		const char *hex;
		uint8_t subcode; /* 0: fine */
	} lists[] = {
		{ "00 00 00 00", 0 },
		{ "00 01 00 00 00", 0 },
		{ "00 03 18 0a 01 00 00", 10 },
		{ "00 02 00 00", 1 },
		{ "00 00 00 05 40 01 01 00", 1 },
		{ "ff ff 00 00", 1 },
		{ "00 00 ff ff", 1 },
		{ "00 00 00 00 21 0a 01 00 00 00", 10 },
		{ "00 00 00 00 10 0a", 10 },
		{ "00 02 21 0a 00 00", 10 },
		{ "00 05 20 0a 01 02 03 00 00", 0 },
		{ "00", 1 },
		{ "", 1 },
	};
	struct bgp_update_options o = { .as4 = true, .is_external = true, .families = 1 };

	for (size_t i = 0; i < COUNT(lists); i++) {
		AUTO_BUF b = { 0 };
		struct bgp_fault f = { 0 };
		int r;

		put_hex(&b, lists[i].hex);
		r = bgp_update_parse(cur_make(b.p, b.n), &o, &update, &f);
		if ((r < 0) != (lists[i].subcode != 0) || f.subcode != lists[i].subcode)
			fail_msg("%s: got %d subcode %u", lists[i].hex, r, f.subcode);
	}
}

static void
test_end_of_rib(void **state)
{
	static const struct test_case eor[] = {
		{ "VPNv4", VPN | NO_NLRI, "80 0f 03 00 01 80 ", USE },
		{ "with company", VPN | NO_NLRI, "80 0f 03 00 01 80 " ORIGIN, USE },
		{ "IPv4", EXT | NO_NLRI, "", USE },
		{ "not ours", EXT | NO_NLRI, "80 0f 03 00 01 80 ", USE },
	};
	static const int family[] = { BGP_VPNV4, -1, BGP_IPV4, -1 };

	for (size_t i = 0; i < COUNT(eor); i++) {
		struct bgp_fault f;

		assert_int_equal(parse(&eor[i], &f), 0);
		assert_int_equal(update.is_eor, family[i] >= 0);
		if (update.is_eor)
			assert_int_equal(update.eor_family, family[i]);
	}
}

static const char *
path_text(char *out, size_t size)
{
	struct bgp_attrs *pool = bgp_attrs_create();
	struct bgp_attr *a = bgp_attr_intern(pool, &update.attr);

	bgp_path_format(a, out, size);
	bgp_attr_unref(pool, a);
	bgp_attrs_destroy(pool);
	return out;
}

/* RFC 6793 4.2.3 */
static void
test_as4_merge(void **state)
{
	static const struct {
		const char *attrs, *path;
	} merges[] = {
		{ "40 02 08 02 03 fd f2 5b a0 5b a0 c0 11 0a 02 02 00 01 00 01 00 01 00 02 ",
		  "65010 65537 65538" },
		{ "40 02 04 02 01 fd f2 c0 11 0a 02 02 00 01 00 01 00 01 00 02 ", "65010" },
		{ "40 02 04 02 01 5b a0 c0 11 06 02 01 00 01 00 01 ", "65537" },
		{ "40 02 08 01 01 fd f2 02 01 5b a0 c0 11 06 02 01 00 01 00 01 ", "{65010} 65537" },
		/* an AGGREGATOR that is not AS_TRANS: the AS4 attributes do not count */
		{ "40 02 04 02 01 5b a0 c0 07 06 fd f2 01 02 03 04 c0 11 06 02 01 00 01 00 01 ",
		  "23456" },
	};

	for (size_t i = 0; i < COUNT(merges); i++) {
		char hex[512], text[128];
		struct test_case c = { "merge", EXT | AS2, hex, USE };
		struct bgp_fault f;
		AUTO_BUF b = { 0 };
		struct bgp_update_options o = { .is_external = true, .families = 1 };

		snprintf(hex, sizeof(hex), "%s%s%s", ORIGIN, merges[i].attrs, NEXT_HOP);
		buf_be32(&b, 0);
		put_hex(&b, c.attrs);
		buf_be16_at(&b, 2, (uint16_t)(b.n - 4));
		put_hex(&b, "10 0a 01");
		assert_int_equal(bgp_update_parse(cur_make(b.p, b.n), &o, &update, &f), 0);
		assert_string_equal(path_text(text, sizeof(text)), merges[i].path);
	}
}

/* ---- round trips, seeded ---- */

static uint64_t seed = 88172645463325252u;

static uint32_t
rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

static void
random_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd(256);
}

static size_t
random_path(uint8_t *p)
{
	size_t n = 0;

	for (unsigned segs = rnd(4); segs; segs--) {
		unsigned count = 1 + rnd(6);

		p[n++] = (uint8_t)(1 + rnd(2));
		p[n++] = (uint8_t)count;
		for (; count; count--, n += 4) {
			random_bytes(p + n, 4);
			if (rnd(2))
				p[n] = p[n + 1] = 0;
			p[n + 3] |= 1; /* not AS 0 */
		}
	}
	return n;
}

static void
test_round_trip(void **state)
{
	uint8_t path[256], communities[400], ext[400], large[480], clusters[80];
	struct bgp_attrs *pool = bgp_attrs_create();

	for (unsigned i = 0; i < 5000; i++) {
		AUTO_BUF b = { 0 };
		struct bgp_draft d = { .origin = (uint8_t)rnd(3),
				       .path = path,
				       .path_len = random_path(path),
				       .communities = communities,
				       .n_communities = rnd(4) ? 0 : rnd(100),
				       .ext = ext,
				       .n_ext = rnd(3) ? 0 : rnd(50),
				       .large = large,
				       .n_large = rnd(3) ? 0 : rnd(40),
				       .clusters = clusters,
				       .n_clusters = rnd(3) ? 0 : rnd(20) };
		bool as4 = rnd(2);
		struct bgp_update_options o = { .as4 = as4, .families = 1 };
		struct bgp_attr *x, *y;
		struct bgp_fault f = { 0 };
		size_t n_nlri = 0;
		struct bgp_nlri nlri, back;

		random_bytes(communities, sizeof(communities));
		random_bytes(ext, sizeof(ext));
		random_bytes(large, sizeof(large));
		random_bytes(clusters, sizeof(clusters));
		d.has = BGP_HAS_ORIGIN | BGP_HAS_PATH | BGP_HAS_NEXT_HOP;
		d.has |= (uint16_t)(rnd(2) * BGP_HAS_MED | rnd(2) * BGP_HAS_LOCAL_PREF |
				    rnd(2) * BGP_HAS_ATOMIC | rnd(2) * BGP_HAS_ORIGINATOR |
				    rnd(2) * BGP_HAS_AGGREGATOR);
		d.next_hop = addr_v4(0x0a000000 + rnd(1 << 20) + 1);
		d.med = rnd(UINT32_MAX);
		d.local_pref = rnd(UINT32_MAX);
		d.originator = rnd(UINT32_MAX);
		d.aggregator_as = 65536 + rnd(1 << 20);
		if (d.has & BGP_HAS_AGGREGATOR && !as4 && rnd(2))
			d.aggregator_as = ASN_TRANS;
		d.aggregator_id = rnd(UINT32_MAX);
		nlri = (struct bgp_nlri){ .len = (uint8_t)rnd(33) };
		nlri.addr = nlri.len ? rnd(UINT32_MAX) & ~0u << (32 - nlri.len) : 0;
		buf_be32(&b, 0);
		bgp_attr_put(&b, &d, as4, true);
		buf_be16_at(&b, 2, (uint16_t)(b.n - 4));
		bgp_nlri_put(&b, BGP_IPV4, &nlri, false);
		if (bgp_update_parse(cur_make(b.p, b.n), &o, &update, &f) < 0)
			fail_msg("round %u: %u/%u", i, f.code, f.subcode);
		if (update.verdict != BGP_USE || update.n_discarded)
			fail_msg("round %u: %s", i, update.why);
		x = bgp_attr_intern(pool, &d);
		y = bgp_attr_intern(pool, &update.attr);
		assert_ptr_equal(x, y); /* interning: equal values are one */
		assert_int_equal(x->refs, 2);
		bgp_attr_unref(pool, x);
		bgp_attr_unref(pool, y);
		while (bgp_nlri_next(BGP_IPV4, &update.announced, &back))
			n_nlri++;
		assert_int_equal(n_nlri, 1);
		assert_true(back.addr == nlri.addr && back.len == nlri.len);
	}
	assert_int_equal(bgp_attrs_count(pool), 0);
	bgp_attrs_destroy(pool);
}

static void
test_open_round_trip(void **state)
{
	for (unsigned i = 0; i < 2000; i++) {
		AUTO_BUF b = { 0 };
		struct bgp_open o = { .version = 4,
				      .as = { 1 + rnd(UINT32_MAX - 1) },
				      .hold = (uint16_t)(3 + rnd(65000)),
				      .id = 1 + rnd(UINT32_MAX - 1),
				      .as4 = true,
				      .refresh = rnd(2),
				      .has_mp = true,
				      .families = (uint8_t)(1 + rnd(3)),
				      .graceful = rnd(2) },
				back;
		struct bgp_fault f = { 0 };
		size_t len;
		enum bgp_type type;

		if (o.graceful) {
			o.restarted = rnd(2);
			o.notification_bit = rnd(2);
			o.restart_s = (uint16_t)rnd(4096);
			o.gr_families = (uint8_t)rnd(4);
			o.gr_forwarding = o.gr_families & (uint8_t)rnd(4);
		}
		o.as2 = o.as.v > UINT16_MAX ? ASN_TRANS : (uint16_t)o.as.v;
		bgp_open_build(&b, &o);
		assert_int_equal(bgp_header_parse(b.p, &len, &type, &f), 0);
		assert_int_equal(len, b.n);
		assert_int_equal(type, BGP_TYPE_OPEN);
		assert_int_equal(
			bgp_open_parse(cur_make(b.p + BGP_HEADER, b.n - BGP_HEADER), &back, &f), 0);
		assert_int_equal(back.as.v, o.as.v);
		assert_int_equal(back.as2, o.as2);
		assert_int_equal(back.hold, o.hold);
		assert_int_equal(back.id, o.id);
		assert_int_equal(back.families, o.families);
		assert_int_equal(back.graceful, o.graceful);
		assert_int_equal(back.restarted, o.restarted);
		assert_int_equal(back.notification_bit, o.notification_bit);
		assert_int_equal(back.restart_s, o.restart_s);
		assert_int_equal(back.gr_families, o.gr_families);
		assert_int_equal(back.gr_forwarding, o.gr_forwarding);
	}
}

static void
test_fault_text(void **state)
{
	struct bgp_fault f = { 0 };
	char text[200];

	bgp_fault_set(&f, BGP_ERR_UPDATE, 11, NULL, 0);
	assert_string_equal(bgp_fault_text(&f, text, sizeof(text)),
			    "UPDATE message error: malformed AS_PATH");
	bgp_fault_set(&f, BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "\x05hello", 6);
	bgp_fault_harden(&f);
	assert_string_equal(bgp_fault_text(&f, text, sizeof(text)),
			    "cease: administrative shutdown: \"hello\"");
	bgp_fault_set(&f, BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "\xffhi", 3); /* a length that lies */
	assert_string_equal(bgp_fault_text(&f, text, sizeof(text)),
			    "cease: administrative shutdown: \"hi\"");
	bgp_fault_set(&f, 99, 7, NULL, 0);
	assert_string_equal(bgp_fault_text(&f, text, sizeof(text)), "code 99 subcode 7");
	assert_string_equal(bgp_fault_text(&f, text, 9), "code 99 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed),  cmocka_unit_test(test_structure),
		cmocka_unit_test(test_end_of_rib), cmocka_unit_test(test_as4_merge),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_open_round_trip),
		cmocka_unit_test(test_fault_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
