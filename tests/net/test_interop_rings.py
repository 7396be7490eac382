"""Reflectors in a ring: two of ours, BIRD and FRR, each other's clients, so that every route can go around for ever.

    ours-1 ── bird
      │        │        CLUSTER_LIST and ORIGINATOR_ID end the journey (RFC 4456 8); what is taken back is gone everywhere,
     frr  ── ours-2     and nothing keeps wandering.
"""

import time

from foreign import Session
from interop import OUR_AS, Scripts, heard, router_id
from netns import wait_for
from objects import bgp_peer, ip_pool
from peers import BirdNode, FrrNode
from routes import random_routes, updates_of, withdrawals_of
from speaker import Speaker

RING = ("ours-1", "bird", "ours-2", "frr")
COUNT = 200


class Ring:
    def __init__(self, cluster):
        self.cluster = cluster
        self.clusters = {name: f"10.0.0.{number}" for number, name in enumerate(RING, 1)}
        kinds = {"bird": BirdNode, "frr": FrrNode}
        self.hosts = {name: cluster.add_host(kinds[name], name, blocks=[], publish=False) if name in kinds else
                      cluster.add_reflector(name, self.clusters[name], peers=False) for name in RING}
        self.scripts = cluster.add_host(Scripts, "scripts", blocks=[], publish=False)
        self.speaker = Speaker(self.scripts)
        cluster.write(ip_pool("10.0.0.0/8", "everything4"), ip_pool("fd00::/8", "everything6"))
        self.sources, self.sinks, self.given = {}, {}, {}
        sessions = {name: [] for name in kinds}
        for number, name in enumerate(RING):
            before, after = RING[number - 1], RING[(number + 1) % len(RING)]
            beside = {f"to-{other}": self.hosts[other].ip4 for other in (before, after)}
            beside["source"], beside["sink"] = self.scripts.pair()[4], self.scripts.pair()[4]
            hops = {4: ["172.18.0.240"], 6: ["fd00:18::240"]}
            self.given[name] = random_routes(17, number + 1, COUNT, hops=hops, internal=True)
            self.sources[name] = self.speaker.add(beside["source"], OUR_AS, router_id(beside["source"]), updates=updates_of(self.given[name]))
            self.sinks[name] = self.speaker.add(beside["sink"], OUR_AS, router_id(beside["sink"]), keep=True)
            for what, address in beside.items():
                if name in sessions:
                    sessions[name].append(Session(self.hosts[name].ip4, address, OUR_AS, OUR_AS, client=True,
                                                  cluster_id=self.clusters[name], restart_time=None))
                else:
                    cluster.write(bgp_peer(f"{name}-{what}", node=name, peerIP=address, asNumber=OUR_AS, families=["IPv4", "IPv6"]))
        for name, own in sessions.items():
            self.hosts[name].launch(*own)
        cluster.start()

    def counts(self):
        return {name: len(heard(sink)) for name, sink in self.sinks.items()}

    def updates(self):
        """How many UPDATEs ours have sent and got."""
        return sum(row[way] for name in ("ours-1", "ours-2") for peer in self.hosts[name].show("peers")["peers"]
                   for row in self.hosts[name].show("peers", peer["name"])["peer"]["messages"] if row["type"] == "UPDATE"
                   for way in ("received", "sent"))


def test_ring(new_cluster):
    ring = Ring(new_cluster(mesh=False))
    with ring.speaker:
        every = 2 * COUNT * len(RING)
        wait_for(lambda: set(ring.counts().values()) == {every}, lambda: f"all {every} routes everywhere: {ring.counts()}", 40)
        for name, sink in ring.sinks.items():
            told = heard(sink)
            for origin, routes in ring.given.items():
                for route in routes:
                    found = told[route.prefix]
                    assert found.originator_id == router_id(ring.sources[origin].address)
                    # From the sink's reflector back to the source's, by the shorter way around.
                    assert found.cluster_list[0] == ring.clusters[name] and found.cluster_list[-1] == ring.clusters[origin]
                    assert len(found.cluster_list) <= 3 and len(set(found.cluster_list)) == len(found.cluster_list)
                    # FRR gives a MED of 0 to what has none.
                    assert found.with_(originator_id=None, cluster_list=(), med=found.med or 0).sorted_() == route.with_(
                        others=found.others, med=route.med or 0).sorted_()
        # Everything moves on until it is settled, and then nothing does.
        wait_quiet(ring)
        for name, source in ring.sources.items():
            ring.speaker.say(source, b"".join(withdrawals_of(ring.given[name])))
        wait_for(lambda: set(ring.counts().values()) == {0}, lambda: f"no route anywhere: {ring.counts()}", 40)
        wait_quiet(ring)
        for name in ("ours-1", "ours-2"):
            assert ring.hosts[name].show("routes", "all")["routes"] == []


def wait_quiet(ring, span=2):
    """No UPDATE for some seconds."""
    state = {"count": ring.updates(), "since": time.monotonic()}

    def quiet():
        now = ring.updates()
        if now != state["count"]:
            state.update(count=now, since=time.monotonic())
        return time.monotonic() - state["since"] > span

    wait_for(quiet, "the ring is quiet", 30)
