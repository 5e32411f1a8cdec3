"""
Roles: workloads that share one selector and one allow-list, found by description length.

Workloads of one key (owner kind, image repository, stable app labels) are tried first, because they run
the same program; then groups that share cells. Last night's partition is the start of tonight's: a
workload moves only if that pays, so that proposals do not churn.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from models.learning.agglomeration import ALPHA, LAMBDA, SIGMA, RolePrices, agglomerate
from models.learning.base import Estimator, require
from models.learning.hysteresis import Partition, Profiles
from models.learning.minhash import minhash_blocks

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Cost a workload's move, or a merge of two roles, must save before last night's partition gives way.
HYSTERESIS: Final = 2.0
#: Saving granted to a merge of workloads with one key: the same program is expected to behave alike.
KEY_BONUS: Final = 3.0
#: Distinct profiles above which only MinHash neighbours are compared.
MAX_BLOCK: Final = 5000
#: Workloads up to which single ones are moved after merging, for that compares each with every role.
MAX_SETTLED: Final = 500

_Parts = list[list[str]]


class Roles(Estimator):
    """
    Partition of workloads into roles.

    Parameters
    ----------
    alpha, lam, sigma
        Prices of the description; see `models.learning.agglomeration`.
    hysteresis
        Saving below which last night's partition is kept.
    key_bonus
        Extra saving of a merge within one key.
    across_keys
        Whether workloads of different keys may share a role.
    seed
        Of the MinHash permutations, used above `MAX_BLOCK` distinct profiles only.

    Attributes
    ----------
    roles_ : pandas.Series
        Role id per workload, sorted by workload.
    allowed_ : pandas.DataFrame
        Allow-list per role: ``role``, ``cell``, ``members`` that showed it, ``size`` of the role; a cell
        with fewer members than the role has is a widening.
    cost_ : float
        Description length of the partition.
    moved_ : tuple of str
        Workloads that were known last night and have another role now.
    """

    def __init__(
        self,
        *,
        alpha: float = ALPHA,
        lam: float = LAMBDA,
        sigma: float = SIGMA,
        hysteresis: float = HYSTERESIS,
        key_bonus: float = KEY_BONUS,
        across_keys: bool = True,
        seed: int = 0,
    ) -> None:
        self.alpha = alpha
        self.lam = lam
        self.sigma = sigma
        self.hysteresis = hysteresis
        self.key_bonus = key_bonus
        self.across_keys = across_keys
        self.seed = seed

    def fit(
        self,
        profiles: pd.DataFrame,
        keys: Mapping[str, str] | None = None,
        previous: Mapping[str, str] | None = None,
    ) -> Self:
        """
        Find roles.

        Parameters
        ----------
        profiles
            One row per workload and cell: ``workload``, ``cell``. Cells name peers by role or label key,
            so that two tenants that call "their own database" have the same cell.
        keys
            Key per workload; workloads without one stand alone.
        previous
            Role id per workload of last night; workloads that are gone are ignored.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(profiles, ("workload", "cell"), "profiles")
        own = cells_by_workload(profiles)
        prices = RolePrices(self.alpha, self.lam, self.sigma)
        kept = {workload: role for workload, role in (previous or {}).items() if workload in own}
        parts = self._parts(own, keys or {}, kept, prices)
        self.cost_ = sum(prices.role([own[w] for w in part]) for part in parts)
        self.roles_ = _name(parts, kept)
        self.moved_ = tuple(w for w in sorted(kept) if self.roles_[w] != kept[w])
        self.allowed_ = _allowed(self.roles_, own)
        return self

    def _parts(
        self, own: Profiles, keys: Mapping[str, str], kept: Mapping[str, str], prices: RolePrices
    ) -> _Parts:
        """Partition of all workloads, or of those of each key by itself; a key that is new begins anew."""
        if self.across_keys:
            return self._resume(own, kept, prices) if kept else self._fresh(own, keys, prices)
        by_key: dict[str, dict[str, frozenset[str]]] = {}
        for workload, cells in own.items():
            by_key.setdefault(keys.get(workload, ""), {})[workload] = cells
        parts: _Parts = []
        for _, inside in sorted(by_key.items()):
            known = {workload: kept[workload] for workload in inside if workload in kept}
            parts += self._resume(inside, known, prices) if known else self._fresh(inside, keys, prices)
        return sorted(parts)

    def _fresh(self, own: Profiles, keys: Mapping[str, str], prices: RolePrices) -> _Parts:
        by_profile: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for workload in sorted(own):
            key = keys.get(workload, "")
            by_profile.setdefault((key, tuple(sorted(own[workload]))), []).append(workload)
        by_key: dict[str, _Parts] = {}
        for (key, _), members in by_profile.items():
            by_key.setdefault(key, []).append(members)
        parts: _Parts = []
        for key in sorted(by_key):
            same = sorted(by_key[key])
            parts += self._merge(same, own, prices, self.key_bonus, overlap=False) if key else same
        if not self.across_keys and all(by_key):
            return sorted(parts)
        margin = abs(self.key_bonus) if any(by_key) else 0.0  # what one key was worth is not taken back
        return self._merge(sorted(parts), own, prices, 0.0, margin=margin)

    def _resume(self, own: Profiles, kept: Mapping[str, str], prices: RolePrices) -> _Parts:
        known: dict[str, list[str]] = {}
        for workload in sorted(kept):
            known.setdefault(kept[workload], []).append(workload)
        parts = [known[role] for role in sorted(known)]
        partition = Partition(parts, own, prices)
        for workload in sorted(set(own) - set(kept)):
            partition.place(workload)
        partition.settle(self.hysteresis)
        return self._merge(partition.parts(), own, prices, -self.hysteresis)

    def _merge(
        self,
        parts: _Parts,
        own: Profiles,
        prices: RolePrices,
        bonus: float,
        *,
        overlap: bool = True,
        margin: float | None = None,
    ) -> _Parts:
        """Merge parts, then move workloads where that saves more than the margin, or than a merge has to."""
        unions = [frozenset().union(*(own[w] for w in part)) for part in parts]
        whole = [list(range(len(parts)))]
        blocks = whole if len(parts) <= MAX_BLOCK else minhash_blocks(unions, self.seed)
        merged: _Parts = []
        for block in blocks:
            weights = [len(parts[index]) for index in block]
            inside = [unions[index] for index in block]
            groups = agglomerate(inside, weights, prices, limit=bonus, needs_overlap=overlap)
            merged += [sorted(w for index in group for w in parts[block[index]]) for group in groups]
        if sum(map(len, merged)) > MAX_SETTLED:
            return sorted(merged)
        partition = Partition(sorted(merged), own, prices)
        least = abs(bonus) if margin is None else margin
        partition.settle(least)
        while partition.dissolve(least):
            partition.settle(least)
        return partition.parts()


def cells_by_workload(frame: pd.DataFrame) -> dict[str, frozenset[str]]:
    """What each workload of ``workload`` and ``cell`` does, by workload, sorted."""
    cells: dict[str, set[str]] = {}
    for workload, cell in zip(frame["workload"].tolist(), frame["cell"].tolist(), strict=True):
        cells.setdefault(workload, set()).add(cell)
    return {workload: frozenset(cells[workload]) for workload in sorted(cells)}


def _name(parts: _Parts, previous: Mapping[str, str]) -> pd.Series[Any]:
    """Role ids: last night's where members overlap most, else named after the members."""
    old = sorted(set(previous.values()))
    position = {role: index for index, role in enumerate(old)}
    overlap = np.zeros((len(parts), len(old)))
    for row, part in enumerate(parts):
        for workload in part:
            if workload in previous:
                overlap[row, position[previous[workload]]] += 1.0
    rows, columns = linear_sum_assignment(-overlap)
    named = {int(r): old[c] for r, c in zip(rows, columns, strict=True) if overlap[r, c] > 0}
    roles: dict[str, str] = {}
    for row, part in enumerate(parts):
        role = named.get(row) or _new_id(part, frozenset(old))
        roles |= dict.fromkeys(part, role)
    return pd.Series(roles, dtype="str", name="role").sort_index().rename_axis("workload")


def _new_id(part: list[str], taken: frozenset[str]) -> str:
    text = "\n".join(part)
    role = "role-" + hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    if role in taken:  # the same members had this role once, and it is another's now
        return _new_id([*part, ""], taken)
    return role


def _allowed(roles: pd.Series[Any], own: Profiles) -> pd.DataFrame:
    role_of = roles.to_dict()
    rows = [(role_of[w], cell) for w in sorted(own) for cell in sorted(own[w])]
    pairs = pd.DataFrame(rows, columns=["role", "cell"])
    counted = pairs.groupby(["role", "cell"], sort=True).size().rename("members").reset_index()
    sizes = roles.value_counts()
    return counted.assign(size=counted["role"].map(sizes))
