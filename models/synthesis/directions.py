"""
Whether a direction is constrained: an explicit decision, never an accident of what was seen.

A section in a policy denies everything else in its direction. So there is a section only where traffic
was observed and what was observed can be written down; otherwise the direction stays open and says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.domain.proposal import DirectionDecision
from models.domain.rule import Direction, Rule
from models.synthesis.candidates import Excluded
from models.synthesis.leftovers import works
from models.synthesis.reasons import ALWAYS_BLOCKING, INEXPRESSIBLE, NEEDS_NO_RULE
from models.synthesis.view import Posture

#: Share of the observed days on which one inexpressible edge must have worked to keep a direction open;
#: a pod that starts shows a few such records on the day it starts.
PERSISTENT_SHARE: Final = 0.5
MIN_PERSISTENT_DAYS: Final = 2

_EACH: Final = {"ingress": "incoming", "egress": "outgoing"}


def _blocks(one: Excluded, days: int, posture: Posture) -> bool:
    """Whether enforcing the direction would break this edge for certain."""
    if one.reason not in INEXPRESSIBLE or not works(one.edge):
        return False
    if one.reason in ALWAYS_BLOCKING or posture == "generous":
        return True
    return one.edge.working_days >= max(MIN_PERSISTENT_DAYS, PERSISTENT_SHARE * days)


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known of a workload's two directions.

    Parameters
    ----------
    rules
        Of either direction, without assumed ones.
    excluded
        Edges of the workload that make no rule.
    rejected
        A reviewer rejected rules of this workload.
    days
        Calendar days on which the workload could have been seen.
    posture
        ``generous`` keeps a direction open for every working edge that cannot be written.
    """

    rules: Sequence[Rule]
    excluded: Sequence[Excluded]
    rejected: bool
    days: int
    posture: Posture


def decide(direction: Direction, evidence: Evidence) -> DirectionDecision:
    """Decide on one direction of one workload."""
    mine = [rule for rule in evidence.rules if rule.direction == direction]
    here = [one for one in evidence.excluded if one.edge.direction == direction]
    blocking = [one for one in here if _blocks(one, evidence.days, evidence.posture)]
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
        if evidence.rejected:
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
    return DirectionDecision(
        True, "observed", f"Constrained: {kind} traffic was observed and all of it has a place."
    )
