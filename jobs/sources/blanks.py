"""
Lines with their own values taken out: what is left repeats, and has to be understood only once.

Of a million flows a few thousand differ in more than their time, uuid and ports. This finds those values
in a block of lines at once, and writes other ones of the same length over them in place; a line *is* then the
template that it shares with others. That the blanks are what they seem to be is proved by decoding the
template: its time, uuid and ports must come out as what was written here (``templates``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from jobs.sources.layout import Layout

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.int32]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: Bytes after the content that may be read (and are never used).
PADDING: Final = 1024
NO_PORT: Final = -1
UUID_BYTES: Final = 36
#: What is written over a value, of which the first or last bytes are used; see ``is_proved``.
BLANK_SECOND: Final = 1_433_664_550  # of BLANK_TIME
BLANK_TIME: Final = b"2015-06-07T08:09:10.123456789Z"
BLANK_UUID: Final = b"a5c3e1f0-7b2d-4c68-9e04-b1d7f3a2c586"
BLANK_SOURCE: Final = b"54321"
BLANK_TARGET: Final = b"65432"

_SLICE: Final = 1 << 18  # bytes searched at once: what stays in the cache
_LINES: Final = 4096  # lines looked at together, for the same reason
_WINDOW: Final = 384  # bytes after the uuid in which the ports are looked for
_KNOWN: Final = 32  # distances to the ports that are tried before a search
_FEW: Final = 64  # lines that are searched rather than tried on
_TIME: Final = 32  # bytes looked at for a time; the longest has 30
_SECONDS_END: Final = 19  # of "2026-03-02T00:00:00"
_SEPARATORS: Final = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"))
_FRACTION: Final = 9
_MAX_DIGITS: Final = 5
_FIRST_YEAR, _LAST_YEAR = 2015, 2099  # what lies outside is for ``decode`` to refuse
_ZERO, _QUOTE, _POINT, _ZULU, _COMMA, _BRACE = (np.uint8(ord(char)) for char in '0".Z,}')
_WORD: Final = 8
_LINE_FEED: Final = 10


@dataclass(frozen=True, slots=True)
class Values:
    """What was taken out of each line, in order; where ``fits`` is false nothing was, and nothing holds."""

    fits: Flags
    ns: Places  # nanoseconds since the epoch
    uuid: Bytes  # shape (n, UUID_BYTES); unused without a uuid in the layout
    source_port: Numbers  # NO_PORT where no ports were taken out
    target_port: Numbers


def line_ends(data: Bytes) -> Places:
    """Places of the line feeds."""
    found, hit = [], np.empty(_SLICE, dtype=bool)
    for start in range(0, len(data), _SLICE):
        piece = data[start : start + _SLICE]
        size = -(-len(piece) // _WORD) * _WORD
        hit[len(piece) : size] = False
        np.equal(piece, _LINE_FEED, out=hit[: len(piece)])
        # Few words hold one: those are found eight bytes at a time.
        words = np.flatnonzero(hit[:size].view(np.uint64) != 0)
        row, byte = np.nonzero(hit[:size].reshape(-1, _WORD)[words])
        found.append(words[row] * _WORD + byte + start)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def take_out(data: Bytes, starts: Places, ends: Places, layout: Layout | None, known: list[int]) -> Values:
    """
    Blank the lines ``[starts, ends)`` of ``data`` in place and return what stood there.

    ``data`` has PADDING readable bytes after the last line. ``known`` are the distances at which ports
    stood in lines of this layout before, the usual ones first; it is brought up to date.
    """
    if layout is None or not len(starts):
        nothing = np.full(len(starts), NO_PORT, dtype=np.int32)
        uuid = np.zeros((len(starts), UUID_BYTES), dtype=np.uint8)
        none, no_time = np.zeros(len(starts), dtype=bool), np.zeros(len(starts), dtype=np.int64)
        return Values(none, no_time, uuid, nothing, nothing)
    work = _Blanker(data, layout, known)
    parts = [
        work.take_out(starts[first : first + _LINES], ends[first : first + _LINES])
        for first in range(0, len(starts), _LINES)
    ]
    return Values(*(np.concatenate([getattr(part, name) for part in parts]) for name in Values.__slots__))


def is_proved(*, uuid: bool, ports: bool) -> str:
    """SQL: whether a decoded template has what was written into the blanks, where it must stand."""
    proofs = [f"ns // 1000000000 = {BLANK_SECOND}"]
    if uuid:
        proofs.append(f"uuid = '{BLANK_UUID.decode()}'")
    if ports:
        for column, blank in (("src_port", BLANK_SOURCE), ("dst_port", BLANK_TARGET)):
            listed = ", ".join(blank[-digits:].decode() for digits in range(1, _MAX_DIGITS + 1))
            proofs.append(f"coalesce({column}, -1) IN ({listed})")
    return " AND ".join(proofs)


def as_texts(uuids: Bytes) -> Any:
    """Arrow strings of rows of bytes."""
    offsets = np.arange(len(uuids) + 1, dtype=np.int32) * UUID_BYTES
    flat = np.ascontiguousarray(uuids)
    return pa.StringArray.from_buffers(len(uuids), pa.py_buffer(offsets), pa.py_buffer(flat))


class _Blanker:
    """
    Works on a few thousand lines at a time.

    Whatever is compared or written is eight bytes wide where it can be: ``_words`` shows the data as a
    word at every byte.
    """

    def __init__(self, data: Bytes, layout: Layout, known: list[int]) -> None:
        self._data, self._layout = data, layout
        self._words = np.ndarray((len(data) - _WORD + 1,), dtype="<u8", buffer=data, strides=(1,))
        self._last = len(data) - PADDING
        self._known = known

    def take_out(self, starts: Places, ends: Places) -> Values:
        """Blank these lines."""
        layout = self._layout
        time_at = starts + len(layout.before_time)
        ns, length, fits = _times(self._rows(time_at, _TIME))
        fits &= self._same(starts, layout.before_time)
        after = time_at + length
        fits &= self._same(after, layout.before_uuid)
        uuid_at = after + len(layout.before_uuid)
        if layout.has_uuid:
            uuid = self._rows(uuid_at, UUID_BYTES)
            fits &= _plain(uuid) & (self._data[uuid_at + UUID_BYTES] == _QUOTE)
            after = uuid_at + UUID_BYTES
        else:
            uuid = np.zeros((len(starts), UUID_BYTES), dtype=np.uint8)
        limit, end_time_at = ends, ends
        if layout.before_end_time:
            limit = end_time_at = np.maximum(ends - len(layout.after_end_time) - length, 0)
            fits &= self._same(end_time_at + length, layout.after_end_time)
            fits &= self._same(
                np.maximum(end_time_at - len(layout.before_end_time), 0), layout.before_end_time
            )
        fits &= (after < limit) & (ends <= self._last)
        ports = self._ports(after, limit, fits)
        for index, size in _by_size(fits, length):
            if layout.before_end_time:
                same = self._equal(time_at[index], end_time_at[index], size)
                fits[index[~same]] = False
                index = index[same]  # noqa: PLW2901 - the rest is read in another way
                self._write(end_time_at[index], BLANK_TIME[: size - 1] + b"Z")
            self._write(time_at[index], BLANK_TIME[: size - 1] + b"Z")
        if layout.has_uuid:
            self._write(uuid_at[fits], BLANK_UUID)
        for at, digits, blank in (
            (ports.source_at, ports.source_digits, BLANK_SOURCE),
            (ports.target_at, ports.target_digits, BLANK_TARGET),
        ):
            for index, size in _by_size(fits & (ports.source >= 0), digits):
                self._write(at[index], blank[-size:])
        return Values(fits, ns, uuid, ports.source, ports.target)

    def _ports(self, after: Places, limit: Places, fits: Flags) -> "_Ports":
        """Find the first pair after a place; a line without one keeps its ports in the template."""
        layout = self._layout
        nothing = np.full(len(after), NO_PORT, dtype=np.int32)
        if not layout.source_port:
            return _Ports(nothing, nothing, after, after, after, after)
        key_at = after + self._distances(after)
        found = fits & self._same(key_at, layout.source_port)
        source_at = key_at + len(layout.source_port)
        source, source_digits = self._number(source_at)
        middle = source_at + source_digits
        found &= self._same(middle, layout.destination_port)
        target_at = middle + len(layout.destination_port)
        target, target_digits = self._number(target_at)
        end = target_at + target_digits
        closing = self._data[end]
        found &= (source >= 0) & (target >= 0) & (end < limit)
        found &= (closing == _COMMA) | (closing == _BRACE)
        return _Ports(
            np.where(found, source, NO_PORT).astype(np.int32),
            np.where(found, target, NO_PORT).astype(np.int32),
            source_at,
            target_at,
            source_digits,
            target_digits,
        )

    def _distances(self, after: Places) -> Places:
        """
        How far from each place the key of the source port seems to stand; anything where there is none.

        It stands in few places, as long as addresses are: those where it stood before are looked at first.
        """
        key = self._layout.source_port
        word = np.uint64(int.from_bytes(key[:_WORD], "little"))
        distances, left = np.zeros(len(after), dtype=np.int64), np.arange(len(after))
        for distance in self._known:
            if len(left) <= _FEW:
                break
            there = self._words[after[left] + distance] == word
            distances[left[there]] = distance
            left = left[~there]
        if len(left):
            window = self._rows(after[left], _WINDOW)
            hit = window[:, :-2] == ord("e")
            hit &= window[:, 1:-1] == ord("_")
            hit &= window[:, 2:] == ord("p")
            distances[left] = np.maximum(hit.argmax(axis=1) - key.index(b"e_p"), 0)
            count = np.bincount(distances)
            self._known[:] = [
                int(often) for often in np.argsort(-count, kind="stable")[:_KNOWN] if count[often]
            ]
        return distances

    def _rows(self, places: Places, width: int) -> Bytes:
        """Copy ``width`` bytes from each place, shape (n, width)."""
        windows = np.ndarray(
            (len(self._data) - width + 1, width), dtype=np.uint8, buffer=self._data, strides=(1, 1)
        )
        rows: Bytes = windows[places]
        return rows

    def _same(self, places: Places, text: bytes) -> Flags:
        """Where ``text`` stands at a place."""
        flags = np.ones(len(places), dtype=bool)
        for start in _word_starts(len(text)):
            piece = text[start : start + _WORD]
            word = np.uint64(int.from_bytes(piece, "little"))
            seen = self._words[places + start]
            if len(piece) < _WORD:
                seen &= np.uint64((1 << (8 * len(piece))) - 1)
            flags &= seen == word
        return flags

    def _equal(self, left: Places, right: Places, size: int) -> Flags:
        """Where the same bytes stand at two places."""
        flags = np.ones(len(left), dtype=bool)
        for start in _word_starts(size):
            flags &= self._words[left + start] == self._words[right + start]
        return flags

    def _write(self, places: Places, text: bytes) -> None:
        if len(text) < _WORD:
            for place, char in enumerate(text):
                self._data[places + place] = char
            return
        for start in _word_starts(len(text)):
            self._words[places + start] = int.from_bytes(text[start : start + _WORD], "little")

    def _number(self, places: Places) -> tuple[Places, Places]:
        """Port and number of digits at each place; NO_PORT and 0 where none stands there."""
        digits = self._words[places].view(np.uint8).reshape(-1, _WORD).T - _ZERO
        value, count = np.zeros(len(places), dtype=np.int64), np.zeros(len(places), dtype=np.int64)
        going = np.ones(len(places), dtype=bool)
        for digit in digits[:_MAX_DIGITS]:
            going &= digit < 10  # noqa: PLR2004 - a decimal digit
            value = np.where(going, value * 10 + digit, value)
            count += going
        going &= digits[_MAX_DIGITS] < 10  # noqa: PLR2004 - one digit too many
        good = (count > 0) & ~going & (digits[0] != 0) & (value <= 65_535)  # noqa: PLR2004
        return np.where(good, value, NO_PORT), np.where(good, count, 0)


@dataclass(frozen=True, slots=True)
class _Ports:
    """Both ports of each line, where they stand one after the other."""

    source: Numbers
    target: Numbers
    source_at: Places
    target_at: Places
    source_digits: Places
    target_digits: Places


def _word_starts(size: int) -> list[int]:
    """Where words begin that cover ``size`` bytes; the last overlaps the one before it."""
    return [*range(0, size - _WORD, _WORD), size - _WORD] if size > _WORD else [0] * bool(size)


def _by_size(fits: Flags, sizes: Places) -> Iterator[tuple[Places, int]]:
    """Rows that fit, by the size of something in them."""
    chosen = np.flatnonzero(fits)
    found = sizes[chosen]
    for size in np.flatnonzero(np.bincount(found, minlength=1)):
        yield chosen[found == size], int(size)


def _plain(texts: Bytes) -> Flags:
    """Which rows hold nothing but letters, digits and dashes."""
    small = texts | np.uint8(0x20)  # makes letters small; digits and the dash have this bit
    good = (small - _ZERO < 10) | (small - np.uint8(ord("a")) < 26) | (texts == ord("-"))  # noqa: PLR2004
    good &= texts >= ord("-")
    flags: Flags = good.all(axis=1)
    return flags


def _times(shown: Bytes) -> tuple[Places, Places, Flags]:
    """Nanoseconds, length and validity of times like ``2026-03-02T00:00:00.123456789Z``."""
    columns = np.ascontiguousarray(shown.T)
    valid = np.ones(len(shown), dtype=bool)
    for place, char in _SEPARATORS:
        valid &= columns[place] == ord(char)

    def number(first: int, count: int) -> Any:
        value = np.zeros(len(shown), dtype=np.int32)
        for digit in columns[first : first + count] - _ZERO:
            np.logical_and(valid, digit < 10, out=valid)  # noqa: PLR2004 - a decimal digit
            value = value * np.int32(10) + digit
        return value

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    hour, minute, second = number(11, 2), number(14, 2), number(17, 2)
    length = np.full(len(shown), _SECONDS_END, dtype=np.int64)
    fraction = np.zeros(len(shown), dtype=np.int32)
    going = columns[_SECONDS_END] == _POINT
    length += going
    for digit in columns[_SECONDS_END + 1 : _SECONDS_END + 1 + _FRACTION] - _ZERO:
        going &= digit < 10  # noqa: PLR2004
        fraction = fraction * np.int32(10) + np.where(going, digit, np.uint8(0))
        length += going
    valid &= (shown[np.arange(len(shown)), length] == _ZULU) & (length != _SECONDS_END + 1)
    valid &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)  # noqa: PLR2004
    valid &= (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first_day = months.astype("datetime64[D]").astype(np.int64)
    next_first = (months + 1).astype("datetime64[D]").astype(np.int64)
    days = first_day + day - 1
    valid &= (day >= 1) & (days < next_first)
    seconds = days * 86_400 + (hour * 3600 + minute * 60 + second)
    ns: Places = seconds.astype(np.int64) * 1_000_000_000 + fraction
    return ns, length + 1, valid
