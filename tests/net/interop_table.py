"""The tables of docs/interop.md, from the daemons' own: printed when this is run, held against the document by a test."""

from foreign import FEATURES
from interop import kind_name
from peers import ALL

NAMES = {"bird": "BIRD", "frr": "FRR", "gobgp": "GoBGP", "openbgpd": "OpenBGPD", "exabgp": "ExaBGP"}


def row(*cells):
    return f"| {' | '.join(cells)} |"


def table():
    """Who can do what."""
    names = [NAMES[kind_name(kind)] for kind in ALL]
    lines = [row("", *names), row(*["---"] * (1 + len(names)))]
    lines += [row(text, *("yes" if kind.has(feature) else "-" for kind in ALL)) for feature, text in FEATURES.items()]
    return "\n".join(lines)


def reasons():
    """What is left out of the tests, and why."""
    lines = [row("daemon", "lacks", "why"), row("---", "---", "---")]
    for kind in ALL:
        name = NAMES[kind_name(kind)]
        lines += [row(name, FEATURES[feature], why) for feature, why in kind.lacks.items()]
        lines += [row(name, f"`{field}` in its listing", why) for field, why in kind.hides.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(), "## What is left out, and why", reasons(), sep="\n\n")
