"""CronJobs that the cluster told of, beside what was seen of them."""

import pytest

from jobs.propose import propose
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


def test_a_monthly_job_that_ran_once_is_needed_within_a_month():
    """One sighting in two weeks looks like the end of something, unless the schedule says when it returns."""
    unknown, told = needs(), needs(MONTHLY)
    assert told["egress"][0] > unknown["egress"][0] + 0.1
    assert told["egress"][1] == "monthly_candidate"


def test_a_suspended_job_is_not_expected():
    """It keeps what was seen of it and nothing more."""
    assert needs(CronJob("shop", "closing", "0 4 3 * *", enabled=False)) == needs()


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
