"""
Lines that could not be used, kept: file, line, reason and text, as JSON lines.

One file per batch, which the observation store commits with the batch: whenever a run is killed, each
reject is there exactly once.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

MAX_TEXT: Final = 4096  # bytes kept of a line


@dataclass(frozen=True, slots=True)
class Reject:
    """One line (or record in a line) that was not used."""

    file: str
    line: int  # 1-based; 0 where there are no lines to count
    reason: str
    raw: bytes

    def as_json(self) -> bytes:
        r"""One line of JSON; bytes that are no text are escaped as ``\xNN``."""
        text = self.raw[:MAX_TEXT].decode("utf-8", "backslashreplace")
        row = {"file": self.file, "line": self.line, "reason": self.reason, "text": text}
        if len(self.raw) > MAX_TEXT:
            row["cut_at"] = MAX_TEXT
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def as_lines(rejects: Iterable[Reject]) -> bytes:
    """Contents of a reject file."""
    return b"".join(reject.as_json() for reject in rejects)


def keep_unfinished(folder: Path, source: str, rejects: Sequence[Reject]) -> None:
    """
    Keep what a file ends with when that may still grow; no batch holds it, for it is read again.

    The file's name derives from ``source``, so it is written anew by each reading and goes when the
    line was finished.
    """
    path = folder / f"unfinished-{hashlib.blake2b(source.encode(), digest_size=8).hexdigest()}.jsonl"
    if not rejects:
        path.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    staged.write_bytes(as_lines(rejects))
    staged.replace(path)
