"""Holds docs/rfc.md to the tree: every file, function and test it names must exist."""

import re
from pathlib import Path

PAGE = Path("docs/rfc.md")
PLACE = re.compile(r"`((?:bgp|rib|fib|datastore|daemon|tests)/[\w./]+)(?::(\w+))?`")
DEFINES = {
    ".c": r"(?m)^[a-z][\w \*]*\b{name}\(|^START_TEST\({name}\)|^\w.*\b{name}\[",
    ".h": r"(?m)\b{name}\(",
    ".py": r"(?m)^def {name}\(",
}


def problems():
    found, seen = [], 0
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        for path, name in PLACE.findall(line):
            seen += 1
            file = Path(path)
            if not file.exists():
                found.append(f"{PAGE}:{number}: there is no {path}")
            elif name and not re.search(DEFINES[file.suffix].format(name=name), file.read_text()):
                found.append(f"{PAGE}:{number}: {path} does not define {name}")
    return found if seen else [f"{PAGE}: names no place at all"]


if __name__ == "__main__":
    print("\n".join(problems()) or "all there")
