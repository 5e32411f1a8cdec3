"""C of the completeness estimate: scheduled jobs never seen, and calendar phases the window missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.learning import bitmaps
from models.learning.base import require
from models.learning.schedules import Schedule, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.learning.days import ObservedDays

#: New cells that a job brings when it runs for the first time; replaced by the estate's own mean.
CELLS_PER_JOB: Final = 1.5
#: Probability that a job due within the horizon brings no new cell after all.
JOB_SILENT: Final = 0.05
#: Jobs with cells of their own below which the estate's mean is not believed.
MIN_JOBS_FOR_MEAN: Final = 5
#: Times a weekday must have been observed in full before it counts as covered.
MIN_WEEKDAY_COUNT: Final = 2
_WEEKDAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_QUARTER_MONTHS: Final = (1, 4, 7, 10)
#: Runs that showed of those due, days with traffic of those on which none was due, days until the next run.
CRON_COLUMNS: Final = ("cron_ok", "cron_expected", "cron_off", "cron_free", "cron_next_days")


@dataclass(frozen=True, slots=True)
class Job:
    """
    A CronJob the cluster told of.

    Parameters
    ----------
    subject
        Workload or role its pods belong to.
    schedule
        Five-field cron text.
    enabled
        Not suspended.
    zone
        Time zone of the schedule.
    """

    subject: str
    schedule: str
    enabled: bool = True
    zone: str = "UTC"

    @property
    def parsed(self) -> Schedule:
        """The schedule, read."""
        return parse_schedule(self.schedule, self.zone)


def cron_columns(jobs: Sequence[Job], cells: pd.DataFrame, days: ObservedDays, horizon: int) -> pd.DataFrame:
    """
    Runs due and runs seen per cell whose subject is a job's.

    Parameters
    ----------
    jobs
        Known jobs; of several with one subject, a day counts if any of them fires.
    cells
        `DayIncidence.cells_`.
    days
        The window.
    horizon
        Days ahead to look for the next run.

    Returns
    -------
    pandas.DataFrame
        `CRON_COLUMNS`, keyed by cell; NaN where no job owns the cell, and a NaN next run where none is due.
        Only full days since first sight are counted, as due or as free.

    Raises
    ------
    BadInputError
        If a schedule cannot be read.
    """
    require(cells, ("subject", "days", "first_date"), "cells")
    out = pd.DataFrame(float("nan"), index=cells.index, columns=[*CRON_COLUMNS])
    if not days.full:
        return out
    by_subject: dict[str, list[Job]] = {}
    for job in jobs:
        if job.enabled:
            by_subject.setdefault(job.subject, []).append(job)
    subjects = cells["subject"].to_numpy()
    end = date.fromisoformat(days.full[-1])
    # the first full day that is not before first sight
    since = days.index_before(cells["first_date"]) + ~cells["first_date"].isin(days.full).to_numpy()
    for subject, owned in sorted(by_subject.items()):
        schedules = [job.parsed for job in owned]
        due = [any(s.fires_on(date.fromisoformat(day)) for s in schedules) for day in days.full]
        ahead = [wait for s in schedules if (wait := s.days_until(end, horizon)) is not None]
        mine = subjects == subject
        bits = cells.loc[mine, "days"].to_numpy(dtype=np.uint64)
        age = bitmaps.mask_of(np.ones(days.count, dtype=np.bool_)) >> since[mine].astype(np.uint64)
        lived = age << since[mine].astype(np.uint64)
        fires = bitmaps.mask_of(np.array(due, dtype=np.bool_))
        counts = (bits & lived & fires, lived & fires, bits & lived & ~fires, lived & ~fires)
        for name, counted in zip(CRON_COLUMNS, counts, strict=False):
            out.loc[mine, name] = bitmaps.count_bits(counted).astype(np.float64)
        out.loc[mine, "cron_next_days"] = float(min(ahead)) if ahead else float("nan")
    return out


def jobs_ahead(jobs: Sequence[Job], cells: pd.DataFrame, days: ObservedDays, horizon: int) -> pd.DataFrame:
    """
    Jobs that fire within the horizon and whose pods were never seen, per subject.

    Returns
    -------
    pandas.DataFrame
        Keyed by subject: ``jobs``, ``mean`` and ``variance`` of new cells, ``none``: the probability of
        no new cell.
    """
    seen = frozenset(cells["subject"].unique())
    end = date.fromisoformat(days.full[-1])
    due: dict[str, int] = {}
    for job in jobs:
        fires = job.enabled and job.parsed.days_until(end, horizon) is not None
        if fires and job.subject not in seen:
            due[job.subject] = due.get(job.subject, 0) + 1
    count = pd.Series(due, dtype="int64").sort_index()
    mean = count * cells_per_job(jobs, cells)
    frame = pd.DataFrame(
        {"jobs": count, "mean": mean, "variance": mean, "none": JOB_SILENT ** count.astype(float)}
    )
    return frame.rename_axis("subject")


def cells_per_job(jobs: Sequence[Job], cells: pd.DataFrame) -> float:
    """Mean number of cells per job of this estate; `CELLS_PER_JOB` until five jobs were seen."""
    own = frozenset(job.subject for job in jobs)
    counts: pd.Series[Any] = cells.loc[cells["subject"].isin(own), "subject"].value_counts()
    return float(counts.mean()) if len(counts) >= MIN_JOBS_FOR_MEAN else CELLS_PER_JOB


def new_days_of_month(days: ObservedDays, horizon: int) -> int:
    """
    Days within the horizon on a day of the month that no full day of the window was.

    Examples
    --------
    >>> from models.learning.days import ObservedDays
    >>> february = ObservedDays(tuple(f"2026-02-{day:02d}" for day in range(1, 29)), (), {})
    >>> new_days_of_month(february, 7), new_days_of_month(february.head(14), 7)
    (0, 7)
    """
    seen = {date.fromisoformat(day).day for day in days.full}
    end = date.fromisoformat(days.full[-1])
    return sum((end + timedelta(days=ahead)).day not in seen for ahead in range(1, horizon + 1))


def uncovered_phases(days: ObservedDays) -> tuple[str, ...]:
    """
    Calendar phases that the window cannot speak about; unknown, not zero.

    A weekday counts from the second full day on: one of a kind does not tell what is usual on it.

    Examples
    --------
    >>> from models.learning.days import ObservedDays
    >>> week = tuple(f"2026-03-{day:02d}" for day in range(10, 24))
    >>> uncovered_phases(ObservedDays(week, (), {}))
    ('first day of the month', 'last day of the month', 'first day of a quarter')
    >>> uncovered_phases(ObservedDays(week[:13], (), {}))[-1]
    'Monday (one full day)'
    """
    seen = [date.fromisoformat(day) for day in days.full]
    missing: list[str] = []
    if not any(day.day == 1 for day in seen):
        missing.append("first day of the month")
    if not any((day + timedelta(days=1)).day == 1 for day in seen):
        missing.append("last day of the month")
    if not any(day.day == 1 and day.month in _QUARTER_MONTHS for day in seen):
        missing.append("first day of a quarter")
    times = Counter(day.weekday() for day in seen)
    missing.extend(
        f"{name} (one full day)" if times[weekday] else name
        for weekday, name in enumerate(_WEEKDAY_NAMES)
        if times[weekday] < MIN_WEEKDAY_COUNT
    )
    return tuple(missing)
