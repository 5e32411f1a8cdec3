"""
The contract form of proposals: what the command line prints, the API serves and the database keeps.

`proposal_to_json` and `proposal_from_json` are inverse, so a stored proposal can be rendered again,
with some of its rules only, without another look at the observations.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from models.domain.confidence import (
    completeness_from_json,
    completeness_to_json,
    confidence_from_json,
    confidence_to_json,
    ledger_to_json,
)
from models.domain.http import template_from_json
from models.domain.peer import LabelSelector, peer_from_json, peer_to_json
from models.domain.proposal import (
    Assumption,
    Backtest,
    BacktestDenial,
    DirectionDecision,
    LeftOut,
    Proposal,
    Subject,
)
from models.domain.quarantine import quarantined_from_json
from models.domain.rule import Port, Rule, RuleEvidence, Widening

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@cache
def _names(kind: type["DataclassInstance"]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _fields(value: "DataclassInstance") -> dict[str, Any]:
    """Fields by name; not a deep copy, as ``dataclasses.asdict`` makes one, of values that never change."""
    return {name: getattr(value, name) for name in _names(type(value))}


def iso(us: int) -> str | None:
    """Microseconds since the epoch as RFC 3339 in UTC with seconds; ``None`` for 0, which is "never"."""
    if us == 0:
        return None
    return datetime.fromtimestamp(us // 1_000_000, tz=UTC).isoformat().removesuffix("+00:00") + "Z"


def _microseconds(text: str | None) -> int:
    return 0 if text is None else int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def evidence_to_json(evidence: RuleEvidence) -> dict[str, Any]:
    """Evidence of a rule; times as text, cut to seconds."""
    form = _fields(evidence)
    form["verdicts"] = dict(evidence.verdicts)
    for name in ("names", "addresses", "samples", "policies"):
        form[name] = list(form[name])
    form["first_seen"] = iso(form.pop("first_us"))
    form["last_seen"] = iso(form.pop("last_us"))
    return form


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """Contract form of a rule; a learned number that is missing is ``null`` with the reason why."""
    return {
        "id": rule.id,
        "path": rule.path,
        "direction": rule.direction,
        "title": rule.title,
        "peer": peer_to_json(rule.peer),
        "ports": [port.to_json() for port in rule.ports],
        "dns": list(rule.dns),
        "http": [one.to_json() for one in rule.http],
        **confidence_to_json(rule.confidence),
        "maturity": rule.maturity,
        "evidence": {**evidence_to_json(rule.evidence), "ledger": ledger_to_json(rule.confidence)},
        "reasons": list(rule.reasons),
        "flags": list(rule.flags),
        "widening": [one.to_json() for one in rule.widening],
    }


def left_out_to_json(line: LeftOut) -> dict[str, Any]:
    """Contract form of observed traffic that no rule allows."""
    form = _fields(line)
    form["first_seen"] = iso(form.pop("first_us"))
    form["last_seen"] = iso(form.pop("last_us"))
    return form


def backtest_to_json(backtest: Backtest | None) -> dict[str, Any] | None:
    """Contract form of a replay; days are an object of counts by date."""
    if backtest is None:
        return None
    denied = [{**_fields(denial), "days": dict(denial.days)} for denial in backtest.denied]
    return {**_fields(backtest), "denied": denied, "days": dict(backtest.days)}


def objective_to_json(proposal: Proposal) -> dict[str, float | int | None]:
    """
    Terms of the objective for a whole proposal, each in a unit of its own (method, section 7).

    ``openings`` is what its rules open beyond what was seen, priced in lines, against exact rules: below 0
    where prefixes are reckoned as less than the addresses that they stand for; ``rules`` counts them;
    ``expected_denials_7d`` sums the forecasts of the directions that it constrains; ``doubts`` sums over
    its rules the probability that what they admit is unwanted. ``None``: too little was seen.
    """
    legit = [rule.confidence.p_legit for rule in proposal.rules if rule.confidence.p_legit is not None]
    ways = [way.completeness.expected for way in (proposal.ingress, proposal.egress) if way.enforced]
    known = [expected for expected in ways if expected is not None]
    opened = sum(one.openings for rule in proposal.rules for one in rule.widening)
    return {
        "openings": round(opened, 3),
        "rules": len(proposal.rules),
        "expected_denials_7d": round(sum(known), 3) if known and len(known) == len(ways) else None,
        "doubts": round(sum(1.0 - one for one in legit), 3) if legit else None,
    }


def _completeness(decision: DirectionDecision) -> dict[str, Any]:
    return {
        **completeness_to_json(decision.completeness),
        "enforced": decision.enforced,
        "decision": decision.reason,
        "why": decision.why,
    }


def proposal_to_json(
    proposal: Proposal,
    *,
    version: int = 1,
    state: str = "pending",
    manifest: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Contract form of a proposal.

    Parameters
    ----------
    proposal
        What a run proposed.
    version, state
        Owned by the review: which version this is and what was decided about it.
    manifest
        The rendered object, where the caller wants it in the answer.
    """
    return {
        "key": proposal.key,
        "version": version,
        "state": state,
        "fingerprint": proposal.fingerprint,
        "maturity": proposal.maturity,
        "maturity_reason": proposal.why_not_stable,
        "posture": proposal.posture,
        "cluster": proposal.cluster,
        "namespace": proposal.namespace,
        "name": proposal.name,
        "description": proposal.description,
        "subject": {
            "selector": proposal.subject.selector.to_json(),
            "workloads": list(proposal.subject.workloads),
            "service_account": proposal.subject.service_account,
        },
        "observed_from": iso(proposal.observed_from_us),
        "effective_days": proposal.effective_days,
        "rules": [rule_to_json(rule) for rule in proposal.rules],
        "objective": objective_to_json(proposal),
        "quarantine": [entry.to_json() for entry in proposal.quarantine],
        "left_out": [left_out_to_json(line) for line in proposal.left_out],
        "completeness": {
            "egress": _completeness(proposal.egress),
            "ingress": _completeness(proposal.ingress),
        },
        "assumptions": [_fields(assumption) for assumption in proposal.assumptions],
        "reasons": list(proposal.reasons),
        "flags": list(proposal.flags),
        "backtest": backtest_to_json(proposal.backtest),
        "manifest": None if manifest is None else dict(manifest),
    }


def _seen(form: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in form.items() if key not in ("first_seen", "last_seen")}
    rest["first_us"] = _microseconds(form["first_seen"])
    rest["last_us"] = _microseconds(form["last_seen"])
    return rest


def _rule(form: Mapping[str, Any]) -> Rule:
    evidence = _seen(form["evidence"])
    evidence.pop("ledger", None)
    evidence["verdicts"] = tuple(sorted(evidence["verdicts"].items()))
    for name in ("names", "addresses", "samples", "policies"):
        evidence[name] = tuple(evidence[name])
    ports = tuple(
        Port(port["protocol"], port.get("port", port.get("type")), port.get("end_port", 0))
        for port in form["ports"]
    )
    return Rule(
        id=form["id"],
        direction=form["direction"],
        peer=peer_from_json(form["peer"]),
        ports=ports,
        evidence=RuleEvidence(**evidence),
        path=form["path"],
        dns=tuple(form["dns"]),
        http=tuple(template_from_json(one) for one in form.get("http", ())),
        maturity=form["maturity"],
        reasons=tuple(form["reasons"]),
        flags=tuple(form["flags"]),
        widening=tuple(_widening(one) for one in form.get("widening", ())),
        confidence=confidence_from_json(form),
    )


def _widening(form: Mapping[str, Any]) -> Widening:
    terms = form["objective"]
    counts = {name: form[name] for name in ("kind", "what", "covers", "pairs")}
    counts["unseen"] = form["unseen"] or 0
    return Widening(**counts, openings=terms["openings"], rules=-terms["rules"], denials=-terms["denials"])


def _decision(form: Mapping[str, Any]) -> DirectionDecision:
    return DirectionDecision(form["enforced"], form["decision"], form["why"], completeness_from_json(form))


def _backtest(form: Mapping[str, Any] | None) -> Backtest | None:
    if form is None:
        return None
    denied = tuple(BacktestDenial(**{**denial, "days": _by_day(denial)}) for denial in form["denied"])
    return Backtest(**{**form, "denied": denied, "days": _by_day(form)})


def _by_day(form: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Counts by day; a replay that an older version stored has none."""
    return tuple(sorted(form.get("days", {}).items()))


def proposal_from_json(form: Mapping[str, Any]) -> Proposal:
    """Proposal from its contract form; what the review added (version, state, manifest) is ignored."""
    selector = form["subject"]["selector"]
    absent = tuple(sorted(entry["key"] for entry in selector.get("matchExpressions", ())))
    return Proposal(
        key=form["key"],
        cluster=form["cluster"],
        namespace=form["namespace"],
        name=form["name"],
        subject=Subject(
            LabelSelector(tuple(sorted(selector["matchLabels"].items())), absent),
            tuple(form["subject"]["workloads"]),
            form["subject"]["service_account"],
        ),
        description=form["description"],
        rules=tuple(_rule(rule) for rule in form["rules"]),
        ingress=_decision(form["completeness"]["ingress"]),
        egress=_decision(form["completeness"]["egress"]),
        left_out=tuple(LeftOut(**_seen(line)) for line in form["left_out"]),
        maturity=form["maturity"],
        observed_from_us=_microseconds(form["observed_from"]),
        effective_days=form["effective_days"],
        assumptions=tuple(Assumption(**assumption) for assumption in form["assumptions"]),
        reasons=tuple(form["reasons"]),
        flags=tuple(form["flags"]),
        backtest=_backtest(form["backtest"]),
        quarantine=tuple(quarantined_from_json(entry) for entry in form["quarantine"]),
        why_not_stable=form.get("maturity_reason", ""),
        posture=form.get("posture", ""),
    )
