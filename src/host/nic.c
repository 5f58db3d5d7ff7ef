/* NICs: a slot in the packet tables, a device on that slot, the addresses announced to the edges
 * while the device is there. */
#include "base/log.h"
#include "base/mem.h"
#include "host/host.h"

#include <net/if.h>
#include <sys/ioctl.h>

/* The same after a restart and on every run: FNV-1a of the key, never 0. */
static uint32_t
nic_id(const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key; key++)
		h = (h ^ (uint8_t)*key) * 16777619u;
	return h ? h : 1;
}

static void
announce(struct nic *n, bool is_there)
{
	struct vnet *v = vnet_by_number(n->host, n->cfg->vnet);

	for (unsigned i = 0; v && i < n->cfg->n_addresses; i++) {
		struct prefix p =
			prefix_make(&n->cfg->addresses[i], addr_bits(&n->cfg->addresses[i]));

		if (is_there)
			bgp_table_originate(v->bgp, &p, BGP_TO_FABRIC);
		else
			bgp_table_withdraw(v->bgp, &p);
	}
	sessions_kick(fabric_sessions(n->host->fabric));
}

static struct keeper_nic
keeper_name(const struct nic *n)
{
	struct keeper_nic k = { .number = n->slot };

	snprintf(k.ifname, sizeof(k.ifname), "%s", n->cfg->device);
	return k;
}

static int
attach(struct nic *n, struct err *e)
{
	struct keeper_nic k = keeper_name(n);
	struct keeper_port_info info;
	int r = keeper_nic_attach(daemon_keeper(n->host->daemon), &k, &info, e);

	if (r < 0)
		return err_wrap(e, r, "device %s", n->cfg->device);
	n->ifindex = info.ifindex;
	announce(n, true);
	log_info("nic=%s attached device=%s slot=%u", n->object->key, n->cfg->device, n->slot);
	daemon_changed(n->host->daemon);
	return 0;
}

static void
detach(struct nic *n)
{
	struct keeper_nic k = keeper_name(n);

	if (!n->ifindex)
		return;
	n->ifindex = 0;
	announce(n, false);
	keeper_nic_detach(daemon_keeper(n->host->daemon), &k, NULL);
	log_info("nic=%s detached device=%s", n->object->key, n->cfg->device);
	daemon_changed(n->host->daemon);
}

/* The index of a device that is there and whose other end is, too; 0 if not. A veth that gets its
 * program while it is being set up never learns that its peer can take redirected frames. */
static uint32_t
ready_device(const char *name)
{
	AUTO_CLOSE fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq q = { 0 };

	snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", name);
	if (!*name || fd < 0 || ioctl(fd, SIOCGIFFLAGS, &q) < 0)
		return 0;
	return (q.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING)
		       ? if_nametoindex(name)
		       : 0;
}

void
nic_look(struct host *h)
{
	struct map_iter it = { 0 };

	while (map_next(&h->nics, &it)) {
		struct nic *n = it.value;
		uint32_t now = ready_device(n->cfg->device);
		struct err e = { 0 };

		/* one that only lost its carrier stays: it is the same device */
		if (now == n->ifindex || (!now && if_nametoindex(n->cfg->device) == n->ifindex))
			continue;
		detach(n);
		if (now && attach(n, &e) < 0)
			log_warn("nic=%s error=\"%s\"", n->object->key, e.text);
	}
}

static int
put(struct nic *n, struct err *e)
{
	const struct vnet *v = vnet_by_number(n->host, n->cfg->vnet);
	struct datapath_nic dp = {
		.id = nic_id(n->object->key), .vnet = n->cfg->vnet, .mac = n->cfg->mac, .mtu = 1500
	};
	int r;

	if (!v)
		return err_set(e, -ENOENT, "vnet: %u is not applied", n->cfg->vnet.v);
	for (unsigned i = 0; i < n->cfg->n_addresses; i++) {
		if (n->cfg->addresses[i].family != NET_V4)
			continue;
		if (dp.n_addresses == DATAPATH_NIC_ADDRESSES)
			return err_set(e, -ENOSPC, "addresses: at most %d", DATAPATH_NIC_ADDRESSES);
		dp.address[dp.n_addresses++] = n->cfg->addresses[i];
	}
	if (!dp.n_addresses)
		return err_set(e, -EINVAL, "addresses: there is no IPv4 address");
	dp.subnet = prefix_make(&dp.address[0], 32);
	for (unsigned i = 0; i < v->cfg->n_subnets; i++)
		if (prefix_contains(&v->cfg->subnets[i].prefix, &dp.address[0]))
			dp.subnet = v->cfg->subnets[i].prefix;
	r = datapath_host_nic_put(n->host->dp, &dp, &n->slot, e);
	if (r == 0)
		n->id = dp.id;
	return r;
}

static void
nic_remove(struct nic *n)
{
	struct host *h = n->host;
	struct vnet *v = vnet_by_number(h, n->cfg->vnet);

	detach(n);
	if (n->id) {
		datapath_host_nic_remove(h->dp, n->id, mono_now());
		v->n_nics--;
	}
	map_remove_str(&h->nics, n->object->key);
	node_object_destroy((struct node_object *)n->object);
	free(n);
}

static int
nic_add(struct host *h, const struct node_object *o, struct err *e)
{
	const char *own = daemon_options(h->daemon)->node;
	struct nic *n;
	struct err local = { 0 };
	int r;

	if (strcmp(o->nic.node, own))
		return 0; /* lives elsewhere: BGP tells where */
	n = mem_alloc(sizeof(*n));
	n->host = h;
	n->object = node_object_ref(o);
	n->cfg = &o->nic;
	map_put_str(&h->nics, o->key, n);
	r = put(n, e);
	if (r < 0) {
		nic_remove(n);
		return r;
	}
	vnet_by_number(h, o->nic.vnet)->n_nics++;
	/* a device that is not there yet is looked for again and again */
	if (ready_device(n->cfg->device) && attach(n, &local) < 0)
		log_warn("nic=%s error=\"%s\"", o->key, local.text);
	return 0;
}

/* What packets and routes do not depend on. */
static bool
is_soft_change(const struct node_nic *a, const struct node_nic *b)
{
	if (a->vnet.v != b->vnet.v || a->n_addresses != b->n_addresses ||
	    memcmp(&a->mac, &b->mac, sizeof(a->mac)) || strcmp(a->node, b->node) ||
	    strcmp(a->device, b->device))
		return false;
	for (unsigned i = 0; i < a->n_addresses; i++)
		if (!addr_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

int
nic_apply(struct host *h, const struct node_object *from, const struct node_object *to,
	  struct err *e)
{
	struct nic *n = map_get_str(&h->nics, (from ? from : to)->key);

	if (n && to && is_soft_change(n->cfg, &to->nic)) {
		node_object_destroy((struct node_object *)n->object);
		n->object = node_object_ref(to);
		n->cfg = &to->nic;
		return 0;
	}
	if (n)
		nic_remove(n);
	return to ? nic_add(h, to, e) : 0;
}

void
nic_free_all(struct host *h)
{
	struct map_iter it = { 0 };

	while (map_next(&h->nics, &it)) {
		struct nic *n = it.value;

		node_object_destroy((struct node_object *)n->object);
		free(n);
	}
	map_fini(&h->nics);
}
