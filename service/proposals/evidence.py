"""Evidence of a rule, what it lets pass and what it opens, in lines that a person reads."""

from collections.abc import Mapping
from typing import Any, Final

from models.synthesis.exchange import EXCHANGE

_OPENED: Final = {"pairs": "identity and port pair", "unseen": "unseen address or port"}
_SEVERAL: Final = {"pairs": "identity and port pairs", "unseen": "unseen addresses or ports"}
#: What a widening opens that cannot be counted, by its kind.
_UNCOUNTED: Final = {
    "pattern": "every other name of this pattern",
    "route": "every other path of this form",
    "world": "every other peer, wherever it is",
}


def evidence_line(evidence: Mapping[str, Any]) -> str:
    """Evidence of a rule in one line."""
    if evidence["assumed"]:
        return "not seen: assumed"
    answered = evidence["answered_share"]
    parts = [f"seen on {evidence['days_seen']} of {evidence['days_observed']} days"]
    if evidence["hours_seen"]:  # 0 where no record tells who the two were
        parts.append(f"{evidence['hours_seen']} hours")
        parts.append(f"{evidence['client_pods']} client and {evidence['server_pods']} server pods")
    parts += [
        f"{evidence['flows']:,} flows",
        "replies could not be seen" if answered is None else f"answered {answered:.0%}",
        f"last {evidence['last_seen']}",
    ]
    if not evidence["own_end"]:
        parts.append("seen at the other end only")
    return ", ".join(parts)


def http_lines(rule: Mapping[str, Any]) -> list[str]:
    """Requests that a rule lets pass, one line each; none where it does not look at HTTP."""
    return [
        f"{one['method']} {one['path'] or '(any path)'}: {one['routes']:,} path"
        f"{'' if one['routes'] == 1 else 's'}, {one['requests']:,} requests on {one['days_seen']} days"
        for one in rule.get("http", ())
    ]


def widening_lines(rule: Mapping[str, Any]) -> list[str]:
    """
    What a rule opens beyond what was seen, and the terms of the objective that speak for it.

    The unit of the terms is one line of a policy; below zero speaks for widening. Where nothing was weighed,
    the line says so.
    """
    return [f"{_opened(one)}; {_terms(one['objective'])}" for one in rule.get("widening", ())]


def objective_line(proposal: Mapping[str, Any]) -> str:
    """What a whole proposal weighs against each other; "" for one that an older version stored."""
    found = proposal.get("objective")
    if found is None:
        return ""
    denials, doubts = found["expected_denials_7d"], found["doubts"]
    return (
        f"{found['rules']} rules, openings worth {found['openings']:+.2f} rules against exact ones, "
        f"{'an unknown number of' if denials is None else f'{denials:.2f}'} legitimate denials expected in "
        f"7 days, {'an unknown number of' if doubts is None else f'{doubts:.2f}'} unwanted rules expected"
    )


def posture_line(proposal: Mapping[str, Any]) -> str:
    """Posture that a proposal was made with, and its exchange rates; "" for one of an older version."""
    posture = str(proposal.get("posture"))
    if posture not in EXCHANGE:
        return ""
    rates = EXCHANGE[posture]
    return (
        f"{posture}: up to {rates.pairs_per_denial:g} pairs inside the cluster are opened to avoid one "
        f"expected denial there; outside, one is worth {rates.mu_outside:g} rules"
    )


def _opened(one: Mapping[str, Any]) -> str:
    text = f"{one['kind']} {one['what']} stands for {one['covers']:,} that were seen"
    opened = [f"{n:,} {(_OPENED if n == 1 else _SEVERAL)[name]}" for name in _OPENED if (n := one[name])]
    if one["kind"] in _UNCOUNTED:
        opened.append(f"{_UNCOUNTED[one['kind']]}, which nobody can count,")
    return f"{text} and opens {' and '.join(opened) or 'nothing'} beyond"


def _terms(objective: Mapping[str, float]) -> str:
    if not any(objective.values()):
        return "not weighed against anything, for no narrower rule lets it through"
    terms = ", ".join(f"{name} {objective[name] + 0.0:+.2f}" for name in ("openings", "rules", "denials"))
    return f"objective {objective['change']:+.2f} ({terms})"
