/* See meter.h. */
#include "datapath/meter.h"

#include "base/mem.h"
#include "datapath/write.h"

struct live_key {
	uint32_t owner, direction;
};

static struct live_key
live_key(uint32_t owner, int direction)
{
	return (struct live_key){ owner, (uint32_t)direction };
}

static void
live_put(struct meters *m, uint32_t owner, int direction, uint32_t slot)
{
	struct live_key k = live_key(owner, direction);

	map_put(&m->live, &k, sizeof(k), (void *)((uintptr_t)slot + 1));
}

uint32_t
meters_find(const struct meters *m, uint32_t owner, int direction)
{
	struct live_key k = live_key(owner, direction);
	uintptr_t v = (uintptr_t)map_get(&m->live, &k, sizeof(k));

	return v ? (uint32_t)(v - 1) : 0;
}

/* The first word names owner, direction and state: writing it is the commit. */
static void
slot_write(struct meters *m, uint32_t slot, const struct dp_meter_slot *s)
{
	write_words(&m->slot[slot], s, sizeof(*s));
}

void
meters_init(struct meters *m, struct datapath_maps *maps)
{
	const struct dp_sizes *sizes = datapath_maps_sizes(maps);

	*m = (struct meters){
		.slot = datapath_maps_array(maps, DP_MAP_METER_SLOTS),
		.count = datapath_maps_array(maps, DP_MAP_METERS),
		.n = (uint32_t)datapath_map_entries(DP_MAP_METER_SLOTS, sizes),
		.n_cpu = sizes->n_cpu,
		.next = 1,
	};
	m->is_final = mem_alloc(m->n);
	for (uint32_t i = 1; i < m->n; i++) {
		const struct dp_meter_slot *s = &m->slot[i];

		if (s->state == DP_METER_LIVE)
			live_put(m, s->owner, s->direction, i);
		m->is_final[i] = s->state == DP_METER_RETIRED; /* open has waited */
	}
}

void
meters_fini(struct meters *m)
{
	map_fini(&m->live);
	free(m->is_final);
}

static uint32_t
slot_find_free(struct meters *m)
{
	for (uint32_t k = 1; k < m->n; k++) {
		uint32_t i = m->next;

		m->next = m->next + 1 < m->n ? m->next + 1 : 1;
		if (m->slot[i].state == DP_METER_FREE)
			return i;
	}
	return 0;
}

uint32_t
meters_get(struct meters *m, uint32_t owner, int direction, uint32_t circuit, struct grace *g,
	   struct mono now)
{
	uint32_t i = meters_find(m, owner, direction);

	if (i && m->slot[i].circuit == circuit)
		return i;
	if (i)
		meters_retire(m, i, g, now);
	i = slot_find_free(m);
	if (!i)
		return 0;
	for (uint32_t cpu = 0; cpu < m->n_cpu; cpu++)
		m->count[(size_t)cpu * m->n + i] = (struct dp_meter){ 0 };
	slot_write(m, i,
		   &(struct dp_meter_slot){
			   .owner = owner,
			   .direction = (uint16_t)direction,
			   .state = DP_METER_LIVE,
			   .circuit = circuit,
			   .incarnation = m->slot[i].incarnation + 1,
		   });
	live_put(m, owner, direction, i);
	return i;
}

void
meters_retire(struct meters *m, uint32_t slot, struct grace *g, struct mono now)
{
	struct dp_meter_slot s = m->slot[slot];
	struct live_key k = live_key(s.owner, s.direction);

	if (!slot || s.state != DP_METER_LIVE)
		return;
	s.state = DP_METER_RETIRED;
	slot_write(m, slot, &s);
	map_remove(&m->live, &k, sizeof(k));
	m->is_final[slot] = 0;
	grace_add(g, GRACE_METER, slot, 1, now);
}

void
meters_finalise(struct meters *m, uint32_t slot)
{
	m->is_final[slot] = 1;
}

int
meters_release(struct meters *m, uint32_t slot)
{
	struct dp_meter_slot s;

	if (!slot || slot >= m->n || m->slot[slot].state != DP_METER_RETIRED)
		return -EINVAL;
	if (!m->is_final[slot])
		return -EBUSY;
	s = (struct dp_meter_slot){ .incarnation = m->slot[slot].incarnation };
	slot_write(m, slot, &s);
	m->is_final[slot] = 0;
	return 0;
}

void
meters_sum(const struct meters *m, uint32_t slot, uint64_t *ret_bytes, uint64_t *ret_packets)
{
	uint64_t bytes = 0, packets = 0;

	for (uint32_t cpu = 0; cpu < m->n_cpu; cpu++) {
		const struct dp_meter *c = &m->count[(size_t)cpu * m->n + slot];

		bytes += __atomic_load_n(&c->bytes, __ATOMIC_RELAXED);
		packets += __atomic_load_n(&c->packets, __ATOMIC_RELAXED);
	}
	*ret_bytes = bytes;
	*ret_packets = packets;
}

void
meters_sweep(struct meters *m, bool (*want)(void *ctx, uint32_t owner), void *ctx, struct grace *g,
	     struct mono now)
{
	for (uint32_t i = 1; i < m->n; i++)
		if (m->slot[i].state == DP_METER_LIVE && !want(ctx, m->slot[i].owner))
			meters_retire(m, i, g, now);
}
