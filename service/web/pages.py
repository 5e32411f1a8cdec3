"""Routes of the pages."""

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from models.manifest.render import to_yaml
from service.calibration.views import calibrations
from service.dependencies import Cursor, PortolanDep, ReadSession
from service.drift.pages import router as drift_router
from service.paging import decode_cursor, encode_cursor
from service.proposals import repository, service, views
from service.proposals.certainty import (
    argument_lines,
    calibration_lines,
    confidence_line,
    forecast_lines,
    reliability_rows,
    total_lines,
)
from service.proposals.evidence import evidence_line, http_lines, objective_line, posture_line, widening_lines
from service.proposals.repository import ProposalFilter
from service.proposals.schemas import Key
from service.quarantine.pages import router as quarantine_router
from service.quarantine.service import etags_of, open_count
from service.runs.api import parse_before
from service.runs.repository import list_runs
from service.runs.views import run_view
from service.web.contexts import CalibrationPage, ClusterLine, ProposalPage, ProposalsPage, RunsPage
from service.web.reliability import SIDE, points
from service.web.render import HERE, render_page

if TYPE_CHECKING:
    from datetime import datetime

PAGE_SIZE: Final = 100

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
#: A filter of a form: the empty choice means all.
Choice = Annotated[str, Query(max_length=253)]


@router.get("/")
def home() -> RedirectResponse:
    """The list of proposals is where everybody begins."""
    return RedirectResponse("/proposals", status_code=307)


@router.get("/proposals")
def proposals_page(
    *,
    portolan: PortolanDep,
    session: ReadSession,
    namespace: Choice = "",
    state: Choice = "",
    maturity: Choice = "",
    q: Choice = "",
    cursor: Cursor = None,
) -> HTMLResponse:
    """List of proposals with filters."""
    wanted = ProposalFilter(
        namespace=namespace or None, state=state or None, maturity=maturity or None, text=q or None
    )
    after = None if cursor is None else decode_cursor(cursor, str, str, str, str)
    key = None if after is None else (after[0], after[1], after[2], after[3])
    rows = repository.list_proposals(session, wanted, after=key, limit=PAGE_SIZE + 1)
    more = encode_cursor(*repository.sort_key(rows[PAGE_SIZE - 1])) if len(rows) > PAGE_SIZE else None
    chosen = {"namespace": namespace, "state": state, "maturity": maturity, "q": q}
    kept = {name: value for name, value in chosen.items() if value}
    return render_page(
        ProposalsPage(
            clusters=_clusters(portolan),
            items=[views.summary(row) for row in rows[:PAGE_SIZE]],
            counts=repository.count_by_state(session),
            namespaces=repository.namespaces(session),
            in_namespace=namespace,
            state=state,
            maturity=maturity,
            q=q,
            next_query=urlencode({**kept, "cursor": more}) if more else "",
            waiting=open_count(session, now=portolan.clock()),
        )
    )


def _clusters(portolan: PortolanDep) -> list[ClusterLine]:
    return [
        ClusterLine(
            name=cluster.name,
            days=round((cluster.last_seen - cluster.first_seen).total_seconds() / 86400, 1),
            flows=cluster.flows,
            nodes=cluster.nodes,
            lost_events=cluster.lost_events,
            last_seen=cluster.last_seen,
        )
        for cluster in portolan.observed_clusters()
    ]


@router.get("/proposals/{key}")
def proposal_page(
    key: Annotated[Key, Path()],
    session: ReadSession,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> HTMLResponse:
    """One proposal."""
    row = service.get(session, key)
    return render_page(proposal_context(session, row.key, version))


def proposal_context(session: Session, key: str, version: int | None) -> ProposalPage:
    """Everything that the page of a proposal shows."""
    row = service.get(session, key)
    found = views.detail(session, row, version)
    standing = service.standing_of(row)
    return ProposalPage(
        proposal=found,
        manifest="" if found["manifest"] is None else to_yaml(found["manifest"]),
        evidence={rule["id"]: evidence_line(rule["evidence"]) for rule in found["rules"]},
        confidence={rule["id"]: confidence_line(rule) for rule in found["rules"]},
        arguments={rule["id"]: argument_lines(rule) for rule in found["rules"]},
        posture=posture_line(found),
        objective=objective_line(found),
        http={rule["id"]: http_lines(rule) for rule in found["rules"]},
        widening={rule["id"]: widening_lines(rule) for rule in found["rules"]},
        forecasts={way: forecast_lines(form) for way, form in found["completeness"].items()},
        decisions=[views.decision(item) for item in repository.decisions_of(session, key)],
        versions=[
            (number, standing.version_state(number).value)
            for number, *_ in repository.versions_of(session, key)
        ],
        etag=service.etag(row),
        etags=etags_of(session, [one["id"] for one in found["quarantine"]]),
    )


@router.get("/calibration")
def calibration_page(session: ReadSession) -> HTMLResponse:
    """What the numbers are worth, by the estate's own weeks."""
    shown = [
        {
            "cluster": one["cluster"],
            "generated_at": one["generated_at"],
            "lines": calibration_lines(one["calibration"]),
            "points": points(one["calibration"]),
            "rows": reliability_rows(one["calibration"]),
            "forecast": total_lines(one["forecast"]),
        }
        for one in calibrations(session)
    ]
    return render_page(CalibrationPage(clusters=shown, side=SIDE))


@router.get("/runs")
def runs_page(request: Request, session: ReadSession, cursor: Cursor = None) -> HTMLResponse:
    """Runs, newest first."""
    rows = list_runs(session, before=parse_before(cursor), limit=PAGE_SIZE + 1)
    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    scheduler = request.app.state.scheduler
    upcoming: list[tuple[str, datetime]] = scheduler.upcoming() if scheduler is not None else []
    return render_page(
        RunsPage(
            runs=[run_view(row) for row in rows[:PAGE_SIZE]],
            upcoming=upcoming,
            next_query=urlencode({"cursor": encode_cursor(last.started_at.isoformat(), last.id)})
            if last
            else "",
        )
    )


def mount_pages(app: FastAPI) -> None:
    """Add the pages and their style and script."""
    app.include_router(router)
    app.include_router(quarantine_router)
    app.include_router(drift_router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
