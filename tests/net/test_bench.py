"""The benchmarks (tests/bench) still measure: a little of each, and what they say is true; not how quick anything is."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/bench"))
import report  # noqa: E402 (needs the path)
from bench import machine  # noqa: E402
from changes import changes  # noqa: E402
from deaths import adopted, death  # noqa: E402
from late import lateness  # noqa: E402
from objects_to_routes import STORES, from_objects  # noqa: E402
from own import OWN, merged  # noqa: E402
from scenarios import SCENARIOS, measure, measure_idle  # noqa: E402
from subjects import Bird, Calidris, Floor  # noqa: E402

TAKES = 40
SOME = {scenario.name: scenario.scaled(0.02) for scenario in SCENARIOS}


def check(result, scenario):
    assert "failed" not in result, result
    assert result["wrong"] == "0" and not result["lost"] and not result["again"], result
    assert 0 < result["time"] < scenario.limit and result["memory"] >= result["settled"] > 0
    return result


@pytest.mark.parametrize("kind", [Calidris, Bird, Floor], ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["mesh-100", "reflector-1000", "churn"])
def test_scenarios(kind, name):
    """Every route is where it belongs, and its attributes are right."""
    check(measure(kind, SOME[name]), SOME[name])


def test_what_does_not_come_is_said():
    """Who does not let all clients in within the limit is a result, too."""
    class Silent(Calidris):
        def __init__(self, site, role, clients, *arguments, **options):
            super().__init__(site, role, clients[:3], *arguments, **options)

    scenario = dataclasses.replace(SOME["storm"], limit=3)
    assert measure(Silent, scenario) == {"failed": f"not within 3 s: 3 of {scenario.clients} sessions"}


def test_idle():
    scenario = dataclasses.replace(SOME["idle"], hold=3, idle=2)
    ours, floor = measure_idle([(Calidris, scenario), (Floor, scenario)], 2)
    assert len(ours) == len(floor) == 2
    assert all(check(result, scenario)["idle"] < 1 for result in ours)


def test_own():
    """What is measured of ours alone gives the figures that its tables show."""
    rows = {
        "objects": from_objects(3, 5, STORES[:1]),
        "deaths": [death("RST", "gone", 200), death("BFD (3 × 50 ms)", "a gateway less (ECMP)", 200)],
        "adopted": adopted(200),
        "changes": changes(0.02, ["Node: a label of this one", "BlockAffinity moves between other nodes"]),
        "late": lateness(0.02, ["reflector-1000"], 1),
    }
    assert rows["adopted"][0]["written"] == rows["adopted"][0]["removed"] == 0
    assert all(row["lost"] == 0 and row["bfd of"] > 50 and row["keepalive of"] > 10 for row in rows["late"])
    assert all(row["instructions"] > 1000 for row in rows["changes"][1:])
    record = {"machine": machine(), "versions": {"Calidris": "1"}, "runs": 1, "scenarios": {}, "own": {
        measurement.name: {"title": measurement.title, "unit": measurement.unit, "columns": measurement.columns,
                           "rows": merged([rows[measurement.name]] * 2), "growth": {0.5: rows[measurement.name]}}
        for measurement in OWN}}
    results = [measure(Calidris, SOME["mesh-4"])]
    record["scenarios"]["mesh-4"] = {
        "what": "mesh", "results": {"Calidris": results, "BIRD 2": [{"failed": "not within 60 s"}]}, "units": 80, "unit": "route",
        "aim": (0.05, 8), "growth": {0.5: {"units": 40, "results": results}}}
    document = report.filled((TOP / "docs/performance.md").read_text(encoding="utf-8"), record)
    filled = dict(re.findall(r"<!-- bench: (\w+) -->\n(.*?)<!-- end -->", document, re.DOTALL))
    assert set(filled) == set(report.SECTIONS)
    assert all(text.strip() for text in filled.values()), filled
    assert "not within 60 s" in filled["beside"] and "adopted" in filled["own"] and "| instructions |" in filled["change"]
    assert all(picture.count("<polyline") > 1 for picture in report.plots(record).values())
