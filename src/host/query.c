/* Questions about a host: from ctl.sock and, through the agent, from the controller. */
#include "base/mem.h"
#include "host/host.h"

#include <jansson.h>

struct query {
	struct host *h;
	const char *object;
	unsigned limit;
};

static json_t *
nic_row(const struct nic *n)
{
	json_t *row = json_pack("{sssbsi}", "device", n->cfg->device, "attached", n->ifindex != 0,
				"slot", (int)n->slot);
	uint64_t bytes, packets;

	if (n->id && datapath_host_nic_read(n->host->dp, n->id, DP_IN, &bytes, &packets) == 0) {
		json_object_set_new(row, "bytesOut", json_integer((json_int_t)bytes));
		json_object_set_new(row, "packetsOut", json_integer((json_int_t)packets));
	}
	if (n->id && datapath_host_nic_read(n->host->dp, n->id, DP_OUT, &bytes, &packets) == 0) {
		json_object_set_new(row, "bytesIn", json_integer((json_int_t)bytes));
		json_object_set_new(row, "packetsIn", json_integer((json_int_t)packets));
	}
	return row;
}

json_t *
host_state(void *self)
{
	struct host *h = self;
	json_t *fabric = json_object(), *nics = json_object();
	struct map_iter it = { 0 };
	struct fabric_peer *p;
	size_t at = 0;

	while ((p = fabric_peer_next(h->fabric, &at)) != NULL) {
		json_t *row = bgp_peer_row(session_peer(p->session),
					   links_state(fabric_links(h->fabric), p->cfg->number));

		json_object_set_new(row, "linkUp", json_boolean(p->is_up));
		json_object_set_new(fabric, p->object->key, row);
	}
	while (map_next(&h->nics, &it))
		json_object_set_new(nics, it.key, nic_row(it.value));
	return json_pack("{soso}", "fabric", fabric, "nics", nics);
}

static json_t *
query_status(const struct query *q, struct err *e)
{
	json_t *v = host_state(q->h);

	json_object_set_new(v, "boot", json_string(daemon_boot(q->h->daemon)));
	json_object_set_new(v, "node", json_string(daemon_options(q->h->daemon)->node));
	json_object_set_new(v, "restarting",
			    json_boolean(daemon_is_restarting(q->h->daemon) && !q->h->is_swept));
	return v;
}

static struct vnet *
find_vnet(const struct query *q, struct err *e)
{
	struct map_iter it = { 0 };

	while (map_next(&q->h->vnets, &it)) {
		struct vnet *v = it.value;

		if (!strcmp(v->object->key, q->object))
			return v;
	}
	err_set(e, -ENOENT, "there is no vnet \"%.200s\"", q->object);
	return NULL;
}

static json_t *
path_row(const struct vnet *v, const struct prefix *p, const struct bgp_path *path)
{
	const struct fabric_peer *peer = fabric_peer_by_address(v->host->fabric, &path->next_hop);
	char prefix[PREFIX_TEXT], hop[ADDR_TEXT], as[512];

	return json_pack("{sssssssIss}", "network", prefix_format(p, prefix), "nextHop",
			 path->peer ? addr_format(&path->next_hop, hop) : "0.0.0.0", "node",
			 peer ? peer->object->key : "", "number",
			 (json_int_t)fabric_key_number(path->key).v, "path",
			 bgp_path_format(path->attr, as, sizeof(as)));
}

static json_t *
query_routes(const struct query *q, struct err *e)
{
	struct vnet *v = find_vnet(q, e);
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	json_t *rows;
	size_t n;

	if (!v)
		return NULL;
	rows = json_array();
	while (bgp_table_next(v->bgp, &w, &p, paths, &n))
		for (size_t i = 0; i < n && json_array_size(rows) < q->limit; i++)
			json_array_append_new(rows, path_row(v, &p, &paths[i]));
	return rows;
}

/* What a NIC's packets see: object is the NIC's key. */
static json_t *
query_effective_routes(const struct query *q, struct err *e)
{
	struct nic *n = map_get_str(&q->h->nics, q->object);
	struct vnet *v = n ? vnet_by_number(q->h, n->cfg->vnet) : NULL;
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	char text[PREFIX_TEXT];
	json_t *rows;
	size_t k;

	if (!v) {
		err_set(e, -ENOENT, "there is no nic \"%.200s\"", q->object);
		return NULL;
	}
	rows = json_array();
	for (unsigned i = 0; i < v->cfg->n_prefixes; i++)
		json_array_append_new(rows, json_pack("{ssssss}", "prefix",
						      prefix_format(&v->cfg->prefixes[i], text),
						      "source", "Default", "nextHop", "VnetLocal"));
	while (json_array_size(rows) < q->limit && bgp_table_next(v->bgp, &w, &p, paths, &k))
		if (k && fabric_key_number(paths[0].key).v != v->cfg->number.v && paths[0].peer)
			json_array_append_new(rows, json_pack("{ssssss}", "prefix",
							      prefix_format(&p, text), "source",
							      "VirtualNetworkGateway", "nextHop",
							      "VirtualNetworkGateway"));
	return rows;
}

static json_t *
query_drops(const struct query *q, struct err *e)
{
	struct datapath_maps *m = datapath_host_maps(q->h->dp);
	json_t *rows = json_object();

	for (unsigned i = 1; i < DP_DROPS; i++)
		if (datapath_drops(m, (enum dp_drop)i))
			json_object_set_new(
				rows, datapath_drop_name((enum dp_drop)i),
				json_integer((json_int_t)datapath_drops(m, (enum dp_drop)i)));
	for (unsigned i = 0; i < DP_EVENT_COUNT; i++)
		if (datapath_events(m, (enum dp_event)i))
			json_object_set_new(
				rows, datapath_event_name((enum dp_event)i),
				json_integer((json_int_t)datapath_events(m, (enum dp_event)i)));
	return rows;
}

static json_t *
query_lookup(const struct query *q, struct err *e)
{
	static const char *const kinds[] = { "none", "customer", "vnet",
					     "link", "group",    "blackhole" };
	const char *space = strrchr(q->object, ' ');
	AUTO_FREE char *key = NULL;
	struct query named = *q;
	struct datapath_host_route r;
	struct vnet *v;
	struct addr a;
	json_t *nodes;

	if (!space || addr_parse(space + 1, &a, e) < 0) {
		err_set(e, -EINVAL, "object must be \"VNET ADDRESS\"");
		return NULL;
	}
	key = mem_strdup(q->object);
	key[space - q->object] = '\0';
	named.object = key;
	v = find_vnet(&named, e);
	if (!v)
		return NULL;
	if (!datapath_host_table_lookup(q->h->dp, v->cfg->number, &a, &r))
		return json_pack("{ss}", "kind", "none");
	nodes = json_array();
	for (unsigned i = 0; i < r.n_paths; i++)
		json_array_append_new(nodes, json_integer(r.path[i].node));
	return json_pack("{ssso}", "kind", kinds[r.kind], "nodes", nodes);
}

static json_t *
query_links(const struct query *q, struct err *e)
{
	json_t *rows = json_array();
	struct fabric_peer *p;
	size_t at = 0;

	while ((p = fabric_peer_next(q->h->fabric, &at)) != NULL) {
		const struct bfdd_event *ev =
			links_state(fabric_links(q->h->fabric), p->cfg->number);

		json_array_append_new(rows, json_pack("{sssisbss}", "name", p->object->key, "link",
						      (int)p->cfg->number, "up", (int)p->is_up,
						      "bfd", bfd_text(ev)));
	}
	return rows;
}

/* clang-format off */
static const struct {
	const char *name;
	json_t *(*fn)(const struct query *q, struct err *e);
} queries[] = {
	{ "status", query_status },
	{ "routes", query_routes },
	{ "effective_routes", query_effective_routes },
	{ "drops", query_drops },
	{ "links", query_links },
	{ "lookup", query_lookup },
};
/* clang-format on */

int
host_query(void *self, const char *query, const char *object, unsigned limit, struct json_t **ret,
	   struct err *e)
{
	struct query q = { self, object, limit };
	struct err local = { 0 };

	for (unsigned i = 0; i < COUNT(queries); i++) {
		if (strcmp(queries[i].name, query))
			continue;
		*ret = queries[i].fn(&q, &local);
		return *ret ? 0 : err_set(e, local.code ? local.code : -EIO, "%s", local.text);
	}
	return err_set(e, -ENOSYS, "there is no query \"%.60s\"", query);
}
