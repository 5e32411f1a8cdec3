"""Every error as a problem document (RFC 9457): no traceback, no HTML, one shape."""

from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models.errors import PortolanError
from service.errors import http_family

MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: ("bad-request", "Bad request"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    406: ("not-acceptable", "Not acceptable"),
    413: ("too-large", "Request too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
    421: ("misdirected", "Misdirected request"),
    500: ("failed", "Failed"),
}

log = structlog.get_logger()


class FieldProblem(BaseModel):
    """One thing wrong with the request."""

    location: str = Field(examples=["query.limit"])
    message: str


class Problem(BaseModel):
    """An error, in the form of RFC 9457."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(examples=["urn:portolan:problem:not-found"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


#: What every route says about its errors.
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem document",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def problem_response(
    status: int,
    detail: str,
    *,
    slug: str | None = None,
    title: str | None = None,
    errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a problem document."""
    known_slug, known_title = _TITLES.get(status, ("error", "Error"))
    body: dict[str, Any] = {
        "type": f"urn:portolan:problem:{slug or known_slug}",
        "title": title or known_title,
        "status": status,
        "detail": detail,
        "errors": [] if errors is None else [error.model_dump() for error in errors],
    }
    return Response(
        orjson.dumps(_no_surrogates(body)), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def _no_surrogates(value: Any) -> Any:
    """Same with text that UTF-8 cannot hold replaced; it can only come from the request."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _no_surrogates(item) for key, item in value.items()}
    return [_no_surrogates(item) for item in value] if isinstance(value, list) else value


def install_handlers(app: FastAPI) -> None:
    """Turn what handlers raise into problem documents."""

    @app.exception_handler(PortolanError)
    def on_portolan_error(request: Request, error: PortolanError) -> Response:
        slug, status, title = http_family(error)
        log.info("request.refused", path=request.url.path, problem=slug, detail=str(error))
        return problem_response(status, str(error), slug=slug, title=title)

    @app.exception_handler(RequestValidationError)
    def on_invalid(_request: Request, error: RequestValidationError) -> Response:
        errors = [
            FieldProblem(location=".".join(str(part) for part in item["loc"]), message=str(item["msg"]))
            for item in error.errors()
        ]
        detail = "; ".join(f"{item.location}: {item.message}" for item in errors[:5])
        return problem_response(422, detail, slug="bad-input", title="Bad input", errors=errors)

    @app.exception_handler(HTTPException)
    def on_http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem_response(error.status_code, str(error.detail), headers=headers)
