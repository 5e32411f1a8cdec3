"""
Rows of bits, one bit per policy entry, 64 to a word.

Allow entries fill the first words and deny entries the last ones, so "does any allow match" is one
look at a slice of words. An edge's matching entries are then the AND of three rows: those that
select the subject, those whose peer fits, those whose port fits.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORD: Final = 64

Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]


def word_count(bit_count: int) -> int:
    """
    Words that hold a number of bits.

    Examples
    --------
    >>> word_count(0), word_count(1), word_count(64), word_count(65)
    (0, 1, 1, 2)
    """
    return -(-bit_count // WORD)


def pack_columns(column: Callable[[int], Bools], row_count: int, bit_count: int) -> Words:
    """
    Rows of words from columns of bits.

    Parameters
    ----------
    column
        Bit `i` of every row, shape (row_count,).
    row_count, bit_count
        Shape; missing bits of the last word are 0.

    Returns
    -------
    ndarray of uint64
        Shape (row_count, words).
    """
    words = np.zeros((row_count, word_count(bit_count)), dtype=np.uint64)
    for word in range(words.shape[1]):
        block = np.zeros((row_count, WORD), dtype=np.bool_)
        for bit in range(min(WORD, bit_count - word * WORD)):
            block[:, bit] = column(word * WORD + bit)
        words[:, word] = np.packbits(block, axis=1, bitorder="little").view(np.uint64)[:, 0]
    return words


def first_bit(words: Words) -> NDArray[np.int64]:
    """
    Index of the lowest set bit of every row; -1 where a row is empty.

    Parameters
    ----------
    words
        Shape (n, words).
    """
    if words.shape[1] == 0:
        return np.full(len(words), -1, dtype=np.int64)
    nonzero = words != 0
    word = nonzero.argmax(axis=1)
    value = words[np.arange(len(words)), word]
    # The lowest bit alone is a power of two, which a float holds exactly.
    lowest = value & (~value + np.uint64(1))
    bit = np.log2(np.where(lowest == 0, 1, lowest).astype(np.float64)).astype(np.int64)
    return np.where(nonzero.any(axis=1), word * WORD + bit, -1)
