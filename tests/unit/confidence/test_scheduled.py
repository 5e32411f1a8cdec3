"""CronJobs that the cluster told of, beside what was seen of them."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.propose import propose
from models.confidence.scheduled import by_schedule
from models.domain.cron_job import CronJob
from tests.unit.synthesis.world import World

#: The window is March 1 to 14, 2026, so the job that runs on the 3rd ran once and is due again in April.
MONTHLY = CronJob("shop", "closing", "0 4 3 * *")
WEEKLY = CronJob("shop", "report", "0 4 * * 2")


def estate() -> World:
    """A monthly job that ran on day 3, and a web that calls the same store every day."""
    world = World()
    store = world.pod("shop", "store", kind="StatefulSet")
    world.edge(world.pod("shop", "web"), store, 5432)
    job = world.pod("shop", "closing", kind="CronJob", pod_names=["closing-29301840-k8r4n"], days=[2])
    world.edge(job, store, 5432, days=[2])
    return world


def needs(*cron_jobs: CronJob) -> dict[str, tuple[float, str]]:
    """``p_need`` and rhythm of the rules that the job's run needs, by direction."""
    made = propose(estate().observations(), cron_jobs=cron_jobs).proposals
    found = {}
    for proposal in made:
        for rule in proposal.rules:
            mine = "CronJob/closing" in (*proposal.subject.workloads, *rule.peer.workloads)
            if mine and rule.ports[0].number == 5432:
                found[rule.direction] = (rule.confidence.p_need, rule.confidence.rhythm)
    return found


#: The window of four weeks is March 1 to 28, 2026: two runs, and the next one in April.
SIXTH = CronJob("shop", "closing", "0 4 6,20 * *")


@cache
def regular(*cron_jobs: CronJob) -> tuple[float, float, str]:
    """``p_need_7d`` and ``p_need`` of a job that ran on both due days of four weeks, and what is said of them."""
    world = World(days=28)
    store = world.pod("shop", "store", kind="StatefulSet")
    for number in range(40):
        days = range(number % 7, 28, 1 + number % 9)
        world.edge(world.pod("shop", f"web-{number}"), store, 5432, days=days)
    job = world.pod("shop", "closing", kind="CronJob", pod_names=["closing-29301840-k8r4n"], days=[5, 19])
    world.edge(job, store, 5432, days=[5, 19])
    made = propose(world.observations(), cron_jobs=cron_jobs).proposals
    rules = next(one for one in made if one.subject.workloads == ("CronJob/closing",)).rules
    sure = next(rule for rule in rules if rule.ports[0].number == 5432).confidence
    return sure.p_need_7d, sure.p_need, sure.ledger[1].because


def test_a_monthly_job_that_ran_once_is_needed_within_a_month():
    """One run in two weeks tells nothing of the next one, unless the schedule says when it is."""
    unknown, told = needs(), needs(MONTHLY)
    assert unknown["egress"][0] is None
    assert told["egress"][0] >= 0.66
    assert {unknown["egress"][1], told["egress"][1]} == {"monthly_candidate"}


def test_one_run_has_its_reason_and_no_number():
    """What is wanted is known all the same, and other rules are scored as ever."""
    made = propose(estate().observations()).proposals
    rules = [rule for proposal in made for rule in proposal.rules if not rule.evidence.assumed]
    once = [rule.confidence for rule in rules if rule.confidence.p_need is None]
    assert {one.reason for one in once} == {"one run seen, its period is unknown"}
    assert {(one.p_need_7d, one.confidence, one.band) for one in once} == {(None, None, "too little seen")}
    assert min(one.p_legit for one in once) > 0.5
    assert len(once) < len(rules)


def test_a_suspended_job_is_not_expected():
    """It keeps what was seen of it and nothing more."""
    assert needs(CronJob("shop", "closing", "0 4 3 * *", enabled=False)) == needs()


def test_a_job_that_is_not_due_next_week_is_not_expected_next_week():
    """Habits know nothing of the day; here nobody but the job calls."""
    week, month, said = regular(SIXTH)
    plain = regular()
    assert week < plain[0]
    assert week < 0.2 < month
    assert said.startswith(
        "its schedule runs next 9 days after the last full day; "
        "seen on 2 of 2 days on which a run was due and on 0 of 21 others; returns within 7 days with probability 0.1"
    )


def test_a_known_schedule_that_was_kept_never_lowers_the_month():
    """The calibration is fitted to weeks that knew of no schedule, and bends what it was not fitted to."""
    (_, plain, _), (_, told, _) = regular(), regular(SIXTH)
    assert told >= plain


@pytest.mark.parametrize(("zone", "runs"), [("UTC", "0 of 2"), ("Asia/Tokyo", "2 of 2")])
def test_runs_are_counted_on_the_days_of_the_schedule_s_zone(zone, runs):
    """Midnight of the 7th in Tokyo is the 6th of UTC, on which it was seen."""
    said = regular(CronJob("shop", "closing", "0 0 7,21 * *", zone=zone))[2]
    assert f"seen on {runs} days on which a run was due" in said


@given(
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.lists(st.integers(0, 60), min_size=4, max_size=4),
    st.one_of(st.none(), st.integers(1, 35)),
    st.booleans(),
)
def test_a_schedule_keeps_the_month_above_the_week(one, other, counts, ahead, whole):
    """And lowers nothing where a run is due, nor where others call too."""
    ok, expected, off, free = min(counts[:2]), max(counts[:2]), min(counts[2:]), max(counts[2:])
    runs = {"cron_ok": ok, "cron_expected": expected, "cron_off": off, "cron_free": free}
    cells = pd.DataFrame([{**runs, "cron_next_days": np.nan if ahead is None else ahead}], dtype=float)
    cells["cron_whole"] = whole
    model = [pd.Series([value]) for value in sorted((one, other))]
    week, month = (
        float(by_schedule(need, cells, days)[0]) for need, days in zip(model, (7, 35), strict=True)
    )
    assert 0.0 <= week <= month + 1e-12 <= 1.0 + 1e-12
    if not whole or (ahead or 99) <= 7:
        assert week >= float(model[0][0])


@pytest.mark.parametrize(("job", "due"), [(WEEKLY, True), (CronJob("shop", "yearly", "0 0 1 1 *"), False)])
def test_a_job_that_never_ran_and_is_due_is_counted_and_named(job, due):
    """Nothing of it is in any policy yet: the namespace and the cluster expect its calls to be denied."""
    plain = propose(estate().observations()).forecast
    told = propose(estate().observations(), cron_jobs=[job]).forecast
    added = told["cluster"]["expected_denied_edges_7d"] - plain["cluster"]["expected_denied_edges_7d"]
    assert (added > 1.0) == due
    named = [text for text in told["not_observed"] if text.startswith("CronJob ")]
    assert named == (["CronJob shop/report (0 4 * * 2): due on 2026-03-17, never seen to run"] if due else [])
    assert set(plain["not_observed"]) <= set(told["not_observed"])
