"""What the fold could make no edge of although it may have worked, as edges that no rule allows."""

from types import MappingProxyType
from typing import Final

from models.frames import Observations
from models.synthesis.candidates import Excluded
from models.synthesis.edges import EDGE_KEY, NO_PLACE, Edge
from models.synthesis.reasons import NEEDS_NO_RULE
from models.synthesis.targets import edge_target
from models.synthesis.view import ClusterView

#: Reason of the fold to the reason that a reviewer reads.
_REASONS: Final = MappingProxyType(
    {
        "ambiguous_direction": "ambiguous_direction",
        "port_zero": "no_port",
        "reply_only": "no_request",
        "service_without_known_pods": "service_address",
        "unresolved": "unresolved",
        "unsupported_protocol": "unsupported_protocol",
    }
)
#: Reasons that say nothing of the peer, and those of a peer that hold on whatever port it is called.
_NO_PORT: Final = frozenset({"no_port", "unsupported_protocol"})
_ON_ANY_PORT: Final = NEEDS_NO_RULE | {"link_local"}
#: What is not known of such an edge.
_NOTHING: Final = Edge(
    place=NO_PLACE,
    subject="",
    direction="",
    peer_kind="",
    peer="",
    protocol="",
    port=-1,
    icmp_type=-1,
    flows=0,
    connections=0,
    answered=0,
    reset=0,
    audited=0,
    denied=0,
    l7_denied=0,
    dropped=0,
    days=0,
    working_days=0,
    visible_days=0,
    answered_days=0,
    first_us=0,
    last_us=0,
    aggregated=False,
    own_end=True,
    names=(),
    names_from=(),
    drop_reasons=(),
    samples=(),
    policies=(),
    subject_pods=0,
    peer_pods=0,
    subject_pod_names=(),
    peer_pod_names=(),
    dns=False,
)


def aside_edges(observations: Observations, view: ClusterView) -> list[Excluded]:
    """
    Edges of ``aside_edges`` with the reason why no rule allows them, in the order of that frame.

    They have no place in the table of edges: nothing is learned from what nobody can say the ends of. But
    a policy that closes their direction breaks them.
    """
    visible = bool(observations.coverage["replies"].sum())
    found = []
    for row in observations.aside_edges.to_dict("records"):
        reason = _REASONS[row["reason"]]
        days = int(row["days"])
        # what answers for a service address is one of its pods
        shows = visible and reason != "service_address"
        edge = _NOTHING._replace(
            **{name: row[name] for name in (*EDGE_KEY, "flows", "answered", "days", "first_us", "last_us")},
            working_days=days,
            visible_days=days if shows else 0,
            answered_days=days if row["answered"] else 0,
        )
        found.append(Excluded(edge, view.workload(edge.subject), _by_peer(view, edge, reason)))
    return found


def _by_peer(view: ClusterView, edge: Edge, reason: str) -> str:
    """The reason, or that of a peer for whom no port matters, as policy lets it pass or never sees it."""
    if reason not in _NO_PORT:
        return reason
    target = edge_target(view, edge._replace(protocol="TCP", port=1))
    return target if isinstance(target, str) and target in _ON_ANY_PORT else reason
