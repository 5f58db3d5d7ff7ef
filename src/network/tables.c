/* What the edges know about a peering: ARP tables, route tables, summaries, byte counters. The
 * question goes to the edge of the path asked for; the rows come back in the API's own shape. */
#include "network/types.h"

enum { MAX_ROWS = 10000 };

/* The circuit behind a call on a circuit's or a cross connection's peering. */
static const struct arm_resource *
call_circuit(struct arm_call *c)
{
	const char *id;

	if (c->r->type == &circuit_type)
		return c->r;
	id = arm_ref(c->r->body, "properties.expressRouteCircuit");
	return id ? arm_get(c->s, id) : NULL;
}

/* 0 primary, 1 secondary, -1 neither. */
static int
path_side(const char *path)
{
	if (text_equal(path, "primary"))
		return 0;
	return text_equal(path, "secondary") ? 1 : -1;
}

static int
no_circuit(struct arm_call *c)
{
	return arm_refuse(c->s->error, 404, "NotFound", "The circuit is gone.");
}

static int
table_ask(struct arm_call *c, const char *kind)
{
	const struct arm_resource *circuit = call_circuit(c);
	struct circuit_place at;
	int side = path_side(c->arg);

	if (side < 0)
		return arm_refuse(c->s->error, 400, "InvalidParameter",
				  "The device path is primary or secondary, not '%s'.",
				  c->arg ? c->arg : "");
	if (!circuit || !circuit_place(c->s, circuit, &at))
		return no_circuit(c);
	arm_call_ask(c, at.edge[side], kind,
		     json_string(domain_key(c->s->arena, circuit, arm_str(c->element, "name", ""))),
		     MAX_ROWS, c->arg);
	return 0;
}

static int
ask_arp(struct arm_call *c)
{
	return table_ask(c, "arp");
}

static int
ask_routes(struct arm_call *c)
{
	return table_ask(c, "routes");
}

static int
ask_summary(struct arm_call *c)
{
	return table_ask(c, "routes_summary");
}

static int
answer_check(struct arm_call *c, const struct arm_answer *a)
{
	if (!a->is_in)
		return arm_refuse(c->s->error, 504, "EdgeNotReachable",
				  "The edge of this path (%s) did not answer in time.", a->node);
	if (!text_equal(a->status, "ok") && !text_equal(a->status, "notFound"))
		return arm_refuse(c->s->error, 502, "EdgeRefused",
				  "The edge of this path (%s) answered '%s'.", a->node, a->status);
	return 0;
}

static json_t *
answer_rows(const struct arm_answer *a)
{
	json_t *rows = a->result ? json_object_get(a->result, "value") : NULL;

	return json_is_array(rows) ? json_incref(rows) : json_array();
}

static int
table_answered(struct arm_call *c)
{
	int r = c->n_answers == 1 ? answer_check(c, &c->answers[0]) : -EBADE;

	if (r < 0)
		return r;
	c->result = json_pack("{s:o}", "value", answer_rows(&c->answers[0]));
	return 0;
}

/* Sessions that the edge does not run (IPv6; a peering held until the provider is ready) are shown as
 * what they are. */
static void
idle_add(struct arm_call *c, json_t *rows, const struct addr *neighbour)
{
	char address[ADDR_TEXT];
	json_t *row;
	size_t i;

	addr_format(neighbour, address);
	json_array_foreach(rows, i, row)
		if (!strcmp(arm_str(row, "neighbor", ""), address))
			return;
	json_array_append_new(
		rows, json_pack("{s:s, s:i, s:I, s:s, s:s}", "neighbor", address, "v", 4, "as",
				(json_int_t)arm_int(c->element, "properties.peerASN", 0), "upDown",
				"never", "statePfxRcd", "Idle"));
}

static int
summary_answered(struct arm_call *c)
{
	static const char *const field[2][2] = {
		{ "properties.primaryPeerAddressPrefix",
		  "properties.ipv6PeeringConfig.primaryPeerAddressPrefix" },
		{ "properties.secondaryPeerAddressPrefix",
		  "properties.ipv6PeeringConfig.secondaryPeerAddressPrefix" },
	};
	int r = table_answered(c);
	bool side = r == 0 && path_side(c->answers[0].tag) == 1;
	json_t *rows = r == 0 ? json_copy(json_object_get(c->result, "value")) : NULL;
	struct link_addresses link;
	struct err e;

	if (rows && rule_link_prefix(arm_str(c->element, field[side][0], ""), &link, &e) == 0)
		idle_add(c, rows, &link.customer);
	if (rows && rule_link_prefix6(arm_str(c->element, field[side][1], ""), &link, &e) == 0)
		idle_add(c, rows, &link.customer);
	if (rows)
		json_object_set_new(c->result, "value", rows);
	return r;
}

/* The provider's summary has other names for the same columns. */
static int
cross_summary_answered(struct arm_call *c)
{
	int r = summary_answered(c);
	json_t *rows = json_array(), *row;
	size_t i;

	if (r < 0) {
		json_decref(rows);
		return r;
	}
	json_array_foreach(json_object_get(c->result, "value"), i, row)
		json_array_append_new(rows, json_pack("{s:s, s:I, s:s, s:s}", "neighbor",
						      arm_str(row, "neighbor", ""), "asn",
						      (json_int_t)arm_int(row, "as", 0), "upDown",
						      arm_str(row, "upDown", ""),
						      "stateOrPrefixesReceived",
						      arm_str(row, "statePfxRcd", "")));
	json_object_set_new(c->result, "value", rows);
	return 0;
}

/* ---- counters ---- */

static void
ask_stats(struct arm_call *c, const struct arm_resource *circuit, const struct circuit_place *at,
	  const char *peering)
{
	for (unsigned i = 0; i < 2; i++)
		arm_call_ask(c, at->edge[i], "stats",
			     json_string(domain_key(c->s->arena, circuit, peering)), MAX_ROWS,
			     i ? "secondary" : "primary");
}

static int
peering_stats_run(struct arm_call *c)
{
	const struct arm_resource *circuit = call_circuit(c);
	struct circuit_place at;

	if (!circuit || !circuit_place(c->s, circuit, &at))
		return no_circuit(c);
	ask_stats(c, circuit, &at, arm_str(c->element, "name", ""));
	return 0;
}

static json_t *
stats_body(const json_int_t sum[4])
{
	return json_pack("{s:I, s:I, s:I, s:I}", "primarybytesIn", sum[0], "primarybytesOut",
			 sum[1], "secondarybytesIn", sum[2], "secondarybytesOut", sum[3]);
}

int
circuit_stats_run(struct arm_call *c)
{
	static const json_int_t nothing[4];
	struct circuit_place at;
	json_t *peering;
	size_t i;

	if (!circuit_place(c->s, c->r, &at))
		return no_circuit(c);
	if (!json_array_size(collection_of(c->r->body, "peerings")))
		c->result = stats_body(nothing);
	json_array_foreach(collection_of(c->r->body, "peerings"), i, peering)
		ask_stats(c, c->r, &at, arm_str(peering, "name", ""));
	return 0;
}

/* A silent edge is an error: a sum without it would be a wrong number. */
int
circuit_stats_answered(struct arm_call *c)
{
	json_int_t sum[4] = { 0 };

	for (size_t i = 0; i < c->n_answers; i++) {
		const struct arm_answer *a = &c->answers[i];
		unsigned at = path_side(a->tag) == 1 ? 2 : 0;
		int r = answer_check(c, a);
		json_t *rows, *row;
		size_t j;

		if (r < 0)
			return r;
		rows = answer_rows(a);
		json_array_foreach(rows, j, row) {
			sum[at] += arm_int(row, "bytesIn", 0);
			sum[at + 1] += arm_int(row, "bytesOut", 0);
		}
		json_decref(rows);
	}
	c->result = stats_body(sum);
	return 0;
}

/* clang-format off */
const struct arm_action circuit_peering_actions[] = {
	{ .name = "arpTables", .method = ARM_POST, .has_arg = true, .run = ask_arp, .answered = table_answered },
	{ .name = "routeTables", .method = ARM_POST, .has_arg = true, .run = ask_routes, .answered = table_answered },
	{ .name = "routeTablesSummary", .method = ARM_POST, .has_arg = true, .run = ask_summary, .answered = summary_answered },
	{ .name = "stats", .method = ARM_GET, .run = peering_stats_run, .answered = circuit_stats_answered },
	{ 0 },
};

const struct arm_action cross_peering_actions[] = {
	{ .name = "arpTables", .method = ARM_POST, .has_arg = true, .run = ask_arp, .answered = table_answered },
	{ .name = "routeTables", .method = ARM_POST, .has_arg = true, .run = ask_routes, .answered = table_answered },
	{ .name = "routeTablesSummary", .method = ARM_POST, .has_arg = true, .run = ask_summary,
	  .answered = cross_summary_answered },
	{ 0 },
};
/* clang-format on */
