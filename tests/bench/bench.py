"""Measures routing daemons side by side, and what only ours does, in namespaces of its own: the rows of scenarios.py and own.py.

usage: bench.py [--runs N] [--quick] [--only PATTERN] [--subjects PATTERN] [--limit SECONDS] [--results FILE] [--document]
       (make bench BENCH='--runs 3 --document')

Runs alternate between the subjects. Who has not got there within the limit is not asked again, nor who is very slow. All
single results are in a file of JSON after each scenario; report.py makes tables and plots of it, with --document those of
docs/performance.md."""

import argparse
import dataclasses
import json
import os
import platform
import re
import sys
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net"), str(TOP / "tests/bench")]
import ns  # noqa: E402 (needs the path)
import report  # noqa: E402
from own import OWN, merged  # noqa: E402
from scenarios import SCENARIOS, measure, measure_idle  # noqa: E402
from subjects import ALL, Calidris  # noqa: E402

FACTORS = (0.125, 0.25, 0.5)  # and 1, which is measured anyway
QUICK = 0.125
SLOW = 30  # s that a run may take, if there are to be more of it


def beside(scenario, subjects, options):
    """{subject's name: [results]}, the subjects in turn."""
    found, enough = {kind.name: [] for kind in subjects}, set()
    for _ in range(options.runs):
        for kind in subjects:
            if kind.name in enough:
                continue
            began = time.monotonic()
            found[kind.name].append(measure(kind, scenario))
            if "failed" in found[kind.name][-1] or time.monotonic() > began + SLOW:
                enough.add(kind.name)
    return found


def grown(scenario, options):
    """Calidris alone with less to do: {factor: results}"""
    return {factor: [measure(Calidris, scenario.scaled(factor))] for factor in options.factors}


def idle(scenario, subjects, options):
    """All of them at the same time, ours also with fewer sessions."""
    rows = [(kind, scenario) for kind in subjects]
    rows += [(Calidris, scenario.scaled(factor)) for factor in options.factors if Calidris in subjects]
    results = measure_idle(rows, options.runs)
    return ({kind.name: found for kind, found in zip(subjects, results)},
            dict(zip(options.factors, results[len(subjects):])))


def run_scenario(scenario, subjects, options):
    able = [kind for kind in subjects if scenario.role not in kind.lacks]
    if scenario.idle:
        results, growth = idle(scenario, able, options)
    else:
        results = beside(scenario, able, options)
        growth = grown(scenario, options) if Calidris in able else {}
    results |= {kind.name: [{"failed": kind.lacks[scenario.role]}] for kind in subjects if kind not in able}
    return {"what": scenario.what, "results": results, "units": scenario.units(), "unit": scenario.unit, "aim": scenario.aim,
            "growth": {factor: {"units": scenario.scaled(factor).units(), "results": found} for factor, found in growth.items()}}


def chosen(options):
    for scenario in SCENARIOS:
        if re.search(options.only, scenario.name):
            limit = min(scenario.limit, options.limit or scenario.limit)
            yield dataclasses.replace(scenario.scaled(options.factor), limit=limit)


def run_own(measurement, options):
    record = {"title": measurement.title, "unit": measurement.unit, "columns": measurement.columns, "growth": {}}
    try:
        runs = options.runs if measurement.again else 1
        record["rows"] = merged([measurement.run(options.factor) for _ in range(runs)])
        for factor in options.factors if measurement.growth else ():
            record["growth"][factor] = measurement.growth(factor)
    except Exception as error:  # one that fails does not take the others with it
        traceback.print_exc()
        record.setdefault("rows", []).append({"what": f"failed: {error}".splitlines()[0]})
    return record


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    return {"processors": os.cpu_count(), "model": model[1] if model else platform.machine(), "memory": memory / 1048576,
            "kernel": platform.release()}


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="an eighth of everything, once")
    parser.add_argument("--only", default="")
    parser.add_argument("--subjects", default="")
    parser.add_argument("--limit", type=int, help="seconds, for what takes longer unless told otherwise")
    parser.add_argument("--results", type=Path, default=TOP / "build/bench.json")
    parser.add_argument("--document", action="store_true", help="put tables and plots into docs/performance.md")
    options = parser.parse_args()
    options.factor, options.factors = (QUICK, ()) if options.quick else (1.0, FACTORS)
    if options.quick:
        options.runs = 1
        options.limit = min(options.limit or 20, 20)
    if options.document and (options.quick or options.only or options.subjects):
        parser.error("--document wants the whole of it")
    return options


def main():
    options = read_options()
    subjects = [kind for kind in ALL if kind.present() and re.search(options.subjects, kind.name)]
    record = {"machine": machine(), "versions": {kind.name: kind.version() for kind in subjects}, "runs": options.runs,
              "factor": options.factor, "scenarios": {}, "own": {}}
    ns.enter()
    began = time.monotonic()

    def save():
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(record, indent=1))
        print(f"({time.monotonic() - began:.0f} s so far)\n", flush=True)

    if options.quick:
        print("Everything is an eighth of what its name says.\n")
    for scenario in chosen(options):
        record["scenarios"][scenario.name] = run_scenario(scenario, subjects, options)
        print(report.text(report.beside_table(record["scenarios"][scenario.name])), flush=True)
        save()
    for measurement in OWN if Calidris in subjects else ():
        if re.search(options.only, measurement.name):
            record["own"][measurement.name] = run_own(measurement, options)
            print(report.text(report.own_table(record["own"][measurement.name])), flush=True)
            save()
    if options.document:
        report.write_document(record)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; what is done is in the file of results")
