/* What a dry run tells beyond what would be stored: sessions that would reset, prefixes that would
 * become reachable or unreachable as live edges know them, and what it costs a month. */
#include "network/vnet.h"

#include "base/mono.h"
#include "store/store.h"

/* Of a domain on one edge: what a session does not survive (src/edge/domain.c). */
static const char *const hard[] = { "number",      "generation", "circuit",  "cTag", "localAddress",
				    "peerAddress", "peerAs",     "holdTime", "md5",  NULL };
static const char *const circuit_hard[] = { "port", "sTag", "enabled", NULL };

enum { MAX_ROUTES = 1000, MAX_ASKED = 16, MAX_PREFIXES = 2000 };

static bool
differs(const json_t *a, const json_t *b, const char *const *words)
{
	for (; *words; words++) {
		const json_t *x = json_object_get(a, *words), *y = json_object_get(b, *words);

		if (x != y && !json_equal(x, y)) /* both absent is the same, too */
			return true;
	}
	return false;
}

static bool
is_on(const json_t *domain)
{
	return arm_bool(domain, "enabled", false);
}

/* Is the circuit's own object on this node one that ends its sessions? */
static bool
circuit_resets(const struct arm_foresight *f, const struct arm_object_change *domain)
{
	const char *key = arm_str(domain->after, "circuit", "");

	for (size_t i = 0; i < f->n_objects; i++) {
		const struct arm_object_change *c = &f->objects[i];

		if (!strcmp(c->kind, "circuit") && !strcmp(c->node, domain->node) &&
		    !strcmp(c->key, key) && c->before && c->after &&
		    differs(c->before, c->after, circuit_hard))
			return true;
	}
	return false;
}

static const char *
session_effect(const struct arm_foresight *f, const struct arm_object_change *c)
{
	bool was = is_on(c->before), is = is_on(c->after);

	if (was && !is)
		return "Ends";
	if (!was && is)
		return "Starts";
	return was && (differs(c->before, c->after, hard) || circuit_resets(f, c)) ? "Resets"
										   : NULL;
}

/* The session as its edge reported it last, and when that was. */
static void
session_view(struct arm_foresight *f, const struct arm_object_change *c, json_t *out)
{
	struct store_node n;
	struct err e;
	char when[32];
	json_t *report, *domains;

	if (store_node_get(f->s->tx, f->s->arena, c->node, &n, &e) != 1 || !n.seen_us)
		return;
	report = json_loads(n.report ? n.report : "{}", 0, NULL);
	domains = arm_at(report, "state.domains");
	json_object_set_new(
		out, "state",
		json_string(arm_str(json_object_get(domains, c->key), "session", "Unknown")));
	json_object_set_new(out, "asOf", json_string(utc_format(n.seen_us, when)));
	json_object_set_new(out, "ageSeconds", json_integer((f->s->now_us - n.seen_us) / 1000000));
	json_decref(report);
}

static void
session_add(struct arm_foresight *f, const struct arm_object_change *c, const char *effect,
	    json_t *sessions)
{
	const json_t *now = c->after ? c->after : c->before;
	json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "peering", arm_str(now, "resourceId", ""),
				"node", c->node, "neighbor",
				arm_str(c->before ? c->before : now, "peerAddress", ""), "effect",
				effect);

	session_view(f, c, one);
	json_array_append_new(sessions, one);
}

/* --- prefixes -------------------------------------------------------------------------------------- */

static bool
holds(const json_t *list, const json_t *number)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
		if (json_equal(one, number))
			return true;
	return false;
}

/* Also one that goes with this very write. */
static const struct arm_resource *
vnet_of(struct arm_foresight *f, const json_t *number)
{
	const char *owner = arm_claim_owner(f->s, CLAIM_FABRIC_NUMBER,
					    arena_printf(f->s->arena, "%lld",
							 (long long)json_integer_value(number)));

	for (size_t i = 0; owner && i < f->n_resources; i++)
		if (f->resources[i].before && !strcmp(f->resources[i].before->fold, owner))
			return f->resources[i].before;
	return owner ? arm_get(f->s, owner) : NULL;
}

static void
prefix_add(json_t *list, const char *prefix, const char *change, const char *direction,
	   const char *peering, const char *node)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (!strcmp(arm_str(one, "prefix", ""), prefix) &&
		    !strcmp(arm_str(one, "change", ""), change) &&
		    !strcmp(arm_str(one, "direction", ""), direction) &&
		    !strcmp(arm_str(one, "peering", ""), peering)) {
			json_array_append_new(json_object_get(one, "nodes"), json_string(node));
			return;
		}
	if (json_array_size(list) < MAX_PREFIXES)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s, s:[s]}", "prefix", prefix,
						"change", change, "direction", direction, "peering",
						peering, "nodes", node));
}

/* VNets that the domain announces on one side of the change and not on the other. */
static bool
vnets_add(struct arm_foresight *f, const struct arm_object_change *c, const json_t *on,
	  const json_t *off, const char *change, json_t *list)
{
	const char *peering = arm_str(c->after ? c->after : c->before, "resourceId", "");
	json_t *number, *prefix;
	bool any = false;
	size_t i, k;

	json_array_foreach(is_on(on) ? json_object_get(on, "vnets") : NULL, i, number) {
		const struct arm_resource *vnet;

		if (is_on(off) && holds(json_object_get(off, "vnets"), number))
			continue;
		any = true;
		vnet = vnet_of(f, number);
		json_array_foreach(
			vnet ? arm_at(vnet->body, "properties.addressSpace.addressPrefixes") : NULL,
			k, prefix)
			prefix_add(list, json_string_value(prefix), change, "ToCustomer", peering,
				   c->node);
	}
	return any;
}

/* What the customer announces there now; the tag says what will become of it. */
static void
routes_ask(struct arm_foresight *f, const struct arm_object_change *c, const char *change,
	   size_t *n_asked)
{
	const json_t *body = c->after ? c->after : c->before;

	if (!f->call || !c->before || *n_asked == MAX_ASKED)
		return;
	++*n_asked;
	arm_call_ask(f->call, c->node, "received", json_string(c->key), MAX_ROUTES,
		     arena_printf(f->s->arena, "%s %s", change, arm_str(body, "resourceId", "")));
}

/* Global Reach: what the customer announces here is told to the other circuit. */
static bool
reaches_more(const json_t *on, const json_t *off)
{
	json_t *number;
	size_t i;

	json_array_foreach(is_on(on) ? json_object_get(on, "reach") : NULL, i, number)
		if (!is_on(off) || !holds(json_object_get(off, "reach"), number))
			return true;
	return false;
}

/* Of what the caller may not read, only how much there is of it is told. */
struct foreseen {
	json_t *sessions, *prefixes, *hidden_prefixes;
	json_int_t hidden_sessions;
	size_t n_asked;
};

static void
domain_hidden(struct arm_foresight *f, const struct arm_object_change *c, struct foreseen *out)
{
	out->hidden_sessions += session_effect(f, c) != NULL;
	vnets_add(f, c, c->after, c->before, "Reachable", out->hidden_prefixes);
	vnets_add(f, c, c->before, c->after, "Unreachable", out->hidden_prefixes);
}

static void
domain_foresee(struct arm_foresight *f, const struct arm_object_change *c, struct foreseen *out)
{
	const char *effect = session_effect(f, c);
	bool gained, lost;

	if (effect)
		session_add(f, c, effect, out->sessions);
	gained = vnets_add(f, c, c->after, c->before, "Reachable", out->prefixes);
	lost = vnets_add(f, c, c->before, c->after, "Unreachable", out->prefixes);
	gained |= reaches_more(c->after, c->before);
	lost |= reaches_more(c->before, c->after);
	if (effect && !strcmp(effect, "Resets"))
		routes_ask(f, c, "Interrupted", &out->n_asked);
	else if (lost || (effect && !strcmp(effect, "Ends")))
		routes_ask(f, c, "Unreachable", &out->n_asked);
	else if (gained)
		routes_ask(f, c, "Reachable", &out->n_asked);
}

/* Prefixes that a VNet, while it stays where it is, has on one side of the change alone. */
static void
space_add(struct arm_foresight *f, const struct arm_object_change *c, const char *circuit,
	  struct foreseen *out)
{
	const json_t *before = json_object_get(c->before, "addressPrefixes");
	const json_t *after = json_object_get(c->after, "addressPrefixes");
	const char *peering = arena_printf(f->s->arena, "%s/peerings/" PEERING_PRIVATE, circuit);
	json_t *prefix;
	size_t i;

	json_array_foreach((json_t *)after, i, prefix)
		if (!holds(before, prefix))
			prefix_add(out->prefixes, json_string_value(prefix), "Reachable",
				   "ToCustomer", peering, c->node);
	json_array_foreach((json_t *)before, i, prefix)
		if (!holds(after, prefix))
			prefix_add(out->prefixes, json_string_value(prefix), "Unreachable",
				   "ToCustomer", peering, c->node);
}

/* By the circuits that announce it on this edge; coming and going is their domains' to tell. */
static void
vnet_foresee(struct arm_foresight *f, const struct arm_object_change *c, struct foreseen *out)
{
	const struct arm_resource *vnet = c->before && c->after ? arm_get(f->s, c->owner) : NULL;
	struct link *links;

	for (size_t i = 0, n = vnet ? links_reaching(f->s, vnet, &links) : 0; i < n; i++) {
		const struct arm_resource *circuit = links[i].circuit;
		struct circuit_place at;

		if (circuit_place(f->s, circuit, &at) &&
		    (!strcmp(at.edge[0], c->node) || !strcmp(at.edge[1], c->node)) &&
		    arm_may(f->s, "Microsoft.Network/expressRouteCircuits/read", circuit->fold))
			space_add(f, c, circuit->id, out);
	}
}

static void
object_foresee(struct arm_foresight *f, const struct arm_object_change *c, struct foreseen *out)
{
	if (!strcmp(c->kind, "domain") && c->is_hidden)
		domain_hidden(f, c, out);
	else if (!strcmp(c->kind, "domain"))
		domain_foresee(f, c, out);
	else if (!strcmp(c->kind, "vnet") && !c->is_hidden)
		vnet_foresee(f, c, out);
}

void
network_foreseen(struct arena *a, json_t *report, const struct arm_answer *answers, size_t n)
{
	json_t *prefixes = json_object_get(report, "prefixes");
	json_t *views = json_object_get(report, "views"), *row;
	size_t i;

	for (size_t k = 0; k < n; k++) {
		const char *blank = strchr(answers[k].tag, ' ');
		char when[32];

		if (!blank)
			continue;
		json_array_append_new(views, json_pack("{s:s, s:s, s:s, s:b}", "node",
						       answers[k].node, "peering", blank + 1,
						       "asOf", utc_format(utc_now_us(), when),
						       "answered", answers[k].is_in));
		json_array_foreach(json_object_get(answers[k].result, "value"), i, row)
			if (!json_object_get(row, "rejected"))
				prefix_add(prefixes, arm_str(row, "network", ""),
					   arena_strndup(a, answers[k].tag,
							 (size_t)(blank - answers[k].tag)),
					   "FromCustomer", blank + 1, answers[k].node);
	}
}

/* --- costs ------------------------------------------------------------------------------------------- */

/* A month in ten-thousandths of the currency's unit; -1: the book has no price; 0: costs nothing. */
static int64_t
price_of(const struct catalogue *c, const struct arm_resource *r)
{
	const char *tier = arm_str(r->body, "sku.tier", ""), *place;
	const struct catalogue_location *at;
	int64_t hour;

	if (r->type == &circuit_type) {
		place = arm_str(r->body, "properties.serviceProviderProperties.peeringLocation",
				"");
		at = catalogue_location(c, place);
		return at ? catalogue_price_circuit(c, tier, arm_str(r->body, "sku.family", ""),
						    circuit_mbps(r), at->zone)
			  : -1;
	}
	if (r->type == &gateway_type)
		hour = catalogue_price_gateway(c, arm_str(r->body, "properties.sku.name", ""));
	else if (r->type == &public_ip_type)
		hour = catalogue_price_public_ip(c, arm_str(r->body, "sku.name", "Basic"));
	else
		return 0;
	return hour < 0 ? -1 : hour * (int64_t)catalogue_month_hours(c);
}

static void
cost_set(json_t *out, const char *name, int64_t price)
{
	json_object_set_new(out, name, price < 0 ? json_null() : json_integer(price));
}

static void
costs_foresee(struct arm_foresight *f)
{
	const struct catalogue *c = network_catalogue(f->s);
	json_t *lines = json_array();
	int64_t before = 0, after = 0;

	for (size_t i = 0; i < f->n_resources; i++) {
		const struct arm_resource_change *ch = &f->resources[i];
		const struct arm_resource *r = ch->after ? ch->after : ch->before;
		int64_t was = ch->before ? price_of(c, ch->before) : 0;
		int64_t is = ch->after ? price_of(c, ch->after) : 0;
		json_t *line;

		if ((!was && !is) ||
		    !arm_may(f->s,
			     arena_printf(f->s->arena, "%s/%s/read", r->type->ns, r->type->name),
			     r->fold))
			continue;
		line = json_pack("{s:s}", "resourceId", r->id);
		cost_set(line, "before", was);
		cost_set(line, "after", is);
		json_array_append_new(lines, line);
		before += MAX(was, 0);
		after += MAX(is, 0);
	}
	json_object_set_new(f->report, "monthlyCost",
			    json_pack("{s:s, s:i, s:I, s:I, s:I, s:o}", "currency",
				      catalogue_currency(c), "scale", CATALOGUE_PRICE_SCALE,
				      "before", (json_int_t)before, "after", (json_int_t)after,
				      "difference", (json_int_t)(after - before), "lines", lines));
}

void
network_foresee(struct arm_foresight *f)
{
	struct foreseen out = { .sessions = json_array(),
				.prefixes = json_array(),
				.hidden_prefixes = json_array() };

	for (size_t i = 0; i < f->n_objects; i++)
		object_foresee(f, &f->objects[i], &out);
	json_object_set_new(f->report, "sessions", out.sessions);
	json_object_set_new(f->report, "hiddenSessions", json_integer(out.hidden_sessions));
	json_object_set_new(f->report, "prefixes", out.prefixes);
	json_object_set_new(f->report, "hiddenPrefixes",
			    json_integer((json_int_t)json_array_size(out.hidden_prefixes)));
	json_decref(out.hidden_prefixes);
	json_object_set_new(f->report, "views", json_array());
	costs_foresee(f);
}
