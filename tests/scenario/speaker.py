"""A BGP speaker by hand (RFC 4271), in a customer router's namespace: it says exactly the bytes a
test wants to be said, right or wrong, over a TCP connection with the peering's MD5 key."""

import ipaddress
import socket
import struct
import threading

from netns import LabError

OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
ORIGIN, AS_PATH, NEXT_HOP, AGGREGATOR = 1, 2, 3, 7
_TCP_MD5SIG = 14


def attribute(code, value, flags=0x40):
    return struct.pack("!BBB", flags, code, len(value)) + value


def nlri(prefix):
    net = ipaddress.ip_network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[:(net.prefixlen + 7) // 8]


def _md5(address, key):
    peer = struct.pack("=HH4s120x", socket.AF_INET, 0, socket.inet_aton(address))
    return peer + struct.pack("=BBHI80s", 0, 0, len(key), 0, key)


class Speaker:
    def __init__(self, ns, plan, i=0):
        self.plan, self.i, self.received = plan, i, []
        self.closed = threading.Event()
        self.wire = ns.inside(self._connect)
        self.wire.sendall(self._message(OPEN, self._open()))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _connect(self):
        wire = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        wire.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5(self.plan.edge(self.i), self.plan.key.encode()))
        wire.bind((self.plan.ce(self.i), 0))
        wire.settimeout(5)
        try:
            wire.connect((self.plan.edge(self.i), 179))
        except OSError as e:
            wire.close()
            raise LabError(f"no connection to {self.plan.edge(self.i)}: {e}") from None
        wire.settimeout(None)
        return wire

    def _open(self):
        capabilities = b"\x01\x04\x00\x01\x00\x01" + b"\x41\x04" + struct.pack("!I", self.plan.asn)
        parameters = bytes([2, len(capabilities)]) + capabilities
        return struct.pack("!BHH4sB", 4, self.plan.asn, 90, socket.inet_aton(self.plan.lan_ce(self.i)),
                           len(parameters)) + parameters

    @staticmethod
    def _message(kind, body=b""):
        return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body

    def _read(self):
        """Keeps what comes; answers the OPEN, and each KEEPALIVE with one."""
        data = b""
        try:
            while block := self.wire.recv(65536):
                data += block
                while len(data) >= 19 and len(data) >= (size := struct.unpack("!H", data[16:18])[0]):
                    kind, body, data = data[18], data[19:size], data[size:]
                    self.received.append((kind, body))
                    if kind in (OPEN, KEEPALIVE):
                        self.wire.sendall(self._message(KEEPALIVE))
        except OSError:
            pass
        self.closed.set()

    def announce(self, *prefixes, origin=b"\0", more=b"", raw_nlri=None):
        """An UPDATE; `more`: further attributes, raw_nlri instead of prefixes."""
        path = b"\x02\x01" + struct.pack("!I", self.plan.asn)
        attributes = attribute(ORIGIN, origin) + attribute(AS_PATH, path) + \
            attribute(NEXT_HOP, socket.inet_aton(self.plan.ce(self.i))) + more
        reach = raw_nlri if raw_nlri is not None else b"".join(map(nlri, prefixes))
        self.wire.sendall(self._message(UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes + reach))

    def notification(self, seconds=10):
        """(code, subcode) that ended the session."""
        if not self.closed.wait(seconds):
            raise LabError(f"the session was not ended within {seconds} s")
        last = [body for kind, body in self.received if kind == NOTIFICATION]
        if not last:
            raise LabError("the connection was closed without a NOTIFICATION")
        return last[0][0], last[0][1]

    def close(self):
        try:
            self.wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reader.join(5)
        self.wire.close()
