"""CronJobs among Kubernetes objects: each once, hostile ones refused with a reason."""

import pytest

from models.domain.cron_job import CronJob
from models.manifest.parse_cron_jobs import parse_cron_jobs


def cron_job(name="nightly", schedule="0 3 * * *", **spec):
    """A CronJob as the API server shows it."""
    return {
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"schedule": schedule, **spec},
    }


def test_jobs_are_read_from_lists_once_each_and_other_kinds_passed_over():
    """As ``kubectl get cronjobs -o yaml`` writes them, beside a copy in a checkout."""
    listed = {"kind": "List", "items": [cron_job(), cron_job("weekly", "@weekly", suspend=True), 7]}
    found, refused = parse_cron_jobs([listed, cron_job(), {"kind": "Deployment"}, {}])
    assert found == (
        CronJob("shop", "nightly", "0 3 * * *", enabled=True),
        CronJob("shop", "weekly", "@weekly", enabled=False),
    )
    assert refused == ()


def test_the_time_zone_of_a_schedule_is_read():
    """Midnight in Sydney is the afternoon before in UTC."""
    found, refused = parse_cron_jobs([cron_job(timeZone="Australia/Sydney")])
    assert found == (CronJob("shop", "nightly", "0 3 * * *", zone="Australia/Sydney"),)
    assert refused == ()


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "/etc/passwd", "", "a" * 9999, ["x"], 7])
def test_a_zone_that_nobody_knows_is_said_and_read_as_utc(zone):
    """The schedule is still worth more than nothing."""
    found, refused = parse_cron_jobs([cron_job(timeZone=zone)])
    assert found == (CronJob("shop", "nightly", "0 3 * * *"),)
    (reason,) = refused
    assert reason.startswith("CronJob shop/nightly: nobody knows the time zone ")
    assert len(reason) < 300


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (cron_job(schedule="61 3 * * *"), "CronJob shop/nightly: "),
        (cron_job(schedule=["0 3 * * *"]), "CronJob shop/nightly has no schedule"),
        (cron_job(name=None), "a CronJob without a name"),
        (cron_job(name="x" * 5000, schedule="sometimes"), "CronJob shop/xxx"),
        ({"kind": "CronJob", "metadata": [], "spec": "x"}, "a CronJob without a name"),
    ],
)
def test_a_job_that_cannot_be_read_is_no_reason_to_forget_the_rest(job, why):
    """It is named with its reason, in bounded length."""
    found, refused = parse_cron_jobs([job, cron_job("other")])
    assert [one.name for one in found] == ["other"]
    (reason,) = refused
    assert reason.startswith(why)
    assert len(reason) < 300
