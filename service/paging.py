"""Cursors: where the next page begins, as an opaque word that a client hands back."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any, Final

from models.errors import BadInputError

#: Longest cursor that is looked at: four names of 253 characters, escaped.
MAX_CURSOR_CHARS: Final = 8192
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500


def encode_cursor(*parts: Any) -> str:
    """Cursor that holds the sort key of the last item of a page."""
    text = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> tuple[Any, ...]:
    """Sort key in a cursor; refuses what this service did not make."""
    parts = _parse(cursor)
    fits = isinstance(parts, list) and [type(part) for part in parts] == list(types)
    if not fits or any(isinstance(part, str) and not part.isprintable() for part in parts):
        raise BadInputError("cursor: not one that this service gave out")
    return tuple(parts)


def moment_in(part: str) -> datetime:
    """Time in a cursor; refuses what this service did not make."""
    try:
        moment = datetime.fromisoformat(part)
    except ValueError:
        raise BadInputError("cursor: not one that this service gave out") from None
    if moment.tzinfo is None:
        raise BadInputError("cursor: not one that this service gave out")
    return moment


def _parse(cursor: str) -> Any:
    if len(cursor) > MAX_CURSOR_CHARS:
        return None
    try:
        padded = (cursor + "=" * (-len(cursor) % 4)).encode("ascii")
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, UnicodeError, binascii.Error, RecursionError):
        return None
