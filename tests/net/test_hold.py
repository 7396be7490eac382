"""Hold times of 3 s hold: while half a million routes come, go into the kernel and out to others, and go again, no session
ends for want of a keepalive in time; neither ours with others, nor theirs with us."""

import ipaddress
import re

from harness import Host
from netns import wait_for
from objects import bgp_peer, ip_pool
from peers import BirdNode
from speaker import Speaker, update
from test_restart import assert_no_reset, sessions

TAKES = 30  # s: it begins early

ROUTES, PER_UPDATE, ROUNDS = 500_000, 800, 1

BIRD = """
log stderr all;
router id {own};
protocol device {{ }}
protocol bgp node {{
  local {own} as 65002;
  neighbor {peer} as 64512;
  hold time 3; keepalive time 1; multihop;
  ipv4 {{ import all; export none; }};
}}
"""


def test_three_seconds_under_load(new_cluster):
    cluster = new_cluster(families=(4,))
    one, two = (cluster.add_node(f"node-{index}", config={"bgp": {"hold_time": 3}, "log": {"level": "info"}})
                for index in (1, 2))
    bird = cluster.add_host(BirdNode, "bird", blocks=[], publish=False)
    feeder = cluster.add_host(Host, "feeder", blocks=[], publish=False)
    cluster.write(ip_pool("20.0.0.0/8", name="much"),
                  bgp_peer("feeder", node=one.name, peerIP=feeder.ip4, asNumber=65001, holdTime="3s"),
                  bgp_peer("bird", node=one.name, peerIP=bird.ip4, asNumber=65002, holdTime="3s", passive=True))
    bird.start(BIRD.format(own=bird.ip4, peer=one.ip4))
    first = int(ipaddress.ip_address("20.0.0.0"))
    prefixes = [f"{ipaddress.ip_address(first + number)}/32" for number in range(ROUTES)]
    updates = [update(prefixes[start:start + PER_UPDATE], feeder.ip4, [65001], None)
               for start in range(0, ROUTES, PER_UPDATE)]
    cluster.start()
    cluster.wait_converged()
    wait_for(lambda: len(sessions(one)) == 2, lambda: one.show("peers"))
    before = {node: sessions(node) for node in (one, two)}
    with Speaker(feeder) as speaker:
        speaker.add(feeder.ip4, 65001, families=(4,), hold=3, updates=updates)
        for round_ in range(1, ROUNDS + 1):
            for node in (one, two):
                wait_for(lambda node=node: node.show("status")["kernel"]["installed"] >= ROUTES,
                         lambda node=node: node.show("status"), 120)
            assert "Established" in bird.birdc("show", "protocols", "node")
            # The feeder is gone without a word, and so are its routes; it comes back at once.
            speaker.hang_up()
            wait_for(lambda: one.log_text().count("down: peer closed the connection") == round_, one.log_tail, 60)
    wait_for(lambda: all(node.show("status")["kernel"]["wanted"] < 100 for node in (one, two)), "they go", 120)
    print("worst turns:", [node.show("status")["loop"]["worst_turn"] for node in (one, two)])
    for node in (one, two):
        assert_no_reset(before[node], node, "half a million routes")
        assert not re.search("hold timer expired", node.log_text(), re.I), node.log_tail()
    assert not re.search("Hold timer expired|Received: ", bird.logs()["bird.log"])
