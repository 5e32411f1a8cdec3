"""Lengths of time as people write them: ``90s``, ``15m``, ``24h``, ``14d``, ``2w``."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from models.errors import BadInputError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_FORM: Final = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
#: Ten years: longer than any cluster keeps its flows, and short enough for every date to exist.
LONGEST: Final = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Length named by a number and a unit; refuses zero and what no store can hold."""
    match = _FORM.fullmatch(text.strip())
    length = timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else timedelta()
    if not timedelta() < length <= LONGEST:
        raise BadInputError(
            f"{text!r} is not a length of time: write a number and s, m, h, d or w, as in 14d"
        )
    return length


def format_duration(length: timedelta) -> str:
    """Shortest form of a length that ``parse_duration`` reads back."""
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def _validate(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except BadInputError as error:
            raise ValueError(str(error)) from None
    if isinstance(value, timedelta):
        return value
    raise ValueError("write a number and a unit, as in 14d")


#: A settings field that holds a length of time.
Duration = Annotated[
    timedelta,
    BeforeValidator(_validate),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+[smhdw]$", "examples": ["14d"]}),
]
