"""
Fingerprints of records: 64 bits of (node, uuid), and 64 bits of what every field mask keeps.

They are stored, so they must mean the same in every version and on every machine: DuckDB's ``hash``
promises neither, and md5 over texts put together costs a fifth of an ingest. This is a plain
multiply-and-shift hash over eight-byte words (little-endian), computed for whole columns.
It tells records apart; it is no protection against somebody who makes collisions on purpose.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

_SEED: Final = np.uint64(0x9E3779B97F4A7C15)
_FACTOR: Final = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finalizer
_HALF: Final = np.uint64(32)
#: Bytes of a word that belong to a text with so many bytes left.
_MASKS: Final = np.array([(1 << (8 * left)) - 1 for left in range(9)], dtype=np.uint64)
_WORD: Final = 8
_ABSENT: Final = 0xA5A5A5A5  # stands for NULL among the numbers; no column here holds it


def mix(hashes: Hashes, words: Hashes) -> None:
    """Take one more word into each hash, in place: new memory costs more than the arithmetic."""
    hashes ^= words
    hashes *= _FACTOR
    hashes ^= hashes >> _HALF


def hash_texts(column: Any) -> Hashes:
    """Hash of each text of an Arrow column; NULL hashes like the empty text."""
    array = pc.fill_null(column, "").cast(pa.large_string())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not len(array):
        return np.empty(0, dtype=np.uint64)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.concatenate((np.frombuffer(data_buffer or b"", dtype=np.uint8), np.zeros(8, dtype=np.uint8)))
    # A word at every byte: texts do not start at multiples of eight.
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = np.full(len(array), _SEED)
    mix(hashes, lengths.astype(np.uint64))
    if (lengths == lengths[0]).all():  # uuids, for one: nothing to look up
        _hash_alike(hashes, words[int(starts[0]) :], int(lengths[0]))
        return hashes
    rows = np.flatnonzero(lengths > 0)
    at = 0
    while len(rows):
        left = np.minimum(lengths[rows] - at, _WORD)
        some = hashes[rows]
        mix(some, words[starts[rows] + at] & _MASKS[left])
        hashes[rows] = some
        at += _WORD
        rows = rows[lengths[rows] > at]
    return hashes


def _hash_alike(hashes: Hashes, words: Hashes, length: int) -> None:
    """Hash texts of one length that follow each other; ``words`` has one for every byte of them."""
    for at in range(0, length, _WORD):
        mask = _MASKS[min(length - at, _WORD)]
        mix(hashes, words[at : at + (len(hashes) - 1) * length + 1 : length] & mask)


def hash_names(column: Any) -> Hashes:
    """Do the same for a column that holds few distinct texts."""
    encoded = pc.dictionary_encode(pc.fill_null(column, ""))
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    hashes: Hashes = hash_texts(encoded.dictionary)[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes


def hash_numbers(column: Any) -> Hashes:
    """Words of a column of numbers or booleans; NULL is a word of its own."""
    numbers = pc.fill_null(column.cast(pa.int64()), _ABSENT)
    return np.asarray(numbers.to_numpy(), dtype=np.int64).view(np.uint64)


def lengths(column: Any) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Bytes of each text of an Arrow column without NULL."""
    found: np.ndarray[Any, np.dtype[np.int64]] = pc.binary_length(column).to_numpy().astype(np.int64)
    return found


def fold(columns: Sequence[Hashes], count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """One hash of several columns, as integers that fit a signed 64-bit column."""
    hashes = np.full(count, _SEED)
    for column in columns:
        mix(hashes, column)
    mix(hashes, hashes >> _HALF)
    return hashes.view(np.int64)
