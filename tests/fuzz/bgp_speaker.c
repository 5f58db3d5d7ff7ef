/* Bytes and time into a live speaker: one customer and one fabric session that exchange routes.
 * The input is a list of steps: one byte says what, further bytes how much. */
#include "base/cursor.h"
#include "base/buf.h"
#include "bgp/message.h"
#include "bgp/query.h"
#include "bgp/speaker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_PEERS = 3 };

struct fuzz {
	struct bgp_speaker *s;
	struct bgp_table *t[2];
	struct bgp_peer *p[N_PEERS];
	struct bgp_conn *c[N_PEERS];
	struct bgp_conn *dialling[N_PEERS];
	struct mono now;
	size_t n_routes; /* told by the hook */
};

static size_t
number_of(struct fuzz *x, const struct bgp_peer *p)
{
	size_t i = 0;

	while (x->p[i] != p)
		i++;
	return i;
}

static bool
on_dial(void *ctx, struct bgp_conn *c)
{
	struct fuzz *x = ctx;

	x->dialling[number_of(x, bgp_conn_peer(c))] = c;
	return true;
}

static void
on_close(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n)
{
	struct fuzz *x = ctx;

	for (size_t i = 0; i < N_PEERS; i++) {
		if (x->c[i] == c)
			x->c[i] = NULL;
		if (x->dialling[i] == c)
			x->dialling[i] = NULL;
	}
}

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *p, const struct bgp_path *paths,
	 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert(paths[i].reason == BGP_REASON_NONE);
		assert(paths[i].attr->refs > 0);
	}
}

static bool
on_accept(void *ctx, struct bgp_peer *p, struct rd rd, const struct prefix *prefix,
	  const struct ext_community *rts, size_t n)
{
	return prefix->len > 8;
}

static void
tick(struct fuzz *x)
{
	for (int i = 0; i < 1000 && mono_is_due(bgp_speaker_tick(x->s, x->now), x->now); i++)
		assert(i < 999);
	for (size_t i = 0; i < N_PEERS; i++) {
		size_t n;

		if (x->c[i] && bgp_conn_output(x->c[i], &n))
			bgp_conn_sent(x->c[i], n, x->now);
	}
}

static void
establish(struct fuzz *x, size_t i)
{
	struct buf b = { 0 };
	struct bgp_open o = { .as = bgp_peer_config(x->p[i])->remote_as,
			      .hold = 90,
			      .id = 9 + (uint32_t)i,
			      .as4 = i != 0,
			      .refresh = true,
			      .families = i ? 2 : 1,
			      .graceful = true,
			      .notification_bit = true,
			      .restart_s = 60,
			      .gr_families = 3,
			      .gr_forwarding = 3 };

	if (x->c[i])
		return;
	x->c[i] = bgp_peer_accept(x->p[i], x->now);
	bgp_open_build(&b, &o);
	bgp_keepalive_build(&b);
	if (x->c[i])
		bgp_conn_input(x->c[i], b.p, b.n, x->now);
	buf_fini(&b);
}

static void
start(struct fuzz *x)
{
	struct bgp_speaker_config sc = { .as = { 12076 },
					 .router_id = 1,
					 .fabric_addr = addr_v4(0x0aff0001),
					 .hooks = { .ctx = x,
						    .dial = on_dial,
						    .close = on_close,
						    .route_changed = on_route,
						    .accept_vpn = on_accept } };
	struct bgp_import imports[2] = { { rt_make(12076, (struct fabric_number){ 1 }), false },
					 { rt_make(12076, (struct fabric_number){ 2 }), true } };

	x->s = bgp_speaker_create(&sc, x->now);
	for (unsigned i = 0; i < 2; i++) {
		struct bgp_table_config tc = {
			.name = "t",
			.rd = rd_make(12076, 1, (struct fabric_number){ i + 1 }),
			.exports = { rt_make(12076, (struct fabric_number){ i + 1 }) },
			.n_exports = 1,
			.multipath = 4
		};

		x->t[i] = bgp_table_create(x->s, &tc);
		bgp_table_set_imports(x->t[i], imports, 2);
	}
	for (unsigned i = 0; i < N_PEERS; i++) {
		struct bgp_peer_config pc = { .name = "p",
					      .table = i ? NULL : x->t[0],
					      .remote_as = { i ? 12076 : 65010 },
					      .is_client = i == 1,
					      .local = addr_v4(0x0a000002),
					      .remote = addr_v4(0x0a000001 + i * 16),
					      .max_prefixes = 200 };

		x->p[i] = bgp_peer_create(x->s, &pc, NULL);
		bgp_peer_start(x->p[i], x->now);
		establish(x, i);
	}
	tick(x);
}

/* An UPDATE with the right frame around the input's bytes: the fuzzer need not find the marker. */
static void
framed(struct fuzz *x, size_t i, uint8_t type, struct cursor c)
{
	struct buf b = { 0 };

	for (int k = 0; k < 16; k++)
		buf_u8(&b, 0xff);
	buf_be16(&b, (uint16_t)(BGP_HEADER + cur_left(&c)));
	buf_u8(&b, type);
	buf_put(&b, c.p, cur_left(&c));
	if (x->c[i])
		bgp_conn_input(x->c[i], b.p, b.n, x->now);
	buf_fini(&b);
}

static void
step(struct fuzz *x, struct cursor *c)
{
	uint8_t what = cur_u8(c);
	size_t i = what % N_PEERS;
	uint8_t n = cur_u8(c);
	struct cursor sub;
	struct prefix p;

	switch (what / N_PEERS % 12) {
	case 0:
	case 1:
	case 2:
		sub = cur_sub(c, MIN((size_t)n, cur_left(c)));
		framed(x, i, what / N_PEERS % 12 < 2 ? BGP_TYPE_UPDATE : BGP_TYPE_REFRESH, sub);
		break;
	case 3:
		sub = cur_sub(c, MIN((size_t)n, cur_left(c)));
		if (x->c[i])
			bgp_conn_input(x->c[i], sub.p, cur_left(&sub), x->now);
		break;
	case 4:
		x->now = mono_add_ms(x->now, n * 500);
		break;
	case 5:
		if (x->c[i]) {
			struct bgp_conn *gone = x->c[i];

			x->c[i] = NULL;
			bgp_conn_closed(gone, "closed", x->now);
		}
		break;
	case 6:
		establish(x, i);
		break;
	case 7:
		bgp_peer_recheck(x->p[i]);
		bgp_peer_set_limit(x->p[i], n, x->now);
		break;
	case 8:
		n & 1 ? bgp_peer_bfd_down(x->p[i], x->now)
		      : bgp_peer_reset(x->p[i], "fuzz", x->now);
		break;
	case 9: {
		struct bgp_import im[2] = { { rt_make(12076, (struct fabric_number){ 1 }), n & 1 },
					    { rt_make(12076, (struct fabric_number){ 2 }),
					      n & 2 } };

		bgp_table_set_imports(x->t[i & 1], im, (n >> 2) % 3);
		break;
	}
	case 10:
		p = (struct prefix){ addr_v4((uint32_t)n << 24), 8 };
		bgp_table_originate(x->t[i & 1], &p, what >> 5 & 3);
		break;
	case 11:
		if (x->dialling[i] && !x->c[i]) {
			x->c[i] = x->dialling[i];
			x->dialling[i] = NULL;
			bgp_conn_connected(x->c[i], x->now);
		}
		break;
	}
}

static void
look(struct fuzz *x)
{
	struct bgp_path paths[BGP_PATHS_MAX];
	struct prefix prefix;
	struct rd rd;
	size_t n;

	for (size_t i = 0; i < N_PEERS; i++) {
		struct bgp_walk w = { 0 }, a = { 0 };
		struct bgp_peer_info info;
		uint32_t count = 0;

		while (bgp_received_next(x->p[i], &w, &rd, &prefix, &paths[0]))
			count++;
		bgp_peer_info(x->p[i], &info);
		assert(count == info.n_prefixes);
		while (bgp_advertised_next(x->p[i], &a, &rd, &prefix, &paths[0]))
			;
	}
	for (size_t i = 0; i < 2; i++) {
		struct bgp_walk w = { 0 };

		while (bgp_table_next(x->t[i], &w, &prefix, paths, &n))
			assert(n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz x = { .now = { 1000000 } };
	struct cursor c = cur_make(data, size);

	start(&x);
	while (cur_left(&c)) {
		step(&x, &c);
		tick(&x);
	}
	look(&x);
	bgp_speaker_destroy(x.s);
	return 0;
}
