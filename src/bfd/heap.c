#include "bfd/heap.h"

#include "base/mem.h"

void
bfd_heap_fini(struct bfd_heap *h)
{
	free(h->timers);
	*h = (struct bfd_heap){ 0 };
}

static void
put(struct bfd_heap *h, size_t place, struct bfd_timer *t)
{
	h->timers[place - 1] = t;
	t->place = place;
}

static void
sift_up(struct bfd_heap *h, struct bfd_timer *t)
{
	size_t i = t->place;

	for (; i > 1 && h->timers[i / 2 - 1]->at.us > t->at.us; i /= 2)
		put(h, i, h->timers[i / 2 - 1]);
	put(h, i, t);
}

static void
sift_down(struct bfd_heap *h, struct bfd_timer *t)
{
	size_t i = t->place;

	for (;;) {
		size_t child = i * 2;

		if (child > h->n)
			break;
		if (child < h->n && h->timers[child]->at.us < h->timers[child - 1]->at.us)
			child++;
		if (h->timers[child - 1]->at.us >= t->at.us)
			break;
		put(h, i, h->timers[child - 1]);
		i = child;
	}
	put(h, i, t);
}

static void
take_out(struct bfd_heap *h, struct bfd_timer *t)
{
	struct bfd_timer *last = h->timers[--h->n];

	if (last != t) {
		put(h, t->place, last);
		sift_up(h, last);
		sift_down(h, last);
	}
	t->place = 0;
}

void
bfd_heap_set(struct bfd_heap *h, struct bfd_timer *t, struct mono at)
{
	t->at = at;
	if (at.us == MONO_NEVER.us) {
		if (t->place)
			take_out(h, t);
		return;
	}
	if (!t->place) {
		if (h->n == h->cap) {
			h->cap = h->cap ? h->cap * 2 : 64;
			h->timers = mem_realloc(h->timers, h->cap * sizeof(struct bfd_timer *));
		}
		put(h, ++h->n, t);
	}
	sift_up(h, t);
	sift_down(h, t);
}

struct bfd_timer *
bfd_heap_first(const struct bfd_heap *h)
{
	return h->n ? h->timers[0] : NULL;
}
