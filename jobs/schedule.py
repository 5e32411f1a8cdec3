"""
The scheduler: one thread pool in this process, and rules for being late.

A job that is still running when it is due again is skipped, not queued. Firings that were missed
while the process was busy are made up for once, however many they were. Firings that were missed
while the process was down are found by comparing the newest success on record with the schedule,
and made up for once, at start. Two processes may both schedule: the lease of a run decides who
works, and the record of the first tells the second that the work is done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from jobs.interfaces import Clock

#: Pulls, one inference and one maintenance may be under way at once; leases keep apart what must be.
_THREADS: Final = 4

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """Something to do at its times; ``work`` is told the moment it was due."""

    name: str
    when: str | timedelta  # cron expression (UTC), or an interval
    work: Callable[[datetime], None]
    last_success: Callable[[], datetime | None]


def previous_due(cron: str, last_success: datetime | None, now: datetime) -> datetime | None:
    """
    Newest firing of a cron schedule after the last success and not after now; None when none was missed.

    A job that never succeeded is due at once: somebody who starts Portolan for an hour a day would
    otherwise never see a nightly job.
    """
    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    if last_success is None:
        return now
    due = trigger.get_next_fire_time(None, last_success + timedelta(microseconds=1))
    if due is None or due > now:
        return None
    newest: datetime = due
    # A schedule that fires every minute and was down for a year must not be walked through.
    start = max(due, now - timedelta(days=1))
    following = trigger.get_next_fire_time(None, start)
    while following is not None and following <= now:
        newest = following
        following = trigger.get_next_fire_time(newest, newest + timedelta(microseconds=1))
    return newest


class Scheduler:
    """Runs jobs at their times until it is stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(_THREADS)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(_report, EVENT_JOB_ERROR)

    def add(self, job: Job) -> None:
        """Plan a job; one whose time passed while nobody was there runs once, now."""
        now = self._clock()
        if isinstance(job.when, timedelta):
            self._scheduler.add_job(
                lambda: job.work(self._clock()),
                IntervalTrigger(seconds=max(1, int(job.when.total_seconds())), timezone=UTC),
                id=job.name,
                next_run_time=now,
            )
            return
        cron = job.when
        missed = previous_due(cron, job.last_success(), now)
        if missed is not None:
            log.info("job.caught_up", job=job.name, due=missed.isoformat())
            self._scheduler.add_job(lambda: job.work(missed), id=f"{job.name}:missed", next_run_time=now)
        # The moment a firing was due: another process may serve the same one a second earlier.
        self._scheduler.add_job(
            lambda: job.work(
                previous_due(cron, self._clock() - timedelta(hours=1), self._clock()) or self._clock()
            ),
            CronTrigger.from_crontab(cron, timezone=UTC),
            id=job.name,
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more, and wait for what is under way: it is in the middle of a transaction."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    @property
    def running(self) -> bool:
        """Whether jobs are being started."""
        return bool(self._scheduler.running)

    def upcoming(self) -> list[tuple[str, datetime]]:
        """Job and next time of each, soonest first."""
        planned = [(job.id, job.next_run_time) for job in self._scheduler.get_jobs() if job.next_run_time]
        return sorted(planned, key=lambda item: (item[1], item[0]))


def _report(event: JobExecutionEvent) -> None:
    """Say which job failed; the run's record holds the rest."""
    log.error("job.failed", job=event.job_id, error=f"{type(event.exception).__name__}: {event.exception}")
