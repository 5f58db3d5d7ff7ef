/* Questions about an edge: from ctl.sock and, through the agent, from the controller. Rows that ARM
 * shows have ARM's names (expressRouteCircuits' arpTables, routeTables, routeTablesSummary). */
#include "base/mem.h"
#include "edge/edge.h"

#include <inttypes.h>
#include <jansson.h>

struct query {
	struct edge *x;
	const char *object;
	unsigned limit;
};

/* The domain that a query names; -ENOENT says which keys there are no. */
static struct domain *
find_domain(const struct query *q, struct err *e)
{
	struct domain *d = map_get_str(&q->x->domains, q->object);

	if (!d)
		err_set(e, -ENOENT, "there is no domain \"%.200s\"", q->object);
	return d;
}

static const char *
cisco_mac(const struct mac *m, char out[16])
{
	snprintf(out, 16, "%02x%02x.%02x%02x.%02x%02x", m->b[0], m->b[1], m->b[2], m->b[3], m->b[4],
		 m->b[5]);
	return out;
}

static json_t *
query_arp(const struct query *q, struct err *e)
{
	struct domain *d = find_domain(q, e);
	char addr[ADDR_TEXT], mac[16];
	json_t *rows;

	if (!d)
		return NULL;
	rows = json_array();
	if (!d->table.bgp)
		return rows;
	json_array_append_new(rows, json_pack("{sissssss}", "age", 0, "interface", "Microsoft",
					      "ipAddress", addr_format(&d->cfg->local, addr),
					      "macAddress", cisco_mac(&d->info.inner_mac, mac)));
	if (d->peer_mac_us)
		json_array_append_new(rows,
				      json_pack("{sissssss}", "age",
						(int)((mono_now().us - d->peer_mac_us) / 60000000),
						"interface", "On-Prem", "ipAddress",
						addr_format(&d->cfg->peer, addr), "macAddress",
						cisco_mac(&d->peer_mac, mac)));
	return rows;
}

static json_t *
route_row(const struct prefix *p, const struct bgp_path *path)
{
	char prefix[PREFIX_TEXT], hop[ADDR_TEXT], as[512], pref[16] = "";

	if (path->attr->has & BGP_HAS_LOCAL_PREF)
		snprintf(pref, sizeof(pref), "%u", path->attr->local_pref);
	return json_pack("{sssssssiss}", "network", prefix_format(p, prefix), "nextHop",
			 path->peer ? addr_format(&path->next_hop, hop) : "0.0.0.0", "locPrf", pref,
			 "weight", path->peer ? 0 : 32768, "path",
			 bgp_path_format(path->attr, as, sizeof(as)));
}

static json_t *
query_routes(const struct query *q, struct err *e)
{
	struct domain *d = find_domain(q, e);
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	json_t *rows;
	size_t n;

	if (!d)
		return NULL;
	rows = json_array();
	while (d->table.bgp && bgp_table_next(d->table.bgp, &w, &p, paths, &n))
		for (size_t i = 0; i < n && json_array_size(rows) < q->limit; i++)
			json_array_append_new(rows, route_row(&p, &paths[i]));
	return rows;
}

/* "00:12:05", "1d14h", "3w2d": as routers say it. */
static const char *
up_down(int64_t us, char out[24])
{
	int64_t s = us / 1000000;

	if (s < 86400)
		snprintf(out, 24, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60),
			 (int)(s % 60));
	else if (s < 7 * 86400)
		snprintf(out, 24, "%dd%02dh", (int)(s / 86400), (int)(s / 3600 % 24));
	else
		snprintf(out, 24, "%dw%dd", (int)(s / 604800 % 100000), (int)(s / 86400 % 7));
	return out;
}

static json_t *
query_routes_summary(const struct query *q, struct err *e)
{
	struct domain *d = find_domain(q, e);
	struct bgp_peer_info i;
	char addr[ADDR_TEXT], time[24], state[24];
	json_t *rows;

	if (!d)
		return NULL;
	rows = json_array();
	if (!d->session)
		return rows;
	bgp_peer_info(session_peer(d->session), &i);
	if (i.state == BGP_ESTABLISHED)
		snprintf(state, sizeof(state), "%u", i.n_prefixes - i.n_rejected);
	else
		snprintf(state, sizeof(state), "%s", bgp_state_text(i.state));
	json_array_append_new(
		rows, json_pack("{sssisIssss}", "neighbor", addr_format(&d->cfg->peer, addr), "v",
				4, "as", (json_int_t)d->cfg->peer_as.v, "upDown",
				i.since_us ? up_down(mono_now().us - i.since_us, time) : "never",
				"statePfxRcd", state));
	return rows;
}

typedef bool walk_fn(const struct bgp_peer *p, struct bgp_walk *w, struct rd *ret_rd,
		     struct prefix *ret_prefix, struct bgp_path *ret_path);

/* Received or advertised routes of a domain's CE, or of a node on the fabric. */
static json_t *
query_walk(const struct query *q, walk_fn *next, struct err *e)
{
	struct domain *d = map_get_str(&q->x->domains, q->object);
	struct fabric_peer *fp = d ? NULL : fabric_peer_by_name(q->x->fabric, q->object);
	struct session *s = d ? d->session : fp ? fp->session : NULL;
	struct bgp_walk w = { 0 };
	struct bgp_path path;
	struct prefix p;
	struct rd rd;
	json_t *rows;

	if (!d && !fp) {
		err_set(e, -ENOENT, "there is no domain or node \"%.200s\"", q->object);
		return NULL;
	}
	rows = json_array();
	while (s && json_array_size(rows) < q->limit && next(session_peer(s), &w, &rd, &p, &path)) {
		json_t *row = route_row(&p, &path);
		char text[RD_TEXT], hop[ADDR_TEXT];

		json_object_set_new(row, "nextHop", json_string(addr_format(&path.next_hop, hop)));
		if (rd.v)
			json_object_set_new(row, "rd", json_string(rd_format(rd, text)));
		if (path.key.v)
			json_object_set_new(row, "key", json_integer(path.key.v));
		if (path.reason)
			json_object_set_new(row, "rejected",
					    json_string(bgp_reason_text(path.reason)));
		if (path.is_stale)
			json_object_set_new(row, "stale", json_true());
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *
query_received(const struct query *q, struct err *e)
{
	return query_walk(q, bgp_received_next, e);
}

static json_t *
query_advertised(const struct query *q, struct err *e)
{
	return query_walk(q, bgp_advertised_next, e);
}

static json_t *
domain_row(const struct domain *d)
{
	struct links *links = fabric_links(d->table.edge->fabric);
	json_t *row;

	if (!d->session)
		return json_pack("{ssss}", "session", "Disabled", "bfd", "none");
	row = bgp_peer_row(session_peer(d->session), links_state(links, d->link));
	json_object_set_new(row, "linkUp", json_boolean(links_is_up(links, d->link)));
	return row;
}

static json_t *
fabric_rows(struct edge *x)
{
	json_t *rows = json_object();
	struct fabric_peer *p;
	size_t at = 0;

	while ((p = fabric_peer_next(x->fabric, &at)) != NULL) {
		json_t *row = bgp_peer_row(session_peer(p->session),
					   links_state(fabric_links(x->fabric), p->cfg->number));

		json_object_set_new(row, "linkUp", json_boolean(p->is_up));
		json_object_set_new(rows, p->object->key, row);
	}
	return rows;
}

json_t *
edge_state(void *self)
{
	struct edge *x = self;
	json_t *domains = json_object(), *vnets = json_object();
	struct map_iter it = { 0 };

	while (map_next(&x->domains, &it))
		json_object_set_new(domains, it.key, domain_row(it.value));
	it = (struct map_iter){ 0 };
	while (map_next(&x->vnets, &it)) {
		struct vnet *v = it.value;

		json_object_set_new(vnets, v->object->key,
				    json_pack("{sb}", "live", (int)v->is_live));
	}
	return json_pack("{sososo}", "domains", domains, "fabric", fabric_rows(x), "vnets", vnets);
}

static json_t *
query_status(const struct query *q, struct err *e)
{
	json_t *v = edge_state(q->x);

	json_object_set_new(v, "boot", json_string(daemon_boot(q->x->daemon)));
	json_object_set_new(v, "node", json_string(daemon_options(q->x->daemon)->node));
	json_object_set_new(v, "restarting",
			    json_boolean(daemon_is_restarting(q->x->daemon) && !q->x->is_swept));
	return v;
}

static json_t *
session_row(const struct bgp_peer *p)
{
	struct bgp_peer_info i;
	char addr[ADDR_TEXT];

	bgp_peer_info(p, &i);
	return json_pack("{sssssssIsisisisIsIsIsIsbsbsbss}", "name", bgp_peer_name(p), "neighbor",
			 addr_format(&bgp_peer_config(p)->remote, addr), "state",
			 bgp_state_text(i.state), "as", (json_int_t)bgp_peer_config(p)->remote_as.v,
			 "holdTime", i.hold_s, "keepalive", i.keepalive_s, "prefixes",
			 (int)i.n_prefixes, "messagesIn", (json_int_t)i.n_in, "messagesOut",
			 (json_int_t)i.n_out, "established", (json_int_t)i.n_established,
			 "treatedAsWithdraw", (json_int_t)i.n_withdrawn_as_error, "gracefulRestart",
			 (int)i.graceful, "restarting", (int)i.is_restarting, "endOfRib",
			 (int)i.eor_received, "lastError", i.last_error);
}

static json_t *
query_sessions(const struct query *q, struct err *e)
{
	json_t *rows = json_array();
	struct sessions *ss = fabric_sessions(q->x->fabric);
	const struct bgp_peer *p = ss ? bgp_peer_first(sessions_speaker(ss)) : NULL;

	for (; p && json_array_size(rows) < q->limit; p = bgp_peer_after(p))
		json_array_append_new(rows, session_row(p));
	return rows;
}

static json_t *
meter_row(struct edge *x, const struct domain *d)
{
	struct datapath_reading in = { 0 }, out = { 0 };

	if (d->has_dp) {
		datapath_edge_meter_read(x->dp, d->cfg->number, DP_IN, &in);
		datapath_edge_meter_read(x->dp, d->cfg->number, DP_OUT, &out);
	}
	return json_pack("{sssssssIsIsIsI}", "circuit", d->cfg->circuit, "domain", d->object->key,
			 "peering", node_peering_name(d->cfg->peering), "bytesIn",
			 (json_int_t)in.bytes, "bytesOut", (json_int_t)out.bytes, "packetsIn",
			 (json_int_t)in.packets, "packetsOut", (json_int_t)out.packets);
}

/* object: a circuit, a domain, or "" for all. */
static json_t *
query_meters(const struct query *q, struct err *e)
{
	json_t *rows = json_array();
	struct map_iter it = { 0 };

	while (map_next(&q->x->domains, &it)) {
		struct domain *d = it.value;

		if (!*q->object || !strcmp(q->object, d->object->key) ||
		    !strcmp(q->object, d->cfg->circuit))
			json_array_append_new(rows, meter_row(q->x, d));
	}
	return rows;
}

static json_t *
query_drops(const struct query *q, struct err *e)
{
	struct datapath_maps *m = datapath_edge_maps(q->x->dp);
	struct domain *d = *q->object ? find_domain(q, e) : NULL;
	json_t *rows;

	if (*q->object && !d)
		return NULL;
	rows = json_object();
	for (unsigned i = 1; i < DP_DROPS; i++) {
		uint64_t n =
			d ? datapath_edge_domain_drops(q->x->dp, d->cfg->number, (enum dp_drop)i)
			  : datapath_drops(m, (enum dp_drop)i);

		if (n)
			json_object_set_new(rows, datapath_drop_name((enum dp_drop)i),
					    json_integer((json_int_t)n));
	}
	for (unsigned i = 0; !d && i < DP_EVENT_COUNT; i++)
		if (datapath_events(m, (enum dp_event)i))
			json_object_set_new(
				rows, datapath_event_name((enum dp_event)i),
				json_integer((json_int_t)datapath_events(m, (enum dp_event)i)));
	return rows;
}

static json_t *
query_vnet(const struct query *q, struct err *e)
{
	struct map_iter it = { 0 };
	struct vnet *v = NULL;
	struct bgp_path paths[BGP_PATHS_MAX];
	struct bgp_walk w = { 0 };
	struct prefix p;
	json_t *rows;
	size_t n;

	while (map_next(&q->x->vnets, &it))
		if (!strcmp(((struct vnet *)it.value)->object->key, q->object))
			v = it.value;
	if (!v) {
		err_set(e, -ENOENT, "there is no vnet \"%.200s\"", q->object);
		return NULL;
	}
	rows = json_array();
	while (json_array_size(rows) < q->limit &&
	       bgp_table_next(v->table.bgp, &w, &p, paths, &n)) {
		const struct fabric_peer *host =
			fabric_peer_by_address(q->x->fabric, &paths[0].next_hop);
		char addr[PREFIX_TEXT];

		json_array_append_new(rows,
				      json_pack("{sssssb}", "address", prefix_format(&p, addr),
						"node", host ? host->object->key : "", "up",
						(int)(host && host->is_up)));
	}
	return rows;
}

static json_t *
link_row(const struct links *l, const char *name, uint32_t link)
{
	const struct bfdd_event *ev = links_state(l, link);

	if (!ev)
		return json_pack("{sssIsb}", "name", name, "link", (json_int_t)link, "up", 0);
	return json_pack("{sssIsbsssIsIsIsIsI}", "name", name, "link", (json_int_t)link, "up",
			 !!(ev->flags & BFDD_IS_UP), "bfd", bfd_text(ev), "downs",
			 (json_int_t)ev->n_down, "detectUs", (json_int_t)ev->detect_us, "rx",
			 (json_int_t)ev->n_rx, "tx", (json_int_t)ev->n_tx, "changedUs",
			 (json_int_t)ev->changed_us);
}

static json_t *
query_links(const struct query *q, struct err *e)
{
	struct links *l = fabric_links(q->x->fabric);
	json_t *rows = json_array();
	struct map_iter it = { 0 };
	struct fabric_peer *p;
	size_t at = 0;

	while (map_next(&q->x->domain_links, &it)) {
		struct domain *d = it.value;

		json_array_append_new(rows, link_row(l, d->object->key, d->link));
	}
	while ((p = fabric_peer_next(q->x->fabric, &at)) != NULL)
		json_array_append_new(rows, link_row(l, p->object->key, p->cfg->number));
	return rows;
}

/* What the packet path does with an address: object "<domain> <address>". */
static json_t *
query_lookup(const struct query *q, struct err *e)
{
	static const char *const kinds[] = { "none", "customer", "vnet",
					     "link", "group",    "blackhole" };
	static const char *const vias[] = { "none", "ce", "pair" };
	const char *space = strrchr(q->object, ' ');
	AUTO_FREE char *key = NULL;
	struct query named = *q;
	struct datapath_route r;
	struct domain *d;
	struct addr a;

	if (!space || addr_parse(space + 1, &a, e) < 0) {
		err_set(e, -EINVAL, "object must be \"DOMAIN ADDRESS\"");
		return NULL;
	}
	key = mem_strdup(q->object);
	key[space - q->object] = '\0';
	named.object = key;
	d = find_domain(&named, e);
	if (!d)
		return NULL;
	if (!datapath_edge_table_lookup(q->x->dp, d->cfg->number, &a, &r))
		return json_pack("{ss}", "kind", "none");
	return json_pack("{sssssssI}", "kind", kinds[r.kind], "via", vias[r.via], "backup",
			 vias[r.backup], "vnet", (json_int_t)r.vnet.v);
}

/* clang-format off */
static const struct {
	const char *name;
	json_t *(*fn)(const struct query *q, struct err *e);
} queries[] = {
	{ "status", query_status },
	{ "sessions", query_sessions },
	{ "arp", query_arp },
	{ "routes", query_routes },
	{ "routes_summary", query_routes_summary },
	{ "received", query_received },
	{ "advertised", query_advertised },
	{ "meters", query_meters },
	{ "stats", query_meters },
	{ "drops", query_drops },
	{ "vnet", query_vnet },
	{ "links", query_links },
	{ "lookup", query_lookup },
};
/* clang-format on */

int
edge_query(void *self, const char *query, const char *object, unsigned limit, struct json_t **ret,
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
