"""How many packets policy dropped, by the agents' own counters in Prometheus; only asked where configured."""

from datetime import datetime
from typing import Any, Final

import httpx
import structlog
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from models.domain.window import Window

#: Cilium's counter of drops, and Hubble's: whichever is scraped.
_QUERIES: Final = (
    'sum(increase(cilium_drop_count_total{{reason="Policy denied"}}[{seconds}s]))',
    'sum(increase(hubble_drop_total{{reason="POLICY_DENIED"}}[{seconds}s]))',
)
_TIMEOUT: Final = 20.0  # seconds
_ATTEMPTS: Final = 3

log = structlog.get_logger()


def count_denials(url: str, window: Window, transport: httpx.BaseTransport | None = None) -> float | None:
    """
    Packets that policy dropped in a window.

    Returns
    -------
    float or None
        ``None`` when Prometheus cannot be asked or knows no such counter; a report never fails for it.
    """
    seconds = int((window.end - window.start).total_seconds())
    with httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT, transport=transport) as client:
        for query in _QUERIES:
            try:
                value = _value(_ask(client, query.format(seconds=seconds), window.end))
            except (httpx.HTTPError, ValueError) as error:
                log.warning("prometheus.unreachable", error=type(error).__name__)
                return None
            if value is not None:
                return value
    return None


@retry(
    retry=retry_if_exception_type(httpx.TransportError),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_exponential(multiplier=0.2, max=5),
    reraise=True,
)
def _ask(client: httpx.Client, query: str, at: datetime) -> Any:
    answer = client.get("/api/v1/query", params={"query": query, "time": str(at.timestamp())})
    answer.raise_for_status()
    return answer.json()


def _value(answer: Any) -> float | None:
    """The one number of an instant vector; None when it is empty."""
    result = answer.get("data", {}).get("result", []) if isinstance(answer, dict) else []
    return float(result[0]["value"][1]) if result else None
