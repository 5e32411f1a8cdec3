"""Lines of a block of bytes as columns: number, text, whether it is text at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

BLOCK: Final = 8 << 20  # bytes whose lines are found at once
MAX_BLANK: Final = 64  # bytes; nobody pads an empty line further


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a block that are not blank, in order."""

    data: bytes
    numbers: "np.ndarray[Any, np.dtype[np.int64]]"  # 1-based, counted from the start of the block
    starts: "np.ndarray[Any, np.dtype[np.int64]]"
    ends: "np.ndarray[Any, np.dtype[np.int64]]"

    @classmethod
    def of(cls, data: bytes) -> "Lines":
        """Split at line feeds and leave out blank lines, as DuckDB's reader does."""
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)  # noqa: PLR2004 - line feed
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        numbers = np.arange(1, len(ends) + 1)
        keep = np.ones(len(ends), dtype=bool)
        for index in np.flatnonzero(ends - starts < MAX_BLANK):
            keep[index] = bool(data[starts[index] : ends[index]].strip())
        return cls(data, numbers[keep], starts[keep], ends[keep])

    def __len__(self) -> int:
        return len(self.numbers)

    def pick(self, indices: "np.ndarray[Any, np.dtype[np.int64]]") -> "Lines":
        """Keep only the lines at these places."""
        return Lines(self.data, self.numbers[indices], self.starts[indices], self.ends[indices])

    def raws(self) -> list[bytes]:
        """Bytes of each line, without its line end."""
        return [self.data[start:end] for start, end in zip(self.starts, self.ends, strict=True)]

    def texts(self) -> Any:
        """Arrow strings; NULL where a line is not UTF-8."""
        return as_texts(self.raws())


def blocks_of_lines(data: bytes) -> Iterator[Lines]:
    """Lines of a long stretch of bytes, block by block, numbered through."""
    start = before = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + BLOCK) + 1 or data.find(b"\n", start) + 1 or len(data)
        piece = data[start:end]
        lines = Lines.of(piece)
        yield Lines(lines.data, lines.numbers + before, lines.starts, lines.ends)
        start, before = end, before + piece.count(b"\n")


def as_texts(pieces: Sequence[bytes]) -> Any:
    """Arrow strings of these bytes; NULL where they are not UTF-8."""
    try:
        return pa.array(pieces, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(piece) for piece in pieces], pa.string())


def _text(piece: bytes) -> str | None:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return None
