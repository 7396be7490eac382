"""Measures routing daemons side by side, in namespaces of its own: what is in scenarios.py, for all that are installed.

usage: bench.py [--runs N] [--only PATTERN] [--subjects PATTERN] [--growth] [--results FILE]
       (make bench BENCH='--runs 3 --only mesh --growth')

Runs alternate between the subjects; medians and spread are printed as they come, and all single results are written to a
file of JSON, from which report.py makes tables and plots."""

import argparse
import json
import os
import platform
import re
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net"), str(TOP / "tests/bench")]
import ns  # noqa: E402 (needs the path)
from scenarios import SCENARIOS, measure  # noqa: E402
from subjects import ALL  # noqa: E402

FACTORS = (0.125, 0.25, 0.5, 1)


def describe(results):
    """One line of a subject's runs."""
    good = [result for result in results if "failed" not in result]
    if not good:
        return results[-1]["failed"].splitlines()[0]

    def middle(key):
        return statistics.median(result[key] for result in good)
    times = [result["time"] for result in good]
    text = f"{middle('time'):8.4f} s ({min(times):.4f} to {max(times):.4f})  CPU {middle('cpu'):7.3f} s  {middle('memory'):7.1f} MB"
    if "changed-p99" in good[0]:
        text += f"  p99 {middle('changed-p99'):.4f} s"
    doubts = [f"{key} {good[-1][key]}" for key in ("wrong", "lost") if good[-1][key] not in (0, "0 ")]
    return "  ".join([text, *doubts])


def run(scenario, subjects, runs):
    """{subject's name: [results]}, the subjects in turn."""
    able = [kind for kind in subjects if scenario.role not in kind.lacks]
    found = {kind.name: [] for kind in able}
    for _ in range(runs):
        for kind in able:
            found[kind.name].append(measure(kind, scenario))
    for name, results in found.items():
        print(f"  {name:10} {describe(results)}", flush=True)
    return found


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {"processors": os.cpu_count(), "model": model[1] if model else platform.machine(), "kernel": platform.release()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--subjects", default="")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--results", type=Path, default=TOP / "build/bench.json")
    options = parser.parse_args()
    subjects = [kind for kind in ALL if kind.present() and re.search(options.subjects, kind.name)]
    record = {"machine": machine(), "versions": {kind.name: kind.version() for kind in subjects}, "scenarios": {}, "growth": {},
              "power": {}}
    ns.enter()
    for scenario in SCENARIOS:
        if not re.search(options.only, scenario.name):
            continue
        print(f"{scenario.name}: {scenario.what}", flush=True)
        record["scenarios"][scenario.name] = {"what": scenario.what, "results": run(scenario, subjects, options.runs)}
        if options.growth and scenario.figure in ("complete", "established"):
            for factor in FACTORS[:-1]:
                print(f"{scenario.name} × {factor}", flush=True)
                record["growth"].setdefault(scenario.name, {})[factor] = run(scenario.scaled(factor), subjects, options.runs)
            record["growth"][scenario.name][1] = record["scenarios"][scenario.name]["results"]
            record["power"][scenario.name] = scenario.power
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
