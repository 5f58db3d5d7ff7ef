/* Microsoft.Network/publicIPAddresses: addresses of a region's pool in the catalogue. A static one
 * is taken when it is made and kept; a dynamic one is taken when an interface or a gateway begins to
 * use it and given back when it ends. One address has one user. */
#include "network/address.h"

#include "network/space.h"

#include <ctype.h>
#include <inttypes.h>

#define ADDRESS "properties.ipAddress"
#define METHOD "properties.publicIPAllocationMethod"
#define VERSION "properties.publicIPAddressVersion"
#define LABEL "properties.dnsSettings.domainNameLabel"
#define CLAIM_USE "public-ip-use" /* address -> its user's aggregate */
#define CLAIM_DNS "dns-label"     /* "label.region" -> address */
#define DNS_SUFFIX "cloudapp.internal"

/* ---- taking and giving back ---- */

/* IPv4 addresses are claimed as numbers, in one space. An IPv6 pool is used through its first /64,
 * whose addresses are numbered in a space of the pool's own. */
static const char *
pool_space(struct arena *a, const struct prefix *pool)
{
	char text[PREFIX_TEXT];

	if (pool->addr.family == NET_V4)
		return "public-address";
	return arena_printf(a, "public-address %s", prefix_format(pool, text));
}

static struct space_range
pool_range(const struct prefix *pool)
{
	uint64_t first = space_number(&pool->addr), last;

	if (pool->addr.family == NET_V6)
		return (struct space_range){ 4, INT32_MAX, INT32_MAX };
	last = first + (1ull << (32 - pool->len)) - 1;
	if (pool->len < 31) { /* neither network nor broadcast */
		first++;
		last--;
	}
	return (struct space_range){ first, last, last };
}

static const struct catalogue_region *
region_of(struct arm_snapshot *s, const struct arm_resource *ip)
{
	return catalogue_region(network_catalogue(s), arm_str(ip->body, "location", ""));
}

static int
address_take(struct arm_plan *p, struct arm_resource *ip)
{
	const struct catalogue_region *r = region_of(p->s, ip);
	bool is_v6 = text_equal(arm_str(ip->body, VERSION, ""), "IPv6");
	unsigned family = is_v6 ? NET_V6 : NET_V4;

	for (size_t i = 0; r && i < r->n_public_prefixes; i++) {
		const struct prefix *pool = &r->public_prefixes[i];
		struct space_range range = pool_range(pool);
		char text[ADDR_TEXT];
		uint64_t number;

		if (pool->addr.family != family ||
		    arm_claim_number(p, ip->id, pool_space(p->s->arena, pool), range.first,
				     range.last, &number) < 0)
			continue;
		struct addr a = space_address(pool, number);

		arm_set(ip->body, ADDRESS, json_string(addr_format(&a, text)));
		return 0;
	}
	return arm_refuse(p->s->error, 409, "PublicIPAddressPoolExhausted",
			  "Region %s has no free public IPv%u address. The operator adds "
			  "publicPrefixes to the catalogue.",
			  arm_str(ip->body, "location", "?"), family);
}

static void
address_return(struct arm_plan *p, struct arm_resource *ip)
{
	const struct catalogue_region *r = region_of(p->s, ip);
	struct addr a;
	struct err e;

	if (addr_parse(arm_str(ip->body, ADDRESS, ""), &a, &e) < 0)
		return;
	arm_set(ip->body, ADDRESS, NULL);
	for (size_t i = 0; r && i < r->n_public_prefixes; i++)
		if (prefix_contains(&r->public_prefixes[i], &a))
			arm_unclaim(p, pool_space(p->s->arena, &r->public_prefixes[i]),
				    arena_printf(p->s->arena, "%" PRIu64, space_number(&a)));
}

/* ---- its users ---- */

static bool
is_static(const json_t *body)
{
	return text_equal(arm_str(body, METHOD, ""), "Static");
}

static bool
configs_have(const json_t *configs, const char *id)
{
	json_t *c;
	size_t i;

	json_array_foreach(configs, i, c) {
		const char *at = arm_ref(c, "properties.publicIPAddress");

		if (at && arm_id_equal(at, id))
			return true;
	}
	return false;
}

static int
ip_use(struct arm_plan *p, const json_t *config, const char *id)
{
	static const char target[] = "properties.ipConfigurations.properties.publicIPAddress";
	const char *fold = arm_id_fold(p->s->arena, id);
	const struct arm_resource *ip = arm_get(p->s, id);
	const char *version = arm_str(config, "properties.privateIPAddressVersion", "IPv4");

	if (!ip)
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", target,
				     "There is no public IP address %s.", id);
	if (!text_equal(arm_str(ip->body, "location", ""), p->location))
		return arm_refuse_at(p->s->error, 400, "InvalidResourceReference", target,
				     "%s is in %s, not in %s.", ip->id,
				     arm_str(ip->body, "location", "?"), p->location);
	if (!text_equal(arm_str(ip->body, VERSION, "IPv4"), version))
		return arm_refuse_at(p->s->error, 400, "PublicIPAddressVersionDoesNotMatch", target,
				     "%s is not an %s address as its IP configuration is.", ip->id,
				     version);
	if (arm_claim(p, NULL, CLAIM_USE, fold, NULL) < 0)
		return arm_refuse_at(p->s->error, 400, "PublicIPAddressInUse", target,
				     "%s is in use by %s.", ip->id,
				     claim_holder(p->s, CLAIM_USE, fold));
	struct arm_resource *mine = arm_edit(p, id);

	return *arm_str(ip->body, ADDRESS, "") || !mine ? 0 : address_take(p, mine);
}

static void
ip_leave(struct arm_plan *p, const char *id)
{
	struct arm_resource *ip = arm_edit(p, id);

	arm_unclaim(p, CLAIM_USE, arm_id_fold(p->s->arena, id));
	if (ip && !is_static(ip->body))
		address_return(p, ip);
}

int
public_ips_settle(struct arm_plan *p, const json_t *have, const json_t *want)
{
	json_t *c;
	size_t i;

	json_array_foreach(have, i, c) {
		const char *id = arm_ref(c, "properties.publicIPAddress");

		if (id && !configs_have(want, id))
			ip_leave(p, id);
	}
	json_array_foreach(want, i, c) {
		const char *id = arm_ref(c, "properties.publicIPAddress");

		for (size_t j = 0; id && j < i; j++) {
			const char *other =
				arm_ref(json_array_get(want, j), "properties.publicIPAddress");

			if (other && arm_id_equal(other, id))
				return arm_refuse(p->s->error, 400, "PublicIPAddressInUse",
						  "%s is named by two IP configurations.", id);
		}
		int r = id && !configs_have(have, id) ? ip_use(p, c, id) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the resource ---- */

static int
label_check(const char *label, struct err *e)
{
	size_t n = strlen(label);
	bool is_good = n >= 3 && n <= 63 && islower((unsigned char)label[0]) && label[n - 1] != '-';

	for (size_t i = 0; i < n; i++)
		is_good &= islower((unsigned char)label[i]) || isdigit((unsigned char)label[i]) ||
			   label[i] == '-';
	return is_good ? 0
		       : err_set(e, -EINVAL,
				 "must be 3 to 63 of a-z, 0-9 and -, begin with a letter and not "
				 "end in -");
}

static int
dns_settle(struct arm_plan *p)
{
	const char *before = p->have ? arm_str(p->have->body, LABEL, "") : "";
	const char *now = arm_str(p->want->body, LABEL, "");

	if (*now)
		arm_set(p->want->body, "properties.dnsSettings.fqdn",
			json_textf("%s.%s.%s", now, p->location, DNS_SUFFIX));
	if (text_equal(before, now))
		return 0;
	if (*before)
		arm_unclaim(p, CLAIM_DNS, arena_printf(p->s->arena, "%s.%s", before, p->location));
	const char *name = arena_printf(p->s->arena, "%s.%s", now, p->location);

	if (*now && arm_claim(p, NULL, CLAIM_DNS, name, NULL) < 0)
		return arm_refuse_at(p->s->error, 400, "DnsRecordInUse", LABEL,
				     "DNS record %s.%s is already used by another public IP.", name,
				     DNS_SUFFIX);
	return 0;
}

static int
sku_check(struct arm_plan *p)
{
	bool is_standard = text_equal(arm_str(p->want->body, "sku.name", ""), "Standard");
	bool was_standard = p->have &&
			    text_equal(arm_str(p->have->body, "sku.name", ""), "Standard");

	if (is_standard && !is_static(p->want->body))
		return arm_refuse_at(p->s->error, 400, "StandardSkuPublicIPAddressMustBeStatic",
				     METHOD,
				     "A public IP address of SKU Standard has the allocation "
				     "method Static.");
	if (p->have && was_standard && !is_standard)
		return arm_refuse_at(p->s->error, 400, "PropertyChangeNotAllowed", "sku.name",
				     "A Standard public IP address cannot become Basic.");
	if (!is_standard && text_equal(arm_str(p->want->body, "sku.tier", ""), "Global"))
		return arm_refuse_at(p->s->error, 400, "InvalidParameter", "sku.tier",
				     "The Global tier needs the SKU Standard.");
	return 0;
}

static int
public_ip_plan(struct arm_plan *p)
{
	if (p->verb != ARM_VERB_CREATE && p->verb != ARM_VERB_UPDATE)
		return 0;
	bool is_used = arm_claim_owner(p->s, CLAIM_USE, arm_id_fold(p->s->arena, p->want->id)) !=
		       NULL;
	int r = sku_check(p);

	if (r == 0)
		r = dns_settle(p);
	if (r < 0)
		return r;
	guid_ensure(p);
	if (!*arm_str(p->want->body, ADDRESS, "") && (is_static(p->want->body) || is_used))
		return address_take(p, p->want);
	if (!is_static(p->want->body) && !is_used)
		address_return(p, p->want);
	return 0;
}

static int
public_ip_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	const char *user =
		reverse_one(s, r->fold, "properties.ipConfigurations.properties.publicIPAddress");

	if (user)
		arm_set(out, "properties.ipConfiguration", json_reference(user));
	return 0;
}

/* No plan protects addresses here; said so in the API's words. */
static int
ddos_status(struct arm_call *c)
{
	c->result = json_pack("{s:s, s:s, s:s}", "publicIpAddressId", c->r->id, "publicIpAddress",
			      arm_str(c->r->body, ADDRESS, ""), "isWorkloadProtected", "False");
	return 0;
}

static const struct arm_action public_ip_actions[] = {
	{ .name = "ddosProtectionStatus", .method = ARM_POST, .run = ddos_status },
	{ 0 },
};

int
dns_name_available(struct arm_call *c)
{
	const char *label = arm_call_query(c, "domainNameLabel");
	struct err e;

	if (!label)
		return arm_refuse_at(c->s->error, 400, "InvalidParameter", "domainNameLabel",
				     "The query parameter domainNameLabel is required.");
	if (label_check(label, &e) < 0)
		return arm_refuse_at(c->s->error, 400, "InvalidDomainNameLabel", "domainNameLabel",
				     "'%s' %s.", label, e.text);
	const char *name = arena_printf(c->s->arena, "%s.%s", label,
					arm_id_fold(c->s->arena, c->n_args ? c->args[0] : ""));

	c->result = json_pack("{s:b}", "available", !arm_claim_owner(c->s, CLAIM_DNS, name));
	return 0;
}

/* clang-format off */
static const struct arm_prop public_ip_top[] = {
	{ .name = "sku", .kind = ARM_OBJECT, .def = "{\"name\":\"Basic\",\"tier\":\"Regional\"}",
	  .props = (const struct arm_prop[]){
		{ .name = "name", .kind = ARM_STRING, .words = (const char *const[]){ "Basic", "Standard", NULL },
		  .def = "\"Basic\"" },
		{ .name = "tier", .kind = ARM_STRING, .words = (const char *const[]){ "Regional", "Global", NULL },
		  .def = "\"Regional\"" },
		{ 0 } } },
	{ .name = "zones", .kind = ARM_LIST, .item = ARM_STRING, .max = 3 },
	{ 0 },
};

static const struct arm_prop public_ip_props[] = {
	{ .name = "publicIPAllocationMethod", .kind = ARM_STRING,
	  .words = (const char *const[]){ "Dynamic", "Static", NULL }, .def = "\"Dynamic\"" },
	{ .name = "publicIPAddressVersion", .kind = ARM_STRING, .flags = ARM_FIXED | ARM_KEEP,
	  .words = (const char *const[]){ "IPv4", "IPv6", NULL }, .def = "\"IPv4\"" },
	{ .name = "idleTimeoutInMinutes", .kind = ARM_INT, .min = 4, .max = 30, .def = "4" },
	{ .name = "ipAddress", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "ipConfiguration", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "dnsSettings", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "domainNameLabel", .kind = ARM_STRING, .check = label_check, .max = 63 },
		{ .name = "domainNameLabelScope", .kind = ARM_STRING,
		  .words = (const char *const[]){ "TenantReuse", "SubscriptionReuse", "ResourceGroupReuse", "NoReuse", NULL } },
		{ .name = "fqdn", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
		{ .name = "reverseFqdn", .kind = ARM_STRING, .max = 255 },
		{ 0 } } },
	{ .name = "ddosSettings", .kind = ARM_OBJECT,
	  .props = (const struct arm_prop[]){
		{ .name = "protectionMode", .kind = ARM_STRING,
		  .words = (const char *const[]){ "VirtualNetworkInherited", "Enabled", "Disabled", NULL } },
		{ .name = "ddosProtectionPlan", .kind = ARM_REF, .flags = ARM_LOOSE },
		{ 0 } } },
	{ .name = "ipTags", .kind = ARM_LIST, .item = ARM_OBJECT, .max = 50, .def = "[]",
	  .props = (const struct arm_prop[]){
		{ .name = "ipTagType", .kind = ARM_STRING },
		{ .name = "tag", .kind = ARM_STRING },
		{ 0 } } },
	{ .name = "publicIPPrefix", .kind = ARM_REF, .ref_type = "Microsoft.Network/publicIPPrefixes" },
	{ .name = "natGateway", .kind = ARM_REF, .flags = ARM_READ_ONLY },
	{ .name = "servicePublicIPAddress", .kind = ARM_REF, .flags = ARM_LOOSE },
	{ .name = "linkedPublicIPAddress", .kind = ARM_REF, .flags = ARM_LOOSE },
	{ .name = "migrationPhase", .kind = ARM_STRING,
	  .words = (const char *const[]){ "None", "Prepare", "Commit", "Abort", "Committed", NULL } },
	{ .name = "deleteOption", .kind = ARM_STRING, .words = (const char *const[]){ "Delete", "Detach", NULL } },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type public_ip_type = {
	.ns = "Microsoft.Network",
	.name = "publicIPAddresses",
	.flags = ARM_TRACKED,
	.top = public_ip_top,
	.props = public_ip_props,
	.actions = public_ip_actions,
	.in_use_code = "PublicIPAddressCannotBeDeleted",
	.in_use_status = 400,
	.plan = public_ip_plan,
	.view = public_ip_view,
};
