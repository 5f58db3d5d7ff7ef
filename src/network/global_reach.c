/* Global Reach: two circuits at different peering locations joined, so that the customer's sites
 * behind them reach each other. A connection is a child of one circuit's private peering; the other
 * circuit holds a mirror of it (peeredConnections), which its owner can see and whose authorization he
 * can revoke. Both rows are written in one transaction. It counts against both circuits' links.
 *
 * Not transitive: the two domains import each other, and what is imported is not exported again. */
#include "network/peering.h"

#define PEER "properties.peerExpressRouteCircuitPeering"
#define OWN "properties.expressRouteCircuitPeering"
#define PREFIX "properties.addressPrefix"
#define PREFIX6 "properties.ipv6CircuitConnectionConfig.addressPrefix"

static json_t *
private_peering(const struct arm_resource *circuit)
{
	return arm_child(circuit->body, "peerings", PEERING_PRIVATE);
}

static const char *
peering_id(struct arena *a, const struct arm_resource *circuit)
{
	return arena_printf(a, "%s/peerings/" PEERING_PRIVATE, circuit->id);
}

/* "…/expressRouteCircuits/x" of ".../x/peerings/AzurePrivatePeering". */
static const char *
circuit_id_of(struct arena *a, const char *peering)
{
	const char *cut = peering, *slash;

	for (unsigned i = 0; i < 2; i++) {
		slash = strrchr(cut, '/');
		cut = slash ? arena_strndup(a, cut, (size_t)(slash - cut)) : cut;
	}
	return cut;
}

size_t
reaches_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit, struct reach **ret)
{
	const json_t *peering = private_peering(circuit);
	const json_t *own = collection_of(peering, "connections");
	const json_t *mirrors = collection_of(peering, "peeredConnections");
	size_t n = 0, n_own = json_array_size(own), n_all = n_own + json_array_size(mirrors);

	*ret = NEW_ARRAY(s->arena, struct reach, n_all + 1);
	for (size_t i = 0; i < n_all; i++) {
		bool is_own = i < n_own;
		const json_t *e = is_own ? json_array_get(own, i)
					 : json_array_get(mirrors, i - n_own);
		const char *peer = arm_ref(e, PEER);

		if (!peer)
			continue;
		(*ret)[n++] = (struct reach){
			.connection = arena_printf(
				s->arena, "%s/connections/%s",
				is_own ? peering_id(s->arena, circuit) : peer,
				arm_str(e, is_own ? "name" : "properties.connectionName", "")),
			.peer = circuit_id_of(s->arena, peer),
			.element = e,
			.is_own = is_own,
		};
	}
	return n;
}

/* ---- changing both ends ---- */

static const char *
pair_value(struct arena *a, const char *x, const char *y)
{
	const char *fx = arm_id_fold(a, x), *fy = arm_id_fold(a, y);

	return strcmp(fx, fy) < 0 ? arena_printf(a, "%s %s", fx, fy)
				  : arena_printf(a, "%s %s", fy, fx);
}

static size_t
mirror_find(const struct arm_resource *at, const struct arm_resource *from)
{
	const json_t *list = collection_of(private_peering(at), "peeredConnections");
	size_t i, n = json_array_size(list);

	for (i = 0; i < n; i++) {
		const char *peer = arm_ref(json_array_get(list, i), PEER);

		if (peer && !strncasecmp(peer, from->id, strlen(from->id)) &&
		    peer[strlen(from->id)] == '/')
			break;
	}
	return i;
}

/* The other circuit's view of a connection. */
static void
mirror_put(struct arm_plan *p, const struct arm_resource *from, struct arm_resource *at,
	   const json_t *connection)
{
	json_t *peering = private_peering(at), *list = collection_of(peering, "peeredConnections");
	size_t i = mirror_find(at, from);
	const json_t *old = json_array_get(list, i);
	const char *guid = old ? arm_str(old, "name", "") : arm_new_guid(p);
	json_t *mirror = json_pack("{s:s, s:{s:o, s:o, s:s, s:s, s:s}}", "name", guid, "properties",
				   "expressRouteCircuitPeering",
				   json_reference(peering_id(p->s->arena, at)),
				   "peerExpressRouteCircuitPeering",
				   json_reference(peering_id(p->s->arena, from)), "addressPrefix",
				   arm_str(connection, PREFIX, ""), "connectionName",
				   arm_str(connection, "name", ""), "authResourceGuid", guid);

	if (!list) {
		list = json_array();
		arm_set(peering, "properties.peeredConnections", list);
	}
	if (old)
		json_array_set_new(list, i, mirror);
	else
		json_array_append_new(list, mirror);
}

static void
mirror_drop(struct arm_plan *p, const struct arm_resource *from, const char *peer)
{
	struct arm_resource *at = arm_edit(p, peer);
	json_t *list = at ? collection_of(private_peering(at), "peeredConnections") : NULL;

	if (list)
		json_array_remove(list, mirror_find(at, from));
	if (at)
		pairs_join(p, from, at, -1);
	arm_unclaim(p, CLAIM_REACH, pair_value(p->s->arena, from->id, peer));
}

int
global_reach_drop(struct arm_plan *p, const char *connection)
{
	struct arm_resource *from = arm_edit(p, connection);
	const char *name = arm_id_segment(p->s->arena, connection, 0), *peer;
	json_t *list, *e;
	size_t i;

	if (!from)
		return 0;
	list = collection_of(private_peering(from), "connections");
	json_array_foreach(list, i, e) {
		if (!text_equal(arm_str(e, "name", ""), name))
			continue;
		peer = arm_ref(e, PEER);
		if (peer)
			mirror_drop(p, from, circuit_id_of(p->s->arena, peer));
		json_array_remove(list, i);
		break;
	}
	return 0;
}

void
global_reach_block(struct arm_plan *p, const struct arm_resource *circuit)
{
	struct reach *v;

	for (size_t i = 0, n = reaches_of_circuit(p->s, circuit, &v); i < n; i++) {
		/* The other end may be somebody else's; the authorization is ours to revoke. */
		const char *authorization =
			v[i].is_own ? NULL : authorization_of_user(p->s, circuit, v[i].connection);

		arm_block(p, authorization ? authorization : v[i].connection,
			  "Global Reach connection %s joins it with circuit %s.", v[i].connection,
			  v[i].peer);
	}
}

/* ---- what may be joined ---- */

/* field: of the element that is refused. */
static int
overlap_with_links(struct arm_snapshot *s, const struct prefix *prefix,
		   const struct arm_resource *circuit, const char *field)
{
	static const char *const side[] = { "properties.primaryPeerAddressPrefix",
					    "properties.secondaryPeerAddressPrefix" };
	const json_t *peering = private_peering(circuit);
	char text[PREFIX_TEXT];

	for (unsigned i = 0; i < 2; i++) {
		struct link_addresses l;
		struct err e;

		if (rule_link_prefix(arm_str(peering, side[i], ""), &l, &e) == 0 &&
		    prefix_overlaps(&l.prefix, prefix))
			return arm_refuse_at(s->error, 400, "InvalidGlobalReachPrefix", field,
					     "%s overlaps the link subnet %s of circuit %s.",
					     prefix_format(prefix, text),
					     arm_str(peering, side[i], ""), circuit->id);
	}
	return 0;
}

static int
overlap_with_reaches(struct arm_snapshot *s, const struct prefix *prefix,
		     const struct arm_resource *circuit, const char *but, const char *field)
{
	struct reach *v;
	char text[PREFIX_TEXT];

	for (size_t i = 0, n = reaches_of_circuit(s, circuit, &v); i < n; i++) {
		struct prefix other;
		struct err e;

		if (but && arm_id_equal(v[i].connection, but))
			continue;
		if (rule_reach_prefix(arm_str(v[i].element, PREFIX, ""), NET_V4, &other, &e) == 0 &&
		    prefix_overlaps(&other, prefix))
			return arm_refuse_at(s->error, 400, "InvalidGlobalReachPrefix", field,
					     "%s overlaps %s of Global Reach connection %s.",
					     prefix_format(prefix, text),
					     arm_str(v[i].element, PREFIX, ""), v[i].connection);
	}
	return 0;
}

static int
overlap_with_vnets(struct arm_snapshot *s, const struct prefix *prefix,
		   const struct arm_resource *circuit, const char *field)
{
	struct link *links;
	char text[PREFIX_TEXT];

	for (size_t i = 0, n = links_of_circuit(s, circuit, &links); i < n; i++) {
		struct prefix *v;
		size_t n_v = vnet_prefixes(s, links[i].vnet, &v);

		if (prefix_find_overlap(v, n_v, prefix))
			return arm_refuse_at(s->error, 400, "InvalidGlobalReachPrefix", field,
					     "%s overlaps the address space of %s, linked to %s.",
					     prefix_format(prefix, text), links[i].vnet->id,
					     circuit->id);
	}
	return 0;
}

int
global_reach_overlap(struct arm_snapshot *s, const struct arm_resource *circuit,
		     const struct prefix *prefix, const char *field)
{
	struct reach *v;
	int r = overlap_with_reaches(s, prefix, circuit, NULL, field);

	for (size_t i = 0, n = reaches_of_circuit(s, circuit, &v); r == 0 && i < n; i++) {
		const struct arm_resource *peer = arm_get(s, v[i].peer);

		if (peer)
			r = overlap_with_links(s, prefix, peer, field);
	}
	return r;
}

static int
prefixes_check(struct arm_plan *p, const char *id, const json_t *want,
	       const struct arm_resource *peer)
{
	const struct arm_resource *ends[] = { p->want, peer };
	const char *text = arm_str(want, PREFIX, ""), *text6 = arm_str(want, PREFIX6, NULL);
	struct prefix prefix, prefix6;
	struct err e;
	int r = 0;

	if (rule_reach_prefix(text, NET_V4, &prefix, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidGlobalReachPrefix", PREFIX, "%s.",
				     e.text);
	if (text6 && rule_reach_prefix(text6, NET_V6, &prefix6, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "InvalidGlobalReachPrefix", PREFIX6, "%s.",
				     e.text);
	for (size_t i = 0; r == 0 && i < COUNT(ends); i++) {
		r = overlap_with_links(p->s, &prefix, ends[i], PREFIX);
		if (r == 0)
			r = overlap_with_reaches(p->s, &prefix, ends[i], id, PREFIX);
		if (r == 0)
			r = overlap_with_vnets(p->s, &prefix, ends[i], PREFIX);
	}
	return r;
}

/* Each end would have two places for one address. */
static int
links_differ(struct arm_plan *p, const struct arm_resource *peer)
{
	static const char *const side[] = { "properties.primaryPeerAddressPrefix",
					    "properties.secondaryPeerAddressPrefix" };
	struct link_addresses l;
	struct err e;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 2; i++)
		if (rule_link_prefix(arm_str(private_peering(p->want), side[i], ""), &l, &e) == 0)
			r = overlap_with_links(p->s, &l.prefix, peer, PEER);
	return r;
}

static int
room_check(struct arm_plan *p, const struct arm_resource *circuit, size_t n)
{
	const struct catalogue_limits *l = catalogue_limits(network_catalogue(p->s));
	enum sku_tier tier = circuit_sku(circuit).tier;
	uint32_t max = rule_max_links(l, tier, circuit_mbps(circuit));

	if (n <= max)
		return 0;
	return arm_refuse_at(p->s->error, 400, "CircuitLinkLimitReached", PEER,
			     "Circuit %s (%s, %u Mbps) has at most %u links; virtual networks and "
			     "Global Reach count together.",
			     circuit->id, sku_tier_name(tier), circuit_mbps(circuit), max);
}

static int
places_check(struct arm_plan *p, const struct arm_resource *peer)
{
	const struct catalogue *cat = network_catalogue(p->s);
	const struct catalogue_location *a =
		catalogue_location(cat, circuit_peering_location(p->s, p->want));
	const struct catalogue_location *b =
		catalogue_location(cat, circuit_peering_location(p->s, peer));
	struct err e;

	if (a && b &&
	    rule_global_reach(circuit_sku(p->want).tier, a, circuit_sku(peer).tier, b, &e) < 0)
		return arm_refuse_at(p->s->error, 400, "GlobalReachNotAllowed", PEER, "%s.",
				     e.text);
	return 0;
}

static int
connection_make(struct arm_plan *p, const char *id, json_t *want, const struct arm_resource *peer)
{
	const char *pair = pair_value(p->s->arena, p->want->id, peer->id);
	const char *holder = claim_holder(p->s, CLAIM_REACH, pair);
	int r = circuit_state_check(p, p->want, CIRCUIT_LINK);

	if (r == 0)
		r = circuit_state_check(p, peer, CIRCUIT_LINK);
	if (r == 0 && holder)
		r = arm_refuse_at(p->s->error, 409, "ConnectionAlreadyExists", PEER,
				  "The two circuits are joined already, by a connection of %s.",
				  holder);
	if (r == 0)
		r = circuit_customer_check(p, p->want, NULL, peer);
	if (r == 0)
		r = circuit_customer_check(p, peer, NULL, p->want);
	if (r == 0)
		r = places_check(p, peer);
	if (r == 0) /* the plan's circuit holds the new one already */
		r = room_check(p, p->want, circuit_n_links(p->s, p->want, NULL));
	if (r == 0)
		r = room_check(p, peer, circuit_n_links(p->s, peer, NULL) + 1);
	if (r == 0)
		r = links_differ(p, peer);
	if (r == 0)
		r = prefixes_check(p, id, want, peer);
	if (r == 0 && arm_claim(p, NULL, CLAIM_REACH, pair, NULL) < 0)
		r = arm_refuse(p->s->error, 409, "Conflict", "Try again.");
	if (r == 0)
		pairs_join(p, p->want, peer, 1);
	return r;
}

/* The circuit of a peering that may be joined; NULL: refused. */
static const struct arm_resource *
peer_find(struct arm_plan *p, const char *connection, const json_t *want, bool is_new)
{
	const char *id = arm_ref(want, PEER),
		   *key = arm_str(want, "properties.authorizationKey", "");
	const char *circuit = id ? circuit_id_of(p->s->arena, id) : "";
	const struct arm_resource *peer = id ? arm_get(p->s, circuit) : NULL;

	if (id && !text_equal(arm_id_segment(p->s->arena, id, 0), PEERING_PRIVATE)) {
		arm_refuse_at(p->s->error, 400, "GlobalReachNotAllowed", PEER,
			      "Global Reach joins private peerings; %s is none.", id);
		return NULL;
	}
	if (arm_id_equal(circuit, p->want->id)) {
		arm_refuse_at(p->s->error, 400, "GlobalReachNotAllowed", PEER,
			      "A circuit cannot be joined with itself.");
		return NULL;
	}
	if (peer && (peer->type != &circuit_type || peer->is_deleting))
		peer = NULL;
	/* First: the rest tells about the peer. */
	if (is_new && id && circuit_join(p, peer, circuit, key, connection) < 0)
		return NULL;
	if (!peer || !private_peering(peer)) {
		arm_refuse_at(p->s->error, 400, "InvalidResourceReference", PEER,
			      "There is no peering %s.", id ? id : "");
		return NULL;
	}
	return peer;
}

static int
global_reach_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	const char *peering = arm_id_segment(p->s->arena, id, 2);
	const char *before = have ? arm_ref(have, PEER) : NULL;

	if (!want) {
		if (p->want && before)
			mirror_drop(p, p->want, circuit_id_of(p->s->arena, before));
		return 0;
	}
	if (!text_equal(peering, PEERING_PRIVATE))
		return arm_refuse(p->s->error, 400, "GlobalReachNotAllowed",
				  "Global Reach joins private peerings; %s is none.", peering);
	const struct arm_resource *peer = peer_find(p, id, want, !have);
	int r = peer ? 0 : -EBADE;

	if (r == 0)
		r = have ? prefixes_check(p, id, want, peer) : connection_make(p, id, want, peer);
	if (r < 0)
		return r;
	arm_set(want, OWN, json_reference(peering_id(p->s->arena, p->want)));
	arm_set(want, PEER, json_reference(peering_id(p->s->arena, peer)));
	struct arm_resource *at = arm_edit(p, peer->id);

	if (at)
		mirror_put(p, p->want, at, want);
	return 0;
}

/* ---- what nodes and readers see ---- */

json_t *
global_reach_domains(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	json_t *list = json_array();
	struct reach *v;

	for (size_t i = 0, n = reaches_of_circuit(s, circuit, &v); i < n; i++) {
		const struct arm_resource *peer = arm_get(s, v[i].peer);
		uint32_t number = peer && !peer->is_deleting
					  ? circuit_domain_number(peer, PEERING_PRIVATE)
					  : 0;

		if (number)
			json_array_append_new(list, json_integer(number));
	}
	return list;
}

/* Has it a domain on an edge? */
static bool
is_ready(struct arm_snapshot *s, const struct arm_resource *circuit)
{
	return circuit && !circuit->is_deleting &&
	       circuit_provider_state(s, circuit) == PROVIDER_PROVISIONED &&
	       arm_int(circuit->body, "properties.stag", 0) &&
	       (direct_link_is_on(s, circuit, 0) || direct_link_is_on(s, circuit, 1)) &&
	       peering_has_ipv4(private_peering(circuit)) &&
	       text_equal(arm_str(private_peering(circuit), "properties.state", ""), "Enabled");
}

static void
statuses_view(struct arm_snapshot *s, const struct arm_resource *circuit, json_t *list)
{
	json_t *e;
	size_t i;

	json_array_foreach(list, i, e) {
		const char *id = arm_ref(e, PEER);
		const struct arm_resource *peer = id ? arm_get(s, id) : NULL;
		const char *status = !is_ready(s, circuit) || !is_ready(s, peer) ? "Disconnected"
				     : circuit->is_updating || peer->is_updating ? "Connecting"
										 : "Connected";

		arm_set(e, "properties.circuitConnectionStatus", json_string(status));
		if (json_is_object(arm_at(e, "properties.ipv6CircuitConnectionConfig")))
			arm_set(e, "properties.ipv6CircuitConnectionConfig.circuitConnectionStatus",
				json_string("Disconnected")); /* no IPv6 sessions yet */
	}
}

void
global_reach_view(struct arm_snapshot *s, const struct arm_resource *circuit, json_t *out)
{
	json_t *peering = arm_child(out, "peerings", PEERING_PRIVATE);
	json_t *own = collection_of(peering, "connections");
	json_t *mirrors = collection_of(peering, "peeredConnections");

	statuses_view(s, circuit, own);
	statuses_view(s, circuit, mirrors);
	arm_set(out, "properties.globalReachEnabled",
		json_boolean(json_array_size(own) || json_array_size(mirrors)));
}

/* ---- the tables ---- */

/* clang-format off */
static const struct arm_prop global_reach_props[] = {
	/* Loose: the rules above say what hinders what, and by which call it goes. */
	{ .name = "expressRouteCircuitPeering", .kind = ARM_REF, .flags = ARM_READ_ONLY | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits/peerings" },
	{ .name = "peerExpressRouteCircuitPeering", .kind = ARM_REF,
	  .flags = ARM_REQUIRED | ARM_FIXED | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits/peerings" },
	{ .name = "addressPrefix", .kind = ARM_STRING, .flags = ARM_REQUIRED },
	{ .name = "authorizationKey", .kind = ARM_STRING, .flags = ARM_SECRET },
	{ .name = "ipv6CircuitConnectionConfig", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "addressPrefix", .kind = ARM_STRING, .flags = ARM_REQUIRED },
		{ .name = "circuitConnectionStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ 0 } } },
	{ .name = "circuitConnectionStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};

static const struct arm_prop peer_connection_props[] = {
	{ .name = "expressRouteCircuitPeering", .kind = ARM_REF, .flags = ARM_READ_ONLY | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits/peerings" },
	{ .name = "peerExpressRouteCircuitPeering", .kind = ARM_REF, .flags = ARM_READ_ONLY | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/expressRouteCircuits/peerings" },
	{ .name = "addressPrefix", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "circuitConnectionStatus", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "connectionName", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "authResourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type global_reach_type = {
	.ns = "Microsoft.Network",
	.name = "connections",
	.props = global_reach_props,
	.check = global_reach_check,
};

const struct arm_type peer_connection_type = {
	.ns = "Microsoft.Network",
	.name = "peerConnections",
	.flags = ARM_NO_PUT | ARM_NO_DELETE,
	.collection = "peeredConnections",
	.props = peer_connection_props,
};
