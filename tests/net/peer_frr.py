"""FRR as a peer: zebra and bgpd."""

import json
import re
import socket
from pathlib import Path

import ns
from foreign import Foreign
from netns import is6, run, wait_for
from routes import Route, community, ext_community

MS_BIND = 4096

BGPD = """
{defaults}router bgp {local_as}
 bgp router-id {router_id}
 no bgp default ipv4-unicast
 no bgp network import-check
 no bgp ebgp-requires-policy
 no bgp suppress-duplicates
 bgp log-neighbor-changes
{options}{neighbors} address-family ipv4 unicast
{family4} exit-address-family
 address-family ipv6 unicast
{family6} exit-address-family
"""


GRACEFUL = """ bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 bgp graceful-restart restart-time {time}
"""


def prepare_frr():
    """FRR wants its user in the group of its sockets, and writes below /var/tmp: both made so in our mount namespace. Where
    somebody replaces the host's file, as installing packages does, our mount upon it is gone."""
    groups = Path("/etc/group").read_text()
    if "frrvty:x:0:root\n" in groups:
        return
    first = not Path("/run/group").exists()
    Path("/run/group").write_text(re.sub(r"(?m)^frrvty:.*$", "frrvty:x:0:root", groups))
    ns.mount("/run/group", "/etc/group", None, MS_BIND)
    if not first:
        return
    ns.mount("tmpfs", "/var/tmp", "tmpfs")
    ns.mount("tmpfs", "/etc/frr", "tmpfs")
    Path("/etc/frr/vtysh.conf").touch()


ORIGINS = {"IGP": 0, "EGP": 1, "incomplete": 2}

def read_path(prefix, path):
    def texts(key):
        return path.get(key, {}).get("string", "").split()

    hops = sorted((hop.get("scope") == "link-local", hop["ip"]) for hop in path["nexthops"])
    numbers = path["aspath"]["string"]
    return Route(
        prefix, " ".join(hop for _scope, hop in hops), origin=ORIGINS[path["origin"]],
        as_path=() if numbers == "Local" else tuple(map(int, numbers.split())), med=path.get("metric"),
        local_pref=path.get("locPrf"), communities=tuple(map(community, texts("community"))),
        ext_communities=tuple(ext_community(*text.split(":")) for text in texts("extendedCommunity")),
        large_communities=tuple(texts("largeCommunity")),
        aggregator=(path["aggregatorAs"], path["aggregatorId"]) if "aggregatorAs" in path else None,
        atomic=path.get("atomicAggregate", False), originator_id=path.get("originatorId"),
        cluster_list=tuple(path.get("clusterList", {}).get("list", ())), path_id=int(path.get("addPathId", 0)))


class FrrNode(Foreign):
    """A host with the distribution's FRR."""

    package = "frr"
    kernel = True
    lacks = {"old aggregator": "it has seen our capability, expects 4 octets, and ends the session (it did not announce its own)"}
    hides = {"others": "show bgp names no attribute that it does not know"}

    def start(self, bgpd, zebra="", bfdd=None):
        """bfdd's configuration, if BFD is to run."""
        prepare_frr()
        self.write("bgpd", bgpd)
        self.write("zebra", zebra)
        self.spawn(*self.command_of("zebra"))
        self.wait_socket("zebra")
        if bfdd is not None:
            self.write("bfdd", bfdd)
            words, log = self.command_of("bfdd")
            self.spawn([*words, "--bfdctl", self.directory / "bfdd.sock"], log)
            self.wait_socket("bfdd")
        self.start_bgpd()

    def write(self, daemon, text):
        (self.directory / f"{daemon}.conf").write_text(f"log stdout informational\n{text}\n")

    def command_of(self, daemon):
        return ([f"/usr/lib/frr/{daemon}", "-u", "root", "-g", "root", "-f", self.directory / f"{daemon}.conf", "-i",
                 self.directory / f"{daemon}.pid", "-z", self.directory / "zserv.api", "--vty_socket", self.directory, "-P", 0],
                f"{daemon}.log")

    def wait_socket(self, daemon):
        wait_for((self.directory / f"{daemon}.vty").exists, f"{self.name}: {daemon}'s socket")

    def start_bgpd(self):
        (self.directory / "bgpd.vty").unlink(missing_ok=True)
        words, log = self.command_of("bgpd")
        self.listen(words[0], words[1:], log)
        self.wait_socket("bgpd")

    def vtysh(self, *commands):
        return run(["vtysh", "--vty_socket", self.directory, *(word for command in commands for word in ("-c", command))])

    def ask(self, commands):
        """The answers of bgpd's own socket, without a vtysh between: for very many commands."""
        out = []
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.directory / "bgpd.vty"))
            for command in ("enable", *commands):
                client.sendall(command.encode() + b"\0")
                answer = b""
                while not (answer[-4:-1] == b"\0\0\0"):
                    answer += client.recv(65536)
                out.append(answer[:-4].decode())
        return out[1:]

    def begin(self):
        if (self.directory / "bgpd.conf").exists():
            self.start_bgpd()
            return
        families = {4: "", 6: ""}
        for prefix in self.networks:
            families[6 if is6(prefix) else 4] += f"  network {prefix}\n"
        neighbors = "".join(map(self.neighbor_text, self.sessions))
        for family in (4, 6):
            families[family] += "".join(self.family_text(session, family) for session in self.sessions
                                        if family in session.families)
        local_as, = {session.local_as for session in self.sessions}
        restart, = {session.restart_time for session in self.sessions}
        cluster = {session.cluster_id for session in self.sessions} - {None}
        options = GRACEFUL.format(time=restart) if restart else ""
        if any(session.notification for session in self.sessions):
            options += " no bgp hard-administrative-reset\n"
        lasting = max((session.long_lived or 0) for session in self.sessions)
        if lasting:
            # It goes by this clock and not by the time that the peer announces.
            options += f" bgp graceful-restart stalepath-time {restart}\n bgp long-lived-graceful-restart stale-time {lasting}\n"
        options += "".join(f" bgp cluster-id {one}\n" for one in cluster)
        maps = "".join(f"route-map own{session.name} permit 10\n set ipv6 next-hop global {session.next_hops[6]}\n"
                       for session in self.sessions if (session.next_hops or {}).get(6))
        self.start(BGPD.format(defaults=maps, local_as=local_as, router_id=self.ip4, options=options, neighbors=neighbors,
                               family4=families[4], family6=families[6]))

    def forget(self, network):
        path = self.directory / "bgpd.conf"
        path.write_text(path.read_text().replace(f"  network {network}\n", ""))

    def neighbor_text(self, session):
        options = [
            (True, f"remote-as {session.remote_as}"),
            (True, f"update-source {session.local}"),
            (True, f"timers {max(1, session.hold // 3)} {session.hold}"),
            (True, "timers connect 1"),
            (True, "advertisement-interval 0"),
            (session.passive, "passive"),
            (session.ext_next_hop, "capability extended-nexthop"),
            (session.password, f"password {session.password}"),
            (session.ttl_security, f"ttl-security hops {session.ttl_security}"),
            (not session.four_octets, "dont-capability-negotiate"),
        ]
        return "".join(f" neighbor {session.remote} {text}\n" for wanted, text in options if wanted)

    def family_text(self, session, family):
        hop = (session.next_hops or {}).get(family)
        options = [
            (True, "activate"),
            (session.client, "route-reflector-client"),
            (session.max_prefix, f"maximum-prefix {session.max_prefix}"),
            (session.add_path, "addpath-tx-all-paths"),
            (session.default_originate, "default-originate"),
            (hop and family == 6, f"route-map own{session.name} out"),
        ]
        return "".join(f"  neighbor {session.remote} {text}\n" for wanted, text in options if wanted)

    def neighbor(self, session):
        return json.loads(self.vtysh(f"show bgp neighbors {session.remote} json"))[session.remote]

    def established(self, session):
        return self.neighbor(session)["bgpState"] == "Established"

    def paths(self, session):
        out = []
        for family in session.families:
            brief = json.loads(self.vtysh(f"show bgp ipv{family} unicast json"))["routes"]
            mine = [prefix for prefix, paths in brief.items() if any(path.get("peerId") == session.remote for path in paths)]
            for prefix, text in zip(mine, self.ask(f"show bgp ipv{family} unicast {prefix} json" for prefix in mine)):
                out += (read_path(prefix, path) for path in json.loads(text)["paths"] if path["peer"]["peerId"] == session.remote)
        return out

    def refresh(self, session):
        self.vtysh(*(f"clear bgp ipv{family} unicast {session.remote} soft in" for family in session.families))

    def shut(self, session, text=""):
        self.vtysh("configure terminal", f"router bgp {session.local_as}",
                   f"neighbor {session.remote} shutdown message {text}")

    def reset(self, session):
        self.vtysh(f"clear bgp {session.remote}")

    def tell(self):
        return "\n".join(self.vtysh(f"show bgp neighbors {session.remote}")[:3000] for session in self.sessions) + super().tell()
