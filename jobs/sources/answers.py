"""
Long answers of stores, broken up into the lines they carry.

One answer of Loki or of the Log Analytics API is one JSON object of many megabytes. DuckDB's JSON
functions hold a parsed copy of it for each expression, so it is taken apart here first.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

#: Longer texts are broken up before they are looked at; what is one record and longer is refused.
MAX_WHOLE: Final = 1 << 20
#: Ways to the lines of an answer; ``*`` stands for every item of a list.
_WAYS: Final = (
    ("data", "result", "*", "values", "*", 1),  # Loki query_range
    ("streams", "*", "values", "*", 1),  # Loki push
    ("hits", "hits", "*"),  # Elasticsearch
    ("resourceLogs", "*", "scopeLogs", "*", "logRecords", "*"),  # OTLP
    ("records", "*"),  # Azure
)


def break_up(raw: bytes) -> list[bytes] | None:
    """Lines that an answer carries, or ``None`` when it is no answer that is known here."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, list):
        return [_as_line(item) for item in value]
    if not isinstance(value, dict):
        return None
    rows = list(_rows(value))
    for way in _WAYS:
        rows = rows or list(_follow(value, way))
    return [_as_line(row) for row in rows] or None


def _follow(value: Any, way: tuple[str | int, ...]) -> Iterator[Any]:
    if not way:
        yield value
        return
    step, rest = way[0], way[1:]
    if step == "*":
        for item in value if isinstance(value, list) else []:
            yield from _follow(item, rest)
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from _follow(value[step], rest)
    elif isinstance(value, dict) and step in value:
        yield from _follow(value[step], rest)


def _rows(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of the tables of a Log Analytics answer, each as an object of its columns."""
    for table in _follow(value, ("tables", "*")):
        names = [str(name) for name in _follow(table, ("columns", "*", "name"))]
        for row in _follow(table, ("rows", "*")):
            if isinstance(row, list):
                yield dict(zip(names, row, strict=False))


def _as_line(item: Any) -> bytes:
    return item.encode() if isinstance(item, str) else orjson.dumps(item)
