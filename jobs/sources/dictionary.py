"""
Numbers for texts that lines share, given in the order in which the texts are met.

A text is known by 128 bits of XXH3 under a seed that each process draws anew, so that nobody who writes
flows can prepare two texts that are taken for one. Texts themselves are not kept.
"""

import secrets
from typing import Any, Final, TypeAlias

import numpy as np
from xxhash import xxh3_128_digest

from jobs.sources.blanks import Bytes, Places

Words: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

#: Texts numbered; beyond it no new one is, until all are forgotten.
MAX_TEMPLATES: Final = 100_000
NONE: Final = 0  # number of a text that has none
FIRST: Final = 1  # number of the first text that has one
_BITS: Final = 18  # of a digest, which say where it should stand: a table that fits the cache
_SHIFT: Final = np.uint64(64 - _BITS)


class Dictionary:
    """
    Numbers from FIRST on; none is ever given twice.

    Digests are two words in the order of the first, with a table of where most of them stand: to look up
    thousands at once in arrays that stay in the cache takes a tenth of what a ``dict`` takes.
    """

    def __init__(self) -> None:
        self._seed = secrets.randbits(64)
        self._next = FIRST
        self.forget()

    def forget(self) -> None:
        """Know no text any more."""
        self._first, self._second = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
        self._numbers = np.empty(0, dtype=np.int64)
        self._places = np.zeros(1 << _BITS, dtype=np.int32)

    def find(self, data: Bytes, starts: Places, ends: Places) -> tuple[Places, Places]:
        """Number of each text ``data[start:end]``, and the places of those that were new and got one."""
        view, seed = memoryview(data), self._seed  # type: ignore[arg-type]
        digests = b"".join(
            [
                xxh3_128_digest(view[start:end], seed)
                for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
            ]
        )
        first, second = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2).T
        numbers = self._look_up(first, second)
        missing = np.flatnonzero(numbers == NONE)
        room = MAX_TEMPLATES - len(self._numbers)
        if not len(missing) or not room:
            return numbers, missing[:0]
        news = missing[np.sort(np.unique(first[missing], return_index=True)[1])][:room]
        self._add(first[news], second[news])
        numbers[missing] = self._look_up(first[missing], second[missing])
        return numbers, news

    def _look_up(self, first: Words, second: Words) -> Places:
        if not len(self._first):
            return np.full(len(first), NONE, dtype=np.int64)
        at = self._places[first >> _SHIFT]
        same = self._first[at] == first
        # Where two texts share a place, or a text is new: one in ten.
        other = np.flatnonzero(~same)
        at[other] = np.minimum(np.searchsorted(self._first, first[other]), len(self._first) - 1)
        same = (self._first[at] == first) & (self._second[at] == second)
        return np.where(same, self._numbers[at], NONE)

    def _add(self, first: Words, second: Words) -> None:
        """Number these texts, which are not known, in their order."""
        numbers = np.arange(self._next, self._next + len(first))
        self._next += len(first)
        order = np.argsort(first)
        at = np.searchsorted(self._first, first[order])
        self._first = np.insert(self._first, at, first[order])
        self._second = np.insert(self._second, at, second[order])
        self._numbers = np.insert(self._numbers, at, numbers[order])
        self._places[self._first >> _SHIFT] = np.arange(len(self._first))
