"""Which jobs this process plans, from the settings; the rules of lateness are in ``jobs.schedule``."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from jobs.config import FileSource
from jobs.schedule import Job, Scheduler
from models.errors import ConflictError, PortolanError, TooLittleEvidenceError
from service.runs import inference, service
from service.runs.inference import InferOptions
from service.runs.service import PATIENCE, Start
from service.wiring import Portolan

log = structlog.get_logger()


def plan_jobs(portolan: Portolan, scheduler: Scheduler) -> None:
    """Add the pulls, the nightly inference, drift and maintenance."""
    last = portolan.run_log.last_success
    for source in portolan.sources():
        kind = f"pull:{source.name}"
        work = partial(_quietly, kind, partial(_pull, portolan, source))
        scheduler.add(Job(kind, source.interval, work, partial(last, kind)))
    schedule = portolan.settings.schedule
    infer = partial(_quietly, "infer", partial(_infer, portolan))
    drift = portolan.settings.drift
    if drift.policies or drift.from_cluster:
        report = partial(_quietly, "drift", partial(_drift, portolan))
        scheduler.add(Job("drift", schedule.drift, report, partial(last, "drift")))
    maintain = partial(_quietly, "maintain", partial(_maintain, portolan))
    scheduler.add(Job("infer", schedule.infer, infer, partial(last, "infer")))
    scheduler.add(Job("maintain", schedule.maintenance, maintain, partial(last, "maintain")))


def _pull(portolan: Portolan, source: FileSource, due: datetime) -> None:
    del due  # a pull that finds nothing new is cheap, so two processes may both pull
    service.pull_source(portolan, source, start=Start("schedule"))


def _infer(portolan: Portolan, due: datetime) -> None:
    options = InferOptions()
    claim = inference.claim_infer(portolan, options, Start("schedule", PATIENCE, due))
    done = inference.perform_infer(portolan, options, claim)
    for note in done.counts["notes"]:
        log.warning("infer.note", run=done.run_id, note=note)


def _drift(portolan: Portolan, due: datetime) -> None:
    # Imported when it is due: nobody else waits for the libraries of learning.
    from service.drift.service import DriftOptions, report_drift  # noqa: PLC0415

    report_drift(portolan, DriftOptions(as_of=due), trigger="schedule", wait=PATIENCE, due=due)


def _maintain(portolan: Portolan, due: datetime) -> None:
    service.perform_maintain(portolan, service.claim_maintain(portolan, Start("schedule", PATIENCE, due)))


def _quietly(job: str, work: Callable[[datetime], None], due: datetime) -> None:
    """Say in one line what is nobody's mistake; what is, the scheduler reports."""
    try:
        work(due)
    except ConflictError as error:
        log.info("job.skipped", job=job, why=str(error))
    except TooLittleEvidenceError as error:
        log.info("job.nothing", job=job, why=str(error))
    except PortolanError as error:
        log.error("job.failed", job=job, error=str(error))  # noqa: TRY400 - a traceback would say no more
