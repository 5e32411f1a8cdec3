"""What the fold could make no edge of although it may have worked, as edges that no rule allows."""

from types import MappingProxyType
from typing import Final

from models.frames import Observations
from models.synthesis.candidates import Excluded
from models.synthesis.edges import NO_PLACE, Edge
from models.synthesis.view import ClusterView

#: Reason of the fold to the reason that a reviewer reads.
_REASONS: Final = MappingProxyType(
    {
        "ambiguous_direction": "ambiguous_direction",
        "reply_only": "no_request",
        "service_without_known_pods": "service_address",
        "unresolved": "unresolved",
    }
)


def aside_edges(observations: Observations, view: ClusterView) -> list[Excluded]:
    """
    Edges of ``aside_edges`` with the reason why no rule allows them, in the order of that frame.

    They have no place in the table of edges: nothing is learned from what nobody can say the ends of. But
    a policy that closes their direction breaks them.
    """
    visible = bool(observations.coverage["replies"].sum())
    found = []
    for row in observations.aside_edges.itertuples(index=False):
        reason = _REASONS[str(row.reason)]
        # what answers for a service address is one of its pods
        shows = visible and reason != "service_address"
        edge = Edge(
            place=NO_PLACE,
            subject=str(row.subject),
            direction=str(row.direction),
            peer_kind=str(row.peer_kind),
            peer=str(row.peer),
            protocol=str(row.protocol),
            port=int(row.port),
            icmp_type=int(row.icmp_type),
            flows=int(row.flows),
            connections=0,
            answered=int(row.answered),
            reset=0,
            audited=0,
            denied=0,
            l7_denied=0,
            dropped=0,
            days=int(row.days),
            working_days=int(row.days),
            visible_days=int(row.days) if shows else 0,
            answered_days=int(row.days) if row.answered else 0,
            first_us=int(row.first_us),
            last_us=int(row.last_us),
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
        found.append(Excluded(edge, view.workload(edge.subject), reason))
    return found
