"""
Whether a direction is constrained: an explicit decision, never an accident of what was seen.

A section in a policy denies everything else in its direction. So there is a section only where traffic
was observed and what was observed can be written down; otherwise the direction stays open and says why.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.domain.proposal import DirectionDecision
from models.domain.rule import Direction, Rule
from models.synthesis.candidates import Excluded
from models.synthesis.edges import Edge, days_in_turn
from models.synthesis.leftovers import works
from models.synthesis.reasons import ALWAYS_BLOCKING, INEXPRESSIBLE, NEEDS_NO_RULE
from models.synthesis.view import Posture

#: Share of the observed days on which one inexpressible contact must have worked to keep a direction open;
#: a pod that starts shows a few such records on the day it starts.
PERSISTENT_SHARE: Final = 0.5
MIN_PERSISTENT_DAYS: Final = 2

#: What a person decides on, by reason, in words.
_KEPT_OUT: Final = {
    "quarantined": "call held back until somebody decides",
    "reviewed_unwanted": "call that a reviewer confirmed as unwanted",
}
_UNPLACED: Final = "edge that nobody can place"
_OTHERWISE: Final = "edge left out for another reason"
_EACH: Final = {"ingress": "incoming", "egress": "outgoing"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known of a workload's two directions.

    Parameters
    ----------
    rules
        Of either direction, for traffic whose ends are known: neither assumed ones nor untold ones.
    excluded
        Edges of the workload that no rule lets through.
    rejected
        Directions of which a reviewer rejected rules.
    days
        Calendar days on which the workload could have been seen.
    posture
        ``generous`` keeps a direction open for every working edge that cannot be written.
    peer_of
        The other side of an edge by what it is called: it stays the same when a release changes its labels.
    held
        Reason by place of the edge, of what is held back or was confirmed as unwanted.
    """

    rules: Sequence[Rule]
    excluded: Sequence[Excluded]
    rejected: Collection[str]
    days: int
    posture: Posture
    peer_of: Callable[[Edge], str]
    held: Mapping[int, str]


def _blocking(here: Iterable[Excluded], evidence: Evidence) -> list[Excluded]:
    """Edges that enforcing their direction would break for certain."""
    contacts: dict[tuple[str, str, str, int, int], list[Excluded]] = defaultdict(list)
    for one in here:
        if one.reason in INEXPRESSIBLE and works(one.edge):
            edge = one.edge
            key = (one.reason, evidence.peer_of(edge), edge.protocol, edge.port, edge.icmp_type)
            contacts[key].append(one)
    return [
        one
        for (reason, *_), edges in contacts.items()
        if reason in ALWAYS_BLOCKING
        or evidence.posture == "generous"
        or working_days(one.edge for one in edges) >= persistent_days(evidence.days)
        for one in edges
    ]


def persistent_days(days: int) -> float:
    """Of so many days, those on which a contact has to work for a default deny to break it for certain."""
    return max(MIN_PERSISTENT_DAYS, PERSISTENT_SHARE * days)


def working_days(edges: Iterable[Edge]) -> int:
    """Days on which one contact worked, as far as its edges prove it."""
    return days_in_turn((edge, edge.working_days) for edge in edges)


def decide(direction: Direction, evidence: Evidence) -> DirectionDecision:
    """Decide on one direction of one workload."""
    mine = [rule for rule in evidence.rules if rule.direction == direction]
    here = [one for one in evidence.excluded if one.edge.direction == direction]
    blocking = _blocking(here, evidence)
    kind = _EACH[direction]
    if blocking:
        codes = ", ".join(sorted({one.reason for one in blocking}))
        return DirectionDecision(
            False,
            "incomplete",
            f"Stays open: {len(blocking)} working {kind} edges cannot be written as rules ({codes}), "
            "so a default deny would break them.",
        )
    if not mine:
        if direction in evidence.rejected:
            return DirectionDecision(
                False,
                "all_rejected",
                f"Stays open: every {kind} rule was rejected; denying all is a choice of its own.",
            )
        silent = all(one.reason in NEEDS_NO_RULE for one in here)
        seen = "traffic was observed" if silent else "traffic was observed that deserves a rule"
        return DirectionDecision(
            False, "nothing_observed", f"Stays open: no {kind} {seen}, and silence is not proof of absence."
        )
    if direction == "egress" and all("resolver" in rule.flags for rule in mine):
        return DirectionDecision(
            False,
            "only_dns",
            "Stays open: only DNS questions were observed; what the answers are used for was not.",
        )
    rest = _without_place(here, evidence)
    told = f"has a place, but for {' and '.join(rest)}" if rest else "all of it has a place"
    return DirectionDecision(True, "observed", f"Constrained: {kind} traffic was observed and {told}.")


def _without_place(here: Sequence[Excluded], evidence: Evidence) -> list[str]:
    """What a constrained direction leaves out although it worked, in words."""
    groups: dict[str, set[tuple[object, ...]]] = {
        what: set() for what in (*_KEPT_OUT.values(), _UNPLACED, _OTHERWISE)
    }
    for number, one in enumerate(here):
        edge = one.edge
        if one.reason in NEEDS_NO_RULE or not works(edge):
            continue
        what = _KEPT_OUT.get(evidence.held.get(edge.place, one.reason))
        if what is None:
            groups[_UNPLACED if one.reason in INEXPRESSIBLE else _OTHERWISE].add((number,))
        else:  # as in the quarantine: what has names is known by them, whatever address answered
            peer = edge.names or evidence.peer_of(edge)
            groups[what].add((peer, edge.protocol, edge.port, edge.icmp_type))
    return [_counted(len(found), what) for what, found in groups.items() if found]


def _counted(number: int, what: str) -> str:
    """So many of ``call held back``, with the noun in the right number."""
    noun, _, rest = what.partition(" ")
    return f"{number:,} {noun}{'' if number == 1 else 's'} {rest}"
