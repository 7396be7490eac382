"""Tables (text and Markdown) of what bench.py has measured, and docs/performance.md with them and with the plots of charts.py.

usage: report.py RESULTS             prints the tables
       report.py RESULTS --document  puts them and the plots into docs/performance.md, between its markers"""

import argparse
import dataclasses
import json
import re
import statistics
from pathlib import Path

import charts

TOP = Path(__file__).resolve().parents[2]
DOCUMENT, PLOTS = TOP / "docs/performance.md", TOP / "docs/performance"
OURS, FLOOR, CALICO = "Calidris", "floor", "BIRD 1.6"


@dataclasses.dataclass
class Table:
    title: str
    head: list
    rows: list


def text(table):
    rows = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    return "\n".join([table.title, *("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                                     for row in rows)]) + "\n"


def markdown(table):
    lines = ["| " + " | ".join(table.head) + " |", "| --- |" + " ---: |" * (len(table.head) - 1)]
    title = [f"**{table.title}**", ""] if table.title else []
    return "\n".join(title + lines + ["| " + " | ".join(row) + " |" for row in table.rows]) + "\n"


# Numbers, with three digits that say something.

def digits(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def seconds(value):
    if value is None:
        return ""
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= size:
            return f"{digits(value / size)} {unit}"
    return f"{value * 1e9:.0f} ns"


def megabytes(value):
    return "" if value is None else f"{value:.1f} MB"


def count(value):
    if value is None:
        return ""
    return f"{value / 1e6:.2f} M" if value >= 1e5 else f"{value:,.0f}"


def times(value, ours):
    return f"{value / ours:.1f}" if value is not None and ours else ""


# Beside others

def good(results):
    return [result for result in results if "failed" not in result]


def middle(results, key):
    found = [result[key] for result in good(results) if key in result]
    return statistics.median(found) if found else None


def spread(results):
    found = [result["time"] for result in good(results)]
    return f"{seconds(min(found))} to {seconds(max(found))}" if len(found) > 1 else "one run" if found else ""


def doubts(results):
    """What was wrong although it got there."""
    found = [f"{max(result[key] for result in good(results))} {words}" for key, words in
             (("lost", "sessions lost"), ("redialled", "dialled again")) if any(result[key] for result in good(results))]
    found += sorted({result["wrong"] for result in good(results) if result["wrong"] != "0"})
    failed = len(results) - len(good(results))
    return [*found, *([f"{failed} of {len(results)} runs failed: {first_failure(results)}"] if failed else [])]


def first_failure(results):
    return next(result["failed"] for result in results if "failed" in result).splitlines()[0]


BESIDE = ["", "time", "least to most", "CPU", "peak memory", "memory at rest", "time × ours", "CPU × ours"]


def beside_row(name, results, ours):
    if not good(results):
        return [name, first_failure(results) if results else "not run", *[""] * (len(BESIDE) - 2)]
    time, cpu, p99 = (middle(results, key) for key in ("time", "cpu", "changed-p99"))
    shown = seconds(time) + (f", p99 {seconds(p99)}" if p99 is not None else "")
    note = doubts(results)
    return [name + (f" ({'; '.join(note)})" if note else ""), shown, spread(results), seconds(cpu),
            megabytes(middle(results, "memory")), megabytes(middle(results, "settled")),
            times(time, middle(ours, "time")), times(cpu, middle(ours, "cpu"))]


def beside_table(scenario):
    results = scenario["results"]
    return Table(scenario["what"], BESIDE, [beside_row(name, found, results.get(OURS, [])) for name, found in results.items()])


def aims(scenario):
    """What we want to need at most: [(key, value, how it is written)]"""
    if not scenario["aim"]:
        return []
    second = ("changed-p99", seconds) if any("changed" in result for found in scenario["results"].values()
                                             for result in found) else ("memory", megabytes)
    return [(key, value, write) for (key, write), value in zip((("time", seconds), second), scenario["aim"])]


def summary_row(scenario):
    results = scenario["results"]
    ours, wanted = results.get(OURS, []), aims(scenario)
    measured = [(middle(ours, key), value, write) for key, value, write in wanted]
    met = all(value is not None and value <= aim for value, aim, _write in measured)
    others = {name: middle(found, "time") for name, found in results.items()
              if name not in (OURS, FLOOR) and middle(found, "time") is not None}
    best = min(others, key=others.get, default=None)
    time = middle(ours, "time")

    def other(name):
        if name in others:
            return f"{seconds(others[name])} ({times(others[name], time)} ×)"
        return first_failure(results[name]) if results.get(name) else "—"
    return [scenario["what"], ", ".join(write(value) if value is not None else "—" for value, _aim, write in measured),
            ", ".join(write(aim) for _value, aim, write in measured), "yes" if met else "**no**",
            f"{best}: {other(best)}" if best else "—", other(CALICO), seconds(middle(results.get(FLOOR, []), "time"))]


def summary_table(record):
    return Table("", ["", "ours", "aim", "met", "the quickest other one", "BIRD 1.6", "floor"],
                 [summary_row(scenario) for scenario in record["scenarios"].values()])


COSTS = (("time", "time", seconds), ("changed-p99", "p99", seconds), ("cpu", "CPU", seconds), ("memory", "peak memory", megabytes))
NOTABLE = 1.03  # less is noise


def losses(record):
    """Where another one is better than ours in the same runs."""
    for scenario in record["scenarios"].values():
        ours = scenario["results"].get(OURS, [])
        for key, words, write in COSTS:
            own = middle(ours, key)
            better = {name: middle(found, key) for name, found in scenario["results"].items() if name not in (OURS, FLOOR)}
            better = {name: value for name, value in better.items() if None not in (value, own) and value * NOTABLE < own}
            if better and not (key == "cpu" and "idle" in ours[0]):
                others = ", ".join(f"{name} {write(value)}" for name, value in sorted(better.items(), key=lambda one: one[1]))
                yield f"- {scenario['what']}: {words} {write(own)}; {others}"


# What only ours does

FIGURES = {"time": seconds, "CPU": seconds, "p50": seconds, "p99": seconds, "max": seconds, "memory": megabytes,
           "instructions": count}


def own_cell(row, figure):
    value = row.get(figure)
    write = FIGURES.get(figure, seconds if figure.rsplit(" ", maxsplit=1)[-1] in ("p50", "p99", "max") else count)
    shown = write(value)
    if figure == "time" and "least" in row:
        shown += f" ({seconds(row['least'])} to {seconds(row['most'])})"
    if figure == "CPU" and "units" in row:
        shown += f" ({seconds(value / row['units'])} each)"
    return shown


def own_table(measurement):
    columns = [column for column in measurement["columns"] if any(column[0] in row for row in measurement["rows"])]
    return Table(measurement["title"], ["", *(heading for _figure, heading in columns)],
                 [[row["what"], *(own_cell(row, figure) for figure, _heading in columns)] for row in measurement["rows"]])


# Growth: what a unit of work costs, over how much of it there is; the same everywhere is what is wanted.

def growth_lines(record):
    """{what: (unit, {factor: CPU seconds for a unit})}, of scenarios and of our own measurements."""
    lines = {}
    for scenario in record["scenarios"].values():
        points = {float(factor): middle(run["results"], "cpu") / run["units"] for factor, run in scenario["growth"].items()
                  if middle(run["results"], "cpu") is not None}
        whole = middle(scenario["results"].get(OURS, []), "cpu")
        if points and whole is not None:
            lines[scenario["what"]] = scenario["unit"], {**points, 1.0: whole / scenario["units"]}
    for measurement in record["own"].values():
        for factor, rows in {**measurement["growth"], 1.0: measurement["rows"]}.items() if measurement["growth"] else ():
            for row in rows:
                if "units" in row:
                    # Sizes are part of some names, and change.
                    what = re.sub(r"[\d,]+ (?=workloads|adopted)", "", row["what"])
                    lines.setdefault(what, (measurement["unit"], {}))[1][float(factor)] = row["CPU"] / row["units"]
    return {what: line for what, line in lines.items() if len(line[1]) > 1}


def change_lines(record, figure="instructions"):
    """{what: {factor: what one change costs}}"""
    lines, changes = {}, record["own"].get("changes")
    for factor, rows in {**changes["growth"], 1.0: changes["rows"]}.items() if changes else ():
        for row in rows:
            if figure in row and not row["what"].startswith("start"):
                lines.setdefault(row["what"], {})[float(factor)] = row[figure]
    return {what: line for what, line in lines.items() if len(line) > 1}


def growth_table(lines, write, head):
    factors = sorted({factor for line in lines.values() for factor in line})
    rows = [[what, *(write(line.get(factor)) for factor in factors),
             times(line[max(line)], line[min(line)])] for what, line in lines.items()]
    return Table("", [head, *(f"{factor / factors[0]:g} ×" for factor in factors), "last ÷ first"], rows)


# The document

def machine_text(record):
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}".strip() for name, version in record["versions"].items() if name != FLOOR)
    runs = f"Medians of {record['runs']} runs" if record["runs"] > 1 else "One run"
    return (f"{machine['processors']} processors ({machine['model']}), {machine['memory']:.0f} GB of memory, Linux "
            f"{machine['kernel']}. {versions}. {runs}.\n")


def growth_text(record):
    named = growth_lines(record)
    lines = {f"{what}, per {unit}": line for what, (unit, line) in named.items()}
    return markdown(growth_table(lines, seconds, "CPU for a unit")) + "\n![Growth](performance/growth.svg)\n"


def changes_text(record):
    return (markdown(growth_table(change_lines(record), count, "instructions for one change")) + "\n" +
            markdown(growth_table(change_lines(record, "CPU"), seconds, "CPU for one change")) +
            "\n![One change among many](performance/changes.svg)\n")


def own_text(*names):
    return lambda record: "\n".join(markdown(own_table(record["own"][name])) for name in names if name in record["own"])


SECTIONS = {
    "machine": machine_text,
    "summary": lambda record: markdown(summary_table(record)),
    "beside": lambda record: "\n".join(markdown(beside_table(scenario)) for scenario in record["scenarios"].values()),
    "losses": lambda record: "\n".join(losses(record)) or "Nowhere, in these runs.",
    "own": own_text("objects", "deaths", "adopted"),
    "change": own_text("changes"),
    "late": own_text("late"),
    "growth": growth_text,
    "changes": changes_text,
}


def filled(document, record):
    """The document with all that stands between "<!-- bench: NAME -->" and "<!-- end -->" made anew."""
    def fill(match):
        return f"{match[1]}\n{SECTIONS[match[2]](record).strip()}\n\n{match[3]}"
    return re.sub(r"(<!-- bench: (\w+) -->\n).*?(<!-- end -->)", fill, document, flags=re.DOTALL)


def plots(record):
    """{file name: SVG}"""
    growth = {what: line for what, (_unit, line) in growth_lines(record).items()}
    wanted = {"growth.svg": ("CPU for a unit of work, beside that at the smallest size", charts.relative(growth), False),
              "changes.svg": ("Instructions for one change", change_lines(record), True)}
    return {name: charts.plot(*arguments) for name, arguments in wanted.items() if arguments[1]}


def write_document(record, document=DOCUMENT, directory=PLOTS):
    record = json.loads(json.dumps(record))
    document.write_text(filled(document.read_text(encoding="utf-8"), record), encoding="utf-8")
    directory.mkdir(exist_ok=True)
    for name, picture in plots(record).items():
        (directory / name).write_text(picture, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--document", action="store_true")
    options = parser.parse_args()
    record = json.loads(options.results.read_text())
    print(machine_text(record))
    for table in [*map(beside_table, record["scenarios"].values()), *map(own_table, record["own"].values())]:
        print(text(table))
    if options.document:
        write_document(record)


if __name__ == "__main__":
    main()
