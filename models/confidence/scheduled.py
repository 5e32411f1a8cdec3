"""What CronJobs that the cluster told of mean for a draft: whose they are, and which never ran."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from models.confidence.calendar import Job, cron_columns
from models.domain.peer import EndpointPeer, LabelSelector
from models.learning.schedules import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from models.domain.cron_job import CronJob
    from models.domain.proposal import Proposal
    from models.learning.days import ObservedDays


def jobs_of(cron_jobs: Iterable[CronJob], proposals: Iterable[Proposal]) -> tuple[Job, ...]:
    """Jobs by the key of the proposal that selects their pods; by namespace and name where none does."""
    owner = {
        (proposal.namespace, workload): proposal.key
        for proposal in proposals
        for workload in proposal.subject.workloads
    }
    return tuple(
        Job(owner.get((one.namespace, f"CronJob/{one.name}"), unseen_key(one)), one.schedule, one.enabled)
        for one in sorted(cron_jobs)
    )


def with_runs(
    cells: pd.DataFrame,
    days: ObservedDays,
    cron_jobs: Sequence[CronJob],
    proposals: Sequence[Proposal],
    horizon: int,
) -> pd.DataFrame:
    """
    Cells with the runs of the jobs that make them (`cron_columns`), at both ends of a call.

    Parameters
    ----------
    cells
        `PolicyCells.cells` or some of them.
    days
        The window.
    cron_jobs
        Known ones; without any, the cells come back as they are.
    proposals
        Of the draft.
    horizon
        Days ahead to look for the next run.
    """
    if not cron_jobs:
        return cells
    jobs = jobs_of(cron_jobs, proposals)
    caller = {
        EndpointPeer("", one.namespace, (f"CronJob/{one.name}",), LabelSelector()).key: job.subject
        for one, job in zip(sorted(cron_jobs), jobs, strict=True)
    }
    called_by = cells["peer"].map(caller).where(cells["direction"] == "ingress")
    by_origin = cells.assign(subject=called_by.fillna(cells["subject"]))
    return cells.join(cron_columns(jobs, by_origin, days, horizon))


def unseen_key(cron_job: CronJob) -> str:
    """What stands for a job that never ran; no proposal has such a key."""
    return f"{cron_job.namespace}/{cron_job.name}"


def never_ran(
    cron_jobs: Iterable[CronJob], proposals: Sequence[Proposal], last_day: str, horizon: int
) -> tuple[str, ...]:
    """
    Sentences about the jobs that are due within the horizon and that no window showed.

    Parameters
    ----------
    cron_jobs
        Known ones.
    proposals
        Of the draft; a job that ran has one.
    last_day
        Of the window, as ``YYYY-MM-DD``.
    horizon
        Days ahead.
    """
    end = date.fromisoformat(last_day)
    known = {job.subject for job in jobs_of(cron_jobs, proposals)}
    found = []
    for one in sorted(cron_jobs):
        wait = parse_schedule(one.schedule).days_until(end, horizon) if one.enabled else None
        if wait is not None and unseen_key(one) in known:
            due = end + timedelta(days=wait)
            found.append(f"CronJob {unseen_key(one)} ({one.schedule}): due on {due}, never seen to run")
    return tuple(found)
