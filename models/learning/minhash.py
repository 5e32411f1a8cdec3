"""MinHash blocks: which of many thousand profiles are worth comparing at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Permutations and bands: four rows a band, so that profiles from a Jaccard index of about 0.4 meet.
PERMUTATIONS: Final = 128
BANDS: Final = 32
_EMPTY: Final = np.uint64((1 << 64) - 1)


def minhash_blocks(profiles: Sequence[frozenset[str]], seed: int = 0) -> list[list[int]]:
    """
    Connected components of profiles that collide in at least one band.

    Parameters
    ----------
    profiles
        Cells per profile.
    seed
        Of the permutations; the blocks of one seed do not depend on anything else.

    Returns
    -------
    list of list of int
        Indices per block, each sorted, in the order of their first index.
    """
    if not profiles:
        return []
    signature = _signatures(profiles, seed)
    rows, columns = [], []
    width = PERMUTATIONS // BANDS
    for band in range(BANDS):
        part = signature[:, band * width : (band + 1) * width]
        _, bucket = np.unique(part, axis=0, return_inverse=True)
        _, first = np.unique(bucket, return_index=True)
        rows.append(np.arange(len(profiles)))
        columns.append(first[bucket.ravel()])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=(len(profiles), len(profiles)))
    _, label = connected_components(graph, directed=False)
    blocks: dict[int, list[int]] = {}
    for index, block in enumerate(label.tolist()):
        blocks.setdefault(block, []).append(index)
    return sorted(blocks.values())


def _signatures(profiles: Sequence[frozenset[str]], seed: int) -> npt.NDArray[np.uint64]:
    cells = sorted(frozenset().union(*profiles))
    rng = np.random.default_rng(seed)
    salt = rng.integers(0, 1 << 63, size=PERMUTATIONS, dtype=np.uint64)
    digest = [int.from_bytes(hashlib.blake2b(cell.encode(), digest_size=8).digest(), "big") for cell in cells]
    hashed = _mixed(np.array(digest, dtype=np.uint64)[:, None] ^ salt)
    position = {cell: index for index, cell in enumerate(cells)}
    signature = np.full((len(profiles), PERMUTATIONS), _EMPTY, dtype=np.uint64)
    for index, profile in enumerate(profiles):
        if profile:
            signature[index] = hashed[[position[cell] for cell in profile]].min(axis=0)
    return signature


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser: salts that differ in one bit give unrelated orders."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
