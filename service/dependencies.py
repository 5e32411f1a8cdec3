"""What request handlers are given: Portolan itself, and one transaction per request."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from models.errors import BadInputError
from service.paging import DEFAULT_LIMIT, MAX_CURSOR_CHARS, MAX_LIMIT
from service.wiring import Portolan


def portolan_of(request: Request) -> Portolan:
    """Adapters of the application that serves this request."""
    return cast("Portolan", request.app.state.portolan)


PortolanDep = Annotated[Portolan, Depends(portolan_of)]


def _reading(portolan: PortolanDep) -> Iterator[Session]:
    with portolan.database.read() as session:
        yield session


def _writing(portolan: PortolanDep) -> Iterator[Session]:
    with portolan.database.write() as session:
        yield session


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Regular expression of a path with ``{parameters}``."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))


def only_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have: a mistyped filter would filter nothing."""
    paths: dict[str, Any] = request.app.openapi()["paths"]
    path = request.url.path
    described: dict[str, Any] = paths.get(path) or next(
        (paths[one] for one in paths if _pattern(one).fullmatch(path)), {}
    )
    parameters = described.get(request.method.lower(), {}).get("parameters", ())
    known = {one["name"] for one in parameters if one["in"] == "query"}
    if unknown := sorted(set(request.query_params) - known):
        listed = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise BadInputError(f"query.{unknown[0]}: no parameter of this route; {listed}")


# scope="function": the transaction ends before the answer is sent, so that an answer never says
# "done" about something that then fails to commit.
ReadSession = Annotated[Session, Depends(_reading, scope="function")]
WriteSession = Annotated[Session, Depends(_writing, scope="function")]

#: Text in a query: a name or a part of one.
NameQuery = Annotated[str | None, Query(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+$")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Longest page")]
Cursor = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR_CHARS, min_length=1, description="`next_cursor` of the page before"),
]
__all__ = [
    "DEFAULT_LIMIT",
    "Cursor",
    "Limit",
    "NameQuery",
    "PortolanDep",
    "ReadSession",
    "WriteSession",
    "only_known_parameters",
    "portolan_of",
]
