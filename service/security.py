"""
What stands between a browser and the API.

There is no login yet, so whoever can reach the port may decide. What must not be able to reach it is
a web page of somebody else that is open in the reviewer's browser: by a form, by a script (Origin), or
by a DNS name of its own that suddenly points to 127.0.0.1 (Host).
"""

import re
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import problem_response

#: Largest request: a decision is a sentence or two.
MAX_BODY_BYTES: Final = 64 * 1024
#: What carries policies and flows may be larger.
LARGER_BODIES: Final = {
    "/api/v1/simulate": 8 << 20,
    "/api/v1/policies/diff": 8 << 20,
    "/api/v1/policies/check": 8 << 20,
    "/api/v1/explain": 4 << 20,
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)


def content_security_policy(styles: str = "'self'") -> str:
    """Everything comes from Portolan itself, nothing but ``styles`` is inline, nobody may frame the page."""
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


_HEADERS: Final = {
    "content-security-policy": content_security_policy(),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

log = structlog.get_logger()


class Guard:
    """ASGI middleware: refuses what another site may have caused, adds security headers, answers HEAD."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: frozenset[str], any_host: bool) -> None:
        self._app = app
        self._allowed = _LOOPBACK_NAMES | {host.lower() for host in allowed_hosts}
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        head = scope["method"] == "HEAD"
        if head:  # what GET would answer, without its body
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, detail = refusal
            await problem_response(status, detail)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, _limited(receive, _largest(scope)), send_with_headers)
        except Exception:
            log.exception("request.failed", path=scope["path"], method=scope["method"])
            if started:
                raise
            response = problem_response(500, "Something went wrong inside; the log says what.")
            await response(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        match = _HOST.fullmatch(headers.get("host", ""))
        if match is None:
            return 400, "Host: missing or not a host name"
        if not self._any_host and match[1].lower() not in self._allowed:
            return 421, "Host: not a name of this service (server.allowed_hosts lists further names)"
        return None if scope["method"] in _SAFE_METHODS else _refuse_edit(headers, _largest(scope))


def _largest(scope: Scope) -> int:
    """Bytes that a request to this path may have."""
    return LARGER_BODIES.get(scope["path"], MAX_BODY_BYTES)


def _refuse_edit(headers: Headers, largest: int) -> tuple[int, str] | None:
    """Why a request that changes something is refused: its origin, its size or its form."""
    origin = headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1].lower() != headers["host"].lower():
        return 403, "Origin: only pages of this service may send edits"
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return 403, "Sec-Fetch-Site: only pages of this service may send edits"
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > largest:
        return 413, f"The largest request is {largest} bytes"
    has_body = declared != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if has_body and media_type != "application/json":
        return 415, "Content-Type: only application/json is read"
    return None


def _limited(receive: Receive, largest: int) -> Receive:
    """Same stream, cut where it grows past the limit."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        if message["type"] == "http.request":
            total += len(message.get("body", b""))
            if total > largest:
                raise HTTPException(413, f"The largest request is {largest} bytes")
        return message

    return counted
