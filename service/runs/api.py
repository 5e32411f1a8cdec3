"""REST: runs, past and new."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from models.errors import BadInputError, NotFoundError
from service.db.tables import RunRow
from service.dependencies import DEFAULT_LIMIT, Cursor, Limit, NameQuery, PortolanDep, ReadSession
from service.paging import decode_cursor, encode_cursor, moment_in
from service.problems import PROBLEM_RESPONSES
from service.runs import inference, repository, service
from service.runs.inference import InferOptions
from service.runs.schemas import RunIn, RunOut, RunPage
from service.runs.service import Start
from service.runs.views import run_view
from service.wiring import Portolan

if TYPE_CHECKING:
    from service.runs.background import Background

router = APIRouter(prefix="/runs", tags=["runs"], responses=PROBLEM_RESPONSES)

RunPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of the run")]


@router.get("", summary="List runs")
def list_runs(
    *,
    session: ReadSession,
    kind: NameQuery = None,
    outcome: NameQuery = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> RunPage:
    """Runs, newest first."""
    rows = repository.list_runs(
        session, kind=kind, outcome=outcome, before=parse_before(cursor), limit=limit + 1
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return RunPage(
        items=[RunOut(**run_view(row)) for row in rows[:limit]],
        next_cursor=encode_cursor(last.started_at.isoformat(), last.id) if last else None,
    )


def parse_before(cursor: str | None) -> tuple[datetime, str] | None:
    """Place in the list of runs that a cursor names."""
    if cursor is None:
        return None
    moment, run_id = decode_cursor(cursor, str, str)
    return moment_in(moment), run_id


@router.get("/{run_id}", summary="Show a run")
def show_run(run_id: RunPath, session: ReadSession) -> RunOut:
    """When a run began, how it ended, what it counted."""
    row = session.get(RunRow, run_id)
    if row is None:
        raise NotFoundError(f"no run {run_id}")
    return RunOut(**run_view(row))


@router.post("", summary="Start a run", status_code=202)
def start_run(body: RunIn, request: Request, response: Response, portolan: PortolanDep) -> RunOut:
    """Start a run; 409 while another one is under way."""
    run_id, work = _claim(portolan, body)
    background: Background = request.app.state.background
    background.submit(run_id, work)
    response.headers["Location"] = f"/api/v1/runs/{run_id}"
    with portolan.database.read() as session:
        row = session.get(RunRow, run_id)
        if row is None:
            raise NotFoundError(f"no run {run_id}")
        return RunOut(**run_view(row))


def _claim(portolan: Portolan, body: RunIn) -> tuple[str, Callable[[], Any]]:
    """Take the lease of what was asked for, and give the work that is left."""
    start = Start("api")
    if body.kind == "infer":
        options = InferOptions(body.cluster, body.namespace, body.as_of, body.window, body.posture)
        claim = inference.claim_infer(portolan, options, start)
        return claim.run_id, lambda: inference.perform_infer(portolan, options, claim)
    if body.kind == "maintain":
        claim = service.claim_maintain(portolan, start)
        return claim.run_id, lambda: service.perform_maintain(portolan, claim)
    if body.source is None:
        raise BadInputError("source: a pull needs the name of a configured source")
    source = service.chosen_sources(portolan, [body.source])[0]
    claim = service.claim_pull(portolan, source, start)
    return claim.run_id, lambda: service.perform_pull(portolan, source, claim)
