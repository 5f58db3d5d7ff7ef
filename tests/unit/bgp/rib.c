/* The routes against a slow model: random announcements, withdrawals, session losses and import
 * changes over customers and fabric peers of one speaker. After each round every prefix's best path
 * and number of candidates must be what a plain reading of RFC 4271 9.1.2 gives, and the hook must
 * have told exactly that. */
#include "../test.h"
#include "base/buf.h"
#include "bgp/message.h"
#include "bgp/query.h"
#include "bgp/speaker.h"

enum { CUSTOMERS = 3, FABRIC = 3, PEERS = CUSTOMERS + FABRIC, PREFIXES = 24, RDS = 3, RTS = 3 };

/* One announced route, as the model keeps it. */
struct entry {
	bool is_there;
	uint32_t local_pref, med, first_as, router_id;
	bool has_med;
	unsigned hops, origin, rt, n_clusters;
};

struct model {
	uint64_t seed;
	struct bgp_speaker *s;
	struct bgp_table *t;
	struct bgp_peer *p[PEERS];
	struct bgp_conn *c[PEERS];
	struct mono now;
	struct entry customer[CUSTOMERS][PREFIXES];
	struct entry vpn[FABRIC][RDS][PREFIXES];
	bool imports[RTS];
	/* what the hook said last */
	const struct bgp_peer *told_peer[PREFIXES];
	size_t told_n[PREFIXES];
};

static uint32_t
rnd(struct model *m, uint32_t below)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (uint32_t)(m->seed >> 20) % below;
}

static struct prefix
prefix_of(unsigned i)
{
	return (struct prefix){ addr_v4(0x0a000000 + (i << 16)), (uint8_t)(16 + i % 3) };
}

static void
on_close(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n)
{
	struct model *m = ctx;

	for (unsigned i = 0; i < PEERS; i++)
		if (m->c[i] == c)
			m->c[i] = NULL;
}

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *p, const struct bgp_path *paths,
	 size_t n)
{
	struct model *m = ctx;
	unsigned i = addr_u32(&p->addr) >> 16 & 0xff;

	assert_true(i < PREFIXES);
	m->told_n[i] = n;
	m->told_peer[i] = n ? paths[0].peer : NULL;
}

static void
tick(struct model *m)
{
	for (unsigned i = 0; mono_is_due(bgp_speaker_tick(m->s, m->now), m->now); i++)
		assert_true(i < 10000);
	for (unsigned i = 0; i < PEERS; i++) {
		size_t n;

		if (m->c[i] && bgp_conn_output(m->c[i], &n))
			bgp_conn_sent(m->c[i], n, m->now);
	}
}

static void
connect_peer(struct model *m, unsigned i)
{
	struct buf b = { 0 };
	struct bgp_open o = { .as = bgp_peer_config(m->p[i])->remote_as,
			      .hold = 90,
			      .id = 100 - i,
			      .as4 = true,
			      .families = i < CUSTOMERS ? 1 : 2 };

	m->c[i] = bgp_peer_accept(m->p[i], m->now);
	assert_non_null(m->c[i]);
	bgp_open_build(&b, &o);
	bgp_keepalive_build(&b);
	bgp_conn_input(m->c[i], b.p, b.n, m->now);
	buf_fini(&b);
}

static void
model_init(struct model *m, uint64_t seed)
{
	struct bgp_speaker_config sc = {
		.as = { 12076 },
		.router_id = 1,
		.fabric_addr = addr_v4(0x0aff0001),
		.hooks = { .ctx = m, .close = on_close, .route_changed = on_route }
	};
	struct bgp_table_config tc = { .name = "t", .rd = { 77 }, .multipath = 4 };

	memset(m, 0, sizeof(*m));
	m->seed = seed;
	m->now.us = 1;
	m->s = bgp_speaker_create(&sc, m->now);
	m->t = bgp_table_create(m->s, &tc);
	for (unsigned i = 0; i < PEERS; i++) {
		struct bgp_peer_config pc = { .name = "p",
					      .table = i < CUSTOMERS ? m->t : NULL,
					      /* two customers of one AS: MED counts between them */
					      .remote_as = { i >= CUSTOMERS ? 12076
							     : i == 2       ? 65020
									    : 65010 },
					      .is_passive = true,
					      .local = addr_v4(0x0aff0001),
					      .remote = addr_v4(0x0aff0010 + i) };

		m->p[i] = bgp_peer_create(m->s, &pc, NULL);
		bgp_peer_start(m->p[i], m->now);
		connect_peer(m, i);
	}
	tick(m);
}

/* ---- what is sent ---- */

static size_t
make_path(struct model *m, uint8_t *path, uint32_t first, struct entry *e)
{
	unsigned n = (first != 0) + rnd(m, 3);
	size_t at = 0;

	e->hops = n;
	e->first_as = 0;
	if (!n)
		return 0;
	path[at++] = 2;
	path[at++] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint32_t as = i == 0 && first ? first : 64600 + rnd(m, 2);

		if (!i)
			e->first_as = as;
		memcpy(path + at, (uint8_t[]){ 0, 0, (uint8_t)(as >> 8), (uint8_t)as }, 4);
		at += 4;
	}
	return at;
}

static void
send_update(struct model *m, unsigned i, struct bgp_draft *d, const struct bgp_nlri *n,
	    bool is_withdraw)
{
	bool vpn = i >= CUSTOMERS;
	struct buf b = { 0 };
	static const uint8_t marker[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	size_t attrs, mp = 0;

	buf_put(&b, marker, 16);
	buf_be16(&b, 0);
	buf_u8(&b, BGP_TYPE_UPDATE);
	buf_be16(&b, 0);
	if (is_withdraw && !vpn) {
		bgp_nlri_put(&b, BGP_IPV4, n, true);
		buf_be16_at(&b, 19, (uint16_t)(b.n - 21));
	}
	attrs = b.n;
	buf_be16(&b, 0);
	if (vpn) {
		buf_put(&b, (uint8_t[]){ 0x90, is_withdraw ? 15 : 14, 0, 0 }, 4);
		mp = b.n;
		buf_put(&b, (uint8_t[]){ 0, 1, 128 }, 3);
		if (!is_withdraw) {
			buf_u8(&b, 12);
			buf_be64(&b, 0);
			buf_put(&b, d->next_hop.b, 4);
			buf_u8(&b, 0);
		}
		bgp_nlri_put(&b, BGP_VPNV4, n, is_withdraw);
		buf_be16_at(&b, mp - 2, (uint16_t)(b.n - mp));
	}
	if (!is_withdraw) {
		bgp_attr_put(&b, d, true, !vpn);
		if (vpn)
			bgp_tunnel_put(&b, (struct fabric_key){ 0x64001 });
	}
	buf_be16_at(&b, attrs, (uint16_t)(b.n - attrs - 2));
	if (!is_withdraw && !vpn)
		bgp_nlri_put(&b, BGP_IPV4, n, false);
	buf_be16_at(&b, 16, (uint16_t)b.n);
	assert_true(bgp_conn_input(m->c[i], b.p, b.n, m->now));
	buf_fini(&b);
}

static void
change_route(struct model *m)
{
	unsigned i = rnd(m, PEERS), x = rnd(m, PREFIXES), rd = rnd(m, RDS);
	struct entry *e = i < CUSTOMERS ? &m->customer[i][x] : &m->vpn[i - CUSTOMERS][rd][x];
	struct prefix p = prefix_of(x);
	struct bgp_nlri n = { i < CUSTOMERS ? (struct rd){ 0 } : (struct rd){ 1000 + rd },
			      addr_u32(&p.addr), p.len };
	uint8_t path[64], ext[8] = { 0, 2, 0x2f, 0x2c, 0, 0, 0, 0 }, clusters[12];
	struct bgp_draft d = { .path = path, .ext = ext, .clusters = clusters };

	if (rnd(m, 3) == 0) {
		memset(e, 0, sizeof(*e));
		send_update(m, i, &d, &n, true);
		return;
	}
	*e = (struct entry){ .is_there = true, .local_pref = 100, .router_id = 100 - i };
	d.next_hop = bgp_peer_config(m->p[i])->remote;
	d.path_len =
		make_path(m, path, i < CUSTOMERS ? bgp_peer_config(m->p[i])->remote_as.v : 0, e);
	d.origin = (uint8_t)(e->origin = rnd(m, 2));
	if (rnd(m, 2)) {
		d.has |= BGP_HAS_MED;
		d.med = e->med = rnd(m, 3);
	}
	if (i >= CUSTOMERS) {
		d.has |= BGP_HAS_LOCAL_PREF;
		d.local_pref = e->local_pref = 99 + rnd(m, 3);
		e->rt = rnd(m, RTS);
		ext[7] = (uint8_t)(e->rt + 1);
		d.n_ext = 1;
		if (rnd(m, 2)) {
			d.has |= BGP_HAS_ORIGINATOR;
			d.originator = e->router_id = 50 + rnd(m, 60);
			d.n_clusters = e->n_clusters = 1 + rnd(m, 2);
			memset(clusters, 9, sizeof(clusters));
		}
	}
	send_update(m, i, &d, &n, false);
}

static void
lose_session(struct model *m)
{
	unsigned i = rnd(m, PEERS);
	struct bgp_conn *c = m->c[i];

	m->c[i] = NULL;
	bgp_conn_closed(c, "gone", m->now);
	if (i < CUSTOMERS)
		memset(m->customer[i], 0, sizeof(m->customer[i]));
	else
		memset(m->vpn[i - CUSTOMERS], 0, sizeof(m->vpn[i - CUSTOMERS]));
	connect_peer(m, i);
}

static void
change_imports(struct model *m)
{
	struct bgp_import im[RTS];
	size_t n = 0;

	for (unsigned r = 0; r < RTS; r++) {
		m->imports[r] = rnd(m, 2);
		if (m->imports[r])
			im[n++] = (struct bgp_import){
				rt_make(12076, (struct fabric_number){ r + 1 }), false
			};
	}
	bgp_table_set_imports(m->t, im, n);
}

/* ---- the model's answer ---- */

struct choice {
	const struct entry *e;
	unsigned peer, rd;
	bool is_external;
};

/* Keeps those for which no other is better by the key. */
#define KEEP(c, n, better) \
	do { \
		size_t kept_ = 0; \
		struct choice all_[FABRIC * RDS + CUSTOMERS]; \
		memcpy(all_, (c), (n) * sizeof(all_[0])); \
		for (size_t i_ = 0; i_ < (n); i_++) { \
			bool lost_ = false; \
			for (size_t j_ = 0; j_ < (n); j_++) { \
				const struct choice *a = &all_[j_], *b = &all_[i_]; \
				lost_ |= (better); \
			} \
			if (!lost_) \
				(c)[kept_++] = all_[i_]; \
		} \
		(n) = kept_; \
	} while (0)

static struct choice
best_of(struct choice *c, size_t n)
{
	KEEP(c, n, a->e->local_pref > b->e->local_pref);
	KEEP(c, n, a->e->hops < b->e->hops);
	KEEP(c, n, a->e->origin < b->e->origin);
	KEEP(c, n, a->e->first_as == b->e->first_as && a->e->med < b->e->med);
	KEEP(c, n, a->is_external && !b->is_external);
	KEEP(c, n, a->e->router_id < b->e->router_id);
	KEEP(c, n, a->e->n_clusters < b->e->n_clusters);
	KEEP(c, n, a->peer < b->peer);
	KEEP(c, n, a->rd < b->rd);
	return c[0];
}

static size_t
choices(const struct model *m, unsigned x, struct choice out[])
{
	size_t n = 0;

	for (unsigned i = 0; i < CUSTOMERS; i++)
		if (m->customer[i][x].is_there)
			out[n++] = (struct choice){ &m->customer[i][x], i, 0, true };
	for (unsigned rd = 0; rd < RDS; rd++) {
		struct choice of_rd[FABRIC * RDS + CUSTOMERS], best;
		size_t k = 0;

		for (unsigned i = 0; i < FABRIC; i++)
			if (m->vpn[i][rd][x].is_there)
				of_rd[k++] = (struct choice){ &m->vpn[i][rd][x], CUSTOMERS + i, rd,
							      false };
		if (!k)
			continue;
		best = best_of(of_rd, k);
		if (m->imports[best.e->rt])
			out[n++] = best;
	}
	return n;
}

static void
compare(const struct model *m, uint64_t seed, unsigned round)
{
	for (unsigned x = 0; x < PREFIXES; x++) {
		struct choice c[FABRIC * RDS + CUSTOMERS], best;
		struct bgp_path paths[BGP_PATHS_MAX];
		struct prefix p = prefix_of(x);
		size_t n = choices(m, x, c), got = bgp_table_get(m->t, &p, paths);

		if (got != n || m->told_n[x] != n)
			fail_msg("seed %lu round %u prefix %u: %zu paths, told %zu, want %zu",
				 (unsigned long)seed, round, x, got, m->told_n[x], n);
		if (!n)
			continue;
		best = best_of(c, n);
		if (paths[0].peer != m->p[best.peer] || m->told_peer[x] != m->p[best.peer] ||
		    (!best.is_external && paths[0].rd.v != 1000 + best.rd))
			fail_msg("seed %lu round %u prefix %u: best of %zu is another",
				 (unsigned long)seed, round, x, n);
	}
}

static void
test_against_model(void **state)
{
	for (uint64_t seed = 1; seed <= 25; seed++) {
		struct model m;
		struct bgp_stats st;

		model_init(&m, seed * 0x9e3779b97f4a7c15u);
		for (unsigned round = 0; round < 60; round++) {
			for (unsigned k = rnd(&m, 40); k; k--)
				change_route(&m);
			if (rnd(&m, 8) == 0)
				lose_session(&m);
			if (rnd(&m, 6) == 0)
				change_imports(&m);
			tick(&m);
			compare(&m, seed, round);
		}
		for (unsigned i = 0; i < PEERS; i++)
			bgp_peer_stop(m.p[i], NULL, m.now);
		tick(&m);
		bgp_speaker_stats(m.s, &st);
		assert_int_equal(st.n_attrs, 1); /* only that of originated routes: nothing leaks */
		assert_int_equal(st.n_vpn_routes, 0);
		bgp_speaker_destroy(m.s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
