"""
What the deployed policies do to each connection of the night, by the evaluator that is held to Cilium's.

Policies are enforced, audited, or not applied yet, namespace by namespace.
"""

from functools import cache

from models.domain.agent import AgentConfig
from models.domain.policy import Direction, PolicySet
from models.simulation.context import PolicyFlow
from models.simulation.context import Side as Known
from models.simulation.decision import Verdict
from models.simulation.verdict import evaluate
from sample_data.world.endpoints import RESERVED
from sample_data.world.pods import Node, Pod
from sample_data.world.traffic import Address, Side

#: Endpoints here are in policy audit mode: what is not allowed is recorded and passes.
AUDITED = ("legacy",)
#: The policies of this namespace are merged, and nobody has applied them yet.
NOT_APPLIED = ("monitoring",)
CONFIG = AgentConfig(cilium_version="1.18", cluster_name="aks-shop")


class Enforcement:
    """Verdicts at both ends of a connection."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._evaluate = cache(self._ask)

    def __call__(self, client: Side, server: Side, protocol: str, port: int) -> tuple[str, str]:
        """Verdict at the client and at the server; a host reaches its own pods whatever policy says."""
        ends = _known(client), _known(server), "ICMP" if protocol.startswith("ICMP") else protocol, port
        leaving = entering = "forwarded"
        if isinstance(client, Pod):
            leaving = self._verdict(client, Direction.EGRESS, *ends)
        if isinstance(server, Pod) and not isinstance(client, Node):
            entering = self._verdict(server, Direction.INGRESS, *ends)
        return leaving, entering

    def _verdict(self, subject: Pod, direction: Direction, *ends: object) -> str:
        namespace = subject.workload.namespace
        if namespace in NOT_APPLIED or self._evaluate(direction, *ends):
            return "forwarded"
        return "audit" if namespace in AUDITED else "denied"

    def _ask(self, direction: Direction, client: Known, server: Known, protocol: str, port: int) -> bool:
        flow = PolicyFlow(direction, client, server, protocol, port)
        return evaluate(self._policies, flow, CONFIG).verdict is Verdict.ALLOW


def _known(side: Side) -> Known:
    """An end as the agent knows it."""
    if isinstance(side, Pod):
        return Known(side.labels, side.ip, (), None, ())
    if isinstance(side, Address):
        # A name whose answer ran out goes on counting while its address is in use.
        names = side.names or ((side.external.name,) if side.external.name else ())
        return Known(RESERVED[side.entity][1], side.ip, names, None, ())
    return Known(RESERVED["host"][1], side.ip, (), None, ())
