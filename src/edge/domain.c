/* Ports, circuits and domains: from node objects to packet tables, namespaces, sessions. */
#include "base/log.h"
#include "base/mem.h"
#include "edge/edge.h"

#include <linux/neighbour.h>

/* ---- Ports ---- */

int
port_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	   struct err *e)
{
	struct keeper_port p = { .role = KEEPER_PORT_TRUNK };
	struct keeper_port_info info;
	int r;

	node_object_destroy(map_remove_str(&x->ports, (from ? from : to)->key));
	if (!to)
		return 0; /* nothing is reachable there once its circuits have gone */
	p.index = to->port.index;
	snprintf(p.ifname, sizeof(p.ifname), "%s", to->port.dev);
	r = keeper_port_attach(daemon_keeper(x->daemon), &p, &info, e);
	if (r < 0)
		return err_wrap(e, r, "dev %s", to->port.dev);
	map_put_str(&x->ports, to->key, node_object_ref(to));
	return 0;
}

/* ---- Domains ---- */

static int domain_up(struct domain *d, struct err *e);
static void domain_down(struct domain *d);

static struct circuit *
circuit_get(const struct edge *x, const char *key)
{
	return map_get_str(&x->circuits, key);
}

struct domain *
domain_by_number(const struct edge *x, struct fabric_number n)
{
	return map_get(&x->domain_numbers, &n.v, sizeof(n.v));
}

bool
domain_has_vnet(const struct domain *d, struct fabric_number vnet)
{
	for (unsigned i = 0; i < d->cfg->n_vnets; i++)
		if (d->cfg->vnets[i].v == vnet.v)
			return true;
	return false;
}

bool
domain_reaches(const struct domain *d, struct fabric_number other)
{
	for (unsigned i = 0; i < d->cfg->n_reach; i++)
		if (d->cfg->reach[i].v == other.v)
			return true;
	return false;
}

static void
on_neighbour(void *arg, const struct netlink_neigh *n)
{
	struct domain *d = arg;

	if (!addr_equal(&n->addr, &d->cfg->peer) || !n->has_mac || n->is_gone)
		return;
	if (n->state & (NUD_REACHABLE | NUD_DELAY | NUD_PERMANENT | NUD_STALE))
		d->peer_mac_us = mono_now().us;
	if (!memcmp(&n->mac, &d->peer_mac, sizeof(n->mac)))
		return;
	d->peer_mac = n->mac;
	datapath_edge_domain_neighbour(d->table.edge->dp, d->cfg->number, &d->peer_mac);
}

static void
domain_bfd(struct domain *d)
{
	struct links *links = fabric_links(d->table.edge->fabric);
	struct bfdd_session s = {
		.link = d->link,
		.domain = d->cfg->number.v,
		.local = d->cfg->local,
		.peer = d->cfg->peer,
		.detect_mult = d->cfg->bfd.multiplier,
		.min_tx_us = d->cfg->bfd.min_tx_ms * 1000u,
		.min_rx_us = d->cfg->bfd.min_rx_ms * 1000u,
	};

	if (d->cfg->bfd.enabled)
		links_session(links, &s);
	else
		links_session_end(links, d->link);
}

static int
domain_attach(struct domain *d, const struct circuit *c, struct keeper_domain_fds *fds,
	      struct err *e)
{
	const struct node_domain *cfg = d->cfg;
	struct edge *x = d->table.edge;
	struct keeper_domain k = {
		.number = cfg->number.v,
		.flags = KEEPER_DOMAIN_BFD,
		.local = cfg->local,
		.peer = cfg->peer,
		.plen = cfg->link_len,
	};
	struct datapath_domain dp = {
		.number = cfg->number,
		.key = fabric_key_make(cfg->number, cfg->generation),
		.circuit = c->id,
		.trunk = c->trunk,
		.s = c->object->circuit.s_tag,
		.c = cfg->c_tag,
		.tpid = 0x88a8,
		.local = cfg->local,
		.peer = cfg->peer,
		.subnet_len = cfg->link_len,
	};
	int r;

	session_key(cfg->md5, &k.key);
	r = keeper_domain_add(daemon_keeper(x->daemon), &k, &d->info, fds, e);
	if (r == -EEXIST) { /* the same number with other addresses: another generation */
		keeper_domain_remove(daemon_keeper(x->daemon), cfg->number.v, NULL);
		r = keeper_domain_add(daemon_keeper(x->daemon), &k, &d->info, fds, e);
	} else if (r == 0 && !d->info.is_new) {
		r = keeper_domain_key(daemon_keeper(x->daemon), cfg->number.v, &k.key, e);
	}
	mem_wipe(&k.key, sizeof(k.key));
	if (r < 0)
		return r;
	d->has_keeper = true;
	dp.mac = d->info.inner_mac;
	r = datapath_edge_domain_put(x->dp, &dp, e);
	if (r < 0)
		return r;
	d->has_dp = true;
	d->circuit_id = c->id;
	d->link = datapath_edge_domain_link(x->dp, cfg->number);
	return 0;
}

/* The other edge's view of the same domain, and what lies behind the circuits that this one is joined
 * with, which its customer is told. */
static void
domain_imports(struct domain *d)
{
	const struct node_self *self = fabric_self(d->table.edge->fabric);
	struct bgp_import *v = mem_array(1 + d->cfg->n_reach, sizeof(*v));

	v[0] = (struct bgp_import){ rt_make(self->fabric_as, d->cfg->number), false };
	for (unsigned i = 0; i < d->cfg->n_reach; i++)
		v[1 + i] = (struct bgp_import){ rt_make(self->fabric_as, d->cfg->reach[i]), true };
	bgp_table_set_imports(d->table.bgp, v, 1 + d->cfg->n_reach);
	free(v);
}

static void
domain_tables(struct domain *d)
{
	const struct node_self *self = fabric_self(d->table.edge->fabric);
	struct sessions *ss = fabric_sessions(d->table.edge->fabric);
	struct bgp_table_config cfg = {
		.name = d->object->key,
		.owner = &d->table,
		.rd = rd_make(self->fabric_as, self->number, d->cfg->number),
		.key = fabric_key_make(d->cfg->number, d->cfg->generation),
		.exports = { rt_make(self->fabric_as, d->cfg->number) },
		.n_exports = 1,
	};

	d->table.bgp = bgp_table_create(sessions_speaker(ss), &cfg);
	domain_imports(d);
}

static int
domain_session(struct domain *d, int listener, struct err *e)
{
	const struct node_self *self = fabric_self(d->table.edge->fabric);
	struct session_config cfg = {
		.bgp = {
			.name = d->object->key,
			.owner = d,
			.table = d->table.bgp,
			.local = d->cfg->local,
			.remote = d->cfg->peer,
			.local_as = self->customer_as,
			.remote_as = d->cfg->peer_as,
			.link = prefix_make(&d->cfg->local, d->cfg->link_len),
			.hold_s = d->cfg->hold_time,
			.max_prefixes = d->cfg->max_prefixes,
			.connect_retry_ms = 2000,
		},
		.domain = d->cfg->number.v,
		.md5 = d->cfg->md5,
		.listener = listener,
	};

	return session_create(fabric_sessions(d->table.edge->fabric), &cfg, &d->session, e);
}

static int
domain_up(struct domain *d, struct err *e)
{
	struct edge *x = d->table.edge;
	struct circuit *c = circuit_get(x, d->cfg->circuit);
	struct keeper_domain_fds fds = { -1, -1 };
	int r;

	if (!c)
		return err_set(e, -ENOENT, "circuit: %s is not applied", d->cfg->circuit);
	if (domain_by_number(x, d->cfg->number))
		return err_set(e, -EBUSY, "number: %u is not free yet", d->cfg->number.v);
	if (!d->cfg->is_enabled || !c->object->circuit.is_enabled)
		return 0;
	if (d->cfg->local.family != NET_V4)
		return err_set(e, -ENOTSUP, "localAddress: IPv6 peerings are not supported yet");
	r = domain_attach(d, c, &fds, e);
	if (r < 0) {
		if (fds.listener >= 0)
			close(fds.listener);
		if (fds.netlink >= 0)
			close(fds.netlink);
		domain_down(d);
		return r;
	}
	d->neighbours = neighbours_create(daemon_loop(x->daemon), fds.netlink, on_neighbour, d, e);
	domain_tables(d);
	r = domain_session(d, fds.listener, e);
	if (r < 0 || !d->neighbours) {
		domain_down(d);
		return r < 0 ? r : -EIO;
	}
	map_put(&x->domain_numbers, &d->cfg->number.v, sizeof(d->cfg->number.v), d);
	map_put(&x->domain_links, &d->link, sizeof(d->link), d);
	domain_bfd(d);
	/* Without BFD the link is up by our word alone: after a restart it must not blink. Were it
	 * down, the stale table would not use it. */
	if (daemon_is_restarting(x->daemon) && !x->is_swept && !d->cfg->bfd.enabled)
		links_word(fabric_links(x->fabric), d->link, true);
	meter_name(x, d);
	edge_dirty(&d->table);
	log_info("domain up domain=%s number=%u link=%u", d->object->key, d->cfg->number.v,
		 d->link);
	return 0;
}

static void
domain_down(struct domain *d)
{
	struct edge *x = d->table.edge;
	struct map_iter it = { 0 };

	list_remove(&d->table.dirty);
	session_destroy(TAKE(d->session));
	if (d->table.bgp)
		bgp_table_destroy(TAKE(d->table.bgp));
	neighbours_destroy(TAKE(d->neighbours));
	if (d->link) {
		links_forget(fabric_links(x->fabric), d->link);
		map_remove(&x->domain_links, &d->link, sizeof(d->link));
		map_remove(&x->domain_numbers, &d->cfg->number.v, sizeof(d->cfg->number.v));
	}
	if (d->has_dp) {
		datapath_edge_domain_remove(x->dp, d->cfg->number, mono_now());
		meter_second(x, JOURNAL_CHANGE);
	}
	if (d->has_keeper)
		keeper_domain_remove(daemon_keeper(x->daemon), d->cfg->number.v, NULL);
	while (map_next(&d->lingers, &it))
		free(it.value);
	map_fini(&d->lingers);
	d->lingers = (struct map){ 0 };
	free(TAKE(d->announced));
	d->n_announced = 0;
	d->has_dp = d->has_keeper = d->is_owed = false;
	d->link = 0;
	d->watch = (struct bfd_watch){ 0 };
	d->peer_mac = (struct mac){ { 0 } };
	d->peer_mac_us = 0;
}

static void
domain_free(struct edge *x, struct domain *d)
{
	domain_down(d);
	map_remove_str(&x->domains, d->object->key);
	node_object_destroy((struct node_object *)d->object);
	free(d);
}

static int
domain_add(struct edge *x, const struct node_object *o, struct err *e)
{
	struct domain *d = mem_alloc(sizeof(*d));
	int r;

	d->table = (struct table){ .kind = TABLE_DOMAIN, .edge = x };
	d->object = node_object_ref(o);
	d->cfg = &o->domain;
	map_put_str(&x->domains, o->key, d);
	r = domain_up(d, e);
	if (r < 0)
		domain_free(x, d);
	return r;
}

/* Everything that a live session survives: the rest must be equal. */
static bool
is_soft_change(const struct node_domain *a, const struct node_domain *b)
{
	return a->number.v == b->number.v && a->generation == b->generation &&
	       !strcmp(a->circuit, b->circuit) && a->c_tag.v == b->c_tag.v &&
	       addr_equal(&a->local, &b->local) && addr_equal(&a->peer, &b->peer) &&
	       a->link_len == b->link_len && a->peer_as.v == b->peer_as.v &&
	       a->hold_time == b->hold_time && a->is_enabled == b->is_enabled;
}

/* The keeper first: when that fails, nothing has changed. */
static int
domain_key(struct domain *d, const char *md5, struct err *e)
{
	struct keeper_key key;
	int r;

	session_key(md5, &key);
	r = keeper_domain_key(daemon_keeper(d->table.edge->daemon), d->cfg->number.v, &key, e);
	mem_wipe(&key, sizeof(key));
	return r;
}

static int
domain_change(struct domain *d, const struct node_object *to, struct err *e)
{
	bool has_new_key = strcmp(d->cfg->md5, to->domain.md5) != 0;
	int r;

	if (d->table.bgp && has_new_key && (r = domain_key(d, to->domain.md5, e)) < 0)
		return r;
	node_object_destroy((struct node_object *)d->object);
	d->object = node_object_ref(to);
	d->cfg = &to->domain;
	if (!d->table.bgp)
		return 0; /* not up */
	domain_bfd(d);
	domain_imports(d);
	bgp_peer_set_limit(session_peer(d->session), d->cfg->max_prefixes, mono_now());
	if (has_new_key) {
		session_set_md5(d->session, d->cfg->md5);
		session_reconnect(d->session, "MD5 key changed");
	}
	edge_dirty(&d->table);
	return 0;
}

int
domain_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	     struct err *e)
{
	struct domain *d = map_get_str(&x->domains, (from ? from : to)->key);

	if (d && to && is_soft_change(d->cfg, &to->domain))
		return domain_change(d, to, e);
	if (d)
		domain_free(x, d);
	return to ? domain_add(x, to, e) : 0;
}

void
domain_free_all(struct edge *x)
{
	struct map_iter it = { 0 };

	/* only our own memory: packets go on */
	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;
		struct map_iter li = { 0 };

		neighbours_destroy(d->neighbours);
		while (map_next(&d->lingers, &li))
			free(li.value);
		map_fini(&d->lingers);
		free(d->announced);
		node_object_destroy((struct node_object *)d->object);
		free(d);
	}
	map_fini(&x->domains);
	map_fini(&x->domain_numbers);
	map_fini(&x->domain_links);
	it = (struct map_iter){ 0 };
	while (map_next(&x->circuits, &it)) {
		struct circuit *c = it.value;

		node_object_destroy((struct node_object *)c->object);
		free(c);
	}
	map_fini(&x->circuits);
	it = (struct map_iter){ 0 };
	while (map_next(&x->ports, &it))
		node_object_destroy(it.value);
	map_fini(&x->ports);
}

/* ---- Circuits ---- */

static int
circuit_rate(struct edge *x, uint32_t id, const struct node_object *o, struct err *e)
{
	uint64_t rate = o->circuit.bandwidth_mbps * 1000000ull;
	uint64_t both[DP_DIRECTIONS] = { rate, rate };

	return datapath_edge_circuit_put(x->dp, id, both, e);
}

/* It is wanted and not up: the next second tries again. */
static void
owe(struct domain *d, const struct err *e)
{
	log_error("domain not up domain=%s error=\"%s\"", d->object->key, e->text);
	d->is_owed = d->table.edge->owes_domains = true;
}

static void
domains_of_circuit(struct edge *x, const char *key, bool is_up)
{
	struct map_iter it = { 0 };

	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;
		struct err e = { 0 };

		if (strcmp(d->cfg->circuit, key))
			continue;
		if (!is_up)
			domain_down(d);
		else if (domain_up(d, &e) < 0)
			owe(d, &e);
	}
}

void
domain_retry_owed(struct edge *x)
{
	struct map_iter it = { 0 };

	if (!x->owes_domains)
		return;
	x->owes_domains = false;
	while (map_next(&x->domains, &it)) {
		struct domain *d = it.value;
		struct err e = { 0 };

		if (!d->is_owed)
			continue;
		d->is_owed = false;
		if (domain_up(d, &e) < 0)
			owe(d, &e);
	}
}

static void
circuit_remove(struct edge *x, struct circuit *c)
{
	int r;

	domains_of_circuit(x, c->object->key, false);
	r = datapath_edge_circuit_remove(x->dp, c->id, mono_now());
	if (r < 0)
		log_error("circuit not removed circuit=%s errno=%d", c->object->key, -r);
	map_remove_str(&x->circuits, c->object->key);
	node_object_destroy((struct node_object *)c->object);
	free(c);
}

static int
circuit_add(struct edge *x, const struct node_object *o, struct err *e)
{
	const struct node_object *port = map_get_str(&x->ports, o->circuit.port);
	struct circuit *c;
	int r;

	if (!port)
		return err_set(e, -ENOENT, "port: %s is not applied", o->circuit.port);
	c = mem_alloc(sizeof(*c));
	c->object = node_object_ref(o);
	c->trunk = port->port.index;
	c->id = (uint32_t)c->trunk << 12 | o->circuit.s_tag.v;
	map_put_str(&x->circuits, o->key, c);
	r = circuit_rate(x, c->id, o, e);
	if (r < 0) {
		circuit_remove(x, c);
		return r;
	}
	domains_of_circuit(x, o->key, true);
	return 0;
}

/* Only what the packet path can change under traffic. */
static int
circuit_change(struct edge *x, struct circuit *c, const struct node_object *to, struct err *e)
{
	int r;

	if (c->object->circuit.bandwidth_mbps != to->circuit.bandwidth_mbps) {
		meter_second(x, JOURNAL_CHANGE); /* the price may depend on it */
		r = circuit_rate(x, c->id, to, e);
		if (r < 0)
			return r;
	}
	node_object_destroy((struct node_object *)c->object);
	c->object = node_object_ref(to);
	return 0;
}

int
circuit_apply(struct edge *x, const struct node_object *from, const struct node_object *to,
	      struct err *e)
{
	struct circuit *c = circuit_get(x, (from ? from : to)->key);
	const struct node_circuit *a, *b;

	if (c && to) {
		a = &c->object->circuit;
		b = &to->circuit;
		if (!strcmp(a->port, b->port) && a->s_tag.v == b->s_tag.v &&
		    a->is_enabled == b->is_enabled)
			return circuit_change(x, c, to, e);
	}
	if (c)
		circuit_remove(x, c);
	return to ? circuit_add(x, to, e) : 0;
}

/* ---- Events ---- */

void
domain_link_event(struct edge *x, const struct bfdd_event *ev)
{
	struct domain *d = map_get(&x->domain_links, &ev->link, sizeof(ev->link));
	uint8_t before;

	if (!d || !d->session)
		return;
	before = d->watch.state;
	bgp_bfd_event(session_peer(d->session), &d->watch, ev);
	sessions_kick(fabric_sessions(x->fabric));
	if (before != d->watch.state) {
		log_info("bfd domain=%s state=%s link_up=%d", d->object->key, bfd_text(ev),
			 !!(ev->flags & BFDD_IS_UP));
		daemon_changed(x->daemon);
	}
}

void
domain_peer_changed(struct edge *x, struct bgp_peer *p, enum bgp_state from, enum bgp_state to,
		    const char *why)
{
	struct domain *d = session_owner(p);

	if (from != BGP_ESTABLISHED && to != BGP_ESTABLISHED)
		return;
	log_info("session domain=%s state=%s why=\"%s\"", d->object->key, bgp_state_text(to), why);
	bgp_link_word(fabric_links(x->fabric), d->link, p, to);
	daemon_changed(x->daemon);
}
