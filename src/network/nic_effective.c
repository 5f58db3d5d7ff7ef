/* POST {nic}/effectiveRouteTable and effectiveNetworkSecurityGroups: what holds for a NIC's packets.
 * What was learned by BGP is asked from the host that carries the NIC; for a NIC that is on none,
 * from the edges whose circuits reach its virtual network. */
#include "network/effective.h"
#include "network/gateway.h"
#include "network/learned.h"
#include "network/vnet.h"

#define CONFIGS "ipConfigurations"

/* ---- what there is ---- */

struct view {
	struct arm_call *call;
	const struct arm_resource *nic, *vnet, *table; /* table NULL: none */
	const json_t *subnet;
	const char *subnet_id;
	struct effective_routes routes;
	struct addr gateway;
	bool has_bgp; /* the route table lets it in */
};

static int
view_open(struct arm_call *c, struct view *v)
{
	const char *subnet =
		arm_ref(json_array_get(collection_of(c->r->body, CONFIGS), 0), "properties.subnet");

	*v = (struct view){ .call = c, .nic = c->r, .subnet_id = subnet };
	v->routes.arena = c->s->arena;
	v->subnet = subnet ? arm_get_element(c->s, subnet, &v->vnet) : NULL;
	if (!v->subnet)
		return arm_refuse(c->s->error, 404, "NotFound", "The subnet of %s is gone.",
				  c->r->id);
	const char *table = arm_ref(v->subnet, "properties.routeTable");

	v->table = table ? arm_get(c->s, table) : NULL;
	v->has_bgp = !v->table ||
		     !arm_bool(v->table->body, "properties.disableBgpRoutePropagation", false);
	return 0;
}

static int
effective_ask(struct arm_call *c)
{
	struct view v;
	json_t *attachment;
	const struct arm_resource *host = nic_host(c->s, c->r->id, &attachment);
	int r = view_open(c, &v);

	if (r < 0)
		return r;
	if (host)
		arm_call_ask(c, host->name, "effective_routes",
			     json_string(arm_str(c->r->body, "properties.resourceGuid", "")),
			     LEARNED_MAX, "host");
	else
		learned_ask(c, v.vnet);
	return 0;
}

static void
add_learned(struct view *v, const struct prefix *p)
{
	struct effective_route *r =
		effective_add(&v->routes, p, EFFECTIVE_LEARNED, EFFECTIVE_GATEWAY);

	r->hop_address = v->gateway;
}

static int
add_from_host(struct view *v, const struct arm_answer *a)
{
	json_t *row;
	size_t i;

	if (!a->is_in)
		return arm_refuse(v->call->s->error, 504, "HostNotReachable",
				  "The host of this NIC (%s) did not answer in time.", a->node);
	json_array_foreach(json_object_get(a->result, "value"), i, row) {
		struct prefix p;
		struct err e;

		if (text_equal(arm_str(row, "source", ""), "VirtualNetworkGateway") &&
		    prefix_parse(arm_str(row, "prefix", ""), &p, &e) == 0)
			add_learned(v, &p);
	}
	return 0;
}

static int
add_bgp(struct view *v)
{
	struct arm_call *c = v->call;
	struct learned *rows;
	struct link *links;
	struct err e;
	size_t n;

	if (!v->has_bgp || !c->n_answers)
		return 0;
	if (links_reaching(c->s, v->vnet, &links))
		addr_parse(gateway_address(links[0].gateway), &v->gateway, &e);
	if (text_equal(c->answers[0].tag, "host"))
		return add_from_host(v, &c->answers[0]);
	int r = learned_read(c, v->vnet, &rows, &n);

	for (size_t i = 0; i < n; i++)
		if (!i || !prefix_equal(&rows[i].prefix, &rows[i - 1].prefix))
			add_learned(v, &rows[i].prefix);
	return r;
}

static enum effective_hop
user_hop(const char *type)
{
	for (int h = EFFECTIVE_VNET; h < EFFECTIVE_NONE; h++)
		if (text_equal(effective_hop_name((enum effective_hop)h), type))
			return (enum effective_hop)h;
	return EFFECTIVE_NONE;
}

static void
add_user(struct view *v)
{
	json_t *one;
	size_t i;

	json_array_foreach(v->table ? collection_of(v->table->body, "routes") : NULL, i, one) {
		struct effective_route *r;
		struct prefix p;
		struct err e;

		/* A service tag stands for no prefixes here. */
		if (prefix_parse(arm_str(one, "properties.addressPrefix", ""), &p, &e) < 0)
			continue;
		r = effective_add(&v->routes, &p, EFFECTIVE_USER,
				  user_hop(arm_str(one, "properties.nextHopType", "")));
		r->name = arm_str(one, "name", "");
		addr_parse(arm_str(one, "properties.nextHopIpAddress", ""), &r->hop_address, &e);
	}
}

static int
view_fill(struct view *v)
{
	struct arm_snapshot *s = v->call->s;
	struct vnet_peer *peers;
	struct prefix *space;
	size_t n_own = vnet_prefixes(s, v->vnet, &space);

	effective_add_system(&v->routes, space, n_own);
	for (size_t i = 0, n = vnet_peers(s, v->vnet, &peers); i < n; i++) {
		size_t k = 0, n_space = 0;

		if (vnet_peer_is_connected(&peers[i]))
			n_space = space_read(
				s->arena, arm_at(peers[i].peering, "properties.remoteAddressSpace"),
				&space);
		for (; k < n_space; k++)
			effective_add(&v->routes, &space[k], EFFECTIVE_SYSTEM, EFFECTIVE_PEER);
	}
	add_user(v);
	int r = add_bgp(v);

	effective_choose(&v->routes);
	return r;
}

/* ---- routes ---- */

static json_t *
route_row(const struct view *v, const struct effective_route *r)
{
	static const char *const sources[] = { "Default", "User", "VirtualNetworkGateway" };
	char prefix[PREFIX_TEXT], hop[ADDR_TEXT];
	json_t *hops = json_array();

	if (r->hop_address.family)
		json_array_append_new(hops, json_string(addr_format(&r->hop_address, hop)));
	json_t *row = json_pack("{s:b, s:s, s:s, s:[s], s:o, s:s}", "disableBgpRoutePropagation",
				!v->has_bgp, "source", sources[r->source], "state",
				r->is_active ? "Active" : "Invalid", "addressPrefix",
				prefix_format(&r->prefix, prefix), "nextHopIpAddress", hops,
				"nextHopType", effective_hop_name(r->hop));

	if (r->name)
		json_object_set_new(row, "name", json_string(r->name));
	return row;
}

static int
routes_answered(struct arm_call *c)
{
	struct view v;
	int r = view_open(c, &v);

	if (r == 0)
		r = view_fill(&v);
	if (r < 0)
		return r;
	json_t *rows = json_array();

	for (size_t i = 0; i < v.routes.n; i++)
		json_array_append_new(rows, route_row(&v, &v.routes.v[i]));
	c->result = json_pack("{s:o}", "value", rows);
	return 0;
}

/* ---- security groups ---- */

struct tags {
	struct effective_set inside, internet;
};

static json_t *
set_json(const struct effective_set *set)
{
	json_t *list = json_array();
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(list, json_string(prefix_format(&set->v[i], text)));
	return list;
}

/* "*" as the API shows it here. */
static const char *
address_text(const char *s)
{
	return text_equal(s, "*") ? "0.0.0.0/0" : s;
}

static const char *
ports_text(struct arena *a, const char *s)
{
	if (text_equal(s, "*"))
		return "0-65535";
	return strchr(s, '-') ? s : arena_printf(a, "%s-%s", s, s);
}

/* One side's addresses or ports: the single value and the list, each saying all of it. */
static void
side_put(json_t *row, const char *one, const char *many, const json_t *props, struct arena *a,
	 bool is_ports)
{
	json_t *list = json_array(), *v;
	const char *single = arm_str(props, one, "");
	size_t i;

	if (*single)
		json_array_append_new(list, json_string(is_ports ? ports_text(a, single)
								 : address_text(single)));
	json_array_foreach(json_object_get(props, many), i, v)
		json_array_append_new(list,
				      json_string(is_ports ? ports_text(a, json_string_value(v))
							   : json_string_value(v)));
	if (json_array_size(list))
		json_object_set(row, one, json_array_get(list, 0));
	json_object_set_new(row, many, list);
}

static void
expand_put(json_t *row, const char *name, const char *tag, const struct tags *t)
{
	static struct prefix probe = { { NET_V4, { 168, 63, 129, 16 } }, 32 };
	static const struct effective_set balancer = { &probe, 1 };

	if (text_equal(tag, "VirtualNetwork"))
		json_object_set_new(row, name, set_json(&t->inside));
	else if (text_equal(tag, "Internet"))
		json_object_set_new(row, name, set_json(&t->internet));
	else if (text_equal(tag, "AzureLoadBalancer"))
		json_object_set_new(row, name, set_json(&balancer));
}

static json_t *
rule_row(struct arena *a, const char *kind, const json_t *rule, const struct tags *t)
{
	const json_t *props = json_object_get(rule, "properties");
	const char *protocol = arm_str(props, "protocol", "*");
	json_t *row = json_pack("{s:o, s:s, s:s, s:I, s:s}", "name",
				json_textf("%s/%s", kind, arm_str(rule, "name", "")), "protocol",
				text_equal(protocol, "*") ? "All" : protocol, "access",
				arm_str(props, "access", ""), "priority",
				(json_int_t)arm_int(props, "priority", 0), "direction",
				arm_str(props, "direction", ""));

	side_put(row, "sourcePortRange", "sourcePortRanges", props, a, true);
	side_put(row, "destinationPortRange", "destinationPortRanges", props, a, true);
	side_put(row, "sourceAddressPrefix", "sourceAddressPrefixes", props, a, false);
	side_put(row, "destinationAddressPrefix", "destinationAddressPrefixes", props, a, false);
	expand_put(row, "expandedSourceAddressPrefix", arm_str(props, "sourceAddressPrefix", ""),
		   t);
	expand_put(row, "expandedDestinationAddressPrefix",
		   arm_str(props, "destinationAddressPrefix", ""), t);
	return row;
}

static int
by_direction_and_priority(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = strcmp(arm_str(x, "direction", ""), arm_str(y, "direction", ""));
	int64_t p = arm_int(x, "priority", 0), q = arm_int(y, "priority", 0);

	return r ? r : p < q ? -1 : p > q;
}

/* In the order in which they are asked. */
static json_t *
rule_rows(struct arena *a, const struct arm_resource *nsg, const struct tags *t)
{
	static const char *const kinds[] = { "securityRules", "defaultSecurityRules" };
	size_t cap = json_array_size(collection_of(nsg->body, kinds[0])) +
		     json_array_size(collection_of(nsg->body, kinds[1]));
	json_t **v = NEW_ARRAY(a, json_t *, cap + 1), *rule, *rows = json_array();
	size_t n = 0, i;

	for (unsigned k = 0; k < 2; k++)
		json_array_foreach(collection_of(nsg->body, kinds[k]), i, rule)
			v[n++] = rule_row(a, kinds[k], rule, t);
	qsort((void *)v, n, sizeof(json_t *), by_direction_and_priority);
	for (i = 0; i < n; i++)
		json_array_append_new(rows, v[i]);
	return rows;
}

static void
group_put(json_t *list, struct arm_snapshot *s, const char *nsg, const char *where, const char *id,
	  const struct tags *t)
{
	const struct arm_resource *g = nsg ? arm_get(s, nsg) : NULL;

	if (g)
		json_array_append_new(list, json_pack("{s:o, s:{s:o}, s:o}", "networkSecurityGroup",
						      json_reference(g->id), "association", where,
						      json_reference(id), "effectiveSecurityRules",
						      rule_rows(s->arena, g, t)));
}

static int
groups_answered(struct arm_call *c)
{
	struct view v;
	int r = view_open(c, &v);

	if (r == 0)
		r = view_fill(&v);
	if (r < 0)
		return r;
	struct tags t = { .inside = effective_virtual_network(c->s->arena, &v.routes) };
	json_t *list = json_array();

	t.internet = effective_internet(c->s->arena, &t.inside);
	group_put(list, c->s, arm_ref(v.subnet, "properties.networkSecurityGroup"), "subnet",
		  v.subnet_id, &t);
	group_put(list, c->s, arm_ref(c->r->body, "properties.networkSecurityGroup"),
		  "networkInterface", c->r->id, &t);
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

/* Nothing to ask: answered at once. */
static int
routes_run(struct arm_call *c)
{
	int r = effective_ask(c);

	return r == 0 && !c->asks ? routes_answered(c) : r;
}

static int
groups_run(struct arm_call *c)
{
	int r = effective_ask(c);

	return r == 0 && !c->asks ? groups_answered(c) : r;
}

const struct arm_action nic_actions[] = {
	{ .name = "effectiveRouteTable",
	  .method = ARM_POST,
	  .run = routes_run,
	  .answered = routes_answered },
	{ .name = "effectiveNetworkSecurityGroups",
	  .method = ARM_POST,
	  .run = groups_run,
	  .answered = groups_answered },
	{ 0 },
};
