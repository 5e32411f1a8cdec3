"""
The life of a finding: open, acknowledged until a date, muted by a rule, resolved by itself, regressed.

A finding is news once: when it appears, when it comes back, when it gets worse, or when a promise to look
at it ran out. A night that was not heard resolves nothing, for silence is not absence.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from models.drift.finding import SEVERITIES, Finding, Kind, Severity

#: Kinds that are read off the policies, so that a deaf night does not hide them.
_ALWAYS_JUDGED: Final = frozenset({Kind.CHANGED, Kind.UNKNOWN})


class State(StrEnum):
    """Where a finding stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"
    RESOLVED = "resolved"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True)
class Life:
    """
    Where a finding stands and since when.

    Parameters
    ----------
    state
        See `State`.
    severity
        When it was last reported.
    first_reported, last_reported
        Times of reports, aware.
    reports
        How many reports named it.
    news
        Whether the newest report tells it as news, and why: ``new``, ``back``, ``worse``, ``due``,
        ``unmuted``; "" when it is known.
    acknowledged_until
        Only while acknowledged.
    resolved_at
        Only while resolved.
    """

    state: State
    severity: Severity
    first_reported: datetime
    last_reported: datetime
    reports: int = 1
    news: str = ""
    acknowledged_until: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MuteRule:
    """
    Findings that nobody wants to hear of; every field that is not empty must match.

    Parameters
    ----------
    kind
        One of `models.drift.finding.Kind`.
    namespace, workload, peer
        Shell patterns; the peer's is matched with its key, such as ``fqdn:*.example.com``.
    until
        When the rule ends; ``None`` for never.
    """

    kind: str = ""
    namespace: str = ""
    workload: str = ""
    peer: str = ""
    until: datetime | None = None

    def matches(self, finding: Finding, now: datetime) -> bool:
        """Whether the rule silences a finding at a moment."""
        if self.until is not None and now >= self.until:
            return False
        values = (
            (self.kind, finding.kind.value),
            (self.namespace, finding.subject.namespace),
            (self.workload, finding.subject.workload),
            (self.peer, "" if finding.peer is None else finding.peer.key),
        )
        return any(pattern for pattern, _ in values) and all(
            not pattern or fnmatchcase(value, pattern) for pattern, value in values
        )


def seen(before: Life | None, finding: Finding, now: datetime, *, muted: bool, again: bool = False) -> Life:
    """
    A finding that tonight's report names.

    Parameters
    ----------
    before
        Where it stood; ``None`` when it was never reported.
    finding
        As reported.
    now
        Time of the report.
    muted
        Whether a rule silences it.
    again
        Whether the same night was reported on before: what was news then still is news.
    """
    if before is None:
        state = State.MUTED if muted else State.OPEN
        return Life(state, finding.severity, now, now, news="" if muted else "new")
    kept = before.news if again else ""
    after = replace(
        before, severity=finding.severity, last_reported=now, reports=before.reports + 1, news=kept
    )
    if muted:
        return replace(after, state=State.MUTED, acknowledged_until=None, resolved_at=None, news="")
    worse = SEVERITIES.index(finding.severity) < SEVERITIES.index(before.severity)
    if before.state is State.RESOLVED:
        return replace(after, state=State.REGRESSED, resolved_at=None, news="back")
    if before.state is State.ACKNOWLEDGED:
        due = before.acknowledged_until is not None and now >= before.acknowledged_until
        if due or worse:
            after = replace(after, state=State.OPEN, acknowledged_until=None, news="due")
    if before.state is State.MUTED:
        after = replace(after, state=State.OPEN, news="unmuted")
    return replace(after, news="worse") if worse else after


def missed(before: Life, kind: Kind, now: datetime, *, heard: bool) -> Life:
    """
    A finding that tonight's report does not name.

    Parameters
    ----------
    before
        Where it stood.
    kind
        Of the finding.
    now
        Time of the report.
    heard
        Whether the night was heard well enough for silence to mean something.
    """
    if before.state is State.RESOLVED or not (heard or kind in _ALWAYS_JUDGED):
        return replace(before, news="")
    return replace(before, state=State.RESOLVED, resolved_at=now, acknowledged_until=None, news="")


def acknowledge(before: Life, until: datetime | None) -> Life:
    """A person has seen it and will look at it by a date."""
    return replace(before, state=State.ACKNOWLEDGED, acknowledged_until=until, news="")


def reopen(before: Life) -> Life:
    """A person takes an acknowledgement or a silence back."""
    return replace(before, state=State.OPEN, acknowledged_until=None, resolved_at=None, news="")
