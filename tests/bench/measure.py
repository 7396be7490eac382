"""What the measurements of own.py share: a daemon's CPU time and instructions, the kernel's routes as they change."""

import collections
import re
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

from harness import programs
from netns import Timeout, wait_for

RTM_NEWROUTE, RTM_DELROUTE, SO_RCVBUFFORCE = 24, 25, 33
RTMGRP_ROUTES = 0x40 | 0x400  # IPv4 and IPv6
PATIENCE = 120  # s for anything; what takes longer is said so
QUIET = 0.15  # s without CPU time: longer than anything waits before it acts


def middle(times):
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100], "max": ordered[-1]}


def cpu(process):
    """Seconds that all its threads have run."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat")) / 1e9


def spend(process, act=None):
    """Acts, and waits until the process rests: {"time": until it last ran, "CPU": meanwhile}."""
    before = used = cpu(process)
    began = last = time.monotonic()
    if act:
        act()
    while time.monotonic() < last + QUIET:
        time.sleep(0.0005)  # the resolution of what is measured
        now = cpu(process)
        if now != used:
            used, last = now, time.monotonic()
        if last > began + PATIENCE:
            raise Timeout(f"it does not rest within {PATIENCE} s")
    return {"time": last - began, "CPU": used - before}


class Kernel:
    """The changes of a namespace's routes, as netlink tells them: (when, new or gone, prefix)."""

    def __init__(self, namespace):
        with namespace.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        except PermissionError:  # only the host's root may
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 20)
        self.socket.bind((0, RTMGRP_ROUTES))
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.socket.close()

    def datagrams(self, patience):
        """Those that come until nothing comes for so long, with the time of each: what is in them is looked at afterwards."""
        found = []
        self.socket.settimeout(patience)
        try:
            while True:
                octets = self.socket.recv(1 << 16)
                found.append((time.monotonic(), octets))
                self.socket.settimeout(0.002)
        except TimeoutError:
            return found

    def read(self, patience=PATIENCE):
        return [change for when, octets in self.datagrams(patience) for change in self.changes(when, octets)]

    def changes(self, when, octets):
        at, found = 0, []
        while at + 16 <= len(octets):
            length, kind = struct.unpack_from("=IH", octets, at)
            family, bits = octets[at + 16], octets[at + 17]
            if kind in (RTM_NEWROUTE, RTM_DELROUTE) and family in (socket.AF_INET, socket.AF_INET6):
                found.append((when, kind, self.destination(octets[at + 28:at + length], family, bits)))
            at += (length + 3) & ~3
        return found

    @staticmethod
    def destination(attributes, family, bits):
        at = 0
        while at + 4 <= len(attributes):
            length, kind = struct.unpack_from("=HH", attributes, at)
            if kind == 1:
                return f"{socket.inet_ntop(family, attributes[at + 4:at + length])}/{bits}"
            at += (length + 3) & ~3
        return "default"

    def wait(self, kind, prefixes):
        """When the last of these came (or went)."""
        missing, when = set(prefixes), 0
        while missing:
            found = self.read()
            if not found:
                raise Timeout(f"{len(missing)} of {len(prefixes)} routes did not change within {PATIENCE} s")
            for now, what, prefix in found:
                if what == kind and prefix in missing:
                    missing.discard(prefix)
                    when = now
        return when

    def quiet(self):
        """What is waiting to be read is not wanted; how many of each kind it was."""
        return collections.Counter(kind for _now, kind, _prefix in self.read(0.2))


class Instructions:
    """Counts those of a node's daemon, which runs under valgrind: the processor's own counters are not there in most virtual
    machines. Until begin() it runs at a speed that can be borne."""

    def __init__(self, node):
        self.node, self.prefix = node, node.directory / "vgdb"
        self.output = node.directory / "callgrind.out"
        self.asking = 0  # what it takes to answer
        wrapper = node.directory / "counted"
        wrapper.write_text(f"#!/bin/sh\nexec valgrind -q --tool=callgrind --instr-atstart=no --vgdb-prefix={self.prefix} "
                           f"--callgrind-out-file={self.output} {programs() / 'calidrisd'} \"$@\"\n")
        wrapper.chmod(0o755)
        node.start(program=wrapper, wait=False)
        node.wait_up(60)

    def tell(self, *words):
        done = subprocess.run(["vgdb", f"--vgdb-prefix={self.prefix}", f"--pid={self.node.process.pid}", *words],
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        if done.returncode:
            raise Timeout(f"vgdb {' '.join(words)}: {done.stderr}")

    def counted(self):
        """Since it was last asked."""
        self.tell("dump", "x")
        *_before, last = wait_for(lambda: sorted(self.output.parent.glob(f"{self.output.name}.*"),
                                                 key=lambda path: int(path.suffix[1:])), "callgrind's figures")
        found = re.findall(r"^(?:totals|summary): (\d+)", last.read_text(), re.MULTILINE)
        last.unlink()
        return int(found[-1])

    def begin(self):
        self.tell("instrumentation", "on")
        spend(self.node.process)
        self.counted()
        self.asking = min(self.of(None) for _ in range(5))

    def of(self, act):
        """Of what follows from it; whatever else the daemon had to do meanwhile is in it, too."""
        spend(self.node.process, act)
        return max(self.counted() - self.asking, 0)
