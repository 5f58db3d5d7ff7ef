/* The packet path's meters into the usage journal: every second what changed, every hour all.
 * Appending syncs the disk, so it runs in the loop's thread pool, one entry at a time. */
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"
#include "edge/ledger.h"

#include <jansson.h>

enum { RELEASES = 64 }; /* of meter slots a second */

struct work {
	uv_work_t req;
	struct edge *edge;
	const struct cut *cut;
	uint64_t sequence;
	struct err err;
};

void
meter_name(struct edge *x, const struct domain *d)
{
	for (int i = 0; i < DP_DIRECTIONS; i++) {
		struct datapath_reading r;

		if (datapath_edge_meter_read(x->dp, d->cfg->number, i, &r) == 0)
			ledger_name(x->ledger, &r, d->cfg->circuit, d->object->key);
	}
}

int
meter_open(struct edge *x, struct err *e)
{
	AUTO_FREE char *dir = mem_printf("%s/journal", daemon_options(x->daemon)->state_dir);
	int r = journal_open(dir, daemon_boot(x->daemon), &x->journal, e);

	if (r == 0)
		x->ledger = ledger_create(journal_sequence(x->journal));
	return r;
}

static uint64_t
append(struct journal *j, const struct cut *c, struct err *e)
{
	return journal_append(j, c->cause, c->utc_us, c->readings, c->n, e) < 0
		       ? 0
		       : journal_sequence(j);
}

/* The cuts that wait, then the end. What the disk refuses now, the meters still have. */
static void
finish(struct edge *x)
{
	const struct cut *c;
	uint64_t sequence = 1;

	while (sequence && (c = ledger_next(x->ledger)) != NULL) {
		struct err e = { 0 };

		sequence = append(x->journal, c, &e);
		if (!sequence)
			log_error("journal error=\"%s\"", e.text);
		ledger_written(x->ledger, sequence);
	}
	ledger_destroy(TAKE(x->ledger));
	journal_close(TAKE(x->journal));
}

void
meter_close(struct edge *x)
{
	x->is_closed = true;
	if (!x->is_journalling)
		finish(x);
}

static void
on_work(uv_work_t *req)
{
	struct work *w = CONTAINER_OF(req, struct work, req);

	w->sequence = append(w->edge->journal, w->cut, &w->err);
}

static void on_work_done(uv_work_t *req, int status);

/* Writes the next cut, unless one is being written. */
static void
write_next(struct edge *x)
{
	const struct cut *c = ledger_next(x->ledger);
	struct work *w;

	if (!c || x->is_journalling)
		return;
	w = mem_alloc(sizeof(*w));
	w->edge = x;
	w->cut = c;
	x->is_journalling = true;
	x->n_users++;
	uv_queue_work(daemon_loop(x->daemon), &w->req, on_work, on_work_done);
}

static void
on_work_done(uv_work_t *req, int status)
{
	struct work *w = CONTAINER_OF(req, struct work, req);
	struct edge *x = w->edge;

	x->is_journalling = false;
	ledger_written(x->ledger, w->sequence);
	if (!w->sequence)
		log_error("journal error=\"%s\"", w->err.text); /* the next second tries again */
	if (x->is_closed) {
		finish(x);
	} else {
		/* without a controller nobody takes it: 35 days on disk is all there is */
		meter_acknowledged(x, daemon_has_controller(x->daemon) ? x->acknowledged
								       : w->sequence);
		if (w->sequence)
			write_next(x);
	}
	free(w);
	edge_let_go(x);
}

void
meter_second(struct edge *x, enum journal_cause cause)
{
	struct datapath_reading r;
	uint32_t it = 0, slot;

	if (x->is_closed)
		return;
	while (datapath_edge_meter_next(x->dp, &it, &r))
		ledger_read(x->ledger, &r);
	for (int n = 0; n < RELEASES && ledger_settle(x->ledger, x->acknowledged, &slot); n++)
		datapath_edge_meter_release(x->dp, slot);
	if (!ledger_cut(x->ledger, cause, utc_now_us()))
		log_error("journal error=\"too many entries wait for the disk\"");
	write_next(x);
}

struct json_t *
meter_readings(void *self)
{
	struct edge *x = self;
	json_t *v;

	if (x->is_journalling)
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

	if (sequence > ledger_sequence(x->ledger)) {
		log_warn("journal acknowledge error=\"more than there is\" sequence=%ju",
			 (uintmax_t)sequence);
		return;
	}
	x->acknowledged = MAX(x->acknowledged, sequence);
	if (!x->is_journalling && journal_acknowledge(x->journal, x->acknowledged, &e) < 0)
		log_warn("journal acknowledge error=\"%s\"", e.text);
}
