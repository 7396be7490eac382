"""What is measured beside others: each scenario is a row, and all of them are run by the same few lines.

A run starts the subject anew, brings all sessions up, waits until it rests, says "go", and waits until every route is where it
belongs; bgp_load has checked each attribute on the way. What does not end within the limit has failed, which is a result."""

import dataclasses
import itertools
import math
import select
import shutil
import subprocess
import time
from pathlib import Path

from subjects import ADDRESS, LENGTH, Calidris
import ns  # after subjects, which knows where it is
from netns import Namespace, Timeout, run

FIRST = (10 << 24) + (200 << 16) + (16 << 8) + 1


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
    unit: str = "route"  # what there is to do, that its cost should be proportional to
    limit: int = 60  # s: for all sessions to come up, and for all routes to be where they belong
    aim: tuple = ()  # s (with changes: p50 and p99), MB: what we want to need at most

    def scaled(self, factor):
        """With so much less of what there is to do."""
        if self.clients > 10:
            return dataclasses.replace(self, clients=max(2, int(self.clients * factor)), idle=math.ceil(self.idle * factor),
                                       changes=math.ceil(self.changes * factor))
        return dataclasses.replace(self, routes=max(1, int(self.routes * factor) // (self.per or 1)) * (self.per or 1))

    def units(self):
        """How many there are of what there is to do."""
        told = self.clients - 1 if self.role == "reflector" else 1
        return {"established": self.clients, "idle": self.clients, "changed": self.changes * told,
                "complete": (self.senders or self.clients) * self.routes * told}[self.figure]


SCENARIOS = [
    Scenario("mesh-4", "mesh of 1,000 peers × 4 /26 → kernel", "kernel", 1000, 4, aim=(0.05, 8)),
    Scenario("mesh-100", "mesh of 1,000 peers × 100 /26 → kernel", "kernel", 1000, 100, aim=(0.6, 20)),
    Scenario("reflector-500", "reflector, 500 clients × 4", "reflector", 500, 4, unit="route and client", aim=(0.06, 8)),
    Scenario("reflector-1000", "reflector, 1,000 clients × 4", "reflector", 1000, 4, unit="route and client", aim=(0.15, 12)),
    Scenario("table", "1,000,000 prefixes, 5 for each set of attributes, reflected to one", "reflector", 2, 1000000, 5, 1,
             aim=(0.5, 90)),
    Scenario("kernel", "200,000 such prefixes → kernel", "kernel", 1, 200000, 5, aim=(1.0, 25)),
    Scenario("churn", "churn through a reflector with 100 clients", "reflector", 100, 4, 1, changes=1000, figure="changed",
             unit="change and client", aim=(0.00085, 0.0013)),
    Scenario("storm", "1,000 clients dial a passive reflector at once", "reflector", 1000, 1, figure="established",
             unit="session", limit=120, aim=(0.1,)),
    Scenario("idle", "500 idle sessions, keepalives every 10 s, CPU over 30 s", "reflector", 500, 1, hold=30, idle=30,
             figure="idle", unit="session", aim=(0.018,)),
]


class Site:
    """Two machines with a cable: the load's, with all the clients' addresses, and the subject's."""

    numbers = itertools.count(1)

    def __init__(self, clients):
        number = next(self.numbers)
        self.directory = Path(f"/run/bench/{number}")
        self.namespaces, self.processes = [], []
        self.clients = [".".join(str(octet) for octet in (FIRST + index).to_bytes(4, "big")) for index in range(clients)]
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
        process = subprocess.Popen([str(word) for word in command], preexec_fn=ns.die_with_parent, **arguments)
        self.processes.append(process)
        return process

    def close(self):
        """Nothing of it is needed any more, so nobody is asked."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()
        for namespace in self.namespaces:
            namespace.delete()
        shutil.rmtree(self.directory, ignore_errors=True)


class Teller:
    """A program that is told lines, and says lines: {word: [numbers and words]}."""

    def __init__(self, site, words):
        self.process = site.popen(site.load.command(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said, self.rest = {}, b""

    def tell(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hear(self, word, patience=20):
        deadline = time.monotonic() + patience
        while word not in self.said:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Timeout(f"not within {patience} s")
            octets = self.process.stdout.read1(65536)
            if not octets:
                raise Timeout(f"no {word}, but {self.said}")
            *lines, self.rest = (self.rest + octets).split(b"\n")
            for line in lines:
                key, *values = line.decode().split(" ")
                self.said[key] = values
        return self.said[word]


class Load(Teller):
    """bgp_load."""

    def __init__(self, site, scenario):
        super().__init__(site, [
            Calidris.build() / "tests/bench/load/bgp_load", "-t", ADDRESS, "-f", site.clients[0], "-n", scenario.clients,
            "-r", scenario.routes, "-p", scenario.per or scenario.routes, "-s", scenario.senders or scenario.clients,
            "-H", scenario.hold, "-l", scenario.limit, *([] if scenario.figure == "established" else ["-w", 10]),
            *(["-k", site.host.path] if scenario.role == "kernel" else ["-e"])])
        self.scenario, self.limit = scenario, scenario.limit

    def wait_established(self):
        self.hear("sessions", self.limit + 20)
        if "established" not in self.said:
            raise Timeout(f"not within {self.limit} s: {int(self.said['sessions'][0]):,} of {self.scenario.clients:,} sessions")
        return self.seconds("established")

    def seconds(self, word):
        return float(self.hear(word, self.limit)[0]) / 1e3

    def faults(self):
        """What bgp_load has to complain of."""
        self.tell("quit")
        self.hear("again")
        return {"wrong": " ".join(self.said["wrong"]).strip(), "again": int(self.said["again"][0]),
                "lost": int(self.said["lost"][0]), "redialled": int(self.said["redialled"][0])}


def wait_idle(subject, patience=60):
    """Until it has used less than 2 % of a processor for a third of a second."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before = subject.cpu()
        time.sleep(0.33)  # what is measured is what happens meanwhile
        if subject.cpu() - before < 0.0066:
            return


class Run:
    """One subject in one scenario. `late`: so many more addresses for those who watch how punctual it is."""

    def __init__(self, kind, scenario, late=0):
        self.scenario, self.result = scenario, {}
        self.site = Site(scenario.clients + late)
        self.subject = kind(self.site, scenario.role, self.site.clients[:scenario.clients], scenario.hold,
                            late=self.site.clients[scenario.clients:])
        self.load = None

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.site.close()

    def establish(self):
        self.subject.start()
        self.subject.wait_listening()
        wait_idle(self.subject)
        before = self.subject.cpu()
        self.load = Load(self.site, self.scenario)
        self.result["established"] = self.load.wait_established()
        wait_idle(self.subject)
        self.result["established-cpu"] = self.subject.cpu() - before

    def go(self):
        before = self.subject.cpu()
        self.load.tell("go")
        self.result["complete"] = self.load.seconds("complete")
        wait_idle(self.subject)
        self.result["cpu"] = self.subject.cpu() - before

    def change(self):
        before = self.subject.cpu()
        self.load.tell(f"change {self.scenario.changes}")
        p50, p99, worst = (float(value) / 1e3 for value in self.load.hear("changed", self.scenario.limit))
        self.result |= {"changed": p50, "changed-p99": p99, "changed-max": worst, "cpu": self.subject.cpu() - before}

    def finish(self):
        peak, settled = self.subject.memory()
        self.result |= {"memory": peak, "settled": settled, **self.load.faults()}
        self.result["time"] = self.result[self.scenario.figure]
        if self.scenario.figure == "established":
            self.result["cpu"] = self.result["established-cpu"]
        return self.result


def measure(kind, scenario):
    """One run: {"time": s, "cpu": s, "memory": MB, ...}; {"failed": why} if the subject does not get there."""
    try:
        with Run(kind, scenario) as run:
            run.establish()
            run.go()
            if scenario.changes:
                run.change()
            return run.finish()
    except (AssertionError, OSError) as error:  # one that fails does not take the others with it
        return {"failed": str(error)}


def measure_idle(rows, runs):
    """Of each (kind, scenario), `runs` results: all are idle side by side, since there is little that they could take from each
    other, in the same half minutes."""
    idle, found, up = max(scenario.idle for _kind, scenario in rows), [[] for _row in rows], {}
    try:
        for index, (kind, scenario) in enumerate(rows):
            run = up[index] = Run(kind, scenario)
            try:
                run.establish()
                run.go()
            except (AssertionError, OSError) as error:
                up.pop(index).site.close()
                found[index].append({"failed": str(error)})
        for run in up.values():
            wait_idle(run.subject)
        for number in range(runs):
            before = {index: run.subject.cpu() for index, run in up.items()}
            time.sleep(idle)  # what is measured is what happens meanwhile
            for index, run in up.items():
                spent = run.subject.cpu() - before[index]
                run.result |= {"idle": spent, "cpu": spent}
                if number == runs - 1:
                    run.finish()
                found[index].append({**run.result, "time": spent})
        return [[{**run[-1], **one} for one in run] if "failed" not in run[-1] else run for run in found]
    finally:
        for run in up.values():
            run.site.close()
