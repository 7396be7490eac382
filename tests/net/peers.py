"""Hosts whose routing daemon is another project's, as the distribution ships it."""

import re
from pathlib import Path

import ns
from harness import Host
from netns import run, wait_for

MS_BIND = 4096


class BirdNode(Host):
    """A host with the distribution's BIRD 2."""

    def start(self, config):
        self.config_file, self.socket = self.directory / "bird.conf", self.directory / "bird.ctl"
        self.config_file.write_text(config)
        # -R as Calico starts it: whenever it starts, it is a graceful restart.
        self.spawn(["bird", "-R", "-f", "-c", self.config_file, "-s", self.socket, "-P", self.directory / "bird.pid"], "bird.log")
        wait_for(self.socket.exists, f"{self.name}: bird's socket")

    def birdc(self, *words):
        return run(["birdc", "-s", self.socket, *words])


class FrrNode(Host):
    """A host with the distribution's FRR: zebra and bgpd."""

    def start(self, bgpd, zebra=""):
        prepare_frr()
        for daemon, text in (("zebra", zebra), ("bgpd", bgpd)):
            config = self.directory / f"{daemon}.conf"
            config.write_text(f"log stdout informational\n{text}\n")
            self.spawn([f"/usr/lib/frr/{daemon}", "-u", "root", "-g", "root", "-f", config, "-i",
                        self.directory / f"{daemon}.pid", "-z", self.directory / "zserv.api", "--vty_socket",
                        self.directory, "-P", 0], f"{daemon}.log")
            wait_for((self.directory / f"{daemon}.vty").exists, f"{self.name}: {daemon}'s socket")

    def vtysh(self, command):
        return run(["vtysh", "--vty_socket", self.directory, "-c", command])


def prepare_frr():
    """FRR wants its user in the group of its sockets, and writes below /var/tmp: both made so in our mount namespace."""
    if Path("/run/group").exists():
        return
    groups = Path("/etc/group").read_text()
    Path("/run/group").write_text(re.sub(r"(?m)^frrvty:.*$", "frrvty:x:0:root", groups))
    ns.mount("/run/group", "/etc/group", None, MS_BIND)
    ns.mount("tmpfs", "/var/tmp", "tmpfs")
    ns.mount("tmpfs", "/etc/frr", "tmpfs")
    Path("/etc/frr/vtysh.conf").touch()
