"""Byte ranges of files and blocks of memory: a batch is part of a file, so that its end can be a cursor."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


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
