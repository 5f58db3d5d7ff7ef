/* ETHTOOL by ioctl: the offloads that decide whether packets survive XDP redirects. */
#include "supervise/netlink.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

static int
ethtool(int fd, const char *ifname, uint32_t cmd, uint32_t *value)
{
	struct ethtool_value v = { .cmd = cmd, .data = *value };
	struct ifreq ifr = { .ifr_data = (void *)&v };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return -errno;
	*value = v.data;
	return 0;
}

static int
set_one(int fd, const char *ifname, uint32_t cmd, int want, const char *what, struct err *e)
{
	uint32_t v = (uint32_t)want;
	int r = want < 0 ? 0 : ethtool(fd, ifname, cmd, &v);

	return r < 0 ? err_set(e, r, "%s: %s %s: %s", ifname, what, want ? "on" : "off",
			       strerror(-r))
		     : 0;
}

/* Transmit VLAN insertion has no command of its own: it is a bit of ETHTOOL_SFLAGS. */
static int
set_txvlan(int fd, const char *ifname, int want, struct err *e)
{
	uint32_t flags = 0;
	int r = want < 0 ? 0 : ethtool(fd, ifname, ETHTOOL_GFLAGS, &flags);

	if (want < 0)
		return 0;
	flags = want ? flags | ETH_FLAG_TXVLAN : flags & ~(uint32_t)ETH_FLAG_TXVLAN;
	if (r == 0)
		r = ethtool(fd, ifname, ETHTOOL_SFLAGS, &flags);
	return r < 0 ? err_set(e, r, "%s: tx VLAN offload: %s", ifname, strerror(-r)) : 0;
}

int
netlink_offload_set(int ns_fd, const char *ifname, struct netlink_offload o, struct err *e)
{
	AUTO_CLOSE fd = netns_socket(ns_fd, AF_INET, SOCK_DGRAM, 0, e);
	int r;

	if (fd < 0)
		return fd;
	r = set_one(fd, ifname, ETHTOOL_SGRO, o.gro, "gro", e);
	if (r == 0 && o.tx == 0) /* TSO needs checksums: first off with it */
		r = set_one(fd, ifname, ETHTOOL_STSO, 0, "tso", e);
	if (r == 0)
		r = set_one(fd, ifname, ETHTOOL_STXCSUM, o.tx, "tx", e);
	return r < 0 ? r : set_txvlan(fd, ifname, o.txvlan, e);
}

int
netlink_offload_get(int ns_fd, const char *ifname, struct netlink_offload *ret, struct err *e)
{
	AUTO_CLOSE fd = netns_socket(ns_fd, AF_INET, SOCK_DGRAM, 0, e);
	uint32_t gro = 0, tx = 0, flags = 0;
	int r;

	if (fd < 0)
		return fd;
	r = ethtool(fd, ifname, ETHTOOL_GGRO, &gro);
	if (r == 0)
		r = ethtool(fd, ifname, ETHTOOL_GTXCSUM, &tx);
	if (r == 0)
		r = ethtool(fd, ifname, ETHTOOL_GFLAGS, &flags);
	if (r < 0)
		return err_set(e, r, "%s: offloads: %s", ifname, strerror(-r));
	*ret = (struct netlink_offload){ .gro = gro != 0,
					 .tx = tx != 0,
					 .txvlan = (flags & ETH_FLAG_TXVLAN) != 0 };
	return 0;
}
