"""
Greedy agglomeration of profiles by description length.

A role costs what its allow-list says: ``sigma`` for existing, ``lambda`` per cell of the union, and
``alpha`` for each cell that a member is given without having shown it:

    cost(role) = sigma + lambda * |U| + alpha * sum over members of |U - own cells|

Merging i and j changes the sum by
``alpha * (n_i |U_j - U_i| + n_j |U_i - U_j|) - lambda |U_i & U_j| - sigma``; the pair with the lowest
change is merged while it is below a limit. Ties go to the lexicographically first pair, so the order of
the input does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float64]

#: Widening price per member and cell, price per cell of the union, price of a role (method, section 6.1).
ALPHA: Final = 0.5
LAMBDA: Final = 1.0
SIGMA: Final = 1.5


@dataclass(frozen=True, slots=True)
class RolePrices:
    """Prices of the description; see the module."""

    alpha: float = ALPHA
    lam: float = LAMBDA
    sigma: float = SIGMA

    def role(self, members: Sequence[frozenset[str]]) -> float:
        """Cost of one role with these profiles; nothing for no member."""
        if not members:
            return 0.0
        union = frozenset().union(*members)
        excess = sum(len(union) - len(member) for member in members)
        return self.sigma + self.lam * len(union) + self.alpha * excess


class _Merger:
    """Groups as rows of a dense cell table, kept column by column: unions meet in few columns."""

    def __init__(self, unions: Sequence[frozenset[str]], weights: Sequence[int], prices: RolePrices) -> None:
        self.prices = prices
        self.weight = np.array(weights, dtype=np.float64)
        self.size = np.array([len(union) for union in unions], dtype=np.float64)
        seen: dict[str, int] = {}
        for union in unions:
            for cell in union:
                seen[cell] = seen.get(cell, 0) + 1
        shared = sorted(cell for cell, count in seen.items() if count > 1)  # others never intersect
        column = {cell: index for index, cell in enumerate(shared)}
        self.table = np.zeros((len(unions), len(shared)), dtype=np.bool_, order="F")
        for row, union in enumerate(unions):
            self.table[row, [column[cell] for cell in union if cell in column]] = True
        self.alive = np.ones(len(unions), dtype=np.bool_)
        self.partner = np.full(len(unions), -1, dtype=np.int64)
        self.change = np.full(len(unions), np.inf)

    def overlap(self, row: int) -> Floats:
        """Shared cells of one group with every group."""
        columns = np.flatnonzero(self.table[row])
        return np.asarray(self.table[:, columns].sum(axis=1), dtype=np.float64)

    def changes(self, row: int, *, needs_overlap: bool) -> Floats:
        """Cost change of merging one group with every other; infinite where that is no option."""
        common = self.overlap(row)
        p = self.prices
        widened = self.weight[row] * (self.size - common) + self.weight * (self.size[row] - common)
        change = p.alpha * widened - p.lam * common - p.sigma
        closed = ~self.alive | ((common == 0) & needs_overlap)
        closed[row] = True
        return np.where(closed, np.inf, change)

    def find(self, row: int, *, needs_overlap: bool) -> None:
        """Best partner of one group; ties go to the first."""
        change = self.changes(row, needs_overlap=needs_overlap)
        best = int(np.argmin(change))
        self.partner[row], self.change[row] = best, change[best]

    def merge(self, keep: int, gone: int) -> None:
        """Fold one group into another."""
        common = float((self.table[keep] & self.table[gone]).sum())
        self.table[keep] |= self.table[gone]
        self.size[keep] += self.size[gone] - common
        self.weight[keep] += self.weight[gone]
        self.alive[gone] = False
        self.change[gone] = np.inf


def agglomerate(
    unions: Sequence[frozenset[str]],
    weights: Sequence[int],
    prices: RolePrices,
    *,
    limit: float = 0.0,
    needs_overlap: bool = True,
) -> list[list[int]]:
    """
    Merge groups while that shortens the description.

    Parameters
    ----------
    unions
        Cells of each group; the order decides ties, so sort it by a canonical key.
    weights
        Workloads in each group.
    prices
        Prices of the description.
    limit
        A merge must change the cost by less than this; below zero makes it reluctant.
    needs_overlap
        Only groups that share a cell are candidates.

    Returns
    -------
    list of list of int
        Indices of the input per merged group, each sorted, in the order of their first index.
    """
    parts: list[list[int]] = [[index] for index in range(len(unions))]
    if len(unions) < 2:
        return parts
    state = _Merger(unions, weights, prices)
    for row in range(len(unions)):
        state.find(row, needs_overlap=needs_overlap)
    while True:
        first = int(np.argmin(state.change))
        if not state.change[first] < limit:
            break
        keep, gone = sorted((first, int(state.partner[first])))
        state.merge(keep, gone)
        parts[keep] += parts[gone]
        parts[gone] = []
        _refresh(state, keep, gone, needs_overlap=needs_overlap)
    return [sorted(part) for part in parts if part]


def _refresh(state: _Merger, keep: int, gone: int, *, needs_overlap: bool) -> None:
    """Best partners after a merge: new for the merged group and for those that pointed at it."""
    stale = np.flatnonzero(state.alive & ((state.partner == keep) | (state.partner == gone)))
    for row in sorted({*stale.tolist(), keep}):
        state.find(row, needs_overlap=needs_overlap)
    change = state.changes(keep, needs_overlap=needs_overlap)
    better = (change < state.change) | ((change == state.change) & (keep < state.partner))
    better[keep] = False
    rows = np.flatnonzero(better & state.alive)
    state.partner[rows], state.change[rows] = keep, change[rows]
