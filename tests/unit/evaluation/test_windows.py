"""Windows that begin and end within a day: nothing is in two of them, and judgement begins where learning ends."""

from dataclasses import replace

import numpy as np

from jobs.evaluation.occurrences import by_period, occurrences
from jobs.evaluation.render import observe
from jobs.evaluation.truth import SEEN, classified
from models.learning.days import observed_days
from tests.unit.evaluation.small import SMALL, small_world

AFTERNOON = replace(SMALL, name="afternoon", hour=14, loss=0.0)
_DAY_US = 24 * 3600 * 1_000_000


def test_windows_that_meet_share_the_records_of_the_day_between_them():
    """Each record is in exactly one of two windows, whatever hour they meet at."""
    world = small_world(AFTERNOON)
    early, late = (occurrences(world, *days, observed=True) for days in ((0, 7), (7, 14)))
    whole = occurrences(world, 0, 14, observed=True)
    assert early["flows"].sum() + late["flows"].sum() == whole["flows"].sum()
    middle = world.caught[:, 7]
    parts = [one[one["day"] == 7].groupby("link")["flows"].sum() for one in (early, late)]
    assert all(len(part) for part in parts)
    met = parts[0].add(parts[1], fill_value=0)
    assert met.astype(int).to_dict() == {n: int(middle[n]) for n in np.flatnonzero(middle).tolist()}


def test_calls_of_no_hour_fall_on_both_sides_of_the_hour():
    """Rare calls come at any time of day, so neither end of a window has them all."""
    world = small_world(AFTERNOON)
    rare = np.array([link.kind == "tail" for link in world.links])
    used = world.flows[rare] > 0
    before = (world.begins[rare] < AFTERNOON.hour) & used
    assert 0.3 < before.sum() / used.sum() < 0.9
    fixed = np.array([link.kind == "job" for link in world.links])
    assert (world.begins[fixed] == np.array([link.hour for link in world.links])[fixed][:, None]).all()


def test_the_first_and_the_last_day_are_partial():
    """Fourteen days from 14:00 hold thirteen full ones."""
    observed = observe(small_world(AFTERNOON), 0, 14)
    days = observed_days(observed.coverage)
    assert (len(days.full), len(days.partial)) == (13, 2)
    assert observed.window.days == 14
    start, end = (int(one.timestamp()) * 1_000_000 for one in (observed.window.start, observed.window.end))
    assert (observed.edge_days["first_us"] >= start).all()
    assert (observed.edge_days["last_us"] < end).all()
    assert (observed.edge_days["first_us"] < start + _DAY_US).any()


def test_judged_days_begin_where_the_window_ends():
    """The afternoon of the last day of a window is judged, its morning was learned from."""
    world = small_world(AFTERNOON)
    later = classified(world, 0, 14, 28)
    assert later["period"].min() == 14
    assert later["period"].max() == 27
    learned = occurrences(world, 0, 14, observed=False)
    scored = np.array([link.kind != "probe" for link in world.links])
    learned = learned[scored[learned["link"].to_numpy()]]
    # A world of 28 days ends at midnight, not at 14:00 of a day after it; before the first window nobody looks.
    whole = by_period(world, 0, 28)
    whole = whole[scored[whole["link"].to_numpy()]]
    assert learned["flows"].sum() + later["flows"].sum() == whole["flows"].sum()
    assert (later.loc[later["day"] == 14, "truth"] == SEEN).any()
