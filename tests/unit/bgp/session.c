/* Sessions: the state machine over two engines, and one engine against scripted bytes. */
#include "wire.h"

/* CE (node 0, AS 65010) and edge (node 1, AS 12076). */
struct pair {
	struct world w;
	struct bgp_table *tc, *te;
	struct bgp_peer *ce, *edge;
};

static void
pair_make(struct pair *x, struct bgp_peer_config ce, struct bgp_peer_config edge)
{
	world_init(&x->w, 1);
	world_speaker(&x->w, 0, (struct bgp_speaker_config){ .as = { 65010 } });
	world_speaker(&x->w, 1, (struct bgp_speaker_config){ 0 });
	x->tc = make_table(x->w.node[0].s, 1, 1, false);
	x->te = make_table(x->w.node[1].s, 2, 1, true);
	ce.table = x->tc;
	edge.table = x->te;
	ce.remote_as.v = ce.remote_as.v ? ce.remote_as.v : 12076;
	edge.remote_as.v = edge.remote_as.v ? edge.remote_as.v : 65010;
	ce.name = "ce";
	edge.name = "edge";
	world_join(&x->w, 0, ce, 1, edge, &x->ce, &x->edge);
}

static void
test_up_and_down(void **state)
{
	struct pair x;
	struct bgp_peer_info i;

	pair_make(&x, (struct bgp_peer_config){ .hold_s = 30 }, (struct bgp_peer_config){ 0 });
	world_until(&x.w, is_up, x.ce, 2000);
	world_until(&x.w, is_up, x.edge, 100);
	bgp_peer_info(x.edge, &i);
	assert_int_equal(i.hold_s, 30);
	assert_int_equal(i.keepalive_s, 10);
	assert_true(i.as4 && i.refresh && i.graceful && i.notification_bit);
	world_run(&x.w, 300000); /* keepalives hold it up */
	assert_true(is_up(x.ce));
	bgp_peer_info(x.edge, &i);
	assert_int_equal(i.n_established, 1);
	bgp_peer_stop(x.edge, "maintenance at 3 \x1b[1m", x.w.now);
	world_run(&x.w, 10);
	assert_int_equal(state_of(x.edge), BGP_IDLE);
	bgp_peer_info(x.ce, &i);
	assert_string_equal(i.last_error,
			    "received cease: administrative shutdown: \"maintenance at 3 ?[1m\"");
	world_run(&x.w, 200000);
	assert_false(is_up(x.ce));
	bgp_peer_start(x.edge, x.w.now);
	x.w.node[1].due = x.w.now;
	world_until(&x.w, is_up, x.ce, 61000);
	world_fini(&x.w);
}

static void
test_hold_expires(void **state)
{
	struct pair x;
	struct bgp_peer_info i;

	pair_make(&x, (struct bgp_peer_config){ .hold_s = 9, .no_graceful = true },
		  (struct bgp_peer_config){ 0 });
	world_until(&x.w, is_up, x.edge, 2000);
	world_cut(&x.w, world_end(&x.w, x.edge), true);
	world_end(&x.w, x.edge)->is_cut = true;
	world_run(&x.w, 5500);
	assert_true(is_up(x.edge));
	world_run(&x.w, 4000);
	assert_false(is_up(x.edge));
	bgp_peer_info(x.edge, &i);
	assert_int_equal(i.last_code, BGP_ERR_HOLD);
	assert_true(i.last_was_sent);
	world_end(&x.w, x.edge)->is_cut = false;
	world_until(&x.w, is_up, x.edge, 30000);
	world_fini(&x.w);
}

static void
test_passive_and_wrong_as(void **state)
{
	struct pair x;
	struct bgp_peer_info i;

	pair_make(&x, (struct bgp_peer_config){ .is_passive = true },
		  (struct bgp_peer_config){ .remote_as = { 65011 } });
	world_run(&x.w, 10000);
	assert_false(is_up(x.edge));
	bgp_peer_info(x.edge, &i);
	assert_int_equal(i.last_code, BGP_ERR_OPEN);
	assert_int_equal(i.last_subcode, 2);
	assert_non_null(strstr(i.last_error, "bad peer AS"));
	assert_non_null(strstr(i.last_error, "65010"));
	world_fini(&x.w);
}

/* Both dial at the same instant, many seeds: one session, quickly, and it stays. */
static void
test_collision(void **state)
{
	for (uint64_t seed = 1; seed < 40; seed++) {
		struct pair x;
		struct bgp_peer_info i;

		pair_make(&x, (struct bgp_peer_config){ 0 }, (struct bgp_peer_config){ 0 });
		x.w.random = seed * 977;
		world_until(&x.w, is_up, x.ce, 4000);
		world_until(&x.w, is_up, x.edge, 4000);
		world_run(&x.w, 400000);
		bgp_peer_info(x.edge, &i);
		assert_int_equal(i.state, BGP_ESTABLISHED);
		assert_int_equal(i.n_established, 1);
		world_fini(&x.w);
	}
}

static void
test_back_off(void **state)
{
	struct pair x;
	unsigned before;

	/* the edge refuses the proposed hold time: errors without end, ever slower */
	pair_make(&x, (struct bgp_peer_config){ .hold_s = 5, .min_hold_s = 3 },
		  (struct bgp_peer_config){ .min_hold_s = 10 });
	world_run(&x.w, 60000);
	before = x.w.node[1].n_peer_changes;
	world_run(&x.w, 60000);
	assert_true(x.w.node[1].n_peer_changes - before < 24);
	assert_false(is_up(x.edge));
	world_fini(&x.w);
}

/* A dead path is no fault of the peer's: however often, it may come back at once. */
static void
test_no_back_off_for_dead_paths(void **state)
{
	struct pair x;

	pair_make(&x, (struct bgp_peer_config){ 0 }, (struct bgp_peer_config){ 0 });
	for (unsigned i = 0; i < 10; i++) {
		world_until(&x.w, is_up, x.ce, 8000);
		world_until(&x.w, is_up, x.edge, 8000);
		bgp_peer_bfd_down(x.edge, x.w.now);
		assert_false(is_up(x.edge));
	}
	world_until(&x.w, is_up, x.edge, 8000);
	world_fini(&x.w);
}

/* ---- one engine, scripted ---- */

struct script {
	struct bgp_speaker *s;
	struct bgp_table *t;
	struct bgp_peer *p;
	struct bgp_conn *c;
	struct buf got; /* what the engine wrote at closing */
	bool is_closed;
	struct mono now;
};

static void
script_close(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n)
{
	struct script *x = ctx;

	if (c != x->c)
		return;
	x->is_closed = true;
	x->c = NULL;
	buf_put(&x->got, last, n);
}

static void
script_make_as(struct script *x, uint32_t as)
{
	struct bgp_peer_config pc = { .name = "p", .remote_as = { 65010 }, .is_passive = true };
	struct bgp_speaker_config sc = { .as = { as },
					 .router_id = 5,
					 .hooks = { .ctx = x, .close = script_close } };

	memset(x, 0, sizeof(*x));
	x->now.us = 1;
	x->s = bgp_speaker_create(&sc, x->now);
	x->t = make_table(x->s, 1, 1, false);
	pc.table = x->t;
	pc.local = addr_v4(0x0a000002);
	pc.remote = addr_v4(0x0a000001);
	x->p = bgp_peer_create(x->s, &pc, NULL);
	bgp_peer_start(x->p, x->now);
	x->c = bgp_peer_accept(x->p, x->now);
	assert_non_null(x->c);
}

static void
script_make(struct script *x)
{
	script_make_as(x, 12076);
}

static void
script_fini(struct script *x)
{
	bgp_speaker_destroy(x->s);
	buf_fini(&x->got);
}

static void
feed(struct script *x, struct buf *b)
{
	if (x->c)
		bgp_conn_input(x->c, b->p, b->n, x->now);
	(void)!bgp_speaker_tick(x->s, x->now).us;
	buf_fini(b);
}

static void
feed_open(struct script *x)
{
	struct buf b = { 0 };
	struct bgp_open o = { .as = { 65010 }, .hold = 90, .id = 9, .as4 = true, .families = 1 };

	bgp_open_build(&b, &o);
	feed(x, &b);
}

static void
feed_keepalive(struct script *x)
{
	struct buf b = { 0 };

	bgp_keepalive_build(&b);
	feed(x, &b);
}

/* The NOTIFICATION it ended with. */
static void
expect_notification(struct script *x, uint8_t code, uint8_t subcode)
{
	assert_true(x->is_closed);
	for (size_t at = 0; at + BGP_HEADER <= x->got.n;) {
		size_t len;
		enum bgp_type type;
		struct bgp_fault f;

		assert_int_equal(bgp_header_parse(x->got.p + at, &len, &type, &f), 0);
		if (type == BGP_TYPE_NOTIFICATION) {
			assert_int_equal(x->got.p[at + 19], code);
			assert_int_equal(x->got.p[at + 20], subcode);
			return;
		}
		at += len;
	}
	fail_msg("no NOTIFICATION");
}

/* Messages in states that do not expect them (RFC 6608), and broken framing. */
static void
test_unexpected(void **state)
{
	static const struct {
		int progress; /* 0 OpenSent, 1 OpenConfirm, 2 Established */
		const char *bytes;
		size_t n;
		uint8_t code, subcode;
	} cases[] = {
#define FF "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		{ 0, FF "\x00\x13\x04", 19, 5, 1 },
		{ 0, FF "\x00\x17\x02\0\0\0\0", 23, 5, 1 },
		{ 0, FF "\x00\x17\x05\0\1\0\1", 23, 5, 1 },
		{ 1, FF "\x00\x17\x02\0\0\0\0", 23, 5, 2 },
		{ 1, FF "\x00\x1d\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\0", 29, 5, 2 },
		{ 2, FF "\x00\x1d\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\0", 29, 5, 3 },
		{ 2, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x13\x04",
		  19, 1, 1 },
		{ 2, FF "\x00\x12\x04", 19, 1, 2 },
		{ 2, FF "\x10\x01\x02", 19, 1, 2 },
		{ 2, FF "\x00\x14\x04\0", 20, 1, 2 },
		{ 2, FF "\x00\x16\x02\0\0\0", 22, 1, 2 },
		{ 2, FF "\x00\x13\x06", 19, 1, 3 },
		{ 2, FF "\x00\x13\x00", 19, 1, 3 },
		{ 2, FF "\x00\x18\x05\0\1\0\1\0", 24, 7, 1 },
		{ 0, FF "\x00\x1d\x01\x03\xfd\xf2\0\x5a\0\0\0\x09\0", 29, 2, 1 },
		{ 0, FF "\x00\x1d\x01\x04\0\0\0\x5a\0\0\0\x09\0", 29, 2, 2 },
		{ 0, FF "\x00\x1d\x01\x04\xfd\xf3\0\x5a\0\0\0\x09\0", 29, 2, 2 },
		{ 0, FF "\x00\x1d\x01\x04\xfd\xf2\0\x5a\0\0\0\0\0", 29, 2, 3 },
		{ 0, FF "\x00\x1d\x01\x04\xfd\xf2\0\x02\0\0\0\x09\0", 29, 2, 6 },
		{ 0, FF "\x00\x1d\x01\x04\xfd\xf2\0\0\0\0\0\x09\0", 29, 2, 6 },
		{ 0, FF "\x00\x1d\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\x01", 29, 2, 0 },
		{ 0, FF "\x00\x1f\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\x02\x01\0", 31, 2, 4 },
		{ 0, FF "\x00\x21\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\x04\x02\x02\x01\x04", 33, 2, 0 },
		/* only VPNv4 offered where IPv4 unicast is wanted */
		{ 0, FF "\x00\x25\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\x08\x02\x06\x01\x04\0\x01\0\x80",
		  37, 2, 7 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct script x;
		struct buf b = { 0 };

		script_make(&x);
		if (cases[i].progress > 0)
			feed_open(&x);
		if (cases[i].progress > 1)
			feed_keepalive(&x);
		buf_put(&b, cases[i].bytes, cases[i].n);
		feed(&x, &b);
		expect_notification(&x, cases[i].code, cases[i].subcode);
		script_fini(&x);
	}
}

/* RFC 9072: the same OPEN with extended parameter lengths. */
static void
test_extended_parameters(void **state)
{
	struct script x;
	struct buf b = { 0 };

	script_make(&x);
	buf_put(&b,
		FF
		"\x00\x29\x01\x04\xfd\xf2\0\x5a\0\0\0\x09\xff\xff\0\x09\x02\0\x06\x01\x04\0\x01\0\x01",
		41);
	feed(&x, &b);
	assert_int_equal(state_of(x.p), BGP_OPENCONFIRM);
	script_fini(&x);
}

/* A byte at a time, and many messages at once, come to the same. */
static void
test_framing(void **state)
{
	struct script x;
	struct buf b = { 0 };
	struct bgp_open o = { .as = { 65010 }, .hold = 90, .id = 9, .as4 = true, .families = 1 };

	script_make(&x);
	bgp_open_build(&b, &o);
	bgp_keepalive_build(&b);
	for (size_t i = 0; i < b.n; i++)
		assert_true(bgp_conn_input(x.c, b.p + i, 1, x.now));
	assert_int_equal(state_of(x.p), BGP_ESTABLISHED);
	buf_fini(&b);
	script_fini(&x);
}

/* A speaker of 2-byte numbers: our 4-byte one shows as AS_TRANS, with AS4_PATH behind. */
static void
test_two_byte_peer(void **state)
{
	struct bgp_open o = { .as = { 65010 }, .hold = 90, .id = 9, .families = 1 };
	struct prefix p = pfx("10.20.0.0/16");
	struct script x;
	struct buf b = { 0 };
	const uint8_t *out;
	size_t n;

	script_make_as(&x, 4200000000u);
	bgp_table_originate(x.t, &p, BGP_TO_CUSTOMERS);
	bgp_open_build(&b, &o);
	bgp_keepalive_build(&b);
	feed(&x, &b);
	assert_int_equal(state_of(x.p), BGP_ESTABLISHED);
	out = bgp_conn_output(x.c, &n);
	assert_non_null(out);
	assert_non_null(memmem(out, n, "\x40\x02\x04\x02\x01\x5b\xa0", 7));
	assert_non_null(memmem(out, n, "\xc0\x11\x06\x02\x01\xfa\x56\xea\x00", 9));
	script_fini(&x);
}

static void
feed_route(struct script *x, const char *path, size_t len)
{
	struct bgp_draft d = { .path = (const uint8_t *)path,
			       .path_len = len,
			       .next_hop = addr_v4(0x0a000001) };
	struct bgp_nlri n = { .addr = 0x0a010000, .len = 16 };
	struct buf b = { 0 };

	buf_put(&b, FF "\0\0\2\0\0\0\0", 23);
	bgp_attr_put(&b, &d, true, true);
	buf_be16_at(&b, 21, (uint16_t)(b.n - 23));
	bgp_nlri_put(&b, BGP_IPV4, &n, false);
	buf_be16_at(&b, 16, (uint16_t)b.n);
	feed(x, &b);
}

/* Our own AS in the path: the route before it goes, nothing is kept, nothing counts. */
static void
test_own_as(void **state)
{
	struct script x;
	struct bgp_peer_info i;

	script_make(&x);
	feed_open(&x);
	feed_keepalive(&x);
	feed_route(&x, "\2\1\0\0\xfd\xf2", 6);
	assert_int_equal(bgp_table_count(x.t), 1);
	feed_route(&x, "\2\2\0\0\xfd\xf2\0\0\x2f\x2c", 10);
	assert_int_equal(bgp_table_count(x.t), 0);
	bgp_peer_info(x.p, &i);
	assert_int_equal(i.n_prefixes, 0);
	assert_int_equal(i.rejected[BGP_REASON_OWN_AS], 1);
	feed_route(&x, "\2\2\0\0\xfd\xf2\0\0\xfb\xf4", 10); /* 64500: documentation */
	bgp_peer_info(x.p, &i);
	assert_int_equal(i.n_prefixes, 1);
	assert_int_equal(i.rejected[BGP_REASON_RESERVED_AS], 1);
	feed_route(&x, "\2\1\0\0\xfd\xf3", 6);
	bgp_peer_info(x.p, &i);
	assert_int_equal(i.rejected[BGP_REASON_FIRST_AS], 1);
	assert_int_equal(i.n_rejected, 1);
	assert_int_equal(bgp_table_count(x.t), 0);
	script_fini(&x);
}

/* RFC 9687: a peer that keeps talking and never reads is dropped. */
static void
test_send_hold(void **state)
{
	struct script x;
	struct bgp_peer_info i;

	script_make(&x);
	feed_open(&x);
	feed_keepalive(&x);
	for (int n = 0; n < 40 && x.c; n++) {
		x.now = mono_add_ms(x.now, 20000);
		feed_keepalive(&x);
	}
	bgp_peer_info(x.p, &i);
	assert_int_equal(i.last_code, BGP_ERR_SEND_HOLD);
	script_fini(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_down),
		cmocka_unit_test(test_hold_expires),
		cmocka_unit_test(test_passive_and_wrong_as),
		cmocka_unit_test(test_collision),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_no_back_off_for_dead_paths),
		cmocka_unit_test(test_unexpected),
		cmocka_unit_test(test_extended_parameters),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_two_byte_peer),
		cmocka_unit_test(test_own_as),
		cmocka_unit_test(test_send_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
