"""BIRD 2 as a peer."""

from foreign import Foreign
from mrtfile import read_dump
from netns import is6, run, wait_for

GLOBAL = """
log stderr all;
router id {router_id};
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; ipv6; interface -"cali*", "*"; }}
protocol kernel kernel4 {{ ipv4 {{ import none; export where source = RTS_BGP; }}; persist; graceful restart; }}
protocol kernel kernel6 {{ ipv6 {{ import none; export where source = RTS_BGP; }}; persist; graceful restart; }}
"""

SESSION = """
protocol bgp {name} {{
  local {local} as {local_as};
  neighbor {remote} as {remote_as};
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  hold time {hold};
{options}{channels}}}
"""

CHANNEL = """  ipv{family} {{
    import all;
    export filter {{ if source = RTS_BGP || source = RTS_STATIC then accept; reject; }};
{options}  }};
"""

class BirdNode(Foreign):
    """A host with the distribution's BIRD 2."""

    package = "bird2"
    kernel = True
    router_id = None  # the IPv4 address
    lacks = {"notification restart": "BIRD 2 does not have it",
             "notification helper": "BIRD 2 does not have it",
             "default originate": "there is no such option; a static route and a filter do it"}

    def start(self, config):
        self.config_file, self.socket = self.directory / "bird.conf", self.directory / "bird.ctl"
        self.config_file.write_text(config)
        self.socket.unlink(missing_ok=True)
        # -R as Calico starts it: whenever it starts, it is a graceful restart.
        self.listen("bird", ["-R", "-f", "-c", self.config_file, "-s", self.socket, "-P", self.directory / "bird.pid"],
                    "bird.log")
        wait_for(self.socket.exists, f"{self.name}: bird's socket")

    def birdc(self, *words):
        return run(["birdc", "-s", self.socket, *words])

    def begin(self):
        text = GLOBAL.format(router_id=self.router_id or self.ip4)
        for family in (4, 6):
            blocks = [f"route {prefix} blackhole;" for prefix in self.networks if is6(prefix) == (family == 6)]
            if blocks:
                text += f"protocol static own{family} {{ ipv{family}; {' '.join(blocks)} }}\n"
        self.start(text + "".join(map(self.session_text, self.sessions)))

    def session_text(self, session):
        options = [
            (True, "advertise hostname on; enable extended messages on"),
            (session.passive, "passive on"),
            (session.client, "rr client"),
            (session.cluster_id, f"rr cluster id {session.cluster_id}"),
            (session.password, f'password "{session.password}"'),
            (session.ttl_security, f"multihop {session.ttl_security}; ttl security on"),
            (session.restart_time, f"graceful restart on; graceful restart time {session.restart_time}"),
            (session.restart_time is None, "graceful restart aware"),
            (session.long_lived is None, "long lived graceful restart off"),
            (session.long_lived, f"long lived graceful restart on; long lived stale time {session.long_lived}"),
            (not session.four_octets, "enable as4 off"),
        ]
        text = "".join(f"  {line};\n" for wanted, line in options if wanted)
        return SESSION.format(name=session.name, local=session.local, remote=session.remote, local_as=session.local_as,
                              remote_as=session.remote_as, hold=session.hold, options=text,
                              channels="".join(self.channel_text(session, family) for family in session.families))

    def channel_text(self, session, family):
        hop = (session.next_hops or {}).get(family)
        options = [
            (hop, f"next hop address {hop}"),
            (session.next_hop_self, "next hop self on"),
            (session.add_path, "add paths on"),
            (session.ext_next_hop and family == 4, "extended next hop on"),
            (session.max_prefix, f"receive limit {session.max_prefix} action restart"),
        ]
        return CHANNEL.format(family=family, options="".join(f"    {line};\n" for wanted, line in options if wanted))

    def established(self, session):
        return "Established" in self.birdc("show", "protocols", session.name)

    def paths(self, session):
        """From a dump: what `show route all` writes it cuts off after some hundred characters."""
        out = []
        for family in session.families:
            path = self.directory / f"dump-{next(self.cluster.numbers)}"
            self.birdc("mrt", "dump", "table", f'"master{family}"', "where", f'proto = "{session.name}"', "to", f'"{path}"')
            out += (route for _peer, route in read_dump(path))
            path.unlink()
        return out

    def listed(self, wanted, _session):
        """It gives every route a LOCAL_PREF of its own."""
        return {prefix: route if route.local_pref is not None else route.with_(local_pref=100)
                for prefix, route in wanted.items()}

    def refresh(self, session):
        self.birdc("reload", "in", session.name)

    def shut(self, session, text=""):
        self.birdc("disable", session.name, f'"{text}"')

    def tell(self):
        return self.birdc("show", "protocols", "all") + super().tell()
