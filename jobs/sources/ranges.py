"""
Byte ranges and blocks of memory as files that DuckDB can read.

DuckDB parses JSON lines far faster than anything in Python, but it reads whole files. A batch must
be a *part* of a file, cut at a line end, so that its end can be a durable cursor. Copying parts to
temporary files would halve the speed; this file system hands DuckDB the range itself.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from fsspec import AbstractFileSystem

PROTOCOL: Final = "portolan"


@dataclass(frozen=True, slots=True)
class FileRange:
    """The bytes ``[start, end)`` of a plain file."""

    path: Path
    start: int
    end: int

    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    def read(self) -> bytes:
        """Return the bytes themselves."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size())


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes held in memory: unpacked, piped in, or written anew line by line."""

    data: bytes

    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def read(self) -> bytes:
        """Return the bytes themselves."""
        return self.data


Range = FileRange | Block


@contextmanager
def reading_into(part: Range) -> Iterator[Callable[[int, memoryview], int]]:
    """Give a function that reads from an offset of the range into memory and says how many bytes."""
    if isinstance(part, Block):
        data = memoryview(part.data)

        def copy(offset: int, into: memoryview) -> int:
            piece = data[offset : offset + len(into)]
            into[: len(piece)] = piece
            return len(piece)

        yield copy
        return
    fd = os.open(part.path, os.O_RDONLY)
    try:
        yield lambda offset, into: os.preadv(fd, [into], part.start + offset)
    finally:
        os.close(fd)


class _OpenRange:
    """What DuckDB needs of an open file."""

    def __init__(self, part: Range) -> None:
        self._part = part
        self._fd = os.open(part.path, os.O_RDONLY) if isinstance(part, FileRange) else -1
        self._at = 0
        self.size = part.size()

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, self.size)[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, length: int = -1) -> bytes:
        left = max(self.size - self._at, 0)
        length = left if length < 0 else min(length, left)
        if isinstance(self._part, Block):
            data = self._part.data[self._at : self._at + length]
        else:
            data = os.pread(self._fd, length, self._part.start + self._at) if length else b""
        self._at += len(data)
        return data

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False


class RangeFiles(AbstractFileSystem):  # type: ignore[misc]
    """The ranges of one DuckDB connection, by number; no number is ever used twice."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._parts: Mapping[int, Range] = {}

    @classmethod
    def attach(cls, con: duckdb.DuckDBPyConnection) -> "RangeFiles":
        """Make a file system and register it with a connection."""
        files = cls()
        con.register_filesystem(files)
        con.execute("SET enable_external_file_cache = false")
        return files

    def publish(self, parts: Mapping[int, Range]) -> list[str]:
        """Take over the ranges of the next read and name them; earlier ones are forgotten."""
        self._parts = parts
        return [f"{PROTOCOL}://{number:012d}" for number in parts]

    def _part(self, path: str) -> Range:
        return self._parts[int(path.rsplit("/", 1)[-1])]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and kind of a range."""
        return {"name": path, "size": self._part(path).size(), "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        """A range stands for itself: its name holds no pattern."""
        return [path]

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the range is published."""
        return int(path.rsplit("/", 1)[-1]) in self._parts

    def modified(self, path: str) -> datetime:
        """A fixed time: ranges do not change while they are read."""
        del path
        return datetime(2020, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _OpenRange:
        del mode
        return _OpenRange(self._part(path))
