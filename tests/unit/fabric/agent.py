#!/usr/bin/env python3
"""The life of an agent's certificate, against a controller that gives short ones: enrolled, renewed when
two thirds are over, enrolled again when refused. agent.py DRIVER"""

import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time

DIR = tempfile.mkdtemp(prefix="agent-")
DAY = 86400
OPENSSL_CONF = f"""
[ca]
default_ca = d
[d]
dir = {DIR}
new_certs_dir = {DIR}
database = {DIR}/index
serial = {DIR}/serial
certificate = {DIR}/ca.crt
private_key = {DIR}/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
"""


def openssl(*args, text=None):
    done = subprocess.run(["openssl", *args], input=text, capture_output=True, text=True, check=False,
                          env={**os.environ, "OPENSSL_CONF": f"{DIR}/conf"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(name, text):
    with open(f"{DIR}/{name}", "w", encoding="ascii") as f:
        f.write(text)


def sign(csr, first_day, last_day):
    """A certificate from first_day to last_day, in days from now."""
    def when(days):
        return time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))

    write("csr", csr)
    openssl("ca", "-batch", "-notext", "-in", f"{DIR}/csr", "-out", f"{DIR}/out",
            "-startdate", when(first_day), "-enddate", when(last_day))
    with open(f"{DIR}/out", encoding="ascii") as f:
        return f.read()


class Controller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []  # (path, serial of the client's certificate)
    requests = []
    refused = set()
    lives = [(-25, 5), (-1, 29), (-1, 29)]  # of the certificates given, in order

    def log_message(self, *args):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def note(self, what):
        peer = self.connection.getpeercert()
        serial = int(peer["serialNumber"], 16) if peer else 0
        self.seen.append((what, serial))
        return serial

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        what = self.path.rsplit("/", 1)[1]
        self.note(what)
        self.requests.append((what, body))
        if what == "enrol" and len([w for w, _ in self.requests if w == "enrol"]) == 1:
            self.answer(503, {"error": {"message": "busy"}})  # the same request must come again
            return
        self.answer(200, {"certificate": sign(body["csr"], *self.lives.pop(0)), "ca": ""})

    def do_GET(self):
        serial = self.note("poll")
        if serial in self.refused:
            self.answer(401, {"error": {"message": "who?"}})
            return
        time.sleep(0.1)
        self.answer(200, {"cursor": "e.1", "snapshot": False, "objects": [], "queries": []})


def serve():
    write("conf", OPENSSL_CONF)
    write("index", "")
    write("serial", "01\n")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", f"{DIR}/ca.key", "-out", f"{DIR}/ca.crt",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{DIR}/ca.crt", f"{DIR}/ca.key")
    context.load_verify_locations(f"{DIR}/ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Controller)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def wait(what, condition):
    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until, f"{what}: {Controller.seen}"
        time.sleep(0.05)


def check():
    seen = Controller.seen
    wait("polls under the renewed certificate", lambda: ("poll", 2) in seen)
    assert seen[:5] == [("enrol", 0), ("enrol", 0), ("poll", 1), ("renew", 1), ("poll", 2)], seen
    first, second = (b for w, b in Controller.requests if w == "enrol")
    assert first == second and first["token"] == "secret.hash", "not the same request"
    Controller.refused.add(2)
    wait("polls under the third certificate", lambda: ("poll", 3) in seen)
    assert [w for w, _ in Controller.requests] == ["enrol", "enrol", "renew", "enrol"]


def main():
    port = serve()
    with subprocess.Popen([sys.argv[1], f"https://127.0.0.1:{port}", f"{DIR}/ca.crt", f"{DIR}/a.crt",
                           f"{DIR}/a.key", "secret.hash"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as agent:
        try:
            check()
        finally:
            agent.stdin.close()
            said = agent.stdout.read()
    assert agent.returncode == 0 and "certificate renewed" in said, (agent.returncode, said)


try:
    main()
finally:
    subprocess.run(["rm", "-rf", DIR], check=False)
