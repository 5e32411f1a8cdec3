"""
Which patterns to take: greedily, then improved one step at a time.

Written exactly, a name costs a line and the denials of its share of the growth around it; under any pattern
it costs neither, and each pattern costs its price and a line. Taking the pattern that saves most at each step
can leave one inside another, or two where a third would do for both: the least cost is then missed by up to
a seventh (``tests/oracle``). Afterwards patterns are turned round while that saves: one that is not taken is
taken, and those that it makes useless are dropped; one that is taken is dropped, and what then pays is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from models.learning.name_candidates import Candidate

#: Saving below which a step is noise of the arithmetic.
_LEAST: Final = 1e-9

Offer = tuple["Candidate", float]  # a pattern, and the new names expected under it


@dataclass(frozen=True, slots=True)
class PatternSearch:
    """
    Search of patterns for the names of one subject.

    Parameters
    ----------
    lam
        Price of a line.
    mu
        Price of one expected denial.
    """

    lam: float
    mu: float

    def choose(self, offers: Sequence[Offer]) -> list[tuple[Candidate, float, float]]:
        """
        Patterns to take.

        Parameters
        ----------
        offers
            Patterns with the new names expected under each; any order.

        Returns
        -------
        list of (Candidate, float, float)
            Each with its new names and with what would be lost without it; sorted by price and pattern.
        """
        ordered = sorted(offers, key=lambda offer: (offer[0].price, offer[0].pattern))
        growth: dict[str, float] = {}
        for candidate, new in ordered:
            for name in candidate.names:
                growth[name] = max(growth.get(name, 0.0), new / len(candidate.names))
        state = _State(
            ordered, {name: self.lam + self.mu * share for name, share in growth.items()}, self.lam
        )
        for index in self._greedy(ordered):
            state.take(index)
        state.improve()
        return [(*ordered[index], state.worth(index)) for index in sorted(state.taken)]

    def _greedy(self, offers: Sequence[Offer]) -> list[int]:
        """Take the pattern that saves most, then ask again about the names that are left."""
        chosen: list[int] = []
        covered: set[str] = set()
        left = list(range(len(offers)))
        while left:
            gains = {index: self._gain(*offers[index], covered) for index in left}
            best = min(left, key=lambda index: (-gains[index], offers[index][0].pattern))
            if gains[best] <= 0.0:
                break
            left.remove(best)
            chosen.append(best)
            covered.update(offers[best][0].names)
        return chosen

    def _gain(self, candidate: Candidate, new: float, covered: set[str]) -> float:
        left = [name for name in candidate.names if name not in covered]
        share = len(left) / len(candidate.names)
        return self.lam * len(left) + self.mu * new * share - candidate.price - self.lam


class _State:
    """Patterns that are taken, and by how many of them each name is covered; only neighbours share names."""

    def __init__(self, offers: Sequence[Offer], cost_of: dict[str, float], lam: float) -> None:
        self.taken: set[int] = set()
        self._offers = offers
        self._cost_of = cost_of
        self._price = [candidate.price + lam for candidate, _ in offers]
        self._covers = dict.fromkeys(cost_of, 0)
        over: dict[str, list[int]] = {name: [] for name in cost_of}
        for index, (candidate, _) in enumerate(offers):
            for name in candidate.names:
                over[name].append(index)
        self._near = [{other for name in one.names for other in over[name]} for one, _ in offers]

    def take(self, index: int) -> None:
        """Take a pattern."""
        self.taken.add(index)
        for name in self._offers[index][0].names:
            self._covers[name] += 1

    def drop(self, index: int) -> None:
        """Give a pattern up."""
        self.taken.remove(index)
        for name in self._offers[index][0].names:
            self._covers[name] -= 1

    def worth(self, index: int) -> float:
        """What a pattern that is taken saves: the names that it alone covers, less its price."""
        alone = (name for name in self._offers[index][0].names if self._covers[name] == 1)
        return sum(self._cost_of[name] for name in alone) - self._price[index]

    def improve(self) -> None:
        """Turn patterns round, one at a time, as long as that saves; the turn that saves most first."""
        while True:
            turns = [(self._tried(index), index) for index in range(len(self._offers))]
            saved, index = min(turns, key=lambda turn: (-turn[0], turn[1]), default=(0.0, -1))
            if saved <= _LEAST:
                return
            self._turn(index)

    def _tried(self, index: int) -> float:
        """What turning a pattern round would save; nothing is changed."""
        before = self._near[index] & self.taken
        saved = self._turn(index)
        for other in self._near[index] & self.taken - before:
            self.drop(other)
        for other in before - self.taken:
            self.take(other)
        return saved

    def _turn(self, index: int) -> float:
        """Take a pattern and drop what gets useless, or drop it and take what then pays; what that saves."""
        if index not in self.taken:
            self.take(index)
            return self.worth(index) + self._prune(self._near[index] & self.taken - {index})
        saved = -self.worth(index)
        self.drop(index)
        return saved + self._fill(self._near[index] - self.taken - {index})

    def _prune(self, among: Collection[int]) -> float:
        """Drop those that cost more than they save, the worst first; what that saves."""
        saved, left = 0.0, set(among)
        while left:
            worst = min(left, key=lambda index: (self.worth(index), index))
            if (worth := self.worth(worst)) >= -_LEAST:
                break
            self.drop(worst)
            left.remove(worst)
            saved -= worth
        return saved

    def _fill(self, among: Collection[int]) -> float:
        """Take those that save more than they cost, the best first; what that saves."""
        saved, left = 0.0, set(among)
        while left:
            best = min(left, key=lambda index: (-self._gained(index), index))
            if (gained := self._gained(best)) <= _LEAST:
                break
            self.take(best)
            left.remove(best)
            saved += gained
        return saved

    def _gained(self, index: int) -> float:
        """What taking a pattern saves: the names that none covers yet, less its price."""
        bare = (name for name in self._offers[index][0].names if not self._covers[name])
        return sum(self._cost_of[name] for name in bare) - self._price[index]
