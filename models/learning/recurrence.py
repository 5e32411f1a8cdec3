"""
p_need: the probability that a cell is used again within a stated horizon.

A mixture of habits per zone, fitted to how cells of the estate came and went (`models.learning.returns`).
A cell that keeps to working days lives by a calendar without weekends, or every Sunday would look like its
death. Two overrides come from the calendar: a cell seen on one weekday only, and a cell whose CronJob will
run. Overrides only ever raise the probability, because the model knows nothing of schedules and reads their
silence as death.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.learning import bitmaps
from models.learning.base import Estimator, require, series
from models.learning.cells import ZONES
from models.learning.days import DAYS_PER_WEEK, ObservedDays
from models.learning.returns import CALENDARS, Habits, Histories

if TYPE_CHECKING:
    import pandas as pd

#: Days ahead that a forecast speaks of unless said otherwise.
HORIZON: Final = 7
#: Days ahead that ``confidence`` speaks of: longer than a month, so that a monthly job is due.
CONFIDENCE_HORIZON: Final = 35
#: Presences and full days that make one weekday a pattern (method, section 3a).
MIN_WEEKLY_SEEN: Final = 2
MIN_WEEKLY_DAYS: Final = 14


_COUNTS: Final = ("returns", "last_return", "opportunities")
_SATURDAY: Final = 5
_DAYS: Final = 3  # place of ``days`` in the columns of `Histories`
_CRON: Final = ("cron_ok", "cron_expected", "cron_next_days")

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
            `DayIncidence.cells_`; optionally ``cron_ok``, ``cron_expected`` (runs that showed and runs
            that were due since first sight) and ``cron_next_days`` (days until the next run, NaN when
            none is due) from `models.learning.schedules`.
        days
            `DayIncidence.days_`.
        """
        require(cells, (*_COUNTS, "zone", "days"), "cells")
        seen = histories(cells, days, self.horizon)
        pooled = Habits.typical().fitted(seen)
        zone = cells["zone"].to_numpy()
        self.habits_ = {name: pooled.fitted(seen.at(zone == name)) for name in ZONES}
        self.p_need_ = self.predict(cells, days)
        self.weekly_ = series(weekly(cells, days), cells.index, "weekly")
        return self

    def predict(self, cells: pd.DataFrame, days: ObservedDays, horizon: int | None = None) -> pd.Series[Any]:
        """
        Probability of presence within ``horizon`` days, with the calendar overrides.

        Parameters
        ----------
        cells, days
            As for `fit`; other cells than those learned from are fine.
        horizon
            Days ahead; the constructor's when left out.
        """
        ahead = self.horizon if horizon is None else horizon
        need = self._by_zone(cells, histories(cells, days, ahead))
        need = np.maximum(need, _cron_need(cells, ahead))
        return series(need, cells.index, "p_need")

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
        The window. A cell whose first sight was on a partial day, or before the oldest day kept, may only
        live by the calendar of all days.
    horizon
        Days ahead.
    """
    counts = [cells[name].to_numpy(dtype=np.int64) for name in _COUNTS]
    bitmap = cells["days"].to_numpy(dtype=np.uint64)
    sight = days.count - 1 - counts[2]
    fully = (bitmap != 0) & (bitmaps.lowest_bit(bitmap) == sight)
    whole = np.stack([*counts, np.full(len(cells), max(days.count, 1)), np.full(len(cells), horizon)], axis=1)
    table = np.zeros((len(cells), len(CALENDARS), whole.shape[1]), dtype=np.int64)
    table[:, :, _DAYS] = 1  # of a calendar that a cell cannot live by, whatever divides
    table[:, 0] = whole
    chance = np.zeros((len(cells), len(CALENDARS)))
    chance[:, 0] = 1.0
    ahead = days.weekdays_ahead(horizon)
    working = np.arange(DAYS_PER_WEEK) < _SATURDAY
    for number, weekdays in [(1, working), *((2, np.arange(DAYS_PER_WEEK) == day) for day in range(7))]:
        on = np.flatnonzero(weekdays[days.weekdays]) if days.count else np.zeros(0, dtype=np.int64)
        outside = bitmaps.mask_of(~np.isin(np.arange(days.count), on))
        rows = np.flatnonzero(fully & (bitmap & outside == 0))
        if len(rows):
            table[rows, number] = _on_calendar(bitmap[rows], on, int(ahead[weekdays].sum()))
            chance[rows, number] = 1.0 if number == 1 else 1.0 / DAYS_PER_WEEK
    returns, last, opportunities, length, coming = np.moveaxis(table, 2, 0)
    return Histories(returns, last, opportunities, length, coming, chance)


def _on_calendar(bitmap: bitmaps.Bits, on: bitmaps.Ints, ahead: int) -> bitmaps.Ints:
    """Columns of `Histories` of cells that were seen on days of a calendar only."""
    seen = (bitmap[:, None] >> on.astype(np.uint64)[None, :]) & np.uint64(1) == 1
    first, back = seen.argmax(axis=1), seen[:, ::-1].argmax(axis=1)
    length = np.full(len(bitmap), len(on))
    return np.stack(
        [
            seen.sum(axis=1) - 1,
            length - 1 - back - first,
            length - 1 - first,
            length,
            np.full(len(bitmap), ahead),
        ],
        axis=1,
    )


def weekly(cells: pd.DataFrame, days: ObservedDays) -> npt.NDArray[np.bool_]:
    """Whether each cell shows the weekly pattern: two or more presences, all on one weekday, T >= 14."""
    return _weekday_occurrences(cells, days) > 0


def _weekday_occurrences(cells: pd.DataFrame, days: ObservedDays) -> bitmaps.Ints:
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


def _weekly_need(cells: pd.DataFrame, days: ObservedDays, horizon: int) -> Floats:
    occurrences = _weekday_occurrences(cells, days)
    seen = bitmaps.count_bits(cells["days"].to_numpy(dtype=np.uint64))
    weeks = -(-horizon // DAYS_PER_WEEK)
    share = (seen + 1.0) / (occurrences + 2.0)
    return np.where(occurrences > 0, 1.0 - (1.0 - np.minimum(share, 1.0)) ** weeks, 0.0)


def _cron_need(cells: pd.DataFrame, horizon: int) -> Floats:
    if not set(_CRON) <= set(cells.columns):
        return np.zeros(len(cells))
    ok, expected, ahead = (cells[column].to_numpy(dtype=np.float64) for column in _CRON)
    share = np.clip((ok + 1.0) / (expected + 2.0), 0.0, 1.0)
    return np.where(ahead <= horizon, share, 0.0)  # NaN compares false: nothing is due
