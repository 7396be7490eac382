"""BFD on some host without a daemon around it: one session of our own (tests/tools/bfd_peer.c), and one that is made of bare
packets, for bits that ours never sets."""

import json
import queue
import random
import socket
import struct
import subprocess
import threading
import time

from harness import programs
from netns import wait_for


class BfdPeer:
    """What it tells, and commands to it."""

    def __init__(self, host, *words):
        with (host.directory / "bfd_peer.log").open("ab") as log:
            self.process = host.popen([programs() / "tests/tools/bfd_peer", *words], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=log)
        self.changes, self.answers = [], queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "change":
                self.changes.append(event)
            else:
                self.answers.put(event)

    def tell(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()

    def info(self):
        self.tell("info")
        return self.answers.get(timeout=20)

    def intervals(self, *words):
        self.tell("intervals", *words)
        assert self.answers.get(timeout=20)["ok"]

    def end(self, word):
        self.tell(word)
        self.process.wait(20)

    def downs(self):
        return [change for change in self.changes if change["was"] == "Up"]

    def wait_down(self, timeout):
        return wait_for(self.downs, lambda: f"down; so far {self.changes}", timeout)[-1]

    def wait_up(self, timeout=20):
        wait_for(lambda: self.info()["state"] == "Up", lambda: f"up: {self.info()}\n{self.changes}", timeout)

    def wait_settled(self, timeout=8, **wanted):
        """Up, with these values."""
        wanted = {"state": "Up", "polling": False, **wanted}
        wait_for(lambda: wanted.items() <= self.info().items(), lambda: f"{wanted}: {self.info()}", timeout)


class BareBfd(threading.Thread):
    """Answers one session over IPv4, a packet each interval, until it falls silent. independent: with the C bit."""

    DOWN, INIT, UP = 1, 2, 3

    def __init__(self, host, local, remote, interval=0.05, independent=False):
        super().__init__(daemon=True)
        self.interval, self.independent = interval, independent
        self.state, self.own, self.theirs = self.DOWN, random.randrange(1, 1 << 32), 0
        with host.inside():
            self.hearing, self.sending = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            self.hearing.bind((local, 3784))
            self.sending.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
            self.sending.bind((local, random.randrange(49152, 65536)))
            self.sending.connect((remote, 3784))
        self.silent = False
        self.start()

    def run(self):
        while not self.silent:
            self.hearing.settimeout(self.interval * 0.8)
            deadline = time.monotonic() + self.interval * 0.8
            while time.monotonic() < deadline:
                try:
                    self.hear(self.hearing.recv(100))
                except (TimeoutError, ConnectionRefusedError):
                    break
            self.say()
        self.hearing.close()
        self.sending.close()

    def hear(self, packet):
        _first, second, _multiplier, _length, self.theirs = struct.unpack_from("!BBBBI", packet)
        state, poll = second >> 6, second & 0x20
        if state == self.DOWN:
            self.state = self.INIT if self.state == self.DOWN else self.state
        elif state == self.INIT or (state == self.UP and self.state == self.INIT):
            self.state = self.UP
        if poll:
            self.say(final=True)

    def say(self, final=False):
        second = self.state << 6 | final << 4 | self.independent << 3
        interval = int(self.interval * 1e6) if self.state == self.UP else 1000000
        try:
            self.sending.send(struct.pack("!BBBBIIIII", 0x20, second, 3, 24, self.own, self.theirs, interval,
                                          int(self.interval * 1e6), 0))
        except ConnectionRefusedError:
            pass

    def fall_silent(self):
        self.silent = True
        self.join()
