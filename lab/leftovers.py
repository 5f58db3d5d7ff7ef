"""Nothing left: what a lab's processes held (themselves, network namespaces, mounts, a directory) is
remembered while it runs and looked for once it is gone. A network namespace is known by its cookie,
which the kernel never gives twice (inode numbers it does)."""

import os
import socket
import threading

_SO_NETNS_COOKIE = 71
_CLONE_NEWNET = 0x40000000


def _stat(pid):
    """(parent, start time); None when it is gone or only waits for its parent."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), fields[19])


def _stats():
    found = {int(p): _stat(p) for p in os.listdir("/proc") if p.isdigit()}
    return {pid: stat for pid, stat in found.items() if stat}


def _words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def descendants(root):
    """{pid: start time} of root and all below it."""
    stats, found, news = _stats(), {}, [root]
    while news:
        pid = news.pop()
        if pid in stats and pid not in found:
            found[pid] = stats[pid][1]
            news += [p for p, s in stats.items() if s[0] == pid]
    return found


def _links(pid):
    """Paths of the network namespaces a process is in or has open."""
    yield f"/proc/{pid}/ns/net"
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        yield f"/proc/{pid}/fd/{name}"


def _cookies(paths):
    """{path: cookie} by entering each, in a thread of its own."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}

    def look():
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY)
            except OSError:
                continue  # gone meanwhile
            is_inside = libc.setns(fd, _CLONE_NEWNET) == 0
            os.close(fd)
            if is_inside:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    found[path] = s.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found


def namespaces(pids):
    """{cookie: one who holds it} of these processes."""
    first = {}
    for pid in pids:
        for path in _links(pid):
            try:
                link = os.readlink(path)
            except OSError:
                continue
            if link.startswith("net:["):
                first.setdefault(link, (path, pid))
    cookies = _cookies([path for path, _ in first.values()])
    return {cookies[path]: f"{pid} {_words(pid)}" for path, pid in first.values() if path in cookies}


def mounts():
    """This machine's mounts, without their running numbers."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return {" ".join(line.split()[2:]) for line in f}


class Footprint:
    """Taken while the lab runs. `root`: its first process; it and `spared` are not leftovers."""

    def __init__(self, root, directory, mounts_before, spared=()):
        self.directory, self.before = directory, mounts_before
        self.spared = {root, os.getpid(), *spared}
        self.pids = descendants(root)
        own = namespaces([os.getppid(), 1])
        self.namespaces = {c: who for c, who in namespaces(self.pids).items() if c not in own}

    def left(self):
        """What is still there, one line each."""
        stats, lines = _stats(), []
        for pid, (_, start) in stats.items():
            words = _words(pid)
            if pid not in self.spared and (self.pids.get(pid) == start or self.directory in words):
                lines.append(f"process {pid} {words}")
        for cookie, who in namespaces(stats).items():
            if cookie in self.namespaces:
                lines.append(f"a network namespace, held by {who}")
        # Others may mount things meanwhile; ours would name the lab, or be a namespace or a bpffs.
        for line in sorted(mounts() - self.before):
            if self.directory in line or "wayleave" in line or " - nsfs " in line or " - bpf " in line:
                lines.append(f"mount {line}")
        return lines
