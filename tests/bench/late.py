"""How late keepalives and BFD packets are while the largest of the scenarios run: as those see it who wait for them."""

import time

from scenarios import SCENARIOS, Run, Teller
from subjects import ADDRESS, LATE_AS, LATE_INTERVAL, LATE_WATCHED, Calidris

CLIENTS = 100
REST = 5  # s
LOADS = ("mesh-100", "kernel", "table", "reflector-1000")


class Watcher(Teller):
    """bgp_late."""

    def __init__(self, site, first):
        super().__init__(site, [Calidris.build() / "tests/bench/load/bgp_late", "-t", ADDRESS, "-f", first, "-n", CLIENTS,
                                "-b", LATE_WATCHED, "-i", LATE_INTERVAL, "-a", LATE_AS])
        self.hear("up")
        self.said.clear()
        self.tell("spread")
        self.hear("up")
        time.sleep(1.5)  # until all have had their first keepalives

    def mark(self):
        self.said.clear()
        self.tell("mark")

    def report(self):
        self.tell("report")
        row = {"lost": int(self.hear("lost")[0])}
        for kind in ("bfd", "keepalive"):
            count, *times = self.said[kind]
            row[f"{kind} of"] = int(count)
            row |= {f"{kind} {name}": float(value) / 1e3 for name, value in zip(("p50", "p99", "max"), times)}
        return row


def lateness(factor=1.0, loads=LOADS, rest=REST):
    rows = []
    for scenario in (scenario.scaled(factor) for scenario in SCENARIOS if scenario.name in loads):
        with Run(Calidris, scenario, late=CLIENTS) as run:
            run.establish()
            watcher = Watcher(run.site, run.subject.late[0])
            if not rows:
                watcher.mark()
                time.sleep(rest)  # what is measured is what happens meanwhile
                rows.append({"what": "at rest", **watcher.report()})
            watcher.mark()
            run.load.tell("go")
            took = run.load.seconds("complete")
            time.sleep(1)  # the keepalives of this second are those that were due meanwhile
            rows.append({"what": scenario.what, "time": took, **watcher.report()})
    return rows
