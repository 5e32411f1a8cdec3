"""REST: drift reports, the findings and their life, rules of silence, trends."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from models.errors import NotFoundError
from service.db.tables_drift import DriftFindingRow, DriftMuteRow, DriftReportRow
from service.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NameQuery,
    PortolanDep,
    ReadSession,
    WriteSession,
)
from service.drift import decisions, repository, schemas
from service.drift.repository import FindingFilter
from service.paging import decode_cursor, encode_cursor, moment_in
from service.problems import PROBLEM_RESPONSES
from service.proposals.api import ETAG_RESPONSE, IfMatch, required
from service.proposals.schemas import Key

router = APIRouter(prefix="/drift", tags=["drift"], responses=PROBLEM_RESPONSES)

FindingPath = Annotated[Key, Path(description="Key of the finding")]
ReportPath = Annotated[str, Path(pattern=r"^([0-9a-f]{32}|newest)$", description="Id, or `newest`")]
StateText = Literal["open", "acknowledged", "muted", "resolved", "regressed"]
SeverityText = Literal["critical", "high", "medium", "low"]
_LONGEST_TREND = 365


def report_line(row: DriftReportRow) -> dict[str, Any]:
    """A report without its findings."""
    return {name: getattr(row, name) for name in schemas.ReportLine.model_fields}


def finding_out(row: DriftFindingRow) -> schemas.FindingOut:
    """A finding as the API tells it."""
    names = set(schemas.FindingOut.model_fields) - {"finding", "news"}
    values = {name: getattr(row, name) for name in names}
    return schemas.FindingOut(**values, news=row.news or None, finding=row.body)


@router.get("/reports", summary="List drift reports")
def list_reports(
    session: ReadSession, cluster: NameQuery = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> schemas.ReportPage:
    """Reports that were kept, newest first, without their findings."""
    before = None
    if cursor is not None:
        end, made, report = decode_cursor(cursor, str, str, str)
        before = (moment_in(end), moment_in(made), report)
    rows = repository.list_reports(session, cluster=cluster, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    place = (last.window_end.isoformat(), last.generated_at.isoformat(), last.id) if last else ()
    return schemas.ReportPage(
        items=[schemas.ReportLine(**report_line(row)) for row in rows[:limit]],
        next_cursor=encode_cursor(*place) if place else None,
    )


@router.get("/reports/{report}", summary="Show a drift report")
def show_report(report: ReportPath, session: ReadSession, cluster: NameQuery = None) -> dict[str, Any]:
    """The report as it was told, in the contract form."""
    row = repository.find_report(session, None if report == "newest" else report, cluster)
    if row is None:
        raise NotFoundError("no such drift report: 'portolan drift --record' makes one")
    return {"id": row.id, **row.body}


@router.get("/findings", summary="List findings")
def list_findings(
    *,
    session: ReadSession,
    cluster: NameQuery = None,
    state: StateText | None = None,
    kind: schemas.KindText | None = None,
    severity: SeverityText | None = None,
    namespace: NameQuery = None,
    news: Annotated[bool | None, Query(description="Only what the newest report told as news")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> schemas.FindingPage:
    """Findings of all reports and where each stands."""
    after = None if cursor is None else decode_cursor(cursor, str, str)
    wanted = FindingFilter(cluster, state, kind, severity, namespace, news)
    place = None if after is None else (after[0], after[1])
    rows = repository.list_findings(session, wanted, after=place, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return schemas.FindingPage(
        items=[finding_out(row) for row in rows[:limit]],
        next_cursor=encode_cursor(last.state, last.key) if last else None,
    )


@router.get("/findings/{key}", summary="Show a finding", responses=ETAG_RESPONSE)
def show_finding(key: FindingPath, session: ReadSession, response: Response) -> schemas.FindingOut:
    """Where a finding stands, with its newest wording."""
    row = decisions.get(session, key)
    response.headers["ETag"] = decisions.etag(row)
    return finding_out(row)


@router.post("/findings/{key}/acknowledge", summary="Acknowledge a finding", responses=ETAG_RESPONSE)
def acknowledge_finding(
    *,
    key: FindingPath,
    body: schemas.AcknowledgeIn,
    session: WriteSession,
    portolan: PortolanDep,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.FindingOut:
    """Somebody has seen it; it is no news again until the date given, unless it gets worse."""
    row = decisions.acknowledge_finding(session, key, body, now=portolan.clock(), if_match=required(if_match))
    session.flush()
    response.headers["ETag"] = decisions.etag(row)
    return finding_out(row)


@router.post("/findings/{key}/reopen", summary="Reopen a finding", responses=ETAG_RESPONSE)
def reopen_finding(
    *,
    key: FindingPath,
    body: schemas.ReopenIn,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.FindingOut:
    """Take an acknowledgement or a silence back; a rule that still matches silences it again."""
    row = decisions.reopen_finding(session, key, body, if_match=required(if_match))
    session.flush()
    response.headers["ETag"] = decisions.etag(row)
    return finding_out(row)


@router.get("/mutes", summary="List rules of silence")
def list_mutes(session: ReadSession) -> schemas.MuteList:
    """Rules that keep findings from being told, oldest first."""
    return schemas.MuteList(items=[_mute_out(row) for row in repository.mute_rules(session)])


@router.post("/mutes", summary="Add a rule of silence", status_code=201)
def add_mute(body: schemas.MuteIn, session: WriteSession, portolan: PortolanDep) -> schemas.MuteOut:
    """Silence findings that match every pattern given, from the next report on."""
    return _mute_out(decisions.add_mute(session, body, portolan.clock()))


@router.delete("/mutes/{number}", summary="Remove a rule of silence", status_code=204)
def remove_mute(number: Annotated[int, Path(ge=1, le=2**31 - 1)], session: WriteSession) -> None:
    """What it silenced is news in the next report that names it."""
    decisions.remove_mute(session, number)


@router.get("/trends", summary="Show trends")
def trends(
    session: ReadSession,
    portolan: PortolanDep,
    cluster: NameQuery = None,
    days: Annotated[int, Query(ge=1, le=_LONGEST_TREND)] = 42,
) -> schemas.TrendList:
    """Findings per night by kind and severity, and how well each night was heard."""
    since = portolan.clock() - timedelta(days=days)
    rows = repository.list_reports(session, cluster=cluster, limit=2 * _LONGEST_TREND)
    points = [
        schemas.TrendPoint(
            window_end=row.window_end,
            findings=row.summary["findings"],
            by_kind=row.summary["by_kind"],
            by_severity=row.summary["by_severity"],
            heard_share=row.coverage["heard_share"],
            state=row.coverage["state"],
        )
        for row in rows
        if row.generated_at >= since
    ]
    return schemas.TrendList(items=sorted(points, key=lambda point: point.window_end))


def _mute_out(row: DriftMuteRow) -> schemas.MuteOut:
    return schemas.MuteOut(**{name: getattr(row, name) for name in schemas.MuteOut.model_fields})
