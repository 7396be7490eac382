"""What only this daemon does, so that nobody stands beside it: each measurement is a row, with the columns of its table. They
give rows of figures, and take how large they shall be."""

import dataclasses
import statistics
from collections.abc import Callable

from changes import changes
from deaths import ADOPTED, ROUTES, adopted, deaths
from late import lateness
from objects_to_routes import CROWD, SINGLES, STORES, from_objects


@dataclasses.dataclass
class Measurement:
    name: str
    title: str
    run: Callable  # (factor) -> rows, each {"what": ..., figure: value}
    columns: tuple  # (figure, heading)
    growth: Callable = None  # (factor) -> rows with "CPU" (or "instructions") and "units", for sizes below the whole
    unit: str = ""
    again: bool = True  # in each of several runs; what measures everything several times does not need to


OWN = [
    Measurement("objects", "From objects to routes",
                lambda factor: from_objects(int(SINGLES * factor), int(CROWD * factor)),
                (("time", "time"), ("p50", "p50"), ("p99", "p99"), ("max", "worst"), ("CPU", "CPU")),
                lambda factor: from_objects(0, int(CROWD * factor), STORES[:1]), "workload"),
    Measurement("deaths", f"A peer with {ROUTES:,} routes dies",
                lambda factor: deaths(int(ROUTES * factor)),
                (("time", "time beyond what was agreed"), ("CPU", "CPU")),
                lambda factor: deaths(int(ROUTES * factor), ("RST",)), "route"),
    Measurement("adopted", "A start beside routes that are there",
                lambda factor: adopted(int(ADOPTED * factor)),
                (("time", "time"), ("CPU", "CPU"), ("written", "routes written"), ("removed", "routes removed")),
                lambda factor: adopted(int(ADOPTED * factor)), "route"),
    Measurement("changes", "One object changes among 5,000 nodes, 20,000 blocks and 2,500 BGPPeers", changes,
                (("time", "time"), ("CPU", "CPU"), ("instructions", "instructions"), ("memory", "resident")), changes, again=False),
    Measurement("late", "Lateness of BFD packets and keepalives", lateness,
                (("bfd p50", "BFD p50"), ("bfd p99", "p99"), ("bfd max", "worst"), ("bfd of", "of"),
                 ("keepalive p50", "keepalives p50"), ("keepalive p99", "p99"), ("keepalive max", "worst"),
                 ("keepalive of", "of"), ("lost", "sessions lost"))),
]


def merged(runs):
    """The medians of several runs' rows, and of the one time that counts the spread."""
    rows = {}
    for run in runs:
        for row in run:
            rows.setdefault(row["what"], []).append(row)
    result = []
    for what, found in rows.items():
        row = {"what": what, **{figure: statistics.median(one[figure] for one in found if figure in one)
                                for figure in found[0] if figure != "what"}}
        times = [one["time"] for one in found if "time" in one]
        if len(times) > 1:
            row["least"], row["most"] = min(times), max(times)
        result.append(row)
    return result
