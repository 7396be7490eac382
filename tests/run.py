"""Builds and runs every test, and closes with the line "N passed, N failed, N skipped".

usage: run.py [--build DIR] [--only PATTERN] [--seconds N] [GROUP...]      groups: unit san lint count fuzz install net

A group is a list of jobs, a job is one program or check that gives one or more results; every libcheck and pytest test
counts as one. --only narrows to the jobs and results whose name (as printed) the regular expression matches. Compilers
and flags: $(BUILD)/gcc is the plain build, $(BUILD)/clang has sanitizers and the fuzzers' instrumentation, and both have
warnings as errors.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/bench")]
import house  # noqa: E402 (needs the path)
import instructions  # noqa: E402
from result import Result, failed, passed, skipped  # noqa: E402

GCC = ["CC=gcc", "WERROR=1", "SAN=", "FUZZ="]
CLANG = ["CC=clang", "WERROR=1", "SAN=address,undefined", "FUZZ=1", "CFLAGS=-O1 -g"]
SANITIZERS = {
    # Its strstr() measures the whole text at each call, which makes a walk over a long one quadratic.
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0:intercept_strstr=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "CK_TIMEOUT_MULTIPLIER": "8",
}
UNIT_SECONDS, NET_SECONDS, BUILD_SECONDS = 480, 840, 900
# Unit tests that mostly wait, and those that compute longest.
UNIT_WAITS = re.compile("/bfd/|/session/|datastore/test_(file|directory)|daemon/test_(control|helper|speaker_review)")
UNIT_LONG = re.compile("bgp/test_update$|rib/test_(groups|observe|random)|datastore/test_yaml")
NICE = 5


class Job:
    """Something to run: its name, a function that returns results, and the builds it needs. waits: it mostly waits, so more
    than there are processors go side by side. seconds: how long it takes, if that is long: those begin first."""

    def __init__(self, name, run, builds=(), only_whole=True, waits=False, seconds=0):
        self.name, self.run, self.builds, self.only_whole = name, run, builds, only_whole
        self.waits, self.seconds = waits, seconds


class Context:
    def __init__(self, options):
        self.build = Path(options.build)
        self.only = re.compile(options.only) if options.only else None
        self.seconds = options.seconds
        self.temporary = Path(tempfile.mkdtemp(prefix="calidris-check-"))
        self.processes = set()
        self.lock = threading.Lock()
        self.stopping = False
        self.spent = threading.local()  # .seconds of processor time, by what this thread ran

    def directory(self, compiler):
        return self.build / compiler

    def run(self, command, timeout, env=None, isolated=False, cwd=TOP, nice=0):
        """Runs a command to its end; (exit status or None after a time-out, its output). nice: what computes much gives way
        to what measures time."""
        if isolated:
            command = [sys.executable, "-B", str(TOP / "tests/ns.py"), *command]
        with tempfile.TemporaryFile() as output:
            with self.lock:
                if self.stopping:
                    return None, "interrupted"
                process = subprocess.Popen([str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL,
                                           stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                                           start_new_session=True)
                self.processes.add(process)
            if nice:
                give_way(process, nice)
            status, seconds = wait(process, timeout)
            self.spent.seconds = getattr(self.spent, "seconds", 0) + seconds
            with self.lock:
                self.processes.discard(process)
            output.seek(0)
            text = output.read().decode(errors="replace")
        if status is None:
            text += f"\nno end after {timeout} s"
        return status, text

    def stop(self):
        with self.lock:
            self.stopping = True
            processes = list(self.processes)
        for process in processes:
            end(process)


def give_way(process, nice):
    """Where each session is a group for the scheduler, the group must give way, too."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, process.pid, nice)
        Path(f"/proc/{process.pid}/autogroup").write_text(str(nice))


def wait(process, timeout):
    """(exit status or None after a time-out, seconds of processor time that it and its children took)"""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:  # interrupted: somebody else has ended it
            return None, 0
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime
        time.sleep(0.05)
    end(process)
    return None, 0


def end(process):
    """A whole process group: make has compilers, and what runs in namespaces dies with its first process."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def tail(text, lines=60):
    rows = text.rstrip().splitlines()
    return "\n".join((["..."] if len(rows) > lines else []) + rows[-lines:])


# Builds

def make(context, compiler, targets, jobs=os.cpu_count() or 2):
    flags = GCC if compiler == "gcc" else CLANG
    return context.run(["make", "--no-print-directory", "-k", f"-j{jobs}", f"BUILD={context.directory(compiler)}",
                        *flags, *targets], BUILD_SECONDS, nice=0 if compiler == "gcc" else NICE)


def build(context, compiler, targets):
    status, output = make(context, compiler, targets)
    name = f"build/{compiler}"
    if status == 0:
        return [passed(name)]
    errors = [line for line in output.splitlines() if re.search(r"error:|warning:|\*\*\* |undefined reference", line)]
    return [failed(name, tail("\n".join(errors or output.splitlines())))]


# Unit tests: libcheck writes its results in TAP form, and a count that says whether the program got to its end.

TAP_LINE = re.compile(r"^(ok|not ok) \d+ - (.*)$")


def unit_program(context, compiler, group, source):
    name = f"{group}/{source.relative_to('tests/unit').with_suffix('')}"
    program = context.directory(compiler) / source.with_suffix("")
    if not program.exists():
        return [failed(name, "it was not built")]
    tap = context.temporary / (name.replace("/", "-") + ".tap")
    env = {"CK_TAP_LOG_FILE_NAME": str(tap), **(SANITIZERS if compiler == "clang" else {})}
    status, output = context.run([program.resolve()], UNIT_SECONDS, env, isolated=True)
    results, planned = [], None
    for line in tap.read_text(errors="replace").splitlines() if tap.exists() else ():
        match = TAP_LINE.match(line)
        if match:
            _file, case, text = (match.group(2).split(":", 2) + ["", ""])[:3]
            label = f"{name}:{case}:{text.split(':', 1)[0]}"
            results.append(passed(label) if match.group(1) == "ok" else failed(label, match.group(2)))
        elif line.startswith("1.."):
            planned = int(line[3:])
    if not results:
        return [failed(name, f"it ran no test (exit status {status})\n{tail(output)}")]
    bad = [result for result in results if result.outcome == "failed"]
    if planned != len(results) or (status != 0 and not bad):
        results.append(failed(name, f"it ended early or badly (exit status {status})\n{tail(output)}"))
    elif bad and compiler == "clang":
        bad[-1].text += "\n" + tail(output, 120)  # the sanitizer's report
    return results


def unit_jobs(context, group):
    compiler = {"unit": "gcc", "san": "clang"}[group]
    sources = sorted(TOP.glob("tests/unit/**/test_*.c"))
    for source in (path.relative_to(TOP) for path in sources):
        name = f"{group}/{source.relative_to('tests/unit').with_suffix('')}"
        yield Job(name, lambda source=source: unit_program(context, compiler, group, source),
                  [(compiler, "unit-tests")], only_whole=False, waits=bool(UNIT_WAITS.search(name)),
                  seconds=30 if UNIT_LONG.search(name) or "/bfd/" in name else 0)


# Fuzzers: each is run over its corpus, then for some seconds from there.

def fuzz_program(context, source):
    name = f"fuzz/{source.stem}"
    program = context.directory("clang") / source.with_suffix("")
    if not program.exists():
        return [failed(name, "it was not built")]
    corpus = source.parent / "corpus" / source.stem.removeprefix("fuzz_")
    found = context.temporary / source.stem
    found.mkdir()
    command = [program.resolve(), f"-max_total_time={context.seconds}", "-timeout=10", "-rss_limit_mb=2048",
               "-print_final_stats=1", f"-artifact_prefix={found}/crash-", found]
    if corpus.is_dir() and any(corpus.iterdir()):
        command.append(corpus)
    status, output = context.run(command, context.seconds + 120, SANITIZERS, nice=NICE)
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    if status == 0 and executed and int(executed.group(1)) > 0:
        return [passed(name)]
    artifacts = [f"{path.name}: {path.read_bytes()[:2000].hex()}" for path in found.glob("crash-*")]
    return [failed(name, tail(output) + "\n" + "\n".join(artifacts))]


def fuzz_jobs(context):
    for source in sorted(path.relative_to(TOP) for path in TOP.glob("tests/fuzz/fuzz_*.c")):
        yield Job(f"fuzz/{source.stem}", lambda source=source: fuzz_program(context, source), [("clang", "fuzzers")])


# System tests: each file in namespaces of its own; those that say KERNEL = "uml" on a kernel of their own, with all modules
# or, if they say MODULES = "...", with these alone.

def net_file(context, path):
    name = f"net/{path.stem}"
    report = context.temporary / f"{path.stem}.xml"
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
               f"--basetemp={context.temporary / ('files-' + path.stem)}", path]
    env = {"CALIDRIS_BUILD": str(context.directory("gcc").resolve())}
    if context.only and not context.only.search(name):
        names = collected(context, path)
        command += ["--deselect=" + test for test in names if not context.only.search(f"{name}:{test.split('::', 1)[1]}")]
    text = path.read_text(encoding="utf-8")
    modules = re.search('^MODULES = "(.*)"$', text, re.MULTILINE)
    if modules:
        env["CALIDRIS_UML_MODULES"] = modules.group(1)
    if re.search('^KERNEL = "uml"$', text, re.MULTILINE):
        status, output = context.run([sys.executable, "-B", "tests/uml.py", *command], NET_SECONDS, env)
    else:
        status, output = context.run(command, NET_SECONDS, env, isolated=True)
    if not report.exists():
        return [failed(name, f"pytest gave no report (exit status {status})\n{tail(output)}")]
    results = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        label = f"{name}:{case.get('name')}"
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if problem is not None:
            results.append(failed(label, tail(problem.text or problem.get("message", ""), 120)))
        elif skip is not None:
            results.append(skipped(label, skip.get("message", "")))
        else:
            results.append(passed(label))
    if not results or status not in (0, 1):
        results.append(failed(name, f"pytest's exit status {status}\n{tail(output)}"))
    return results


def collected(context, path):
    _status, output = context.run([sys.executable, "-B", "-m", "pytest", "-q", "--collect-only", path], 60,
                                  {"CALIDRIS_NS_PID": "0"})
    return [line for line in output.splitlines() if "::" in line]


def net_jobs(context):
    for path in sorted(path.relative_to(TOP) for path in TOP.glob("tests/net/test_*.py")):
        takes = re.search(r"^TAKES = (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        yield Job(f"net/{path.stem}", lambda path=path: net_file(context, path), [("gcc", "all"), ("gcc", "tools")],
                  only_whole=False, waits=True, seconds=int(takes.group(1)) if takes else 0)


# Instructions of the hot paths beside the committed figures.

def count_instructions(context, scene, figures):
    name = f"count/{scene}"
    if instructions.compiler() != figures["compiler"]:
        return [skipped(name, f"the figures are those of gcc {figures['compiler']}, here is {instructions.compiler()}")]
    status, output = context.run(instructions.command(context.directory("gcc"), scene), UNIT_SECONDS)
    found = instructions.count(output)
    if status != 0 or found is None:
        return [failed(name, f"exit status {status}\n{tail(output)}")]
    wrong = instructions.judge(scene, found, figures)
    return [failed(name, wrong) if wrong else passed(name)]


def count_jobs(context):
    figures = json.loads(instructions.FIGURES.read_text())
    for scene in instructions.SCENES:
        yield Job(f"count/{scene}", lambda scene=scene: count_instructions(context, scene, figures), [("gcc", "benches")])


def lint_jobs(context):
    for name, check, builds in house.checks(context):
        yield Job(name, check, builds)


def install_jobs(context):
    for name, check in house.install_checks(context):
        yield Job(name, check, [("gcc", "all")])


GROUPS = {
    "unit": lambda context: unit_jobs(context, "unit"),
    "lint": lint_jobs,
    "count": count_jobs,
    "san": lambda context: unit_jobs(context, "san"),
    "net": net_jobs,
    "install": install_jobs,
    "fuzz": fuzz_jobs,
}


# Running and reporting

def select(context, groups):
    """A job whose own name does not match may still give results that do: those are sorted out afterwards."""
    jobs = [job for group in groups for job in GROUPS[group](context)]
    if not context.only:
        return jobs
    return [job for job in jobs if context.only.search(job.name) or (not job.only_whole and may_match(context, job))]


def may_match(context, job):
    """Whether the pattern speaks of single tests of this job: what stands before a ':' in it is in the job's name."""
    return any(head in job.name for head in re.findall(r"([\w/.-]+):", context.only.pattern))


def show(job, results, seconds, spent):
    count = {outcome: sum(result.outcome == outcome for result in results) for outcome in ("passed", "failed", "skipped")}
    text = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number)
    print(f"{'FAIL' if count['failed'] else 'ok':4} {job} ({text}, {seconds:.1f} s, CPU {spent:.1f} s)", flush=True)
    for result in results:
        if result.outcome == "failed":
            print("\n".join("     " + line for line in f"{result.name}: {result.text}".splitlines()), flush=True)


def run_job(context, job):
    start, context.spent.seconds = time.monotonic(), 0
    try:
        results = job.run()
    except Exception as error:  # a check that falls over is a failure like any other
        results = [failed(job.name, f"{type(error).__name__}: {error}")]
    if context.only and not job.only_whole and not context.only.search(job.name):
        results = [result for result in results if context.only.search(result.name) or result.name == job.name]
    if results and not context.stopping:
        show(job.name, results, time.monotonic() - start, context.spent.seconds)
    return results


def run_build(context, compiler, jobs):
    targets = sorted({target for job in jobs for built, target in job.builds if built == compiler})
    if not targets or context.stopping:
        return []
    return run_job(context, Job(f"build/{compiler}", lambda: build(context, compiler, targets)))


def run_all(context, jobs, pools):
    """Each job as soon as what it needs is built; the longest first. pools: of threads, by Job.waits."""
    results, pending, built = [], [], set()
    left = sorted(jobs, key=lambda job: -job.seconds)
    try:
        for compiler in ("gcc", "clang"):
            results += run_build(context, compiler, jobs)
            built.add(compiler)
            ready = [job for job in left if built.issuperset(needed for needed, _target in job.builds)]
            left = [job for job in left if job not in ready]
            pending += [pools[job.waits].submit(run_job, context, job) for job in ready]
        for future in concurrent.futures.as_completed(pending):
            results += future.result()
    except KeyboardInterrupt:
        context.stop()
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)
        results.append(Result("run", "failed", "interrupted"))
    return results


def close(results):
    for result in results:
        if result.outcome == "skipped":
            print(f"skipped {result.name}: {result.text}")
    for result in results:
        if result.outcome == "failed":
            print(f"failed {result.name}")
    counts = [sum(result.outcome == outcome for result in results) for outcome in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts), flush=True)
    return 1 if counts[1] or not counts[0] else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=int, default=5, help="for each fuzzer")
    parser.add_argument("--jobs", type=int, default=max(2, min(4, os.cpu_count() or 2)), help="side by side, that compute")
    parser.add_argument("--waiting", type=int, default=0, help="and that mostly wait (3 for each of the others)")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=" ".join(GROUPS))
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {' '.join(unknown)}")
    os.chdir(TOP)
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # of the make that may have started us: ours has its own
        os.environ.pop(name, None)
    # Who is started in the background of a shell ignores SIGINT, and so would all programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    context = Context(options)
    try:
        with (concurrent.futures.ThreadPoolExecutor(options.jobs) as computing,
              concurrent.futures.ThreadPoolExecutor(options.waiting or 3 * options.jobs) as waiting):
            jobs = select(context, options.groups or list(GROUPS))
            results = run_all(context, jobs, {False: computing, True: waiting})
    finally:
        shutil.rmtree(context.temporary, ignore_errors=True)
    sys.exit(close(results))


if __name__ == "__main__":
    main()
