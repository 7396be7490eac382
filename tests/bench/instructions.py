"""How many instructions the hot paths take, compared with the figures that are committed: noise on the machine does not
change them, so a step backwards is seen on the day it is made.

usage: instructions.py [--build DIR] [--write]      --write: the figures of today become the committed ones"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FIGURES = TOP / "tests/bench/instructions.json"
TOLERANCE = 0.03
# Scenes of the benchmarks, small enough for valgrind: the program, a size, and the function inside of which is counted; None:
# everything, making the input included, which does not change.
SCENES = {
    "table": ("bench_rib", 2000, None),
    "reflector": ("bench_rib", 50, None),
    "services": ("bench_rib", 50, None),
    "paths": ("bench_rib", 500, None),
    "changes": ("bench_objects", 1000, "one_change"),
}


def compiler():
    return subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()


def command(build, scene, output="/dev/null"):
    program, size, inside = SCENES[scene]
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", *([f"--toggle-collect={inside}"] if inside else []),
            str(Path(build) / "tests/bench" / program), scene, str(size)]


def count(output):
    """Of what callgrind says at its end; None if it did not get there."""
    found = re.search(r"Collected : (\d+)", output)
    return int(found[1]) if found else None


def judge(scene, instructions, figures):
    """What is wrong; "" if nothing is."""
    wanted = figures["instructions"][scene]
    if instructions > wanted * (1 + TOLERANCE):
        return (f"{instructions:,} instructions, {instructions / wanted - 1:.1%} more than the {wanted:,} that are committed.\n"
                "If that is what the change is worth, write the new figures: tests/bench/instructions.py --write")
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = {}
    for scene in SCENES:
        done = subprocess.run(command(options.build, scene), capture_output=True, text=True, check=True)
        found[scene] = count(done.stderr)
        print(f"{scene:12} {found[scene]:>14,}")
    if options.write:
        FIGURES.write_text(json.dumps({"compiler": compiler(), "instructions": found}, indent=1) + "\n")
        return
    figures = json.loads(FIGURES.read_text())
    wrong = [text for scene in SCENES if (text := judge(scene, found[scene], figures))]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
