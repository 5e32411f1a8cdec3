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
