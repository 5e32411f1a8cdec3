"""What a policy says of itself, counted on the rules that it holds."""

from collections.abc import Sequence
from typing import Final

from models.domain.peer import EndpointPeer, FqdnPeer, Peer
from models.domain.rule import Rule

MAX_NAMED: Final = 6  # workloads in the description; the proposal lists all of them
#: Said of every proposal that constrains egress.
SERVERS_FIRST: Final = "Apply the ingress of the servers it calls before, or together with, this egress."


def describe(workloads: Sequence[str], rules: Sequence[Rule]) -> str:
    """
    One sentence that changes only when the rules do.

    Parameters
    ----------
    workloads
        ``Kind/name`` of what the policy selects.
    rules
        Those that it holds; without any, the sentence says so.
    """
    peers = {
        way: len({key for rule in rules if rule.direction == way for key in _keys(rule.peer)})
        for way in ("ingress", "egress")
    }
    word = {"ingress": "from", "egress": "to"}
    parts = [f"{way} {word[way]} {n} peer{'' if n == 1 else 's'}" for way, n in peers.items() if n]
    what = " and ".join(workload.replace("/", " ") for workload in workloads[:MAX_NAMED])
    if len(workloads) > MAX_NAMED:
        what += f" and {len(workloads) - MAX_NAMED} more"
    return (
        f"Allow-list of {what}, proposed from observed traffic: {' and '.join(parts) or 'no rule is left'}."
    )


def _keys(peer: Peer) -> list[str]:
    return [one.key for one in peer.each] if isinstance(peer, EndpointPeer | FqdnPeer) else [peer.key]
