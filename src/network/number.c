/* Fabric numbers: domains and VNets share 20 bits, and a GRE key adds the generation (net/ids.h), so
 * that a packet for whoever had a number before never hits who has it now. The last generation of a
 * number is a fact of the store: it outlives all who had the number. */
#include "net/ids.h"
#include "network/types.h"
#include "store/store.h"

static int
refuse_store(struct arm_plan *p)
{
	return arm_refuse(p->s->error, 503, "ServiceUnavailable", "Try again.");
}

int
fabric_generation_next(struct arm_plan *p, uint32_t number, uint32_t *ret)
{
	const char *name = arena_printf(p->s->arena, "fabric-generation/%u", number), *last;
	uint32_t next = 0;
	struct err e;
	int r = store_fact_get(p->s->tx, p->s->arena, name, &last, &e);

	if (r == 1)
		next = ((uint32_t)strtoul(last, NULL, 10) + 1) % (FABRIC_GENERATION_MAX + 1);
	if (r >= 0)
		r = store_fact_put(p->s->tx, name, arena_printf(p->s->arena, "%u", next), &e);
	if (r < 0)
		return refuse_store(p);
	*ret = next;
	return 0;
}

int
fabric_number_take(struct arm_plan *p, const char *owner, uint32_t *ret, uint32_t *ret_generation)
{
	uint64_t number;

	if (arm_claim_number(p, owner, CLAIM_FABRIC_NUMBER, 1, FABRIC_NUMBER_MAX, &number) < 0)
		return arm_refuse(p->s->error, 409, "Conflict", "No fabric number is left.");
	*ret = (uint32_t)number;
	return fabric_generation_next(p, *ret, ret_generation);
}
