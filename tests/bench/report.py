"""Tables (text and Markdown) and plots (SVG) of what bench.py has measured.

usage: report.py RESULTS [--directory DIR]      writes DIR/report.md and DIR/growth-SCENARIO.svg, prints the tables as text"""

import argparse
import json
import statistics
from pathlib import Path

FLOOR = "floor"
WIDTH, HEIGHT, MARGIN = 560, 320, 56
COLOURS = ["#1f5fa8", "#b5482a", "#3b7d3b", "#8a5ca8", "#a8862b", "#555555", "#999999"]


def good(results):
    return [result for result in results if "failed" not in result]


def middle(results, key):
    found = [result[key] for result in good(results) if key in result]
    return statistics.median(found) if found else None


def spread(results):
    times = [result["time"] for result in good(results)]
    return f"{min(times):.3g} to {max(times):.3g}" if times else ""


def rows_of(scenario):
    """Per subject: name, median time, spread, CPU, memory, and the time as a multiple of Calidris' in the same runs."""
    ours = middle(scenario["results"].get("Calidris", []), "time")
    for name, results in scenario["results"].items():
        time = middle(results, "time")
        if time is None:
            yield [name, results[-1]["failed"].splitlines()[0] if results else "not run", "", "", "", ""]
            continue
        p99 = middle(results, "changed-p99")
        text = f"{time:.4f} s" + (f", p99 {p99:.4f} s" if p99 is not None else "")
        yield [name, text, spread(results), f"{middle(results, 'cpu'):.3f} s", f"{middle(results, 'memory'):.1f} MB",
               f"{time / ours:.1f}" if ours else ""]


HEAD = ["", "time", "spread", "CPU", "peak memory", "× ours"]


def markdown(scenario):
    lines = [f"**{scenario['what']}**", "", "| " + " | ".join(HEAD) + " |", "| --- | --- | --- | ---: | ---: | ---: |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows_of(scenario)]) + "\n"


def text(scenario):
    rows = [HEAD, *rows_of(scenario)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join([scenario["what"], *("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                                         for row in rows)]) + "\n"


# Growth: cost per unit over size; a flat line is what is wanted.

def points_of(runs, power):
    """{subject: [(factor, CPU seconds divided by the work, which goes with this power of the factor)]}"""
    points = {}
    for factor, results in sorted(runs.items(), key=lambda item: float(item[0])):
        for name, found in results.items():
            cpu = middle(found, "cpu")
            if cpu is not None and name != FLOOR:
                points.setdefault(name, []).append((float(factor), cpu / float(factor) ** power))
    return points


def plot(title, points):
    top = max(value for line in points.values() for _factor, value in line) * 1.05
    wide, high = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 110} {HEIGHT}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{MARGIN}" y="24" font-size="14">{title}: CPU, divided by the work there is to do</text>',
           f'<path d="M{MARGIN} {MARGIN}V{MARGIN + high}H{MARGIN + wide}" fill="none" stroke="black"/>']
    for step in range(5):
        y = MARGIN + high - high * step / 4
        out.append(f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{top * step / 4:.3g} s</text>')
    for factor in sorted({factor for line in points.values() for factor, _value in line}):
        out.append(f'<text x="{MARGIN + wide * factor}" y="{MARGIN + high + 18}" text-anchor="middle">{factor:g}</text>')
    for number, (name, line) in enumerate(points.items()):
        path = " ".join(f"{MARGIN + wide * factor:.1f},{MARGIN + high - high * value / top:.1f}" for factor, value in line)
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{MARGIN + wide + 10}" y="{MARGIN + 16 * number + 8}" fill="{colour}">{name}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    directory = options.directory or options.results.parent
    record = json.loads(options.results.read_text())
    versions = ", ".join(f"{name} {version}".strip() for name, version in record["versions"].items() if name != FLOOR)
    machine = record["machine"]
    head = f"{machine['processors']} processors ({machine['model']}), Linux {machine['kernel']}; {versions}."
    print(head)
    for scenario in record["scenarios"].values():
        print(text(scenario))
    (directory / "report.md").write_text(head + "\n\n" + "\n".join(map(markdown, record["scenarios"].values())))
    for name, runs in record["growth"].items():
        (directory / f"growth-{name}.svg").write_text(plot(name, points_of(runs, record["power"][name])))


if __name__ == "__main__":
    main()
