"""What the tests of published clients share: a controller of their own in a temporary directory on a
free port, an operator's fabric in it, az with a configuration of its own (nothing of the user's is
touched), and a story told as TAP.
"""
import atexit
import base64
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
FABRIC_VERSION = "2026-01-01"
NETWORK_VERSION = "2022-01-01"


class Failed(Exception):
    """A check did not hold; the text says which."""


def same(what, got, want):
    if got != want:
        raise Failed(f"{what}: got {got!r}, wanted {want!r}")


# ---- the controller ----


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_env(path):
    values = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            name, _, value = line.strip().partition("=")
            if value:
                values[name.removeprefix("export ")] = shlex.split(value)[0]
    return values


class Controller:
    def __init__(self, program, catalogue, home, port=0, more=""):
        """more: further lines of its configuration."""
        self.state = os.path.join(home, "controller")
        os.mkdir(self.state, 0o700)
        config = os.path.join(home, "controld.yaml")
        port, self.agents = port or free_port(), free_port()
        with open(config, "w", encoding="utf-8") as f:
            f.write(
                f'state: {self.state}\nlisten: ["127.0.0.1"]\nport: {port}\n'
                f'catalogue: {catalogue}\nagents: ["127.0.0.1:{self.agents}"]\n{more}'
            )
        self.log = open(os.path.join(home, "controld.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([program, "--config", config], stderr=self.log)
        atexit.register(self.stop)
        self.wait(port)
        self.env = read_env(os.path.join(self.state, "env"))
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self):
        self.log.seek(0)
        return self.log.read()[-2000:]

    def wait(self, port):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"the controller ended: {self.tail()}")
            try:  # what it tells at its first start is there before it serves
                os.stat(os.path.join(self.state, "env"))
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failed(f"the controller does not listen: {self.tail()}")

    def token(self, prefix):
        form = {
            "grant_type": "client_credentials",
            "client_id": self.env[prefix + "CLIENT_ID"],
            "client_secret": self.env[prefix + "CLIENT_SECRET"],
            "scope": self.env["ARM_ENDPOINT"] + "/.default",
        }
        url = self.env["AD_ENDPOINT"] + "/oauth2/token"
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(url, data, 30, context=self.tls) as r:
            return json.load(r)["access_token"]

    def call(self, prefix, method, path, body=None, version=NETWORK_VERSION):
        """Status and body. PUTs and DELETEs are waited for."""
        request = urllib.request.Request(
            f"{self.env['ARM_ENDPOINT']}{path}?api-version={version}",
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": "Bearer " + self.token(prefix),
                "Content-Type": "application/json",
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, None, 60, context=self.tls) as r:
                text = r.read()
                return r.status, json.loads(text) if text else None
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read() or b"null")

    def graph(self, prefix, method, path, body=None):
        """A call to the directory, which has no api-version."""
        request = urllib.request.Request(
            self.env["ARM_ENDPOINT"] + path,
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": "Bearer " + self.token(prefix),
                "Content-Type": "application/json",
            },
            method=method,
        )
        with urllib.request.urlopen(request, None, 60, context=self.tls) as r:
            text = r.read()
            return json.loads(text) if text else None

    def put(self, prefix, path, body, version=NETWORK_VERSION):
        status, answer = self.call(prefix, "PUT", path, body, version)
        if status not in (200, 201):
            raise Failed(f"PUT {path}: {status} {answer}")
        return answer


def certificate_for(c, prefix, home):
    """Gives a service principal a certificate; the path of a PEM file with key and certificate."""
    pem = os.path.join(home, "login.pem")
    args = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    args += ["-subj", "/CN=login", "-keyout", pem, "-out", pem + ".crt"]
    subprocess.run(args, check=True, capture_output=True, timeout=60)
    with open(pem + ".crt", encoding="ascii") as f:
        text = f.read()
    with open(pem, "a", encoding="ascii") as f:
        f.write(text)
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "login"}
    key["key"] = base64.b64encode(der).decode()
    path = f"/v1.0/servicePrincipals/{c.env[prefix + 'OBJECT_ID']}"
    c.graph("OPERATOR_", "PATCH", path, {"keyCredentials": [key]})
    return pem


class Fabric:
    """What an operator registers before anything can be ordered."""

    def __init__(self, c):
        self.c = c
        self.group = f"/subscriptions/{c.env['OPERATOR_SUBSCRIPTION']}/resourceGroups/fabric"
        self.path = self.group + "/providers/Wayleave.Fabric"
        self.n_edges = 0
        c.put("OPERATOR_", self.group, {"location": "westeurope"}, "2021-04-01")
        self.put(
            "/providers/equinix",
            serviceProviderName="Equinix",
            subscriptionId=c.env["PROVIDER_SUBSCRIPTION"],
        )
        self.pair("ams", "Amsterdam")

    def put(self, path, **properties):
        body = {"location": "westeurope", "properties": properties}
        self.c.put("OPERATOR_", self.path + path, body, FABRIC_VERSION)

    def pair(self, name, location):
        """A pair of edges (edge-a and edge-b, then edge-c, ...) with Equinix's trunk on it."""
        edges = []
        for _ in range(2):
            self.n_edges += 1
            letter, address = "abcdefgh"[self.n_edges - 1], f"10.255.0.{self.n_edges}"
            edges.append({"name": f"edge-{letter}", "underlayAddress": address})
        self.put(f"/locations/{name}", peeringLocation=location)
        self.put(f"/edgePairs/{name}-1", peeringLocation=location, edges=edges)
        self.port(name, f"trunk-{name}", "trunk0", serviceProviderName="Equinix")

    def port(self, pair, name, device, **more):
        """A provider's trunk, or without a provider a pair of ports for direct circuits."""
        self.put(
            f"/ports/{name}",
            edgePair={"id": f"{self.path}/edgePairs/{pair}-1"},
            primaryInterface=device,
            secondaryInterface=device,
            bandwidthInMbps=10000,
            **more,
        )


class Node(threading.Thread):
    """An edge as the controller sees it: enrols, polls, reports what it has, and answers questions
    from a table: kind -> the rows, or a function from the question's object to them."""

    def __init__(self, c, home, name, answers):
        super().__init__(daemon=True)
        self.c, self.name, self.answers, self.ends = c, name, answers, False
        self.key, self.cert = f"{home}/{name}.key", f"{home}/{name}.crt"
        path = f"/providers/Wayleave.Nodes/nodes/{name}/enrolmentToken"
        _, got = c.call("OPERATOR_", "POST", path, {}, FABRIC_VERSION)
        args = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        args += ["-nodes", "-subj", "/CN=x", "-keyout", self.key]
        made = subprocess.run(args, check=True, capture_output=True, text=True, timeout=60)
        body = {"node": name, "token": got["token"], "csr": made.stdout}
        self.tls = ssl.create_default_context(cafile=c.env["CA_FILE"])
        with open(self.cert, "w", encoding="ascii") as f:
            f.write(self.ask("POST", "enrol", body)["certificate"])
        self.tls.load_cert_chain(self.cert, self.key)
        self.start()

    def ask(self, method, what, body=None):
        link = http.client.HTTPSConnection("127.0.0.1", self.c.agents, context=self.tls, timeout=60)
        try:
            link.request(method, "/agent/v1/" + what, json.dumps(body) if body else None)
            r = link.getresponse()
            text = r.read()
            if r.status not in (200, 204):
                raise Failed(f"{self.name}: {what}: {r.status} {text}")
            return json.loads(text) if text else None
        finally:
            link.close()

    def run(self):
        cursor = ""
        while not self.ends:
            try:
                got = self.ask("GET", f"poll?wait=2&cursor={cursor}")
                for q in got["queries"]:
                    rows = self.answers.get(q["kind"], [])
                    rows = rows(q["object"]) if callable(rows) else rows
                    answer = {"id": q["id"], "status": "ok", "result": {"value": rows}}
                    self.ask("POST", "answer", answer)
                cursor = got["cursor"]
                self.ask("POST", "report", {"applied": cursor, "errors": [], "state": {}})
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)

    def leave(self):
        self.ends = True
        self.join(30)


# ---- az ----


class Az:
    def __init__(self, c, home):
        config = os.path.join(home, "az")
        os.mkdir(config)
        now = time.strftime("%Y-%m-%d %H:%M:%S.000000")
        with open(os.path.join(config, "versionCheck.json"), "w", encoding="utf-8") as f:
            versions = {"azure-cli": {"local": "2.45.0"}, "core": {"local": "2.45.0"}}
            json.dump({"versions": versions, "update_time": now}, f)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AZURE_")},
            "AZURE_CONFIG_DIR": config,
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_ERROR_RECOMMENDATION": "off",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
            "AZURE_CORE_SURVEY_MESSAGE": "false",
            "REQUESTS_CA_BUNDLE": c.env["CA_FILE"],
            "PYTHONPATH": os.path.join(HERE, "../../clients/az"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        arm = c.env["ARM_ENDPOINT"]
        # The one endpoint that az cannot be told by an option is Microsoft Graph's.
        cloud = os.path.join(config, "cloud.json")
        endpoints = {
            "resourceManager": arm,
            "activeDirectory": c.env["AD_ENDPOINT"],
            "activeDirectoryResourceId": arm,
            "activeDirectoryGraphResourceId": arm,
            "microsoftGraphResourceId": arm,
        }
        with open(cloud, "w", encoding="utf-8") as f:
            json.dump({"endpoints": endpoints}, f)
        self.run("cloud", "register", "-n", "lab", "--cloud-config", "@" + cloud)
        self.run("cloud", "set", "-n", "lab")
        self.run(
            *("login", "--service-principal", "-u", c.env["CLIENT_ID"]),
            *("-p", c.env["CLIENT_SECRET"], "--tenant", c.env["TENANT"]),
        )
        self.run("account", "set", "-s", c.env["SUBSCRIPTION"])

    def elsewhere(self, config):
        """Another az, which knows the cloud and is not logged in."""
        os.mkdir(config)
        for name in ("clouds.config", "config", "versionCheck.json"):
            shutil.copy(os.path.join(self.env["AZURE_CONFIG_DIR"], name), config)
        other = object.__new__(Az)
        other.env = {**self.env, "AZURE_CONFIG_DIR": config}
        return other

    def raw(self, *args):
        return subprocess.run(
            ["az", *args, "-o", "json"],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *args):
        r = self.raw(*args)
        if r.returncode:
            raise Failed(f"az {' '.join(args)}: exit {r.returncode}\n{r.stderr[-2000:]}")
        return json.loads(r.stdout) if r.stdout.strip() else None

    def refused(self, *args):
        """What az says when the controller refuses."""
        r = self.raw(*args)
        if not r.returncode:
            raise Failed(f"az {' '.join(args)}: went through")
        return r.stderr


# ---- stories ----


def steps_of(story):
    """The story's methods in the order they are written, those that have a docstring."""
    return [m for n, m in vars(type(story)).items() if callable(m) and m.__doc__ and n[0] != "_"]


def tell(usage, make_story):
    """Runs a story against a controller: argv is CONTROLD CATALOGUE."""
    if len(sys.argv) != 3:
        sys.exit(usage)
    if not shutil.which("az"):
        print("1..0 # SKIP there is no az")
        return 0
    home = tempfile.mkdtemp(prefix="wayleave-az-")
    atexit.register(shutil.rmtree, home, True)
    c = Controller(sys.argv[1], sys.argv[2], home)
    story = make_story(c, home)
    steps = steps_of(story)
    print(f"1..{len(steps)}", flush=True)
    for i, step in enumerate(steps, 1):
        began = time.monotonic()
        try:
            step(story)
        except (Failed, AssertionError, KeyError, IndexError, TypeError) as e:
            print(f"not ok {i} - {step.__doc__}")
            print("# " + repr(e).replace("\\n", "\n").replace("\n", "\n# "))
            print("# controller: " + c.tail().replace("\n", "\n# "), flush=True)
            return 1
        print(f"ok {i} - {step.__doc__} # {time.monotonic() - began:.1f} s", flush=True)
    return 0
