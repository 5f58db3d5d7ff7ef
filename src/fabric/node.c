/* Node objects from JSON and back. Both directions are driven by one table of fields per kind, so
 * what is read, what is written and what node.h promises cannot drift apart. */
#include "fabric/node.h"

#include "base/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <net/if.h>

static_assert(NODE_DEV_MAX == IFNAMSIZ - 1, "device names");

static const char *const kind_names[NODE_KINDS] = { "node",   "fabricPeer", "port", "circuit",
						    "domain", "vnet",       "nic" };
static const char *const role_words[] = { "edge", "host", NULL };
static const char *const peering_words[] = { "private", "public", "microsoft", NULL };
static const char *const encapsulation_words[] = { "qinq", NULL };

const char *
node_kind_name(enum node_kind k)
{
	return kind_names[k];
}

const char *
node_peering_name(enum node_peering p)
{
	return peering_words[p];
}

/* ---- The fields ---- */

enum field_type {
	F_INT,       /* unsigned of size bytes, min..max */
	F_BOOL,      /* bool */
	F_WORD,      /* enum: index into words */
	F_CHECK,     /* one of words, not stored */
	F_TEXT,      /* const char *, at most max bytes */
	F_CHARS,     /* char[max + 1] */
	F_DEVICE,    /* char[NODE_DEV_MAX + 1], a legal interface name */
	F_ADDR,      /* struct addr */
	F_LINK_ADDR, /* struct addr and, at other, the length */
	F_MAC,
	F_BFD,
	F_NUMBERS, /* array of struct fabric_number; count at other */
	F_PREFIXES,
	F_ADDRS,
	F_SUBNETS,
	F_CONNECTIONS,
};

struct field {
	const char *name;
	enum field_type type;
	size_t at, size, other;
	bool is_required;
	int64_t min, max;
	const char *const *words;
};

#define AT(m) .at = offsetof(struct node_object, m), .size = sizeof(((struct node_object *)0)->m)
#define OTHER(m) .other = offsetof(struct node_object, m)
#define NEEDED .is_required = true

/* clang-format off */
static const struct field self_fields[] = {
	{ "role", F_WORD, AT(self.role), NEEDED, .words = role_words },
	{ "number", F_INT, AT(self.number), NEEDED, .min = 1, .max = 4094 },
	{ "underlay", F_ADDR, AT(self.underlay), NEEDED },
	{ "fabricAs", F_INT, AT(self.fabric_as), .min = 1, .max = 65535 },
	{ "customerAs", F_INT, AT(self.customer_as), .min = 1, .max = UINT32_MAX },
	{ "fabricDev", F_DEVICE, AT(self.fabric_dev) },
	{ "fabricMinTtl", F_INT, AT(self.fabric_min_ttl), .max = 255 },
	{ "vswitchMac", F_MAC, AT(self.vswitch_mac) },
	{ 0 }
};
static const struct field fabric_peer_fields[] = {
	{ "role", F_WORD, AT(fabric_peer.role), NEEDED, .words = role_words },
	{ "number", F_INT, AT(fabric_peer.number), NEEDED, .min = 1, .max = 4094 },
	{ "underlay", F_ADDR, AT(fabric_peer.underlay), NEEDED },
	{ "md5", F_CHARS, AT(fabric_peer.md5), .max = NODE_MD5_MAX },
	{ "pair", F_BOOL, AT(fabric_peer.is_pair) },
	{ "client", F_BOOL, AT(fabric_peer.is_client) },
	{ "bfd", F_BFD, AT(fabric_peer.bfd) },
	{ 0 }
};
static const struct field port_fields[] = {
	{ "dev", F_DEVICE, AT(port.dev), NEEDED },
	{ "index", F_INT, AT(port.index), .min = 1, .max = 15 },
	{ "encapsulation", F_CHECK, .words = encapsulation_words },
	{ 0 }
};
static const struct field circuit_fields[] = {
	{ "port", F_TEXT, AT(circuit.port), NEEDED, .min = 1, .max = NODE_KEY_MAX },
	{ "sTag", F_INT, AT(circuit.s_tag), NEEDED, .min = 1, .max = 4094 },
	{ "bandwidthMbps", F_INT, AT(circuit.bandwidth_mbps), NEEDED, .min = 1, .max = 400000 },
	{ "enabled", F_BOOL, AT(circuit.is_enabled) },
	{ "resourceId", F_TEXT, AT(circuit.resource_id), .max = 1024 },
	{ 0 }
};
static const struct field domain_fields[] = {
	{ "number", F_INT, AT(domain.number), NEEDED, .min = 1, .max = FABRIC_NUMBER_MAX },
	{ "generation", F_INT, AT(domain.generation), .max = FABRIC_GENERATION_MAX },
	{ "circuit", F_TEXT, AT(domain.circuit), NEEDED, .min = 1, .max = NODE_KEY_MAX },
	{ "peeringType", F_WORD, AT(domain.peering), NEEDED, .words = peering_words },
	{ "cTag", F_INT, AT(domain.c_tag), NEEDED, .min = 1, .max = 4094 },
	{ "localAddress", F_LINK_ADDR, AT(domain.local), OTHER(domain.link_len), NEEDED },
	{ "peerAddress", F_ADDR, AT(domain.peer), NEEDED },
	{ "peerAs", F_INT, AT(domain.peer_as), NEEDED, .min = 1, .max = UINT32_MAX },
	{ "md5", F_CHARS, AT(domain.md5), .max = NODE_MD5_MAX },
	{ "holdTime", F_INT, AT(domain.hold_time), .min = 3, .max = 65535 },
	{ "bfd", F_BFD, AT(domain.bfd) },
	{ "maxPrefixes", F_INT, AT(domain.max_prefixes), .max = 10000000 },
	{ "vnets", F_NUMBERS, AT(domain.vnets), OTHER(domain.n_vnets) },
	{ "reach", F_NUMBERS, AT(domain.reach), OTHER(domain.n_reach) },
	{ "enabled", F_BOOL, AT(domain.is_enabled) },
	{ "resourceId", F_TEXT, AT(domain.resource_id), .max = 1024 },
	{ 0 }
};
static const struct field vnet_fields[] = {
	{ "number", F_INT, AT(vnet.number), NEEDED, .min = 1, .max = FABRIC_NUMBER_MAX },
	{ "generation", F_INT, AT(vnet.generation), .max = FABRIC_GENERATION_MAX },
	{ "addressPrefixes", F_PREFIXES, AT(vnet.prefixes), OTHER(vnet.n_prefixes), NEEDED, .min = 1 },
	{ "subnets", F_SUBNETS, AT(vnet.subnets), OTHER(vnet.n_subnets) },
	{ "connections", F_CONNECTIONS, AT(vnet.connections), OTHER(vnet.n_connections) },
	{ "resourceId", F_TEXT, AT(vnet.resource_id), .max = 1024 },
	{ 0 }
};
static const struct field nic_fields[] = {
	{ "vnet", F_INT, AT(nic.vnet), NEEDED, .min = 1, .max = FABRIC_NUMBER_MAX },
	{ "addresses", F_ADDRS, AT(nic.addresses), OTHER(nic.n_addresses), NEEDED, .min = 1 },
	{ "mac", F_MAC, AT(nic.mac), NEEDED },
	{ "node", F_TEXT, AT(nic.node), NEEDED, .min = 1, .max = NODE_KEY_MAX },
	{ "device", F_DEVICE, AT(nic.device) },
	{ "resourceId", F_TEXT, AT(nic.resource_id), .max = 1024 },
	{ 0 }
};
/* clang-format on */

static const struct field *const fields_of[NODE_KINDS] = {
	self_fields,   fabric_peer_fields, port_fields, circuit_fields,
	domain_fields, vnet_fields,        nic_fields,
};

static const struct node_bfd bfd_default = { true, 300, 300, 3 };

static void
set_defaults(struct node_object *o)
{
	switch (o->kind) {
	case NODE_SELF:
		o->self.fabric_as = 12076;
		o->self.fabric_min_ttl = 250;
		snprintf(o->self.fabric_dev, sizeof(o->self.fabric_dev), "fabric0");
		o->self.vswitch_mac = (struct mac){ { 0x02, 0x77, 0x6c, 0x00, 0x00, 0x01 } };
		break;
	case NODE_FABRIC_PEER:
		o->fabric_peer.bfd = bfd_default;
		break;
	case NODE_CIRCUIT:
		o->circuit.is_enabled = true;
		o->circuit.resource_id = "";
		break;
	case NODE_DOMAIN:
		o->domain.is_enabled = true;
		o->domain.hold_time = 180;
		o->domain.bfd = bfd_default;
		o->domain.max_prefixes = 4000;
		o->domain.resource_id = "";
		break;
	case NODE_VNET:
		o->vnet.resource_id = "";
		break;
	case NODE_NIC:
		o->nic.resource_id = "";
		break;
	case NODE_PORT:
		o->port.index = 1;
		break;
	case NODE_KINDS:
		break;
	}
}

/* ---- Values in ---- */

static int
read_integer(const json_t *v, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
		return err_set(e, -EINVAL, "must be a whole number %" PRId64 "..%" PRId64, min,
			       max);
	*ret = json_integer_value(v);
	return 0;
}

static int
read_text(const json_t *v, size_t min, size_t max, struct err *e)
{
	if (!json_is_string(v))
		return err_set(e, -EINVAL, "must be text");
	if (json_string_length(v) < min || json_string_length(v) > max)
		return err_set(e, -EINVAL, "must have %zu to %zu characters", min, max);
	if (strlen(json_string_value(v)) != json_string_length(v))
		return err_set(e, -EINVAL, "must not contain NUL");
	return 0;
}

static int
read_device(const json_t *v, char *out, struct err *e)
{
	const char *s;
	int r = read_text(v, 1, NODE_DEV_MAX, e);

	if (r < 0)
		return r;
	s = json_string_value(v);
	if (!strcmp(s, ".") || !strcmp(s, "..") || strpbrk(s, "/: \t\n"))
		return err_set(e, -EINVAL, "is not a legal interface name");
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int
read_word(const json_t *v, const char *const *words, unsigned *ret, struct err *e)
{
	char all[100] = "";
	size_t n = 0;

	for (unsigned i = 0; words[i]; i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), words[i])) {
			*ret = i;
			return 0;
		}
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s\"%s\"", i ? ", " : "",
				      words[i]);
	}
	return err_set(e, -EINVAL, "must be one of %s", all);
}

static int
read_addr(const json_t *v, struct addr *ret, struct err *e)
{
	int r = read_text(v, 1, ADDR_TEXT, e);

	return r < 0 ? r : addr_parse(json_string_value(v), ret, e);
}

static int
read_prefix(const json_t *v, struct prefix *ret, struct err *e)
{
	int r = read_text(v, 1, PREFIX_TEXT, e);

	return r < 0 ? r : prefix_parse(json_string_value(v), ret, e);
}

/* "172.16.0.2/30": an address with the length of its subnet. */
static int
read_link_addr(const json_t *v, struct addr *ret, uint8_t *ret_len, struct err *e)
{
	const char *s, *slash;
	char text[ADDR_TEXT] = "", *end;
	unsigned long len;
	int r = read_text(v, 1, PREFIX_TEXT, e);

	if (r < 0)
		return r;
	s = json_string_value(v);
	slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= sizeof(text) || slash[1] < '0' || slash[1] > '9')
		return err_set(e, -EINVAL, "must be ADDRESS/LENGTH");
	memcpy(text, s, (size_t)(slash - s));
	r = addr_parse(text, ret, e);
	if (r < 0)
		return r;
	len = strtoul(slash + 1, &end, 10);
	if (*end || len < 8 || len > addr_bits(ret) - 1)
		return err_set(e, -EINVAL, "length must be 8..%u", addr_bits(ret) - 1);
	*ret_len = (uint8_t)len;
	return 0;
}

static int
check_members(const json_t *v, const char *const *names, struct err *e)
{
	const char *key;
	json_t *x;

	if (!json_is_object(v))
		return err_set(e, -EINVAL, "must be an object");
	json_object_foreach((json_t *)v, key, x) {
		unsigned i = 0;

		while (names[i] && strcmp(names[i], key))
			i++;
		if (!names[i])
			return err_set(e, -EINVAL, "has an unknown field \"%.60s\"", key);
	}
	return 0;
}

static int
read_member(const json_t *v, const char *name, int64_t min, int64_t max, int64_t *io, struct err *e)
{
	const json_t *x = json_object_get(v, name);
	int r;

	if (!x)
		return 0;
	r = read_integer(x, min, max, io, e);
	return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

static int
read_bfd(const json_t *v, struct node_bfd *ret, struct err *e)
{
	static const char *const names[] = { "minTxMs", "minRxMs", "multiplier", NULL };
	int64_t tx = bfd_default.min_tx_ms, rx = bfd_default.min_rx_ms,
		mult = bfd_default.multiplier;
	int r;

	if (json_is_null(v)) {
		*ret = (struct node_bfd){ 0 };
		return 0;
	}
	if ((r = check_members(v, names, e)) < 0 ||
	    (r = read_member(v, "minTxMs", 10, 60000, &tx, e)) < 0 ||
	    (r = read_member(v, "minRxMs", 10, 60000, &rx, e)) < 0 ||
	    (r = read_member(v, "multiplier", 1, 50, &mult, e)) < 0)
		return r;
	*ret = (struct node_bfd){ true, (uint16_t)tx, (uint16_t)rx, (uint8_t)mult };
	return 0;
}

static int
read_subnet(struct arena *a, const json_t *v, struct node_subnet *ret, struct err *e)
{
	static const char *const names[] = { "name", "prefix", NULL };
	const json_t *x;
	int r;

	if ((r = check_members(v, names, e)) < 0)
		return r;
	if ((x = json_object_get(v, "name")) == NULL)
		return err_set(e, -EINVAL, "name is missing");
	if ((r = read_text(x, 1, NODE_KEY_MAX, e)) < 0)
		return err_wrap(e, r, "name");
	ret->name = arena_strdup(a, json_string_value(x));
	if ((x = json_object_get(v, "prefix")) == NULL)
		return err_set(e, -EINVAL, "prefix is missing");
	r = read_prefix(x, &ret->prefix, e);
	return r < 0 ? err_wrap(e, r, "prefix") : 0;
}

static int
read_connection(const json_t *v, struct node_connection *ret, struct err *e)
{
	static const char *const names[] = { "domain", "routingWeight", NULL };
	int64_t domain = 0, weight = 0;
	int r;

	if ((r = check_members(v, names, e)) < 0 ||
	    (r = read_member(v, "domain", 1, FABRIC_NUMBER_MAX, &domain, e)) < 0 ||
	    (r = read_member(v, "routingWeight", 0, 32000, &weight, e)) < 0)
		return r;
	if (!domain)
		return err_set(e, -EINVAL, "domain is missing");
	*ret = (struct node_connection){ { (uint32_t)domain }, (uint32_t)weight };
	return 0;
}

static size_t
element_size(enum field_type t)
{
	switch (t) {
	case F_NUMBERS:
		return sizeof(struct fabric_number);
	case F_PREFIXES:
		return sizeof(struct prefix);
	case F_ADDRS:
		return sizeof(struct addr);
	case F_SUBNETS:
		return sizeof(struct node_subnet);
	case F_CONNECTIONS:
		return sizeof(struct node_connection);
	default:
		return 0;
	}
}

static int
read_element(struct arena *a, enum field_type t, const json_t *v, void *out, struct err *e)
{
	int64_t n;
	int r;

	switch (t) {
	case F_NUMBERS:
		r = read_integer(v, 1, FABRIC_NUMBER_MAX, &n, e);
		if (r == 0)
			((struct fabric_number *)out)->v = (uint32_t)n;
		return r;
	case F_PREFIXES:
		return read_prefix(v, out, e);
	case F_ADDRS:
		return read_addr(v, out, e);
	case F_SUBNETS:
		return read_subnet(a, v, out, e);
	default:
		return read_connection(v, out, e);
	}
}

static int
read_list(struct node_object *o, const struct field *f, const json_t *v, struct err *e)
{
	size_t n = json_array_size(v), size = element_size(f->type);
	char *list;

	if (!json_is_array(v))
		return err_set(e, -EINVAL, "must be a list");
	if (n > NODE_LIST_MAX || n < (size_t)f->min)
		return err_set(e, -EINVAL, "must have %d to %d elements", (int)f->min,
			       NODE_LIST_MAX);
	list = arena_alloc(&o->arena, n * size + 1);
	for (size_t i = 0; i < n; i++) {
		int r = read_element(&o->arena, f->type, json_array_get(v, i), list + i * size, e);

		if (r < 0)
			return err_wrap(e, r, "[%zu]", i);
	}
	*(char **)((char *)o + f->at) = list;
	*(unsigned *)((char *)o + f->other) = (unsigned)n;
	return 0;
}

static void
store_integer(void *p, size_t size, int64_t n)
{
	if (size == 1)
		*(uint8_t *)p = (uint8_t)n;
	else if (size == 2)
		*(uint16_t *)p = (uint16_t)n;
	else
		*(uint32_t *)p = (uint32_t)n;
}

static int64_t
load_integer(const void *p, size_t size)
{
	if (size == 1)
		return *(const uint8_t *)p;
	if (size == 2)
		return *(const uint16_t *)p;
	return *(const uint32_t *)p;
}

static int
read_field(struct node_object *o, const struct field *f, const json_t *v, struct err *e)
{
	char *p = (char *)o + f->at;
	unsigned word = 0;
	int64_t n;
	int r;

	switch (f->type) {
	case F_INT:
		r = read_integer(v, f->min, f->max, &n, e);
		if (r == 0)
			store_integer(p, f->size, n);
		return r;
	case F_BOOL:
		if (!json_is_boolean(v))
			return err_set(e, -EINVAL, "must be true or false");
		*(bool *)p = json_is_true(v);
		return 0;
	case F_WORD:
	case F_CHECK:
		r = read_word(v, f->words, &word, e);
		if (r == 0 && f->type == F_WORD)
			*(unsigned *)p = word;
		return r;
	case F_TEXT:
		r = read_text(v, (size_t)f->min, (size_t)f->max, e);
		if (r == 0)
			*(const char **)p = arena_strdup(&o->arena, json_string_value(v));
		return r;
	case F_CHARS:
		r = read_text(v, 0, (size_t)f->max, e);
		if (r == 0)
			memcpy(p, json_string_value(v), json_string_length(v) + 1);
		return r;
	case F_DEVICE:
		return read_device(v, p, e);
	case F_ADDR:
		return read_addr(v, (struct addr *)p, e);
	case F_LINK_ADDR:
		return read_link_addr(v, (struct addr *)p, (uint8_t *)o + f->other, e);
	case F_MAC:
		r = read_text(v, 1, MAC_TEXT, e);
		return r < 0 ? r : mac_parse(json_string_value(v), (struct mac *)p, e);
	case F_BFD:
		return read_bfd(v, (struct node_bfd *)p, e);
	default:
		return read_list(o, f, v, e);
	}
}

/* ---- Rules inside one object ---- */

static int
check_domain(const struct node_domain *d, struct err *e)
{
	struct prefix link = prefix_make(&d->local, d->link_len);

	if (d->local.family != d->peer.family || !prefix_contains(&link, &d->peer))
		return err_set(e, -EINVAL, "peerAddress: must lie in the subnet of localAddress");
	if (addr_equal(&d->local, &d->peer))
		return err_set(e, -EINVAL, "peerAddress: must differ from localAddress");
	return 0;
}

static int
check_vnet(const struct node_vnet *v, struct err *e)
{
	for (unsigned i = 0; i < v->n_prefixes; i++)
		for (unsigned k = 0; k < i; k++)
			if (prefix_overlaps(&v->prefixes[i], &v->prefixes[k]))
				return err_set(e, -EINVAL, "addressPrefixes: [%u] and [%u] overlap",
					       k, i);
	for (unsigned i = 0; i < v->n_subnets; i++) {
		unsigned k = 0;

		while (k < v->n_prefixes && !prefix_covers(&v->prefixes[k], &v->subnets[i].prefix))
			k++;
		if (k == v->n_prefixes)
			return err_set(e, -EINVAL, "subnets: [%u] is outside addressPrefixes", i);
		for (k = 0; k < i; k++)
			if (prefix_overlaps(&v->subnets[i].prefix, &v->subnets[k].prefix))
				return err_set(e, -EINVAL, "subnets: [%u] and [%u] overlap", k, i);
	}
	return 0;
}

static int
check_object(struct node_object *o, struct err *e)
{
	switch (o->kind) {
	case NODE_SELF:
		if (!o->self.customer_as.v)
			o->self.customer_as.v = o->self.fabric_as;
		if (o->self.underlay.family != NET_V4)
			return err_set(e, -EINVAL, "underlay: must be an IPv4 address");
		return 0;
	case NODE_FABRIC_PEER:
		if (o->fabric_peer.underlay.family != NET_V4)
			return err_set(e, -EINVAL, "underlay: must be an IPv4 address");
		return 0;
	case NODE_DOMAIN:
		return check_domain(&o->domain, e);
	case NODE_VNET:
		return check_vnet(&o->vnet, e);
	default:
		return 0;
	}
}

static int
read_body(struct node_object *o, const json_t *body, struct err *e)
{
	const struct field *fields;
	const char *names[24];
	unsigned n = 0;
	int r;

	assert(o->kind < NODE_KINDS);
	fields = fields_of[o->kind];
	for (const struct field *f = fields; f->name; f++)
		names[n++] = f->name;
	assert(n < COUNT(names));
	names[n] = NULL;
	if (!body)
		return err_set(e, -EINVAL, "body is missing");
	if ((r = check_members(body, names, e)) < 0)
		return err_wrap(e, r, "body");
	set_defaults(o);
	for (const struct field *f = fields; f->name; f++) {
		const json_t *v = json_object_get(body, f->name);

		if (!v && f->is_required)
			return err_set(e, -EINVAL, "%s: is missing", f->name);
		r = v ? read_field(o, f, v, e) : 0;
		if (r < 0)
			return err_wrap(e, r, "%s", f->name);
	}
	return check_object(o, e);
}

static int
read_head(struct node_object *o, const json_t *v, struct err *e)
{
	static const char *const names[] = { "kind", "key", "rev", "body", "deleted", NULL };
	const json_t *key = json_object_get(v, "key"), *rev = json_object_get(v, "rev");
	const json_t *deleted = json_object_get(v, "deleted");
	unsigned kind;
	int r = check_members(v, names, e);

	if (r < 0)
		return err_wrap(e, r, "object");
	if (!json_is_string(json_object_get(v, "kind")))
		return err_set(e, -EINVAL, "object: kind is missing");
	for (kind = 0; kind < NODE_KINDS; kind++)
		if (!strcmp(kind_names[kind], json_string_value(json_object_get(v, "kind"))))
			break;
	if (kind == NODE_KINDS)
		return err_set(e, -EINVAL, "object: kind \"%.40s\" is not known",
			       json_string_value(json_object_get(v, "kind")));
	o->kind = (enum node_kind)kind;
	if (!key)
		return err_set(e, -EINVAL, "%s: key is missing", kind_names[kind]);
	if ((r = read_text(key, 1, NODE_KEY_MAX, e)) < 0)
		return err_wrap(e, r, "%s: key", kind_names[kind]);
	o->key = arena_strdup(&o->arena, json_string_value(key));
	if (rev && (!json_is_integer(rev) || json_integer_value(rev) < 0))
		return err_set(e, -EINVAL, "%s %s: rev: must be a whole number", kind_names[kind],
			       o->key);
	o->rev = rev ? (uint64_t)json_integer_value(rev) : 0;
	if (deleted && !json_is_boolean(deleted))
		return err_set(e, -EINVAL, "%s %s: deleted: must be true or false",
			       kind_names[kind], o->key);
	o->is_deleted = json_is_true(deleted);
	return 0;
}

int
node_object_from_json(const struct json_t *v, struct node_object **ret, struct err *e)
{
	AUTO(node_object) o = mem_alloc(sizeof(*o));
	int r;

	o->refs = 1;
	r = read_head(o, v, e);
	if (r < 0)
		return r;
	if (o->is_deleted && json_object_get(v, "body"))
		r = err_set(e, -EINVAL, "body: not allowed in a deleted object");
	else if (!o->is_deleted)
		r = read_body(o, json_object_get(v, "body"), e);
	if (r < 0)
		return err_wrap(e, r, "%s %s", kind_names[o->kind], o->key);
	*ret = TAKE(o);
	return 0;
}

int
node_object_parse(const char *json, size_t n, struct node_object **ret, struct err *e)
{
	json_error_t je;
	json_t *v;
	int r;

	if (n > NODE_OBJECT_BYTES)
		return err_set(e, -EMSGSIZE, "object: more than %d bytes", NODE_OBJECT_BYTES);
	v = json_loadb(json, n, JSON_REJECT_DUPLICATES, &je);
	if (!v)
		return err_set(e, -EBADMSG, "line %d, column %d: %s", je.line, je.column, je.text);
	r = node_object_from_json(v, ret, e);
	json_decref(v);
	return r;
}

void
node_object_destroy(struct node_object *o)
{
	if (!o || --o->refs)
		return;
	arena_reset(&o->arena);
	mem_wipe(o, sizeof(*o));
	free(o);
}

struct node_object *
node_object_ref(const struct node_object *o)
{
	struct node_object *x = (struct node_object *)o;

	x->refs++;
	return x;
}

/* ---- Values out ---- */

static json_t *
write_bfd(const struct node_bfd *b)
{
	if (!b->enabled)
		return json_null();
	return json_pack("{sisisi}", "minTxMs", b->min_tx_ms, "minRxMs", b->min_rx_ms, "multiplier",
			 b->multiplier);
}

static json_t *
write_element(enum field_type t, const void *p)
{
	char text[PREFIX_TEXT];
	const struct node_connection *c = p;
	const struct node_subnet *s = p;

	switch (t) {
	case F_NUMBERS:
		return json_integer(((const struct fabric_number *)p)->v);
	case F_PREFIXES:
		return json_string(prefix_format(p, text));
	case F_ADDRS:
		return json_string(addr_format(p, text));
	case F_SUBNETS:
		return json_pack("{ssss}", "name", s->name, "prefix",
				 prefix_format(&s->prefix, text));
	default:
		return json_pack("{sisi}", "domain", (int)c->domain.v, "routingWeight",
				 (int)c->routing_weight);
	}
}

static json_t *
write_field(const struct node_object *o, const struct field *f)
{
	const char *p = (const char *)o + f->at;
	char text[PREFIX_TEXT + 8], addr[ADDR_TEXT];
	json_t *list;

	switch (f->type) {
	case F_INT:
		return json_integer(load_integer(p, f->size));
	case F_BOOL:
		return json_boolean(*(const bool *)p);
	case F_WORD:
		return json_string(f->words[*(const unsigned *)p]);
	case F_CHECK:
		return json_string(f->words[0]);
	case F_TEXT:
		return json_string(*(const char *const *)p);
	case F_CHARS:
	case F_DEVICE:
		return *p ? json_string(p) : NULL;
	case F_ADDR:
		return json_string(addr_format((const struct addr *)p, addr));
	case F_LINK_ADDR:
		snprintf(text, sizeof(text), "%s/%u", addr_format((const struct addr *)p, addr),
			 ((const uint8_t *)o)[f->other]);
		return json_string(text);
	case F_MAC:
		return json_string(mac_format((const struct mac *)p, text));
	case F_BFD:
		return write_bfd((const struct node_bfd *)p);
	default:
		list = json_array();
		for (unsigned i = 0; i < *(const unsigned *)((const char *)o + f->other); i++)
			json_array_append_new(
				list, write_element(f->type, *(const char *const *)p +
								     i * element_size(f->type)));
		return list;
	}
}

struct json_t *
node_object_encode(const struct node_object *o)
{
	json_t *v = json_pack("{sssssI}", "kind", kind_names[o->kind], "key", o->key, "rev",
			      (json_int_t)o->rev);
	json_t *body;

	if (o->is_deleted) {
		json_object_set_new(v, "deleted", json_true());
		return v;
	}
	body = json_object();
	for (const struct field *f = fields_of[o->kind]; f->name; f++) {
		json_t *x = write_field(o, f);

		if (x)
			json_object_set_new(body, f->name, x);
	}
	json_object_set_new(v, "body", body);
	return v;
}

bool
node_object_equal(const struct node_object *a, const struct node_object *b)
{
	json_t *x, *y;
	bool same;

	if (a->kind != b->kind || a->is_deleted != b->is_deleted || strcmp(a->key, b->key))
		return false;
	x = node_object_encode(a);
	y = node_object_encode(b);
	json_object_del(x, "rev");
	json_object_del(y, "rev");
	same = json_equal(x, y);
	json_decref(x);
	json_decref(y);
	return same;
}
