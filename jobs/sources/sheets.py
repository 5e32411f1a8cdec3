"""
Lines read into memory sheet by sheet, their own values taken out, one sheet ahead of whoever uses them.

Reading and taking out is work for one core that hardly needs Python's lock; meanwhile the engine works
on the sheet before.
"""

import mmap
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from jobs.sources.blanks import PADDING, Bytes, Places, Values, line_ends, take_out
from jobs.sources.layout import Layout
from jobs.sources.ranges import Range, reading_into

SHEET: Final = 128 << 20  # bytes of a sheet
#: While nothing is known yet every line is new: small sheets keep small what must be learned at once.
FIRST_SHEETS: Final = (2 << 20, 8 << 20, 32 << 20)
_STEP: Final = 4 << 20  # bytes read at a time
_LINE_FEED: Final = 10


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    Lines of one or more parts that are laid out alike, and what was taken out of them.

    Its memory is used again for the sheet after the next.
    """

    data: Bytes
    starts: Places
    ends: Places  # the line feeds
    part: Places  # number of the part of each line
    line: Places  # 1-based number of each line in its part
    offset: Places  # where each line starts in the range of its part
    values: Values
    layout: Layout | None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def has_uuid(self) -> bool:
        """Whether uuids were taken out."""
        return self.layout is not None and self.layout.has_uuid

    def texts(self) -> Any:
        """Arrow binaries of the lines as they stand now, line feeds included."""
        offsets = np.append(self.starts, self.ends[-1] + 1) if len(self) else np.zeros(1, dtype=np.int64)
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(self), [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        )

    def text(self, index: int) -> bytes:
        """One line as it stands now, without its line feed."""
        return bytes(self.data[self.starts[index] : self.ends[index]])


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of a sheet that come from one part."""

    part: int
    at: int  # in the sheet
    start: int  # in the range of the part


class Sheets:
    """
    Makes sheets in a thread of its own, which ends with ``close``.

    What was added is made in its order, one sheet ahead of what is taken.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sheets")
        self._buffers = [np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.uint8)]
        self._made = 0
        self._added: deque[tuple[Mapping[int, Range], Mapping[int, Layout | None]]] = deque()
        self._steps = self._step_by_step()
        self._ahead: Future[tuple[Sheet | None, bool]] | None = None

    def close(self) -> None:
        """Stop the thread."""
        self._pool.shutdown(cancel_futures=True)

    def add(self, parts: Mapping[int, Range], layouts: Mapping[int, Layout | None]) -> None:
        """Make sheets of these parts once those before are made."""
        self._added.append((parts, layouts))
        if self._ahead is None:
            self._ahead = self._pool.submit(next, self._steps)

    def take(self) -> Iterator[Sheet]:
        """Sheets of the parts that were added first and not taken yet, in their order."""
        last = False
        while not last and self._ahead is not None:
            sheet, last = self._ahead.result()
            self._ahead = self._pool.submit(next, self._steps)
            if sheet is not None:
                yield sheet

    def _step_by_step(self) -> Iterator[tuple[Sheet | None, bool]]:
        """Give one sheet after the other, and whether it is the last of what was added together."""
        while True:
            if self._added:
                yield from self._make(*self._added.popleft())
            else:
                yield None, False

    def _make(
        self, parts: Mapping[int, Range], layouts: Mapping[int, Layout | None]
    ) -> Iterator[tuple[Sheet | None, bool]]:
        """Fill sheets one after the other; a part that is laid out otherwise starts a new one."""
        waiting: list[_Piece] = []
        filled, counted = 0, dict.fromkeys(parts, 0)
        left = sum(part.size() for part in parts.values())
        layout: Layout | None = None
        for number, part in parts.items():
            start = 0
            with reading_into(part) as read:
                while start < part.size():
                    if waiting and (layout != layouts[number] or filled >= self._limit()):
                        yield self._finish(waiting, filled, counted, layouts), False
                        waiting, filled = [], 0
                    layout = layouts[number]
                    buffer = self._buffer(min(self._limit(), filled + left) + _STEP)
                    taken = _whole_lines(read, buffer, filled, (start, part.size()), self._limit() - filled)
                    waiting.append(_Piece(number, filled, start))
                    start, filled, left = start + taken[0], taken[1], left - taken[0]
                    self._buffers[self._made % 2] = taken[2]
        yield (self._finish(waiting, filled, counted, layouts) if waiting else None), True

    def _limit(self) -> int:
        return FIRST_SHEETS[self._made] if self._made < len(FIRST_SHEETS) else SHEET

    def _buffer(self, size: int) -> Bytes:
        """Memory of the sheet that is being filled, with room for so many bytes."""
        index = self._made % 2
        if len(self._buffers[index]) < size + PADDING:
            self._buffers[index] = _grown(self._buffers[index], size)
        return self._buffers[index]

    def _finish(
        self, pieces: list[_Piece], filled: int, counted: dict[int, int], layouts: Mapping[int, Layout | None]
    ) -> Sheet:
        data = self._buffers[self._made % 2][: filled + PADDING]
        self._made += 1
        ends = line_ends(data[:filled])
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        first = np.searchsorted(starts, [piece.at for piece in pieces])
        counts = np.diff(np.append(first, len(starts)))
        numbers = np.array([piece.part for piece in pieces], dtype=np.int64)
        before = []
        for piece, count in zip(pieces, counts, strict=True):
            before.append(counted[piece.part])
            counted[piece.part] += int(count)
        line = np.arange(1, len(starts) + 1) + np.repeat(np.array(before, dtype=np.int64) - first, counts)
        shift = np.array([piece.start - piece.at for piece in pieces], dtype=np.int64)
        layout = layouts[pieces[0].part]
        return Sheet(
            data,
            starts,
            ends,
            np.repeat(numbers, counts),
            line,
            starts + np.repeat(shift, counts),
            take_out(data, starts, ends, layout),
            layout,
        )


def _grown(buffer: Bytes, size: int) -> Bytes:
    """
    Give a longer buffer with the same content.

    Not from NumPy, which asks the kernel for huge pages: to find them costs more than reading the file.
    """
    larger: Bytes = np.frombuffer(mmap.mmap(-1, size + PADDING), dtype=np.uint8)
    larger[: len(buffer)] = buffer
    return larger


def _whole_lines(
    read: Callable[[int, Any], int], buffer: Bytes, at: int, span: tuple[int, int], limit: int
) -> tuple[int, int, Bytes]:
    """
    Read whole lines of a ``span`` of a range into the buffer from ``at`` on, about ``limit`` bytes.

    Returns how many bytes of the range that was, where the buffer is filled to (a last line without a line
    feed gets one), and the buffer, a longer one if a line did not fit.
    """
    (start, size), filled = span, at
    end = start
    while end < size:
        step = min(_STEP, size - end)
        if len(buffer) < filled + step + 1 + PADDING:
            buffer = _grown(buffer, filled + step + _STEP)
        got = read(end, buffer.data[filled : filled + step])
        if not got:
            break
        end, filled = end + got, filled + got
        if filled - at >= limit and end < size:
            seen = buffer[at:filled]
            last = _last_line_feed(seen)
            if last >= 0:
                return last + 1, at + last + 1, buffer
    if filled > at and buffer[filled - 1] != _LINE_FEED:
        buffer[filled] = _LINE_FEED
        filled += 1
    return size - start, filled, buffer


def _last_line_feed(data: Bytes) -> int:
    """Place of the last line feed, -1 where there is none."""
    end = len(data)
    while end > 0:
        begin = max(0, end - _STEP)
        found = bytes(data[begin:end]).rfind(b"\n")
        if found >= 0:
            return begin + found
        end = begin
    return -1
