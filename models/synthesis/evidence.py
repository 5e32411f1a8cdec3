"""What was seen behind each rule, counted so that volume and replicas do not pass for certainty."""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from models.domain.rule import RuleEvidence
from models.synthesis.edges import Edge, EdgeTable

_SAMPLES: Final = 3
MAX_ADDRESSES: Final = 20  # shown per rule; the number of all of them is kept beside
SECOND_US: Final = 1_000_000
_VERDICTS: Final = (
    ("forwarded", attrgetter("flows")),
    ("audited", attrgetter("audited")),
    ("denied", attrgetter("denied")),
    ("l7_denied", attrgetter("l7_denied")),
    ("dropped", attrgetter("dropped")),
)


class DayIndex:
    """Days and hours of any group of edges, without a pass over all days for each."""

    def __init__(self, table: EdgeTable) -> None:
        order = np.argsort(table.day_edge, kind="stable")
        edges = table.day_edge[order]
        places = np.arange(len(table.edges) + 1)
        self._days = table.day_number[order].tolist()
        self._hours = table.day_hours[order].tolist()
        self._bounds = np.searchsorted(edges, places).tolist()
        self._alone = _days_and_hours(table)

    def seen(self, edges: Sequence[Edge]) -> tuple[int, int]:
        """Distinct days and distinct hours in which any of the edges passed."""
        if len(edges) == 1:
            return self._alone[edges[0].place]
        hours: dict[int, int] = {}
        for edge in edges:
            start, end = self._bounds[edge.place], self._bounds[edge.place + 1]
            for day, bits in zip(self._days[start:end], self._hours[start:end], strict=True):
                hours[day] = hours.get(day, 0) | bits
        return len(hours), sum(map(int.bit_count, hours.values()))


def _days_and_hours(table: EdgeTable) -> list[tuple[int, int]]:
    """`DayIndex.seen` of every edge by itself, for most rules start from one."""
    pairs = table.day_edge * max(len(table.days), 1) + table.day_number
    order = np.argsort(pairs, kind="stable")
    pairs, hours = pairs[order], table.day_hours[order]
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    edges = pairs[starts] // max(len(table.days), 1)
    united = np.bitwise_or.reduceat(hours, starts) if len(starts) else hours
    size = len(table.edges)
    days = np.bincount(edges, minlength=size)
    total = np.bincount(edges, weights=np.bitwise_count(united), minlength=size).astype(np.int64)
    return list(zip(days.tolist(), total.tolist(), strict=True))


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
    ordered = sorted(edges, key=lambda edge: (edge.first_us, edge.place))
    days, hours = index.seen(ordered)
    visible = sum(edge.visible_days for edge in ordered)
    answered = sum(edge.answered_days for edge in ordered)
    subjects, peers = _pods(ordered, "subject"), _pods(ordered, "peer")
    addresses = sorted({edge.peer for edge in ordered if edge.peer_kind == "ip"})
    verdicts = [(name, sum(map(column, ordered))) for name, column in _VERDICTS]
    samples = dict.fromkeys(sample for edge in (ordered[0], ordered[-1]) for sample in edge.samples)
    last_us = max(edge.last_us for edge in ordered)
    return RuleEvidence(
        days_seen=days,
        days_observed=max(days, days_observed),
        hours_seen=hours,
        client_pods=subjects if direction == "egress" else peers,
        server_pods=peers if direction == "egress" else subjects,
        flows=sum(edge.flows for edge in ordered),
        connections=sum(edge.connections for edge in ordered),
        answered_share=round(answered / visible, 4) if visible else None,
        verdicts=tuple(sorted((name, count) for name, count in verdicts if count)),
        first_us=ordered[0].first_us // SECOND_US * SECOND_US,
        last_us=last_us // SECOND_US * SECOND_US,
        names=tuple(sorted({name for edge in ordered for name in edge.names})),
        addresses=tuple(addresses[:MAX_ADDRESSES]),
        address_count=len(addresses),
        samples=tuple(samples)[:_SAMPLES],
        policies=tuple(sorted({policy for edge in ordered for policy in edge.policies})),
        own_end=any(edge.own_end for edge in ordered),
    )
