"""Hosts whose routing daemon is another project's, as the distribution ships it."""

from peer_bird import BirdNode
from peer_exabgp import ExabgpNode
from peer_frr import FrrNode
from peer_gobgp import GobgpNode
from peer_openbgpd import OpenbgpdNode

ALL = (BirdNode, FrrNode, GobgpNode, OpenbgpdNode, ExabgpNode)
PEERS = tuple(kind for kind in ALL if not kind.absent())  # test_interop.py:test_present says so of the others
__all__ = ["ALL", "PEERS", "BirdNode", "ExabgpNode", "FrrNode", "GobgpNode", "OpenbgpdNode"]
