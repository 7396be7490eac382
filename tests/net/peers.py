"""Hosts whose routing daemon is another project's, as the distribution ships it."""

from peer_bird import BirdNode
from peer_exabgp import ExabgpNode
from peer_frr import FrrNode
from peer_gobgp import GobgpNode
from peer_openbgpd import OpenbgpdNode

PEERS = (BirdNode, FrrNode, GobgpNode, OpenbgpdNode, ExabgpNode)
__all__ = ["PEERS", "BirdNode", "ExabgpNode", "FrrNode", "GobgpNode", "OpenbgpdNode"]
