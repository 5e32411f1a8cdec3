"""Rhythms are found when planted and are not claimed before two cycles."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from models.learning.rhythms import Rhythm, Rhythms
from tests.unit.learning.worlds import START, coverage, day_names, edge

HOUR = 3_600_000_000


def rhythm(days: list[int], window: int = 28, hour: int | list[int] = 9, **columns: object) -> str:
    """Rhythm of one cell seen on these day indices; day 0 is a Monday."""
    names = day_names(window)
    hours = hour if isinstance(hour, list) else [hour] * len(days)
    rows = [
        edge("w", "p", names[d], first_us=d * 24 * HOUR + h * HOUR, **columns)
        for d, h in zip(days, hours, strict=True)
    ]
    fitted = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(names))
    return str(Rhythms().fit(fitted.cells_, fitted.days_).rhythm_.iloc[0])


def of_days(days: list[str], window: list[str], **columns: object) -> str:
    """Rhythm of one cell seen on these dates."""
    rows = [edge("w", "p", day, first_us=9 * HOUR) for day in days]
    fitted = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(window))
    return str(Rhythms().fit(fitted.cells_.assign(**columns), fitted.days_).rhythm_.iloc[0])


FOUR_WEEKS = day_names(28)
EVERY = list(range(28))
WORK = [d for d in EVERY if d % 7 < 5]


@pytest.mark.parametrize(
    ("days", "columns", "expected"),
    [
        (EVERY, {"hour_bits": (1 << 20) - 1}, Rhythm.CONTINUOUS),
        (WORK, {"hour_bits": 0x1FF << 8}, Rhythm.WORKDAY),
        (EVERY, {"hour": 2}, Rhythm.DAILY_JOB),
        (EVERY, {"hour": [(5 * d) % 24 for d in EVERY]}, Rhythm.DAILY),
        ([1, 8, 15, 22], {}, Rhythm.WEEKLY),
        ([3, 4, 11, 20, 26], {}, Rhythm.SPORADIC),
        ([4], {}, Rhythm.ONE_OFF),
        ([29 - START.day + 2 - 2], {}, Rhythm.ONE_OFF),
        ([15 - START.day], {}, Rhythm.MONTHLY_CANDIDATE),
    ],
)
def test_planted_rhythms_are_found(days: list[int], columns: dict[str, object], expected: Rhythm) -> None:
    """Four weeks from a Monday on."""
    assert rhythm(days, **columns) == expected


@pytest.mark.parametrize("free", [5, 6])
@pytest.mark.parametrize("window", [14, 28])
def test_an_office_far_from_utc_keeps_working_days(free: int, window: int) -> None:
    """Friday afternoon in Los Angeles is Saturday of UTC, Monday morning in Sydney its Sunday."""
    days = [day for day in range(window) if day % 7 != free]
    assert rhythm(days, window=window, hour_bits=0x1FF << 8) == Rhythm.WORKDAY
    assert rhythm([*days, free], window=window, hour_bits=0x1FF << 8) != Rhythm.WORKDAY or window > 14


def test_a_day_of_the_month_is_no_weekday() -> None:
    """The 10th was a Tuesday in February and in March 2026, and weeks lay between."""
    names = [str(date(2026, 2, 2) + timedelta(days=day)) for day in range(63)]
    assert of_days([names[8], names[36]], names) == Rhythm.MONTHLY_CANDIDATE


def test_a_fortnight_is_no_week() -> None:
    """From first sight on it comes on five of nine weekdays, which is more than half."""
    assert rhythm(list(range(2, 63, 14)), window=63) == Rhythm.SPORADIC
    assert rhythm([2, 9, 16, 30, 37, 44, 58], window=63) == Rhythm.WEEKLY


def test_one_run_of_a_job_is_a_candidate_for_a_month() -> None:
    """Whoever it belongs to, it comes by a schedule."""
    assert of_days([FOUR_WEEKS[4]], FOUR_WEEKS) == Rhythm.ONE_OFF
    assert of_days([FOUR_WEEKS[4]], FOUR_WEEKS, job_owned=True) == Rhythm.MONTHLY_CANDIDATE


def test_what_was_seen_before_the_oldest_day_kept_is_no_one_off() -> None:
    """Bitmaps hold 63 days; the evidence of the rule holds all of them."""
    names = day_names(80)
    assert of_days([names[3], names[70]], names) == Rhythm.SPORADIC
    assert of_days([names[70]], names) == Rhythm.ONE_OFF


def test_trap_J1_one_week_cannot_show_a_working_rhythm() -> None:
    """Five weekdays of one week are sporadic so far, never workday or weekly."""
    assert rhythm([0, 1, 2, 3, 4], window=7, hour_bits=0x1FF << 8) == Rhythm.SPORADIC
    assert rhythm([1], window=7) == Rhythm.ONE_OFF


def test_two_weeks_that_begin_and_end_at_noon_show_a_working_rhythm() -> None:
    """Thirteen full days, of which nine are worked on: a window of a nightly run never begins at midnight."""
    assert rhythm([d for d in range(1, 14) if d % 7 < 5], window=14, hours=9) == Rhythm.WORKDAY
    assert rhythm(list(range(8)), window=14, hours=9) == Rhythm.SPORADIC


def test_a_job_around_midnight_has_one_hour() -> None:
    """23 and 0 are an hour apart."""
    assert rhythm(EVERY, hour=[23 if d % 2 else 0 for d in EVERY]) == Rhythm.DAILY_JOB


def test_what_was_never_seen_on_a_full_day_has_no_rhythm() -> None:
    """Presence on a lossy day alone is unknown."""
    names = day_names(5)
    rows = to_cells(pd.DataFrame([edge("w", "p", names[2])]))
    fitted = DayIncidence().fit(rows, coverage(names, lossy=(names[2],)))
    assert Rhythms().fit(fitted.cells_, fitted.days_).rhythm_.tolist() == ["unknown"]


def test_a_job_that_ran_once_is_a_monthly_candidate() -> None:
    """The cluster told of its schedule, on whatever day it falls."""
    names = day_names(28)
    fitted = DayIncidence().fit(to_cells(pd.DataFrame([edge("job", "p", names[8])])), coverage(names))
    cells = fitted.cells_
    assert Rhythms().fit(cells, fitted.days_).rhythm_.tolist() == ["one_off"]
    assert Rhythms().fit(cells.assign(cron_expected=1.0), fitted.days_).rhythm_.tolist() == [
        "monthly_candidate"
    ]
