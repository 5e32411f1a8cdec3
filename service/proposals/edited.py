"""
A stored version as the decisions on its rules leave it.

The version itself stays as the run proposed it. What a view adds and what it withholds is in
``models.manifest.edited``; here is what it makes of the replay, which only a run can repeat.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from models.domain.proposal import Proposal
from models.domain.proposal_json import iso, objective_to_json, proposal_to_json
from models.domain.rule import Rule
from models.manifest.edited import edited, edited_directions
from models.manifest.render import chosen_rules

#: Why the replay of an edited policy has no counts, for people.
NOT_REPLAYED: Final = (
    "how many of them this policy admits is not known until the next inference: rules were rejected since "
    "this was proposed"
)
REJECTED: Final = "A reviewer rejected this rule; what no other rule lets pass of it is denied."
#: Counts of a replay that change with its rules; what was checked does not.
_COUNTS: Final = (
    "admitted",
    "undecided",
    "denied_edge_days",
    "denied_legitimate",
    "requests",
    "requests_undecided",
    "requests_refused",
)
_TOLD_ANEW: Final = ("description", "maturity", "maturity_reason", "reasons", "completeness")


def as_decided(body: Mapping[str, Any], proposal: Proposal, include: Collection[str]) -> Mapping[str, Any]:
    """
    Contract form of a version with the rules that are left; as it was stored where all of them are.

    Parameters
    ----------
    body, proposal
        The version, in both forms.
    include
        Ids of the rules that nobody rejected.
    """
    rules = chosen_rules(proposal, include)
    if len(rules) == len(proposal.rules):
        return body
    directions = edited_directions(proposal, include)
    left = replace(
        edited(proposal, include), rules=rules, ingress=directions["ingress"], egress=directions["egress"]
    )
    form = proposal_to_json(left)
    gone = [rule for rule in proposal.rules if rule.id not in include]
    return {
        **body,
        **{name: form[name] for name in _TOLD_ANEW},
        "objective": objective_to_json(left),
        "backtest": _backtest(body["backtest"], left, gone),
    }


def _backtest(
    stored: Mapping[str, Any] | None, left: Proposal, gone: Collection[Rule]
) -> dict[str, Any] | None:
    """What is known to be denied, the traffic of the rejected rules first; no count that is not."""
    if stored is None:
        return None
    closed = {way for way in ("ingress", "egress") if left.decision(way).enforced}
    denied = [
        *(_denial(rule) for rule in gone if rule.direction in closed and not rule.evidence.assumed),
        *(line for line in stored["denied"] if line["direction"] in closed),
    ]
    unlisted = max(stored.get("denied_in_all", 0) - len(stored["denied"]), 0)
    return {
        **stored,
        **dict.fromkeys(_COUNTS),
        "days": {},
        "denied": denied,
        "denied_in_all": len(denied) + unlisted,
        "reason": NOT_REPLAYED,
    }


def _denial(rule: Rule) -> dict[str, Any]:
    """What was seen of a rejected rule, as a line of the replay; edges by day are not kept with a rule."""
    seen = rule.evidence
    return {
        "direction": rule.direction,
        "peer": rule.peer.title,
        "port": ", ".join(port.text for port in rule.ports),
        "edge_days": None,
        "reason": "rejected",
        "why": REJECTED,
        "workload": "",
        "legitimacy": "legitimate",
        "flows": seen.flows,
        "days": {},
        "days_seen": seen.days_seen,
        "last_seen": iso(seen.last_us),
    }
