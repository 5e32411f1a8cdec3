"""The report of one night: findings merged, ranked and counted, in the form of the contract."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from models.domain.peer import EndpointPeer
from models.domain.window import Window
from models.drift.confirmed import CONFIRMED
from models.drift.coverage import NightCoverage
from models.drift.finding import KINDS, SEVERITIES, Finding, Kind, SubjectRef, order


@dataclass(frozen=True, slots=True)
class DriftReport:
    """
    What no longer fits.

    Parameters
    ----------
    generated_at
        When the report was asked for; aware, UTC.
    cluster, window
        What it is about.
    coverage
        How well the window was heard.
    findings
        Sorted: audited traffic first, then by severity and rank.
    counts
        What was looked at: edges by verdict, policies, workloads, and what was passed over with its reason.
    notes
        Sentences about what this report cannot say.
    """

    generated_at: datetime
    cluster: str
    window: Window
    coverage: NightCoverage
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Contract form (``DESIGN.md`` section 4)."""
        return {
            "generated_at": _iso(self.generated_at),
            "window": {"start": _iso(self.window.start), "end": _iso(self.window.end)},
            "cluster": self.cluster,
            "coverage": self.coverage.to_json(),
            "summary": self.summary(),
            "findings": [finding.to_json(self.cluster) for finding in self.findings],
        }

    def summary(self) -> dict[str, Any]:
        """Findings by kind and severity, what was looked at, and what cannot be said."""
        kinds = Counter(finding.kind for finding in self.findings)
        severities = Counter(finding.severity for finding in self.findings)
        return {
            "findings": len(self.findings),
            "by_kind": {kind.value: kinds[kind] for kind in KINDS},
            "by_severity": {severity.value: severities[severity] for severity in SEVERITIES},
            **dict(sorted(self.counts.items())),
            "notes": list(self.notes),
        }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def arranged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """
    Merge what is the same thing told twice, and sort.

    A connection that both ends deny is one finding, told at the caller's end; of findings with one
    identity the worse one stays.
    """
    ordered = sorted(findings, key=order)
    seen: dict[tuple[Any, ...], Finding] = {}
    for finding in ordered:
        seen.setdefault(finding.identity, finding)
    callers: dict[tuple[Any, ...], Finding] = {
        _connection(finding): finding
        for finding in seen.values()
        if finding.direction == "egress" and isinstance(finding.peer, EndpointPeer)
    }
    swept = {finding.subject for finding in seen.values() if finding.detector == "sweep"}
    kept: list[Finding] = []
    other_end: dict[tuple[Any, ...], list[Finding]] = defaultdict(list)
    for finding in seen.values():
        if finding.direction == "ingress" and isinstance(finding.peer, EndpointPeer):
            twin = callers.get(_connection(finding))
            if twin is not None:
                other_end[twin.identity].append(finding)
                continue
            if any(_same_workload(subject, finding.peer) for subject in swept):
                continue
        kept.append(finding)
    return tuple(sorted((_joined(one, other_end.get(one.identity, [])) for one in kept), key=order))


def _joined(finding: Finding, others: list[Finding]) -> Finding:
    """A finding with what the other end says of the same connection."""
    if not others:
        return finding
    end = others[0]
    worst = min((finding, *others), key=lambda one: SEVERITIES.index(one.severity))
    kind = Kind.SUSPICIOUS if any(one.kind is Kind.SUSPICIOUS for one in (finding, *others)) else finding.kind
    policies = tuple(dict.fromkeys((*finding.policy, *(policy for one in others for policy in one.policy))))
    suggestion = finding.suggestion
    if suggestion is not None and end.suggestion is not None and end.suggestion.policy:
        text = f"{suggestion.text} The other end needs a change to {end.suggestion.policy} too."
        suggestion = replace(suggestion, text=text)
    seen = "seen" if finding.detector == CONFIRMED else "denied"
    # Both ends are told as one: where only the server's end is audited, the caller's counts do not say so.
    by_audit = 0 if finding.audited else max(dict(one.verdicts).get("audited", 0) for one in others)
    verdicts = dict(finding.verdicts) | ({"audited": by_audit} if by_audit else {})
    why = f"{finding.why} At {end.subject.title} only audit mode lets it pass." if by_audit else finding.why
    return replace(
        finding,
        kind=kind,
        why=why,
        verdicts=tuple(sorted(verdicts.items())),
        severity=worst.severity,
        policy=policies,
        suggestion=suggestion,
        merged=tuple(dict.fromkeys((*finding.merged, f"also {seen} at {end.subject.title}"))),
    )


def _connection(finding: Finding) -> tuple[Any, ...]:
    """Both ends of a connection, caller first, and what else it is about."""
    peer = finding.peer
    if not isinstance(peer, EndpointPeer):
        return ()
    mine = (finding.subject.namespace, finding.subject.workload)
    theirs = (peer.namespace, " + ".join(peer.workloads))
    return (*((mine, theirs) if finding.direction == "egress" else (theirs, mine)), finding.about)


def _same_workload(subject: SubjectRef, peer: EndpointPeer) -> bool:
    return (subject.namespace, subject.workload) == (peer.namespace, " + ".join(peer.workloads))
