"""Checks of the house rather than of its behaviour: dependency order, headers, format, manual pages, scripts, packaging."""

import re
import shutil
from pathlib import Path

import rfc_index
from result import failed, passed, skipped

# docs/architecture.md's table: a directory may include its own headers and those of the directories named here.
MAY_INCLUDE = {
    "daemon/base": [],
    "bgp/codec": ["daemon/base"],
    "bgp/session": ["daemon/base", "bgp/codec"],
    "bgp/bfd": ["daemon/base"],
    "bgp/bmp": ["daemon/base", "bgp/codec"],
    "bgp/mrt": ["daemon/base", "bgp/codec"],
    "rib": ["daemon/base", "bgp/codec"],
    "fib": ["daemon/base"],
    "datastore": ["daemon/base"],
    "datastore/remote": ["daemon/base", "datastore"],
    "daemon": ["daemon/base", "bgp/codec", "bgp/session", "bgp/bfd", "bgp/bmp", "bgp/mrt", "rib", "fib", "datastore"],
}
# Where a library's or the system's headers may be included.
CONFINED = {
    r"ev\.h": r"daemon/base/loop\.c",
    r"netlink/.*|linux/(rt)?netlink\.h": r"fib/.*",
    r"yaml\.h": r"datastore/[^/]*",
    r"curl/.*": r"datastore/remote/http\.c",
    r"jansson\.h": r"datastore/remote/json\.c",
}
# Codecs are pure: bytes in, structs out.
CODECS = ("bgp/codec", "bgp/bmp", "bgp/mrt")
CODEC_NEVER = re.compile(r"<(sys/socket|unistd|time|sys/time|poll|syslog|stdio_ext)\.h>|daemon/base/(log|loop|mono)\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Data that changes and belongs to no struct: the log's level and destination, the process's hash key (drawn once, before
# there are tables), and the clock that tests freeze. Every call of these would need a context.
MUTABLE_DATA = re.compile(r"daemon/base/(log|hash|mono)\.o")


def sources(*patterns):
    return sorted({path for pattern in patterns for path in Path(".").glob(pattern) if path.is_file()})


def room_of(path):
    """The directory of MAY_INCLUDE a file belongs to."""
    return next((room for room in sorted(MAY_INCLUDE, key=len, reverse=True) if str(path).startswith(room + "/")), None)


def house_files(suffix):
    return sources(*(f"{room}/*.{suffix}" for room in MAY_INCLUDE), "daemon/*/*." + suffix)


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def verdict(name, problems):
    return [failed(name, "\n".join(problems))] if problems else [passed(name)]


def check_order(_context):
    problems = []
    for path in house_files("[ch]"):
        room = room_of(path)
        for number, mark, target in includes(path):
            where = f"{path}:{number}: {target}"
            if mark == '"':
                if "/" not in target:
                    problems.append(f"{where}: included without its path from the top")
                elif room_of(target) not in [room, *MAY_INCLUDE[room]]:
                    problems.append(f"{where}: {room} may not include from {room_of(target) or 'there'}")
            for header, place in CONFINED.items():
                if mark == "<" and re.fullmatch(header, target) and not re.fullmatch(place, str(path)):
                    problems.append(f"{where}: belongs in {place} only")
            if room in CODECS and CODEC_NEVER.search(f"<{target}>" if mark == "<" else target):
                problems.append(f"{where}: the codec uses no sockets, clock or log")
    return verdict("lint/order", problems)


def check_own_header_first(_context):
    problems = []
    for path in house_files("c"):
        own = path.with_suffix(".h")
        first = next(includes(path), None)
        if own.exists() and (first is None or first[2] != str(own)):
            problems.append(f"{path}: its own header is not the first it includes")
    return verdict("lint/own-header-first", problems)


def check_mutable_data(context):
    """Nothing but constants outlives a function: what objects hold in .data and .bss is looked at."""
    problems = []
    directory = context.directory("gcc")
    for path in house_files("c"):
        thing = directory / path.with_suffix(".o")
        if not thing.exists() or MUTABLE_DATA.search(str(thing)):
            continue
        _status, output = context.run(["objdump", "-t", thing], 30)
        for line in output.splitlines():
            match = re.match(r"^[0-9a-f]+ .{7} (\.data|\.bss|\*COM\*)\S*\s+([0-9a-f]+) (?:\.hidden )?(\S+)$", line)
            if match and not line.split()[1].startswith("d") and int(match.group(2), 16) and ".data.rel.ro" not in line:
                problems.append(f"{path}: {match.group(3)} is mutable and global")
    return verdict("lint/mutable-data", problems)


def check_headers(context, compiler):
    name = f"lint/headers-{compiler}"
    if not shutil.which(compiler):
        return [skipped(name, f"no {compiler}")]
    _status, flags = context.run(["make", "-s", "--no-print-directory", "print-flags", f"CC={compiler}", "WERROR=1",
                                  f"BUILD={context.directory('gcc')}"], 60)
    results = []
    for path in house_files("h"):
        # Twice: the guard is there.
        unit = context.temporary / f"{compiler}-{str(path).replace('/', '-')}.c"
        unit.write_text(f'#include "{path}"\n#include "{path}"\n')
        command = f"{compiler} {flags.strip()} -fsyntax-only {unit}"
        status, output = context.run(["sh", "-c", command], 60)
        results.append(passed(f"{name}:{path}") if status == 0 else failed(f"{name}:{path}", output))
    return results


def check_tool(context, name, command, files, quiet=False):
    """A tool that is silent, or at least succeeds, when all is well."""
    if not shutil.which(command[0]):
        return [skipped(name, f"no {command[0]} here")]
    if not files:
        return []
    status, output = context.run([*command, *files], 120)
    return [passed(name)] if status == 0 and not (quiet and output.strip()) else [failed(name, output)]


def check_format(context):
    files = house_files("[ch]") + sources("tests/**/*.[ch]")
    return check_tool(context, "lint/format", ["clang-format", "--dry-run", "--Werror"], files)


def check_manuals(context):
    return check_tool(context, "lint/manuals", ["mandoc", "-Tlint", "-Wwarning"], sources("docs/*.[1-8]"), quiet=True)


def check_scripts(context):
    scripts = [path for path in sources(".ci/*", "tests/**/*", "systemd/*")
               if path.suffix == ".sh" or (not path.suffix and path.read_bytes()[:9] == b"#!/bin/sh")]
    return check_tool(context, "lint/scripts", ["shellcheck"], scripts)


def check_python(context):
    return check_tool(context, "lint/python", ["pyflakes3"], sources("tests/**/*.py"))


def check_unit_file(context):
    """systemd's own opinion of the unit, with the program's path replaced by one that exists."""
    name = "lint/systemd"
    if not shutil.which("systemd-analyze"):
        return [skipped(name, "no systemd-analyze here")]
    unit = context.temporary / "calidrisd.service"
    unit.write_text(Path("systemd/calidrisd.service").read_text().replace("/usr/sbin/calidrisd", "/bin/true"))
    status, output = context.run(["systemd-analyze", "verify", "--man=no", unit], 60)
    own = [line for line in output.splitlines() if "calidris" in line]
    return [passed(name)] if not own and (status == 0 or "calidris" not in output) else [failed(name, "\n".join(own))]


def check_example(context):
    status, output = context.run([context.directory("gcc") / "calidrisd", "-t", "-c", "etc/calidris.yaml"], 30)
    return [passed("lint/example")] if status == 0 else [failed("lint/example", output)]


def checks(context):
    """(name, function, builds it needs)"""
    built = [("gcc", "all")]
    return [
        ("lint/order", lambda: check_order(context), ()),
        ("lint/own-header-first", lambda: check_own_header_first(context), ()),
        ("lint/mutable-data", lambda: check_mutable_data(context), built),
        ("lint/headers-gcc", lambda: check_headers(context, "gcc"), ()),
        ("lint/headers-clang", lambda: check_headers(context, "clang"), ()),
        ("lint/format", lambda: check_format(context), ()),
        ("lint/manuals", lambda: check_manuals(context), ()),
        ("lint/scripts", lambda: check_scripts(context), ()),
        ("lint/python", lambda: check_python(context), ()),
        ("lint/rfc", lambda: verdict("lint/rfc", rfc_index.problems()), ()),
        ("lint/systemd", lambda: check_unit_file(context), ()),
        ("lint/example", lambda: check_example(context), built),
    ]


# Packaging

def make_install(context, target, root):
    return context.run(["make", "--no-print-directory", target, f"BUILD={context.directory('gcc')}", "CC=gcc", "WERROR=1",
                        f"DESTDIR={root}", "PREFIX=/usr"], 120)


def files_below(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


INSTALLED = {"usr/sbin/calidrisd", "usr/bin/calidris", "usr/lib/calidris/datastore-remote.so",
             "usr/lib/systemd/system/calidrisd.service",
             "usr/lib/sysusers.d/calidris.conf", "etc/calidris/calidris.yaml", "usr/share/man/man8/calidrisd.8",
             "usr/share/doc/calidris/examples/nodes.yaml", "usr/share/doc/calidris/kubernetes/rbac.yaml",
             "usr/share/doc/calidris/reflectors/calidris.yaml", "usr/share/doc/calidris/reflectors/cluster/mesh.yaml"}


def check_install(context):
    """Installs twice, the second time over a changed configuration; uninstalls; only /etc may remain."""
    name, root = "install/destdir", context.temporary / "root"
    status, output = make_install(context, "install", root)
    if status != 0:
        return [failed(name, output)]
    problems = [f"{path} was not installed" for path in sorted(INSTALLED - files_below(root))]
    for path in files_below(root):
        if str(root).encode() in (root / path).read_bytes():
            problems.append(f"{path} holds a place of the build")
    config = root / "etc/calidris/calidris.yaml"
    if config.exists():
        config.write_text("# the administrator's own\n")
    status, output = make_install(context, "install", root)
    if status != 0 or config.read_text() != "# the administrator's own\n":
        problems.append(f"a second installation does not leave /etc alone\n{output}")
    make_install(context, "uninstall", root)
    left = files_below(root) - {"etc/calidris/calidris.yaml"}
    if left or not config.exists():
        problems.append(f"after uninstall: {sorted(files_below(root))}")
    return verdict(name, problems)


def check_reproducible(context):
    """The sources alone, in another place, give the same programs byte for byte."""
    name = "install/reproducible"
    copy = context.temporary / "elsewhere" / "calidris"
    status, listed = context.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], 60)
    if status != 0:
        return [skipped(name, "not a git checkout")]
    for path in filter(None, listed.split("\0")):
        if Path(path).is_file():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy / path)
    status, output = context.run(["make", "-j2", "BUILD=build/gcc", "CC=gcc", "WERROR=1", "all"], 900, cwd=copy)
    if status != 0:
        return [failed(name, output[-3000:])]
    problems = [f"{program} differs between two builds" for program in ("calidrisd", "calidris", "datastore-remote.so")
                if (copy / "build/gcc" / program).read_bytes() != (context.directory("gcc") / program).read_bytes()]
    return verdict(name, problems)


def install_checks(context):
    return [("install/destdir", lambda: check_install(context)),
            ("install/reproducible", lambda: check_reproducible(context))]
