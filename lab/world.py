"""The demo's world: a cloud, an exchange provider, two customers with the same addresses."""

from cloud import Cloud
from customer import Customer, Plan, Vm
from leftovers import mounts
from netns import LabError, wait_for
from routers import Bird, Frr
from static import Order, write

TRUNKS = ("trunk-a", "trunk-b")
EDGES = ("edge-a", "edge-b")


class Tenant:
    """A customer, its circuit and its virtual machines."""

    def __init__(self, world, n, name, kind):
        self.world, self.n, self.name = world, n, name
        self.plan = Plan()
        self.order = Order(n, self.plan)  # numbers of a static lab; the controller chooses its own
        self.s_tag = self.order.s_tag
        self.domain_key = self.order.domain_key
        self.service_key = None
        self.site = Customer(world.box, name, self.plan, kind)
        self.ports = [f"{name[:10]}-{x}" for x in "ab"]  # the switch's access ports
        self.vms = []
        for i, device in enumerate(self.order.devices):
            self.vms.append(Vm(world.box, f"{name}-vm{i + 1}", world.cloud.namespaces["host-1"],
                               device, self.plan.vm(i), self.plan.subnet,
                               self.order.mac(i)))

    def numbers(self):
        """(domain, VNet): their numbers in the fabric, as edge-a and host-1 know them."""
        if self.world.is_static:
            return self.order.domain, self.order.vnet
        domain = self.world.cloud.node_objects("edge-a", "domain")[self.domain_key]["number"]
        mine = [body["number"] for body in self.world.cloud.node_objects("host-1", "vnet").values()
                if any(c["domain"] == domain for c in body.get("connections", []))]
        if len(mine) != 1:
            raise LabError(f"host-1: {len(mine)} VNets are connected to domain {domain}")
        return domain, mine[0]

    def words(self, *words):
        """A command as this customer; the provider's commands as the provider."""
        mine = words[0] != "cross-connection" and self.n > 1
        return (*words, "-g", self.name, *(("--as", f"customer{self.n}") if mine else ()))

    def cli(self, *words, **kw):
        return self.world.cloud.cli(*self.words(*words), **kw)

    def ask(self, *words):
        return self.world.cloud.ask(*self.words(*words))

    def plug(self):
        """The provider's technician: two access lines, mapped to the circuit on the trunks."""
        for i in (0, 1):
            self.site.plug(i, self.world.cloud.namespaces["exchange"], self.ports[i])
            self.world.cloud.switch.add(self.ports[i], TRUNKS[i], self.s_tag, self.plan.vlan,
                                        self.plan.links[i])

    def wait_established(self, seconds=30):
        """Both sessions, seen by the customer's routers; the seconds it took."""
        took = 0
        for i in (0, 1):
            took += wait_for(f"{self.name}'s session over link {'AB'[i]} is Established",
                             lambda i=i: self.site.is_established(i), seconds,
                             evidence=lambda i=i: self.evidence(i))[1]
        return took

    def wait_reachable(self, seconds=20):
        """A VM answers the LAN's host: routes on both sides, tunnels and NICs are there."""
        return wait_for(f"{self.name}: {self.plan.pc} reaches {self.plan.vm(0)}",
                        lambda: self.ping(self.site.pc, self.plan.vm(0), 1)[0] == 1, seconds,
                        evidence=lambda: self.evidence(0) + self.evidence(1))[1]

    @staticmethod
    def ping(ns, target, count=3):
        from customer import ping
        return ping(ns, target, count)

    def evidence(self, i):
        """What both ends say about link i."""
        router = self.site.routers[i]
        parts = []
        if isinstance(router, Frr):
            parts.append(router.vtysh("show bgp summary", "show bfd peers", "show ip route",
                                      check=False)[1])
        elif isinstance(router, Bird):
            parts.append(router.birdc("show", "protocols", "all", "edge"))
        for query in ("status", "drops"):
            parts.append(self.world.cloud.cli("query", EDGES[i], query, check=False)[1])
        return "\n".join(parts) + self.world.cloud.logs()


class World:
    def __init__(self, box, is_static=False, instance=None):
        self.box, self.is_static, self.instance = box, is_static, instance
        self.cloud = None
        self.tenants = []
        self.mounts_before, self.empty_store = mounts(), set()

    def start(self):
        static = None
        if self.is_static:
            plans = [Order(1, Plan()), Order(2, Plan())]

            def static(cloud):
                return write(cloud, plans)

        self.cloud = Cloud(self.box, static, self.instance)

    def tenant(self, n, name, kind=Frr):
        tenant = Tenant(self, n, name, kind)
        self.tenants.append(tenant)
        return tenant

    def ready_tenant(self, n, name, kind=Frr, mbps=200):
        """A customer whose packets flow, without a word."""
        tenant = self.tenant(n, name, kind)
        if not self.is_static:
            from orders import order_all
            order_all(tenant, mbps)
        tenant.plug()
        tenant.site.start_routers()
        tenant.wait_established()
        tenant.wait_reachable()
        return tenant
