"""
Cells and the days they were seen on, folded one day at a time.

`DayIncidence` turns edge-days into one row per cell: a bitmap of fully observed days, the opportunities
and returns that the recurrence model counts, and summed measures. Folding one more day into it gives the
same frame, byte for byte, as fitting on all days at once, so a night costs one day's work.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import BadInputError
from models.learning import bitmaps
from models.learning.base import CELL, Estimator, require
from models.learning.cells import CELL_KEY, cell_ids, group_codes, zones
from models.learning.days import BITMAP_DAYS, HOURS_PER_DAY, MAX_CAPTURE_LOSS, ObservedDays, observed_days

#: Measures that add up over days.
SUMS: Final = (
    "flows",
    "connections",
    "answered",
    "reset",
    "audited",
    "denied",
    "l7_denied",
    "dropped",
)
_MICROSECONDS_PER_HOUR: Final = 3_600_000_000
_DAY_COLUMNS: Final = (*CELL_KEY, "day", "hour_bits", *SUMS, "replies_visible", "first_us", "last_us")
#: State that two parts of a history combine: by sum, by minimum, by maximum, by "or" of bits.
_COMBINE: Final = {
    **dict.fromkeys((*SUMS, "hours", "active_days"), "sum"),
    **dict.fromkeys(("first_us", "first_date"), "min"),
    **dict.fromkeys(("last_us", "last_date", "replies_visible"), "max"),
}


class DayIncidence(Estimator):
    """
    Day-incidence of every cell.

    Parameters
    ----------
    max_capture_loss
        Share of a day that may be missing before the day is partial.

    Attributes
    ----------
    days_ : ObservedDays
        Full and partial days of the window.
    cells_ : pandas.DataFrame
        One row per cell, indexed by its id, sorted. Columns: `CELL_KEY`, ``zone``, ``days`` (bitmap),
        ``days_seen`` (x), ``first_day`` and ``last_day`` (full-day index, -1 if never on a full day),
        ``opportunities`` (n: full days after first sight), ``returns`` (x': those with presence),
        ``last_return`` (t_x: index of the last return, counted in opportunities), ``active_days``
        (partial ones too), ``hours`` (distinct ones), ``start_hours`` (24-bit bitmap of the hours of first
        flows), ``first_date``, ``last_date``, ``first_us``, ``last_us``, ``replies_visible`` and the sums.
    """

    def __init__(self, max_capture_loss: float = MAX_CAPTURE_LOSS) -> None:
        self.max_capture_loss = max_capture_loss

    def fit(self, cell_days: pd.DataFrame, coverage: pd.DataFrame) -> Self:
        """
        Learn from a whole window.

        Parameters
        ----------
        cell_days
            Rows of `models.learning.cells.to_cells`: one or several per cell and day.
        coverage
            COVERAGE rows of the same cluster and window.

        Raises
        ------
        BadInputError
            If a column is missing, or a row lies on a day without coverage: then nobody can say
            whether silence on that day means anything.
        """
        require(cell_days, _DAY_COLUMNS, "cell days")
        days = observed_days(coverage, self.max_capture_loss)
        self._check_days(cell_days, days)
        self.days_ = days
        self.cells_ = _finish(_summarise(cell_days, days), days)
        return self

    def fit_grouped(
        self, rows: pd.DataFrame, codes: bitmaps.Ints, keys: pd.DataFrame, days: ObservedDays
    ) -> Self:
        """
        Learn from rows whose cells are known by number, as those of a drafted policy are.

        Parameters
        ----------
        rows
            One or several per cell and day on which it was used or tried: ``day``, ``hour_bits``, `SUMS`,
            ``replies_visible``, ``first_us``, ``last_us``.
        codes
            Place in ``keys`` of each row's cell, shape (n_rows,); every cell occurs.
        keys
            One row per cell, indexed by its id: `CELL_KEY`, and ``zone`` where it is known better than
            the peer tells.
        days
            The window; a row on a day that it does not know counts as presence only.
        """
        self.days_ = days
        named = keys.rename_axis(CELL)
        used = np.ones(len(rows), dtype=np.bool_)
        state = _state(rows.reset_index(drop=True), codes, named, days, used)
        self.cells_ = _finish(state, days).sort_index()
        return self

    def partial_fit(self, cell_days: pd.DataFrame, coverage: pd.DataFrame) -> Self:
        """
        Fold later days into what was learned.

        Raises
        ------
        BadInputError
            If a day is not after every day folded so far: late data re-opens a day, which takes a
            refit from the stored cell-days.
        """
        if not hasattr(self, "cells_"):
            return self.fit(cell_days, coverage)
        require(cell_days, _DAY_COLUMNS, "cell days")
        new = observed_days(coverage, self.max_capture_loss)
        known = max((*self.days_.full, *self.days_.partial), default="")
        for day in (*new.full, *new.partial):
            if day <= known:
                raise BadInputError(
                    f"{day} was folded already or lies before {known}: fit the whole window again"
                )
        self._check_days(cell_days, new)
        full = (*self.days_.full, *new.full)
        kept = full[-BITMAP_DAYS:]
        partial = (*self.days_.partial, *new.partial)
        days = ObservedDays(kept, partial, {**self.days_.exposure, **new.exposure})
        old = self.cells_.assign(days=self.cells_["days"].to_numpy() >> np.uint64(len(full) - len(kept)))
        self.cells_ = _finish(_merge(old, _summarise(cell_days, days)), days)
        self.days_ = days
        return self

    @staticmethod
    def _check_days(cell_days: pd.DataFrame, days: ObservedDays) -> None:
        unknown = sorted(set(cell_days["day"].unique()) - set(days.exposure))
        if unknown:
            raise BadInputError(f"no coverage for {unknown[0]}: was the collector listening?")


def _summarise(cell_days: pd.DataFrame, days: ObservedDays) -> pd.DataFrame:
    """State per cell, without what `_finish` derives."""
    rows = cell_days[list(_DAY_COLUMNS)].reset_index(drop=True)  # equal rows of two edges both count
    codes, keys = group_codes(rows, CELL_KEY)
    passed = ((rows["flows"] + rows["audited"] + rows["connections"]) > 0).to_numpy()
    return _state(rows, codes, keys.set_index(cell_ids(keys)), days, passed).sort_index()


def _state(
    rows: pd.DataFrame,
    codes: bitmaps.Ints,
    keys: pd.DataFrame,
    days: ObservedDays,
    present: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """
    Fold rows into the cells that ``codes`` number; ``keys`` names them, in that order.

    ``present``: rows whose day counts as one on which the cell was there.
    """
    grouped = rows.groupby(codes, sort=True)
    state = keys.copy()
    for measure in SUMS:
        state[measure] = grouped[measure].sum().to_numpy(dtype=np.int64)
    day_code, names = pd.factorize(rows["day"], sort=True)
    counts = _active(codes, day_code, rows["hour_bits"].to_numpy(dtype=np.uint32), present, len(keys))
    state["hours"], state["active_days"] = counts
    state["first_us"] = grouped["first_us"].min().to_numpy(dtype=np.int64)
    state["last_us"] = grouped["last_us"].max().to_numpy(dtype=np.int64)
    state["replies_visible"] = grouped["replies_visible"].max().to_numpy(dtype=bool)
    spans = pd.Series(day_code).groupby(codes, sort=True)
    dates = np.asarray(names, dtype=object)
    state["first_date"] = dates[spans.min().to_numpy()]
    state["last_date"] = dates[spans.max().to_numpy()]
    hour = (rows["first_us"] // _MICROSECONDS_PER_HOUR % HOURS_PER_DAY).to_numpy(dtype=np.int64)
    state["start_hours"] = bitmaps.bits_of(codes[present], hour[present], len(keys))
    position = days.index_before(pd.Series(names, dtype="str"))[day_code]
    on_full = present & np.isin(names, days.full)[day_code]
    state["days"] = bitmaps.bits_of(codes[on_full], position[on_full], len(keys))
    return state


def _active(
    codes: bitmaps.Ints,
    day_code: npt.NDArray[np.intp],
    hour_bits: npt.NDArray[np.uint32],
    present: npt.NDArray[np.bool_],
    size: int,
) -> tuple[bitmaps.Ints, bitmaps.Ints]:
    """
    Distinct hours and days of each cell; its edges may share an hour or have hours of their own.

    One day at a time: a table of all days would be 240 MB for 60 days of a million cells.
    """
    hours, days = np.zeros((2, size), dtype=np.int64)
    # as small numbers, which are sorted by counting
    order = np.argsort(day_code.astype(np.uint16), kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(day_code[order])) + 1):
        heard = np.zeros(size, dtype=np.uint32)
        np.bitwise_or.at(heard, codes[rows], hour_bits[rows])
        hours += np.bitwise_count(heard)
        there = np.zeros(size, dtype=np.bool_)
        there[codes[rows[present[rows]]]] = True
        days += there
    return hours, days


def _merge(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Combine two parts of a history; both hold bitmaps over the same days."""
    both = pd.concat([old[list(new.columns)], new])
    grouped = both.groupby(level=CELL, sort=True)
    merged: pd.DataFrame = grouped[list(CELL_KEY)].first()
    for column, how in _COMBINE.items():
        merged[column] = getattr(grouped[column], how)()
    order = {cell: position for position, cell in enumerate(merged.index)}
    codes = both.index.map(order).to_numpy(dtype=np.int64)
    for column in ("days", "start_hours"):
        bitmap = np.zeros(len(merged), dtype=np.uint64)
        np.bitwise_or.at(bitmap, codes, both[column].to_numpy(dtype=np.uint64))
        merged[column] = bitmap
    return merged[list(new.columns)]


def _finish(state: pd.DataFrame, days: ObservedDays) -> pd.DataFrame:
    """Add what follows from the state and the days."""
    cells = state.astype(dict.fromkeys(("port", "port_end", "icmp_type"), np.int64)).copy()
    if "zone" not in cells:
        cells["zone"] = zones(cells)
    return with_counts(cells, days)


def with_counts(cells: pd.DataFrame, days: ObservedDays) -> pd.DataFrame:
    """
    Recompute the counts that follow from ``days``, ``first_date`` and the window.

    A cell first seen on a partial day has its first opportunity on the next full day; a cell first
    seen before the oldest full day kept has had all of them.

    Parameters
    ----------
    cells
        Rows with ``days`` (bitmap) and ``first_date``.
    days
        The window the bitmap refers to.
    """
    bitmap = cells["days"].to_numpy(dtype=np.uint64)
    seen = bitmaps.count_bits(bitmap)
    last = bitmaps.highest_bit(bitmap)
    sight = days.index_before(cells["first_date"])
    on_full = cells["first_date"].isin(days.full).to_numpy() & (bitmaps.lowest_bit(bitmap) == sight)
    returns = seen - on_full
    derived: dict[str, Any] = {
        "days_seen": seen,
        "first_day": bitmaps.lowest_bit(bitmap),
        "last_day": last,
        "opportunities": np.maximum(days.count - 1 - sight, 0),
        "returns": returns,
        "last_return": np.where(returns > 0, last - sight, 0),
    }
    return cells.assign(**derived)


def as_of(cells: pd.DataFrame, days: ObservedDays, count: int) -> pd.DataFrame:
    """
    Cells as they were known after the first ``count`` full days; sums and hours are left as they are.

    Returns
    -------
    pandas.DataFrame
        Only cells that had been seen by then, with counts for ``days.head(count)``.
    """
    then = days.head(count)
    end = then.full[-1] if then.full else ""
    known = cells.loc[(cells["first_date"] <= end).to_numpy()]
    cut = known.assign(days=bitmaps.first_bits(known["days"].to_numpy(dtype=np.uint64), count))
    return with_counts(cut, then)
