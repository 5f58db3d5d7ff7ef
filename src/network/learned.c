#include "network/learned.h"

#include "network/vnet.h"

bool
edge_link_address(const struct arm_resource *circuit, unsigned side, struct addr *ret)
{
	const json_t *peering = arm_child(circuit->body, "peerings", PEERING_PRIVATE);
	const char *text = arm_str(peering,
				   side ? "properties.secondaryPeerAddressPrefix"
					: "properties.primaryPeerAddressPrefix",
				   "");
	struct link_addresses l;
	struct err e;

	if (rule_link_prefix(text, &l, &e) < 0)
		return false;
	*ret = l.edge;
	return true;
}

void
learned_ask(struct arm_call *c, const struct arm_resource *vnet)
{
	struct link *links;
	size_t n = links_reaching(c->s, vnet, &links);

	for (size_t i = 0; i < n; i++) {
		struct circuit_place at;

		if (!circuit_place(c->s, links[i].circuit, &at) ||
		    !circuit_domain_number(links[i].circuit, PEERING_PRIVATE))
			continue;
		for (unsigned side = 0; side < 2; side++)
			arm_call_ask(c, at.edge[side], "received",
				     json_string(domain_key(c->s->arena, links[i].circuit,
							    PEERING_PRIVATE)),
				     LEARNED_MAX, arena_printf(c->s->arena, "%zu %u", i, side));
	}
}

static int
by_prefix_and_peer(const void *a, const void *b)
{
	const struct learned *x = a, *y = b;
	int r = prefix_compare(&x->prefix, &y->prefix);

	return r ? r : addr_compare(&x->peer, &y->peer);
}

static size_t
rows_of(const struct arm_answer *a)
{
	return a->is_in ? json_array_size(json_object_get(a->result, "value")) : 0;
}

static size_t
answer_read(const struct arm_answer *a, const struct link *l, unsigned connection, unsigned side,
	    struct learned *ret)
{
	struct addr peer = { 0 };
	json_t *row;
	size_t i, n = 0;

	edge_link_address(l->circuit, side, &peer);
	json_array_foreach(json_object_get(a->result, "value"), i, row) {
		struct err e;

		if (json_object_get(row, "rejected") ||
		    prefix_parse(arm_str(row, "network", ""), &ret[n].prefix, &e) < 0)
			continue;
		ret[n].path = arm_str(row, "path", "");
		ret[n].peer = peer;
		ret[n++].connection = connection;
	}
	return n;
}

int
learned_read(struct arm_call *c, const struct arm_resource *vnet, struct learned **ret,
	     size_t *ret_n)
{
	struct link *links;
	size_t n_links = links_reaching(c->s, vnet, &links), cap = 1, n = 0;
	bool *is_heard = NEW_ARRAY(c->s->arena, bool, n_links + 1);
	bool *is_asked = NEW_ARRAY(c->s->arena, bool, n_links + 1);

	*ret_n = 0;
	for (size_t i = 0; i < c->n_answers; i++)
		cap += rows_of(&c->answers[i]);
	*ret = NEW_ARRAY(c->s->arena, struct learned, cap);
	for (size_t i = 0; i < c->n_answers; i++) {
		const struct arm_answer *a = &c->answers[i];
		unsigned at, side;

		if (sscanf(a->tag, "%9u %1u", &at, &side) != 2 || at >= n_links)
			continue;
		is_asked[at] = true;
		if (!a->is_in)
			continue;
		is_heard[at] = true;
		n += answer_read(a, &links[at], at, side, *ret + n);
	}
	for (size_t i = 0; i < n_links; i++)
		if (is_asked[i] && !is_heard[i])
			return arm_refuse(c->s->error, 504, "EdgeNotReachable",
					  "Neither edge of circuit %s answered in time.",
					  links[i].circuit->id);
	qsort(*ret, n, sizeof(**ret), by_prefix_and_peer);
	*ret_n = n;
	return 0;
}
