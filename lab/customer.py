"""A customer: two routers and a LAN with one host.

    pc (.10) ─┐                   ┌─ ce1 ── wan0 ─▶ an untagged port of the provider's switch
              ├── LAN bridge ─────┤    │ iBGP over the LAN, next hop self
              │  192.168.10.0/24  └─ ce2 ── wan0 ─▶ another
              └── default routes to both (one flow stays on one router)

When ce1 loses its link it still is on the LAN: it takes ce2's path by iBGP and passes the packets
on, so the host need not notice.
"""

import ipaddress

from netns import veth
from routers import Frr


class Plan:
    """A customer's numbers. Two customers may use the same ones: that is the point of a circuit."""

    def __init__(self, asn=65010, primary="172.16.0.0/30", secondary="172.16.0.4/30", vlan=100,
                 key="s3cretKey", lan="192.168.10.0/24", vnet="10.10.0.0/16",
                 subnet="10.10.1.0/24", edge_asn=12076):
        self.asn, self.vlan, self.key, self.edge_asn = asn, vlan, key, edge_asn
        self.links = [ipaddress.ip_network(primary), ipaddress.ip_network(secondary)]
        self.lan = ipaddress.ip_network(lan)
        self.vnet, self.subnet = vnet, ipaddress.ip_network(subnet)

    def ce(self, i):
        return str(self.links[i][1])

    def edge(self, i):
        return str(self.links[i][2])

    def lan_ce(self, i):
        return str(self.lan[2 + i])

    @property
    def pc(self):
        return str(self.lan[10])

    def vm(self, i):
        return str(self.subnet[4 + i])


def frr_config(plan, i, key=None, asn=None):
    """One router's configuration. key and asn let a test get them wrong."""
    key = plan.key if key is None else key
    edge, other = plan.edge(i), plan.lan_ce(1 - i)
    password = f" neighbor {edge} password {key}\n" if key else ""
    return f"""\
router bgp {asn or plan.asn}
 bgp router-id {plan.lan_ce(i)}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 neighbor {edge} remote-as {plan.edge_asn}
 neighbor {edge} description edge {"AB"[i]}
 neighbor {edge} timers connect 1
 neighbor {edge} bfd
{password} neighbor {other} remote-as {asn or plan.asn}
 neighbor {other} timers connect 1
 address-family ipv4 unicast
  network {plan.lan}
  neighbor {edge} activate
  neighbor {other} activate
  neighbor {other} next-hop-self
 exit-address-family
exit
"""


def bird_config(plan, i, extra_routes=(), key=None, asn=None):
    key = plan.key if key is None else key
    routes = "\n".join(f"    route {r} blackhole;" for r in extra_routes)
    password = f'    password "{key}";' if key else ""
    return f"""\
log stderr all;
router id {plan.lan_ce(i)};
protocol device {{ scan time 1; }}
protocol direct {{ ipv4; }}
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol static announced {{
    ipv4;
{routes}
}}
protocol bfd {{
    interface "*" {{ min rx interval 300 ms; min tx interval 300 ms; multiplier 3; }};
}}
protocol bgp edge {{
    local {plan.ce(i)} as {asn or plan.asn};
    neighbor {plan.edge(i)} as {plan.edge_asn};
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
    bfd on;
    graceful restart on;
{password}
    ipv4 {{ import all; export where source = RTS_STATIC || net = {plan.lan}; }};
}}
protocol bgp partner {{
    local {plan.lan_ce(i)} as {asn or plan.asn};
    neighbor {plan.lan_ce(1 - i)} as {asn or plan.asn};
    connect delay time 1;
    ipv4 {{ import all; export all; next hop self; }};
}}
"""


class Customer:
    """Builds the namespaces and starts the routers. plug(i, ns, dev) is the cable of link i."""

    def __init__(self, box, name, plan, kind=Frr):
        self.box, self.name, self.plan, self.kind = box, name, plan, kind
        self.lan = box.namespace(f"{name}-lan")
        self.pc = box.namespace(f"{name}-pc")
        self.ce = [box.namespace(f"{name}-ce1"), box.namespace(f"{name}-ce2")]
        self.routers = [None, None]
        self.lan.ip("link add lan0 type bridge", "link set lan0 up")
        bits = plan.lan.prefixlen
        members = ((self.pc, plan.pc), (self.ce[0], plan.lan_ce(0)), (self.ce[1], plan.lan_ce(1)))
        for n, (ns, address) in enumerate(members):
            veth(ns, "lan0", self.lan, f"p{n}")
            self.lan.ip(f"link set p{n} master lan0")
            ns.ip(f"address add {address}/{bits} dev lan0")
        for ns in self.ce:
            ns.sysctl({"ipv4/ip_forward": 1, "ipv4/conf/all/send_redirects": 0,
                       "ipv4/conf/default/send_redirects": 0, "ipv4/conf/lan0/send_redirects": 0,
                       "ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0})
        self.pc.sysctl({"ipv4/fib_multipath_hash_policy": 1})
        self.pc.ip("route add default " + " ".join(
            f"nexthop via {plan.lan_ce(i)} dev lan0" for i in (0, 1)))

    def plug(self, i, ns, dev):
        """Connects router i to dev, made in ns: the provider's end of the access line."""
        veth(self.ce[i], "wan0", ns, dev)
        self.ce[i].ip(f"address add {self.plan.ce(i)}/30 dev wan0")

    def start_routers(self, **kw):
        for i in (0, 1):
            self.start_router(i, **kw)

    def start_router(self, i, **kw):
        make = frr_config if self.kind is Frr else bird_config
        self.routers[i] = self.kind(self.ce[i], make(self.plan, i, **kw))

    def stop_router(self, i):
        self.routers[i].stop()
        self.routers[i] = None

    def is_established(self, i):
        return self.routers[i].is_established(self.plan.edge(i) if self.kind is Frr else "edge")


class Vm:
    """A virtual machine, as far as a network sees one: a namespace with one interface. The other
    end, named `dev`, is in the host's namespace, where `wayleave host attach` binds it to a NIC."""

    def __init__(self, box, name, host_ns, dev, address, subnet, mac=None):
        self.ns, self.dev, self.address = box.namespace(name), dev, address
        veth(self.ns, "eth0", host_ns, dev)
        if mac:
            self.wear(mac)
        self.ns.ip(f"address add {address}/{subnet.prefixlen} dev eth0",
                   f"route add default via {subnet[1]}")

    def wear(self, mac):
        """The NIC's address: the vSwitch sends to no other."""
        self.ns.ip(f"link set eth0 address {mac.replace('-', ':')}")

    def ping(self, target, count=3):
        return ping(self.ns, target, count)


def ping(ns, target, count=3, interval=0.2):
    """(received, text) of a short ping."""
    _, text = ns.run(["ping", "-n", "-c", str(count), "-i", str(interval), "-W", "1", target],
                     check=False)
    for line in text.splitlines():
        if " received" in line:
            return int(line.split(" received")[0].split()[-1]), text
    return 0, text
