"""Pods that ping every millisecond (tests/tools/echo_flood.c), and an exact account of what got no answer, and when."""

import json
import select
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass

from harness import programs
from netns import wait_for


@dataclass
class Gap:
    """Requests in a row without an answer. Times are those of time.monotonic(): of the first of them, and of the next one
    that has an answer (None: there is none yet)."""

    since: float
    until: float
    lost: int


class Flood:
    """From one pod to addresses that have names: Flood(pod, {"near": "10.244.1.2", ...})."""

    def __init__(self, pod, targets, milliseconds=1):
        self.targets = dict(targets)
        self.process = pod.popen([programs() / "tests/tools/echo_flood", int(milliseconds * 1000), *self.targets.values()],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, word):
        self.process.stdin.write((word + "\n").encode())
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], 20)[0], "echo_flood does not answer"
        answer = json.loads(self.process.stdout.readline())
        return {name: answer[address] for name, address in self.targets.items()}

    def rows(self, since, names=None):
        """{name: answers in a row up to now, of those that were sent after since}; not exact where a row began before."""
        found = {}
        for name, state in self.ask("state").items():
            if names is not None and name not in names:
                continue
            fresh = state["row"] and state["last"] > since
            found[name] = state["row"] if fresh and state["row_from"] >= since else \
                int(state["row"] * (state["last"] - since) / max(state["last"] - state["row_from"], 1e-3)) if fresh else 0
        return found

    def report(self):
        """{name: (how many were judged, [Gap, ...])} since the last report."""
        return {name: (row["judged"], [Gap(*gap) for gap in row["gaps"]]) for name, row in self.ask("report").items()}


class Floods:
    """Several as if they were one."""

    def __init__(self, *floods):
        self.floods = floods

    def wait_flowing(self, since, count=30, names=None, timeout=20):
        """Every stream has so many answers in a row to what was sent after since."""
        def rows():
            return {name: row for flood in self.floods for name, row in flood.rows(since, names).items()}
        wait_for(lambda: min(rows().values()) >= count, lambda: f"{count} answers in a row: {rows()}", timeout)

    def report(self):
        return {name: row for flood in self.floods for name, row in flood.report().items()}


class RouteWatch:
    """When routes of a protocol were written and removed in a namespace, by whomever."""

    GROUPS = 0x40 | 0x400  # RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
    NEW, DELETED = 24, 25  # RTM_NEWROUTE, RTM_DELROUTE

    def __init__(self, namespace, protocol=186):
        self.protocol, self.events = protocol, []
        with namespace.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((0, self.GROUPS))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            data = self.socket.recv(65536)
            now = time.monotonic()
            kind, = struct.unpack_from("H", data, 4)
            if kind in (self.NEW, self.DELETED) and data[16 + 5] == self.protocol:
                self.events.append((now, kind))

    def times(self, kind, since=0):
        return [at for at, what in self.events if what == kind and at >= since]
