/* Links: a connection joins a gateway (so a VNet) to a circuit. Who is linked with whom is read
 * from the references between the aggregates; nothing is stored twice. */
#include "network/vnet.h"
#include "store/directory.h"

const struct arm_resource *
gateway_vnet(struct arm_snapshot *s, const struct arm_resource *gw)
{
	const char *subnet = arm_ref(json_array_get(collection_of(gw->body, "ipConfigurations"), 0),
				     "properties.subnet");

	/* A subnet's aggregate is its VNet. */
	return subnet ? arm_get(s, subnet) : NULL;
}

static bool
is_there(const struct arm_resource *r)
{
	return r && !r->is_deleting;
}

static bool
link_resolve(struct arm_snapshot *s, const char *connection, struct link *ret)
{
	ret->connection = arm_get(s, connection);
	if (!is_there(ret->connection) || ret->connection->type != &connection_type)
		return false;
	const char *gw = arm_ref(ret->connection->body, REF_GATEWAY);
	const char *peer = arm_ref(ret->connection->body, REF_PEER);

	ret->gateway = gw ? arm_get(s, gw) : NULL;
	ret->circuit = peer ? arm_get(s, peer) : NULL;
	ret->vnet = is_there(ret->gateway) ? gateway_vnet(s, ret->gateway) : NULL;
	return is_there(ret->vnet) && is_there(ret->circuit);
}

static int
by_connection(const void *a, const void *b)
{
	return strcmp(((const struct link *)a)->connection->fold,
		      ((const struct link *)b)->connection->fold);
}

static size_t
links_to(struct arm_snapshot *s, const char *to, const char *kind, struct link **ret)
{
	struct arm_referrer *refs;
	size_t n = arm_referrers(s, to, false, kind, &refs), n_links = 0;

	*ret = NEW_ARRAY(s->arena, struct link, n + 1);
	for (size_t i = 0; i < n; i++)
		n_links += link_resolve(s, refs[i].owner, &(*ret)[n_links]);
	qsort(*ret, n_links, sizeof(**ret), by_connection);
	return n_links;
}

size_t
links_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit, struct link **ret)
{
	return links_to(s, circuit->fold, REF_PEER, ret);
}

size_t
circuit_n_links(struct arm_snapshot *s, const struct arm_resource *circuit, const char *but)
{
	struct reach *reaches;
	struct link *links;
	size_t n = reaches_of_circuit(s, circuit, &reaches);

	for (size_t i = 0, k = links_of_circuit(s, circuit, &links); i < k; i++)
		n += !text_equal(links[i].connection->fold, but);
	return n;
}

static bool
is_partners(struct arm_snapshot *s, const char *tenant)
{
	struct store_tenant t;

	return store_tenant_get(s->tx, s->arena, tenant, &t, NULL) == 1 && t.is_partner;
}

struct customers {
	const char *owner, *first; /* of the circuit; found */
	bool are_several;
};

static void
customer_add(struct customers *c, const char *tenant)
{
	if (text_equal(tenant, c->owner))
		return;
	c->are_several |= c->first && !text_equal(tenant, c->first);
	c->first = tenant;
}

/* Whose VNets it has; not counting the connection that is being made. */
static void
customers_of_links(struct arm_plan *p, const struct arm_resource *circuit, struct customers *c)
{
	struct link *links;

	for (size_t i = 0, n = links_of_circuit(p->s, circuit, &links); i < n; i++)
		if (!text_equal(links[i].connection->fold, p->want->fold))
			customer_add(c, links[i].connection->tenant);
}

/* A circuit at the other end stands for its owner; a partner's for whom it serves. */
static void
customers_of_end(struct arm_plan *p, const struct arm_resource *end, struct customers *c)
{
	if (is_partners(p->s, end->tenant))
		customers_of_links(p, end, c);
	else
		customer_add(c, end->tenant);
}

int
circuit_customer_check(struct arm_plan *p, const struct arm_resource *circuit, const char *tenant,
		       const struct arm_resource *end)
{
	struct customers c = { .owner = circuit->tenant };
	struct reach *reaches;

	if (!is_partners(p->s, circuit->tenant))
		return 0;
	if (tenant)
		customer_add(&c, tenant);
	if (end)
		customers_of_end(p, end, &c);
	customers_of_links(p, circuit, &c);
	for (size_t i = 0, n = reaches_of_circuit(p->s, circuit, &reaches); i < n; i++) {
		const struct arm_resource *other = arm_get(p->s, reaches[i].peer);

		if (other)
			customers_of_end(p, other, &c);
	}
	if (!c.are_several)
		return 0;
	return arm_refuse(p->s->error, 409, "CircuitServesAnotherCustomer",
			  "Circuit %s serves another customer of its owner: a circuit is never "
			  "shared between customers.",
			  circuit->id);
}

size_t
links_of_vnet(struct arm_snapshot *s, const struct arm_resource *vnet, struct link **ret)
{
	const char *gw = arm_claim_owner(s, CLAIM_GATEWAY, vnet->fold);

	*ret = NULL;
	return gw ? links_to(s, gw, REF_GATEWAY, ret) : 0;
}

size_t
vnet_nics(struct arm_snapshot *s, const char *vnet, const char ***ret)
{
	struct arm_referrer *refs;
	size_t n = arm_referrers(s, vnet, true, REF_SUBNET, &refs), n_nics = 0;

	*ret = NEW_ARRAY(s->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct arm_resource *r = arm_get(s, refs[i].owner);

		if (is_there(r) && r->type == &nic_type &&
		    (!n_nics || strcmp((*ret)[n_nics - 1], refs[i].owner) != 0))
			(*ret)[n_nics++] = refs[i].owner;
	}
	return n_nics;
}

void
link_recompile(struct arm_plan *p, const char *circuit, const char *vnet)
{
	const char **nics;

	if (circuit)
		arm_recompile(p, circuit);
	if (!vnet)
		return;
	arm_recompile(p, vnet);
	for (size_t i = 0, n = vnet_nics(p->s, vnet, &nics); i < n; i++)
		arm_recompile(p, nics[i]);
}

size_t
vnet_prefixes(struct arm_snapshot *s, const struct arm_resource *vnet, struct prefix **ret)
{
	return space_read(s->arena, arm_at(vnet->body, "properties.addressSpace"), ret);
}

uint32_t
vnet_number(const struct arm_resource *vnet)
{
	return (uint32_t)arm_int(vnet->hidden, "number", 0);
}
