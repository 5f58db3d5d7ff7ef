"""Orders at the API, by the command line: the words of the demo, and the same without words."""

import os


def circuit_words(tenant, mbps=200):
    return ("circuit", "create", tenant.name, "--bandwidth", str(mbps))


def peering_words(tenant):
    """The key comes from a file: command lines are everybody's to read."""
    plan = tenant.plan
    path = os.path.join(tenant.world.box.dir, f"{tenant.name}.key")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write(plan.key + "\n")
    return ("peering", "create", tenant.name, "--primary", str(plan.links[0]), "--secondary",
            str(plan.links[1]), "--vlan", str(plan.vlan), "--asn", str(plan.asn), "--key-file", path)


def network_words(tenant):
    """The VNet and what hangs on it, in order."""
    plan = tenant.plan
    yield ("vnet", "create", "vnet", "--prefix", plan.vnet, "--subnet",
           f"default={plan.subnet},GatewaySubnet={plan.vnet.replace('.0.0/16', '.255.0/27')}")
    for i in range(len(tenant.vms)):
        yield ("nic", "create", f"nic{i + 1}", "--vnet", "vnet", "--address", plan.vm(i))
    yield "gateway", "create", "gateway", "--vnet", "vnet"
    yield "connection", "create", "connection", "--gateway", "gateway", "--circuit", tenant.name


def attach_words(tenant):
    for i, vm in enumerate(tenant.vms):
        vm.wear(tenant.ask("nic", "show", f"nic{i + 1}")["properties"]["macAddress"])
        yield "host", "attach", f"nic{i + 1}", vm.dev


def read_circuit(tenant):
    """Keeps what the circuit's answers say about it."""
    body = tenant.ask("circuit", "show", tenant.name)
    tenant.service_key = body["properties"]["serviceKey"]
    tenant.domain_key = f"{tenant.service_key}/AzurePrivatePeering"
    return body


def read_cross_connection(tenant):
    body = tenant.ask("cross-connection", "show", tenant.service_key)
    tenant.s_tag = body["properties"]["sTag"]
    return body


def order_all(tenant, mbps=200):
    tenant.cli(*circuit_words(tenant, mbps))
    read_circuit(tenant)
    tenant.cli("cross-connection", "update", tenant.service_key, "--state", "Provisioned")
    read_cross_connection(tenant)
    tenant.cli(*peering_words(tenant))
    for words in network_words(tenant):
        tenant.cli(*words)
    for words in attach_words(tenant):
        tenant.cli(*words)


def delete_words(tenant):
    """In the order that is allowed; the provider's part stands before the circuit's end."""
    yield "connection", "delete", "connection"
    yield "gateway", "delete", "gateway"
    for i in range(len(tenant.vms)):
        yield "host", "detach", f"nic{i + 1}"
        yield "nic", "delete", f"nic{i + 1}"
    yield "vnet", "delete", "vnet"
    yield "peering", "delete", tenant.name
    yield "cross-connection", "update", tenant.service_key, "--state", "NotProvisioned"
    yield "circuit", "delete", tenant.name
