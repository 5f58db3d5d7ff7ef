/* wayleave-keeper: the process with the privileges. It makes and holds namespaces, sockets, links
 * and maps for its children, and hands descriptors out; the contract is supervise/keeper.h. It reads
 * nothing but the fixed structs of that contract, from the users it was told of, and checks every
 * field before use (supervise/request.h).
 *
 * One thread, one poll() loop, requests are served one after the other. Objects (domains, fabric
 * listeners) are also in bfdd's custody. A keeper that starts waits for bfdd to hand over what its
 * predecessor had, RECOVERY_MS at most, before it answers anyone else. What it must not outlive is
 * not held here: connected sockets belong to edged alone. */
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/mono.h"
#include "datapath/load.h"
#include "net/ids.h"
#include "supervise/channel.h"
#include "supervise/domain.h"
#include "supervise/keeper_options.h"
#include "supervise/netlink.h"
#include "supervise/notify.h"
#include "supervise/privilege.h"
#include "supervise/request.h"
#include "supervise/sockets.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

enum {
	CLIENTS = 16,
	TRUNK_MAX = 15,
	RECOVERY_MS = 3000,
	PUSH_MS = 1000, /* bfdd not reading for so long has hung: it must connect again */
};

/* A domain, or (number 0) the machine's own sockets on an underlay address. */
struct object {
	struct domain d;
	uint32_t kind; /* enum keeper_custody_kind */
	uint32_t generation;
	unsigned custodian; /* serial of the bfdd connection that has it; 0: none */
};

struct client {
	int fd;
	unsigned serial;
	uid_t uid;
	enum keeper_role role;
	bool is_waiting; /* said HELLO during recovery: not answered yet */
	bool is_synced;  /* bfdd: hand-over finished */
};

struct keeperd {
	struct keeper_options opt;
	struct netlink *machine;
	struct datapath_load *load;
	struct map objects; /* by struct object_key */
	struct client clients[CLIENTS];
	unsigned last_serial;
	uint32_t last_generation;
	int listener, signals;
	bool is_recovering;
	struct mono recovery_end;
};

/* What a reply carries; what is_temporary is closed once sent. */
struct reply_fds {
	int fd[CHANNEL_FDS_MAX];
	bool is_temporary[CHANNEL_FDS_MAX];
	size_t n;
};

static void
reply_fd(struct reply_fds *f, int fd, bool is_temporary)
{
	f->fd[f->n] = fd;
	f->is_temporary[f->n++] = is_temporary;
}

/* Objects */

struct object_key {
	uint32_t number;
	struct addr local; /* only of fabric objects */
};

static struct object_key
key_of(uint32_t kind, const struct keeper_domain_info *i)
{
	struct object_key k;

	memset(&k, 0, sizeof(k));
	if (kind == KEEPER_CUSTODY_FABRIC)
		k.local = i->local;
	else
		k.number = i->number;
	return k;
}

static struct object *
find_domain(const struct keeperd *k, uint32_t number)
{
	struct object_key key;

	memset(&key, 0, sizeof(key));
	key.number = number;
	return map_get(&k->objects, &key, sizeof(key));
}

static struct object *
find_fabric(const struct keeperd *k, const struct addr *local)
{
	struct object_key key;

	memset(&key, 0, sizeof(key));
	key.local = *local;
	return map_get(&k->objects, &key, sizeof(key));
}

static struct object *
insert(struct keeperd *k, uint32_t kind, const struct domain *d, uint32_t generation)
{
	struct object *o = mem_alloc(sizeof(*o));
	struct object_key key = key_of(kind, &d->info);

	o->d = *d;
	o->kind = kind;
	o->generation = generation;
	map_put(&k->objects, &key, sizeof(key), o);
	return o;
}

static void
forget(struct keeperd *k, struct object *o)
{
	struct object_key key = key_of(o->kind, &o->d.info);

	map_remove(&k->objects, &key, sizeof(key));
	domain_close(&o->d);
	free(o);
}

/* Custody */

static void
drop_client(struct client *c)
{
	log_info("client gone role=%d", (int)c->role);
	close(c->fd);
	*c = (struct client){ .fd = -1 };
}

static struct client *
custodian(struct keeperd *k)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (k->clients[i].fd >= 0 && k->clients[i].role == KEEPER_ROLE_BFDD &&
		    k->clients[i].is_synced)
			return &k->clients[i];
	return NULL;
}

static int
push(struct client *c, struct keeper_msg *m, const int *fds, size_t n_fds)
{
	int r;

	m->version = KEEPER_VERSION;
	r = channel_send(c->fd, m, sizeof(*m), fds, n_fds, PUSH_MS);
	if (r < 0) {
		log_warn("bfdd does not take custody, it must connect again error=\"%s\"",
			 strerror(-r));
		drop_client(c);
	}
	return r;
}

static int
give(struct client *c, struct object *o)
{
	struct keeper_msg m = {
		.type = KEEPER_CUSTODY,
		.custody = { .kind = o->kind, .info = o->d.info, .generation = o->generation }
	};
	int fds[KEEPER_FDS];
	size_t n = 0;
	int r;

	for (unsigned i = 0; i < KEEPER_FDS; i++)
		if (o->d.fd[i] >= 0) {
			m.custody.has |= 1u << i;
			fds[n++] = o->d.fd[i];
		}
	r = push(c, &m, fds, n);
	if (r == 0)
		o->custodian = c->serial;
	return r;
}

static void
take_back(struct client *c, uint32_t kind, const struct keeper_domain_info *i, uint32_t generation)
{
	struct keeper_msg m = { .type = KEEPER_CUSTODY_DROP,
				.custody = { .kind = kind, .info = *i, .generation = generation } };

	push(c, &m, NULL, 0);
}

static void
give_to_custodian(struct keeperd *k, struct object *o)
{
	struct client *c = custodian(k);

	if (c)
		give(c, o);
}

static bool
is_socket(int fd, int type)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &len) == 0 && v == type;
}

/* Are these descriptors what they are said to be? */
static bool
is_genuine(const struct domain *d)
{
	static const int types[KEEPER_FDS] = { [KEEPER_FD_LISTENER] = SOCK_STREAM,
					       [KEEPER_FD_BFD_RX] = SOCK_DGRAM,
					       [KEEPER_FD_BFD_TX] = SOCK_DGRAM };

	for (int i = 0; i < KEEPER_FDS; i++) {
		if (d->fd[i] < 0)
			continue;
		if (i == KEEPER_FD_NETNS ? ioctl(d->fd[i], NS_GET_NSTYPE) != CLONE_NEWNET
					 : !is_socket(d->fd[i], types[i]))
			return false;
	}
	return true;
}

/* A predecessor's object fits if its device still stands. */
static bool
is_standing(struct keeperd *k, uint32_t kind, const struct domain *d)
{
	char outer[KEEPER_IFNAME];
	struct netlink_link l;

	if (kind == KEEPER_CUSTODY_FABRIC)
		return d->fd[KEEPER_FD_LISTENER] >= 0;
	return d->fd[KEEPER_FD_NETNS] >= 0 && d->fd[KEEPER_FD_LISTENER] >= 0 &&
	       netlink_link_get(k->machine, domain_outer_name(d->info.number, outer), &l, NULL) ==
		       0 &&
	       l.index == d->info.outer_ifindex;
}

static int
check_custody(const struct keeper_custody *c, size_t n_fds, struct err *e)
{
	int r = request_check_addr(&c->info.local, "local address", e);

	if (r == 0 && c->kind == KEEPER_CUSTODY_DOMAIN)
		r = request_check_number(c->info.number, e);
	else if (r == 0 && (c->kind != KEEPER_CUSTODY_FABRIC || c->info.number))
		r = err_set(e, -EINVAL, "custody of kind %u", c->kind);
	if (r == 0 && (c->has >> KEEPER_FDS || (size_t)__builtin_popcount(c->has) != n_fds))
		r = err_set(e, -EINVAL, "custody with %zu descriptors", n_fds);
	return r;
}

/* bfdd hands one object back. What we have already stays as it is; what we do not have is taken over
 * by a new keeper, and given up by bfdd otherwise. Takes the descriptors. */
static int
custody_returned(struct keeperd *k, struct client *c, const struct keeper_custody *m, int *fds,
		 size_t n_fds, struct err *e)
{
	struct domain d = { .info = m->info };
	struct object_key key = key_of(m->kind, &m->info);
	struct object *have;
	size_t at = 0;
	int r = check_custody(m, n_fds, e);

	if (r < 0) {
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
		return r;
	}
	for (unsigned i = 0; i < KEEPER_FDS; i++)
		d.fd[i] = m->has & 1u << i ? fds[at++] : -1;
	have = map_get(&k->objects, &key, sizeof(key));
	if (!have && k->is_recovering && is_genuine(&d) && is_standing(k, m->kind, &d)) {
		insert(k, m->kind, &d, m->generation)->custodian = c->serial;
		k->last_generation = MAX(k->last_generation, m->generation);
		return 0;
	}
	domain_close(&d);
	if (have && have->generation == m->generation)
		have->custodian = c->serial;
	else
		take_back(c, m->kind, &m->info, m->generation);
	return 0;
}

static int send_maps(struct keeperd *k, struct client *c, struct err *e);
static size_t renew_attachments(struct keeperd *k);
static void finish_recovery(struct keeperd *k);

static int
custody_ended(struct keeperd *k, struct client *c, struct err *e)
{
	struct keeper_msg end = { .type = KEEPER_CUSTODY,
				  .custody = { .kind = KEEPER_CUSTODY_END } };
	struct map_iter it = { 0 };
	int r;

	finish_recovery(k);
	r = send_maps(k, c, e);
	while (r == 0 && map_next(&k->objects, &it)) {
		struct object *o = it.value;

		if (o->custodian != c->serial)
			r = give(c, o);
	}
	if (r == 0)
		r = push(c, &end, NULL, 0);
	if (r == 0)
		c->is_synced = true;
	return 0; /* a failed push has dropped the client already */
}

/* Requests */

static int
serve_maps(struct keeperd *k, const struct client *c, struct keeper_msg *m, struct reply_fds *f,
	   struct err *e)
{
	struct datapath_fds set;
	enum datapath_audience who = c->role == KEEPER_ROLE_BFDD ? DATAPATH_FOR_BFD
								 : DATAPATH_FOR_DAEMON;
	int r = datapath_load_fds(k->load, who, &set, e);

	static_assert((int)DP_MAP_COUNT <= CHANNEL_FDS_MAX, "one message carries all maps");
	if (r < 0)
		return r;
	m->maps = 0;
	for (unsigned i = 0; i < DP_MAP_COUNT; i++)
		if (set.fd[i] >= 0) {
			m->maps |= 1u << i;
			reply_fd(f, set.fd[i], true);
		}
	return 0;
}

static int
send_maps(struct keeperd *k, struct client *c, struct err *e)
{
	struct keeper_msg m = { .type = KEEPER_MAPS };
	struct reply_fds f = { .n = 0 };
	int r = serve_maps(k, c, &m, &f, e);

	if (r == 0)
		r = push(c, &m, f.fd, f.n);
	for (size_t i = 0; i < f.n; i++)
		close(f.fd[i]);
	return r;
}

/* Offloads of the device itself, up, the packet program; what the asker wants to know of it. */
static int
attach(struct keeperd *k, const char *ifname, enum dp_if_kind kind, uint32_t value,
       struct keeper_port_info *ret, struct err *e)
{
	static const struct netlink_offload endpoint = { .gro = 1, .tx = 0, .txvlan = 0 };
	struct netlink_link l = { 0 };
	int r = netlink_link_get(k->machine, ifname, &l, e);

	if (r < 0)
		return r;
	if (netlink_offload_set(NETLINK_HERE, ifname, endpoint, e) < 0)
		log_warn("offloads stay as they are error=\"%s\"", e->text);
	r = netlink_link_up(k->machine, ifname, true, e);
	if (r == 0)
		r = datapath_load_attach(k->load, l.index, kind, value, e);
	if (r < 0)
		return r;
	*ret = (struct keeper_port_info){ .ifindex = l.index, .mtu = l.mtu, .mac = l.mac };
	log_info("attached interface=%s kind=%d value=%u", ifname, (int)kind, value);
	return 0;
}

static int
serve_port(struct keeperd *k, const struct client *c, struct keeper_msg *m, struct reply_fds *f,
	   struct err *e)
{
	struct keeper_port want = m->port;
	const struct keeper_port *p;
	int r = request_check_ifname(want.ifname, e);

	if (r < 0)
		return r;
	p = keeper_options_port(&k->opt, want.ifname);
	if (!p || p->role != want.role)
		return err_set(e, -EPERM, "%s is not one of this keeper's ports", want.ifname);
	if (p->role == KEEPER_PORT_TRUNK && (want.index < 1 || want.index > TRUNK_MAX))
		return err_set(e, -EINVAL, "trunk %u", want.index);
	return attach(k, want.ifname, p->role == KEEPER_PORT_TRUNK ? DP_IF_TRUNK : DP_IF_FABRIC,
		      p->role == KEEPER_PORT_TRUNK ? want.index : 0, &m->port_info, e);
}

static bool
is_same(const struct keeper_domain *want, const struct keeper_domain_info *have)
{
	return want->flags == have->flags && addr_equal(&want->local, &have->local) &&
	       addr_equal(&want->peer, &have->peer) && want->plen == have->plen &&
	       (!want->mtu || want->mtu == have->mtu);
}

static int
make_domain(struct keeperd *k, const struct keeper_domain *want, struct object **ret, struct err *e)
{
	struct domain d;
	struct object *o;
	int r = domain_create(k->machine, k->opt.node, want, &d, e);

	if (r < 0)
		return r;
	r = datapath_load_attach(k->load, d.info.outer_ifindex, DP_IF_DOMAIN, want->number, e);
	if (r < 0) {
		domain_delete(k->machine, &d);
		return r;
	}
	o = insert(k, KEEPER_CUSTODY_DOMAIN, &d, ++k->last_generation);
	give_to_custodian(k, o);
	log_info("domain made number=%u", want->number);
	*ret = o;
	return 0;
}

static int
serve_domain_add(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		 struct reply_fds *f, struct err *e)
{
	struct keeper_domain want = m->domain;
	struct object *o = NULL;
	bool is_new;
	int nl, r = request_check_domain(&want, e);

	if (r < 0)
		return r;
	o = find_domain(k, want.number);
	is_new = !o;
	if (o && !is_same(&want, &o->d.info))
		r = err_set(e, -EEXIST, "domain %u exists with other properties", want.number);
	else if (o)
		r = sockets_key(o->d.fd[KEEPER_FD_LISTENER], &want.peer, &want.key, e);
	else
		r = make_domain(k, &want, &o, e);
	mem_wipe(&want, sizeof(want));
	if (r < 0)
		return r;
	nl = netns_socket(o->d.fd[KEEPER_FD_NETNS], AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK,
			  0 /* NETLINK_ROUTE */, e);
	if (nl < 0)
		return nl;
	reply_fd(f, o->d.fd[KEEPER_FD_LISTENER], false);
	reply_fd(f, nl, true);
	memset(&m->domain, 0, sizeof(m->domain));
	m->domain_info = o->d.info;
	m->domain_info.is_new = is_new;
	return 0;
}

static int
serve_domain_key(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		 struct reply_fds *f, struct err *e)
{
	const struct object *o = find_domain(k, m->domain.number);
	int r = request_check_key(&m->domain.key, e);

	if (r < 0)
		return r;
	if (!o)
		return err_set(e, -ENOENT, "no domain %u", m->domain.number);
	return sockets_key(o->d.fd[KEEPER_FD_LISTENER], &o->d.info.peer, &m->domain.key, e);
}

static int
serve_domain_remove(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		    struct reply_fds *f, struct err *e)
{
	struct object *o = find_domain(k, m->number);
	struct client *bfdd = custodian(k);

	if (!o)
		return 0;
	if (bfdd)
		take_back(bfdd, o->kind, &o->d.info, o->generation);
	if (datapath_load_detach(k->load, o->d.info.outer_ifindex, e) < 0)
		log_warn("detach domain number=%u error=\"%s\"", m->number, e->text);
	domain_delete(k->machine, &o->d);
	forget(k, o);
	log_info("domain removed number=%u", m->number);
	return 0;
}

/* The smallest numbers above m->number, ascending: insertion into a short array. */
static int
serve_domain_list(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		  struct reply_fds *f, struct err *e)
{
	uint32_t after = m->number, out[KEEPER_DOMAINS_PER_REPLY], n = 0;
	struct map_iter it = { 0 };

	while (map_next(&k->objects, &it)) {
		const struct object *o = it.value;
		uint32_t number = o->d.info.number, at;

		if (o->kind != KEEPER_CUSTODY_DOMAIN || number <= after ||
		    (n == COUNT(out) && number >= out[n - 1]))
			continue;
		n += n < COUNT(out);
		for (at = n - 1; at > 0 && out[at - 1] > number; at--)
			out[at] = out[at - 1];
		out[at] = number;
	}
	m->list.n = n;
	memcpy(m->list.number, out, n * sizeof(out[0]));
	return 0;
}

static int
serve_dial(struct keeperd *k, const struct client *c, struct keeper_msg *m, struct reply_fds *f,
	   struct err *e)
{
	const struct object *o = NULL;
	int fd, r = request_check_dial(&m->dial, e);

	if (r < 0)
		return r;
	if (m->dial.domain) {
		o = find_domain(k, m->dial.domain);
		if (!o)
			return err_set(e, -ENOENT, "no domain %u", m->dial.domain);
	}
	fd = sockets_dial(o ? o->d.fd[KEEPER_FD_NETNS] : NETLINK_HERE, &m->dial, e);
	if (fd < 0)
		return fd;
	reply_fd(f, fd, true);
	return 0;
}

static int
make_fabric(struct keeperd *k, const struct keeper_fabric_listen *want, struct object **ret,
	    struct err *e)
{
	struct domain d = { .info = { .local = want->local, .plen = 32 } };
	int r;

	for (int i = 0; i < KEEPER_FDS; i++)
		d.fd[i] = -1;
	r = d.fd[KEEPER_FD_LISTENER] = sockets_listen(NETLINK_HERE, &want->local, want->min_ttl, e);
	if (r >= 0)
		r = d.fd[KEEPER_FD_BFD_RX] = sockets_bfd_rx(NETLINK_HERE, &want->local, true, e);
	if (r >= 0)
		r = d.fd[KEEPER_FD_BFD_TX] = sockets_bfd_tx(NETLINK_HERE, &want->local, e);
	if (r < 0) {
		domain_close(&d);
		return r;
	}
	*ret = insert(k, KEEPER_CUSTODY_FABRIC, &d, ++k->last_generation);
	give_to_custodian(k, *ret);
	return 0;
}

static int
serve_fabric_listen(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		    struct reply_fds *f, struct err *e)
{
	struct keeper_fabric_listen want = m->fabric;
	int r = request_check_addr(&want.local, "underlay address", e);
	struct object *o = r < 0 ? NULL : find_fabric(k, &want.local);

	if (r == 0 && !o)
		r = make_fabric(k, &want, &o, e);
	if (r < 0)
		return r;
	reply_fd(f, o->d.fd[KEEPER_FD_LISTENER], false);
	return 0;
}

static int
serve_fabric_peer(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		  struct reply_fds *f, struct err *e)
{
	const struct object *o;
	int r = request_check_addr(&m->fabric_peer.local, "underlay address", e);

	if (r == 0)
		r = request_check_addr(&m->fabric_peer.peer, "peer address", e);
	if (r == 0)
		r = request_check_key(&m->fabric_peer.key, e);
	if (r < 0)
		return r;
	o = find_fabric(k, &m->fabric_peer.local);
	if (!o)
		return err_set(e, -ENOENT, "no listener on this underlay address");
	return sockets_key(o->d.fd[KEEPER_FD_LISTENER], &m->fabric_peer.peer, &m->fabric_peer.key,
			   e);
}

static int
check_nic(const struct keeperd *k, const struct keeper_nic *n, struct err *e)
{
	int r = request_check_ifname(n->ifname, e);

	if (r < 0)
		return r;
	if (!strcmp(n->ifname, "lo") || keeper_options_port(&k->opt, n->ifname) ||
	    fnmatch(k->opt.nic_pattern, n->ifname, 0) != 0)
		return err_set(e, -EPERM, "%s cannot be a NIC's port", n->ifname);
	return 0;
}

static int
serve_nic_attach(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		 struct reply_fds *f, struct err *e)
{
	struct keeper_nic want = m->nic;
	int r = check_nic(k, &want, e);

	return r < 0 ? r : attach(k, want.ifname, DP_IF_NIC, want.number, &m->port_info, e);
}

static int
serve_nic_detach(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		 struct reply_fds *f, struct err *e)
{
	unsigned index;
	int r = check_nic(k, &m->nic, e);

	if (r < 0)
		return r;
	index = if_nametoindex(m->nic.ifname);
	if (index)
		return datapath_load_detach(k->load, index, e);
	renew_attachments(k); /* the device went first, and took its index along */
	return 0;
}

#define BY(role) (1u << KEEPER_ROLE_##role)
static const struct {
	int (*serve)(struct keeperd *k, const struct client *c, struct keeper_msg *m,
		     struct reply_fds *f, struct err *e);
	unsigned roles;
} requests[KEEPER_TYPES] = {
	/* clang-format off */
	[KEEPER_MAPS]          = { serve_maps,          BY(EDGED) | BY(HOSTD) },
	[KEEPER_PORT]          = { serve_port,          BY(EDGED) | BY(HOSTD) },
	[KEEPER_DOMAIN_ADD]    = { serve_domain_add,    BY(EDGED) },
	[KEEPER_DOMAIN_KEY]    = { serve_domain_key,    BY(EDGED) },
	[KEEPER_DOMAIN_REMOVE] = { serve_domain_remove, BY(EDGED) },
	[KEEPER_DOMAIN_LIST]   = { serve_domain_list,   BY(EDGED) },
	[KEEPER_DIAL]          = { serve_dial,          BY(EDGED) | BY(HOSTD) },
	[KEEPER_FABRIC_LISTEN] = { serve_fabric_listen, BY(EDGED) | BY(HOSTD) },
	[KEEPER_FABRIC_PEER]   = { serve_fabric_peer,   BY(EDGED) | BY(HOSTD) },
	[KEEPER_NIC_ATTACH]    = { serve_nic_attach,    BY(HOSTD) },
	[KEEPER_NIC_DETACH]    = { serve_nic_detach,    BY(HOSTD) },
	/* clang-format on */
};

static void
answer(struct client *c, struct keeper_msg *m, int code, const struct err *e, struct reply_fds *f)
{
	m->version = KEEPER_VERSION;
	m->code = code;
	if (code < 0) {
		memset(m->text, 0, sizeof(m->text));
		snprintf(m->text, sizeof(m->text), "%.255s", e->text);
		log_warn("request refused type=%u error=\"%s\"", m->type, m->text);
	}
	if (channel_send(c->fd, m, sizeof(*m), f->fd, code < 0 ? 0 : f->n, PUSH_MS) < 0)
		drop_client(c);
	for (size_t i = 0; i < f->n; i++)
		if (f->is_temporary[i])
			close(f->fd[i]);
}

/* The kernel's word on who it is, not the client's. Only a user told for the role is believed, so that
 * an edged in wrong hands cannot become bfdd and be given every descriptor. */
static bool
may_be(const struct keeperd *k, const struct client *c, enum keeper_role role)
{
	uid_t want = role == KEEPER_ROLE_BFDD ? k->opt.bfdd_uid : k->opt.daemon_uid;

	if (want == (uid_t)-1)
		return c->uid == 0 || c->uid == geteuid();
	return c->uid == want;
}

static int
hello(struct keeperd *k, struct client *c, struct keeper_msg *m, struct err *e)
{
	struct reply_fds none = { .n = 0 };

	if (c->role || m->role < KEEPER_ROLE_EDGED || m->role > KEEPER_ROLE_BFDD)
		return err_set(e, -EPROTO, "HELLO with role %u", m->role);
	if (!may_be(k, c, (enum keeper_role)m->role))
		return err_set(e, -EPERM, "user %u may not have role %u", (unsigned)c->uid,
			       m->role);
	for (size_t i = 0; i < CLIENTS; i++) /* a daemon's successor replaces it */
		if (k->clients[i].fd >= 0 && k->clients[i].role == (enum keeper_role)m->role)
			drop_client(&k->clients[i]);
	c->role = (enum keeper_role)m->role;
	if (k->is_recovering && c->role != KEEPER_ROLE_BFDD)
		c->is_waiting = true;
	else if (c->role != KEEPER_ROLE_BFDD)
		answer(c, m, 0, NULL, &none);
	return 0;
}

static int
custody_message(struct keeperd *k, struct client *c, struct keeper_msg *m, int *fds, size_t n_fds,
		struct err *e)
{
	if (m->custody.kind == KEEPER_CUSTODY_END)
		return custody_ended(k, c, e);
	return custody_returned(k, c, &m->custody, fds, n_fds, e);
}

/* One message. Negative: the client does not keep the contract. */
static int
serve(struct keeperd *k, struct client *c, struct keeper_msg *m, int *fds, size_t n_fds,
      struct err *e)
{
	struct reply_fds f = { .n = 0 };
	struct err why = { 0 };
	int r;

	if (m->version == KEEPER_VERSION && m->type == KEEPER_CUSTODY &&
	    c->role == KEEPER_ROLE_BFDD)
		return custody_message(k, c, m, fds, n_fds, e);
	for (size_t i = 0; i < n_fds; i++) /* nobody else has any to give */
		close(fds[i]);
	if (m->version != KEEPER_VERSION || m->type >= KEEPER_TYPES || n_fds)
		return err_set(e, -EPROTO, "message of version %u type %u with %zu descriptors",
			       m->version, m->type, n_fds);
	if (m->type == KEEPER_HELLO)
		return hello(k, c, m, e);
	if (!requests[m->type].serve || !(requests[m->type].roles & 1u << c->role))
		return err_set(e, -EPERM, "type %u is not for role %d", m->type, (int)c->role);
	r = requests[m->type].serve(k, c, m, &f, &why);
	answer(c, m, r, &why, &f);
	return 0;
}

static void
read_client(struct keeperd *k, struct client *c)
{
	int fds[CHANNEL_FDS_MAX];
	struct keeper_msg m;
	struct err e = { 0 };
	size_t n_fds = 0;
	ssize_t n = channel_recv(c->fd, &m, sizeof(m), fds, &n_fds, 0);

	if (n == -EAGAIN)
		return;
	if (n == sizeof(m)) {
		if (serve(k, c, &m, fds, n_fds, &e) < 0) {
			log_warn("client dropped role=%d error=\"%s\"", (int)c->role, e.text);
			drop_client(c);
		}
	} else {
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
		drop_client(c);
	}
	mem_wipe(&m, sizeof(m));
}

static void
accept_clients(struct keeperd *k)
{
	const uid_t users[] = { k->opt.daemon_uid, k->opt.bfdd_uid };
	struct ucred peer;
	struct err e = { 0 };
	int fd;

	while ((fd = channel_accept(k->listener, users, COUNT(users), &peer, &e)) >= 0) {
		struct client *c = k->clients;

		while (c < k->clients + CLIENTS && c->fd >= 0)
			c++;
		if (c == k->clients + CLIENTS) {
			log_warn("too many clients");
			close(fd);
			continue;
		}
		*c = (struct client){ .fd = fd, .serial = ++k->last_serial, .uid = peer.uid };
	}
}

/* Start */

/* What a predecessor attached and what still stands, to be attached again with our own program. */
struct attachments {
	const struct keeperd *k;
	struct buf found; /* of struct attachment */
};
struct attachment {
	unsigned ifindex;
	enum dp_if_kind kind;
	uint32_t value;
};

static bool
keep_attachment(void *ctx, unsigned ifindex, enum dp_if_kind kind, uint32_t value)
{
	struct attachments *a = ctx;
	const struct object *o = kind == DP_IF_DOMAIN ? find_domain(a->k, value) : NULL;
	struct attachment found = { ifindex, kind, value };
	char name[IF_NAMESIZE];
	bool is_kept = kind == DP_IF_DOMAIN ? o && o->d.info.outer_ifindex == ifindex
					    : if_indextoname(ifindex, name) != NULL;

	if (is_kept)
		buf_put(&a->found, &found, sizeof(found));
	return is_kept;
}

/* Detaches what has vanished; the rest gets this program's packet programs, without a gap. */
static size_t
renew_attachments(struct keeperd *k)
{
	struct attachments a = { .k = k };
	size_t n;

	datapath_load_sweep(k->load, keep_attachment, &a);
	n = a.found.n / sizeof(struct attachment);
	for (size_t i = 0; i < n; i++) {
		struct attachment at;
		struct err e = { 0 };

		memcpy(&at, a.found.p + i * sizeof(at), sizeof(at));
		if (datapath_load_attach(k->load, at.ifindex, at.kind, at.value, &e) < 0)
			log_error("attach ifindex=%u value=%u error=\"%s\"", at.ifindex, at.value,
				  e.text);
	}
	buf_fini(&a.found);
	return n;
}

static void
finish_recovery(struct keeperd *k)
{
	size_t n;

	if (!k->is_recovering)
		return;
	k->is_recovering = false;
	n = renew_attachments(k);
	log_info("taken over objects=%zu attachments=%zu", k->objects.n, n);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &k->clients[i];
		struct keeper_msg m = { .type = KEEPER_HELLO };
		struct reply_fds none = { .n = 0 };

		if (c->fd >= 0 && c->is_waiting) {
			c->is_waiting = false;
			answer(c, &m, 0, NULL, &none);
		}
	}
}

/* The neighbour table is one for all namespaces. Only the first namespace of a machine has these, and
 * a container may not write them. */
static void
raise_neighbour_limits(void)
{
	static const char *const limits[][2] = { { "gc_thresh3", "65536" },
						 { "gc_thresh2", "32768" },
						 { "gc_thresh1", "16384" } };
	char path[64];
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(limits); i++) {
		int r;

		snprintf(path, sizeof(path), "net/ipv4/neigh/default/%s", limits[i][0]);
		r = netns_sysctl(NETLINK_HERE, path, limits[i][1], &e);
		if (r < 0 && r != -ENOENT) {
			log_warn("neighbour table may be too small for many domains error=\"%s\"",
				 e.text);
			return;
		}
	}
}

static int
start(struct keeperd *k, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", k->opt.run, KEEPER_SOCKET);
	bool is_shared = k->opt.daemon_uid != (uid_t)-1 || k->opt.bfdd_uid != (uid_t)-1;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0)
		return err_errno(e, "signalfd");
	privilege_raise_files(KEEPER_FILES);
	raise_neighbour_limits();
	r = netlink_open(NETLINK_HERE, &k->machine, e);
	if (r == 0)
		r = datapath_load_open(k->opt.pins, k->opt.role, NULL, &k->load, e);
	if (r == 0)
		r = k->listener = channel_listen(path, is_shared, e);
	if (r >= 0)
		r = privilege_drop(PRIVILEGE_KEEPER, e);
	return r < 0 ? r : 0;
}

enum verdict { GO_ON, STOP, EXEC };

static enum verdict
read_signal(const struct keeperd *k)
{
	struct signalfd_siginfo si;

	if (read(k->signals, &si, sizeof(si)) != sizeof(si))
		return GO_ON;
	return si.ssi_signo == SIGHUP ? EXEC : STOP;
}

static enum verdict
step(struct keeperd *k)
{
	struct pollfd p[CLIENTS + 2];
	int wait_ms = -1;

	p[0] = (struct pollfd){ .fd = k->signals, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = k->listener, .events = POLLIN };
	for (size_t i = 0; i < CLIENTS; i++)
		p[i + 2] = (struct pollfd){ .fd = k->clients[i].fd, .events = POLLIN };
	if (k->is_recovering)
		wait_ms = (int)MAX((k->recovery_end.us - mono_now().us) / 1000 + 1, 1);
	if (poll(p, COUNT(p), wait_ms) < 0)
		return GO_ON;
	if (k->is_recovering && mono_is_due(k->recovery_end, mono_now())) {
		log_warn("no bfdd came to hand over a predecessor's objects");
		finish_recovery(k);
	}
	/* The descriptor may be another's by now: only whom poll() meant is read. */
	for (size_t i = 0; i < CLIENTS; i++)
		if (p[i + 2].revents && k->clients[i].fd == p[i + 2].fd)
			read_client(k, &k->clients[i]);
	if (p[1].revents)
		accept_clients(k);
	return p[0].revents ? read_signal(k) : GO_ON;
}

static void
finish(struct keeperd *k)
{
	struct map_iter it = { 0 };

	while (map_next(&k->objects, &it)) {
		struct object *o = it.value;

		domain_close(&o->d);
		free(o);
	}
	map_fini(&k->objects);
	for (size_t i = 0; i < CLIENTS; i++)
		if (k->clients[i].fd >= 0)
			close(k->clients[i].fd);
	if (k->listener >= 0)
		close(k->listener);
	if (k->signals >= 0)
		close(k->signals);
	datapath_load_destroy(k->load);
	netlink_destroy(k->machine);
	keeper_options_fini(&k->opt);
}

int
main(int argc, char **argv)
{
	struct keeperd k = { .listener = -1, .signals = -1, .is_recovering = true };
	enum verdict v = GO_ON;
	struct err e = { 0 };

	for (size_t i = 0; i < CLIENTS; i++)
		k.clients[i].fd = -1;
	log_init("keeper", LOG_INFO);
	if (keeper_options_parse(argc, argv, &k.opt, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	if (k.opt.is_check)
		return keeper_options_check(&k.opt);
	if (start(&k, &e) < 0) {
		log_error("cannot start error=\"%s\"", e.text);
		finish(&k);
		return 1;
	}
	k.recovery_end = mono_add_ms(mono_now(), RECOVERY_MS);
	notify("READY=1");
	log_info("ready node=%s pins=%s", k.opt.node, k.opt.pins);
	while (v == GO_ON)
		v = step(&k);
	if (v == EXEC) {
		log_info("exec anew");
		execv(argv[0], argv);
		log_error("exec failed, going on as a restart error=\"%s\"", strerror(errno));
	}
	finish(&k);
	return v == EXEC;
}
