"""What is measured beside others: each scenario is a row, and all of them are run by the same few lines.

A run starts the subject anew, brings all sessions up, waits until it rests, says "go", and waits until every route is where it
belongs; bgp_load has checked each attribute on the way."""

import dataclasses
import itertools
import select
import shutil
import subprocess
import time
from pathlib import Path

from subjects import ADDRESS, LENGTH, Calidris
from netns import Namespace, Timeout, run  # after subjects, which knows where it is

FIRST = (10 << 24) + (200 << 16) + (16 << 8) + 1
PATIENCE = 180  # s for one answer


@dataclasses.dataclass
class Scenario:
    name: str
    what: str
    role: str
    clients: int
    routes: int
    per: int = 0  # prefixes for each set of attributes; 0: all of a client
    senders: int = 0  # 0: all
    hold: int = 90
    changes: int = 0
    idle: int = 0  # s
    figure: str = "complete"  # which of the times is the one that counts
    power: int = 1  # of its size, that its work is proportional to: every client of a reflector gets what all others say

    def scaled(self, factor):
        """With so much less of what its cost should be proportional to."""
        if self.clients > 10:
            return dataclasses.replace(self, clients=int(self.clients * factor))
        return dataclasses.replace(self, routes=int(self.routes * factor))


SCENARIOS = [
    Scenario("mesh-4", "mesh of 1,000 peers × 4 /26 → kernel", "kernel", 1000, 4),
    Scenario("mesh-100", "mesh of 1,000 peers × 100 /26 → kernel", "kernel", 1000, 100),
    Scenario("reflector-500", "reflector, 500 clients × 4", "reflector", 500, 4, power=2),
    Scenario("reflector-1000", "reflector, 1,000 clients × 4", "reflector", 1000, 4, power=2),
    Scenario("table", "1,000,000 prefixes, 5 for each set of attributes, reflected to one", "reflector", 2, 1000000, 5, 1),
    Scenario("kernel", "200,000 such prefixes → kernel", "kernel", 1, 200000, 5),
    Scenario("churn", "churn through a reflector with 100 clients", "reflector", 100, 4, 1, changes=1000, figure="changed"),
    Scenario("storm", "1,000 clients dial a passive reflector at once", "reflector", 1000, 1, figure="established"),
    Scenario("idle", "500 idle sessions, keepalives every 10 s, CPU over 30 s", "reflector", 500, 1, hold=30, idle=30,
             figure="idle"),
]


class Site:
    """Two machines with a cable: the load's, with all the clients' addresses, and the subject's."""

    numbers = itertools.count(1)

    def __init__(self, clients):
        self.directory = Path("/run/bench")
        self.namespaces, self.processes = [], []
        self.clients = [".".join(str(octet) for octet in (FIRST + index).to_bytes(4, "big")) for index in range(clients)]
        number = next(self.numbers)
        self.host, self.load = Namespace(self, f"host{number}"), Namespace(self, f"load{number}")
        run(["ip", "link", "add", "eth0", "netns", self.host.name, "type", "veth", "peer", "name", "eth0", "netns",
             self.load.name])
        self.load.ip("link set eth0 up", f"addr add 10.200.255.254/{LENGTH} dev eth0",
                     *(f"route add local {address} dev lo" for address in self.clients))
        mac = self.load.run("ip", "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
        # Everybody knows his neighbours: ARP for a thousand of them is the kernel's time, not the daemon's.
        self.host.ip("link set eth0 up", f"addr add {ADDRESS}/{LENGTH} dev eth0",
                     *(f"neigh add {address} lladdr {mac} dev eth0 nud permanent" for address in self.clients))

    def popen(self, command, **arguments):
        arguments.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([str(word) for word in command], **arguments)
        self.processes.append(process)
        return process

    def end(self, process, timeout=5):
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def close(self):
        for process in list(self.processes):
            self.end(process)
        for namespace in self.namespaces:
            namespace.delete()
        shutil.rmtree(self.directory, ignore_errors=True)


class Load:
    """bgp_load, and what it says: {word: [numbers and words]}."""

    def __init__(self, site, scenario):
        words = [Calidris.build() / "tests/bench/load/bgp_load", "-t", ADDRESS, "-f", site.clients[0], "-n", scenario.clients,
                 "-r", scenario.routes, "-p", scenario.per or scenario.routes, "-s", scenario.senders or scenario.clients,
                 "-H", scenario.hold, *([] if scenario.figure == "established" else ["-w", 10]), *(["-k", site.host.path] if scenario.role == "kernel" else ["-e"])]
        self.process = site.popen(site.load.command(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said, self.rest = {}, b""

    def tell(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hear(self, word, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while word not in self.said:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Timeout(f"not {word} within {patience} s")
            octets = self.process.stdout.read1(65536)
            if not octets:
                raise Timeout(f"not {word}, but {self.said}")
            *lines, self.rest = (self.rest + octets).split(b"\n")
            for line in lines:
                key, *values = line.decode().split(" ")
                self.said[key] = values
        return self.said[word]

    def time(self, word):
        """In seconds."""
        return float(self.hear(word)[0]) / 1e3


def wait_idle(subject, patience=60):
    """Until it has used less than 2 % of a processor for a third of a second."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before = subject.cpu()
        time.sleep(0.33)  # what is measured is what happens meanwhile
        if subject.cpu() - before < 0.0066:
            return


def measure(kind, scenario):
    """One run: {"time": s, "cpu": s, "memory": MB, ...}; {"failed": why} if the subject does not get there."""
    site = Site(scenario.clients)
    try:
        subject = kind(site, scenario.role, site.clients, scenario.hold)
        subject.start()
        subject.wait_listening()
        wait_idle(subject)
        return go(subject, scenario, Load(site, scenario))
    except Timeout as error:
        return {"failed": str(error)}
    finally:
        site.close()


def go(subject, scenario, load):
    before = subject.cpu()
    result = {"established": load.time("established")}
    wait_idle(subject)
    result["established-cpu"] = subject.cpu() - before
    before = subject.cpu()
    load.tell("go")
    result["complete"] = load.time("complete")
    wait_idle(subject)
    result["cpu"] = subject.cpu() - before
    if scenario.changes:
        before = subject.cpu()
        load.tell(f"change {scenario.changes}")
        p50, p99, worst = (float(value) / 1e3 for value in load.hear("changed"))
        result |= {"changed": p50, "changed-p99": p99, "changed-max": worst, "cpu": subject.cpu() - before}
    if scenario.idle:
        before = subject.cpu()
        time.sleep(scenario.idle)  # what is measured is what happens meanwhile
        result["idle"] = result["cpu"] = subject.cpu() - before
    if scenario.figure == "established":
        result["cpu"] = result["established-cpu"]
    result["memory"] = subject.memory()
    load.tell("quit")
    load.hear("again", 20)
    result |= {"time": result[scenario.figure], "wrong": " ".join(load.said["wrong"]), "again": int(load.said["again"][0]),
               "lost": int(load.said["lost"][0])}
    return result
