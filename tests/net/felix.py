"""A stand-in for Felix's part in the kernel's main table: what calico.md's sources say its route table does, and no more.

    felix.py FILE     FILE holds what it wants, as JSON, and is read again in each round:
        {"routes": [["10.244.1.5", "dev cali1 scope link", "boot", 1024], ...], "ipip": false, "interval": 0.05}

In each round it removes routes of protocol 80 that it does not want, whatever their interface; routes on cali* and VXLAN
interfaces that are not its own, whatever their protocol; addresses of tunl0 while no pool is IP-in-IP; and (re)writes
what it wants and does not find at its prefix and metric. Deletions come before additions. It prints what it does, a line
each, and "round N" when a round has begun after FILE was read for the first time.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

WORKLOADS, VXLAN = "cali", ("vxlan.calico", "vxlan-v6.calico")


def ip(*words, check=True):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=check).stdout


def say(*words):
    print(*words, flush=True)


def key(prefix, metric):
    """IPv6's metric 0 is 1024."""
    return prefix.removesuffix("/32").removesuffix("/128"), metric or (1024 if ":" in prefix else 0)


def present(family):
    for route in json.loads(ip(f"-{family}", "-j", "-N", "route", "show") or "[]"):
        yield route, key(route["dst"], route.get("metric", 0))


def device(words):
    words = words.split()
    return words[words.index("dev") + 1] if "dev" in words else None


def round_of(wanted, ipip):
    wants = {key(prefix, metric): (words, protocol) for prefix, words, protocol, metric in wanted}
    there = set()
    devices = {link["ifname"] for link in json.loads(ip("-j", "link", "show"))}
    for family in (4, 6):
        for route, place in present(family):
            protocol, dev = str(route.get("protocol", 3)), route.get("dev", "")
            mine = place in wants and protocol == wants[place][1] and device(wants[place][0]) in (None, dev)
            if mine:
                there.add(place)
            elif place not in wants and (protocol == "80" or (dev.startswith(WORKLOADS) or dev in VXLAN) and
                                         protocol != "2"):
                say("remove", place[0], protocol, dev)
                ip(f"-{family}", "route", "del", *(["blackhole"] if route.get("type") == "blackhole" else []), place[0],
                   "proto", protocol, "metric", place[1], *(["dev", dev] if dev else []), check=False)
    for place, (words, protocol) in wants.items():
        if place not in there and device(words) in {None, *devices}:
            say("write", place[0], words)
            ip("-6" if ":" in place[0] else "-4", "route", "replace", *(["blackhole"] if words == "blackhole" else []),
               place[0], *([] if words == "blackhole" else words.split()), "proto", protocol, "metric", place[1])
    if not ipip and "tunl0" in devices:
        for link in json.loads(ip("-4", "-j", "addr", "show", "dev", "tunl0") or "[]"):
            for address in link.get("addr_info", []):
                say("strip", address["local"])
                ip("addr", "del", f"{address['local']}/{address['prefixlen']}", "dev", "tunl0")


def main():
    rounds = 0
    while True:
        conf = json.loads(Path(sys.argv[1]).read_text())
        rounds += 1
        say("round", rounds)
        round_of(conf["routes"], conf.get("ipip", False))
        time.sleep(conf.get("interval", 0.05))


if __name__ == "__main__":
    main()
