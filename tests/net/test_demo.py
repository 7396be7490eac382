"""make demo IPIP=1: what it shows, as an ordinary user; and that nothing is left of it when it is interrupted."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import programs
from netns import SLOWNESS, is_only_user, wait_for

TAKES = 40  # s: it begins early

TOP = Path(__file__).resolve().parents[2]
NOBODY = 65534


def as_ordinary_user():
    """Words before a command. Whoever is root of a user namespace alone is an ordinary user already."""
    if os.geteuid() == 0 and not is_only_user():
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    return []


def within_reach(directory):
    """The checkout and the programs; copies in this directory if not everybody gets there, as below /root."""
    def is_open(path):
        return all(place.stat().st_mode & 0o005 == 0o005 for place in (path, *path.parents))

    top, build = directory / "checkout", directory / "build"
    if not as_ordinary_user() or (is_open(TOP) and is_open(programs())):
        return TOP, programs()
    shutil.copytree(TOP, top, ignore=shutil.ignore_patterns(".git", "build"))
    build.mkdir()
    for program in ("calidrisd", "calidris", "datastore-remote.so"):
        shutil.copy2(programs() / program, build)
    for path in (directory, top, build):
        path.chmod(0o755)
    return top, build


@pytest.fixture
def demo():
    """A function that starts the demo, its output in a file."""
    with tempfile.TemporaryDirectory(prefix="calidris-demo-") as name, tempfile.TemporaryDirectory() as copies:
        directory = Path(name)
        directory.chmod(0o777)
        output, processes = directory / "output", []
        top, build = within_reach(Path(copies))

        def start():
            environment = {key: value for key, value in os.environ.items() if not key.startswith(("CALIDRIS_", "PYTEST"))}
            with output.open("wb") as file:
                process = subprocess.Popen(
                    [*as_ordinary_user(), sys.executable, "-B", top / "tests/demo/demo.py", "--build", build, "--ipip"],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=top,
                    env={**environment, "TMPDIR": name})
            processes.append(process)
            return process, lambda: output.read_text(errors="replace")

        yield directory, start
        for process in processes:
            process.kill()
            process.wait()


def kernels(directory):
    """The processes of kernels whose files are in the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory) in path.read_text() and "linux" in path.read_text():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


LAST = r"(?m)^eth0 +172\.18\.0\.\d+ > 172\.18\.0\.\d+: protocol 4 \(IP-in-IP\), inside: 10\.244\.\d+\.1 > 10\.244\.\d+\.1: ICMP$"


def test_shows_the_tunnel_until_interrupted(demo):
    directory, start = demo
    process, output = start()
    wait_for(lambda: re.search(LAST, output()) or process.poll() is not None, output, 60)
    section = output().partition("== node-1: tunl0")[2]
    assert re.search(r"(?m)^tunl0\S* +UNKNOWN +10\.244\.\d+\.63/32", section), output()
    assert re.search(r"(?m)^10\.244\.\d+\.0/26 via 172\.18\.0\.\d+ dev tunl0 proto bgp metric 1024 onlink", section), section
    assert re.search(r"(?m)^tunl0 +10\.244\.\d+\.1 > 10\.244\.\d+\.1: ICMP$", section), section
    assert re.search(LAST, section), section
    assert "LOST" not in output()
    assert process.poll() is None and kernels(directory)
    process.send_signal(signal.SIGINT)
    assert process.wait(10 * SLOWNESS) == 130, output()
    assert "Traceback" not in output()
    wait_for(lambda: not kernels(directory), "the kernel is gone")
    assert [path.name for path in directory.iterdir()] == ["output"]


def test_ended_while_it_boots(demo):
    directory, start = demo
    process, output = start()
    wait_for(lambda: kernels(directory), "the kernel boots")
    process.terminate()
    assert process.wait(10 * SLOWNESS) == 143, output()
    wait_for(lambda: not kernels(directory), "the kernel is gone")
    assert [path.name for path in directory.iterdir()] == ["output"]
