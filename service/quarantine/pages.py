"""The page of what is held back."""

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from service.dependencies import Cursor, PortolanDep, ReadSession
from service.paging import encode_cursor
from service.quarantine import repository, service, views
from service.quarantine.api import entry_behind
from service.quarantine.repository import QuarantineFilter
from service.quarantine.verdicts import EntryState
from service.web.contexts import QuarantinePage
from service.web.render import render_page

#: Entries are long: fewer than lines of a list.
PAGE_SIZE: Final = 50

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/quarantine")
def quarantine_page(
    *,
    portolan: PortolanDep,
    session: ReadSession,
    namespace: Annotated[str, Query(max_length=253)] = "",
    state: EntryState = EntryState.OPEN,
    reason: Annotated[str, Query(max_length=64)] = "",
    peer: Annotated[str, Query(max_length=253)] = "",
    cursor: Cursor = None,
) -> HTMLResponse:
    """What is held back, with its evidence and the buttons to decide."""
    now = portolan.clock()
    rows = repository.list_entries(
        session,
        QuarantineFilter(None, namespace or None, state, reason or None, peer=peer or None),
        now=now,
        after=entry_behind(session, cursor),
        limit=PAGE_SIZE + 1,
    )
    shown = rows[:PAGE_SIZE]
    asked = {"namespace": namespace, "state": state, "reason": reason, "peer": peer}
    more = {**asked, "cursor": encode_cursor(shown[-1].id)} if shown else {}
    return render_page(
        QuarantinePage(
            items=[views.entry(row, now) for row in shown],
            etags={row.id: service.etag(row) for row in shown},
            waiting=service.open_count(session, now=now),
            namespaces=repository.namespaces(session),
            in_namespace=namespace,
            state=state,
            reason=reason,
            peer=peer,
            codes=repository.codes(session),
            next_query=urlencode(more) if len(rows) > PAGE_SIZE else "",
        )
    )
