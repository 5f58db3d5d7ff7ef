#!/usr/bin/env python3
"""People and programs sign in with their own tools: az and MSAL, unmodified; an OpenID provider from
npm; a browser that is only a cookie jar.

  tests/e2e/sign_in.py CONTROLD CATALOGUE WAYLEAVE

Prints TAP. Without az, Node >= 20 or npm's packages it is skipped.
"""
import atexit
import base64
import html.parser
import http.cookiejar
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import az_rig  # noqa: E402
from az_rig import Failed, free_port, same  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
IDENTITY = "/providers/Wayleave.Identity"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


# ---- a browser ----


class Form(html.parser.HTMLParser):
    """The first form of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.action, self.fields, self.scripts = None, {}, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.scripts += tag == "script"
        if tag == "form" and self.action is None:
            self.action = attrs.get("action", "")
        if tag == "input" and attrs.get("name"):
            self.fields[attrs["name"]] = attrs.get("value") or ""


class Browser:
    def __init__(self, ca):
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
            urllib.request.HTTPCookieProcessor(self.jar),
            urllib.request.ProxyHandler({}),
        )
        self.url, self.status, self.text, self.headers = None, 0, "", None

    def go(self, url, form=None, headers=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(url, data, headers or {})
        try:
            r = self.opener.open(request, timeout=60)
        except urllib.error.HTTPError as e:
            r = e
        with r:
            self.status, self.headers = r.status, r.headers
            self.url, self.text = r.geturl(), r.read().decode()
        return self

    def submit(self, **fields):
        """The page's form, filled in."""
        form = Form(self.text)
        if form.action is None:
            raise Failed(f"no form at {self.url}: {self.text[-600:]}")
        url = urllib.parse.urljoin(self.url, form.action)
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
        return self.go(url, {**form.fields, **fields}, {"Origin": origin})

    def sees(self, *words):
        for word in words:
            if word not in self.text:
                where = f"{self.url} ({self.status})"
                raise Failed(f"{where} does not say {word!r}: {self.text[-800:]}")
        return self


# ---- what stands around the controller ----


def run(*command, **more):
    r = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if r.returncode:
        raise Failed(f"{' '.join(command)}: exit {r.returncode}\n{r.stderr[-1500:]}")
    return r.stdout


def make_certificate(home, name, *more):
    """A key and a certificate that is its own CA: NAME.key, NAME.crt."""
    key, cert = os.path.join(home, name + ".key"), os.path.join(home, name + ".crt")
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=" + name, "-keyout", key, "-out", cert, *more),
    )
    return key, cert


class Issuer:
    """npm's oidc-provider."""

    def __init__(self, home, packages, node, callback):
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.key, self.cert = make_certificate(
            home, "issuer", "-addext", "subjectAltName=DNS:localhost"
        )
        self.log = open(os.path.join(home, "issuer.log"), "w+", encoding="utf-8")
        self.command = [node, os.path.join(HERE, "node/issuer.mjs"), packages, str(self.port)]
        self.command += [self.key, self.cert, callback]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        atexit.register(self.stop)
        if self.process.stdout.readline() != "ready\n":
            self.log.seek(0)
            raise Failed("the issuer does not start: " + self.log.read()[-2000:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def workload_token(self):
        form = {"grant_type": "client_credentials", "resource": "urn:exchange", "scope": "run"}
        request = urllib.request.Request(
            self.url + "/token",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": "Basic " + base64.b64encode(b"ci:ci-secret").decode()},
        )
        tls = ssl.create_default_context(cafile=self.cert)
        with urllib.request.urlopen(request, None, 30, context=tls) as r:
            return json.load(r)["access_token"]

    def sign_in(self, browser, who):
        """The provider's own pages, once the controller has sent us there."""
        if not browser.url.startswith(self.url):
            raise Failed(f"not at the issuer but at {browser.url}: {browser.text[-500:]}")
        browser.submit(login=who, password="any")
        if "/interaction/" in browser.url:  # does the person agree to tell us who it is?
            browser.submit()


class Az(az_rig.Az):
    """az with a configuration of its own and nobody logged in."""

    def __init__(self, c, home, name):
        self.login_secret = c.env["CLIENT_SECRET"]
        inner = os.path.join(home, name)
        os.mkdir(inner)
        super().__init__(c, inner)

    def wait_for_code(self, *more):
        """Begins `az login --use-device-code`; the process and the code that it shows."""
        p = subprocess.Popen(
            ["az", "login", "--use-device-code", *more, "-o", "json"],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = ""
        for line in p.stderr:
            said += line
            found = re.search(r"open the page (\S+) and enter the code (\S+) to", line)
            if found:
                rest = []
                thread = threading.Thread(target=lambda: rest.append(p.stderr.read()))
                thread.start()
                return p, found[1], found[2], (thread, rest)
        p.wait()
        raise Failed("az shows no code: " + said[-2000:])


def finish(p, reader):
    out = p.stdout.read()
    p.wait(120)
    reader[0].join()
    if p.returncode:
        raise Failed(f"az login: exit {p.returncode}\n{reader[1][0][-2000:]}")
    return json.loads(out)


# ---- the story ----


class Story:
    def __init__(self, c, home, issuer, packages, node, wayleave):
        self.c, self.home, self.issuer = c, home, issuer
        self.packages, self.node, self.wayleave = packages, node, wayleave
        self.arm, self.tenant = c.env["ARM_ENDPOINT"], c.env["TENANT"]
        self.az = None
        self.people = {}
        self.workload = os.path.join(home, "workload.jwt")
        self.pem = os.path.join(home, "client.pem")
        self.alice = Browser(self.bundle())

    def bundle(self):
        path = os.path.join(self.home, "bundle.pem")
        with open(path, "w", encoding="utf-8") as out:
            for name in (self.c.env["CA_FILE"], self.issuer.cert):
                with open(name, encoding="utf-8") as f:
                    out.write(f.read())
        return path

    def graph(self, method, path, body=None, want=(200, 201, 204)):
        status, answer = self.c.call("OPERATOR_", method, "/v1.0" + path, body)
        if status not in want:
            raise Failed(f"{method} {path}: {status} {answer}")
        return answer

    def person(self, name):
        made = self.graph(
            "POST",
            "/users",
            {
                "displayName": name.capitalize(),
                "userPrincipalName": f"{name}@contoso.example",
                "mailNickname": name,
                "accountEnabled": True,
            },
        )
        scope = f"/subscriptions/{self.c.env['SUBSCRIPTION']}"
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{made['id']}"
        role = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{READER}"
        self.c.put(
            "",
            path,
            {"properties": {"roleDefinitionId": role, "principalId": made["id"]}},
            "2022-04-01",
        )
        self.people[name] = made["id"]

    def people_are_made(self):
        """users are made in the directory, with a role"""
        for name in ("alice", "bob"):
            self.person(name)

    def secret(self):
        """az login with a secret; a wrong one is refused with Azure's own words"""
        self.az = Az(self.c, self.home, "one")  # logs in
        shown = self.az.run("account", "show")
        same("who", shown["user"], {"name": self.c.env["CLIENT_ID"], "type": "servicePrincipal"})
        said = self.az.refused(
            *("login", "--service-principal", "-u", self.c.env["CLIENT_ID"]),
            *("-p", "wrong", "--tenant", self.tenant),
        )
        if "AADSTS7000215" not in said:
            raise Failed("az said: " + said)

    def certificate(self):
        """az login with a certificate that the directory has"""
        key, cert = make_certificate(self.home, "client")
        der = ssl.PEM_cert_to_DER_cert(open(cert, encoding="utf-8").read())
        with open(self.pem, "w", encoding="utf-8") as out:
            out.write(open(key, encoding="utf-8").read() + open(cert, encoding="utf-8").read())
        login = ("login", "--service-principal", "-u", self.c.env["CLIENT_ID"], "-p", self.pem)
        said = self.az.refused(*login, "--tenant", self.tenant)
        if "AADSTS700027" not in said:
            raise Failed("before it is registered az said: " + said)
        key = {"key": base64.b64encode(der).decode(), "type": "AsymmetricX509Cert"}
        body = {"keyCredentials": [key]}
        self.graph("PATCH", "/servicePrincipals/" + self.c.env["OBJECT_ID"], body)
        self.az.run(*login, "--tenant", self.tenant)
        same("groups", self.az.run("group", "list"), [])

    def federated(self):
        """az login with another issuer's token that a federated credential names, and no other"""
        with open(self.workload, "w", encoding="utf-8") as f:
            f.write(self.issuer.workload_token())
        login = ("login", "--service-principal", "-u", self.c.env["CLIENT_ID"])
        login += ("--tenant", self.tenant, "--federated-token")
        token = open(self.workload, encoding="utf-8").read()
        said = self.az.refused(*login, token)
        if "AADSTS700213" not in said:
            raise Failed("before it is registered az said: " + said)
        body = {
            "name": "ci",
            "issuer": self.issuer.url,
            "subject": "ci",
            "audiences": ["api://AzureADTokenExchange"],
        }
        oid = self.c.env["OBJECT_ID"]
        self.graph("POST", f"/applications/{oid}/federatedIdentityCredentials", body)
        self.az.run(*login, token)
        same("groups", self.az.run("group", "list"), [])
        head, claims, signature = token.split(".")
        bent = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
        said = self.az.refused(*login, f"{head}.{claims}.{bent}")
        if "AADSTS700027" not in said:
            raise Failed("with a bent signature az said: " + said)

    def foreign_bearer(self):
        """another issuer's token is no bearer here"""
        token = open(self.workload, encoding="utf-8").read()
        url = f"{self.arm}/subscriptions?api-version=2019-11-01"
        request = urllib.request.Request(url, None, {"Authorization": "Bearer " + token})
        try:
            urllib.request.urlopen(request, None, 30, context=self.c.tls).close()
            raise Failed("it was accepted")
        except urllib.error.HTTPError as e:
            same("status", e.code, 401)
            same("code", json.load(e)["error"]["code"], "InvalidAuthenticationToken")
            if "Bearer" not in e.headers["WWW-Authenticate"]:
                raise Failed(e.headers["WWW-Authenticate"]) from e

    def device_code(self):
        """az login --use-device-code; the person signs in at the OpenID provider"""
        p, page, code, reader = self.az.wait_for_code()
        same("page", page, self.arm + "/device")
        self.alice.go(page)
        self.issuer.sign_in(self.alice, "alice")
        self.alice.sees("Enter the code", "alice@contoso.example")
        same("scripts", Form(self.alice.text).scripts, 0)
        policy = self.alice.headers["Content-Security-Policy"]
        if "default-src 'none'" not in policy or "frame-ancestors 'none'" not in policy:
            raise Failed(policy)
        self.alice.submit(user_code="BCDF-GHJK").sees("no such code")
        self.alice.submit(user_code=code.lower()).sees("Azure CLI", code.lower())
        self.alice.submit(answer="yes").sees("You are signed in")
        logged = finish(p, reader)
        same("user", logged[0]["user"], {"name": "alice@contoso.example", "type": "user"})
        same("groups", self.az.run("group", "list"), [])
        said = self.az.refused("group", "create", "-n", "x", "-l", "westeurope")
        if "AuthorizationFailed" not in said:
            raise Failed("a reader who writes: " + said)

    def refusing(self):
        """who refuses is heard by az"""
        p, page, code, reader = self.az.wait_for_code()
        self.alice.go(f"{page}?user_code={code}").sees("Azure CLI")
        self.alice.submit(answer="no").sees("Refused")
        p.stdout.read()
        p.wait(120)
        reader[0].join()
        if not p.returncode or "70018" not in reader[1][0]:
            raise Failed(f"exit {p.returncode}: {reader[1][0][-800:]}")

    def forged_form(self):
        """a form of another site, or without our mark, does nothing"""
        self.alice.go(self.arm + "/device")
        form = Form(self.alice.text)
        url = self.arm + "/device"
        self.alice.go(url, {"user_code": "BCDF-GHJK", "answer": "yes"})
        same("without the mark", self.alice.status, 403)
        self.alice.go(url, form.fields, {"Origin": "https://evil.example"})
        same("of another origin", self.alice.status, 403)

    def disabled(self):
        """who is disabled is out at once, with tokens already given; and is in again when enabled"""
        self.az.run("group", "list")
        path = "/users/" + self.people["alice"]
        self.graph("PATCH", path, {"accountEnabled": False})
        said = self.az.refused("group", "list")
        if "disabled" not in said:
            raise Failed("az said: " + said)
        self.alice.go(self.arm + "/signin")
        if "alice" in self.alice.text:
            raise Failed("her session outlives her")
        self.graph("PATCH", path, {"accountEnabled": True})
        same("groups", self.az.run("group", "list"), [])

    def strangers(self):
        """who is at the provider but not in the directory, or not verified, stays out"""
        stranger = Browser(self.bundle())
        stranger.go(self.arm + "/signin/start")
        self.issuer.sign_in(stranger, "mallory")
        stranger.sees("no account for you")
        same("status", stranger.status, 403)
        other = Browser(self.bundle())
        other.go(self.arm + "/signin/start")
        self.issuer.sign_in(other, "alice.unverified")
        other.sees("not verified")
        # Another person at the provider who got alice's address.
        third = Browser(self.bundle())
        third.go(self.arm + "/signin/start")
        self.issuer.sign_in(third, "alice.second")
        third.sees("belongs to somebody else")

    def invitation(self):
        """wayleave user invite: a link signs one user in, once; looking at it does not use it up"""
        env = dict(os.environ, WAYLEAVE_HOME=os.path.join(self.home, "none"))
        env.update(self.c.env)
        said = run(self.wayleave, "user", "invite", "bob@contoso.example", env=env)
        link = said.split()[0]
        bob = Browser(self.bundle())
        bob.go(link).sees("bob@contoso.example")
        bob.go(link).submit().sees("signed in", "bob@contoso.example")
        bob.go(link).sees("was used")
        az = Az(self.c, self.home, "two")
        p, page, code, reader = az.wait_for_code()
        bob.go(f"{page}?user_code={code}").submit(answer="yes").sees("You are signed in")
        same("user", finish(p, reader)[0]["user"]["name"], "bob@contoso.example")
        bob.go(self.arm + "/signout").submit().sees("Signed out")
        bob.go(self.arm + "/device")
        if not bob.url.startswith(self.issuer.url):
            raise Failed("still signed in: " + bob.url)

    def msal(self):
        """MSAL and @azure/identity: certificate, assertion, code with PKCE, refresh"""
        with open(self.workload, "w", encoding="utf-8") as f:
            f.write(self.issuer.workload_token())
        p = subprocess.Popen(
            [
                *(self.node, os.path.join(HERE, "node/people.mjs"), self.packages, self.arm),
                *(self.tenant, self.c.env["CLIENT_ID"], self.pem, self.workload),
            ],
            env=dict(os.environ, NODE_EXTRA_CA_CERTS=self.c.env["CA_FILE"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        got = {}
        for line in p.stdout:
            one = json.loads(line)
            got[one["what"]] = one
            if one["what"] == "open":
                self.alice.go(one["url"])
                if self.alice.url.startswith(self.issuer.url):
                    self.issuer.sign_in(self.alice, "alice")
                self.alice.sees("Azure CLI", "alice@contoso.example", "http://localhost:")
                try:
                    self.alice.submit(answer="yes").sees("signed in")
                except (ConnectionResetError, urllib.error.URLError) as e:
                    # The last page is MSAL's own. It may hang up before it is read; its token says the rest.
                    if not isinstance(getattr(e, "reason", e), ConnectionResetError):
                        raise
        p.wait(60)
        if p.returncode:
            raise Failed(p.stderr.read()[-2000:])
        p.stderr.close()
        for what in ("certificate", "federated"):
            same(what, got[what]["claims"]["oid"], self.c.env["OBJECT_ID"])
        for what in ("code", "refresh"):
            same(what, got[what]["claims"]["oid"], self.people["alice"])
            same(what, got[what]["claims"]["idtyp"], "user")
        same("account", got["code"]["account"], "alice@contoso.example")
        same("issuer", got["code"]["id"]["iss"], f"{self.arm}/{self.tenant}/v2.0")
        same("another token", got["refresh"]["other"], True)

    def rotation(self):
        """signing-key rotate --now: what was given before counts no more, the next login does"""
        before = self.c.token("")
        env = dict(os.environ, WAYLEAVE_HOME=os.path.join(self.home, "none"))
        env.update(self.c.env)
        run(self.wayleave, "signing-key", "rotate", "--now", env=env)
        url = f"{self.arm}/subscriptions?api-version=2019-11-01"
        request = urllib.request.Request(url, None, {"Authorization": "Bearer " + before})
        try:
            urllib.request.urlopen(request, None, 30, context=self.c.tls).close()
            raise Failed("a token of the old key was accepted")
        except urllib.error.HTTPError as e:
            same("status", e.code, 401)
            e.close()
        status, _ = self.c.call("", "GET", "/subscriptions", version="2019-11-01")
        same("with a new one", status, 200)
        keys = json.loads(run(self.wayleave, "signing-key", "list", "-o", "json", env=env))
        same("keys", [k["state"] for k in keys], ["Signing"])

    def secrets_are_not_logged(self):
        """no secret and no token is in the controller's log"""
        self.c.log.seek(0)
        said = self.c.log.read()
        for word in ("eyJ", self.c.env["CLIENT_SECRET"], "a secret: with colon", "wrong"):
            if word in said:
                raise Failed(f"{word[:12]}... is in the log")


def tell(story):
    steps = az_rig.steps_of(story)
    print(f"1..{len(steps)}", flush=True)
    for i, step in enumerate(steps, 1):
        began = time.monotonic()
        try:
            step(story)
        except (Failed, AssertionError, KeyError, IndexError, TypeError, ValueError, OSError) as e:
            print(f"not ok {i} - {step.__doc__}")
            print("# " + repr(e).replace("\\n", "\n").replace("\n", "\n# "))
            print("# controller: " + story.c.tail().replace("\n", "\n# "), flush=True)
            return 1
        print(f"ok {i} - {step.__doc__} # {time.monotonic() - began:.1f} s", flush=True)
    return 0


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    found = subprocess.run([HERE + "/node/install"], capture_output=True, text=True, check=False)
    if not shutil.which("az") or found.returncode == 77:
        print("1..0 # SKIP there is no az, no Node >= 20 or no npm")
        return 0
    if found.returncode:
        sys.exit(found.stderr)
    packages, node = found.stdout.split()
    home = tempfile.mkdtemp(prefix="wayleave-sign-in-")
    atexit.register(shutil.rmtree, home, True)
    port = free_port()
    callback = f"https://localhost:{port}/signin/callback"
    issuer = Issuer(home, packages, node, callback)
    issuer.start()
    secret = os.path.join(home, "oidc-secret")
    with open(secret, "w", encoding="utf-8") as f:
        f.write("a secret: with colon & more\n")
    more = (
        f"signin:\n  issuer: {issuer.url}\n  client_id: wayleave\n"
        f"  client_secret_file: {secret}\n  ca: {issuer.cert}\n  name: Contoso\n"
        f"federation:\n  issuers: [{issuer.url}]\n  ca: {issuer.cert}\n"
    )
    c = az_rig.Controller(sys.argv[1], sys.argv[2], home, port, more)
    return tell(Story(c, home, issuer, packages, node, sys.argv[3]))


if __name__ == "__main__":
    sys.exit(main())
