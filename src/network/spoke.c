/* Which circuits reach which virtual networks: by a gateway of its own, or, as a spoke, by that of a
 * hub that lends it. Links (link.c) are connections; reach is what the data plane is told. */
#include "network/peering.h"
#include "network/vnet.h"

/* The virtual networks beside a hub that use its gateway. */
static size_t
spokes_of(struct arm_snapshot *s, const struct arm_resource *hub, const struct arm_resource ***ret)
{
	struct vnet_peer *v;
	size_t n = vnet_peers(s, hub, &v), n_spokes = 0;

	*ret = NEW_ARRAY(s->arena, const struct arm_resource *, n + 1);
	for (size_t i = 0; i < n; i++)
		if (vnet_peer_lends_gateway(&v[i]))
			(*ret)[n_spokes++] = v[i].remote;
	return n_spokes;
}

const struct arm_resource *
vnet_hub(struct arm_snapshot *s, const struct arm_resource *vnet)
{
	struct vnet_peer *v;

	for (size_t i = 0, n = vnet_peers(s, vnet, &v); i < n; i++)
		if (vnet_peer_uses_gateway(&v[i]))
			return v[i].remote;
	return NULL;
}

size_t
links_reaching(struct arm_snapshot *s, const struct arm_resource *vnet, struct link **ret)
{
	const struct arm_resource *hub = vnet_hub(s, vnet);

	return links_of_vnet(s, hub ? hub : vnet, ret);
}

size_t
vnets_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit,
		 const struct arm_resource ***ret)
{
	struct link *links;
	size_t n_links = links_of_circuit(s, circuit, &links), n = 0, cap = n_links;
	const struct arm_resource **spokes;

	for (size_t i = 0; i < n_links; i++)
		cap += json_array_size(
			collection_of(links[i].vnet->body, "virtualNetworkPeerings"));
	*ret = NEW_ARRAY(s->arena, const struct arm_resource *, cap + 1);
	for (size_t i = 0; i < n_links; i++) {
		size_t n_spokes = spokes_of(s, links[i].vnet, &spokes);

		(*ret)[n++] = links[i].vnet;
		for (size_t k = 0; k < n_spokes; k++)
			(*ret)[n++] = spokes[k];
	}
	return n;
}

const char *
vnet_shown(struct arm_snapshot *s, const struct arm_resource *vnet)
{
	return arm_may(s, "Microsoft.Network/virtualNetworks/read", vnet->fold)
		       ? vnet->id
		       : "another virtual network";
}

static int
overlap_refuse(struct arm_plan *p, const struct arm_resource *vnet,
	       const struct arm_resource *other, const struct arm_resource *circuit)
{
	const char *name = vnet_shown(p->s, other);

	if (name == other->id)
		arm_error_block(p->s->error, "InUse", other->id, "DELETE", other->id, NULL,
				"%s is reached by the same circuit.", other->id);
	return arm_refuse(p->s->error, 400, "VnetAddressSpacesOverlap",
			  "The address space of %s overlaps that of %s, reached by the same "
			  "circuit %s.",
			  vnet->id, name, circuit->id);
}

static int
overlap_check(struct arm_plan *p, const struct arm_resource *vnet,
	      const struct arm_resource *circuit)
{
	const struct arm_resource **others;
	size_t n_others = vnets_of_circuit(p->s, circuit, &others);
	const json_t *peering = arm_child(circuit->body, "peerings", PEERING_PRIVATE);
	struct prefix *mine, *theirs;
	size_t n_mine = vnet_prefixes(p->s, vnet, &mine);

	for (size_t i = 0; i < n_others; i++) {
		if (text_equal(others[i]->fold, vnet->fold))
			continue;
		size_t n = vnet_prefixes(p->s, others[i], &theirs);

		for (size_t k = 0; k < n_mine; k++)
			if (prefix_find_overlap(theirs, n, &mine[k]))
				return overlap_refuse(p, vnet, others[i], circuit);
	}
	return peering ? peering_vnet_overlap(p->s, peering, vnet) : 0;
}

int
vnet_reach_check(struct arm_plan *p, const struct arm_resource *vnet)
{
	struct link *links;
	int r = 0;

	for (size_t i = 0, n = links_reaching(p->s, vnet, &links); r == 0 && i < n; i++)
		r = overlap_check(p, vnet, links[i].circuit);
	return r;
}

int
circuit_reach_check(struct arm_plan *p, const struct arm_resource *vnet,
		    const struct arm_resource *circuit)
{
	const struct arm_resource **spokes;
	size_t n = spokes_of(p->s, vnet, &spokes);
	int r = overlap_check(p, vnet, circuit);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = overlap_check(p, spokes[i], circuit);
	return r;
}

size_t
hub_prefixes(struct arm_snapshot *s, const struct arm_resource *vnet, struct prefix **ret)
{
	const struct arm_resource **spokes;
	size_t n_spokes = spokes_of(s, vnet, &spokes), n = 0, cap = 0;
	struct prefix *v;

	for (size_t i = 0; i <= n_spokes; i++)
		cap += vnet_prefixes(s, i ? spokes[i - 1] : vnet, &v);
	*ret = NEW_ARRAY(s->arena, struct prefix, cap + 1);
	for (size_t i = 0; i <= n_spokes; i++) {
		size_t k = vnet_prefixes(s, i ? spokes[i - 1] : vnet, &v);

		if (k)
			memcpy(*ret + n, v, k * sizeof(*v));
		n += k;
	}
	return n;
}

static void
place_recompile(struct arm_plan *p, const struct arm_resource *vnet)
{
	const char **nics;

	arm_recompile(p, vnet->id);
	for (size_t i = 0, n = vnet_nics(p->s, vnet->fold, &nics); i < n; i++)
		arm_recompile(p, nics[i]);
}

void
vnet_recompile(struct arm_plan *p, const struct arm_resource *vnet)
{
	struct link *links;

	place_recompile(p, vnet);
	for (size_t i = 0, n = links_of_vnet(p->s, vnet, &links); i < n; i++)
		arm_recompile(p, links[i].circuit->id);
}

void
spokes_recompile(struct arm_plan *p, const struct arm_resource *hub)
{
	const struct arm_resource **spokes;

	for (size_t i = 0, n = spokes_of(p->s, hub, &spokes); i < n; i++)
		place_recompile(p, spokes[i]);
}
