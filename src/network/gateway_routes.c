/* What a virtual network gateway answers: its connections, its peers, what it has learned and what it
 * announces. Its peers are the edges of the circuits it is connected to, known by their addresses on
 * the customers' links; they are asked, nothing is remembered. */
#include "network/gateway.h"
#include "network/learned.h"
#include "network/vnet.h"

enum { WEIGHT_OWN = 32768, WEIGHT_CIRCUIT = 32769 };

/* ---- connections ---- */

/* GET {gateway}/connections: in the short form of the list. */
static int
connections_run(struct arm_call *c)
{
	static const char *const sides[] = { REF_GATEWAY, REF_GATEWAY_2 };
	json_t *list = json_array();
	struct arm_referrer *refs;

	for (unsigned k = 0; k < 2; k++) {
		size_t n = arm_referrers(c->s, c->r->fold, false, sides[k], &refs);

		for (size_t i = 0; i < n; i++) {
			const struct arm_resource *r = arm_get(c->s, refs[i].owner);

			if (r)
				json_array_append_new(list, connection_brief(r));
		}
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

/* ---- peers ---- */

static const char *
vnet_key(const struct arm_resource *vnet)
{
	return arm_str(vnet->body, "properties.resourceGuid", "");
}

/* Does the request ask for all peers or for this one? */
static bool
wants_peer(struct arm_call *c, const struct addr *peer)
{
	const char *text = arm_call_query(c, "peer");
	struct addr a;
	struct err e;

	return !text || !*text || (addr_parse(text, &a, &e) == 0 && addr_equal(&a, peer));
}

/* Asks the edges behind the wanted peers; kind NULL: both what they received and how the virtual
 * network is seen. tag: "link side". */
static size_t
peers_ask(struct arm_call *c, const struct arm_resource *vnet, const char *kind)
{
	struct link *links;
	size_t n = links_of_vnet(c->s, vnet, &links), n_asked = 0;

	for (size_t i = 0; i < n; i++) {
		struct circuit_place at;

		if (!circuit_place(c->s, links[i].circuit, &at))
			continue;
		for (unsigned side = 0; side < 2; side++) {
			const char *tag = arena_printf(c->s->arena, "%zu %u", i, side);
			const char *domain =
				domain_key(c->s->arena, links[i].circuit, PEERING_PRIVATE);
			struct addr peer;

			if (!edge_link_address(links[i].circuit, side, &peer) ||
			    !wants_peer(c, &peer))
				continue;
			n_asked++;
			arm_call_ask(c, at.edge[side], kind ? kind : "received",
				     json_string(domain), LEARNED_MAX, tag);
			if (!kind)
				arm_call_ask(c, at.edge[side], "vnet", json_string(vnet_key(vnet)),
					     1000, arena_printf(c->s->arena, "%s v", tag));
		}
	}
	return n_asked;
}

static json_t *
rows_of(const struct arm_answer *a)
{
	return a && a->is_in ? json_object_get(a->result, "value") : NULL;
}

static const struct arm_answer *
answer_tagged(const struct arm_call *c, const char *tag)
{
	for (size_t i = 0; i < c->n_answers; i++)
		if (!strcmp(c->answers[i].tag, tag))
			return &c->answers[i];
	return NULL;
}

static const struct arm_resource *
own_vnet(struct arm_call *c)
{
	return gateway_vnet(c->s, c->r);
}

/* Is the edge there, and does it see a living host of the virtual network? */
static const char *
peer_state(const struct arm_answer *received, const struct arm_answer *seen)
{
	json_t *row;
	size_t i;

	if (!received || !received->is_in || !seen || !seen->is_in)
		return "Connecting";
	if (!text_equal(received->status, "ok"))
		return "Idle";
	json_array_foreach(rows_of(seen), i, row)
		if (arm_bool(row, "up", false))
			return "Connected";
	return "Idle";
}

static json_t *
peer_row(struct arm_call *c, const struct addr *peer, const struct arm_answer *received,
	 const struct arm_answer *seen)
{
	json_int_t n = 0;
	char text[ADDR_TEXT];
	json_t *row;
	size_t i;

	json_array_foreach(rows_of(received), i, row)
		n += !json_object_get(row, "rejected");
	return json_pack("{s:s, s:s, s:I, s:s, s:I}", "localAddress", gateway_address(c->r),
			 "neighbor", addr_format(peer, text), "asn",
			 (json_int_t)catalogue_limits(network_catalogue(c->s))->cloud_asn, "state",
			 peer_state(received, seen), "routesReceived", n);
}

static int
peers_answered(struct arm_call *c)
{
	struct link *links;
	size_t n = links_of_vnet(c->s, own_vnet(c), &links);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		for (unsigned side = 0; side < 2; side++) {
			const char *tag = arena_printf(c->s->arena, "%zu %u", i, side);
			const struct arm_answer *a = answer_tagged(c, tag);
			struct addr peer;

			if (a && edge_link_address(links[i].circuit, side, &peer))
				json_array_append_new(
					list,
					peer_row(c, &peer, a,
						 answer_tagged(c, arena_printf(c->s->arena, "%s v",
									       tag))));
		}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

/* Gateways of the Vpn type, and those without a circuit, have nobody to ask. */
static int
empty_answer(struct arm_call *c)
{
	c->result = json_pack("{s:[]}", "value");
	return 0;
}

static bool
has_circuits(struct arm_call *c)
{
	return !gateway_is_vpn(c->r) && own_vnet(c);
}

static int
peers_run(struct arm_call *c)
{
	return has_circuits(c) && peers_ask(c, own_vnet(c), NULL) ? 0 : empty_answer(c);
}

/* ---- routes ---- */

static json_t *
route_row(const char *local, const struct prefix *p, const char *hop, const char *source,
	  const char *origin, const char *path, int weight)
{
	char text[PREFIX_TEXT];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "localAddress", local, "network",
			 prefix_format(p, text), "nextHop", hop, "sourcePeer", source, "origin",
			 origin, "asPath", path, "weight", weight);
}

/* What it has of itself: its virtual network's prefixes, and those of its spokes. */
static void
own_rows(struct arm_call *c, json_t *list)
{
	const struct arm_resource *vnet = own_vnet(c);
	const char *local = gateway_address(c->r);
	struct prefix *v;

	for (size_t i = 0, n = vnet ? hub_prefixes(c->s, vnet, &v) : 0; i < n; i++)
		json_array_append_new(list, route_row(local, &v[i], "", local, "Network", "",
						      WEIGHT_OWN));
}

/* "65001 65010" as "65001-65010", the way gateways write it. */
static const char *
path_dashed(struct arena *a, const char *path)
{
	char *out = arena_strdup(a, path);

	for (char *c = out; *c; c++)
		if (*c == ' ')
			*c = '-';
	return out;
}

static int
learned_answered(struct arm_call *c)
{
	const char *local = gateway_address(c->r);
	json_t *list = json_array();
	struct learned *rows;
	size_t n = 0;
	int r = has_circuits(c) ? learned_read(c, own_vnet(c), &rows, &n) : 0;

	own_rows(c, list);
	for (size_t i = 0; i < n; i++) {
		char peer[ADDR_TEXT];
		uint32_t asn = catalogue_limits(network_catalogue(c->s))->cloud_asn;

		addr_format(&rows[i].peer, peer);
		json_array_append_new(
			list,
			route_row(local, &rows[i].prefix, peer, peer, "EBgp",
				  arena_printf(c->s->arena, "%u%s%s", asn, *rows[i].path ? "-" : "",
					       path_dashed(c->s->arena, rows[i].path)),
				  WEIGHT_CIRCUIT));
	}
	c->result = json_pack("{s:o}", "value", list);
	return r;
}

static int
learned_run(struct arm_call *c)
{
	if (has_circuits(c))
		learned_ask(c, own_vnet(c));
	return c->asks ? 0 : learned_answered(c);
}

/* Of what the edge announces to the customer, that which comes from this gateway. */
static int
advertised_answered(struct arm_call *c)
{
	const struct arm_resource *vnet = own_vnet(c);
	struct prefix *own = NULL;
	size_t n_own = vnet ? hub_prefixes(c->s, vnet, &own) : 0;
	json_t *list = json_array(), *row;
	size_t k;

	for (size_t i = 0; i < c->n_answers; i++) {
		if (!c->answers[i].is_in) {
			json_decref(list);
			return arm_refuse(c->s->error, 504, "EdgeNotReachable",
					  "The edge behind this peer did not answer in time.");
		}
		json_array_foreach(rows_of(&c->answers[i]), k, row) {
			struct prefix p;
			struct err e;

			if (prefix_parse(arm_str(row, "network", ""), &p, &e) == 0 &&
			    prefix_find_cover(own, n_own, &p))
				json_array_append_new(list, route_row(gateway_address(c->r), &p,
								      gateway_address(c->r),
								      gateway_address(c->r), "Igp",
								      "", 0));
		}
	}
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

static int
advertised_run(struct arm_call *c)
{
	const char *peer = arm_call_query(c, "peer");
	struct addr a;
	struct err e;

	if (!peer || addr_parse(peer, &a, &e) < 0)
		return arm_refuse_at(c->s->error, 400, "InvalidParameter", "peer",
				     "The query parameter peer must be a BGP peer's address.");
	if (has_circuits(c) && peers_ask(c, own_vnet(c), "advertised"))
		return 0;
	return arm_refuse_at(c->s->error, 400, "BgpPeerNotFound", "peer",
			     "%s is not a BGP peer of this gateway.", peer);
}

/* ---- reset ---- */

/* There is no box to restart; its virtual network is told to the nodes anew. */
static int
reset_write(struct arm_plan *p, struct arm_call *c)
{
	const struct arm_resource *vnet = own_vnet(c);

	if (vnet)
		vnet_recompile(p, vnet);
	return 0;
}

const struct arm_action gateway_actions[] = {
	{ .name = "connections", .method = ARM_GET, .run = connections_run },
	{ .name = "getBgpPeerStatus",
	  .method = ARM_POST,
	  .run = peers_run,
	  .answered = peers_answered },
	{ .name = "getLearnedRoutes",
	  .method = ARM_POST,
	  .run = learned_run,
	  .answered = learned_answered },
	{ .name = "getAdvertisedRoutes",
	  .method = ARM_POST,
	  .run = advertised_run,
	  .answered = advertised_answered },
	{ .name = "reset", .method = ARM_POST, .write = reset_write },
	{ 0 },
};
