/* The BGP engine without sockets: one edge with N customer tables, each with a session over which M
 * routes arrive, and one fabric peer to which all of them are exported as VPNv4. The customers and the
 * fabric peer are speakers of our own in the same process, joined by memory.
 *
 * What customers say is made beforehand, so the clock and the heap see the edge's engine only: parsing,
 * validation, best path, hooks, export. The sessions then end, and all routes go. */
#include "base/buf.h"
#include "base/mem.h"
#include "bgp/query.h"
#include "bgp/speaker.h"

#include <malloc.h>
#include <time.h>

enum { ROUNDS = 5, PIECE = 32 << 10, EDGE_AS = 12076, CE_AS = 65010 };

struct side;
struct session {
	struct bgp_peer *ce, *edge;
	struct bgp_conn *ce_conn, *edge_conn;
	struct bgp_table *ce_table, *edge_table;
	struct buf said; /* by the customer */
};

struct bench {
	struct mono now; /* stands still while something is measured */
	struct bgp_speaker *edge, *outside;
	struct session *sessions; /* the last is the fabric's */
	unsigned n_sessions, n_routes;
	uint64_t n_changes, n_exported_bytes;
};

struct figures {
	double learn_ns, lose_ns, bytes, exported;
};

static bool
on_dial(void *ctx, struct bgp_conn *c)
{
	struct session *s = bgp_peer_owner(bgp_conn_peer(c));

	s->ce_conn = c; /* the customer dials, edges are passive here */
	return true;
}

static void
on_close(void *ctx, struct bgp_conn *c, const uint8_t *last, size_t n)
{
	fprintf(stderr, "bench: a session closed by itself\n");
	exit(1);
}

static void
on_route(void *ctx, struct bgp_table *t, const struct prefix *prefix, const struct bgp_path *paths,
	 size_t n)
{
	((struct bench *)ctx)->n_changes++;
}

/* Of this process: others on the machine do not count. */
static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t
heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* --- The two speakers -------------------------------------------------------------------------- */

static struct bgp_speaker *
make_speaker(struct bench *b, uint32_t id, uint32_t as)
{
	struct bgp_speaker_config c = {
		.as = { as },
		.router_id = id,
		.fabric_addr = addr_v4(id),
		.seed = id,
		.hooks = { .ctx = b, .dial = on_dial, .close = on_close, .route_changed = on_route },
	};

	return bgp_speaker_create(&c, b->now);
}

static struct bgp_table *
make_table(struct bgp_speaker *s, unsigned number, bool exports)
{
	struct bgp_table_config c = { .name = "table" };

	if (exports) {
		c.rd = rd_make(EDGE_AS, 1, (struct fabric_number){ number });
		c.key = fabric_key_make((struct fabric_number){ number }, 1);
		c.exports[0] = rt_make(EDGE_AS, (struct fabric_number){ number });
		c.n_exports = 1;
	}
	return bgp_table_create(s, &c);
}

static struct bgp_peer *
make_peer(struct bgp_speaker *s, struct bgp_peer_config c)
{
	struct err e;
	struct bgp_peer *p = bgp_peer_create(s, &c, &e);

	if (!p) {
		fprintf(stderr, "bench: %s\n", e.text);
		exit(1);
	}
	return p;
}

static void
join(struct bench *b, unsigned i)
{
	struct session *s = &b->sessions[i];
	bool is_fabric = i == b->n_sessions;
	struct addr ce = addr_v4(0xac100000 + 4 * i + 1), edge = addr_v4(0xac100000 + 4 * i + 2);
	struct bgp_peer_config c = { .name = "peer", .owner = s, .no_graceful = true };

	if (!is_fabric) {
		s->ce_table = make_table(b->outside, 0, false);
		s->edge_table = make_table(b->edge, i + 1, true);
	}
	c.table = s->ce_table;
	c.local = ce;
	c.remote = edge;
	c.local_as.v = is_fabric ? EDGE_AS : CE_AS;
	c.remote_as.v = EDGE_AS;
	s->ce = make_peer(b->outside, c);
	c.table = s->edge_table;
	c.local = edge;
	c.remote = ce;
	c.local_as.v = EDGE_AS;
	c.remote_as.v = is_fabric ? EDGE_AS : CE_AS;
	c.is_passive = true;
	s->edge = make_peer(b->edge, c);
	bgp_peer_start(s->edge, b->now);
	bgp_peer_start(s->ce, b->now);
}

/* --- Bytes ------------------------------------------------------------------------------------- */

static void
tick(struct bench *b, struct bgp_speaker *s)
{
	while (mono_is_due(bgp_speaker_tick(s, b->now), b->now))
		;
}

/* Takes what c has to send; where it goes: to the other side, into a buffer, or nowhere. */
static size_t
carry(struct bench *b, struct bgp_conn *from, struct bgp_conn *to, struct buf *keep)
{
	size_t n, all = 0;
	const uint8_t *p;

	while ((p = bgp_conn_output(from, &n)), n) {
		if (keep)
			buf_put(keep, p, n);
		else if (to)
			bgp_conn_input(to, p, MIN(n, PIECE), b->now);
		if (to && !keep)
			n = MIN(n, PIECE);
		bgp_conn_sent(from, n, b->now);
		all += n;
	}
	return all;
}

static bool
are_up(const struct bench *b)
{
	for (unsigned i = 0; i <= b->n_sessions; i++) {
		struct bgp_peer_info ce, edge;

		bgp_peer_info(b->sessions[i].ce, &ce);
		bgp_peer_info(b->sessions[i].edge, &edge);
		if (ce.state != BGP_ESTABLISHED || edge.state != BGP_ESTABLISHED)
			return false;
	}
	return true;
}

static void
establish(struct bench *b)
{
	for (int ms = 0; !are_up(b); ms += 100) {
		if (ms > 60000) {
			fprintf(stderr, "bench: the sessions do not come up\n");
			exit(1);
		}
		b->now = mono_add_ms(b->now, 100);
		tick(b, b->outside);
		tick(b, b->edge);
		for (unsigned i = 0; i <= b->n_sessions; i++) {
			struct session *s = &b->sessions[i];

			if (s->ce_conn && !s->edge_conn) {
				s->edge_conn = bgp_peer_accept(s->edge, b->now);
				bgp_conn_connected(s->ce_conn, b->now);
			}
			if (s->edge_conn) {
				carry(b, s->ce_conn, s->edge_conn, NULL);
				carry(b, s->edge_conn, s->ce_conn, NULL);
			}
		}
	}
}

/* What the customers have to say, kept. */
static void
prepare(struct bench *b)
{
	for (unsigned i = 0; i < b->n_sessions; i++)
		for (unsigned r = 0; r < b->n_routes; r++) {
			struct addr a = addr_v4(0x14000000 + (r << 8));
			struct prefix p = prefix_make(&a, 24);

			bgp_table_originate(b->sessions[i].ce_table, &p, BGP_TO_CUSTOMERS);
		}
	for (int i = 0; i < 40; i++) { /* past whatever paces announcements */
		b->now = mono_add_ms(b->now, 100);
		tick(b, b->outside);
		for (unsigned k = 0; k < b->n_sessions; k++)
			carry(b, b->sessions[k].ce_conn, NULL, &b->sessions[k].said);
	}
}

/* --- Measured ---------------------------------------------------------------------------------- */

static void
settle(struct bench *b)
{
	struct bgp_conn *fabric = b->sessions[b->n_sessions].edge_conn;
	bool has_more;

	do {
		has_more = mono_is_due(bgp_speaker_tick(b->edge, b->now), b->now);
		b->n_exported_bytes += carry(b, fabric, NULL, NULL);
	} while (has_more);
}

static void
learn(struct bench *b)
{
	for (unsigned i = 0; i < b->n_sessions; i++) {
		struct session *s = &b->sessions[i];

		for (size_t at = 0; at < s->said.n; at += PIECE) {
			bgp_conn_input(s->edge_conn, s->said.p + at, MIN(PIECE, s->said.n - at),
				       b->now);
			settle(b);
		}
	}
	settle(b);
}

static void
lose(struct bench *b)
{
	for (unsigned i = 0; i < b->n_sessions; i++) {
		bgp_conn_closed(b->sessions[i].edge_conn, "end of the bench", b->now);
		settle(b);
	}
	settle(b);
}

static void
expect(uint64_t got, uint64_t want, const char *what)
{
	if (got == want)
		return;
	fprintf(stderr, "bench: %llu %s, not %llu\n", (unsigned long long)got, what,
		(unsigned long long)want);
	exit(1);
}

static struct figures
run(unsigned n_tables, unsigned n_routes)
{
	struct bench b = { .now = { 1000000 }, .n_sessions = n_tables, .n_routes = n_routes };
	double all = (double)n_tables * n_routes, t0;
	struct figures f = { 0 };
	size_t before;

	b.sessions = mem_array(n_tables + 1, sizeof(*b.sessions));
	b.edge = make_speaker(&b, 0x0aff0001, EDGE_AS);
	b.outside = make_speaker(&b, 0x0aff0002, CE_AS);
	for (unsigned i = 0; i <= n_tables; i++)
		join(&b, i);
	establish(&b);
	prepare(&b);
	b.n_changes = b.n_exported_bytes = 0;
	before = heap();
	t0 = seconds();
	learn(&b);
	f.learn_ns = (seconds() - t0) * 1e9 / all;
	f.bytes = (double)(heap() - before) / all;
	f.exported = (double)b.n_exported_bytes / all;
	expect(b.n_changes, (uint64_t)n_tables * n_routes, "routes learned");
	t0 = seconds();
	lose(&b);
	f.lose_ns = (seconds() - t0) * 1e9 / all;
	expect(b.n_changes, 2ull * n_tables * n_routes, "routes learned and lost");
	bgp_speaker_destroy(b.edge);
	bgp_speaker_destroy(b.outside);
	for (unsigned i = 0; i <= n_tables; i++)
		buf_fini(&b.sessions[i].said);
	free(b.sessions);
	return f;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct figures
median(unsigned n_tables, unsigned n_routes)
{
	double learn[ROUNDS], lose[ROUNDS];
	struct figures f = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		f = run(n_tables, n_routes);
		learn[i] = f.learn_ns;
		lose[i] = f.lose_ns;
	}
	qsort(learn, ROUNDS, sizeof(learn[0]), by_value);
	qsort(lose, ROUNDS, sizeof(lose[0]), by_value);
	f.learn_ns = learn[ROUNDS / 2];
	f.lose_ns = lose[ROUNDS / 2];
	return f;
}

int
main(void)
{
	static const struct {
		unsigned n_tables, n_routes;
	} cases[] = { { 1, 100000 }, { 10, 10000 }, { 100, 1000 }, { 1000, 100 }, { 250, 4000 } };
	struct figures base = { 0 };

	printf("The BGP engine alone: no sockets, no kernel, no packet tables. Learn: bytes in, best\n"
	       "path, hook, VPNv4 bytes out to one fabric peer. Lose: the sessions end.\n\n"
	       "%7s %8s %9s %12s %7s %12s %7s %12s %14s\n",
	       "tables", "routes", "total", "learn ns/rt", "ratio", "lose ns/rt", "ratio",
	       "heap B/rt", "exported B/rt");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct figures f = median(cases[i].n_tables, cases[i].n_routes);

		if (!i)
			base = f;
		printf("%7u %8u %9u %12.0f %7.2f %12.0f %7.2f %12.0f %14.1f\n", cases[i].n_tables,
		       cases[i].n_routes, cases[i].n_tables * cases[i].n_routes, f.learn_ns,
		       f.learn_ns / base.learn_ns, f.lose_ns, f.lose_ns / base.lose_ns, f.bytes,
		       f.exported);
		fflush(stdout);
	}
	printf("\nCPU time, medians of %d rounds. ratio: to the first row.\n", ROUNDS);
	return 0;
}
