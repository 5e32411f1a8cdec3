"""What kind of stream a content is, told from its first lines."""

from typing import Any, Final

import orjson

from jobs.sources.columns import FOREIGN_KEYS
from jobs.sources.content import UTF8_BOM
from jobs.sources.reader import BARE, OTHER, WRAPPED

VALUES: Final = "values"  # JSON that is not one value per line: arrays, pretty print
LINES_LOOKED_AT: Final = 20
_EVENTS: Final = ("lost_events", "node_status", "agent_event", "debug_event")


def shape_of(peek: bytes) -> str:
    """``wrapped``, ``bare`` or ``other`` lines, or ``values``; only says what to try first."""
    text = peek.removeprefix(UTF8_BOM).lstrip()
    whole, _, rest = text.rpartition(b"\n")
    lines = [line for line in (whole or rest).splitlines() if line.strip()][:LINES_LOOKED_AT]
    objects = [value for value in map(_object, lines) if value is not None]
    if not objects:
        return VALUES if text[:1] in (b"{", b"[") else OTHER
    flows = [value["flow"] for value in objects if isinstance(value.get("flow"), dict)]
    if any(not set(FOREIGN_KEYS) & set(flow) for flow in flows):
        return WRAPPED
    if any("verdict" in value and ("IP" in value or "source" in value) for value in objects):
        return OTHER if any(set(FOREIGN_KEYS) & set(value) for value in objects) else BARE
    return WRAPPED if all(any(event in value for event in _EVENTS) for value in objects) else OTHER


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
