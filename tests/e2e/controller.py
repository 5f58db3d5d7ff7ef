#!/usr/bin/env python3
"""The controller as a program: first start, tokens, ARM over HTTPS, hostile clients, kill -9.

  tests/e2e/controller.py CONTROLD CATALOGUE

Everything in a temporary directory and on free ports of loopback. Prints TAP."""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

CONTROLD, CATALOGUE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOME = tempfile.mkdtemp(prefix="wayleave-e2e-")
V = "api-version=2021-04-01"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


AGENTS = free_port()
shutil.copytree(CATALOGUE, f"{HOME}/catalogue")
CONFIG = f"""state: {HOME}/state
catalogue: {HOME}/catalogue
agents: ["127.0.0.1:{AGENTS}"]
converge: 5
"""


class Controller:
    def __init__(self):
        self.config = f"{HOME}/controld.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(CONFIG)
        self.process = None

    def start(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{HOME}/notify"
        if os.path.exists(path):
            os.unlink(path)
        notify.bind(path)
        notify.settimeout(30)
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
        self.host, self.port = url.hostname, url.port
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        code = self.process.wait(30)
        self.process = None
        return code

    def connection(self, timeout=30):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=timeout)

    def request(self, method, path, body=None, token=None, headers=None):
        c = self.connection()
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        is_json = (r.getheader("Content-Type") or "").startswith("application/json")
        return r.status, dict(r.getheaders()), json.loads(data) if data and is_json else None

    def token(self, prefix=""):
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.env[prefix + "CLIENT_ID"],
                "client_secret": self.env[prefix + "CLIENT_SECRET"],
                "scope": self.env["ARM_ENDPOINT"] + "/.default",
            }
        )
        status, _, body = self.request("POST", "/adfs/oauth2/token", form)
        assert status == 200, body
        return body["access_token"]


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


C = Controller()


def configuration_is_checked():
    bad = {
        "state: [x]": "state: must be a text",
        "state: x\nport: 99999": "port: '99999' must be a number",
        "state: x\nfoo: 1": "foo: is not a key",
        "listen: [a]": "state: is missing",
        "%": "begins with '%'",
        "- x": "not a YAML mapping",
        "state: x\nlog: loud": "must be error, warn, info or debug",
    }
    for text, want in bad.items():
        path = f"{HOME}/bad.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")
        r = subprocess.run([CONTROLD, "--config", path, "--check"], capture_output=True, text=True, timeout=20)
        same(r.returncode, 1)
        assert want in r.stderr, (text, r.stderr)
    same(subprocess.run([CONTROLD, "--config", C.config, "--check"], timeout=20).returncode, 0)
    same(subprocess.run([CONTROLD], stderr=subprocess.DEVNULL, timeout=20).returncode, 2)


def first_start_makes_what_clients_need():
    C.start()
    same(os.stat(f"{HOME}/state/env").st_mode & 0o777, 0o600)
    same(os.stat(f"{HOME}/state/master.key").st_mode & 0o777, 0o600)
    same(os.stat(f"{HOME}/state/pki/ca.key").st_mode & 0o777, 0o600)
    same(C.request("GET", "/healthz")[0], 200)
    same(C.request("GET", "/readyz")[0], 200)
    same(C.request("GET", "/metrics")[0], 401)
    same(C.request("GET", "/metrics", None, C.token())[0], 403)
    same(C.request("GET", "/metrics", None, C.token("OPERATOR_"))[0], 200)
    status, _, doc = C.request("GET", "/adfs/.well-known/openid-configuration")
    same(status, 200)
    assert doc["issuer"].startswith(C.env["ARM_ENDPOINT"])
    status, _, keys = C.request("GET", "/discovery/keys")
    assert "d" not in keys["keys"][0]
    status, _, doc = C.request("GET", f"/{C.env['TENANT']}/v2.0/.well-known/openid-configuration")
    same(doc["token_endpoint"], f"{C.env['ARM_ENDPOINT']}/{C.env['TENANT']}/oauth2/v2.0/token")


def groups_and_access():
    sub = "/subscriptions/" + C.env["SUBSCRIPTION"]
    token, reader, nobody, operator = (C.token(p) for p in ("", "READER_", "NOBODY_", "OPERATOR_"))
    same(C.request("PUT", f"{sub}/resourcegroups/g1?{V}", {"location": "westeurope"}, token)[0], 201)
    same(C.request("PUT", f"{sub}/resourcegroups/g1?{V}", {"location": "westeurope"}, token)[0], 200)
    same(C.request("PUT", f"{sub}/resourcegroups/g2?{V}", {"location": "westeurope"}, reader)[0], 403)
    same(C.request("HEAD", f"{sub}/resourcegroups/G1?{V}", None, reader)[0], 204)
    status, _, body = C.request("GET", f"{sub}/resourcegroups/g1?{V}", None, nobody)
    same((status, body["error"]["code"]), (404, "SubscriptionNotFound"))
    same(C.request("GET", f"{sub}/resourcegroups/g1?{V}", None, operator)[0], 200)
    same(len(C.request("GET", f"/subscriptions?{V}", None, token)[2]["value"]), 1)
    same(C.request("GET", f"/subscriptions?{V}", None, nobody)[2]["value"], [])
    assert len(C.request("GET", f"/subscriptions?{V}", None, operator)[2]["value"]) >= 4


def roles_can_be_given_and_taken():
    scope = f"/subscriptions/{C.env['SUBSCRIPTION']}/resourceGroups/g1"
    base = f"{scope}/providers/Microsoft.Authorization"
    token, nobody = C.token(), C.token("NOBODY_")
    q = urllib.parse.quote("roleName eq 'Reader'")
    _, _, found = C.request("GET", f"{base}/roleDefinitions?{V}&$filter={q}", None, token)
    same(len(found["value"]), 1)
    name = "12345678-1234-1234-1234-123456789abc"
    grant = {"properties": {"roleDefinitionId": found["value"][0]["id"], "principalId": C.env["NOBODY_OBJECT_ID"]}}
    same(C.request("PUT", f"{base}/roleAssignments/{name}?{V}", grant, nobody)[0], 404)
    same(C.request("PUT", f"{base}/roleAssignments/{name}?{V}", grant, C.token("READER_"))[0], 403)
    status, _, made = C.request("PUT", f"{base}/roleAssignments/{name}?{V}", grant, token)
    same(status, 201)
    same(made["properties"]["roleDefinitionId"], found["value"][0]["id"])
    other = name.replace("abc", "abd")
    status, _, body = C.request("PUT", f"{base}/roleAssignments/{other}?{V}", grant, token)
    same((status, body["error"]["code"]), (409, "RoleAssignmentExists"))
    same(C.request("GET", f"{scope}?{V}", None, nobody)[0], 200)
    same(C.request("DELETE", f"{base}/roleAssignments/{name}?{V}", None, token)[0], 200)
    same(C.request("DELETE", f"{base}/roleAssignments/{name}?{V}", None, token)[0], 204)
    same(C.request("GET", f"{scope}?{V}", None, nobody)[0], 404)


def hostile_clients_get_an_answer():
    token = C.token()
    path = f"/subscriptions/{C.env['SUBSCRIPTION']}/resourcegroups/x?{V}"
    # too large, refused before it is read
    c = C.connection(10)
    c.putrequest("PUT", path)
    c.putheader("Authorization", "Bearer " + token)
    c.putheader("Content-Length", str(5 << 20))
    c.endheaders()
    same(c.getresponse().status, 413)
    c.close()
    # too large, in chunks without a length
    c = C.connection(30)
    try:
        c.request("PUT", path, (b"x" * 65536 for _ in range(80)), {"Authorization": "Bearer " + token}, encode_chunked=True)
        same(c.getresponse().status, 413)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass  # it may hang up instead
    c.close()
    for body, want in (("{", 400), ("[1]", 400), ('{"a":' * 100 + "1" + "}" * 100, 400), ("\xff\xfe".encode("latin1"), 400), ('{"location":7}', 400)):
        same(C.request("PUT", path, body, token)[0], want)
    for bad in ("", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", token[:-3] + "AAA", "x" * 60000):
        try:
            same(C.request("GET", path, None, bad or "x")[0], 401 if len(bad) < 30000 else 431)
        except (ConnectionResetError, http.client.RemoteDisconnected, ssl.SSLError):
            assert len(bad) > 30000
    same(C.request("BREW", path, None, token)[0], 405)
    same(C.request("GET", "/subscriptions/%00?" + V, None, token)[0], 400)
    same(C.request("GET", "/%2e%2e/%2e%2e/etc/passwd?" + V, None, token)[0], 404)
    # bytes that are not TLS, a hello and silence, half a request
    for junk in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(500), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with socket.create_connection((C.host, C.port), 5) as s:
            s.sendall(junk)
    same(C.request("GET", "/healthz")[0], 200)


def answer_to_headers(port, method, path, length, token=None):
    """The status of the answer to headers alone: nothing of the body is ever sent."""
    c = http.client.HTTPSConnection("127.0.0.1", port, context=C.tls, timeout=10)
    c.putrequest(method, path)
    c.putheader("Content-Length", str(length))
    if token:
        c.putheader("Authorization", "Bearer " + token)
    c.endheaders()
    try:
        return c.getresponse().status
    finally:
        c.close()


def who_is_not_known_cannot_fill_the_memory():
    path = f"/subscriptions/{C.env['SUBSCRIPTION']}/resourcegroups/x?{V}"
    same(answer_to_headers(C.port, "PUT", path, 1 << 20), 401)
    same(answer_to_headers(C.port, "PUT", path, 1 << 20, "x.y.z"), 401)
    same(answer_to_headers(C.port, "POST", "/adfs/oauth2/token", 1 << 20), 413)
    same(answer_to_headers(AGENTS, "POST", "/agent/v1/readings", 1 << 20), 401)
    same(answer_to_headers(AGENTS, "POST", "/agent/v1/enrol", 1 << 20), 413)
    # in chunks: read, not kept, refused
    c = C.connection(30)
    try:
        c.request("PUT", path, (b"x" * 65536 for _ in range(40)), encode_chunked=True)
        same(c.getresponse().status, 401)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass
    c.close()


def who_is_slow_is_cut():
    def drip(header, body):
        """Sends a byte a second; returns after how long it was cut, None after 45 s."""
        s = C.tls.wrap_socket(socket.create_connection((C.host, C.port), 10), server_hostname=C.host)
        s.settimeout(1)
        started = time.monotonic()
        try:
            s.sendall(header)
            while time.monotonic() - started < 45:
                s.sendall(body)
                try:
                    if not s.recv(1):
                        return time.monotonic() - started
                except TimeoutError:
                    pass
        except OSError:
            return time.monotonic() - started
        finally:
            s.close()
        return None

    results = []
    put = f"PUT /subscriptions/{C.env['SUBSCRIPTION']}/resourcegroups/x?{V} HTTP/1.1\r\nHost: x\r\n"
    full = (put + f"Authorization: Bearer {C.token()}\r\nContent-Length: 1000\r\n\r\n").encode()
    threads = [
        threading.Thread(target=lambda: results.append(drip(put.encode(), b"x"))),  # headers without end
        threading.Thread(target=lambda: results.append(drip(full, b"x"))),  # a body without end
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seconds in results:
        assert seconds and 25 < seconds < 40, results


def hangup_reads_catalogue_and_certificate_again():
    def regions():
        path = f"/subscriptions/{C.env['SUBSCRIPTION']}/locations?{V}"
        return [one["displayName"] for one in C.request("GET", path, None, token)[2]["value"]]

    def certificate():
        s = C.tls.wrap_socket(socket.create_connection((C.host, C.port), 10), server_hostname=C.host)
        with s:
            return s.getpeercert(True)

    def wait(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def logged(words):
        return open(f"{HOME}/log", encoding="utf-8").read().count(words)

    token, path = C.token(), f"{HOME}/catalogue/regions.yaml"
    text, before = open(path, encoding="utf-8").read(), certificate()
    kept = C.connection()
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    # nothing has changed
    C.process.send_signal(signal.SIGHUP)
    wait(lambda: logged("catalogue unchanged"))
    same(certificate(), before)
    # a broken catalogue is not taken, a lost certificate is made anew
    with open(path, "w", encoding="utf-8") as f:
        f.write("regions: 7\n")
    os.unlink(f"{HOME}/state/pki/server.crt")
    C.process.send_signal(signal.SIGHUP)
    wait(lambda: logged("the catalogue stays as it is"))
    assert "West Europe" in regions()
    assert certificate() != before
    kept.request("GET", "/healthz")
    same(kept.getresponse().status, 200)
    kept.close()
    # a good one is
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("displayName: West Europe", "displayName: Far West Europe"))
    C.process.send_signal(signal.SIGHUP)
    wait(lambda: logged("catalogue applied"))
    assert "Far West Europe" in regions()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def agents_need_a_certificate():
    c = http.client.HTTPSConnection("127.0.0.1", AGENTS, context=C.tls, timeout=10)
    for method, path, body, want in (
        ("GET", "/agent/v1/poll", None, 401),
        ("POST", "/agent/v1/report", "{}", 401),
        ("POST", "/agent/v1/report", "{", 401),  # nobody has looked into it
        ("GET", "/agent/v1/poll", "{}", 401),
        ("POST", "/agent/v1/enrol", '{"node":"x","token":"y","csr":"z"}', 403),
        ("POST", "/agent/v1/enrol", "{}", 400),
        ("POST", "/agent/v1/enrol", "{", 400),
        ("GET", "/subscriptions", None, 404),
    ):
        c.request(method, path, body)
        r = c.getresponse()
        r.read()
        same((path, r.status), (path, want))
    c.close()


def a_node_enrols_and_renews_even_if_answers_are_lost():
    operator = C.token("OPERATOR_")
    group = f"/subscriptions/{C.env['OPERATOR_SUBSCRIPTION']}/resourceGroups/fabric"
    host = f"{group}/providers/Wayleave.Fabric/hosts/host-1"
    same(C.request("PUT", f"{group}?{V}", {"location": "westeurope"}, operator)[0], 201)
    body = {"location": "westeurope", "properties": {"underlayAddress": "10.255.0.11"}}
    status, _, answer = C.request("PUT", f"{host}?api-version=2026-01-01", body, operator)
    assert status == 201, answer
    token_path = "/providers/Wayleave.Nodes/nodes/host-1/enrolmentToken?api-version=2026-01-01"
    token = C.request("POST", token_path, {}, operator)[2]["token"]

    def request_made(name):
        args = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        args += ["-subj", "/CN=x", "-keyout", f"{HOME}/{name}.key", "-out", f"{HOME}/{name}.csr"]
        subprocess.run(args, check=True, capture_output=True, timeout=30)
        return open(f"{HOME}/{name}.csr", encoding="utf-8").read()

    def ask(method, path, body=None, name=None):
        tls = ssl.create_default_context(cafile=C.env["CA_FILE"])
        if name:
            tls.load_cert_chain(f"{HOME}/{name}.crt", f"{HOME}/{name}.key")
        c = http.client.HTTPSConnection("127.0.0.1", AGENTS, context=tls, timeout=10)
        c.request(method, path, json.dumps(body) if body is not None else None)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data else None

    def keep(name, answer):
        with open(f"{HOME}/{name}.crt", "w", encoding="utf-8") as f:
            f.write(answer["certificate"])

    enrol = {"node": "host-1", "token": token, "csr": request_made("one")}
    same(ask("POST", "/agent/v1/enrol", enrol)[0], 200)  # lost
    same(ask("POST", "/agent/v1/enrol", dict(enrol, csr=request_made("other")))[0], 403)
    status, answer = ask("POST", "/agent/v1/enrol", enrol)
    same(status, 200)
    keep("one", answer)
    same(ask("GET", "/agent/v1/poll?wait=0", {"a": [1, 2, 3]}, "one")[0], 200)  # its body is let go
    same(ask("POST", "/agent/v1/enrol", enrol)[0], 403)
    renew = {"csr": request_made("two")}
    same(ask("POST", "/agent/v1/renew", renew, "one")[0], 200)  # lost
    status, answer = ask("POST", "/agent/v1/renew", renew, "one")
    same(status, 200)
    keep("two", answer)
    same(ask("GET", "/agent/v1/poll?wait=0", None, "two")[0], 200)
    same(ask("GET", "/agent/v1/poll?wait=0", None, "one")[0], 401)
    same(C.request("DELETE", f"{host}?api-version=2026-01-01", None, operator)[0], 202)


def parallel_writes_all_survive():
    sub = "/subscriptions/" + C.env["SUBSCRIPTION"]
    net = f"{sub}/resourceGroups/g1/providers/Microsoft.Network/virtualNetworks/v"
    token = C.token()
    body = {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/8"]}}}
    same(C.request("PUT", f"{net}?{V}", body, token)[0], 201)
    results = []

    def put(i):
        sub_body = {"properties": {"addressPrefix": f"10.{i}.0.0/16"}}
        results.append(C.request("PUT", f"{net}/subnets/s{i}?{V}", sub_body, token)[0])

    threads = [threading.Thread(target=put, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(results, [201] * 20)
    same(len(C.request("GET", f"{net}?{V}", None, token)[2]["properties"]["subnets"]), 20)


def what_was_answered_survives_kill():
    sub = "/subscriptions/" + C.env["SUBSCRIPTION"]
    token, env = C.token(), dict(C.env)
    for i in range(10):
        same(C.request("PUT", f"{sub}/resourcegroups/k{i}?{V}", {"location": "westeurope"}, token)[0], 201)
    C.stop(signal.SIGKILL)
    C.start()
    same(C.env, env)  # the port, the ids and the secrets too
    names = [g["name"] for g in C.request("GET", f"{sub}/resourcegroups?{V}", None, token)[2]["value"]]
    for i in range(10):
        assert f"k{i}" in names
    for i in range(10):
        same(C.request("DELETE", f"{sub}/resourcegroups/k{i}?{V}", None, token)[0], 202)


def it_stops_when_told():
    started = time.monotonic()
    same(C.stop(), 0)
    assert time.monotonic() - started < 10
    log = open(f"{HOME}/log", encoding="utf-8").read()
    for name, value in C.env.items():
        if name.endswith("SECRET"):
            assert value not in log
    assert "ERROR: AddressSanitizer" not in log and "runtime error" not in log, log


TESTS = [
    configuration_is_checked,
    first_start_makes_what_clients_need,
    groups_and_access,
    roles_can_be_given_and_taken,
    hostile_clients_get_an_answer,
    who_is_not_known_cannot_fill_the_memory,
    who_is_slow_is_cut,
    hangup_reads_catalogue_and_certificate_again,
    agents_need_a_certificate,
    a_node_enrols_and_renews_even_if_answers_are_lost,
    parallel_writes_all_survive,
    what_was_answered_survives_kill,
    it_stops_when_told,
]


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    try:
        for i, test in enumerate(TESTS, 1):
            try:
                test()
                print(f"ok {i} - {test.__name__}", flush=True)
            except Exception as e:  # a test's own words
                failed += 1
                print(f"not ok {i} - {test.__name__}: {e!r}", flush=True)
    finally:
        if C.process:
            C.stop(signal.SIGKILL)
        if failed and os.path.exists(f"{HOME}/log"):
            sys.stderr.write(open(f"{HOME}/log", encoding="utf-8").read()[-4000:])
        shutil.rmtree(HOME)
    return failed > 0


sys.exit(main())
