"""Holds docs/rfc.md to the tree: every place it names must exist, every test it names must run, and every row must name a
test or say in words that there is none."""

import re
from pathlib import Path

PAGE = Path("docs/rfc.md")
CODE = re.compile(r"`([^`]+)`")
PLACE = re.compile(r"((?:bgp|rib|fib|datastore|daemon|tests)/[\w./-]+\.(?:c|h|py))(?::(\w+))?")
# What stands where there is no test: said, not left out.
HONEST = re.compile(r"\bnot held\b|\bnot done\b|\bnothing to hold\b")
# The kinds of definitions a name may have beside that of a function.
C_OTHERS = (r"^START_TEST\({name}\)", r"^ATTR_DECODER\({name}\)", r"^NUMBER\({name}\)", r"^BYTES\({name}\)",
            r"^FLAG\({name}\)", r"^\w[\w \*]*\b{name}\[\w*\] = ")


def is_function(text, name):
    """Whether the C text has this function with its body, not merely its declaration or a call."""
    for match in re.finditer(rf"^[a-z][\w \*]*\b{name}\(", text, re.MULTILINE):
        end, depth = match.end(), 1
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if text[end:].lstrip().startswith("{"):
            return True
    return False


def fault(path, name):
    """What is wrong with a place, None if it is as named."""
    if not path.exists():
        return f"there is no {path}"
    if not name:
        return None
    text = path.read_text()
    if path.suffix == ".py":
        return None if re.search(rf"^def {name}\(", text, re.MULTILINE) else f"{path} does not define {name}"
    if not is_function(text, name) and not any(re.search(kind.format(name=name), text, re.MULTILINE) for kind in C_OTHERS):
        return f"{path} does not define {name}"
    if f"START_TEST({name})" in text and not re.search(rf"tcase_add_(loop_)?test\(\w+, {name}\b|^\s+{name},$|\[\] = {{[^}}]*\b{name}\b",
                                                       text, re.MULTILINE):
        return f"{path} does not run {name}"
    return None


def row_fault(line):
    """A table's row ends in the column of tests."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != 4:
        return f"a row of {len(cells)} columns"
    if "`tests/" not in cells[3] and not HONEST.search(cells[3]):
        return "names no test and does not say that there is none"
    return None


def line_faults(line):
    for code in CODE.findall(line):
        match = PLACE.fullmatch(code)
        if match:
            yield fault(Path(match.group(1)), match.group(2))
        elif re.match(r"[a-z]+/", code):
            yield f"{code} is no place"
    if line.startswith("|") and not line.startswith(("| section", "| ---")):
        yield row_fault(line)


def problems():
    lines = PAGE.read_text().splitlines()
    found = [f"{PAGE}:{number}: {text}" for number, line in enumerate(lines, 1) for text in line_faults(line) if text]
    if not any(line.startswith("| ") for line in lines):
        found.append(f"{PAGE}: has no rows at all")
    return found


if __name__ == "__main__":
    print("\n".join(problems()) or "all there")
