/* The packet path's meters into the usage journal: every second what changed, every hour all.
 * Appending syncs the disk, so it runs in the loop's thread pool, one entry at a time. */
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"

#include <jansson.h>

/* One use of a meter slot. The names outlive the domain, until its last reading is in. */
struct metered {
	struct meter_key {
		uint32_t slot, epoch;
	} key;
	uint32_t number;
	int direction;
	char *circuit, *domain;
	uint64_t bytes, packets;
	uint64_t journalled;    /* packets in the last entry */
	uint64_t last_sequence; /* of that entry */
	bool is_new, is_final;
};

struct work {
	uv_work_t req;
	struct edge *edge;
	enum journal_cause cause;
	struct journal_reading *readings;
	unsigned n;
	struct err err;
	int r;
};

static struct metered *
metered_make(struct edge *x, const struct datapath_reading *r)
{
	struct meter_key k = { r->slot, r->incarnation };
	struct metered *m = map_get(&x->metered, &k, sizeof(k));

	if (m)
		return m;
	m = mem_alloc(sizeof(*m));
	m->key = k;
	m->number = r->domain.v;
	m->direction = r->direction;
	m->is_new = true;
	map_put(&x->metered, &k, sizeof(k), m);
	return m;
}

static void
metered_free(struct metered *m)
{
	free(m->circuit);
	free(m->domain);
	free(m);
}

void
meter_name(struct edge *x, const struct domain *d)
{
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		struct datapath_reading r;
		struct metered *m;

		if (datapath_edge_meter_read(x->dp, d->cfg->number, i, &r) < 0)
			continue;
		m = metered_make(x, &r);
		free(m->circuit);
		free(m->domain);
		m->circuit = mem_strdup(d->cfg->circuit);
		m->domain = mem_strdup(d->object->key);
	}
}

int
meter_open(struct edge *x, struct err *e)
{
	AUTO_FREE char *dir = mem_printf("%s/journal", daemon_options(x->daemon)->state_dir);

	return journal_open(dir, daemon_boot(x->daemon), &x->journal, e);
}

void
meter_close(struct edge *x)
{
	struct map_iter it = { 0 };

	while (map_next(&x->metered, &it))
		metered_free(it.value);
	map_fini(&x->metered);
	if (!x->is_journalling)
		journal_close(TAKE(x->journal));
	x->is_closed = true;
}

static void
work_free(struct work *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		free((char *)w->readings[i].circuit);
		free((char *)w->readings[i].domain);
	}
	free(w->readings);
	free(w);
}

static void
on_work(uv_work_t *req)
{
	struct work *w = CONTAINER_OF(req, struct work, req);

	w->r = journal_append(w->edge->journal, w->cause, utc_now_us(), w->readings, w->n, &w->err);
}

static void
on_work_done(uv_work_t *req, int status)
{
	struct work *w = CONTAINER_OF(req, struct work, req);
	struct edge *x = w->edge;

	x->is_journalling = false;
	if (w->r < 0)
		log_error("journal error=\"%s\"", w->err.text);
	/* nobody to hand it to: 35 days on disk is all there is */
	if (!daemon_has_controller(x->daemon) && !x->is_closed)
		meter_acknowledged(x, journal_sequence(x->journal));
	if (x->is_closed)
		journal_close(TAKE(x->journal));
	work_free(w);
	edge_let_go(x);
}

/* Reads the packet path's counts into x->metered. */
static void
read_meters(struct edge *x)
{
	struct datapath_reading r;
	uint32_t it = 0;

	while (datapath_edge_meter_next(x->dp, &it, &r)) {
		struct metered *m = metered_make(x, &r);

		m->bytes = r.bytes;
		m->packets = r.packets;
		m->is_final = r.is_final;
	}
}

static bool
has_moved(const struct metered *m)
{
	return m->is_new || m->packets != m->journalled;
}

/* Of a domain that has gone, its last reading journalled and (with a controller) acknowledged. */
static bool
is_settled(const struct edge *x, const struct metered *m)
{
	return m->is_final && !has_moved(m) && !x->is_journalling &&
	       (!daemon_has_controller(x->daemon) || m->last_sequence <= x->acknowledged);
}

static void
release(struct edge *x)
{
	struct metered *done[64];
	struct map_iter it = { 0 };
	unsigned n = 0;

	while (n < COUNT(done) && map_next(&x->metered, &it))
		if (is_settled(x, it.value))
			done[n++] = it.value;
	while (n--) {
		datapath_edge_meter_release(x->dp, done[n]->key.slot);
		map_remove(&x->metered, &done[n]->key, sizeof(done[n]->key));
		metered_free(done[n]);
	}
}

void
meter_second(struct edge *x, enum journal_cause cause)
{
	struct map_iter it = { 0 };
	struct work *w;

	if (!x->journal || x->is_journalling)
		return; /* the next second has it: readings are cumulative */
	read_meters(x);
	release(x);
	w = mem_alloc(sizeof(*w));
	w->edge = x;
	w->cause = cause;
	w->readings = mem_array(x->metered.n, sizeof(w->readings[0]));
	while (map_next(&x->metered, &it)) {
		struct metered *m = it.value;

		bool is_in = m->direction == DP_IN;

		if (cause != JOURNAL_HOUR && !has_moved(m))
			continue;
		w->readings[w->n++] = (struct journal_reading){
			.circuit = mem_strdup(m->circuit ? m->circuit : ""),
			.domain = mem_strdup(m->domain ? m->domain : ""),
			.number = m->number,
			.slot = m->key.slot,
			.epoch = m->key.epoch,
			.bytes_in = is_in ? m->bytes : 0,
			.packets_in = is_in ? m->packets : 0,
			.bytes_out = is_in ? 0 : m->bytes,
			.packets_out = is_in ? 0 : m->packets,
		};
		m->is_new = false;
		m->journalled = m->packets;
		m->last_sequence = journal_sequence(x->journal) + 1;
	}
	if (!w->n && cause != JOURNAL_HOUR) {
		work_free(w);
		return;
	}
	x->is_journalling = true;
	x->n_users++;
	uv_queue_work(daemon_loop(x->daemon), &w->req, on_work, on_work_done);
}

struct json_t *
meter_readings(void *self)
{
	struct edge *x = self;
	json_t *v;

	if (!x->journal || x->is_journalling)
		return NULL;
	v = journal_pending(x->journal, 200);
	if (json_array_size(v))
		return v;
	json_decref(v);
	return NULL;
}

void
meter_acknowledged(void *self, uint64_t sequence)
{
	struct edge *x = self;
	struct err e = { 0 };

	x->acknowledged = MAX(x->acknowledged, sequence);
	if (x->journal && !x->is_journalling &&
	    journal_acknowledge(x->journal, x->acknowledged, &e) < 0)
		log_warn("journal acknowledge error=\"%s\"", e.text);
}
