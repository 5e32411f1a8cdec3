"""The page of drift: the newest report, or an older one."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from service.dependencies import NameQuery, PortolanDep, ReadSession
from service.drift.render import html, nights_of, style_source
from service.drift.repository import find_report, standing
from service.security import content_security_policy
from service.web.contexts import ErrorPage
from service.web.render import render_page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/drift")
def drift_page(
    portolan: PortolanDep,
    session: ReadSession,
    report: Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$")] = None,
    cluster: NameQuery = None,
) -> HTMLResponse:
    """The same page that ``portolan drift --format html`` writes."""
    row = find_report(session, report, cluster)
    if row is None:
        detail = "No report was kept yet: configure drift, or run 'portolan drift --policies … --record'."
        return render_page(ErrorPage(404, "No drift report", detail), status=404)
    form = dict(row.body)
    rows = standing(session, row.cluster, [finding["key"] for finding in form["findings"]])
    newest = find_report(session, None, row.cluster)
    for finding in form["findings"]:
        found = rows.get(finding["key"])
        finding["state"] = "open" if found is None else found.state
        told_now = newest is not None and newest.id == row.id
        finding["news"] = found.news if found is not None and told_now else None
    page = html(form, nights_of(portolan, row.cluster), served=True)
    # The page is whole in itself, so its styles are inline: the only ones that the browser may apply.
    policy = content_security_policy(style_source())
    return HTMLResponse(page, headers={"content-security-policy": policy})
