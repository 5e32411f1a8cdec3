"""
p_need: the probability that a cell is used again within a stated horizon.

A mixture of habits per zone, fitted to how cells of the estate came and went (`models.learning.returns`).
A cell that keeps to working days lives by a calendar without weekends, or every Sunday would look like its
death; of an office far from UTC one day of each weekend is a working day, because days are days of UTC. One
that was seen on one weekday only lives by that weekday. Of schedules that the cluster told of the model knows
nothing: what they change is changed after it was calibrated (`models.confidence.scheduled`).
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning import bitmaps
from models.learning.base import Estimator, require, series
from models.learning.cells import ZONES
from models.learning.days import DAYS_PER_WEEK, ObservedDays
from models.learning.returns import CALENDARS, Habits, Histories

#: Days ahead that a forecast speaks of unless said otherwise.
HORIZON: Final = 7
#: Days ahead that ``confidence`` speaks of: longer than a month, so that a monthly job is due.
CONFIDENCE_HORIZON: Final = 35
#: Presences and full days that make one weekday a pattern (method, section 3a).
MIN_WEEKLY_SEEN: Final = 2
MIN_WEEKLY_DAYS: Final = 14


#: Share of the days that a calendar leaves free on which what lives by it is used all the same: an office
#: call on one day of a year's weekends.
STRAY_SHARE: Final = 0.01
#: Such uses beyond which the calendar is not its own.
MAX_STRAYS: Final = 2

#: Share of offices so far from UTC that Friday ends on its Saturday (west), or Monday begins on its Sunday.
FAR_SHARE: Final = 0.02

_COUNTS: Final = ("returns", "last_return", "opportunities")
_SATURDAY: Final = 5
_SUNDAY: Final = 6
_DAYS: Final = 3  # place of ``days`` in the columns of `Histories`

Floats = npt.NDArray[np.float64]


class Recurrence(Estimator):
    """
    Probability of return per cell.

    Parameters
    ----------
    horizon
        Days ahead.

    Attributes
    ----------
    habits_ : dict of str to Habits
        Fitted habits per zone; those of all zones together are the prior of each.
    p_need_ : pandas.Series
        Probability of presence within the horizon, in [0, 1], keyed by cell.
    weekly_ : pandas.Series
        Whether all presences fell on one weekday, keyed by cell.
    """

    def __init__(self, horizon: int = HORIZON) -> None:
        self.horizon = horizon

    def fit(self, cells: pd.DataFrame, days: ObservedDays) -> Self:
        """
        Learn how cells return.

        Parameters
        ----------
        cells
            `DayIncidence.cells_`.
        days
            `DayIncidence.days_`.
        """
        require(cells, (*_COUNTS, "zone", "days", "first_date"), "cells")
        seen = histories(cells, days, self.horizon)
        pooled = Habits.typical().fitted(seen)
        zone = cells["zone"].to_numpy()
        self.habits_ = {name: pooled.fitted(seen.at(zone == name)) for name in ZONES}
        self.weekly_ = series(weekly(cells, days), cells.index, "weekly")
        self._learned = cells, seen
        self.__dict__.pop("p_need_", None)
        return self

    @cached_property
    def p_need_(self) -> pd.Series[Any]:
        """As the class says; worked out when asked for, since who forecasts other cells needs none."""
        self.check_fitted("habits_")
        cells, seen = self._learned
        return series(self._by_zone(cells, seen), cells.index, "p_need")

    def predict(self, cells: pd.DataFrame, days: ObservedDays, horizon: int | None = None) -> pd.Series[Any]:
        """
        Probability of presence within ``horizon`` days.

        Parameters
        ----------
        cells, days
            As for `fit`; other cells than those learned from are fine.
        horizon
            Days ahead; the constructor's when left out.
        """
        ahead = self.horizon if horizon is None else horizon
        return series(self._by_zone(cells, histories(cells, days, ahead)), cells.index, "p_need")

    def _by_zone(self, cells: pd.DataFrame, seen: Histories) -> Floats:
        self.check_fitted("habits_")
        result = np.zeros(len(cells))
        zone = cells["zone"].to_numpy()
        for name in ZONES:
            member = zone == name
            result[member] = self.habits_[name].need(seen.at(member))
        return result


def histories(cells: pd.DataFrame, days: ObservedDays, horizon: int) -> Histories:
    """
    Each cell's days on every calendar that it may live by.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    days
        The window.
    horizon
        Days ahead.
    """
    counts = [cells[name].to_numpy(dtype=np.int64) for name in _COUNTS]
    bitmap = cells["days"].to_numpy(dtype=np.uint64)
    date_of, dates = pd.factorize(cells["first_date"])
    sight = days.index_before(pd.Series(dates, dtype="str"))[date_of]
    started = np.array([date.fromisoformat(day).weekday() for day in dates], dtype=np.int64)[date_of]
    unnoted = ~np.isin(dates, days.full)[
        date_of
    ]  # in no bitmap: a partial day, or one before the oldest kept
    whole = np.stack([*counts, np.full(len(cells), max(days.count, 1)), np.full(len(cells), horizon)], axis=1)
    table = np.zeros((len(cells), len(CALENDARS), whole.shape[1]), dtype=np.int64)
    table[:, :, _DAYS] = 1  # of a calendar that a cell cannot live by, whatever divides
    table[:, 0] = whole
    chance = np.zeros((len(cells), len(CALENDARS)))
    chance[:, 0] = 1.0
    ahead = days.weekdays_ahead(horizon)
    for number, weekdays, prior in _parts_of_a_week():
        on = np.flatnonzero(weekdays[days.weekdays]) if days.count else np.zeros(0, dtype=np.int64)
        off = bitmaps.mask_of(~np.isin(np.arange(days.count), on))
        strays = bitmaps.count_bits(bitmap & off) + (~weekdays[started] & unnoted)
        likely = _by_chance(strays, bitmaps.count_bits(off >> np.maximum(sight, 0).astype(np.uint64)))
        likely *= prior
        # what is used daily and had one free Sunday in two weeks has no such office
        most = 0 if prior == FAR_SHARE else MAX_STRAYS
        own = (strays == 0) | ((strays <= most) & (bitmaps.count_bits(bitmap & ~off) > strays))
        rows = np.flatnonzero(own & (likely > chance[:, number]))
        if len(rows):
            table[rows, number] = _on_calendar(bitmap[rows], sight[rows], on, int(ahead[weekdays].sum()))
            chance[rows, number] = likely[rows]
    returns, last, opportunities, length, coming = np.moveaxis(table, 2, 0)
    return Histories(returns, last, opportunities, length, coming, chance)


def _parts_of_a_week() -> list[tuple[int, npt.NDArray[np.bool_], float]]:
    """Place in `CALENDARS`, which weekdays it has, and its share of that place; of all but every day."""
    week = np.arange(DAYS_PER_WEEK)
    return [
        (1, week < _SATURDAY, 1.0),
        *((1, (week < _SATURDAY) | (week == day), FAR_SHARE) for day in (_SATURDAY, _SUNDAY)),
        *((2, week == day, 1.0 / DAYS_PER_WEEK) for day in range(DAYS_PER_WEEK)),
    ]


def _by_chance(strays: bitmaps.Ints, free: bitmaps.Ints) -> Floats:
    """Probability of so many uses on the days that a calendar leaves free."""
    return np.asarray(STRAY_SHARE**strays * (1.0 - STRAY_SHARE) ** np.maximum(free - strays, 0))


def _on_calendar(bitmap: bitmaps.Bits, sight: bitmaps.Ints, on: bitmaps.Ints, ahead: int) -> bitmaps.Ints:
    """
    Columns of `Histories` on the days ``on`` of a calendar.

    A first sight on a partial day, or on one that the calendar leaves free, is no presence of the calendar:
    its first opportunity is the calendar's next day.
    """
    seen = (bitmap[:, None] >> on.astype(np.uint64)[None, :]) & np.uint64(1) == 1
    before = np.searchsorted(on, sight, side="right")  # days of the calendar up to first sight
    counted = seen.any(axis=1) & (np.append(on, -1)[before - 1] == sight)
    counted &= (bitmap >> np.maximum(sight, 0).astype(np.uint64)) & np.uint64(1) == 1
    returns = seen.sum(axis=1) - counted
    newest = len(on) - seen[:, ::-1].argmax(axis=1) if len(on) else np.zeros(len(bitmap), dtype=np.int64)
    return np.stack(
        [
            returns,
            np.where(returns > 0, newest - before, 0),
            len(on) - before,
            np.full(len(bitmap), max(len(on), 1)),
            np.full(len(bitmap), ahead),
        ],
        axis=1,
    )


def weekly(cells: pd.DataFrame, days: ObservedDays) -> npt.NDArray[np.bool_]:
    """Whether each cell shows the weekly pattern: two or more presences, all on one weekday, T >= 14."""
    return weekday_occurrences(cells, days) > 0


def weekday_occurrences(cells: pd.DataFrame, days: ObservedDays) -> bitmaps.Ints:
    """How often the cell's only weekday came round since first sight; 0 without a weekly pattern."""
    bitmap = cells["days"].to_numpy(dtype=np.uint64)
    occurrences = np.zeros(len(bitmap), dtype=np.int64)
    if days.count < MIN_WEEKLY_DAYS:
        return occurrences
    enough = bitmaps.count_bits(bitmap) >= MIN_WEEKLY_SEEN
    since = np.maximum(bitmaps.lowest_bit(bitmap), 0).astype(np.uint64)
    for weekday in range(DAYS_PER_WEEK):
        mask = bitmaps.mask_of(days.weekdays == weekday)
        only = enough & ((bitmap & ~mask) == 0)
        occurrences[only] = bitmaps.count_bits(mask >> since[only])
    return occurrences
