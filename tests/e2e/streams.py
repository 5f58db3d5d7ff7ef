#!/usr/bin/env python3
"""Event streams and the caps of connections, against the controller as a program.

  tests/e2e/streams.py CONTROLD CATALOGUE

Everything in a temporary directory and on free ports of loopback. Prints TAP."""
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

CONTROLD, CATALOGUE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOME = tempfile.mkdtemp(prefix="wayleave-streams-")
V = "api-version=2021-04-01"
PER_ADDRESS, STREAMS = 40, 3


class Controller:
    def __init__(self):
        self.config = f"{HOME}/controld.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(
                f"state: {HOME}/state\ncatalogue: {CATALOGUE}\nconverge: 5\n"
                f"connections-per-address: {PER_ADDRESS}\nstreams-per-principal: {STREAMS}\n"
            )
        self.process = None

    def start(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{HOME}/notify"
        if os.path.exists(path):
            os.unlink(path)
        notify.bind(path)
        notify.settimeout(60)
        self.process = subprocess.Popen(
            [CONTROLD, "--config", self.config],
            env=dict(os.environ, NOTIFY_SOCKET=path),
            stderr=open(f"{HOME}/log", "a", encoding="utf-8"),
        )
        assert notify.recv(64) == b"READY=1"
        notify.close()
        self.env = {}
        for line in open(f"{HOME}/state/env", encoding="utf-8"):
            name, _, value = line.strip().partition("=")
            self.env[name] = value.strip("'")
        url = urllib.parse.urlparse(self.env["ARM_ENDPOINT"])
        self.host, self.port = "127.0.0.1", url.port
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])
        self.tls.check_hostname = False

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        self.process = None
        return code

    def connection(self, timeout=60, source=None):
        return http.client.HTTPSConnection(
            self.host, self.port, context=self.tls, timeout=timeout, source_address=source and (source, 0)
        )

    def request(self, method, path, body=None, token=None, source=None):
        c = self.connection(source=source)
        headers = {"Authorization": "Bearer " + token} if token else {}
        c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        is_json = (r.getheader("Content-Type") or "").startswith("application/json")
        return r.status, json.loads(data) if data and is_json else data.decode()

    def token(self, prefix=""):
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.env[prefix + "CLIENT_ID"],
                "client_secret": self.env[prefix + "CLIENT_SECRET"],
                "scope": self.env["ARM_ENDPOINT"] + "/.default",
            }
        )
        status, body = self.request("POST", "/adfs/oauth2/token", form)
        assert status == 200, body
        return body["access_token"]


class Stream:
    """One open event stream; next() gives (event, id, data)."""

    def __init__(self, path, token, last=None, source=None, timeout=60):
        headers = {"Authorization": "Bearer " + token, "Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        self.c = C.connection(timeout=timeout, source=source)
        self.c.request("GET", path, None, headers)
        self.r = self.c.getresponse()
        self.status = self.r.status
        self.id = None

    def next(self):
        event, data = None, None
        while True:
            line = self.r.readline().decode().rstrip("\n")
            if not line and event:
                return event, self.id, data
            if line.startswith("id: "):
                self.id = line[4:]
            elif line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif not line and self.r.closed:
                return None, self.id, None

    def until(self, event, want):
        while True:
            e, _, data = self.next()
            assert e is not None, "the stream ended"
            if e == event and want(data):
                return data

    def close(self):
        self.c.close()


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


C = Controller()


def start():
    C.start()
    C.t = C.token()
    C.sub = f"/subscriptions/{C.env['SUBSCRIPTION']}"
    C.events = f"{C.sub}/providers/Wayleave.Events/stream"
    same(C.request("PUT", f"{C.sub}/resourceGroups/g?{V}", {"location": C.env["LOCATION"]}, C.t)[0], 201)


def a_stream_tells_what_happens():
    s = Stream(C.events, C.t)
    same(s.status, 200)
    assert s.r.getheader("Content-Type").startswith("text/event-stream")
    event, cursor, data = s.next()
    same(event, "snapshot")
    assert "." in cursor
    vnet = f"{C.sub}/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"
    body = {"location": C.env["LOCATION"], "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}}
    same(C.request("PUT", f"{vnet}?{V}", body, C.t)[0], 201)
    s.until("resource", lambda d: d["id"] == vnet and d["provisioningState"] == "Succeeded")
    s.until("operation", lambda d: d["status"] == "Succeeded")
    # of one resource: only its own
    one = Stream(f"{vnet}/providers/Wayleave.Events/stream", C.t)
    same(one.next()[2]["resources"][0]["id"], vnet)
    same(C.request("PUT", f"{C.sub}/resourceGroups/h?{V}", {"location": C.env["LOCATION"]}, C.t)[0], 201)
    same(C.request("DELETE", f"{vnet}?{V}", None, C.t)[0], 202)
    one.until("resource", lambda d: d["provisioningState"] == "Deleted")
    C.cursor = s.id
    s.close()
    one.close()


def a_stream_opened_amid_writes_misses_and_repeats_nothing():
    groups = [f"{C.sub}/resourceGroups/w{i}" for i in range(60)]
    body = {"location": C.env["LOCATION"]}

    def write():
        for g in groups:
            same(C.request("PUT", f"{g}?{V}", body, C.t)[0], 201)

    writer = threading.Thread(target=write)
    writer.start()
    snapshots = set()
    while writer.is_alive():
        s = Stream(C.events, C.t)
        if s.status == 429:  # those before are closed when the server sees it
            time.sleep(0.1)
            continue
        heard, seqs = [r["id"] for r in s.next()[2]["resources"]], []
        snapshots.add(sum(g in heard for g in groups))
        while groups[-1] not in heard:
            event, cursor, data = s.next()
            seqs.append(int(cursor.rpartition(".")[2]))
            if event == "resource":
                heard.append(data["id"])
        same([heard.count(g) for g in groups], [1] * len(groups))
        same(seqs, sorted(set(seqs)))
        s.close()
    writer.join()
    assert snapshots - {len(groups)}, snapshots


def a_client_goes_on_after_a_restart():
    same(C.request("PUT", f"{C.sub}/resourceGroups/i?{V}", {"location": C.env["LOCATION"]}, C.t)[0], 201)
    s = Stream(C.events, C.t)
    s.next()
    same(C.stop(), 0)
    same(s.next()[0], "end")
    C.start()
    s = Stream(C.events, C.t, C.cursor)
    event, _, data = s.next()
    same((event, data["provisioningState"]), ("resource", "Succeeded"))
    s.close()
    s = Stream(C.events, C.t, "0000.1")
    same([s.next()[0], s.next()[0]], ["gap", "snapshot"])
    s.close()


def a_stream_is_for_who_may_read():
    nobody = C.token("NOBODY_")
    same(Stream(C.events, "x").status, 401)
    same(Stream(C.events, nobody).status, 404)
    same(C.request("POST", C.events, {}, C.t)[0], 405)


def a_reader_of_a_group_hears_of_that_alone():
    """Of the other group not even that something happened."""
    nobody, h = C.token("NOBODY_"), f"{C.sub}/resourceGroups/h"
    roles = f"{C.sub}/providers/Microsoft.Authorization/roleDefinitions"
    grant = f"{h}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}?api-version=2022-04-01"
    body = {
        "properties": {"roleDefinitionId": f"{roles}/acdd72a7-3385-48ef-bd42-f606fba81ae7", "principalId": C.env["NOBODY_OBJECT_ID"]}
    }
    same(C.request("PUT", grant, body, C.t)[0], 201)
    s = Stream(C.events, nobody)
    same(s.status, 200)
    event, _, data = s.next()
    same((event, [r["id"] for r in data["resources"] if not r["id"].startswith(h)]), ("snapshot", []))
    network = {"location": C.env["LOCATION"], "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}}
    for group in ("g", "h"):
        vnet = f"{C.sub}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/of-{group}"
        same(C.request("PUT", f"{vnet}?{V}", network, C.t)[0], 201)
    while True:
        event, _, data = s.next()
        heard = data.get("id" if event == "resource" else "target")
        assert event in ("resource", "operation") and heard.lower().startswith(h.lower()), (event, data)
        if event == "resource" and heard == vnet and data["provisioningState"] == "Succeeded":
            break
    s.close()
    same(C.request("DELETE", grant, None, C.t)[0], 200)


def a_principal_has_so_many_streams():
    deadline = time.monotonic() + 60
    while True:  # those of before are closed when the server sees it
        held = [Stream(C.events, C.t) for _ in range(STREAMS)]
        if [s.status for s in held] == [200] * STREAMS:
            break
        for s in held:
            s.close()
        assert time.monotonic() < deadline, [s.status for s in held]
        time.sleep(0.5)
    more = Stream(C.events, C.t)
    same(more.status, 429)
    same(json.loads(more.r.read())["error"]["code"], "TooManyRequests")
    same(Stream(C.events, C.token("READER_")).status, 200)
    for s in held:
        s.close()


def an_address_has_so_many_connections():
    held, refused = [], 0
    for _ in range(PER_ADDRESS + 20):
        s = socket.create_connection((C.host, C.port), timeout=60, source_address=("127.0.0.9", 0))
        held.append(s)
    for s in held:
        try:
            t = C.tls.wrap_socket(s, server_hostname="localhost")
            t.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            refused += not t.recv(100)
        except OSError:
            refused += 1
    assert refused >= 20, refused
    # others are served meanwhile
    same(C.request("GET", "/healthz")[0], 200)
    for s in held:
        s.close()


def what_is_announced_takes_nobodys_room():
    """Of 280 MiB, from two addresses; not a byte is sent."""
    held = []
    head = f"PUT {C.sub}/resourceGroups/z?{V} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {C.t}\r\n"
    for i in range(70):
        s = socket.create_connection((C.host, C.port), timeout=60, source_address=(f"127.0.0.{11 + i % 2}", 0))
        held.append(C.tls.wrap_socket(s, server_hostname="localhost"))
        held[-1].send(f"{head}Content-Length: {4 << 20}\r\n\r\n".encode())
    operator, deadline = C.token("OPERATOR_"), time.monotonic() + 60
    while True:  # all their headers are in
        text = C.request("GET", "/metrics", None, operator)[1]
        metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        if int(metrics["wayleave_http_calls"]) > len(held):
            break
        assert time.monotonic() < deadline, metrics
        time.sleep(0.2)
    same(metrics["wayleave_http_body_bytes"], "0")
    same(C.request("PUT", f"{C.sub}/resourceGroups/j?{V}", {"location": C.env["LOCATION"]}, C.t)[0], 201)
    assert C.token()
    for s in held:
        s.close()


def a_slow_client_is_cut_off_and_holds_nobody_up():
    slow = []
    for _ in range(PER_ADDRESS - 5):
        s = socket.create_connection((C.host, C.port), timeout=90, source_address=("127.0.0.10", 0))
        t = C.tls.wrap_socket(s, server_hostname="localhost")
        t.send(b"GET /healthz HTTP/1.1\r\nHost: ")
        slow.append(t)
    for _ in range(5):
        for t in slow:
            t.send(b"x")
        same(C.request("GET", "/healthz")[0], 200)
    # each sends a byte now and then, and yet comes to its end
    deadline = time.monotonic() + 80
    cut = 0
    for t in slow:
        t.settimeout(1)
        while time.monotonic() < deadline:
            try:
                t.send(b"x")
                if not t.recv(100):
                    cut += 1
                    break
            except TimeoutError:
                continue
            except OSError:
                cut += 1
                break
    same(cut, len(slow))


CASES = [
    start,
    a_stream_tells_what_happens,
    a_stream_opened_amid_writes_misses_and_repeats_nothing,
    a_client_goes_on_after_a_restart,
    a_stream_is_for_who_may_read,
    a_reader_of_a_group_hears_of_that_alone,
    a_principal_has_so_many_streams,
    an_address_has_so_many_connections,
    what_is_announced_takes_nobodys_room,
    a_slow_client_is_cut_off_and_holds_nobody_up,
]


def main():
    print(f"1..{len(CASES)}")
    try:
        for i, case in enumerate(CASES, 1):
            case()
            print(f"ok {i} - {case.__name__}", flush=True)
    except BaseException:
        print(open(f"{HOME}/log", encoding="utf-8").read()[-3000:], file=sys.stderr)
        raise
    finally:
        if C.process:
            C.process.kill()
            C.process.wait()
        shutil.rmtree(HOME, ignore_errors=True)


main()
