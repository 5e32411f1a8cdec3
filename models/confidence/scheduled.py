"""
What CronJobs that the cluster told of mean for a draft: whose they are, which never ran, what they change.

A schedule knows what no count of days can: when the next run is due, and that none is due before. The model
of habits is calibrated without it, and must be, because no week that was held out knew of a schedule; so a
schedule speaks last, of each horizon by itself (docs/decisions/0071).
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.confidence.calendar import CRON_COLUMNS, Job, cron_columns
from models.domain.peer import EndpointPeer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from models.domain.cron_job import CronJob
    from models.domain.proposal import Proposal
    from models.learning.days import ObservedDays

#: Runs by hand that are believed to be ahead of those that were seen, and the day that they came on: what
#: nobody started in a window may be started (the prior of Jeffreys).
STRAY_RUNS: Final = 0.5
STRAY_DAYS: Final = 1.0

#: ``(namespace, Kind/name)`` of workloads.
_Callers = frozenset[tuple[str, str]]


def jobs_of(cron_jobs: Iterable[CronJob], proposals: Iterable[Proposal]) -> tuple[Job, ...]:
    """Jobs by the key of the proposal that selects their pods; by namespace and name where none does."""
    owner = {
        (proposal.namespace, workload): proposal.key
        for proposal in proposals
        for workload in proposal.subject.workloads
    }
    return tuple(
        Job(owner.get(_workload(one), unseen_key(one)), one.schedule, one.enabled, one.zone)
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
    Cells with the runs of the jobs that make them, at both ends of a call.

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

    Returns
    -------
    pandas.DataFrame
        With `CRON_COLUMNS`, and ``cron_whole``: whether nobody but enabled jobs makes the cell's calls.
    """
    if not cron_jobs:
        return cells
    known = {_workload(one): one for one in cron_jobs}
    jobs: dict[str, list[Job]] = {}
    whole: set[str] = set()
    for key, callers in _callers(proposals).items():
        own = [known[one] for one in sorted(callers) if one in known]
        if own:
            jobs[key] = [Job(key, one.schedule, one.enabled, one.zone) for one in own]
        if own and len(own) == len(callers) and all(one.enabled for one in own):
            whole.add(key)
    made_by = cells["peer"].where((cells["direction"] == "ingress") & cells["peer"].isin(jobs.keys()))
    # what enters a job's own pods, whoever calls, comes when they are there
    keys = made_by.fillna(cells["subject"])
    every = [job for key in sorted(jobs) for job in jobs[key]]
    runs = cron_columns(every, cells.assign(subject=keys), days, horizon)
    return cells.join(runs.assign(cron_whole=keys.isin(whole)))


def job_owned(cells: pd.DataFrame, proposals: Sequence[Proposal]) -> pd.Series[bool]:
    """
    Whether nobody but CronJobs makes each cell's calls, known schedule or not.

    Parameters
    ----------
    cells
        `PolicyCells.cells`.
    proposals
        Of the draft; their workloads and peers tell kinds.
    """
    jobs = frozenset(
        key
        for key, callers in _callers(proposals).items()
        if callers and all(name.startswith("CronJob/") for _, name in callers)
    )
    by_peer = (cells["direction"] == "ingress") & cells["peer"].isin(jobs)
    return (by_peer | cells["subject"].isin(jobs)).rename("job_owned")


def _workload(cron_job: CronJob) -> tuple[str, str]:
    return cron_job.namespace, f"CronJob/{cron_job.name}"


def _callers(proposals: Iterable[Proposal]) -> Mapping[str, _Callers]:
    """Workloads behind the key of a proposal, and behind that of a peer that a rule lets in."""
    found: dict[str, _Callers] = {}
    for proposal in proposals:
        place = proposal.namespace
        found[proposal.key] = frozenset((place, one) for one in proposal.subject.workloads)
        for rule in proposal.rules:
            if rule.direction == "ingress" and isinstance(rule.peer, EndpointPeer):
                for peer in rule.peer.each:
                    found[peer.key] = frozenset((peer.namespace, one) for one in peer.workloads)
    return found


def by_schedule(need: pd.Series[Any], cells: pd.DataFrame, horizon: int) -> pd.Series[Any]:
    """
    Probability of use with what schedules say.

    Where a run is due, at least the share of due runs that showed. Where none is and nobody but jobs makes
    the calls, at most what their days off schedule leave to expect.

    Parameters
    ----------
    need
        The model's, calibrated, keyed by cell.
    cells
        `with_runs` for ``horizon`` days or more; without its columns nothing changes.
    horizon
        Days ahead.

    Returns
    -------
    pandas.Series
        In [0, 1], keyed as ``need``.
    """
    if not {*CRON_COLUMNS, "cron_whole"} <= set(cells.columns):
        return need
    ok, expected, off, free, ahead = (cells[name].to_numpy(dtype=np.float64) for name in CRON_COLUMNS)
    plain = need.to_numpy(dtype=np.float64)
    due = ahead <= horizon  # NaN compares false: nothing is due
    whole = cells["cron_whole"].to_numpy(dtype=np.bool_) & ~np.isnan(expected)
    stray = 1.0 - (1.0 - (off + STRAY_RUNS) / (free + STRAY_DAYS)) ** horizon
    told = np.where(whole, np.fmin(plain, stray), plain)
    told = np.where(due, np.fmax(plain, (ok + 1.0) / (expected + 2.0)), told)
    return pd.Series(told, index=need.index, name=need.name)


def schedule_sentence(cell: Mapping[Any, Any], horizon: int) -> str:
    """
    When the next run of a cell's job is due, and on which days it was seen.

    Parameters
    ----------
    cell
        A row of `with_runs` for this horizon, of a job's cell.
    horizon
        Days ahead.
    """
    ok, expected, off, free = (int(cell[name]) for name in CRON_COLUMNS[:4])
    seen = f"seen on {ok} of {expected} days on which a run was due and on {off} of {free} others"
    if math.isnan(cell["cron_next_days"]):
        return f"its schedule does not run within {horizon} days; {seen}"
    ahead = int(cell["cron_next_days"])
    days = "the day" if ahead == 1 else f"{ahead} days"
    return f"its schedule runs next {days} after the last full day; {seen}"


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
        job = Job(unseen_key(one), one.schedule, one.enabled, one.zone)
        wait = job.parsed.days_until(end, horizon) if job.enabled else None
        if wait is not None and job.subject in known:
            due = end + timedelta(days=wait)
            where = "" if job.zone == "UTC" else f" {job.zone}"
            found.append(f"CronJob {job.subject} ({job.schedule}{where}): due on {due}, never seen to run")
    return tuple(found)
