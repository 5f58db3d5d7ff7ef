/* Microsoft.Network/expressRoutePorts: a customer's own port pair on the cloud's edges, without a
 * provider ("Direct"). Each stands on a fabric port pair that the operator has for sale, which no
 * other can have meanwhile. Circuits are cut from it, up to so many times its bandwidth as the
 * catalogue says; other subscriptions make theirs with an authorization.
 *
 * Its two links begin disabled: their owner enables them when the cross connects are in place (the
 * letter of authorization tells the building's owner where). A circuit has no presence on the edge of
 * a disabled link. */
#include "network/loa.h"
#include "network/types.h"

#include <openssl/evp.h>
#include <time.h>

static const char *const link_names[] = { "link1", "link2", NULL };

/* ---- the links ---- */

bool
direct_link_is_on(struct arm_snapshot *s, const struct arm_resource *circuit, unsigned side)
{
	const char *id = arm_ref(circuit->body, REF_DIRECT);
	const struct arm_resource *port = id ? arm_get(s, id) : NULL;

	return !id || (port && text_equal(arm_str(arm_child(port->body, "links", link_names[side]),
						  "properties.adminState", ""),
					  "Enabled"));
}

/* Both are always there. */
static void
links_ensure(json_t *body)
{
	json_t *links = json_array();

	for (unsigned i = 0; i < 2; i++) {
		json_t *link = arm_child(body, "links", link_names[i]);

		json_array_append_new(links,
				      link ? json_incref(link)
					   : json_pack("{s:s, s:{s:s}}", "name", link_names[i],
						       "properties", "adminState", "Disabled"));
	}
	arm_set(body, "properties.links", links);
}

/* Frames would leave in clear while their owner believes them sealed. */
static int
link_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	static const char *const key[] = { "properties.macSecConfig.cknSecretIdentifier",
					   "properties.macSecConfig.cakSecretIdentifier" };

	for (size_t i = 0; want && i < COUNT(key); i++)
		if (*arm_str(want, key[i], ""))
			return arm_refuse_at(p->s->error, 400, "MacSecNotOffered", key[i],
					     "These edges do not encrypt links (MACsec).");
	return 0;
}

static bool
links_differ(const struct arm_plan *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (!text_equal(arm_str(arm_child(p->have->body, "links", link_names[i]),
					"properties.adminState", ""),
				arm_str(arm_child(p->want->body, "links", link_names[i]),
					"properties.adminState", "")))
			return true;
	return false;
}

/* ---- the order ---- */

static const struct arm_resource *
free_port(struct arm_snapshot *s, const char *location, int64_t gbps)
{
	const struct arm_resource **v;

	for (size_t i = 0, n = direct_fabric_ports(s, location, &v); i < n; i++)
		if (arm_int(v[i]->body, "properties.bandwidthInMbps", 0) == gbps * 1000 &&
		    !arm_claim_owner(s, CLAIM_DIRECT, v[i]->fold))
			return v[i];
	return NULL;
}

static int
size_check(struct arm_plan *p, const struct catalogue_location *at, int64_t gbps)
{
	char list[128] = "";
	size_t n = 0;

	for (size_t i = 0; i < at->n_direct_gbps; i++) {
		if (at->direct_gbps[i] == gbps)
			return 0;
		if (n < sizeof(list) - 16)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u Gbps",
					      i ? ", " : "", at->direct_gbps[i]);
	}
	return arm_refuse_at(p->s->error, 400, "InvalidBandwidth", "properties.bandwidthInGbps",
			     "There are no port pairs of %lld Gbps at %s; offered: %s.",
			     (long long)gbps, at->name, *list ? list : "none");
}

static const char *
date_text(struct arm_snapshot *s)
{
	time_t now = (time_t)(s->now_us / 1000000);
	char *out = arena_alloc(s->arena, 32);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, 32, "%Y-%m-%d", &tm);
	return out;
}

static int
port_create(struct arm_plan *p)
{
	json_t *body = p->want->body;
	const char *name = arm_str(body, "properties.peeringLocation", "");
	const struct catalogue_location *at = catalogue_location(network_catalogue(p->s), name);
	int64_t gbps = arm_int(body, "properties.bandwidthInGbps", 0);

	if (!at || !claim_holder(p->s, CLAIM_LOCATION, name))
		return arm_refuse_at(p->s->error, 400, "InvalidPeeringLocation",
				     "properties.peeringLocation",
				     "There is no peering location '%s'. See "
				     "expressRoutePortsLocations.",
				     name);
	if (size_check(p, at, gbps) < 0)
		return -EBADE;
	const struct arm_resource *port = free_port(p->s, name, gbps);

	if (!port || arm_claim(p, NULL, CLAIM_DIRECT, port->fold, NULL) < 0)
		return arm_refuse_at(p->s->error, 409, "InsufficientPortCapacity",
				     "properties.bandwidthInGbps",
				     "No port pair of %lld Gbps is free at %s.", (long long)gbps,
				     name);
	arm_set(body, "properties.trunk", json_reference(port->id));
	arm_set(body, "properties.allocationDate", json_string(date_text(p->s)));
	arm_set(body, "properties.resourceGuid", json_string(arm_new_guid(p)));
	links_ensure(body);
	return 0;
}

static int
port_plan(struct arm_plan *p)
{
	struct arm_referrer *refs;

	if (p->verb == ARM_VERB_CREATE)
		return port_create(p);
	if (p->verb != ARM_VERB_UPDATE || !links_differ(p))
		return 0;
	for (size_t i = 0, n = arm_referrers(p->s, p->want->fold, false, REF_DIRECT, &refs); i < n;
	     i++)
		arm_recompile(p, refs[i].owner);
	return 0;
}

/* ---- reading ---- */

static const struct arm_resource *
fabric_port(struct arm_snapshot *s, const struct arm_resource *r)
{
	const char *trunk = arm_ref(r->body, "properties.trunk");

	return trunk ? arm_get(s, trunk) : NULL;
}

static const char *
facility(struct arm_snapshot *s, const struct arm_resource *r)
{
	const struct catalogue_location *at = catalogue_location(
		network_catalogue(s), arm_str(r->body, "properties.peeringLocation", ""));

	return at ? at->facility : "";
}

static void
link_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out, unsigned side)
{
	const struct arm_resource *port = fabric_port(s, r);
	const struct arm_resource *pair = port ? port_pair(s, port) : NULL;
	json_t *link = arm_child(out, "links", link_names[side]);

	if (!pair || !link)
		return;
	const char *router = pair_edge(pair, side);
	json_t *props = json_object_get(link, "properties");
#define SIDE(word) (side ? "properties.secondary" word : "properties.primary" word)
	json_object_set_new(props, "routerName", json_string(router ? router : ""));
	json_object_set_new(props, "interfaceName",
			    json_string(arm_str(port->body, SIDE("Interface"), "")));
	json_object_set_new(props, "patchPanelId",
			    json_string(arm_str(port->body, SIDE("PatchPanelId"), "")));
	json_object_set_new(props, "rackId", json_string(arm_str(port->body, SIDE("RackId"), "")));
#undef SIDE
	json_object_set_new(props, "coloLocation", json_string(facility(s, r)));
	json_object_set_new(props, "connectorType",
			    json_string(arm_str(port->body, "properties.connectorType", "LC")));
}

static int
port_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	bool is_qinq = text_equal(arm_str(r->body, "properties.encapsulation", ""), "QinQ");
	json_t *circuits = json_array();
	struct arm_referrer *refs;

	for (size_t i = 0, n = arm_referrers(s, r->fold, false, REF_DIRECT, &refs); i < n; i++) {
		const struct arm_resource *c = arm_get(s, refs[i].owner);

		if (c)
			json_array_append_new(circuits, json_reference(c->id));
	}
	arm_set(out, "properties.trunk", NULL);
	arm_set(out, "properties.circuits", circuits);
	arm_set(out, "properties.provisionedBandwidthInGbps",
		json_real(port_used_mbps(r) / 1000.0));
	arm_set(out, "properties.mtu", json_string("1500"));
	arm_set(out, "properties.etherType", json_string(is_qinq ? "0x88A8" : "0x8100"));
	for (unsigned i = 0; i < 2; i++)
		link_view(s, r, out, i);
	authorizations_view(r, out, "circuitResourceUri");
	return 0;
}

/* ---- the letter of authorization ---- */

static void
loa_side(struct arm_snapshot *s, const struct arm_resource *r, unsigned side, struct loa_link *ret)
{
	json_t *out = json_pack("{s:{s:[{s:s,s:{}},{s:s,s:{}}]}}", "properties", "links", "name",
				link_names[0], "properties", "name", link_names[1], "properties");
	json_t *link = arm_child(out, "links", link_names[side]);

	link_view(s, r, out, side);
#define COPY(word) arena_strdup(s->arena, arm_str(link, "properties." word, ""))
	*ret = (struct loa_link){
		.router = COPY("routerName"),
		.port = COPY("interfaceName"),
		.patch_panel = COPY("patchPanelId"),
		.rack = COPY("rackId"),
		.connector = COPY("connectorType"),
	};
#undef COPY
	json_decref(out);
}

static int
generate_loa(struct arm_call *c)
{
	const char *customer = c->body ? arm_str(c->body, "customerName", NULL) : NULL;
	AUTO_BUF pdf = { 0 };

	if (!customer || !*customer || strlen(customer) > LOA_NAME_MAX)
		return arm_refuse_at(c->s->error, 400, "InvalidParameter", "customerName",
				     "customerName is required, of 1 to %d bytes: the name the "
				     "letter is made out to.",
				     LOA_NAME_MAX);
	struct loa letter = {
		.customer = customer,
		.date = date_text(c->s),
		.port = c->r->name,
		.guid = arm_str(c->r->body, "properties.resourceGuid", ""),
		.location = arm_str(c->r->body, "properties.peeringLocation", ""),
		.facility = facility(c->s, c->r),
		.gbps = (uint32_t)arm_int(c->r->body, "properties.bandwidthInGbps", 0),
	};

	for (unsigned i = 0; i < 2; i++)
		loa_side(c->s, c->r, i, &letter.links[i]);
	loa_write(&letter, &pdf);
	char *text = arena_alloc(c->s->arena, (pdf.n + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)text, pdf.p, (int)pdf.n);
	c->result = json_pack("{s:s}", "encodedContent", text);
	return 0;
}

/* ---- expressRoutePortsLocations ---- */

static json_t *
location_view(struct arm_call *c, const struct catalogue_location *at, bool with_sizes)
{
	json_t *sizes = json_array();

	for (size_t i = 0; with_sizes && i < at->n_direct_gbps; i++)
		if (free_port(c->s, at->name, at->direct_gbps[i]))
			json_array_append_new(sizes,
					      json_pack("{s:o, s:i}", "offerName",
							json_textf("%u Gbps", at->direct_gbps[i]),
							"valueInGbps", (int)at->direct_gbps[i]));
	json_t *v = json_pack("{s:s, s:o, s:s, s:{s:s, s:s, s:s, s:o}}", "name", at->name, "id",
			      json_textf("/subscriptions/%s/providers/Microsoft.Network/"
					 "expressRoutePortsLocations/%s",
					 c->sub, at->name),
			      "type", "Microsoft.Network/expressRoutePortsLocations", "properties",
			      "provisioningState", "Succeeded", "address", at->facility, "contact",
			      "", "availableBandwidths", sizes);

	return v;
}

static bool
is_on_sale(struct arm_snapshot *s, const struct catalogue_location *at)
{
	const struct arm_resource **ports;

	return direct_fabric_ports(s, at->name, &ports) > 0;
}

int
direct_locations_list(struct arm_call *c)
{
	const struct catalogue *cat = network_catalogue(c->s);
	json_t *list = json_array();

	for (size_t i = 0; i < catalogue_n_locations(cat); i++)
		if (is_on_sale(c->s, catalogue_location_at(cat, i)))
			json_array_append_new(list, location_view(c, catalogue_location_at(cat, i),
								  false));
	c->result = json_pack("{s:o}", "value", list);
	return 0;
}

int
direct_location_get(struct arm_call *c)
{
	const struct catalogue *cat = network_catalogue(c->s);
	const char *name = c->n_args ? c->args[0] : "";

	for (size_t i = 0; i < catalogue_n_locations(cat); i++) {
		const struct catalogue_location *at = catalogue_location_at(cat, i);

		if (!text_equal(at->name, name) || !is_on_sale(c->s, at))
			continue;
		c->result = location_view(c, at, true);
		return 0;
	}
	return arm_refuse(c->s->error, 404, "NotFound",
			  "There are no direct port pairs at a location '%s'.", name);
}

/* ---- the tables ---- */

/* clang-format off */
static const struct arm_prop link_props[] = {
	{ .name = "routerName", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "interfaceName", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "patchPanelId", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "rackId", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "coloLocation", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "connectorType", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "adminState", .kind = ARM_STRING, .flags = ARM_KEEP,
	  .words = (const char *const[]){ "Enabled", "Disabled", NULL }, .def = "\"Disabled\"" },
	{ .name = "macSecConfig", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "cknSecretIdentifier", .kind = ARM_STRING },
		{ .name = "cakSecretIdentifier", .kind = ARM_STRING },
		{ .name = "cipher", .kind = ARM_STRING,
		  .words = (const char *const[]){ "GcmAes256", "GcmAes128", "GcmAesXpn128",
						  "GcmAesXpn256", NULL } },
		{ .name = "sciState", .kind = ARM_STRING,
		  .words = (const char *const[]){ "Disabled", "Enabled", NULL } },
		{ 0 } } },
	{ 0 },
};

static const struct arm_type direct_link_type = {
	.ns = "Microsoft.Network",
	.name = "links",
	.flags = ARM_NO_CREATE | ARM_NO_PUT | ARM_NO_DELETE,
	.names = link_names,
	.props = link_props,
	.check = link_check,
};

static const struct arm_prop port_top[] = {
	{ .name = "identity", .kind = ARM_OBJECT, .flags = ARM_KEEP,
	  .props = (const struct arm_prop[]){
		{ .name = "type", .kind = ARM_STRING,
		  .words = (const char *const[]){ "None", "UserAssigned", NULL } },
		{ .name = "userAssignedIdentities", .kind = ARM_ANY },
		{ 0 } } },
	{ 0 },
};

static const struct arm_prop port_props[] = {
	{ .name = "peeringLocation", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED },
	{ .name = "bandwidthInGbps", .kind = ARM_INT, .flags = ARM_REQUIRED | ARM_FIXED },
	{ .name = "provisionedBandwidthInGbps", .kind = ARM_NUMBER, .flags = ARM_READ_ONLY },
	{ .name = "mtu", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "encapsulation", .kind = ARM_STRING, .flags = ARM_REQUIRED | ARM_FIXED,
	  .words = (const char *const[]){ "Dot1Q", "QinQ", NULL } },
	{ .name = "etherType", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "allocationDate", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "links", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &direct_link_type, .max = 2 },
	{ .name = "circuits", .kind = ARM_LIST, .item = ARM_REF, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "billingType", .kind = ARM_STRING,
	  .words = (const char *const[]){ "MeteredData", "UnlimitedData", NULL }, .def = "\"MeteredData\"" },
	/* The fabric's port pair it stands on; not shown. */
	{ .name = "trunk", .kind = ARM_REF, .flags = ARM_READ_ONLY, .ref_type = "Wayleave.Fabric/ports" },
	{ 0 },
};
/* clang-format on */

static const struct arm_type *const port_children[] = { &direct_link_type, &port_authorization_type,
							NULL };
static const struct arm_action port_actions[] = {
	{ .name = "generateLoa", .method = ARM_POST, .run = generate_loa },
	{ 0 },
};

const struct arm_type direct_port_type = {
	.ns = "Microsoft.Network",
	.name = "expressRoutePorts",
	.flags = ARM_TRACKED,
	.top = port_top,
	.props = port_props,
	.children = port_children,
	.actions = port_actions,
	.in_use_code = "PortInUse",
	.in_use_status = 409,
	.plan = port_plan,
	.view = port_view,
};
