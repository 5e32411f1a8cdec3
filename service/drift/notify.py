"""A message to a chat or a webhook about what changed since the last report; silence when nothing did."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import structlog
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from models.drift.report import DriftReport
from models.errors import BadInputError
from service.printable import printable
from service.settings import DriftSettings

_TIMEOUT: Final = 10.0  # seconds
_ATTEMPTS: Final = 4
_LINES: Final = 15
_MAX_LINE: Final = 300

log = structlog.get_logger()


class _TryAgainError(Exception):
    """The receiver is busy or broken for the moment."""


def tell(
    settings: DriftSettings,
    report: DriftReport,
    states: Mapping[str, tuple[str, str]],
    *,
    run_id: str,
    transport: httpx.BaseTransport | None = None,
) -> bool:
    """
    Send what changed, if anything did and somebody wants to hear it.

    A message that cannot be delivered is logged and does not undo the report.
    """
    if settings.webhook_url_file is None:
        return False
    body = message(report, states, run_id=run_id, chat=settings.webhook_kind == "chat")
    if body is None:
        return False
    try:
        url = settings.webhook_url_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInputError(f"drift.webhook_url_file {settings.webhook_url_file}: {error.strerror}") from None
    try:
        with httpx.Client(timeout=_TIMEOUT, transport=transport) as client:
            _post(client, url, body)
    except (httpx.HTTPError, httpx.InvalidURL, _TryAgainError) as error:
        # The address is a secret, and errors of the client carry it.
        log.warning("webhook.failed", run=run_id, error=type(error).__name__)
        return False
    return True


@retry(
    retry=retry_if_exception_type((httpx.TransportError, _TryAgainError)),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_exponential(multiplier=0.2, max=10),
    reraise=True,
)
def _post(client: httpx.Client, url: str, body: Mapping[str, Any]) -> None:
    answer = client.post(url, json=body)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise _TryAgainError
    answer.raise_for_status()


def message(
    report: DriftReport, states: Mapping[str, tuple[str, str]], *, run_id: str, chat: bool
) -> dict[str, Any] | None:
    """What to send; None when the report has no news."""
    news = [
        (finding, states[key][1])
        for finding in report.findings
        if (key := finding.key(report.cluster)) in states and states[key][1]
    ]
    if not news:
        return None
    known = len(report.findings) - len(news)
    lines = [f"Drift in {report.cluster}: {len(news)} new, {known} known"]
    for finding, why in news[:_LINES]:
        marker = "" if why == "new" else f" ({why})"
        lines.append(f"- {finding.severity.value} {finding.kind.value}{marker}: {finding.why}")
    if len(news) > _LINES:
        lines.append(f"and {len(news) - _LINES} more")
    text = "\n".join(printable(line, limit=_MAX_LINE) for line in lines)
    if chat:
        return {"text": text}
    return {
        "text": text,
        "run": run_id,
        "cluster": report.cluster,
        "window": report.to_json()["window"],
        "news": [finding.to_json(report.cluster) | {"news": why} for finding, why in news],
    }
