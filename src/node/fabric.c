#include "node/fabric.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "node/underlay.h"

#include <jansson.h>

/* The controller's slot among the tunnels; node numbers end below it. */
enum { CONTROLLER_NODE = 4095 };

struct fabric {
	struct fabric_config cfg;
	const struct node_object *self; /* NULL until applied */
	struct keeper_port_info port;
	struct sessions *sessions;
	struct links *links;
	struct neighbours *neighbours;
	struct map peers; /* name → fabric_peer */
	struct map macs;  /* underlay neighbour's address → struct mac */
	struct fabric_peer *by_number[CONTROLLER_NODE + 1];
};

static void on_link_event(void *arg, const struct bfdd_event *ev);

struct fabric *
fabric_create(const struct fabric_config *cfg)
{
	struct fabric *f = mem_alloc(sizeof(*f));

	f->cfg = *cfg;
	f->links = links_create(daemon_loop(cfg->daemon), daemon_options(cfg->daemon)->run_dir,
				on_link_event, f);
	return f;
}

static void
free_values(struct map *m)
{
	struct map_iter it = { 0 };

	while (map_next(m, &it))
		free(it.value);
	map_fini(m);
}

void
fabric_destroy(struct fabric *f)
{
	size_t at = 0;
	struct fabric_peer *p;

	if (!f)
		return;
	while ((p = fabric_peer_next(f, &at)) != NULL)
		node_object_destroy((struct node_object *)p->object);
	sessions_destroy(f->sessions);
	links_destroy(f->links);
	neighbours_destroy(f->neighbours);
	free_values(&f->peers);
	free_values(&f->macs);
	if (f->self)
		node_object_destroy((struct node_object *)f->self);
	free(f);
}

/* ---- Look-ups ---- */

const struct node_self *
fabric_self(const struct fabric *f)
{
	return f->self ? &f->self->self : NULL;
}

struct sessions *
fabric_sessions(struct fabric *f)
{
	return f->sessions;
}

struct links *
fabric_links(struct fabric *f)
{
	return f->links;
}

struct fabric_peer *
fabric_peer_by_number(const struct fabric *f, uint16_t number)
{
	return number <= CONTROLLER_NODE ? f->by_number[number] : NULL;
}

struct fabric_peer *
fabric_peer_by_name(const struct fabric *f, const char *name)
{
	return map_get_str(&f->peers, name);
}

struct fabric_peer *
fabric_peer_next(const struct fabric *f, size_t *at)
{
	while (*at <= CONTROLLER_NODE)
		if (f->by_number[(*at)++])
			return f->by_number[*at - 1];
	return NULL;
}

struct fabric_peer *
fabric_peer_by_address(const struct fabric *f, const struct addr *underlay)
{
	struct fabric_peer *p;
	size_t at = 0;

	while ((p = fabric_peer_next(f, &at)) != NULL)
		if (addr_equal(&p->cfg->underlay, underlay))
			return p;
	return NULL;
}

struct fabric_peer *
fabric_pair(const struct fabric *f)
{
	struct fabric_peer *p;
	size_t at = 0;

	while ((p = fabric_peer_next(f, &at)) != NULL)
		if (p->cfg->is_pair)
			return p;
	return NULL;
}

/* ---- The underlay ---- */

static void
on_neighbour(void *arg, const struct netlink_neigh *n)
{
	struct fabric *f = arg;
	struct mac *m;

	/* what has gone or failed keeps its last MAC: packets are better lost there than nowhere */
	if (!n->has_mac || n->is_gone || n->addr.family != NET_V4 || n->ifindex != f->port.ifindex)
		return;
	m = map_get(&f->macs, &n->addr, sizeof(n->addr));
	if (m && !memcmp(m, &n->mac, sizeof(*m)))
		return;
	if (!m) {
		m = mem_alloc(sizeof(*m));
		map_put(&f->macs, &n->addr, sizeof(n->addr), m);
	}
	*m = n->mac;
	f->cfg.tables.gateway_mac(f->cfg.tables.dp, &n->addr, m);
}

/* A tunnel and the gateway it needs. */
static int
put_tunnel(struct fabric *f, struct datapath_tunnel *t, struct err *e)
{
	const struct mac *m;
	uint32_t ifindex = 0;
	int r = underlay_route(&t->remote, &t->gateway, &ifindex, e);

	if (r < 0)
		return r;
	if (ifindex != f->port.ifindex)
		return err_set(e, -ENETUNREACH, "underlay: the way does not lead over %s",
			       f->self->self.fabric_dev);
	r = f->cfg.tables.gateway_put(f->cfg.tables.dp, &t->gateway, DP_PORT_FABRIC, &f->port.mac,
				      e);
	if (r < 0)
		return err_wrap(e, r, "underlay gateway");
	m = map_get(&f->macs, &t->gateway, sizeof(t->gateway));
	if (m)
		f->cfg.tables.gateway_mac(f->cfg.tables.dp, &t->gateway, m);
	else
		underlay_probe(&t->gateway);
	return f->cfg.tables.tunnel_put(f->cfg.tables.dp, t, e);
}

/* "https://10.255.0.250:8444" → address and port; names are not for an underlay. */
static int
controller_address(const char *url, struct addr *ret, uint16_t *ret_port, struct err *e)
{
	const char *host = url + strlen("https://"), *end = host + strcspn(host, ":/");
	char text[ADDR_TEXT] = "";

	if ((size_t)(end - host) >= sizeof(text))
		return err_set(e, -EINVAL, "controller: url needs an IPv4 address");
	memcpy(text, host, (size_t)(end - host));
	*ret_port = *end == ':' ? (uint16_t)strtoul(end + 1, NULL, 10) : 443;
	return addr_parse(text, ret, e);
}

static int
put_node(struct fabric *f, const struct node_self *s, struct err *e)
{
	const char *url = daemon_options(f->cfg.daemon)->controller_url;
	struct datapath_node n = {
		.number = s->number,
		.address = { s->underlay },
		.mtu = (uint16_t)f->port.mtu,
		.vswitch = s->vswitch_mac,
	};
	struct datapath_tunnel t = { .node = CONTROLLER_NODE, .role = DP_ROLE_CONTROL };
	int r;

	if (url && (r = controller_address(url, &t.remote, &n.tcp_port[0], e)) < 0)
		return r;
	r = f->cfg.tables.node_set(f->cfg.tables.dp, &n, e);
	if (r == 0 && url)
		r = put_tunnel(f, &t, e);
	return r;
}

/* ---- The node itself ---- */

static int
start_speaker(struct fabric *f, const struct node_self *s, struct err *e)
{
	struct bgp_speaker_config cfg = {
		.as = { s->fabric_as },
		.router_id = addr_u32(&s->underlay),
		.fabric_addr = s->underlay,
		.is_restarting = daemon_is_restarting(f->cfg.daemon),
		.seed = (uint64_t)mono_now().us,
		.hooks = f->cfg.hooks,
	};
	struct keeper_fabric_listen l = { .local = s->underlay, .min_ttl = s->fabric_min_ttl };
	int fd, r = keeper_fabric_listen(daemon_keeper(f->cfg.daemon), &l, &fd, e);

	if (r < 0)
		return err_wrap(e, r, "fabric listener");
	f->sessions =
		sessions_create(daemon_loop(f->cfg.daemon), daemon_keeper(f->cfg.daemon), &cfg);
	return sessions_fabric_listener(f->sessions, fd, e);
}

int
fabric_apply_self(struct fabric *f, const struct node_object *from, const struct node_object *to,
		  struct err *e)
{
	struct daemon *d = f->cfg.daemon;
	struct keeper_port port = { .role = KEEPER_PORT_FABRIC };
	int r;

	if (!to)
		return 0; /* its successor comes at once, or the node is being emptied */
	if (f->self && node_object_equal(f->self, to))
		return 0;
	if (f->self)
		return err_set(e, -EBUSY,
			       "changes of the node object need a restart of the daemon");
	snprintf(port.ifname, sizeof(port.ifname), "%s", to->self.fabric_dev);
	f->self = node_object_ref(to);
	r = keeper_port_attach(daemon_keeper(d), &port, &f->port, e);
	if (r < 0)
		r = err_wrap(e, r, "fabricDev: %s", to->self.fabric_dev);
	else
		r = put_node(f, &to->self, e);
	if (r == 0 && !f->neighbours) {
		f->neighbours = neighbours_create(daemon_loop(d), -1, on_neighbour, f, e);
		r = f->neighbours ? 0 : -EIO;
	}
	if (r == 0)
		r = start_speaker(f, &to->self, e);
	if (r < 0)
		node_object_destroy((struct node_object *)TAKE(f->self));
	return r;
}

/* ---- Other nodes ---- */

static enum dp_role
tunnel_role(const struct fabric *f, const struct node_fabric_peer *p)
{
	if (p->is_pair)
		return DP_ROLE_PAIR;
	return p->role == NODE_EDGE ? DP_ROLE_EDGE : DP_ROLE_HOST;
}

static void
peer_remove(struct fabric *f, struct fabric_peer *p)
{
	f->by_number[p->cfg->number] = NULL;
	session_destroy(p->session);
	links_forget(f->links, p->cfg->number);
	f->cfg.tables.tunnel_remove(f->cfg.tables.dp, p->cfg->number, mono_now());
	map_remove_str(&f->peers, p->object->key);
	node_object_destroy((struct node_object *)p->object);
	free(p);
}

static void
peer_bfd(struct fabric_peer *p)
{
	struct bfdd_session s = {
		.link = p->cfg->number,
		.local = p->fabric->self->self.underlay,
		.peer = p->cfg->underlay,
		.detect_mult = p->cfg->bfd.multiplier,
		.flags = BFDD_MULTIHOP,
		.min_tx_us = p->cfg->bfd.min_tx_ms * 1000u,
		.min_rx_us = p->cfg->bfd.min_rx_ms * 1000u,
	};

	if (p->cfg->bfd.enabled)
		links_session(p->fabric->links, &s);
	else
		links_session_end(p->fabric->links, p->cfg->number);
}

static int
peer_key(const struct fabric_peer *p, const char *md5, struct err *e)
{
	struct keeper_fabric_peer key = { .local = p->fabric->self->self.underlay,
					  .peer = p->cfg->underlay };
	int r;

	session_key(md5, &key.key);
	r = keeper_fabric_peer(daemon_keeper(p->fabric->cfg.daemon), &key, e);
	mem_wipe(&key.key, sizeof(key.key));
	return r;
}

static int
peer_session(struct fabric_peer *p, struct err *e)
{
	const struct node_self *self = &p->fabric->self->self;
	struct session_config cfg = {
		.bgp = {
			.name = p->object->key,
			.owner = p,
			.local = self->underlay,
			.remote = p->cfg->underlay,
			.remote_as = { self->fabric_as },
			.is_client = p->cfg->is_client,
			.hold_s = 90,
			.connect_retry_ms = 1000,
		},
		.md5 = p->cfg->md5,
		.min_ttl = self->fabric_min_ttl,
		.listener = -1,
	};
	int r = peer_key(p, p->cfg->md5, e);

	if (r == 0)
		r = session_create(p->fabric->sessions, &cfg, &p->session, e);
	return r;
}

static int
peer_add(struct fabric *f, const struct node_object *o, struct err *e)
{
	struct fabric_peer *p;
	struct datapath_tunnel t = {
		.node = o->fabric_peer.number,
		.role = tunnel_role(f, &o->fabric_peer),
		.remote = o->fabric_peer.underlay,
	};
	int r;

	if (f->by_number[t.node])
		return err_set(e, -EBUSY, "number: %u is not free yet", t.node);
	p = mem_alloc(sizeof(*p));
	p->object = node_object_ref(o);
	p->cfg = &o->fabric_peer;
	p->fabric = f;
	f->by_number[p->cfg->number] = p;
	map_put_str(&f->peers, o->key, p);
	r = put_tunnel(f, &t, e);
	p->gateway = t.gateway;
	if (r == 0)
		r = peer_session(p, e);
	if (r < 0) {
		peer_remove(f, p);
		return r;
	}
	peer_bfd(p);
	return 0;
}

/* Only the key or BFD's intervals differ. */
static bool
is_soft_change(const struct node_fabric_peer *a, const struct node_fabric_peer *b)
{
	return a->role == b->role && a->number == b->number &&
	       addr_equal(&a->underlay, &b->underlay) && a->is_pair == b->is_pair &&
	       a->is_client == b->is_client;
}

static int
peer_change(struct fabric_peer *p, const struct node_object *to, struct err *e)
{
	bool has_new_key = strcmp(p->cfg->md5, to->fabric_peer.md5) != 0;
	int r;

	/* the keeper first: when that fails, nothing has changed */
	if (has_new_key && (r = peer_key(p, to->fabric_peer.md5, e)) < 0)
		return r;
	node_object_destroy((struct node_object *)p->object);
	p->object = node_object_ref(to);
	p->cfg = &to->fabric_peer;
	peer_bfd(p);
	if (has_new_key) {
		session_set_md5(p->session, p->cfg->md5);
		session_reconnect(p->session, "MD5 key changed");
	}
	return 0;
}

int
fabric_apply_peer(struct fabric *f, const struct node_object *from, const struct node_object *to,
		  struct err *e)
{
	struct fabric_peer *p = fabric_peer_by_name(f, (from ? from : to)->key);

	if (to && !f->self)
		return err_set(e, -ENOENT, "the node object is not applied");
	if (p && to && is_soft_change(p->cfg, &to->fabric_peer))
		return peer_change(p, to, e);
	if (p)
		peer_remove(f, p);
	return to ? peer_add(f, to, e) : 0;
}

/* ---- BGP and BFD together ---- */

void
bgp_bfd_event(struct bgp_peer *p, struct bfd_watch *w, const struct bfdd_event *ev)
{
	uint8_t before = w->state;
	struct bgp_peer_info info;

	if (!(ev->flags & BFDD_HAS_SESSION))
		return;
	w->state = ev->state;
	if (before != BFD_UP || ev->state == BFD_UP || ev->remote_state == BFD_ADMIN_DOWN)
		return;
	bgp_peer_info(p, &info);
	/* RFC 5882 4.3: a restarting peer whose BFD lives in its control plane */
	if (info.is_restarting && !(ev->flags & BFDD_REMOTE_INDEPENDENT))
		return;
	log_warn("bfd down peer=%s diag=\"%s\"", bgp_peer_name(p), bfd_diag_text(ev->diag));
	bgp_peer_bfd_down(p, mono_now());
}

void
bgp_link_word(struct links *l, uint32_t link, const struct bgp_peer *p, enum bgp_state to)
{
	struct bgp_peer_info info;

	bgp_peer_info(p, &info);
	if (to == BGP_ESTABLISHED)
		links_word(l, link, true);
	else if (!info.is_restarting)
		links_word(l, link, false);
}

void
fabric_peer_changed(struct fabric *f, struct bgp_peer *bp, enum bgp_state from, enum bgp_state to,
		    const char *why)
{
	struct fabric_peer *p = session_owner(bp);

	if (from != BGP_ESTABLISHED && to != BGP_ESTABLISHED)
		return;
	log_info("fabric session node=%s state=%s why=\"%s\"", p->object->key, bgp_state_text(to),
		 why);
	bgp_link_word(f->links, p->cfg->number, bp, to);
	daemon_changed(f->cfg.daemon);
}

static void
on_link_event(void *arg, const struct bfdd_event *ev)
{
	struct fabric *f = arg;
	struct fabric_peer *p;
	bool is_up = ev->flags & BFDD_IS_UP;

	if (ev->link >= DATAPATH_LINK_DOMAIN) {
		f->cfg.link_event(f->cfg.hooks.ctx, ev);
		return;
	}
	p = fabric_peer_by_number(f, (uint16_t)ev->link);
	if (!p || !p->session)
		return;
	bgp_bfd_event(session_peer(p->session), &p->watch, ev);
	sessions_kick(f->sessions);
	if (p->is_up != is_up) {
		log_info("tunnel node=%s up=%d", p->object->key, is_up);
		p->is_up = is_up;
		f->cfg.tunnel_changed(f->cfg.hooks.ctx, p->cfg->number, is_up);
		daemon_changed(f->cfg.daemon);
	}
}

const char *
bfd_text(const struct bfdd_event *ev)
{
	return ev && (ev->flags & BFDD_HAS_SESSION) ? bfd_state_name((enum bfd_state)ev->state)
						    : "none";
}

struct json_t *
bgp_peer_row(const struct bgp_peer *p, const struct bfdd_event *bfd)
{
	struct bgp_peer_info i;
	int64_t ago;

	bgp_peer_info(p, &i);
	ago = i.since_us ? mono_now().us - i.since_us : 0;
	return json_pack("{sssIsssIsIsbss}", "session", bgp_state_text(i.state), "since",
			 (json_int_t)(utc_now_us() - ago), "bfd", bfd_text(bfd), "prefixes",
			 (json_int_t)i.n_prefixes, "rejected", (json_int_t)i.n_rejected,
			 "restarting", (int)i.is_restarting, "reason", i.last_error);
}
