"""A kernel of one's own: Debian's user-mode Linux on the host's files, for what the host's kernel lacks (IP-in-IP).

run(command) boots it in a few seconds, without privilege, and runs the command in there as root, in the same directory;
what it prints and its exit status come back, or it is shown as it comes (live). As a program:  uml.py COMMAND [ARGUMENT...]
With CALIDRIS_UML_MODULES in the environment the kernel has these modules and no others; IPv6 is switched off unless it is
among them.

The host's files are the kernel's root file system, so nothing has to be installed in it; /run and /dev are its own.
Everything that was started in there ends with it.
"""

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
MEMORY = os.environ.get("CALIDRIS_UML_MEMORY", "512M")
POWER_OFF = 0x4321FEDC

# The kernel loads modules as it needs them; they are not where modprobe looks by itself.
MODPROBE = """#!/bin/sh
exec /sbin/modprobe -d {scratch} "$@"
"""

INIT = """#!/bin/sh
export PATH={path}
{scratch}/mount -t proc proc /proc
{scratch}/mount -t sysfs sysfs /sys
{scratch}/mount -t tmpfs -o mode=755 run /run
{scratch}/mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run/netns
{scratch}/mount -t devpts devpts /dev/pts
{scratch}/mount -t tmpfs shm /dev/shm
{modules}
ip link set lo up
hostname calidris
export CALIDRIS_UML_MODPROBE={scratch}/modprobe
cd {directory}
. {scratch}/environment
{begin}
{command} </dev/null >{output} 2>&1
echo $? >{scratch}/status
{end}
sync
exec {python} -c 'import ctypes; ctypes.CDLL(None).reboot({power_off})'
"""


class Unavailable(Exception):
    """The kernel is not installed; the text says what to do."""


def available():
    return shutil.which(KERNEL) is not None


def write_environment(path):
    names = [name for name in os.environ if name.startswith(("CALIDRIS_", "LANG", "LC_", "PYTEST"))]
    path.write_text("".join(f"export {name}={shlex.quote(os.environ[name])}\n" for name in sorted(names)))


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


# Modules come as they are needed, IPv6 from the start; or there are only those that somebody names.
ALL_MODULES = """echo {scratch}/modprobe >/proc/sys/kernel/modprobe
{scratch}/modprobe ipv6"""
FEW_MODULES = """{scratch}/modprobe -a {names}
echo /bin/false >/proc/sys/kernel/modprobe"""


def kernel_options():
    """Other modules load that of IPv6, so that leaving it out is not enough."""
    names = os.environ.get("CALIDRIS_UML_MODULES")
    return ["ipv6.disable=1"] if names and "ipv6" not in names.split() else []


def load_modules(scratch):
    names = os.environ.get("CALIDRIS_UML_MODULES")
    return FEW_MODULES.format(scratch=scratch, names=names) if names else ALL_MODULES.format(scratch=scratch)


# What the console shows between these is the command's.
BEGIN, END = "[calidris begins]", "[calidris ends]"


class Follower:
    """Passes on what a console shows of the command."""

    def __init__(self, path, to):
        self.file, self.to, self.text, self.begun = path.open(encoding="utf-8", errors="replace", newline=""), to, "", False

    def copy(self):
        self.text += self.file.read()
        if not self.begun:
            _, marker, rest = self.text.partition(BEGIN + "\r\n")
            self.begun, self.text = bool(marker), rest if marker else self.text
        if not self.begun:
            return
        text, marker, _ = self.text.partition(END)
        # The beginning of the end may have come, or half a line's end.
        keep = 0 if marker else next((n for n in range(len(END), 0, -1) if text.endswith((END[:n]))), 0) or text.endswith("\r")
        self.to.write(text[:len(text) - keep].replace("\r\n", "\n"))
        self.to.flush()
        self.text = END if marker else text[len(text) - keep:]


def wait(process, timeout, follower):
    """Until the kernel has ended."""
    deadline = time.monotonic() + timeout if timeout else None
    while follower and process.poll() is None:
        follower.copy()
        if deadline and time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(process.args, timeout)
        time.sleep(0.05)
    process.wait(timeout)
    if follower:
        follower.copy()


def run(command, timeout=None, live=None):
    """(exit status, output); the status is None if the kernel did not come to the end of the command in time. live: a
    stream to which the output goes as it comes, instead; the command then has a terminal."""
    if not available():
        raise Unavailable(f"{KERNEL} is missing: install the package user-mode-linux (.ci/install-packages uml)")
    with tempfile.TemporaryDirectory(prefix="calidris-uml-") as name:
        scratch = Path(name)
        init = scratch / "init"
        init.write_text(INIT.format(
            path=os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            modules=load_modules(scratch),
            begin=f"echo '{BEGIN}' >/dev/console" if live else "", end=f"echo '{END}' >/dev/console" if live else "",
            output="/dev/console" if live else scratch / "output", directory=shlex.quote(os.getcwd()), scratch=scratch, command=shlex.join(map(str, command)),
            python=sys.executable, power_off=POWER_OFF))
        (scratch / "modprobe").write_text(MODPROBE.format(scratch=scratch))
        # In a user namespace root's files seem to be nobody's, and who runs one that is set-uid would be nobody.
        shutil.copyfile(shutil.which("mount"), scratch / "mount")
        for program in (init, scratch / "modprobe", scratch / "mount"):
            program.chmod(0o755)
        (scratch / "lib").mkdir()
        (scratch / "lib/modules").symlink_to(MODULES)
        write_environment(scratch / "environment")
        with open(scratch / "console", "wb") as console:
            # Its console is a file; its own directory for sockets is ours to remove.
            process = subprocess.Popen(
                [KERNEL, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}",
                 "con=null", "con0=null,fd:1", f"uml_dir={scratch}", "umid=kernel", "quiet",
                 *kernel_options()],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=die_with_parent)
            try:
                wait(process, timeout, Follower(scratch / "console", live) if live else None)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
        text = (scratch / "output").read_text(errors="replace") if (scratch / "output").exists() else ""
        if not (scratch / "status").exists():
            return None, text + "\nThe kernel ended before the command did:\n" + \
                (scratch / "console").read_text(errors="replace")[-3000:]
        return int((scratch / "status").read_text()), text


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        code, printed = run(sys.argv[1:])
    except Unavailable as unavailable:
        sys.exit(str(unavailable))
    sys.stdout.write(printed)
    sys.exit(1 if code is None else code)
