"""Templates: everything escaped, nothing undefined."""

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from models.domain.confidence import percent_text
from service.printable import printable
from service.web.contexts import (
    CalibrationPage,
    ErrorPage,
    ProposalPage,
    ProposalsPage,
    QuarantinePage,
    RunsPage,
)

HERE: Final = Path(__file__).parent
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")

Page = ProposalsPage | ProposalPage | QuarantinePage | RunsPage | CalibrationPage | ErrorPage
#: Template of each page.
TEMPLATES: Final[dict[type, str]] = {
    ProposalsPage: "proposals.html",
    ProposalPage: "proposal.html",
    QuarantinePage: "quarantine.html",
    RunsPage: "runs.html",
    CalibrationPage: "calibration.html",
    ErrorPage: "error.html",
}


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _moment(text: str) -> str:
    """A time of the contract, as people read it; anything else stays as it is."""
    return f"{text[:10]} {text[11:16]}" if _ISO.match(text) else text


def _count(number: float) -> str:
    return f"{number:,}"


def _visible(text: Any) -> str:
    """Text out of flows with its control and direction characters spelled out; Jinja escapes the rest."""
    return printable(str(text))


def environment() -> Environment:
    """Templates with autoescape for every file and an error for every unknown name."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _visible(value) if isinstance(value, str) and type(value) is str else value,
    )
    made.filters |= {"when": _when, "count": _count, "moment": _moment, "chance": percent_text}
    return made


_ENVIRONMENT: Final = environment()


def render_page(context: Page, status: int = 200) -> HTMLResponse:
    """Page as HTML: the template sees the fields of its context and nothing else."""
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    text = _ENVIRONMENT.get_template(TEMPLATES[type(context)]).render(values)
    return HTMLResponse(text, status_code=status)
