"""
Last night's partition, moved on only where that pays.

The cost of a role changes by a simple amount when one workload joins or leaves, so a night's moves need
the overlap of the workload with each role and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from models.learning.agglomeration import RolePrices

#: Rounds of moves over all workloads; real partitions settle after one or two.
MAX_ROUNDS: Final = 10

_NOBODY: Final = np.zeros(0, dtype=np.int64)
_MORE: Final = 1024  # roles for which room is made at a time

Profiles = Mapping[str, frozenset[str]]


@dataclass(slots=True)
class _Role:
    """Members of a role and how many of them show each cell."""

    members: set[str] = field(default_factory=set)
    cells: Counter[str] = field(default_factory=Counter)

    def add(self, workload: str, profile: frozenset[str]) -> None:
        self.members.add(workload)
        self.cells.update(profile)

    def remove(self, workload: str, profile: frozenset[str]) -> None:
        self.members.remove(workload)
        self.cells.subtract(profile)
        for cell in profile:
            if not self.cells[cell]:
                del self.cells[cell]

    def saved_by_leaving(self, profile: frozenset[str], prices: RolePrices) -> float:
        """Cost that goes when a member goes."""
        if len(self.members) == 1:
            return prices.role([profile])
        only_here = sum(self.cells[cell] == 1 for cell in profile)
        given = len(self.cells) - len(profile)
        return prices.lam * only_here + prices.alpha * (given + (len(self.members) - 1) * only_here)


class Partition:
    """
    A partition of workloads that can be moved on.

    Parameters
    ----------
    parts
        Members of each role, sorted by a canonical key; the order decides ties.
    profiles
        Cells per workload.
    prices
        Prices of the description.
    """

    def __init__(self, parts: Iterable[Iterable[str]], profiles: Profiles, prices: RolePrices) -> None:
        self._profiles = profiles
        self._prices = prices
        self._roles: list[_Role] = []
        self._home: dict[str, int] = {}
        self._showing: dict[str, set[int]] = {}  # roles by cell: who shares nothing is never looked at
        self._listed: dict[str, npt.NDArray[np.int64]] = {}  # the same, of cells that were looked at
        self._members = np.zeros(0, dtype=np.int64)  # members and cells of each role, to price all at once
        self._cells = np.zeros(0, dtype=np.int64)
        for part in parts:
            self._found()
            for workload in part:
                self._put(workload, len(self._roles) - 1)

    def place(self, workload: str) -> float:
        """Give a new workload the role where it saves most, or one of its own; what that costs."""
        target, cost = self._cheapest(workload, leaving=None)
        alone = self._prices.role([self._profiles[workload]])
        self._put(workload, target if target is not None and cost < alone else self._found())
        return min(cost, alone)

    def settle(self, hysteresis: float) -> None:
        """Move workloads, in order, while a move saves more than ``hysteresis``."""
        for _ in range(MAX_ROUNDS):
            moved = [self._move(workload, hysteresis) for workload in sorted(self._home)]
            if not any(moved):
                return

    def dissolve(self, hysteresis: float) -> bool:
        """Give up a role whose members do better elsewhere; whether any was, after each was tried in turn."""
        changed = False
        for index in range(len(self._roles)):
            members = sorted(self._roles[index].members)
            saved = sum(self._take(workload) for workload in members) - sum(map(self.place, members))
            if not members or saved > hysteresis:
                changed = changed or bool(members)
                continue
            for workload in members:
                self._take(workload)
            for workload in members:
                self._put(workload, index)
        return changed

    def _take(self, workload: str) -> float:
        """Take a workload out of its role, and say what that saves."""
        role, profile = self._roles[self._home[workload]], self._profiles[workload]
        saved = role.saved_by_leaving(profile, self._prices)
        self._remove(workload)
        return saved

    def parts(self) -> list[list[str]]:
        """Members per role, sorted."""
        return sorted(sorted(role.members) for role in self._roles if role.members)

    def _move(self, workload: str, hysteresis: float) -> bool:
        profile = self._profiles[workload]
        home = self._home[workload]
        saved = self._roles[home].saved_by_leaving(profile, self._prices)
        target, joined = self._cheapest(workload, leaving=home)
        alone = self._prices.role([profile])
        if saved - min(joined, alone) <= hysteresis:
            return False
        self._remove(workload)
        self._put(workload, target if target is not None and joined <= alone else self._found())
        return True

    def _cheapest(self, workload: str, leaving: int | None) -> tuple[int | None, float]:
        """The role that it costs least to join, of those that share a cell; the first one of equals."""
        profile = self._profiles[workload]
        showing = [self._roles_of(cell) for cell in profile]
        shared = np.bincount(np.concatenate([_NOBODY, *showing]), minlength=len(self._roles))
        if leaving is not None:
            shared[leaving] = 0
        roles = np.flatnonzero(shared)
        if not len(roles):
            return None, float("inf")
        common = shared[roles]
        fresh = len(profile) - common
        widened = self._members[roles] * fresh + self._cells[roles] - common
        costs = self._prices.lam * fresh + self._prices.alpha * widened
        cost = costs.min()
        return int(roles[costs == cost].min()), float(cost)

    def _roles_of(self, cell: str) -> npt.NDArray[np.int64]:
        """Roles that show a cell; most stay as they are for many moves."""
        known = self._listed.get(cell)
        if known is None:
            roles = self._showing.get(cell, set())
            known = self._listed[cell] = np.fromiter(roles, np.int64, len(roles))
        return known

    def _put(self, workload: str, index: int) -> None:
        profile = self._profiles[workload]
        self._roles[index].add(workload, profile)
        for cell in profile:
            roles = self._showing.setdefault(cell, set())
            if index not in roles:
                roles.add(index)
                self._listed.pop(cell, None)
        self._home[workload] = index
        self._count(index)

    def _remove(self, workload: str) -> None:
        """Take a workload out of its role."""
        index, profile = self._home[workload], self._profiles[workload]
        role = self._roles[index]
        role.remove(workload, profile)
        for cell in profile:
            if cell not in role.cells:
                self._showing[cell].discard(index)
                self._listed.pop(cell, None)
        self._count(index)

    def _count(self, index: int) -> None:
        role = self._roles[index]
        self._members[index], self._cells[index] = len(role.members), len(role.cells)

    def _found(self) -> int:
        self._roles.append(_Role())
        if len(self._roles) > len(self._members):
            self._members, self._cells = (
                np.append(counts, np.zeros(_MORE, dtype=np.int64)) for counts in (self._members, self._cells)
            )
        return len(self._roles) - 1
