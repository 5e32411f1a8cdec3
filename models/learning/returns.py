"""
How cells come and go: a mixture of steady habits, fitted to one zone of an estate.

A cell is used on each day of its calendar with a probability ``p`` of its own, until it dies, with a
probability ``theta`` before each of those days. It was there before the window began, or it was born on
some day of it. This is the beta-geometric / beta-Bernoulli model (Fader, Hardie and Shang, 2010) with three
changes, each measured (docs/decisions/0031). The joint law of ``p`` and ``theta`` is a histogram instead of
two beta densities, because an estate mixes what never rests, what happens now and then, and what happened
once. The calendar may be all days, working days or one weekday, because silence on a Sunday is no death.
And the day of first sight is evidence: what is used daily and was always there does not show for the first
time on the last day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import beta
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Use per day: evenly spaced log odds, from once in five months to all but once in three years.
P_GRID: Final = expit(np.linspace(-5.0, 7.0, 19))
#: Death per day: never, up to once used and gone.
THETA_GRID: Final = np.array([0.0, 0.004, 0.012, 0.03, 0.08, 0.25, 1.0])
#: Beta parameters of use and death of a typical estate (method, section 12), where nothing was learned.
TYPICAL: Final = (1.20, 0.75, 0.66, 2.78)
#: Prior shares of the calendars, in the order of `CALENDARS`.
CALENDAR_SHARES: Final = (0.8, 0.15, 0.05)
CALENDARS: Final = ("every day", "working days", "one weekday")
#: Cells that the prior is worth.
PRIOR_CELLS: Final = 10.0
#: Rounds of expectation and maximisation; later ones sharpen the histogram and change no forecast.
ROUNDS: Final = 100


@dataclass(frozen=True)
class Histories:
    """
    What was seen of each cell, on each of `CALENDARS`; arrays of shape (n_cells, n_calendars).

    Parameters
    ----------
    returns
        x': days with presence after first sight.
    last
        t_x: the last of them, counted in opportunities; 0 without any.
    opportunities
        n: days after first sight.
    days
        T: days of the calendar in the window.
    ahead
        H: days of the calendar in the horizon.
    chance
        Prior probability of the calendar among those of its kind, 1 or a seventh for one weekday, times that
        of what was seen on days that the calendar lacks; 0 where that was too much.
    """

    returns: Ints
    last: Ints
    opportunities: Ints
    days: Ints
    ahead: Ints
    chance: Floats

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.returns)

    def at(self, rows: Ints | Bools) -> Histories:
        """Some of the cells."""
        return Histories(
            self.returns[rows],
            self.last[rows],
            self.opportunities[rows],
            self.days[rows],
            self.ahead[rows],
            self.chance[rows],
        )

    def distinct(self) -> tuple[Histories, Ints, Floats]:
        """Different histories, the place of each cell's own among them, and how many cells have each."""
        codes = np.zeros(len(self), dtype=np.int64)
        likely = np.unique(self.chance, return_inverse=True)[1].reshape(self.chance.shape)
        for column in (self.returns, self.last, self.opportunities, self.days, self.ahead, likely):
            for values in column.T:
                _, codes = np.unique(codes * (int(values.max(initial=0)) + 1) + values, return_inverse=True)
        _, first, place, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        return self.at(first), place.astype(np.int64), counts.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Habits:
    """
    Cells of one zone: how many of them live by which calendar, arrival, ``p`` and ``theta``.

    Parameters
    ----------
    weights
        Shares, shape (n_calendars, 2, n_p, n_theta), adding up to 1; of the second axis, the first half
        was there before the window, the second was born in it.
    p_grid, theta_grid
        The habits, shapes (n_p,) and (n_theta,).
    """

    weights: Floats
    p_grid: Floats
    theta_grid: Floats

    def __eq__(self, other: object) -> bool:
        """Whether another histogram says the same, to the last bit."""
        if not isinstance(other, Habits):
            return NotImplemented
        return all(
            np.array_equal(mine, theirs) for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)
        )

    def __hash__(self) -> int:
        """Equal histograms have equal hashes."""
        return hash(tuple(array.tobytes() for array in self._arrays()))

    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return self.weights, self.p_grid, self.theta_grid

    @classmethod
    def typical(cls, p_grid: Floats = P_GRID, theta_grid: Floats = THETA_GRID) -> Self:
        """Habits of an estate of which nothing is known."""
        use = np.diff(beta.cdf(_edges(p_grid), *TYPICAL[:2]))
        death = np.diff(beta.cdf(_edges(theta_grid), *TYPICAL[2:]))
        one = np.outer(use, death) / 2.0
        weights = np.array(CALENDAR_SHARES)[:, None, None, None] * np.stack([one, one])[None]
        return cls(weights, p_grid, theta_grid)

    def fitted(self, seen: Histories) -> Habits:
        """
        Habits after these cells, with this histogram as the prior.

        Parameters
        ----------
        seen
            Histories; none at all gives the prior back.
        """
        if not len(seen):
            return self
        histories, _, counts = seen.distinct()
        blocks = [
            (number, rows, self._likelihood(one) * self._arrival(one))
            for number, rows, one in _calendars(histories)
        ]
        prior = self.weights.reshape(len(self.weights), -1)
        weights = prior
        with threadpool_limits(limits=1):  # the same sums on any machine, and no waiting for a busy core
            for _ in range(ROUNDS):
                told = np.zeros(len(histories))
                for number, rows, block in blocks:
                    told[rows] += block @ weights[number]
                share = counts / told
                gained = np.zeros_like(weights)
                for number, rows, block in blocks:
                    gained[number] = block.T @ share[rows]
                weights = weights * gained + PRIOR_CELLS * prior
                weights /= weights.sum()
        return replace(self, weights=weights.reshape(self.weights.shape))

    def need(self, seen: Histories) -> Floats:
        """Probability that each cell is used within its horizon."""
        if not len(seen):
            return np.zeros(0)
        histories, place, _ = seen.distinct()
        now, silent = np.zeros(len(histories)), np.zeros(len(histories))
        for number, rows, one in _calendars(histories):
            weighted = self._arrival(one) * self.weights[number].ravel()
            later = replace(one, opportunities=one.opportunities + one.ahead)
            now[rows] += (self._likelihood(one) * weighted).sum(axis=1)
            silent[rows] += (self._likelihood(later) * weighted).sum(axis=1)
        return np.asarray(np.clip(1.0 - silent / now, 0.0, 1.0)[place])

    def _likelihood(self, one: _OnCalendar) -> Floats:
        """Probability of the days after first sight, whatever day the cell died on, per habit."""
        p = np.repeat(self.p_grid, len(self.theta_grid))
        theta = np.tile(self.theta_grid, len(self.p_grid))
        quiet = (1.0 - p) * (1.0 - theta)  # one more day alive and unused
        death = theta * (1.0 - _raised(quiet, one.opportunities - one.last)) / (1.0 - quiet)
        used = _raised(p, one.returns) * _raised(1.0 - p, one.last - one.returns)
        until = used * _raised(1.0 - theta, one.last)
        either = _survived(one, p, theta) + until * death
        return np.tile(either, 2)  # however the cell arrived

    def _arrival(self, one: _OnCalendar) -> Floats:
        """
        Probability of the day of first sight among the days of the window, per habit.

        Of a cell that was always there, the days before it are misses; one that was born did so on any
        day but the first with equal chance. Both given that the cell was seen at all.
        """
        p = np.repeat(self.p_grid, len(self.theta_grid))
        silent = 1.0 - p
        first = np.clip(one.days - 1 - one.opportunities, 0, None)
        unseen = _raised(silent, first)
        old = p * unseen / (1.0 - _raised(silent, one.days))
        # sum over birth days b in 1..first of p * silent^(first-b), and over first for the condition
        seen_at_all = (one.days - 1) - silent * (1.0 - _raised(silent, one.days - 1)) / p
        born = (1.0 - unseen) / np.maximum(seen_at_all, 1e-12)
        return np.concatenate([old, born], axis=1) * one.chance


@dataclass(frozen=True)
class _OnCalendar:
    """Columns of `Histories` on one calendar; shape (n_cells, 1) each."""

    returns: Ints
    last: Ints
    opportunities: Ints
    days: Ints
    ahead: Ints
    chance: Floats


def _calendars(seen: Histories) -> Iterator[tuple[int, Bools, _OnCalendar]]:
    """Each calendar with the cells that may live by it: number, rows of the cells, and their histories."""
    for number in range(seen.chance.shape[1]):
        rows = seen.chance[:, number] > 0.0
        some, one = seen.at(rows), slice(number, number + 1)
        yield (
            number,
            rows,
            _OnCalendar(
                some.returns[:, one],
                some.last[:, one],
                some.opportunities[:, one],
                some.days[:, one],
                some.ahead[:, one],
                some.chance[:, one],
            ),
        )


def _survived(one: _OnCalendar, p: Floats, theta: Floats) -> Floats:
    """Probability of the days after first sight and of being alive at their end, per habit."""
    missed = one.opportunities - one.returns
    used = _raised(p, one.returns) * _raised(1.0 - p, missed)
    return used * _raised(1.0 - theta, one.opportunities)


def _raised(chance: Floats, days: Ints) -> Floats:
    """``chance ** days`` per cell and habit; worked out once for each number of days, which are few."""
    powers: Floats = chance ** np.arange(int(days.max(initial=0)) + 1)[:, None]
    return powers[days[:, 0]]


def _edges(grid: Floats) -> Floats:
    """Limits of the bins around the points of a grid in [0, 1]."""
    return np.concatenate([[0.0], (grid[1:] + grid[:-1]) / 2.0, [1.0]])
