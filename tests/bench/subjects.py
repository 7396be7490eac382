"""The routing daemons that are measured: each with the same sessions, all neighbours configured one by one, all passive.

A subject is started in a network namespace and is then a set of processes with a configuration of the shortest form that its
documentation gives for the task. What it cannot do it says in `lacks`: {role: why}."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net")]
from netns import Timeout, wait_for  # noqa: E402 (needs the path)
from objects import bgp_configuration, bgp_peer, ip_pool, node_object, thing, to_yaml  # noqa: E402
from peer_frr import prepare_frr  # noqa: E402

ADDRESS, LENGTH, AS = "10.200.0.1", 16, 64512
LISTEN = "0A"
# Those who see how punctual a daemon is, and how often it is asked to send BFD packets.
LATE_AS, LATE_WATCHED, LATE_INTERVAL = 65000, 10, 10
LATE_BFD = {"enabled": True, "transmitInterval": LATE_INTERVAL, "receiveInterval": 100}


class Subject:
    """`role` is "kernel" (routes go into the kernel) or "reflector" (they go to all other clients, none into the kernel). `late`
    are addresses of clients that are told no routes, and only see how punctual it is: ours alone has them."""

    name = program = ""
    lacks = {}
    needs_root = False

    def __init__(self, site, role, clients, hold=90, late=()):
        self.site, self.role, self.clients, self.hold, self.late = site, role, clients, hold, late
        self.directory = site.directory / self.name.replace(" ", "-")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.processes = []

    @classmethod
    def present(cls):
        return shutil.which(cls.program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/frr") is not None

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program, "--version"], capture_output=True, text=True, check=False)
        return (re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr) or ["?"])[0]

    def spawn(self, *words):
        with (self.directory / "log").open("ab") as log:
            self.processes.append(self.site.host.popen(words, stdout=log, stderr=subprocess.STDOUT))

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def listens(self):
        pid = self.pids()[0]
        rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        return any(row.split()[1].endswith(":00B3") and row.split()[3] == LISTEN for row in rows)

    def wait_listening(self):
        def up():
            ended = [process for process in self.processes if process.poll() is not None]
            if ended:
                raise Timeout(f"{self.name} ended: {(self.directory / 'log').read_text()[-500:]}")
            return self.listens()
        wait_for(up, f"{self.name} listens", 60)

    # What it costs

    def pids(self):
        """Its processes and their children."""
        parents, found = {}, [process.pid for process in self.processes]
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(words[1]), []).append(int(path.parent.name))
        for pid in found:
            found += parents.get(pid, [])
        return found

    def cpu(self):
        """Seconds that its threads have run."""
        total = 0
        for pid in self.pids():
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(path.read_text().split()[0])
        return total / 1e9

    def memory(self):
        """Its processes' resident memory, together, in MB: the peaks, and now."""
        text = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return [sum(map(int, re.findall(rf"{word}:\s+(\d+)", text))) / 1024 for word in ("VmHWM", "VmRSS")]


class Calidris(Subject):
    name = "Calidris"

    @classmethod
    def build(cls):
        return Path(os.environ.get("CALIDRIS_BUILD", TOP / "build"))

    @classmethod
    def present(cls):
        return (cls.build() / "calidrisd").exists()

    @classmethod
    def version(cls):
        return subprocess.run([cls.build() / "calidrisd", "--version"], capture_output=True, text=True,
                              check=False).stdout.split()[-1]

    def start(self):
        reflector = self.role == "reflector"
        objects = self.directory / "objects"
        objects.mkdir()
        # What lies in no pool is not announced.
        things = [bgp_configuration(mesh=False, as_number=AS), ip_pool("16.0.0.0/6"),
                  node_object("bench", [f"{ADDRESS}/{LENGTH}"], cluster_id="10.0.0.1" if reflector else None)]
        things += [bgp_peer(f"client-{index}", node="bench", peerIP=address, asNumber=AS, passive=True, holdTime=f"{self.hold}s",
                            routeReflectorClient=reflector or None) for index, address in enumerate(self.clients)]
        if self.late:
            things.append(thing("BGPFilter", "nothing", {"exportV4": [{"action": "Reject"}]}))
        things += [bgp_peer(f"late-{index}", node="bench", peerIP=address, asNumber=LATE_AS, passive=True, holdTime="3s",
                            filters=["nothing"], bfd=LATE_BFD if index < LATE_WATCHED else None)
                   for index, address in enumerate(self.late)]
        (objects / "all.yaml").write_text("---\n".join(map(to_yaml, things)))
        config = {"node": {"name": "bench"}, "datastore": {"directory": str(objects)},
                  "control": {"socket": str(self.directory / "control.sock")}, "log": {"level": "warning"},
                  "kernel": {"programming": not reflector}}
        self.spawn(self.build() / "calidrisd", "-f", "-c", self.file("calidris.yaml", to_yaml(config)))


class Bird(Subject):
    name, program = "BIRD 2", "bird"
    channel = ("ipv4 {{ import all; export {export}; }};", "protocol direct {{ ipv4; }}",
               "protocol kernel {{ ipv4 {{ import none; export {kernel}; }}; }}")

    def start(self):
        reflector = self.role == "reflector"
        words = {"export": "where source = RTS_BGP", "kernel": "none" if reflector else "where source = RTS_BGP"}
        channel, direct, kernel = (text.format(**words) for text in self.channel)
        rows = [f"router id {ADDRESS};", "protocol device { }", direct, kernel,
                f"template bgp peers {{ local as {AS}; source address {ADDRESS}; passive on; hold time {self.hold};",
                channel, "rr client; rr cluster id 10.0.0.1; }" if reflector else "}"]
        rows += [f"protocol bgp c{index} from peers {{ neighbor {address} as {AS}; }}"
                 for index, address in enumerate(self.clients)]
        self.spawn(self.program_path(), "-f", "-c", self.file("bird.conf", "\n".join(rows) + "\n"), "-s", self.directory / "ctl")

    @classmethod
    def program_path(cls):
        return cls.program


class OldBird(Bird):
    """What Calico's own BIRD stands on. Its package excludes BIRD 2's: unpack it somewhere and name the program in BIRD1."""

    name = "BIRD 1.6"
    channel = ("import all; export {export};", "protocol direct {{ }}", "protocol kernel {{ import none; export {kernel}; }}")

    @classmethod
    def present(cls):
        return "BIRD1" in os.environ

    @classmethod
    def program_path(cls):
        return os.environ["BIRD1"]

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program_path(), "--version"], capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).split()[-1]


class Frr(Subject):
    name, program = "FRR", "bgpd"

    @classmethod
    def present(cls):
        return Path("/usr/lib/frr/bgpd").exists()

    @classmethod
    def version(cls):
        done = subprocess.run(["/usr/lib/frr/bgpd", "--version"], capture_output=True, text=True, check=False)
        return (re.search(r"\d+\.\d+(\.\d+)?", done.stdout) or ["?"])[0]

    def start(self):
        prepare_frr()
        reflector = self.role == "reflector"
        rows = [f"router bgp {AS}", f" bgp router-id {ADDRESS}", " no bgp default ipv4-unicast", " coalesce-time 0", " neighbor c peer-group",
                f" neighbor c remote-as {AS}", " neighbor c passive", f" neighbor c timers {self.hold // 3} {self.hold}"]
        rows += [f" neighbor {address} peer-group c" for address in self.clients]
        rows += [" address-family ipv4 unicast", "  neighbor c activate"]
        rows += ["  neighbor c route-reflector-client"] * reflector + [" exit-address-family"]
        # zebra knows which next hops can be reached, also for a reflector.
        self.spawn(*self.command("zebra", ""))
        wait_for((self.directory / "zserv.api").exists, "zebra's socket")
        self.spawn(*self.command("bgpd", "\n".join(rows) + "\n"), *(["--no_kernel"] if reflector else []))
        self.processes.reverse()

    def command(self, daemon, text):
        return (f"/usr/lib/frr/{daemon}", "-u", "root", "-g", "root", "-f", self.file(f"{daemon}.conf", text), "-i",
                self.directory / f"{daemon}.pid", "-z", self.directory / "zserv.api", "--vty_socket", self.directory, "-P", 0)


class Gobgp(Subject):
    name, program = "GoBGP", "gobgpd"
    lacks = {"kernel": "it does not write routes into the kernel"}

    def start(self):
        rows = ["[global.config]", f"as = {AS}", f'router-id = "{ADDRESS}"']
        for address in self.clients:
            rows += ["[[neighbors]]", "[neighbors.config]", f'neighbor-address = "{address}"', f"peer-as = {AS}",
                     "[neighbors.transport.config]", "passive-mode = true", f'local-address = "{ADDRESS}"',
                     "[neighbors.timers.config]", f"hold-time = {self.hold}", f"keepalive-interval = {self.hold // 3}",
                     "[neighbors.route-reflector.config]", "route-reflector-client = true",
                     'route-reflector-cluster-id = "10.0.0.1"']
        self.spawn("gobgpd", "-f", self.file("gobgpd.toml", "\n".join(rows) + "\n"), "-l", "error", "--pprof-disable")


class Openbgpd(Subject):
    name, program = "OpenBGPD", "bgpd"
    lacks = {"kernel": "its portable form does not write routes into the kernel"}

    @classmethod
    def present(cls):
        return Path("/usr/sbin/bgpd").exists()

    @classmethod
    def version(cls):
        done = subprocess.run(["/usr/sbin/bgpd", "-V"], capture_output=True, text=True, check=False)
        return (re.search(r"\d+\.\d+", done.stdout + done.stderr) or ["?"])[0]

    def start(self):
        rows = [f"AS {AS}", f"router-id {ADDRESS}", f'socket "{self.directory}/sock"', "fib-update no",
                "nexthop qualify via default", f"holdtime {self.hold}"]
        rows += [f"neighbor {address} {{\n remote-as {AS}\n local-address {ADDRESS}\n passive\n route-reflector 10.0.0.1\n}}"
                 for address in self.clients]
        Path("/run/openbgpd").mkdir(exist_ok=True)
        self.spawn("/usr/sbin/bgpd", "-d", "-f", self.file("bgpd.conf", "\n".join([*rows, "allow from any", "allow to any"]) + "\n"))


class Floor(Subject):
    """No routing daemon: what the machine allows (load/bgp_floor.c)."""

    name = "floor"

    @classmethod
    def present(cls):
        return True

    @classmethod
    def version(cls):
        return ""

    def start(self):
        self.spawn(Calidris.build() / "tests/bench/load/bgp_floor", ADDRESS, 179, self.hold, *(["-k"] if self.role == "kernel" else []))


ALL = (Calidris, Bird, OldBird, Frr, Gobgp, Openbgpd, Floor)
