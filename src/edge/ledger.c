#include "edge/ledger.h"

#include "base/map.h"
#include "base/mem.h"

/* One use of a meter slot. */
struct metered {
	struct meter_key {
		uint32_t slot, epoch;
	} key;
	uint32_t number;
	int direction;
	char *circuit, *domain;
	uint64_t bytes, packets;
	uint64_t journalled;    /* packets in its last entry on disk */
	uint64_t last_sequence; /* of that entry */
	bool is_new, is_final;
};

struct ledger {
	struct map metered;       /* slot, incarnation → struct metered */
	struct cut *first, *last; /* that wait, oldest first */
	unsigned n_cuts;
	uint64_t sequence;
};

struct ledger *
ledger_create(uint64_t sequence)
{
	struct ledger *l = mem_alloc(sizeof(*l));

	l->sequence = sequence;
	return l;
}

static void
metered_free(struct metered *m)
{
	free(m->circuit);
	free(m->domain);
	free(m);
}

static void
cut_free(struct cut *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		free((char *)c->readings[i].circuit);
		free((char *)c->readings[i].domain);
	}
	free(c->readings);
	free(c);
}

static void
cut_drop(struct ledger *l)
{
	struct cut *c = l->first;

	l->first = c->next;
	if (!l->first)
		l->last = NULL;
	l->n_cuts--;
	cut_free(c);
}

void
ledger_destroy(struct ledger *l)
{
	struct map_iter it = { 0 };

	if (!l)
		return;
	while (map_next(&l->metered, &it))
		metered_free(it.value);
	map_fini(&l->metered);
	while (l->first)
		cut_drop(l);
	free(l);
}

static struct metered *
metered_make(struct ledger *l, const struct datapath_reading *r)
{
	struct meter_key k = { r->slot, r->incarnation };
	struct metered *m = map_get(&l->metered, &k, sizeof(k));

	if (m)
		return m;
	m = mem_alloc(sizeof(*m));
	m->key = k;
	m->number = r->domain.v;
	m->direction = r->direction;
	m->is_new = true;
	map_put(&l->metered, &k, sizeof(k), m);
	return m;
}

void
ledger_read(struct ledger *l, const struct datapath_reading *r)
{
	struct metered *m = metered_make(l, r);

	m->bytes = r->bytes;
	m->packets = r->packets;
	m->is_final = r->is_final;
}

void
ledger_name(struct ledger *l, const struct datapath_reading *r, const char *circuit,
	    const char *domain)
{
	struct metered *m = metered_make(l, r);

	free(m->circuit);
	free(m->domain);
	m->circuit = mem_strdup(circuit);
	m->domain = mem_strdup(domain);
}

static bool
has_moved(const struct metered *m)
{
	return m->is_new || m->packets != m->journalled;
}

static struct journal_reading
reading(const struct metered *m)
{
	bool is_in = m->direction == DP_IN;

	return (struct journal_reading){
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
}

bool
ledger_cut(struct ledger *l, enum journal_cause cause, int64_t utc_us)
{
	struct map_iter it = { 0 };
	struct cut *c;

	if (cause == JOURNAL_SECOND && l->first)
		return true; /* the next second has it */
	if (l->n_cuts == LEDGER_CUTS)
		return false;
	c = mem_alloc(sizeof(*c));
	c->cause = cause;
	c->utc_us = utc_us;
	c->readings = mem_array(l->metered.n, sizeof(c->readings[0]));
	while (map_next(&l->metered, &it))
		if (cause == JOURNAL_HOUR || has_moved(it.value))
			c->readings[c->n++] = reading(it.value);
	if (!c->n && cause != JOURNAL_HOUR) {
		cut_free(c);
		return true;
	}
	if (l->last)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
	l->n_cuts++;
	return true;
}

const struct cut *
ledger_next(const struct ledger *l)
{
	return l->first;
}

void
ledger_written(struct ledger *l, uint64_t sequence)
{
	const struct cut *c = l->first;

	for (unsigned i = 0; sequence && i < c->n; i++) {
		const struct journal_reading *r = &c->readings[i];
		struct meter_key k = { r->slot, r->epoch };
		struct metered *m = map_get(&l->metered, &k, sizeof(k));

		m->is_new = false;
		m->journalled = r->packets_in + r->packets_out;
		m->last_sequence = sequence;
	}
	if (sequence)
		l->sequence = sequence;
	if (sequence || c->cause == JOURNAL_SECOND)
		cut_drop(l);
}

uint64_t
ledger_sequence(const struct ledger *l)
{
	return l->sequence;
}

bool
ledger_settle(struct ledger *l, uint64_t acknowledged, uint32_t *ret_slot)
{
	struct map_iter it = { 0 };

	/* a cut that waits may hold a reading of it */
	while (!l->first && map_next(&l->metered, &it)) {
		struct metered *m = it.value;

		if (!m->is_final || has_moved(m) || m->last_sequence > acknowledged)
			continue;
		*ret_slot = m->key.slot;
		map_remove(&l->metered, &m->key, sizeof(m->key));
		metered_free(m);
		return true;
	}
	return false;
}
