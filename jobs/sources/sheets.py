"""
Lines read into memory sheet by sheet: pieces of one or more parts that are laid out alike.

A sheet is as large as what stays in a core's cache while every line of it is looked at several times.
"""

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.sources.blanks import PADDING, Bytes, Places, line_ends
from jobs.sources.layout import Layout
from jobs.sources.ranges import Range, reading_into

SHEET: Final = 4 << 20  # bytes of a sheet
_STEP: Final = 1 << 20  # bytes read at a time
_BACK: Final = 64 << 10  # bytes copied to look for the last line feed in them
_LINE_FEED: Final = 10


@dataclass(frozen=True, slots=True)
class Sheet:
    """Lines of one or more parts that are laid out alike. Its memory is used again for the next sheet."""

    data: Bytes
    starts: Places
    ends: Places  # the line feeds
    part: Places  # number of the part of each line
    line: Places  # 1-based number of each line in its part
    offset: Places  # where each line starts in the range of its part
    layout: Layout | None

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of a sheet that come from one part."""

    part: int
    at: int  # in the sheet
    start: int  # in the range of the part


class Sheets:
    """Fills one sheet after the other, always into the same memory."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, dtype=np.uint8)

    def of(self, parts: Mapping[int, Range], layouts: Mapping[int, Layout | None]) -> Iterator[Sheet]:
        """Sheets of these parts in their order; a part that is laid out otherwise starts a new one."""
        waiting: list[_Piece] = []
        filled, counted = 0, dict.fromkeys(parts, 0)
        left = sum(part.size() for part in parts.values())
        layout: Layout | None = None
        for number, part in parts.items():
            start = 0
            with reading_into(part) as read:
                while start < part.size():
                    if waiting and (layout != layouts[number] or filled >= SHEET):
                        yield self._sheet(waiting, filled, counted, layout)
                        waiting, filled = [], 0
                    layout = layouts[number]
                    self._make_room(min(SHEET, filled + left) + _STEP)
                    taken, end = self._whole_lines(read, filled, (start, part.size()), SHEET - filled)
                    waiting.append(_Piece(number, filled, start))
                    start, filled, left = start + taken, end, left - taken
        if waiting:
            yield self._sheet(waiting, filled, counted, layout)

    def _make_room(self, size: int) -> None:
        """
        Have so many bytes, and what is there still there.

        Not from NumPy, which asks the kernel for huge pages: to find them costs more than reading the file.
        """
        if len(self._buffer) < size + PADDING:
            larger: Bytes = np.frombuffer(mmap.mmap(-1, size + PADDING), dtype=np.uint8)
            larger[: len(self._buffer)] = self._buffer
            self._buffer = larger

    def _whole_lines(
        self, read: Callable[[int, Any], int], at: int, span: tuple[int, int], limit: int
    ) -> tuple[int, int]:
        """
        Read whole lines of a ``span`` of a range from place ``at`` on, about ``limit`` bytes.

        Returns how many bytes of the range that was, and where the buffer is filled to (a last line without a
        line feed gets one).
        """
        (start, size), filled = span, at
        end = start
        while end < size:
            step = min(_STEP, size - end)
            self._make_room(filled + step + 1)
            got = read(end, self._buffer.data[filled : filled + step])
            if not got:
                break
            end, filled = end + got, filled + got
            if filled - at >= limit and end < size:
                last = _last_line_feed(self._buffer[at:filled])
                if last >= 0:
                    return last + 1, at + last + 1
        if filled > at and self._buffer[filled - 1] != _LINE_FEED:
            self._buffer[filled] = _LINE_FEED
            filled += 1
        return size - start, filled

    def _sheet(
        self, pieces: list[_Piece], filled: int, counted: dict[int, int], layout: Layout | None
    ) -> Sheet:
        data = self._buffer[: filled + PADDING]
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
        offset = starts + np.repeat(shift, counts)
        return Sheet(data, starts, ends, np.repeat(numbers, counts), line, offset, layout)


def _last_line_feed(data: Bytes) -> int:
    """Place of the last line feed, -1 where there is none."""
    end = len(data)
    while end > 0:
        begin = max(0, end - _BACK)
        found = bytes(data[begin:end]).rfind(b"\n")
        if found >= 0:
            return begin + found
        end = begin
    return -1
