/* A node's whole config: its objects sorted by kind and key, the rules between them, and the
 * difference between two configs. */
#include "base/map.h"
#include "base/mem.h"
#include "fabric/node.h"

#include <jansson.h>

struct node_config {
	struct node_object **objects; /* sorted */
	size_t n, cap;
};

struct node_config *
node_config_create(void)
{
	return mem_alloc(sizeof(struct node_config));
}

void
node_config_destroy(struct node_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		node_object_destroy(c->objects[i]);
	free(c->objects);
	free(c);
}

static int
compare(const struct node_object *o, enum node_kind k, const char *key)
{
	return o->kind != k ? (o->kind < k ? -1 : 1) : strcmp(o->key, key);
}

/* Index of the first object not before (k, key). */
static size_t
find(const struct node_config *c, enum node_kind k, const char *key)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(c->objects[mid], k, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct node_config *
node_config_copy(const struct node_config *c)
{
	struct node_config *x = node_config_create();

	x->n = x->cap = c->n;
	x->objects = mem_array(c->n, sizeof(c->objects[0]));
	for (size_t i = 0; i < c->n; i++)
		x->objects[i] = node_object_ref(c->objects[i]);
	return x;
}

void
node_config_remove(struct node_config *c, enum node_kind k, const char *key)
{
	size_t at = find(c, k, key);
	struct node_object *o = at < c->n ? c->objects[at] : NULL;

	if (!o || compare(o, k, key))
		return;
	memmove(c->objects + at, c->objects + at + 1, (c->n - at - 1) * sizeof(c->objects[0]));
	c->n--;
	node_object_destroy(o);
}

void
node_config_put(struct node_config *c, struct node_object *o)
{
	size_t at;

	if (o->is_deleted) {
		node_config_remove(c, o->kind, o->key);
		node_object_destroy(o);
		return;
	}
	at = find(c, o->kind, o->key);
	if (at < c->n && !compare(c->objects[at], o->kind, o->key)) {
		node_object_destroy(c->objects[at]);
		c->objects[at] = o;
		return;
	}
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 32;
		c->objects = mem_realloc(c->objects, c->cap * sizeof(c->objects[0]));
	}
	memmove(c->objects + at + 1, c->objects + at, (c->n - at) * sizeof(c->objects[0]));
	c->n++;
	c->objects[at] = o;
}

const struct node_object *
node_config_get(const struct node_config *c, enum node_kind k, const char *key)
{
	size_t at = find(c, k, key);

	return at < c->n && !compare(c->objects[at], k, key) ? c->objects[at] : NULL;
}

const struct node_self *
node_config_self(const struct node_config *c)
{
	return c->n && c->objects[0]->kind == NODE_SELF ? &c->objects[0]->self : NULL;
}

size_t
node_config_count(const struct node_config *c, enum node_kind k)
{
	return find(c, (enum node_kind)(k + 1), "") - find(c, k, "");
}

const struct node_object *
node_config_next(const struct node_config *c, struct node_config_iter *it)
{
	return it->at < c->n ? c->objects[it->at++] : NULL;
}

/* ---- Rules between objects ---- */

struct checker {
	const struct node_config *c;
	struct map numbers; /* "n<number>": domain or vnet */
	struct map nodes;   /* "<number>": node or fabricPeer */
	struct map tags;    /* "port s" and "circuit c": circuit or domain */
	struct map addrs;   /* "vnet address": nic */
};

/* Claims text for o; the other claimant's key in the error. */
static int
claim(struct map *m, const struct node_object *o, const char *what, const char *text, struct err *e)
{
	const struct node_object *other = map_get_str(m, text);

	if (other)
		return err_set(e, -EEXIST, "%s: already used by %s %s", what,
			       node_kind_name(other->kind), other->key);
	map_put_str(m, text, (void *)o);
	return 0;
}

static int
claim_number(struct map *m, const struct node_object *o, uint32_t n, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return claim(m, o, "number", text, e);
}

static const struct node_vnet *
vnet_by_number(const struct checker *k, struct fabric_number n)
{
	const struct node_object *o;
	char text[16];

	snprintf(text, sizeof(text), "%u", n.v);
	o = map_get_str(&k->numbers, text);
	return o && o->kind == NODE_VNET ? &o->vnet : NULL;
}

static int
check_tag(struct checker *k, const struct node_object *o, struct err *e)
{
	bool is_circuit = o->kind == NODE_CIRCUIT;
	char text[NODE_KEY_MAX + 32];

	if (is_circuit)
		snprintf(text, sizeof(text), "s%u %s", o->circuit.s_tag.v, o->circuit.port);
	else
		snprintf(text, sizeof(text), "c%u %s", o->domain.c_tag.v, o->domain.circuit);
	return claim(&k->tags, o, is_circuit ? "sTag" : "cTag", text, e);
}

static int
check_nic(struct checker *k, const struct node_object *o, struct err *e)
{
	const struct node_vnet *v = vnet_by_number(k, o->nic.vnet);

	if (!v)
		return err_set(e, -ENOENT, "vnet: no vnet has the number %u", o->nic.vnet.v);
	for (unsigned i = 0; i < o->nic.n_addresses; i++) {
		char text[ADDR_TEXT + 16], addr[ADDR_TEXT];
		unsigned p = 0;
		int r;

		addr_format(&o->nic.addresses[i], addr);
		while (p < v->n_prefixes && !prefix_contains(&v->prefixes[p], &o->nic.addresses[i]))
			p++;
		if (p == v->n_prefixes)
			return err_set(e, -EINVAL, "addresses: %s is outside the vnet", addr);
		snprintf(text, sizeof(text), "%u %s", o->nic.vnet.v, addr);
		r = claim(&k->addrs, o, addr, text, e);
		if (r < 0)
			return err_wrap(e, r, "addresses");
	}
	return 0;
}

static int
check_one(struct checker *k, const struct node_object *o, struct err *e)
{
	char text[32];
	int r;

	switch (o->kind) {
	case NODE_SELF:
		return claim_number(&k->nodes, o, o->self.number, e);
	case NODE_FABRIC_PEER:
		return claim_number(&k->nodes, o, o->fabric_peer.number, e);
	case NODE_PORT:
		snprintf(text, sizeof(text), "index %u", o->port.index);
		return claim(&k->tags, o, "index", text, e);
	case NODE_CIRCUIT:
		if (!node_config_get(k->c, NODE_PORT, o->circuit.port))
			return err_set(e, -ENOENT, "port: there is no port %s", o->circuit.port);
		return check_tag(k, o, e);
	case NODE_DOMAIN:
		if (!node_config_get(k->c, NODE_CIRCUIT, o->domain.circuit))
			return err_set(e, -ENOENT, "circuit: there is no circuit %s",
				       o->domain.circuit);
		r = claim_number(&k->numbers, o, o->domain.number.v, e);
		return r < 0 ? r : check_tag(k, o, e);
	case NODE_VNET:
		return claim_number(&k->numbers, o, o->vnet.number.v, e);
	case NODE_NIC:
		return check_nic(k, o, e);
	default:
		return 0;
	}
}

unsigned
node_config_check(const struct node_config *c,
		  void (*bad)(void *arg, const struct node_object *o, const struct err *e),
		  void *arg)
{
	struct checker k = { .c = c };
	struct node_config_iter it = { 0 };
	const struct node_object *o;
	unsigned n = 0, n_self = 0;

	while ((o = node_config_next(c, &it)) != NULL) {
		struct err e = { 0 };
		int r = o->kind == NODE_SELF && n_self++
				? err_set(&e, -EEXIST, "a config has one node object")
				: check_one(&k, o, &e);

		if (r < 0) {
			err_wrap(&e, r, "%s %s", node_kind_name(o->kind), o->key);
			bad(arg, o, &e);
			n++;
		}
	}
	map_fini(&k.numbers);
	map_fini(&k.nodes);
	map_fini(&k.tags);
	map_fini(&k.addrs);
	return n;
}

/* ---- Difference ---- */

void
node_config_diff(const struct node_config *a, const struct node_config *b,
		 void (*change)(void *arg, const struct node_object *from,
				const struct node_object *to),
		 void *arg)
{
	for (size_t i = a->n; i-- > 0;)
		if (!node_config_get(b, a->objects[i]->kind, a->objects[i]->key))
			change(arg, a->objects[i], NULL);
	for (size_t i = 0; i < b->n; i++) {
		const struct node_object *to = b->objects[i];
		const struct node_object *from = node_config_get(a, to->kind, to->key);

		if (from && (from == to || (to->rev && from->rev == to->rev)))
			continue;
		if (!from || !node_object_equal(from, to))
			change(arg, from, to);
	}
}

/* ---- Documents ---- */

int
node_config_from_json(const struct json_t *doc, struct node_config **ret, struct err *e)
{
	const json_t *list = json_object_get(doc, "objects");
	AUTO(node_config) c = node_config_create();

	if (!json_is_array(list))
		return err_set(e, -EINVAL, "objects: must be a list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct node_object *o;
		int r = node_object_from_json(json_array_get(list, i), &o, e);

		if (r < 0)
			return err_wrap(e, r, "objects[%zu]", i);
		if (node_config_get(c, o->kind, o->key)) {
			r = err_set(e, -EEXIST, "objects[%zu]: %s %s is there twice", i,
				    node_kind_name(o->kind), o->key);
			node_object_destroy(o);
			return r;
		}
		node_config_put(c, o);
	}
	*ret = TAKE(c);
	return 0;
}

struct json_t *
node_config_encode(const struct node_config *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n; i++)
		json_array_append_new(list, node_object_encode(c->objects[i]));
	return json_pack("{so}", "objects", list);
}
