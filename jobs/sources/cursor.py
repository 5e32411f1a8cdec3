"""
The durable cursor: what of a content was consumed, whatever the file is called now.

A content is known by a hash of its head and, for each stretch consumed, a hash of the bytes before
its end. So the same file again, its rotated name, its compressed copy and a file that grew are told
from a new file without parsing anything (docs/decisions/0001).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.sources.content import TAIL, Content


@dataclass(frozen=True, slots=True)
class Position:
    """How far a content was consumed, and how many records that was."""

    offset: int = 0
    records: int = 0


def digest(data: bytes) -> str:
    """Hash of a piece of content."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Cursor:
    """Stretches that earlier batches consumed, by the head of their content."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._stretches: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Remember a row of the table ``batches``."""
        self._stretches.setdefault((row["head_bytes"], row["head_hash"]), []).append(dict(row))

    def find(self, content: Content) -> Position:
        """Where to go on in this content; the start when nothing of it was consumed."""
        candidates = [
            row
            for size in sorted({size for size, _ in self._stretches if size <= len(content.head)})
            for row in self._stretches.get((size, digest(content.head[:size])), [])
        ]
        if not candidates or content.path is None:
            return Position()
        tails = _tails(content, sorted({row["end"] for row in candidates}))
        same = [row for row in candidates if tails.get(row["end"]) == row["tail_hash"]]
        end, records = 0, 0
        for row in sorted(same, key=lambda row: (row["start"], row["end"])):
            if row["start"] == end:  # stretches follow each other without a hole
                end, records = row["end"], records + row["records"]
        return Position(end, records)


def _tails(content: Content, ends: list[int]) -> dict[int, str]:
    """Hash of the bytes before each of these offsets, as far as the content reaches."""
    if content.plain:
        return {end: digest(content.before(end)) for end in ends if end <= content.size}
    tails, held, at = {}, b"", 0
    wanted = iter(ends)
    end = next(wanted, None)
    for block in content.blocks():
        if end is None or isinstance(block, str):
            break
        held, at = held[-TAIL:] + block, at + len(block)
        while end is not None and end <= at:
            stop = len(held) - (at - end)
            tails[end] = digest(held[max(0, stop - TAIL) : stop])
            end = next(wanted, None)
    return tails
