"""
When a cell shows: shown to people, and used in the forecasts only where the method says so.

A rhythm needs two full cycles. What was seen once is a one-off or, on a day where months turn or if a job
made it, a candidate for a monthly job that the window is too short to confirm; so is what keeps to one day
of the month. Two days of a month that fall on one weekday are no week: that takes more than half of those
weekdays.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from models.learning import bitmaps
from models.learning.base import Estimator, require, series
from models.learning.days import HOURS_PER_DAY, ObservedDays
from models.learning.recurrence import weekday_occurrences

if TYPE_CHECKING:
    import pandas as pd

#: Share of days from which a cell counts as there every day (method, section 6.6).
DAILY_SHARE: Final = 0.9
#: Active hours a day from which daily presence is continuous.
CONTINUOUS_HOURS: Final = 12
#: Share of weekend days up to which presence on weekdays is a working rhythm.
WEEKEND_SHARE: Final = 0.2
#: Two weeks, of which the ends of a window that begins at any hour may lack a day each.
MIN_WORKING_DAYS: Final = 8
MIN_FREE_DAYS: Final = 3
#: Active hours a day, and spread of the starting hour, up to which a daily job runs at its hour.
JOB_HOURS: Final = 3
JOB_START_SPREAD: Final = 2
#: Full days since first sight that make two cycles of a day.
MIN_DAILY_DAYS: Final = 2
#: Days of the month on which monthly jobs run, besides the last one.
MONTH_PHASE_DAYS: Final = (1, 15)
#: Free days of two weeks in an office far from UTC, whose other one is a working day there.
MIN_FAR_DAYS: Final = 2
_SATURDAY: Final = 5
_SUNDAY: Final = 6


class Rhythm(StrEnum):
    """How a cell returns."""

    CONTINUOUS = "continuous"
    WORKDAY = "workday"
    DAILY_JOB = "daily_job"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY_CANDIDATE = "monthly_candidate"
    SPORADIC = "sporadic"
    ONE_OFF = "one_off"
    UNKNOWN = "unknown"


class Rhythms(Estimator):
    """
    Rhythm per cell.

    Parameters
    ----------
    daily_share
        Share of days since first sight that counts as every day.

    Attributes
    ----------
    rhythm_ : pandas.Series
        One of `Rhythm`, keyed by cell; ``unknown`` for cells that no full day has shown.
    """

    def __init__(self, daily_share: float = DAILY_SHARE) -> None:
        self.daily_share = daily_share

    def fit(self, cells: pd.DataFrame, days: ObservedDays) -> Self:
        """
        Name the rhythms.

        Parameters
        ----------
        cells
            `DayIncidence.cells_`; a number in the optional column ``cron_expected``, or a true ``job_owned``,
            marks a job's cell.
        days
            The window.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(cells, ("days", "first_day", "days_seen", "hours", "active_days", "start_hours"), "cells")
        bitmap = cells["days"].to_numpy(dtype=np.uint64)
        seen = cells["days_seen"].to_numpy(dtype=np.int64)
        first = np.maximum(cells["first_day"].to_numpy(dtype=np.int64), 0)
        age = days.count - first
        daily = (seen >= self.daily_share * age) & (age >= MIN_DAILY_DAYS) & (seen >= MIN_DAILY_DAYS)
        hours = cells["hours"].to_numpy() / np.maximum(cells["active_days"].to_numpy(), 1)
        spread = start_spread(cells["start_hours"].to_numpy(dtype=np.uint64))
        job = (hours <= JOB_HOURS) & (spread <= JOB_START_SPREAD)
        owned = np.zeros(len(cells), dtype=np.bool_)
        if "cron_expected" in cells.columns:
            owned |= cells["cron_expected"].notna().to_numpy()
        if "job_owned" in cells.columns:
            owned |= cells["job_owned"].to_numpy(dtype=np.bool_)
        phase = ((bitmap & ~_month_phases(days)) == 0) | ((seen > 1) & _one_day_of_month(bitmap, days))
        # and on no partial day, nor on one before the oldest that is kept
        once = (seen == 1) & (cells["active_days"].to_numpy() <= 1)
        choices = [
            (seen == 0, Rhythm.UNKNOWN),
            (daily & (hours >= CONTINUOUS_HOURS), Rhythm.CONTINUOUS),
            (_works(bitmap, first, days, self.daily_share), Rhythm.WORKDAY),
            (daily & job, Rhythm.DAILY_JOB),
            (daily, Rhythm.DAILY),
            (_weekly(cells, seen, days), Rhythm.WEEKLY),
            (phase | ((seen == 1) & owned), Rhythm.MONTHLY_CANDIDATE),
            (once, Rhythm.ONE_OFF),
        ]
        names = np.select(
            [flag for flag, _ in choices], [str(name) for _, name in choices], str(Rhythm.SPORADIC)
        )
        self.rhythm_ = series(names, cells.index, "rhythm").astype("str")
        return self


def start_spread(start_hours: bitmaps.Bits) -> npt.NDArray[np.int64]:
    """
    Hours between the earliest and the latest start, the short way round the clock.

    Examples
    --------
    >>> start_spread(np.array([(1 << 23) | (1 << 1), 1 << 4], dtype=np.uint64)).tolist()
    [2, 0]
    """
    count = np.arange(HOURS_PER_DAY, dtype=np.uint64)
    on = (start_hours[:, None] >> count[None, :]) & np.uint64(1) == 1
    gap = np.zeros(len(start_hours), dtype=np.int64)
    longest = gap.copy()
    for hour in [*range(HOURS_PER_DAY), *range(HOURS_PER_DAY)]:  # twice round, so that the seam is no seam
        gap = np.where(on[:, hour], 0, gap + 1)
        longest = np.maximum(longest, np.minimum(gap, HOURS_PER_DAY - 1))
    return np.maximum(HOURS_PER_DAY - 1 - longest, 0)


def _works(
    bitmap: bitmaps.Bits, first: npt.NDArray[np.int64], days: ObservedDays, share: float
) -> npt.NDArray[np.bool_]:
    """Whether cells keep to working days; those of a zone far from UTC reach into one day of its weekends."""
    free = days.weekdays >= _SATURDAY
    found = _keeps_to(bitmap, first, free, share, MIN_FREE_DAYS)
    for day in (_SATURDAY, _SUNDAY):
        found |= _keeps_to(bitmap, first, days.weekdays == day, share, MIN_FAR_DAYS)
    return found


def _keeps_to(
    bitmap: bitmaps.Bits,
    first: npt.NDArray[np.int64],
    free: npt.NDArray[np.bool_],
    share: float,
    least: int,
) -> npt.NDArray[np.bool_]:
    """Whether cells come on all days but the free ones, of which at least ``least`` were seen."""
    weekend, working = bitmaps.mask_of(free), bitmaps.mask_of(~free)
    since = first.astype(np.uint64)
    counts = [
        (bitmaps.count_bits(bitmap & mask), bitmaps.count_bits((mask >> since) << since))
        for mask in (working, weekend)
    ]
    (on_work, work), (on_rest, rest) = counts
    enough = (work >= MIN_WORKING_DAYS) & (rest >= least)
    return np.asarray(enough & (on_work >= share * work) & (on_rest <= WEEKEND_SHARE * rest))


def _weekly(cells: pd.DataFrame, seen: npt.NDArray[np.int64], days: ObservedDays) -> npt.NDArray[np.bool_]:
    """Whether cells keep to one weekday and come on more than half of those after the first."""
    # a fortnight comes on exactly half of them
    occurrences = weekday_occurrences(cells, days)
    return np.asarray((occurrences > 0) & (2 * (seen - 1) > occurrences - 1))


def _one_day_of_month(bitmap: bitmaps.Bits, days: ObservedDays) -> npt.NDArray[np.bool_]:
    """Whether all days of each cell are one and the same day of the month."""
    numbers = np.array([date.fromisoformat(day).day for day in days.full], dtype=np.int64)
    masks = [bitmaps.mask_of(numbers == number) for number in np.unique(numbers)]
    found = np.zeros(len(bitmap), dtype=np.bool_)
    for mask in masks:
        found |= (bitmap & ~mask) == 0
    return found


def _month_phases(days: ObservedDays) -> np.uint64:
    dates = [date.fromisoformat(day) for day in days.full]
    phase = [day.day in MONTH_PHASE_DAYS or (day + timedelta(days=1)).day == 1 for day in dates]
    return bitmaps.mask_of(np.array(phase, dtype=np.bool_))
