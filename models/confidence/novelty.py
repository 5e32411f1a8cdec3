"""
What kind of novelty a cell was: a rare return, a birth, a weekly pattern, a job by schedule or with one run.

Only the rare ones feed the extrapolation; counting a birth or a job there would book it twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.recurrence import weekly

if TYPE_CHECKING:
    from models.learning.days import ObservedDays

#: A birth starts in the last two thirds of the window, but not in its first four days ...
MIN_BIRTH_DAY: Final = 4
BIRTH_WINDOW_SHARE: Final = 3
#: ... has at least three days to prove itself, and shows on most of them (method, section 4).
MIN_BIRTH_AGE: Final = 3
MIN_BIRTH_SHARE: Final = 0.7
#: Days after the first sight of a workload in which its usual traffic shows: it may start at midnight.
FOUNDING_DAYS: Final = 1

RARE: Final = "rare"
BIRTH: Final = "birth"
WEEKLY: Final = "weekly"
SCHEDULED: Final = "scheduled"
ONE_RUN: Final = "one run"


def first_birth_day(day_count: int) -> int:
    """d0: first day index on which a new persistent cell counts as born rather than always there."""
    return max(MIN_BIRTH_DAY, day_count // BIRTH_WINDOW_SHARE)


def is_birth(cells: pd.DataFrame, day_count: int) -> npt.NDArray[np.bool_]:
    """
    Whether each cell is new and persistent: most likely a deploy brought it.

    What a workload does from its own first day on came with the workload, and says nothing about what comes
    to those that are there.
    """
    first = cells["first_day"].to_numpy(dtype=np.int64)
    begun = cells["first_day"].groupby(cells["subject"]).transform("min").to_numpy(dtype=np.int64)
    age = day_count - first
    share = cells["days_seen"].to_numpy(dtype=np.float64) / np.maximum(age, 1)
    late = first >= first_birth_day(day_count)
    late &= first > begun + FOUNDING_DAYS
    return np.asarray(late & (age >= MIN_BIRTH_AGE) & (share >= MIN_BIRTH_SHARE))


def novelty(cells: pd.DataFrame, days: ObservedDays) -> pd.Series[Any]:
    """
    Kind of novelty per cell: one of `RARE`, `BIRTH`, `WEEKLY`, `SCHEDULED`, `ONE_RUN`.

    What a job does on one day of the window is no rare call: it comes on its day of the month again.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`; a cell with a number in the optional column ``cron_expected`` has a known
        CronJob as owner, a true ``job_owned`` a job of which no schedule may be known.
    days
        The window.
    """
    kind = np.full(len(cells), RARE, dtype=object)
    kind[is_birth(cells, days.count)] = BIRTH
    kind[weekly(cells, days)] = WEEKLY
    if "job_owned" in cells.columns:
        kind[(cells["job_owned"] & (cells["days_seen"] == 1)).to_numpy(dtype=np.bool_)] = ONE_RUN
    if "cron_expected" in cells.columns:
        kind[cells["cron_expected"].notna().to_numpy()] = SCHEDULED
    return pd.Series(kind, index=cells.index, name="novelty", dtype="str")
