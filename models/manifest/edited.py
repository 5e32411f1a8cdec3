"""
What a proposal says of itself without some of its rules: those that reviewers rejected since it was made.

Words and terms that follow from the rules are told anew. What only a look at the observations tells, the
forecast of a direction that lost rules, is withheld: the old one speaks of another policy.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from models.domain.confidence import Completeness
from models.domain.proposal import DirectionDecision, Proposal
from models.domain.rule import Direction, Rule
from models.manifest.render import LEFT_OPEN, chosen_rules
from models.synthesis.description import SERVERS_FIRST, describe

#: Why there is no forecast.
NOT_FORECAST: Final = "not known until the next inference: rules were rejected since this was proposed"
#: Why a policy is not ``stable``, in files too, which keep the evidence of their approval.
NOT_STABLE: Final = "no forecast was made without its rejected rules"


def edited(proposal: Proposal, include: Collection[str]) -> Proposal:
    """
    The proposal in the words of the rules that are left; itself where all of them are.

    Parameters
    ----------
    proposal
        As a run made it.
    include
        Ids of the rules that are left.

    Returns
    -------
    Proposal
        With every rule and both directions as they were, so that its fingerprint and what it counts as
        proposed stay; description, reasons and maturity are those of the rules that are left.
    """
    rules = chosen_rules(proposal, include)
    if len(rules) == len(proposal.rules):
        return proposal
    calls = any(rule.direction == "egress" for rule in rules)
    waits = proposal.maturity == "stable" and any(
        one.enforced and one is not proposal.decision(way)
        for way, one in edited_directions(proposal, include).items()
    )
    return replace(
        proposal,
        description=describe(proposal.subject.workloads, rules),
        reasons=tuple(one for one in proposal.reasons if calls or one != SERVERS_FIRST),
        maturity="maturing" if waits else proposal.maturity,
        why_not_stable=NOT_STABLE if waits else proposal.why_not_stable,
    )


def edited_directions(proposal: Proposal, include: Collection[str]) -> Mapping[Direction, DirectionDecision]:
    """Both directions with the rules that are left: without any it is open, with fewer it has no forecast."""
    rules = chosen_rules(proposal, include)
    return {
        "ingress": _decided(proposal, "ingress", rules),
        "egress": _decided(proposal, "egress", rules),
    }


def _decided(proposal: Proposal, direction: Direction, rules: Sequence[Rule]) -> DirectionDecision:
    decision = proposal.decision(direction)
    proposed = sum(rule.direction == direction for rule in proposal.rules)
    left = sum(rule.direction == direction for rule in rules)
    if left == proposed:
        return decision
    if not left:
        return DirectionDecision(
            False, "all_rejected", LEFT_OPEN, Completeness(reason="left open: nothing is denied")
        )
    return replace(
        decision,
        why=f"{decision.why} Rejected since: {proposed - left} of its {proposed} rules.",
        completeness=Completeness(reason=NOT_FORECAST, uncovered=decision.completeness.uncovered),
    )
