"""JSON columns as text: bodies of proposals are large, and a run writes one of each."""

import json
from typing import Any

import orjson


def to_text(value: Any) -> str:
    """JSON text of a value."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # halves of surrogate pairs, and integers beyond 64 bits: both come from flows
        return json.dumps(value)
