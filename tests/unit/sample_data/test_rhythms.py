"""Rhythms: each happens when its name says."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest

from sample_data.world.rhythms import At, Every, Office, Once, PerRun, Rhythm, Shopping, Sporadic, Steady

SATURDAY, MONDAY = date(2026, 11, 7), date(2026, 11, 9)


def hours(rhythm: Rhythm, day: date, volume: float = 1.0) -> set[int]:
    return {int(second // 3600) for second in rhythm.moments(day, Random(1), volume)}


def test_steady_traffic_is_there_in_every_hour() -> None:
    """Even at a fraction of its rate."""
    assert hours(Steady(2), SATURDAY, volume=0.1) == set(range(24))


def test_office_traffic_rests_at_the_weekend_and_at_night() -> None:
    """Seven to seventeen on working days."""
    assert hours(Office(3), SATURDAY) == set()
    assert hours(Office(3), MONDAY) == set(range(7, 17))


def test_shoppers_sleep_at_night_and_buy_less_at_the_weekend() -> None:
    """More in the day than in the night, more on Monday than on Saturday."""
    busy = Shopping(20).moments(MONDAY, Random(1))
    assert len(busy) > len(Shopping(20).moments(SATURDAY, Random(1)))
    assert sum(8 <= second // 3600 < 20 for second in busy) > 5 * sum(second // 3600 < 6 for second in busy)


def test_jobs_run_at_their_time_on_their_days() -> None:
    """Weekly and monthly schedules pick their days."""
    assert hours(At(4, 0, weekday=6), MONDAY) == set()
    assert hours(At(4, 0, weekday=0), MONDAY) == {4}
    assert hours(At(3, 0, monthday=25), MONDAY) == set()
    assert hours(At(3, 0, monthday=9), MONDAY) == {3}


def test_a_beacon_keeps_its_period() -> None:
    """Gaps differ from the period by no more than twice the jitter."""
    found = Every(600, 4).moments(MONDAY, Random(1))
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert len(found) == 144
    assert all(592 <= gap <= 608 for gap in gaps)


def test_sporadic_days_follow_their_share() -> None:
    """About four days in ten over a long time."""
    active = sum(bool(Sporadic(0.4).moments(MONDAY + timedelta(i), Random(i))) for i in range(500))
    assert 150 < active < 250


@pytest.mark.parametrize("rhythm", [At(3, count=3), Once(MONDAY, 60.0, 3), PerRun(3)])
def test_volume_scales_rates_and_not_what_is_scheduled(rhythm: Rhythm) -> None:
    """A job makes as many connections in a busy world as in a quiet one."""
    assert len(rhythm.moments(MONDAY, Random(1), 0.1)) == len(rhythm.moments(MONDAY, Random(1), 9.0)) == 3


@pytest.mark.parametrize(
    "rhythm",
    [Steady(3), Shopping(9), Office(2), At(23, 59, spread=50), Every(60), Once(MONDAY, 86399.0, 5, 90.0)],
)
def test_moments_stay_within_their_day_and_ascend(rhythm: Rhythm) -> None:
    """A day's file never needs the next day's moments."""
    found = rhythm.moments(MONDAY, Random(3))
    assert found == sorted(found)
    assert all(0 <= second < 86400 for second in found)
