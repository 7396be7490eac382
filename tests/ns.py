"""Namespaces of one's own: what runs in here cannot touch the host, and nothing of it outlives its end.

enter() moves the calling program into fresh mount, network and process namespaces, as root directly, as an ordinary
user through a user namespace. As a command it runs another one there:  ns.py COMMAND [ARGUMENT...]

Three processes: the one that was called waits outside and passes signals on; its child is the first process of the
process namespace, so that the kernel kills everything in there when it ends; the caller goes on as the grandchild.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The exit status with which the inner program asks for the namespaces to be kept.
KEEP = 113

libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """The kernel or its configuration does not let us have namespaces; the text says what to do."""


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def mount(source, target, kind, flags=0, data=None):
    call("mount", source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
         data.encode() if data else None)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def unshare():
    """Leaves the host's namespaces, as root directly if that is allowed."""
    flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            return call("unshare", flags)
        except PermissionError:
            pass  # root of a container: perhaps a user namespace is allowed
    try:
        call("unshare", flags | CLONE_NEWUSER)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"0 {uid} 1")
        write("/proc/self/gid_map", f"0 {gid} 1")
    except OSError as error:
        raise Unavailable(
            f"No namespaces for user {uid}: {error}.\n"
            "Run this as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces above 0, and no AppArmor restriction on them.") from error


def prepare():
    """The file systems that must be of these namespaces: /proc, and an empty /run for network namespaces and sockets."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    try:
        mount("proc", "/proc", "proc")
    except OSError:
        pass  # a container that masks parts of /proc: the outer one serves, only process numbers differ
    if os.getcwd().startswith("/run/"):
        raise Unavailable("The source tree lies under /run, which these namespaces replace: move it elsewhere.")
    mount("tmpfs", "/run", "tmpfs", data="mode=755")
    os.mkdir("/run/netns")
    os.system("ip link set lo up")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def status_code(status):
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def pass_signals(pid):
    """SIGINT of a terminal reaches everyone by itself; one sent to us alone would not."""
    def pass_on(number, _frame):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    for number in SIGNALS:
        signal.signal(number, pass_on)


def first_process(worker, keep_pipe):
    """Reaps orphans until the worker ends; then goes, and the kernel ends the rest. Unless asked to keep it all."""
    pass_signals(worker)
    while True:
        pid, status = os.wait()
        if pid == worker:
            break
    code = status_code(status)
    if code != KEEP:
        os._exit(code)
    for number in SIGNALS:
        signal.signal(number, lambda _received, _frame: os._exit(0))
    libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.write(keep_pipe, b"k")
    os.close(keep_pipe)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


def wait_outside(child, keep_pipe):
    pass_signals(child)
    if os.read(keep_pipe, 1):
        os._exit(0)  # kept
    _, status = os.waitpid(child, 0)
    os._exit(status_code(status))


# The kernel counts the neighbours of all namespaces together: a mesh of 30 nodes has 870 a family, and the limit is 1,024.
NEIGHBOURS = 16384


def make_room_for_neighbours():
    """Only the host's root can; clusters that need more than there is must ask neighbours() first."""
    for family in ("ipv4", "ipv6"):
        for number, limit in ((3, NEIGHBOURS), (2, NEIGHBOURS // 2)):
            path = f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}"
            try:
                with open(path, encoding="ascii") as file:
                    now = int(file.read())
                if now < limit:
                    write(path, str(limit))
            except OSError:
                pass
    os.environ["CALIDRIS_NEIGHBOURS"] = str(read_limit())


def read_limit():
    try:
        with open("/proc/sys/net/ipv4/neigh/default/gc_thresh3", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 0


def neighbours():
    """How many neighbours all namespaces may have together."""
    return int(os.environ.get("CALIDRIS_NEIGHBOURS", "0"))


def enter():
    """Returns inside the namespaces; environment CALIDRIS_NS_PID holds the first process's number outside."""
    if "CALIDRIS_NS_PID" in os.environ:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    make_room_for_neighbours()
    unshare()
    read_end, write_end = os.pipe()
    number_read, number_write = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        os.write(number_write, str(child).encode())
        os.close(number_write)
        wait_outside(child, read_end)
    os.close(read_end)
    die_with_parent()
    os.close(number_write)
    os.environ["CALIDRIS_NS_PID"] = os.read(number_read, 32).decode()
    os.close(number_read)
    prepare()
    worker = os.fork()
    if worker:
        first_process(worker, write_end)
    os.close(write_end)
    die_with_parent()


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: ns.py COMMAND [ARGUMENT...]")
    try:
        enter()
        os.execvp(sys.argv[1], sys.argv[1:])
    except (OSError, Unavailable) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
