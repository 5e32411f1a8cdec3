"""
One stream of bytes to ingest, cut into chunks that end at a line end.

Offsets always count the *unpacked* content, so a file, its rotated name and its compressed copy are
one thing. Cuts depend only on the content and on where reading started, never on timing: a run that
was killed and run again cuts where an undisturbed one does.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from jobs.sources.files import STDIN, Unpacked, packing
from jobs.sources.ranges import Block, FileRange, Range

CHUNK: Final = 1 << 30  # bytes of a plain file handed on at once
MEMORY_CHUNK: Final = 48 << 20  # bytes of unpacked content, which is held in memory
MAX_LINE: Final = 16 << 20  # bytes; a longer line is rejected, never parsed
HEAD: Final = 64 << 10  # bytes that tell one content from another
TAIL: Final = HEAD  # bytes before a cursor that must be the same for it to hold
MAX_LINES: Final = 1_000_000  # lines of a chunk, about: short lines must not make a chunk of millions
PEEK: Final = 1 << 20  # bytes looked at to tell lines from values
STEP: Final = 1 << 20  # bytes read at a time while looking for a line end
UTF8_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of content: whole lines, or one piece that cannot be read as lines."""

    start: int
    end: int
    part: Range
    problem: str = ""  # "", or why this stretch is one reject: truncated, oversized, corrupt
    consumed: bool = True  # False: the cursor stays before it, it may still grow
    tail: bytes = b""  # the bytes before ``end``, where the content cannot be read again
    lines_before: int = -1  # lines of the content before ``start``; -1 not counted


class Content:
    """A file (plain or packed), or a stream such as standard input that can be read once, read forward."""

    def __init__(self, path: Path | None, stdin: BinaryIO | None = None, *, name: str = STDIN) -> None:
        self.path = path
        self.name = name if path is None else str(path)
        self._stdin: BinaryIO = stdin or sys.stdin.buffer
        self._taken = b""  # what was taken from standard input to look at it
        raw = self._raw_head()
        self.packing = packing(raw)
        self.plain = path is not None and self.packing == "plain"
        self.peek = raw if self.plain else self._unpacked_peek(raw)
        self.head = self.peek[:HEAD]
        self.size = path.stat().st_size if path is not None else 0  # on disk, for the progress
        self.read_share = 0.0
        self._counted = (0, 0)  # offset and lines before it, of a plain file

    def _raw_head(self) -> bytes:
        if self.path is None:
            self._taken = self._stdin.read(PEEK)
            return self._taken
        with self.path.open("rb") as file:
            return file.read(PEEK)

    def _unpacked_peek(self, raw: bytes) -> bytes:
        if self.packing == "plain":
            return raw
        if self.path is None:  # a pipe cannot be read twice: what the first bytes unpack to must do
            return b"".join(Unpacked(_Nothing(), self.packing, raw))[:PEEK]  # type: ignore[arg-type]
        with self.path.open("rb") as file:
            peek = b""
            for block in Unpacked(file, self.packing):
                peek += block
                if len(peek) >= PEEK:
                    break
            return peek[:PEEK]

    def blocks(self) -> Iterator[bytes | str]:
        """Unpacked blocks from the start; last of all, if reading broke off, the reason as text."""
        if self.path is None:
            unpacked = Unpacked(self._stdin, self.packing, self._taken)
            yield from unpacked
        else:
            with self.path.open("rb") as file:
                unpacked = Unpacked(file, self.packing)
                for block in unpacked:
                    self.read_share = file.tell() / max(self.size, 1)
                    yield block
        if unpacked.damage:
            yield unpacked.damage

    def chunks(self, start: int, size: int = CHUNK) -> Iterator[Chunk]:
        """Cut the content from ``start`` on into chunks of whole lines."""
        if self.plain and self.path is not None:
            return _cut_file(self.path, start, size)
        return _cut_blocks(self.blocks(), start, min(size, MEMORY_CHUNK))

    def tail(self, chunk: Chunk) -> bytes:
        """The bytes before the end of a chunk."""
        return self.before(chunk.end) if self.plain else chunk.tail

    def before(self, offset: int) -> bytes:
        """The bytes before an offset of a plain file."""
        return FileRange(Path(self.name), max(0, offset - TAIL), offset).read()

    def lines_before(self, chunk: Chunk) -> int:
        """Lines of the content before a chunk; counted only when somebody asks."""
        if self.path is None or chunk.lines_before >= 0:
            return chunk.lines_before
        at, lines = self._counted if self._counted[0] <= chunk.start else (0, 0)
        while at < chunk.start:
            block = FileRange(self.path, at, min(at + STEP, chunk.start)).read()
            at, lines = at + len(block), lines + block.count(b"\n")
        self._counted = (at, lines)
        return lines


class _Nothing:
    """The end of a stream."""

    def read(self, size: int = -1) -> bytes:
        del size
        return b""


def is_complete(tail: bytes) -> bool:
    """Whether an unterminated last line is a whole record all the same."""
    try:
        return isinstance(orjson.loads(tail), dict | list)
    except orjson.JSONDecodeError:
        return False


def _cut_file(path: Path, start: int, limit: int) -> Iterator[Chunk]:
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        while start < size:
            chunk = _next_cut(fd, path, start, size, limit)
            yield chunk
            start = chunk.end
            if not chunk.consumed:
                return
    finally:
        os.close(fd)


def _next_cut(fd: int, path: Path, start: int, size: int, limit: int) -> Chunk:
    """Take whole lines up to ``limit`` bytes; a line that is too long stands alone."""
    target = min(start + limit, size)
    end, lines = start, 0.0
    while end < target and lines < MAX_LINES:  # a line end in every stride proves that no line is too long
        stride = min(end + MAX_LINE, target)
        found, share = _last_newline(fd, end, stride)
        if found < 0:
            break
        if lines + share * (found + 1 - end) > MAX_LINES:  # short lines: go on in smaller strides
            limit_here = end + max(int((MAX_LINES - lines) / share), STEP)
            found = _last_newline(fd, end, min(limit_here, stride))[0]
            if found >= 0:
                end = found + 1
            break
        end, lines = found + 1, lines + share * (found + 1 - end)
    if end > start:
        if end < target == size and size - end <= MAX_LINE:
            tail = os.pread(fd, size - end, end)
            if is_complete(tail):
                end = size
        return Chunk(start, end, FileRange(path, start, end))
    return _odd_line(fd, path, start, size)


def _odd_line(fd: int, path: Path, start: int, size: int) -> Chunk:
    """Handle what begins at ``start`` and has no line end within reach."""
    at = start
    while at < size:
        block = os.pread(fd, STEP, at)
        found = block.find(b"\n")
        if found >= 0:
            end = at + found + 1
            return Chunk(start, end, FileRange(path, start, min(end, start + STEP)), "oversized")
        at += len(block)
        if not block:
            break
    if size - start > MAX_LINE:
        return Chunk(start, size, FileRange(path, start, start + STEP), "oversized", consumed=False)
    if is_complete(os.pread(fd, size - start, start)):
        return Chunk(start, size, FileRange(path, start, size))
    return Chunk(start, size, FileRange(path, start, size), "truncated", consumed=False)


def _last_newline(fd: int, start: int, end: int) -> tuple[int, float]:
    """Offset of the last line end in ``[start, end)``, or -1, and how many lines a byte there holds."""
    at = end
    while at > start:
        begin = max(start, at - STEP)
        block = os.pread(fd, at - begin, begin)
        found = block.rfind(b"\n")
        if found >= 0:
            return begin + found, block.count(b"\n") / len(block)
        at = begin
    return -1, 0.0


class _Forward:
    """Bytes taken off the front of a stream that cannot be read again."""

    def __init__(self, start: int) -> None:
        self.at, self.lines, self._skip = 0, 0, start
        self.tail = b""
        self.held = bytearray()

    def feed(self, block: bytes) -> None:
        """Add a block; what lies before the start is only counted."""
        self.held += block
        if self._skip:
            self._skip -= len(self.take(min(self._skip, len(self.held))))

    def take(self, size: int) -> bytes:
        """Take the first bytes off, and remember what a cursor after them needs."""
        data = bytes(self.held[:size])
        del self.held[:size]
        self.at += len(data)
        self.lines += data.count(b"\n")
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        return data

    def chunk(self, size: int, problem: str = "", *, keep: int = -1, consumed: bool = True) -> Chunk:
        """Make a chunk of the first bytes."""
        start, lines = self.at, self.lines
        data = self.take(size)
        return Chunk(
            start, self.at, Block(data[:keep] if keep >= 0 else data), problem, consumed, self.tail, lines
        )

    def whole_lines(self, size: int) -> Iterator[Chunk]:
        """Make chunks of the first bytes, which are whole lines; a line that is too long stands alone."""
        left = size
        while left:
            end = 0
            while end < left and (found := self.held.rfind(b"\n", end, min(end + MAX_LINE, left))) >= 0:
                end = found + 1
            if left - end <= MAX_LINE and self.held.find(b"\n", end, left) < 0:
                end = left  # a last line without a line end
            if end:
                yield self.chunk(end)
            else:
                end = self.held.find(b"\n") + 1
                yield self.chunk(end, "oversized", keep=STEP)
            left -= end


def _cut_blocks(blocks: Iterator[bytes | str], start: int, limit: int) -> Iterator[Chunk]:
    """Do the same for content that can only be read forward."""
    stream, damage = _Forward(start), ""
    begun: Chunk | None = None  # a line that is too long, not ended yet
    for block in blocks:
        if isinstance(block, str):
            damage = block
            break
        stream.feed(block)
        if begun:
            cut = stream.held.find(b"\n") + 1
            stream.take(cut or len(stream.held))
            if not cut:
                continue
            yield replace(begun, end=stream.at, tail=stream.tail)
            begun = None
        if len(stream.held) >= limit:
            yield from stream.whole_lines(stream.held.rfind(b"\n") + 1)
        if len(stream.held) > max(MAX_LINE, limit):
            begun = stream.chunk(len(stream.held), "oversized", keep=STEP)
    if begun:
        yield replace(begun, consumed=False)
        return
    cut = stream.held.rfind(b"\n") + 1
    if cut < len(stream.held) and not damage and is_complete(bytes(stream.held[cut:])):
        cut = len(stream.held)
    yield from stream.whole_lines(cut)
    if damage or stream.held:
        problem = f"corrupt: {damage}" if damage else "truncated"
        yield stream.chunk(len(stream.held), problem, consumed=False)
