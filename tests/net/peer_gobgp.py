"""GoBGP as a peer."""

import base64
import json

from foreign import Foreign
from netns import is6, wait_for
from routes import EXTENDED, Route

FAMILY_NAMES = {4: "ipv4-unicast", 6: "ipv6-unicast"}


def toml(section, **values):
    """A [section] of the configuration; values that are None or False are left out."""
    def text(value):
        return json.dumps(value)
    rows = [f"  {name.replace('_', '-')} = {text(value)}" for name, value in values.items() if value not in (None, False)]
    return "\n".join([f"[{section}]", *rows]) + "\n" if rows else ""


def ext_community(value):
    """GoBGP's JSON of one, in 16 digits."""
    kind, sub, text = value["type"], value["subtype"], value["value"]
    key, number = text.rsplit(":", 1)
    if kind == 1:
        octets = "".join(f"{int(octet):02x}" for octet in key.split("."))
        return f"01{sub:02x}{octets}{int(number):04x}"
    if kind == 2:
        high, low = map(int, key.split("."))
        return f"02{sub:02x}{high:04x}{low:04x}{int(number):04x}"
    return f"00{sub:02x}{int(key):04x}{int(number):08x}"


def numbers_of(segments):
    return tuple(number for segment in segments for number in segment["asns"])


READERS = {
    1: lambda a: {"origin": a["value"]},
    2: lambda a: {"as_path": numbers_of(a["as_paths"])},
    3: lambda a: {"next_hop": a["nexthop"]},
    4: lambda a: {"med": a["metric"]},
    5: lambda a: {"local_pref": a["value"]},
    6: lambda a: {"atomic": True},
    7: lambda a: {"aggregator": (a["as"], a["address"])},
    8: lambda a: {"communities": tuple(f"{one >> 16}:{one & 65535}" for one in a["communities"])},
    9: lambda a: {"originator_id": a["value"]},
    10: lambda a: {"cluster_list": tuple(a["value"])},
    14: lambda a: {"next_hop": a["nexthop"]},
    16: lambda a: {"ext_communities": tuple(map(ext_community, a["value"]))},
    32: lambda a: {"large_communities": tuple(f"{one['ASN']}:{one['LocalData1']}:{one['LocalData2']}" for one in a["value"])},
}


def read_path(prefix, path):
    fields, others = {}, []
    for attribute in path["attrs"]:
        if attribute["type"] in READERS:
            fields.update(READERS[attribute["type"]](attribute))
        else:
            others.append((attribute["type"], attribute["flags"] & ~EXTENDED, base64.b64decode(attribute["value"] or "").hex()))
    return Route(prefix, **fields, others=tuple(sorted(others)))


class GobgpNode(Foreign):
    """A host with the distribution's GoBGP. It does not touch the kernel."""

    package = "gobgpd"
    lacks = {"asks again": "it looks again at the routes it has kept, and asks nobody",
             "enhanced refresh": "it does not announce the capability",
             "marks": "the same",
             "notification restart": "it says that it kept forwarding only after a restart of its own (RFC 4724 4.2)",
             "hears refusals": "it ends the attempt and tells nobody the reason",
             "old": "it always announces 4-octet AS numbers",
             "old aggregator": "the same",
             "default originate": "there is no such option",
             "extended messages": "it does not announce the capability"}

    started = False

    def begin(self):
        local_as, = {session.local_as for session in self.sessions}
        # It originates what its API is told to: before the sessions come up, and their End-of-RIB goes out.
        with self.apart():
            self.start(toml("global.config", **{"as": local_as}, router_id=self.ip4, port=179)
                       + "".join(map(self.neighbor_text, self.sessions)))
            for prefix in self.networks:
                family = 6 if is6(prefix) else 4
                self.originate(prefix, (self.sessions[0].next_hops or {}).get(family))

    def start(self, config):
        path = self.directory / "gobgpd.toml"
        path.write_text(config)
        # -r: a start after the first is a graceful restart.
        again, self.started = ["-r"] if self.started else [], True
        self.listen("gobgpd", [*again, "-f", path, "--api-hosts", "127.0.0.1:50051", "--pprof-disable", "--log-plain"],
                    "gobgpd.log")
        wait_for(lambda: self.run("gobgp", "global", check=False).returncode == 0, f"{self.name}: gobgpd answers")

    def originate(self, prefix, next_hop=None):
        """Its API answers before it has read its configuration, and then takes no routes yet."""
        words = ["gobgp", "global", "rib", "add", prefix, *(["nexthop", next_hop] if next_hop else []), "-a",
                 f"ipv{6 if is6(prefix) else 4}"]
        wait_for(lambda: self.run(*words, check=False).returncode == 0, f"{self.name} takes {prefix}")

    def neighbor_text(self, session):
        text = "[[neighbors]]\n" + toml(
            "neighbors.config", neighbor_address=session.remote, peer_as=session.remote_as, local_as=session.local_as,
            auth_password=session.password)
        text += toml("neighbors.transport.config", local_address=session.local, passive_mode=session.passive)
        text += toml("neighbors.timers.config", hold_time=session.hold, keepalive_interval=max(1, session.hold // 3),
                     connect_retry=1, idle_hold_time_after_reset=1)
        text += toml("neighbors.ttl-security.config", enabled=bool(session.ttl_security),
                     ttl_min=256 - session.ttl_security if session.ttl_security else None)
        text += toml("neighbors.route-reflector.config", route_reflector_client=session.client,
                     route_reflector_cluster_id=session.cluster_id if session.client else None)
        text += toml("neighbors.graceful-restart.config", enabled=bool(session.restart_time), restart_time=session.restart_time,
                     notification_enabled=session.notification, long_lived_enabled=session.long_lived is not None)
        for family in session.families:
            text += "[[neighbors.afi-safis]]\n" + toml("neighbors.afi-safis.config", afi_safi_name=FAMILY_NAMES[family])
            text += toml("neighbors.afi-safis.mp-graceful-restart.config", enabled=bool(session.restart_time))
            if session.long_lived is not None:
                text += toml("neighbors.afi-safis.long-lived-graceful-restart.config", enabled=True,
                             restart_time=session.long_lived)
            text += toml("neighbors.afi-safis.add-paths.config", receive=session.add_path, send_max=session.add_path and 8)
            text += toml("neighbors.afi-safis.prefix-limit.config", max_prefixes=session.max_prefix)
        return text

    def gobgp(self, *words):
        return self.run("gobgp", "-j", *words)

    def neighbor(self, session):
        return json.loads(self.gobgp("neighbor", session.remote))

    def established(self, session):
        return self.neighbor(session)["state"].get("session_state") == 6

    def paths(self, session):
        out = []
        for family in session.families:
            rows = json.loads(self.gobgp("neighbor", session.remote, "adj-in", "-a", f"ipv{family}"))
            out += (read_path(prefix, path) for prefix, paths in rows.items() for path in paths)
        return out

    def shut(self, session, text=""):
        self.gobgp("neighbor", session.remote, "shutdown", "--reason", text)
