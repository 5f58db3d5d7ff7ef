/* See grace.h. */
#include "datapath/grace.h"

#include "base/mem.h"

#include <time.h>

static uint64_t
epoch_read(const struct dp_epoch *e)
{
	return __atomic_load_n(&e->count, __ATOMIC_ACQUIRE);
}

void
grace_init(struct grace *g, const struct datapath_maps *m)
{
	*g = (struct grace){
		.epoch = datapath_maps_array(m, DP_MAP_EPOCH),
		.n_cpu = datapath_maps_sizes(m)->n_cpu,
	};
	g->seen = mem_array(g->n_cpu, sizeof(*g->seen));
}

void
grace_fini(struct grace *g)
{
	free(g->fresh.v);
	free(g->waiting.v);
	free(g->seen);
}

bool
grace_is_idle(const struct grace *g)
{
	return !g->fresh.n && !g->waiting.n;
}

static void
waiting_start(struct grace *g, struct mono now)
{
	struct grace_items t = g->waiting;

	g->waiting = g->fresh;
	g->fresh = t;
	g->due = now.us ? mono_add_ms(now, GRACE_MS) : now;
	g->is_sampled = false;
}

void
grace_add(struct grace *g, enum grace_kind kind, uint32_t index, uint32_t n, struct mono now)
{
	struct grace_items *f = &g->fresh;

	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->v = mem_realloc(f->v, f->cap * sizeof(*f->v));
	}
	f->v[f->n++] = (struct grace_item){ kind, index, n };
	if (!g->waiting.n)
		waiting_start(g, now);
}

/* Remembers who is inside. */
static void
epochs_sample(struct grace *g)
{
	for (uint32_t i = 0; i < g->n_cpu; i++) {
		uint64_t c = epoch_read(&g->epoch[i]);

		g->seen[i] = c & 1 ? c : 0;
	}
	g->is_sampled = true;
}

static bool
epochs_passed(struct grace *g)
{
	bool all = true;

	for (uint32_t i = 0; i < g->n_cpu; i++) {
		if (g->seen[i] && epoch_read(&g->epoch[i]) != g->seen[i])
			g->seen[i] = 0;
		all &= !g->seen[i];
	}
	return all;
}

struct mono
grace_tick(struct grace *g, struct mono now, void (*release)(void *ctx, const struct grace_item *i),
	   void *ctx)
{
	if (!g->waiting.n)
		return MONO_NEVER;
	if (!g->due.us)
		g->due = mono_add_ms(now, GRACE_MS);
	if (!mono_is_due(g->due, now))
		return g->due;
	if (!g->is_sampled)
		epochs_sample(g);
	if (!epochs_passed(g))
		return mono_add_ms(now, 1);
	for (size_t i = 0; i < g->waiting.n; i++)
		release(ctx, &g->waiting.v[i]);
	g->waiting.n = 0;
	if (!g->fresh.n)
		return MONO_NEVER;
	waiting_start(g, now);
	return g->due;
}

void
grace_wait(const struct datapath_maps *m)
{
	struct timespec pause = { .tv_nsec = GRACE_MS * 1000000 };
	struct grace g;

	grace_init(&g, m);
	nanosleep(&pause, NULL);
	epochs_sample(&g);
	pause.tv_nsec = 1000000;
	for (int i = 0; i < 1000 && !epochs_passed(&g); i++)
		nanosleep(&pause, NULL);
	grace_fini(&g);
}
