"""
Day bitmaps: bit d is set when a cell was seen on fully observed day d, day 0 being the oldest.

They are built and read in NumPy only; engines disagree about shifts of untyped literals.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

_ONE = np.uint64(1)


def bits_of(groups: Ints, positions: Ints, group_count: int) -> Bits:
    """
    Bitmap per group from (group, position) pairs; repeated pairs and any order give the same.

    Parameters
    ----------
    groups
        Group of each pair, in [0, group_count).
    positions
        Bit of each pair, in [0, 63).
    group_count
        Length of the result.

    Examples
    --------
    >>> int(bits_of(np.zeros(14, dtype=np.int64), np.arange(0, 28, 2), 1)[0])
    89478485
    """
    bitmap = np.zeros(group_count, dtype=np.uint64)
    np.bitwise_or.at(bitmap, groups, _ONE << positions.astype(np.uint64))
    return bitmap


def count_bits(bitmap: Bits) -> Ints:
    """Number of set bits."""
    return np.bitwise_count(bitmap).astype(np.int64)


def lowest_bit(bitmap: Bits) -> Ints:
    """Index of the oldest set bit; -1 when none is set."""
    lowest = bitmap & (~bitmap + _ONE)
    return np.where(bitmap == 0, -1, count_bits(lowest - _ONE * (lowest != 0)))


def highest_bit(bitmap: Bits) -> Ints:
    """Index of the newest set bit; -1 when none is set."""
    filled = bitmap.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(shift)
    return count_bits(filled) - 1


def first_bits(bitmap: Bits, count: int) -> Bits:
    """Bitmap cut to its oldest ``count`` days."""
    return bitmap & ((_ONE << np.uint64(count)) - _ONE)


def bits_between(bitmap: Bits, start: int, stop: int) -> Bits:
    """Bitmap cut to days ``start`` to ``stop - 1``, positions kept."""
    return first_bits(bitmap, stop) & ~first_bits(np.full_like(bitmap, ~np.uint64(0)), start)


def mask_of(flags: npt.NDArray[np.bool_]) -> np.uint64:
    """One bitmap from one flag per day."""
    positions = np.flatnonzero(flags).astype(np.uint64)
    return np.bitwise_or.reduce(_ONE << positions) if len(positions) else np.uint64(0)
