"""What was seen behind each rule, counted so that volume and replicas do not pass for certainty."""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.domain.rule import RuleEvidence
from models.synthesis.edges import Edge, EdgeTable

_SAMPLES: Final = 3
MAX_ADDRESSES: Final = 20  # shown per rule; the number of all of them is kept beside
SECOND_US: Final = 1_000_000
#: Verdict classes, sorted, and the columns that count them.
_VERDICTS: Final = ("audited", "denied", "dropped", "forwarded", "l7_denied")
_BY_VERDICT: Final = attrgetter("audited", "denied", "dropped", "flows", "l7_denied")
#: What adds up over the edges of a rule.
_SUMS: Final = {
    column: attrgetter(column)
    for column in (
        *("flows", "connections", "audited", "denied", "l7_denied", "dropped"),
        *("visible_days", "answered_days"),
    )
}
#: Edges whose hours are laid out at a time: for 60 days a megabyte.
_EDGES_AT_ONCE: Final = 4096
_AGE: Final = attrgetter("first_us", "place")


class DayIndex:
    """Days and hours of any group of edges, without a pass over all days for each."""

    def __init__(self, table: EdgeTable) -> None:
        self._days: list[int] = []
        self._hours: list[int] = []
        width = max(len(table.days), 1)
        pairs = table.day_edge * width + table.day_number
        order = np.argsort(pairs, kind="stable")
        pairs, hours = pairs[order], table.day_hours[order]
        starts = np.flatnonzero(np.diff(pairs, prepend=-1))
        edges, days = np.divmod(pairs[starts], width)
        hours = np.bitwise_or.reduceat(hours, starts) if len(starts) else hours
        for first in range(0, len(table.edges), _EDGES_AT_ONCE):
            size = min(_EDGES_AT_ONCE, len(table.edges) - first)
            begin, end = np.searchsorted(edges, [first, first + size])
            cells = edges[begin:end] - first, days[begin:end]
            seen, when = np.zeros((size, width), dtype=np.bool_), np.zeros((size, width), dtype="<u4")
            seen[cells], when[cells] = True, hours[begin:end]
            self._days += _numbers(np.packbits(seen, axis=1, bitorder="little"))
            self._hours += _numbers(when)

    def seen(self, edges: Sequence[Edge]) -> tuple[int, int]:
        """Distinct days and distinct hours in which any of the edges passed."""
        days = hours = 0
        for edge in edges:
            days |= self._days[edge.place]
            hours |= self._hours[edge.place]
        return days.bit_count(), hours.bit_count()


def _numbers(rows: npt.NDArray[Any]) -> list[int]:
    """The bits of each row as one number."""
    text, size = rows.tobytes(), rows.strides[0]
    return [int.from_bytes(text[at : at + size], "little") for at in range(0, len(text), size)]


def _pods(edges: Sequence[Edge], side: str) -> int:
    """
    Distinct pods at one end.

    Pods of different label sets are different pods. Of edges that share a label set as many are counted
    as one of them shows, or as their names tell apart.
    """
    if len(edges) == 1:
        return edges[0].subject_pods if side == "subject" else edges[0].peer_pods
    most: dict[str, int] = {}
    named: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        mine = side == "subject"
        key, pods = (edge.subject, edge.subject_pods) if mine else (edge.peer, edge.peer_pods)
        most[key] = max(most.get(key, 0), pods)
        named[key].update(edge.subject_pod_names if mine else edge.peer_pod_names)
    return sum(max(pods, len(named[key])) for key, pods in most.items())


def rule_evidence(edges: Sequence[Edge], index: DayIndex, direction: str, days_observed: int) -> RuleEvidence:
    """
    Evidence of a rule.

    Parameters
    ----------
    edges
        The edges the rule comes from; at least one.
    index
        Of the table that they are in.
    direction
        Tells which end is the client.
    days_observed
        Days on which the subject could have been seen.
    """
    ordered = sorted(edges, key=_AGE) if len(edges) > 1 else edges
    days, hours = index.seen(ordered)
    subjects, peers = _pods(ordered, "subject"), _pods(ordered, "peer")
    addresses = sorted({edge.peer for edge in ordered if edge.peer_kind == "ip"})
    of = _together(ordered) if len(ordered) > 1 else ordered[0]
    verdicts = zip(_VERDICTS, _BY_VERDICT(of), strict=True)
    return RuleEvidence(
        days_seen=days,
        days_observed=max(days, days_observed),
        hours_seen=hours,
        client_pods=subjects if direction == "egress" else peers,
        server_pods=peers if direction == "egress" else subjects,
        flows=of.flows,
        connections=of.connections,
        answered_share=round(of.answered_days / of.visible_days, 4) if of.visible_days else None,
        verdicts=tuple(told for told in verdicts if told[1]),
        first_us=of.first_us // SECOND_US * SECOND_US,
        last_us=of.last_us // SECOND_US * SECOND_US,
        names=of.names,
        addresses=tuple(addresses[:MAX_ADDRESSES]),
        address_count=len(addresses),
        samples=of.samples[:_SAMPLES],
        policies=of.policies,
        own_end=of.own_end,
    )


def _together(ordered: Sequence[Edge]) -> Edge:
    """The oldest of several edges with what was seen of all of them, but for days and ends."""
    return ordered[0]._replace(
        **{column: sum(map(count, ordered)) for column, count in _SUMS.items()},
        last_us=max(edge.last_us for edge in ordered),
        own_end=any(edge.own_end for edge in ordered),
        names=tuple(sorted({name for edge in ordered for name in edge.names})),
        samples=tuple(dict.fromkeys((*ordered[0].samples, *ordered[-1].samples))),
        policies=tuple(sorted({policy for edge in ordered for policy in edge.policies})),
    )
