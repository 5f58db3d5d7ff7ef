#!/usr/bin/env python3
"""The controller under load: `make bench-api`.

  bench/api.py CONTROLD CATALOGUE [--circuits N] [--streams N] [--seconds S] [--write docs/benchmarks.md]

Stores N circuits with three peerings and two connections each (made once through the API, then copied
row by row), starts the controller on them, and lets wrk ask over TLS: a static body, a circuit, a list
of 1,000, a PUT of a peering; then again with parked event streams. Load and server share the machine."""
import argparse
import http.client
import json
import os
import platform
import re
import resource
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

NETWORK, FABRIC, GROUPS = "2022-01-01", "2026-01-01", "2021-04-01"
CONNECTIONS = 16


class Controller:
    def __init__(self, program, catalogue, home):
        self.program, self.home = program, home
        with open(f"{home}/controld.yaml", "w", encoding="utf-8") as f:
            f.write(
                f"state: {home}/state\ncatalogue: {catalogue}\nlisten: [127.0.0.1]\nlog: warn\n"
                "connections: 30000\nconnections-per-address: 30000\nstreams-per-principal: 30000\n"
            )

    def start(self):
        """Seconds until it serves."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{self.home}/notify"
        if os.path.exists(path):
            os.unlink(path)
        notify.bind(path)
        notify.settimeout(300)
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.program, "--config", f"{self.home}/controld.yaml"],
            env=dict(os.environ, NOTIFY_SOCKET=path),
            stderr=open(f"{self.home}/log", "a", encoding="utf-8"),
        )
        assert notify.recv(64) == b"READY=1"
        took = time.monotonic() - began
        notify.close()
        self.env = {}
        for line in open(f"{self.home}/state/env", encoding="utf-8"):
            name, _, value = line.strip().partition("=")
            self.env[name] = value.strip("'")
        self.port = urllib.parse.urlparse(self.env["ARM_ENDPOINT"]).port
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])
        self.tls.check_hostname = False
        return took

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def rss(self):
        """Resident bytes."""
        for line in open(f"/proc/{self.process.pid}/status", encoding="utf-8"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def settle(self):
        """Waits until it has nothing to do any more: wrk leaves requests behind when its time is over."""

        def used():
            return sum(int(x) for x in open(f"/proc/{self.process.pid}/stat", encoding="utf-8").read().split(")")[1].split()[11:13])

        until = time.monotonic() + 120
        while time.monotonic() < until:
            before = used()
            time.sleep(1)
            if used() - before < 5:
                return

    def request(self, method, path, body=None, token=None):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=60)
        headers = {"Authorization": "Bearer " + token} if token else {}
        c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data else None

    def token(self, prefix=""):
        status, body = self.request(
            "POST",
            "/adfs/oauth2/token",
            urllib.parse.urlencode(
                {
                    "grant_type": "client_credentials",
                    "client_id": self.env[prefix + "CLIENT_ID"],
                    "client_secret": self.env[prefix + "CLIENT_SECRET"],
                    "scope": self.env["ARM_ENDPOINT"] + "/.default",
                }
            ),
        )
        assert status == 200, body
        return body["access_token"]

    def put(self, token, path, body, version=NETWORK):
        status, answer = self.request("PUT", f"{path}?api-version={version}", body, token)
        if status not in (200, 201):
            sys.exit(f"bench: PUT {path}: {status} {json.dumps(answer)}")
        return answer


# --- what is stored ---------------------------------------------------------------------------------


def order(c):
    """One circuit with all that belongs to it, by the API. Its resource group."""
    operator, customer = c.token("OPERATOR_"), c.token()
    where = {"location": c.env["LOCATION"]}
    fabric = f"/subscriptions/{c.env['OPERATOR_SUBSCRIPTION']}/resourceGroups/fabric"
    c.put(operator, fabric, where, GROUPS)
    fabric += "/providers/Wayleave.Fabric"

    def register(path, **properties):
        c.put(operator, fabric + path, dict(where, properties=properties), FABRIC)

    register("/providers/equinix", serviceProviderName="Equinix", subscriptionId=c.env["PROVIDER_SUBSCRIPTION"])
    register("/locations/ams", peeringLocation="Amsterdam")
    edges = [{"name": f"edge-{x}", "underlayAddress": f"10.255.0.{i + 1}"} for i, x in enumerate("ab")]
    register("/edgePairs/ams-1", peeringLocation="Amsterdam", edges=edges)
    register(
        "/ports/trunk",
        edgePair={"id": f"{fabric}/edgePairs/ams-1"},
        primaryInterface="trunk0",
        secondaryInterface="trunk0",
        bandwidthInMbps=100000,
        serviceProviderName="Equinix",
    )
    group = f"/subscriptions/{c.env['SUBSCRIPTION']}/resourceGroups/bench"
    c.put(customer, group, where, GROUPS)
    base = f"{group}/providers/Microsoft.Network"
    circuit = f"{base}/expressRouteCircuits/circuit00000"
    made = c.put(
        customer,
        circuit,
        dict(
            where,
            sku={"name": "Premium_MeteredData", "tier": "Premium", "family": "MeteredData"},
            properties={
                "serviceProviderProperties": {
                    "serviceProviderName": "Equinix",
                    "peeringLocation": "Amsterdam",
                    "bandwidthInMbps": 50,
                }
            },
        ),
    )
    key = made["properties"]["serviceKey"]
    provider = c.token("PROVIDER_")
    crosses = f"/subscriptions/{c.env['PROVIDER_SUBSCRIPTION']}/providers/Microsoft.Network/expressRouteCrossConnections"
    cross = [x for x in c.request("GET", f"{crosses}?api-version={NETWORK}", None, provider)[1]["value"] if x["name"] == key][0]
    c.put(
        provider,
        cross["id"],
        {"location": cross["location"], "properties": {"serviceProviderProvisioningState": "Provisioned"}},
    )
    for i, name in enumerate(("AzurePrivatePeering", "AzurePublicPeering", "MicrosoftPeering")):
        net = "192.168.16" if i == 0 else f"203.0.113"
        properties = {
            "peeringType": name,
            "peerASN": 65010,
            "vlanId": 100 + i,
            "primaryPeerAddressPrefix": f"{net}.{8 * i}/30",
            "secondaryPeerAddressPrefix": f"{net}.{8 * i + 4}/30",
        }
        if name == "MicrosoftPeering":
            properties["microsoftPeeringConfig"] = {"advertisedPublicPrefixes": ["198.51.100.0/24"]}
        status, answer = c.request(
            "PUT", f"{circuit}/peerings/{name}?api-version={NETWORK}", {"properties": properties}, customer
        )
        if status not in (200, 201):
            print(f"bench: {name}: {status} {answer['error']['message']}", file=sys.stderr)
    for i in range(2):
        vnet = f"{base}/virtualNetworks/vnet00000-{i}"
        c.put(
            customer,
            vnet,
            dict(
                where,
                properties={
                    "addressSpace": {"addressPrefixes": [f"10.{i}.0.0/16"]},
                    "subnets": [{"name": "GatewaySubnet", "properties": {"addressPrefix": f"10.{i}.255.0/27"}}],
                },
            ),
        )
        address = f"{base}/publicIPAddresses/ip00000-{i}"
        c.put(
            customer,
            address,
            dict(where, sku={"name": "Standard"}, properties={"publicIPAllocationMethod": "Static"}),
        )
        gateway = f"{base}/virtualNetworkGateways/gateway00000-{i}"
        c.put(
            customer,
            gateway,
            dict(
                where,
                properties={
                    "gatewayType": "ExpressRoute",
                    "sku": {"name": "Standard", "tier": "Standard"},
                    "ipConfigurations": [
                        {
                            "name": "default",
                            "properties": {
                                "subnet": {"id": f"{vnet}/subnets/GatewaySubnet"},
                                "publicIPAddress": {"id": address},
                            },
                        }
                    ],
                },
            ),
        )
        c.put(
            customer,
            f"{base}/connections/connection00000-{i}",
            dict(
                where,
                properties={
                    "connectionType": "ExpressRoute",
                    "virtualNetworkGateway1": {"id": gateway},
                    "peer": {"id": circuit},
                },
            ),
        )
    return base, key


def copy(path, key, n):
    """The first circuit and what hangs on it, n times: rows, references, claims of the keys."""
    db = sqlite3.connect(path)
    like = "fold LIKE '%00000%' OR fold LIKE ?"
    rows = db.execute(f"SELECT * FROM resource WHERE {like}", (f"%{key}%",)).fetchall()
    columns = [x[1] for x in db.execute("PRAGMA table_info(resource)")]
    refs = db.execute("SELECT * FROM ref WHERE owner LIKE '%00000%' OR owner LIKE ?", (f"%{key}%",)).fetchall()
    claims = db.execute("SELECT * FROM claim WHERE space IN ('service-key','vnet-gateway')").fetchall()
    etag = columns.index("etag")
    digits = re.compile("(circuit|vnet|ip|gateway|connection)00000")

    def change(row, i, k):
        return [digits.sub(rf"\g<1>{i:05}", v.replace(key, k)) if isinstance(v, str) else v for v in row]

    for i in range(1, n):
        k = f"{i:08x}{key[8:]}"
        for row in rows:
            row = change(row, i, k)
            row[etag] = f"{i:08x}{row[etag][8:]}"
            db.execute(f"INSERT INTO resource VALUES({','.join('?' * len(row))})", row)
        for table, some in (("ref", refs), ("claim", claims)):
            for row in some:
                db.execute(f"INSERT OR IGNORE INTO {table} VALUES({','.join('?' * len(row))})", change(row, i, k))
    db.commit()
    counts = [
        db.execute("SELECT COUNT(*) FROM resource WHERE type=?", (f"microsoft.network/{t}",)).fetchone()[0]
        for t in ("expressroutecircuits", "connections")
    ]
    body = db.execute("SELECT body FROM resource WHERE type='microsoft.network/expressroutecircuits' LIMIT 1").fetchone()[0]
    peerings = len(json.loads(body)["properties"]["peerings"]) * counts[0]
    db.close()
    return counts[0], peerings, counts[1]


# --- load -------------------------------------------------------------------------------------------


def micros(text):
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def wrk(c, home, seconds, lua, connections=CONNECTIONS):
    with open(f"{home}/wrk.lua", "w", encoding="utf-8") as f:
        f.write(lua)
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", f"{home}/wrk.lua",
         f"https://127.0.0.1:{c.port}"],
        capture_output=True, text=True, check=True, timeout=seconds + 120,
    ).stdout
    c.settle()
    if "Non-2xx" in out:
        sys.exit(f"bench: refused: {out}")
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))
    p50, p99 = (micros(re.search(rf"\s{p}%\s+(\S+)", out).group(1)) for p in (50, 99))
    return rate, p50, p99


def script(token, expression, method="GET", body="nil"):
    return (
        "local h = {}\n"
        f'h["Authorization"] = "Bearer {token}"\n'
        'h["Content-Type"] = "application/json"\n'
        "local n = 0\n"
        f"request = function() n = n + 1; return wrk.format('{method}', {expression}, h, {body}) end\n"
    )


def park(c, path, token, n):
    """n event streams, opened one after the other; the sockets."""
    held = []
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    for i in range(n):
        s = socket.create_connection(("127.0.0.1", c.port), timeout=60, source_address=(f"127.0.1.{1 + i % 50}", 0))
        t = c.tls.wrap_socket(s)
        t.send(request)
        held.append(t)
        if not t.recv(64).startswith(b"HTTP/1.1 200"):
            sys.exit(f"bench: stream {i} was refused")
    return held


def version_of(argv, pattern):
    out = subprocess.run(argv, capture_output=True, text=True)
    found = re.search(pattern, out.stdout + out.stderr)
    return found.group(1) if found else "?"


def machine():
    cpu = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo", encoding="utf-8") if x.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{os.cpu_count()} cores of {cpu}, {memory} GiB; Linux {platform.release()}"


def measure(a, c, home):
    results = []
    base, key = order(c)
    c.stop()
    circuits, peerings, connections = copy(f"{home}/state/wayleave.db", key, a.circuits)
    started = c.start()
    token = c.token()
    circuit = f"'{base}/expressRouteCircuits/circuit' .. string.format('%05d', (n * 7919) % {a.circuits})"
    version = f"'?api-version={NETWORK}'"
    listed = f"'{base}/expressRouteCircuits?api-version={NETWORK}&$top=1000'"
    peering = json.dumps({"properties": {
        "peeringType": "AzurePrivatePeering", "peerASN": 65010, "vlanId": 100,
        "primaryPeerAddressPrefix": "192.168.16.0/30", "secondaryPeerAddressPrefix": "192.168.16.4/30"}})
    loads = [
        ("a static body (`/healthz`): the ceiling", script(token, "'/healthz'")),
        ("GET of a circuit", script(token, f"{circuit} .. {version}")),
        ("list of 1,000 circuits", script(token, listed)),
        ("PUT of a peering", script(token, f"{circuit} .. '/peerings/AzurePrivatePeering' .. {version}", "PUT", f"'{peering}'")),
    ]
    wrk(c, home, 2, loads[1][1])  # warm
    for name, lua in loads:
        results.append((name, *wrk(c, home, a.seconds, lua, 2 if "list" in name else CONNECTIONS)))
    idle = c.rss()
    began = time.monotonic()
    held = park(c, f"/subscriptions/{c.env['SUBSCRIPTION']}/providers/Wayleave.Events/stream"
                if a.circuits < 50 else f"{base}/expressRouteCircuits/circuit00001/providers/Wayleave.Events/stream",
                token, a.streams)
    opened = time.monotonic() - began
    time.sleep(2)
    parked = c.rss()
    for name, lua in loads[:2]:
        results.append((f"{name.split(':')[0]}, {a.streams:,} streams parked", *wrk(c, home, a.seconds, lua)))
    # all that watch the circuit hear of a change
    began = time.monotonic()
    c.request("PATCH", f"{base}/expressRouteCircuits/circuit00001?api-version={NETWORK}", {"tags": {"a": "b"}}, token)
    for t in held:
        while b"event: resource" not in t.recv(65536):
            pass
    heard = time.monotonic() - began
    for t in held:
        t.close()
    return {
        "circuits": circuits, "peerings": peerings, "connections": connections, "started": started,
        "idle": idle, "per_stream": (parked - idle) / max(1, a.streams), "opened": opened, "heard": heard,
        "results": results,
    }


def table(a, c, m):
    ceiling = m["results"][0][1]
    out = [
        "# Benchmarks",
        "",
        "`make bench-api` writes this page. Load generator and controller share the machine.",
        "",
        f"Machine: {machine()}. wrk {version_of(['wrk', '-v'], r'wrk (?:debian/)?([0-9][^ ]*)')}, "
        f"SQLite {sqlite3.sqlite_version}, TLS 1.3, {CONNECTIONS} connections kept alive (lists: 2), {a.seconds} s each, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}.",
        "",
        f"Load average of the machine when the run began: {a.load:.1f}. Above 1 others worked beside it, and the figures "
        "compare with nothing but one another.",
        "",
        f"Stored: {m['circuits']:,} circuits, {m['peerings']:,} peerings, {m['connections']:,} connections.",
        "",
        "| | requests/s | of the ceiling | p50 | p99 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rate, p50, p99 in m["results"]:
        out.append(f"| {name} | {rate:,.1f} | {rate / ceiling:.2f} | {p50 / 1000:.2f} ms | {p99 / 1000:.2f} ms |")
    out += [
        "",
        f"Start-up, until it serves: {m['started']:.2f} s. Resident without streams: {m['idle'] / 2**20:.0f} MiB.",
        f"{a.streams:,} event streams were opened in {m['opened']:.1f} s by one client, one after the other; each "
        f"holds {m['per_stream'] / 1024:.1f} KiB (TLS session, connection, request). A change reached all of them in "
        f"{m['heard']:.2f} s.",
        "",
    ]
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("controld")
    p.add_argument("catalogue")
    p.add_argument("--circuits", type=int, default=10000)
    p.add_argument("--streams", type=int, default=10000)
    p.add_argument("--seconds", type=int, default=8)
    p.add_argument("--write")
    a = p.parse_args()
    a.load = os.getloadavg()[0]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    home = tempfile.mkdtemp(prefix="wayleave-bench-")
    c = Controller(os.path.abspath(a.controld), os.path.abspath(a.catalogue), home)
    c.start()
    try:
        text = table(a, c, measure(a, c, home))
    except BaseException:
        print(open(f"{home}/log", encoding="utf-8").read()[-2000:], file=sys.stderr)
        raise
    finally:
        c.process.kill()
        c.process.wait()
        shutil.rmtree(home, ignore_errors=True)
    print(text)
    if a.write:
        with open(a.write, "w", encoding="utf-8") as f:
            f.write(text)


main()
