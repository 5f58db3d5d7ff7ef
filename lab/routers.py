"""Foreign routers for the customer's side: FRR and BIRD, each in a namespace and directory of its
own, run in the foreground so that their end is the lab's business."""

import json
import os
import pwd
import shutil

from netns import LabError, wait_for

FRR = "/usr/lib/frr"
DAEMONS = ("zebra", "staticd", "bfdd", "bgpd")


class Frr:
    """zebra, bgpd, bfdd and staticd in one namespace. `config` is bgpd's."""

    def __init__(self, ns, config):
        self.ns, self.box = ns, ns.box
        self.dir = os.path.join(self.box.dir, f"frr-{ns.name}")
        os.mkdir(self.dir)
        user = pwd.getpwnam("frr")
        os.chown(self.dir, user.pw_uid, user.pw_gid)
        for daemon in DAEMONS:
            path = os.path.join(self.dir, f"{daemon}.conf")
            with open(path, "w", encoding="ascii") as f:
                f.write(f"frr defaults traditional\nhostname {ns.name}\nlog stdout notifications\n")
                # A daemon that meets another's block would leave the config mode at its "exit".
                f.write(config if daemon == "bgpd" else "")
            os.chown(path, user.pw_uid, user.pw_gid)
        # Silences vtysh, which looks for one.
        open(os.path.join(self.dir, "vtysh.conf"), "w", encoding="ascii").close()
        self.daemons = {}
        for daemon in DAEMONS:
            self._start(daemon)
            wait_for(f"{daemon} in {ns.name} answers",
                     lambda d=daemon: os.path.exists(f"{self.dir}/{d}.vty"),
                     evidence=lambda d=daemon: self.daemons[d].tail())

    def _start(self, daemon):
        extra = {"bfdd": ["--bfdctl", f"{self.dir}/bfdctl.sock"], "zebra": ["-s", "1048576"]}
        self.daemons[daemon] = self.ns.start(
            [f"{FRR}/{daemon}", "-f", f"{self.dir}/{daemon}.conf", "-i", f"{self.dir}/{daemon}.pid",
             "-z", f"{self.dir}/zserv.sock", "--vty_socket", self.dir, "-P", "0",
             *extra.get(daemon, [])],
            name=f"{self.ns.name}-{daemon}")

    def vtysh(self, *commands, check=True):
        argv = ["vtysh", "--vty_socket", self.dir, "--config_dir", self.dir]
        for command in commands:
            argv += ["-c", command]
        return self.box.run(argv, ns=self.ns, check=check)

    def show(self, command):
        """A show command's JSON."""
        text = self.vtysh(f"show {command} json")
        try:
            return json.loads(text)
        except ValueError:
            raise LabError(f"{self.ns.name}: show {command} json: {text}") from None

    def configure(self, *lines):
        self.vtysh("configure terminal", *lines)

    def session(self, peer):
        """The neighbour's JSON; {} while there is none."""
        return self.show(f"bgp neighbors {peer}").get(peer, {})

    def is_established(self, peer):
        return self.session(peer).get("bgpState") == "Established"

    def routes(self):
        """{prefix: [path, ...]} of the table."""
        return self.show("bgp ipv4 unicast").get("routes", {})

    def bfd(self, peer):
        """{'status': 'up', 'down': times it went down, 'rtx', 'interval'}; None when unknown."""
        for session in self.show("bfd peers"):
            if session.get("peer") == peer:
                counters = self.show(f"bfd peer {peer} counters")
                return {"status": session.get("status"), "down": counters.get("session-down"),
                        "interval": session.get("receive-interval"),
                        "multiplier": session.get("detect-multiplier")}
        return None

    def stop(self):
        for daemon in reversed(list(self.daemons.values())):
            daemon.stop()
        self.daemons.clear()
        shutil.rmtree(self.dir, ignore_errors=True)


class Bird:
    """bird 2 in one namespace."""

    def __init__(self, ns, config):
        self.ns, self.box = ns, ns.box
        self.dir = os.path.join(self.box.dir, f"bird-{ns.name}")
        os.mkdir(self.dir)
        self.write(config)
        self.daemon = ns.start(["bird", "-f", "-c", f"{self.dir}/bird.conf",
                                "-s", f"{self.dir}/bird.ctl"], name=f"{ns.name}-bird")
        wait_for(f"bird in {ns.name} answers", lambda: os.path.exists(f"{self.dir}/bird.ctl"),
                 evidence=self.daemon.tail)

    def write(self, config):
        with open(f"{self.dir}/bird.conf", "w", encoding="ascii") as f:
            f.write(config)

    def birdc(self, *words):
        return self.box.run(["birdc", "-s", f"{self.dir}/bird.ctl", *words])

    def configure(self, config):
        self.write(config)
        self.birdc("configure")

    def is_established(self, protocol):
        return "Established" in self.birdc("show", "protocols", protocol)

    def routes(self):
        """{prefix: True} of master4."""
        found = {}
        for line in self.birdc("show", "route", "table", "master4").splitlines():
            word = line.split(" ", 1)[0]
            if "/" in word:
                found[word] = True
        return found

    def stop(self):
        self.daemon.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
