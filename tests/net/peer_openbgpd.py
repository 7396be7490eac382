"""OpenBGPD as a peer."""

import json
import re
from pathlib import Path

from foreign import Foreign
from netns import is_only_user, run, wait_for
from routes import OPTIONAL, PARTIAL, TRANSITIVE, Route, community, ext_community

GLOBAL = """
AS {local_as}
router-id {router_id}
socket "{socket}"
connect-retry 1
fib-update no
nexthop qualify via default
"""

ORIGINS = {"IGP": 0, "EGP": 1, "incomplete": 2}

def read_attribute(attribute):
    """{field of Route: value}"""
    kind = attribute["type"]
    unknown = re.match(r"Unknown Attribute #(\d+)", kind)
    if unknown:
        bits = {"optional": OPTIONAL, "transitive": TRANSITIVE, "partial": PARTIAL}
        flags = sum(bits[name] for name, on in attribute["flags"].items() if on)
        return {"others": ((int(unknown.group(1)), flags, attribute.get("data", "")),)}
    return {"Aggregator": lambda: {"aggregator": (attribute["AS"], attribute["router_id"])},
            "Atomic Aggregate": lambda: {"atomic": True},
            "Originator Id": lambda: {"originator_id": attribute["originator"]},
            "Cluster Id List": lambda: {"cluster_list": tuple(attribute["cluster_list"])}}[kind]()


def read_path(row):
    route = Route(
        row["prefix"], row["exit_nexthop"], origin=ORIGINS[row["origin"]], as_path=tuple(map(int, row["aspath"].split())),
        med=row["metric"], local_pref=row["localpref"], communities=tuple(map(community, row.get("communities", ()))),
        ext_communities=tuple(ext_community(*re.split("[ :]", text)) for text in row.get("extended_communities", ())),
        large_communities=tuple(row.get("large_communities", ())))
    for attribute in row.get("attributes", ()):
        route = route.with_(**read_attribute(attribute))
    return route


class OpenbgpdNode(Foreign):
    """A host with the distribution's OpenBGPD. Its portable form does not touch the kernel."""

    package = "openbgpd"
    lacks = {"refresh": "it ignores every request, whoever asks: \"AID IPv4 unicast not negotiated\"",
             "marks": "the same",
             "graceful restart": "it announces the capability for its End-of-RIB alone, with no family",
             "notification restart": "OpenBGPD 7.7 does not have it",
             "notification helper": "OpenBGPD 7.7 does not have it",
             "long-lived": "it does not have it",
             "old aggregator": "it drops AS4_PATH where AGGREGATOR has a 2-octet number, AS4_AGGREGATOR or not",
             "hostname": "it does not have it",
             "ipv6 next hops": "OpenBGPD 7.7 does not have them",
             "link-local": "neighbors are global addresses",
             "extended messages": "OpenBGPD 7.7 does not have them"}

    @classmethod
    def absent(cls):
        return "OpenBGPD gives up root for a user of its own, and here is one user only" if is_only_user() else ""

    def begin(self):
        local_as, = {session.local_as for session in self.sessions}
        self.socket = self.directory / "bgpd.sock"
        config = self.directory / "bgpd.conf"
        config.write_text(GLOBAL.format(local_as=local_as, router_id=self.ip4, socket=self.socket)
                          + "".join(f"network {prefix}\n" for prefix in self.networks)
                          + "".join(map(self.neighbor_text, self.sessions))
                          + "allow from any\nallow to any\n")
        config.chmod(0o600)
        Path("/run/openbgpd").mkdir(exist_ok=True)
        self.listen("/usr/sbin/bgpd", ["-d", "-v", "-f", config], "bgpd.log")
        wait_for(lambda: self.ask("show", check=False).returncode == 0, f"{self.name}: bgpd answers")

    def neighbor_text(self, session):
        options = [
            (True, f"remote-as {session.remote_as}"),
            (True, f"local-address {session.local}"),
            (True, f"holdtime {session.hold}"),
            (True, "announce enhanced refresh yes"),
            (session.passive, "passive"),
            (session.add_path, "announce add-path recv yes\n  announce add-path send all"),
            (session.client, f"route-reflector {session.cluster_id or ''}"),
            (session.password, f"tcp md5sig password {session.password}"),
            (session.ttl_security, "ttl-security yes"),
            (session.ttl_security and session.ttl_security > 1, f"multihop {session.ttl_security}"),
            (session.restart_time is None, "announce restart no"),
            (not session.four_octets, "announce as-4byte no"),
            (session.max_prefix, f"max-prefix {session.max_prefix}"),
            (session.default_originate, "export default-route"),
            (True, "announce IPv4 " + ("unicast" if 4 in session.families else "none")),
            (True, "announce IPv6 " + ("unicast" if 6 in session.families else "none")),
        ]
        rows = "".join(f"  {text}\n" for wanted, text in options if wanted)
        return f"neighbor {session.remote} {{\n{rows}}}\n"

    def ask(self, *words, check=True):
        return run(["bgpctl", "-s", self.socket, *words], check)

    def neighbor(self, session):
        return json.loads(self.ask("-j", "show", "neighbor", session.remote))["neighbors"][0]

    def established(self, session):
        return self.neighbor(session)["state"] == "Established"

    def paths(self, session):
        rows = json.loads(self.ask("-j", "show", "rib", "in", "detail", "neighbor", session.remote))["rib"]
        return list(map(read_path, rows))

    def listed(self, wanted, session):
        """No MED is 0 there, no LOCAL_PREF 100; and what reflection adds it adds to what a client sends, at once."""
        out = {}
        for prefix, route in wanted.items():
            out[prefix] = route.with_(med=route.med or 0, local_pref=100 if route.local_pref is None else route.local_pref)
            if session.client:
                out[prefix] = out[prefix].with_(cluster_list=(session.cluster_id, *route.cluster_list),
                                                originator_id=route.originator_id or session.remote)
        return out

    def refresh(self, session):
        self.ask("neighbor", session.remote, "refresh")

    def shut(self, session, text=""):
        self.ask("neighbor", session.remote, "down", text)

    def tell(self):
        return self.ask("show", "neighbor") + super().tell()
