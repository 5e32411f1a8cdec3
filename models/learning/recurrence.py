"""
p_need: the probability that a cell is used again within a stated horizon.

A BG/BB model per zone, fitted to how cells of the estate came and went, with two overrides from the
calendar: a cell seen on one weekday only, and a cell whose CronJob will run. Overrides only ever raise
the probability, because the model knows nothing of schedules and reads their silence as death.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.learning import bitmaps
from models.learning.base import Estimator, require, series
from models.learning.bgbb import BgBb
from models.learning.cells import ZONES
from models.learning.days import DAYS_PER_WEEK, ObservedDays

if TYPE_CHECKING:
    import pandas as pd

#: Days ahead that a forecast speaks of unless said otherwise.
HORIZON: Final = 7
#: Days ahead that ``confidence`` speaks of: longer than a month, so that a monthly job is due.
CONFIDENCE_HORIZON: Final = 35
#: Cells below which a zone borrows the parameters fitted on all zones.
MIN_ZONE_CELLS: Final = 50
#: Presences and full days that make one weekday a pattern (method, section 3a).
MIN_WEEKLY_SEEN: Final = 2
MIN_WEEKLY_DAYS: Final = 14

_COUNTS: Final = ("returns", "last_return", "opportunities")
_CRON: Final = ("cron_ok", "cron_expected", "cron_next_days")

Floats = npt.NDArray[np.float64]


class Recurrence(Estimator):
    """
    Probability of return per cell.

    Parameters
    ----------
    horizon
        Days ahead.
    min_zone_cells
        Cells a zone needs for parameters of its own.

    Attributes
    ----------
    parameters_ : dict of str to BgBb
        Fitted parameters per zone.
    p_need_ : pandas.Series
        Probability of presence within the horizon, in [0, 1], keyed by cell.
    alive_ : pandas.Series
        Probability that the cell still exists, keyed by cell; calendar overrides do not touch it.
    weekly_ : pandas.Series
        Whether all presences fell on one weekday, keyed by cell.
    """

    def __init__(self, horizon: int = HORIZON, min_zone_cells: int = MIN_ZONE_CELLS) -> None:
        self.horizon = horizon
        self.min_zone_cells = min_zone_cells

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
        pooled = _fit_class(cells)
        self.parameters_: dict[str, BgBb] = {}
        for zone in ZONES:
            own = cells.loc[(cells["zone"] == zone).to_numpy()]
            self.parameters_[zone] = _fit_class(own) if len(own) >= self.min_zone_cells else pooled
        self.p_need_ = self.predict(cells, days)
        self.alive_ = self.alive(cells)
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
        need = self._per_triple(cells, lambda model, *triple: model.need(*triple, ahead))
        need = np.maximum(need, _weekly_need(cells, days, ahead))
        need = np.maximum(need, _cron_need(cells, ahead))
        return series(need, cells.index, "p_need")

    def alive(self, cells: pd.DataFrame) -> pd.Series[Any]:
        """Probability that each cell still exists."""
        return series(
            self._per_triple(cells, lambda model, *triple: model.alive(*triple)), cells.index, "alive"
        )

    def _per_triple(self, cells: pd.DataFrame, score: Any) -> Floats:
        """Score distinct triples once and spread the result over the cells."""
        self.check_fitted("parameters_")
        result = np.zeros(len(cells))
        for zone in ZONES:
            member = (cells["zone"] == zone).to_numpy()
            triples, _, inverse = _triples(cells.loc[member])
            if len(triples):
                result[member] = score(self.parameters_[zone], *triples.T)[inverse]
        return result


def _triples(cells: pd.DataFrame) -> tuple[bitmaps.Ints, Floats, bitmaps.Ints]:
    values = cells[list(_COUNTS)].to_numpy(dtype=np.int64)
    if not len(values):
        return values, np.zeros(0), np.zeros(0, dtype=np.int64)
    base = int(values.max()) + 1
    packed = (values[:, 0] * base + values[:, 1]) * base + values[:, 2]
    _, first, inverse, counts = np.unique(packed, return_index=True, return_inverse=True, return_counts=True)
    return values[first], counts.astype(np.float64), inverse.astype(np.int64)


def _fit_class(cells: pd.DataFrame) -> BgBb:
    triples, counts, _ = _triples(cells)
    return BgBb.fit(triples[:, 0], triples[:, 1], triples[:, 2], counts)


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
