"""Reports, findings and rules of silence as rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import CursorResult, delete, select, tuple_
from sqlalchemy.orm import Session, undefer

from jobs.memory import ANOTHER_NIGHT
from models.drift.finding import Finding, Kind, Severity
from models.drift.life import Life, MuteRule, State, missed, seen
from service.db.tables_drift import DriftFindingRow, DriftMuteRow, DriftReportRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.drift.report import DriftReport

_NEWEST: Final = (DriftReportRow.window_end.desc(), DriftReportRow.generated_at.desc())


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings to list."""

    cluster: str | None = None
    state: str | None = None
    kind: str | None = None
    severity: str | None = None
    namespace: str | None = None
    news: bool | None = None


def life_of(row: DriftFindingRow) -> Life:
    """Where a finding stands."""
    return Life(
        State(row.state),
        Severity(row.severity),
        row.first_reported_at,
        row.last_reported_at,
        row.reports,
        row.news,
        row.acknowledged_until,
        row.resolved_at,
    )


def apply_life(row: DriftFindingRow, life: Life) -> None:
    """Write where a finding stands into its row."""
    row.state, row.severity, row.news = life.state.value, life.severity.value, life.news
    row.first_reported_at, row.last_reported_at = life.first_reported, life.last_reported
    row.reports = life.reports
    row.acknowledged_until, row.resolved_at = life.acknowledged_until, life.resolved_at
    row.revision = (row.revision or 0) + 1


def mute_rules(session: Session) -> list[DriftMuteRow]:
    """Rules of silence, oldest first."""
    return list(session.scalars(select(DriftMuteRow).order_by(DriftMuteRow.id)))


def as_rule(row: DriftMuteRow) -> MuteRule:
    """A rule of silence as the models know it."""
    return MuteRule(row.kind, row.namespace, row.workload, row.peer, row.until)


def save_report(session: Session, report: DriftReport, run_id: str) -> frozenset[str] | None:
    """
    Keep a report and move every finding of its cluster on.

    A look back at a night before the newest one is kept and moves nothing: what is gone since is not back.

    Returns
    -------
    frozenset of str or None
        Keys of what became news with it; ``None`` for a look back.
    """
    newest = find_report(session, None, report.cluster)
    again = newest is not None and _same_night(newest, report)
    session.add(
        DriftReportRow(
            id=run_id,
            cluster=report.cluster,
            window_start=report.window.start,
            window_end=report.window.end,
            generated_at=report.generated_at,
            summary=report.summary(),
            coverage=report.coverage.to_json(),
            body=report.to_json(),
        )
    )
    if newest is not None and report.window.end < newest.window_end:
        return None
    rules = [as_rule(row) for row in mute_rules(session)]
    known = {
        row.key: row
        for row in session.scalars(select(DriftFindingRow).where(DriftFindingRow.cluster == report.cluster))
    }
    named: set[str] = set()
    fresh: set[str] = set()
    for place, finding in enumerate(report.findings):
        key = finding.key(report.cluster)
        named.add(key)
        row = known.get(key)
        muted = any(rule.matches(finding, report.generated_at) for rule in rules)
        before = None if row is None else life_of(row)
        life = seen(before, finding, report.generated_at, muted=muted, again=again)
        if life.news and (before is None or life.news != before.news or not again):
            fresh.add(key)
        if row is None:
            row = DriftFindingRow(key=key, cluster=report.cluster, reviewer="", reason="", revision=0)
            session.add(row)
        _describe(row, finding, report.cluster, place)
        apply_life(row, life)
    for key, row in known.items():
        if key not in named:
            heard = report.coverage.heard
            apply_life(row, missed(life_of(row), Kind(row.kind), report.generated_at, heard=heard))
    return frozenset(fresh)


def _same_night(row: DriftReportRow, report: DriftReport) -> bool:
    """Whether a report speaks of the night of another one, and of no later morning."""
    gaps = report.window.end - row.window_end, report.generated_at - row.generated_at
    return all(timedelta() <= gap < ANOTHER_NIGHT for gap in gaps)


def _describe(row: DriftFindingRow, finding: Finding, cluster: str, place: int) -> None:
    row.kind, row.rank = finding.kind.value, place
    row.namespace, row.workload = finding.subject.namespace, finding.subject.workload
    row.body = finding.to_json(cluster)


def list_findings(
    session: Session,
    wanted: FindingFilter,
    *,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[DriftFindingRow]:
    """Findings by state and key."""
    row = DriftFindingRow
    query = select(row).order_by(row.state, row.key)
    for column, value in (
        (row.cluster, wanted.cluster),
        (row.state, wanted.state),
        (row.kind, wanted.kind),
        (row.severity, wanted.severity),
        (row.namespace, wanted.namespace),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.news is not None:
        query = query.where(row.news != "" if wanted.news else row.news == "")
    if after is not None:
        query = query.where(tuple_(row.state, row.key) > after)
    return list(session.scalars(query if limit is None else query.limit(limit)))


def standing(session: Session, cluster: str, keys: Iterable[str]) -> dict[str, DriftFindingRow]:
    """Rows of findings by key."""
    wanted = set(keys)
    rows = session.scalars(select(DriftFindingRow).where(DriftFindingRow.cluster == cluster))
    return {row.key: row for row in rows if row.key in wanted}


def list_reports(
    session: Session,
    *,
    cluster: str | None = None,
    since: datetime | None = None,
    before: tuple[datetime, datetime, str] | None = None,
    limit: int = 50,
) -> list[DriftReportRow]:
    """Reports without bodies, newest first; ``before`` is end, time and id of the last one of a page."""
    query = select(DriftReportRow).order_by(*_NEWEST, DriftReportRow.id.desc())
    if before is not None:
        place = tuple_(DriftReportRow.window_end, DriftReportRow.generated_at, DriftReportRow.id)
        query = query.where(place < before)
    if cluster is not None:
        query = query.where(DriftReportRow.cluster == cluster)
    if since is not None:
        query = query.where(DriftReportRow.window_end >= since)
    return list(session.scalars(query.limit(limit)))


def find_report(session: Session, report_id: str | None, cluster: str | None = None) -> DriftReportRow | None:
    """One report with its body: by id, or the newest of the newest night."""
    query = select(DriftReportRow).options(undefer(DriftReportRow.body))
    if report_id is not None:
        return session.scalar(query.where(DriftReportRow.id == report_id))
    if cluster is not None:
        query = query.where(DriftReportRow.cluster == cluster)
    return session.scalar(query.order_by(*_NEWEST).limit(1))


def remove_reports_before(session: Session, moment: datetime) -> int:
    """Forget reports but the newest of each cluster, and findings resolved long before; gives how many."""
    clusters = session.scalars(select(DriftReportRow.cluster).distinct()).all()
    newest = [list_reports(session, cluster=cluster, limit=1)[0].id for cluster in clusters]
    removed = session.execute(
        delete(DriftReportRow).where(DriftReportRow.generated_at < moment, DriftReportRow.id.not_in(newest))
    )
    session.execute(
        delete(DriftFindingRow).where(
            DriftFindingRow.state == State.RESOLVED.value,
            DriftFindingRow.resolved_at < moment - timedelta(days=1),
        )
    )
    return removed.rowcount if isinstance(removed, CursorResult) else 0
