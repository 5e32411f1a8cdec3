"""REST: what is held back, and verdicts on it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from models.errors import BadInputError
from service.db.tables import QuarantineRow
from service.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NameQuery,
    PortolanDep,
    ReadSession,
    WriteSession,
)
from service.paging import decode_cursor, encode_cursor
from service.problems import PROBLEM_RESPONSES
from service.proposals.api import ETAG_RESPONSE, IfMatch, required
from service.proposals.schemas import Key
from service.quarantine import bulk, repository, schemas, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import EntryState

router = APIRouter(prefix="/quarantine", tags=["quarantine"], responses=PROBLEM_RESPONSES)

EntryPath = Annotated[Key, Path(description="Id of the entry")]


@router.get("", summary="List what is held back")
def list_quarantine(
    *,
    session: ReadSession,
    portolan: PortolanDep,
    cluster: NameQuery = None,
    namespace: NameQuery = None,
    state: EntryState | None = None,
    reason: Annotated[NameQuery, Query(description="Code of what fired")] = None,
    workload: NameQuery = None,
    peer: Annotated[NameQuery, Query(description="Part of the other side's title")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> schemas.EntryPage:
    """Entries by namespace and workload; all states unless one is asked for."""
    now = portolan.clock()
    rows = repository.list_entries(
        session,
        QuarantineFilter(cluster, namespace, state, reason, workload, peer),
        now=now,
        after=entry_behind(session, cursor),
        limit=limit + 1,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return schemas.EntryPage(
        items=[schemas.EntryOut(**views.entry(row, now)) for row in rows[:limit]],
        next_cursor=encode_cursor(last.id) if last else None,
    )


def entry_behind(session: Session, cursor: str | None) -> QuarantineRow | None:
    """
    Entry that a cursor names: the last one of the page before.

    Names of flows may hold anything, so the cursor holds the id, which is looked up.
    """
    if cursor is None:
        return None
    row = session.get(QuarantineRow, decode_cursor(cursor, str)[0])
    if row is None:
        raise BadInputError("cursor: not one that this service gave out")
    return row


@router.post("/verdicts", summary="Decide on many entries")
def decide_entries(
    body: schemas.ManyVerdictsIn, session: WriteSession, portolan: PortolanDep
) -> schemas.ManyDecided:
    """The same verdict on each of them, in the states in which they were seen, or on none."""
    tags = {one.id: one.etag for one in body.entries}
    if len(tags) < len(body.entries):
        raise BadInputError("entries: one of them is named twice")
    now = portolan.clock()
    request = VerdictRequest(body.verdict, body.reviewer, body.reason, body.days)
    done = bulk.decide_many(session, tags, request, now=now)
    items = [
        schemas.DecidedEntry(
            id=row.id,
            state=service.state_of(row, now),
            etag=service.etag(row),
            changed=row.id in done.changed,
        )
        for row in done.rows
    ]
    return schemas.ManyDecided(changed=len(done.changed), items=items)


@router.get("/{entry}", summary="Show an entry", responses=ETAG_RESPONSE)
def show_entry(
    entry: EntryPath, session: ReadSession, portolan: PortolanDep, response: Response
) -> schemas.EntryDetail:
    """What was seen, why it is held back, what to ask, and what was said about it."""
    row = service.get(session, entry)
    response.headers["ETag"] = service.etag(row)
    return schemas.EntryDetail(**views.detail(session, row, portolan.clock()))


@router.post("/{entry}/verdict", summary="Decide on an entry", responses=ETAG_RESPONSE)
def decide_entry(
    *,
    entry: EntryPath,
    body: schemas.VerdictIn,
    session: WriteSession,
    portolan: PortolanDep,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.EntryDetail:
    """Admit, confirm as unwanted, ask again later, or reopen; it counts from the next inference on."""
    now = portolan.clock()
    row = service.decide(
        session,
        entry,
        VerdictRequest(body.verdict, body.reviewer, body.reason, body.days),
        now=now,
        if_match=required(if_match),
    )
    session.flush()
    response.headers["ETag"] = service.etag(row)
    return schemas.EntryDetail(**views.detail(session, row, now))
