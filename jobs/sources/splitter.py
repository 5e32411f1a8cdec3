"""
JSON objects out of a stream that is not one object per line: arrays, pretty print, several a line.

What counts is a brace outside a string: an object runs from the brace that opens the first level to
the one that closes it, and whatever encloses objects (brackets, commas, white space) is passed over.
Quotes, escapes and braces are found for a whole block at once; memory is bounded by the block and
by the longest object allowed.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from jobs.sources.content import MAX_LINE, TAIL

QUOTE, ESCAPE, OPEN, CLOSE, LINE_FEED = (np.uint8(ord(char)) for char in '"\\{}\n')
MAX_RESTARTS: Final = 1000  # unclosed objects after which the rest of a stream is given up
PASSED_OVER: Final = b"[], \t\r\n"

_Places: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of the stream: an object, or text that is none."""

    start: int  # offset in the stream
    end: int
    line: int  # 1-based line on which it starts
    raw: bytes
    problem: str = ""  # "", "not JSON", "oversized", "truncated"


def _braces(block: bytes) -> tuple[_Places, _Places]:
    """Places of braces outside strings, and the level after each; the block starts outside a string."""
    data = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(data == QUOTE)
    if b"\\" in block:
        quotes = quotes[~_escaped(data, quotes)]
    braces = np.flatnonzero((data == OPEN) | (data == CLOSE))
    outside = np.searchsorted(quotes, braces) % 2 == 0
    braces = braces[outside]
    return braces, np.cumsum(np.where(data[braces] == OPEN, 1, -1))


def _escaped(data: Any, quotes: _Places) -> Any:
    """Which quotes have an odd number of backslashes before them."""
    slashes = np.flatnonzero(data == ESCAPE)
    first = np.ones(len(slashes), dtype=bool)  # whether a backslash starts a run of them
    first[1:] = np.diff(slashes) != 1
    run_start = slashes[np.maximum.accumulate(np.where(first, np.arange(len(slashes)), 0))]
    before = np.searchsorted(slashes, quotes) - 1
    valid = (before >= 0) & (slashes[np.maximum(before, 0)] == quotes - 1)
    length = quotes - run_start[np.maximum(before, 0)]
    return valid & (length % 2 == 1)


class Splitter:
    """Takes blocks, gives values; ``offset`` and ``line`` say how far it has come."""

    def __init__(self) -> None:
        self.offset, self.line = 0, 1
        self._held = b""
        self._restarts = 0
        self._lost = False  # within a line that is too long: nobody knows where its strings begin
        self._recent: deque[bytes] = deque()
        self._recent_size = 0

    def values(self, blocks: Iterable[bytes]) -> Iterator[Value]:
        """Every object and every piece of other text, in order."""
        for block in blocks:
            self._held += self._after_lost(block) if self._lost else block
            yield from self._take(last=False)
        yield from self._take(last=True)

    def _after_lost(self, block: bytes) -> bytes:
        """What follows the line that was refused as too long; the rest of it belongs to that reject."""
        end = block.find(b"\n") + 1
        self._lost = end == 0
        self._pass(block[: end or len(block)])
        return block[end:] if end else b""

    def _take(self, *, last: bool) -> Iterator[Value]:
        while self._held:
            braces, levels = _braces(self._held)
            levels = _closed(levels)
            ends = braces[levels == 0] if len(braces) else braces
            opens = braces[np.concatenate(([0], levels[:-1])) == 0] if len(braces) else braces
            at = 0
            for start, stop in zip(opens, ends, strict=False):
                yield from self._other(self._held[at:start])
                at = int(stop) + 1
                yield self._value(self._held[int(start) : at])
            self._held = self._held[at:]
            open_at = int(opens[len(ends)]) - at if len(opens) > len(ends) else -1
            if open_at < 0:
                keep = len(self._held) if not last else 0
                text_end = self._held.rfind(b"\n") + 1 if keep else len(self._held)
                yield from self._other(self._held[:text_end])
                self._held = self._held[text_end:]
                if len(self._held) > MAX_LINE:
                    self._lost = True
                    yield self._value(self._held, "oversized")
                    self._held = b""
                return
            yield from self._other(self._held[:open_at])
            self._held = self._held[open_at:]
            if not last and len(self._held) <= MAX_LINE:
                return
            yield from self._restart(last=last)

    def _restart(self, *, last: bool) -> Iterator[Value]:
        """Give up the object that never closes, and look for the next one after its first line."""
        self._restarts += 1
        cut = self._held.find(b"\n{") + 1
        if cut == 0 or self._restarts > MAX_RESTARTS:
            cut = len(self._held)
        piece, self._held = self._held[:cut], self._held[cut:]
        if last and not self._held and cut <= MAX_LINE:  # it may still grow: not passed
            yield Value(self.offset, self.offset + cut, self.line, piece, "truncated")
        else:
            self._lost = not self._held and not last
            yield self._value(piece, "oversized" if cut > MAX_LINE else "not JSON")

    def tail(self) -> bytes:
        """The bytes before ``offset``."""
        return b"".join(self._recent)[-TAIL:]

    def _value(self, raw: bytes, problem: str = "") -> Value:
        value = Value(self.offset, self.offset + len(raw), self.line, raw, problem)
        self._pass(raw)
        return value

    def _pass(self, raw: bytes) -> None:
        self.offset, self.line = self.offset + len(raw), self.line + raw.count(b"\n")
        self._recent.append(raw)
        self._recent_size += len(raw)
        while self._recent_size - len(self._recent[0]) >= TAIL:
            self._recent_size -= len(self._recent.popleft())

    def _other(self, text: bytes) -> Iterator[Value]:
        """Text between objects: nothing, punctuation, or lines that are no JSON."""
        if not text.strip(PASSED_OVER):
            self._pass(text)
            return
        for line in text.splitlines(keepends=True):
            value = self._value(line, "not JSON")
            if line.strip(PASSED_OVER):
                yield value


def _closed(levels: _Places) -> _Places:
    """Levels that never go below zero: a closing brace without its opening one is text."""
    if not len(levels) or levels.min() >= 0:
        return levels
    return levels - np.minimum(np.minimum.accumulate(levels), 0)
