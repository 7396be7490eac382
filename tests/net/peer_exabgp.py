"""ExaBGP as a peer: no router, but it says what it is told to, of all attributes, and tells what it hears."""

import ipaddress
import json
import re

from foreign import Foreign
from netns import is6
from routes import Route

NEIGHBOR = """
process watch_{name} {{
  run /bin/sh -c "tail -n +1 -f {commands} & exec cat > {heard}";
  encoder json;
}}
neighbor {remote} {{
  router-id {router_id};
  local-address {local};
  local-as {local_as};
  peer-as {remote_as};
  hold-time {hold};
  host-name {hostname};
{options}  capability {{
    route-refresh enable;
    nexthop {ext_next_hop};
    add-path {add_path};
    asn4 {four_octets};
    graceful-restart {restart};
  }}
  family {{
{families}  }}
{next_hops}  api {{
    processes [ watch_{name} ];
    neighbor-changes;
    receive {{ parsed; update; open; notification; refresh; }}
  }}
  static {{
{routes}  }}
}}
"""
ENVIRONMENT = {
    "exabgp_daemon_user": "root", "exabgp_daemon_daemonize": "false", "exabgp_log_destination": "stdout",
    "exabgp_log_level": "INFO", "exabgp_api_cli": "false", "exabgp_api_ack": "false", "exabgp_tcp_port": "179",
}
ORIGINS = ("igp", "egp", "incomplete")


def route_text(route):
    """As its configuration and its API have it."""
    def listed(name, values):
        return f" {name} [ {' '.join(map(str, values))} ]" if values else ""

    text = f"route {route.prefix}"
    text += f" path-information {ipaddress.ip_address(route.path_id)}" if route.path_id else ""
    text += f" next-hop {route.next_hop} origin {ORIGINS[route.origin]}"
    text += f" as-path [ {' '.join(map(str, route.as_path))} ]"
    text += f" med {route.med}" if route.med is not None else ""
    text += f" local-preference {route.local_pref}" if route.local_pref is not None else ""
    text += listed("community", route.communities)
    text += listed("large-community", route.large_communities)
    text += listed("extended-community", ["0x" + one for one in route.ext_communities])
    text += f" aggregator ( {route.aggregator[0]}:{route.aggregator[1]} )" if route.aggregator else ""
    text += " atomic-aggregate" if route.atomic else ""
    text += f" originator-id {route.originator_id}" if route.originator_id else ""
    text += listed("cluster-list", route.cluster_list)
    for code, flags, value in route.others:
        text += f" attribute [ 0x{code:02x} 0x{flags:02x} 0x{value} ]"
    return text


def read_attributes(attributes):
    """{field of Route: value} of what it heard, as it understood it."""
    fields = {}
    others = []
    for name, value in attributes.items():
        if name.startswith("attribute-"):
            _word, code, flags = name.split("-")
            others.append((int(code, 16), int(flags, 16) & ~0x10, value[2:].lower()))
        else:
            fields.update(READERS[name](value))
    return {**fields, "others": tuple(sorted(others))}


READERS = {
    "origin": lambda value: {"origin": ORIGINS.index(value)},
    "as-path": lambda value: {"as_path": tuple(value)},
    "confederation-path": lambda value: {},
    "med": lambda value: {"med": value},
    "local-preference": lambda value: {"local_pref": value},
    "atomic-aggregate": lambda value: {"atomic": value},
    "aggregator": lambda value: {"aggregator": (int(value.split(":")[0]), value.split(":")[1])},
    "community": lambda value: {"communities": tuple(":".join(map(str, one)) for one in value)},
    "large-community": lambda value: {"large_communities": tuple(":".join(map(str, one)) for one in value)},
    "extended-community": lambda value: {"ext_communities": tuple(f"{one['value']:016x}" for one in value)},
    "originator-id": lambda value: {"originator_id": value},
    "cluster-list": lambda value: {"cluster_list": tuple(value)},
}


def key_of(row):
    """(prefix, path identifier); these it writes as addresses."""
    return row["nlri"], int(ipaddress.ip_address(row.get("path-information", "0.0.0.0")))


class ExabgpNode(Foreign):
    """A host with the distribution's ExaBGP. It does not touch the kernel."""

    package = "exabgp"
    lacks = {"relay": "it is no router: it announces what it is told to, and passes nothing on",
             "reflector": "it is no router",
             "refresh": "it falls over every request, whoever asks, and begins the session anew",
             "marks": "the same",
             "helper": "it has no table to keep routes in",
             "notification restart": "it does not have it",
             "notification helper": "it does not have it",
             "long-lived": "it does not have it",
             "hostname": "the code for it is switched off",
             "shutdown message": "its API ends sessions with any code, but without a text",
             "reads shutdown message": "it fails over any text, and takes the NOTIFICATION for broken",
             "hears refusals": "the same",
             "default originate": "there is no such option: it announces what it is told to, to each peer",
             "gtsm": "it checks the TTL of those alone who dial it",
             "max-prefix": "it counts nothing",
             "link-local": "neighbors are global addresses"}

    def launch(self, *sessions, networks=(), announced=()):
        self.announced = list(announced)
        super().launch(*sessions, networks=networks)

    def file(self, session, kind):
        return self.directory / f"{session.name}.{kind}"

    def begin(self):
        config = self.directory / "exabgp.conf"
        for session in self.sessions:
            self.file(session, "commands").write_text("")
        config.write_text("".join(map(self.neighbor_text, self.sessions)))
        listen = {"exabgp_tcp_bind": self.sessions[0].local} if any(session.passive or session.password for session in self.sessions) else {}
        self.listen("/usr/sbin/exabgp", [config], "exabgp.log", env={**ENVIRONMENT, **listen})

    def neighbor_text(self, session):
        options = [
            (session.passive, "passive true"),
            (session.password, f"md5-password {session.password}"),
            (session.ttl_security, "outgoing-ttl 255"),
            (session.ttl_security, f"incoming-ttl {256 - (session.ttl_security or 0)}"),
        ]
        routes = [route_text(route) for route in self.announced if route.family in session.families]
        routes += [f"route {prefix} next-hop {(session.next_hops or {}).get(6 if is6(prefix) else 4, 'self')}"
                   for prefix in self.networks if (6 if is6(prefix) else 4) in session.families]
        return NEIGHBOR.format(
            name=session.name, remote=session.remote, router_id=self.ip4, local=session.local, local_as=session.local_as,
            remote_as=session.remote_as, hold=session.hold, hostname=self.name, commands=self.file(session, "commands"),
            heard=self.file(session, "heard"), four_octets="enable" if session.four_octets else "disable",
            restart=session.restart_time or "disable", options="".join(f"  {text};\n" for wanted, text in options if wanted),
            families="".join(f"    ipv{family} unicast;\n" for family in session.families),
            ext_next_hop="enable" if session.ext_next_hop else "disable",
            add_path="send/receive" if session.add_path else "disable",
            next_hops="  nexthop {\n    ipv4 unicast ipv6;\n  }\n" if session.ext_next_hop else "",
            routes="".join(f"    {text};\n" for text in routes))

    def say(self, session, *commands):
        """Commands of its API."""
        with self.file(session, "commands").open("a") as file:
            file.write("".join(f"{command}\n" for command in commands))

    def heard(self, session):
        """What it told of the session, the messages of its API."""
        path = self.file(session, "heard")
        # What it says of ROUTE-REFRESH is no JSON, "afi": ""ipv4"", and a NOTIFICATION's octets are as they are.
        lines = (re.sub(r'""(\w+)""', r'"\1"', line) for line in path.read_text().splitlines()) if path.exists() else ()
        return [json.loads(line, strict=False) for line in lines]

    def established(self, session):
        states = [message["neighbor"]["state"] for message in self.heard(session) if message["type"] == "state"]
        return states[-1:] == ["up"]

    def paths(self, session):
        out = {}
        for message in self.heard(session):
            if message["type"] == "state":
                out.clear()
            if message["type"] != "update" or "update" not in message["neighbor"]["message"]:
                continue
            update = message["neighbor"]["message"]["update"]
            for hops in update.get("announce", {}).values():
                for hop, rows in hops.items():
                    for row in rows:
                        out[key_of(row)] = Route(row["nlri"], hop, path_id=key_of(row)[1], **read_attributes(update["attribute"]))
            for rows in update.get("withdraw", {}).values():
                for row in rows:
                    out.pop(key_of(row), None)
        return list(out.values())

    def tell(self):
        return super().tell() + "".join(str(self.heard(session)[-5:]) for session in self.sessions)

    def change(self, gone=(), new=()):
        """Takes routes back, and announces others."""
        for session in self.sessions:
            self.say(session, *(f"neighbor {session.remote} {word} {route_text(route)}"
                                for word, routes in (("withdraw", gone), ("announce", new)) for route in routes
                                if route.family in session.families))

    def refresh(self, session):
        self.say(session, *(f"neighbor {session.remote} announce route-refresh ipv{family} unicast"
                            for family in session.families))
