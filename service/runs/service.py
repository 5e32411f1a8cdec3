"""The runs themselves: each takes its lease, calls one job, and keeps what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog

from jobs.config import FileSource
from jobs.ingest import run_ingest
from jobs.maintain import run_maintain
from jobs.pull import pull
from jobs.runs import OBSERVATIONS_LEASE, Claim, RunRequest, RunResult
from jobs.sources.report import IngestReport
from models.errors import BadInputError, NotFoundError
from service.drift.repository import remove_reports_before
from service.quarantine.repository import remove_lapsed_before
from service.runs.repository import remove_runs_before
from service.wiring import Portolan

#: A person at a terminal rather waits for a pull that is under way than to be turned away.
PATIENCE: Final = timedelta(minutes=10)

Progress = Callable[[int, int, int], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Start:
    """Who asked for a run, and how long it may wait for another one."""

    trigger: str  # cli | api | schedule
    wait: timedelta = timedelta()
    due: datetime | None = None  # the moment a schedule fired


def logged(event: str, run_id: str, counts: Mapping[str, Any]) -> None:
    """Tell the log of a run's plain counts."""
    flat = {key: value for key, value in counts.items() if isinstance(value, int | float | str)}
    log.info(event, run=run_id, **flat)


def ingest(
    portolan: Portolan,
    paths: Sequence[str],
    *,
    cluster: str | None,
    start: Start,
    stdin: BinaryIO | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read files of Hubble flows into the observation store."""
    reports: list[IngestReport] = []

    def work(run_id: str) -> Mapping[str, Any]:
        log.info("ingest.started", run=run_id, paths=list(paths))
        report = run_ingest(
            paths,
            store=portolan.store,
            cluster=cluster or portolan.settings.cluster,
            stdin=stdin,
            progress=progress,
        )
        report.warnings += _unfruitful(report, portolan.store.rejects)
        report.warnings += [note for one in portolan.observed_clusters() for note in one.notes()]
        reports.append(report)
        counts = ingest_counts(report.as_json())
        logged("ingest.done", run_id, counts)
        return counts

    request = RunRequest(
        "ingest", OBSERVATIONS_LEASE, start.trigger, {"paths": list(paths), "cluster": cluster}, start.wait
    )
    portolan.runner.run(request, work)
    return reports[0]


def _unfruitful(report: IngestReport, rejects: Path) -> list[str]:
    """Why nothing was taken, where somebody surely expected otherwise."""
    if not report.files:
        return ["there is no file in what was named: nothing was read"]
    if report.records and sum(report.rejected.values()) == report.records:
        return [f"nothing of this could be used: is it Hubble JSON? Each line and its reason is in {rejects}"]
    return []


def ingest_counts(report: Mapping[str, Any]) -> dict[str, Any]:
    """Totals of an ingest report; the list of files stays out of the run's record."""
    return {
        "records": report["records"],
        "accepted": report["accepted"],
        "skipped": sum(report["skipped"].values()),
        "rejected": sum(report["rejected"].values()),
        "duplicates": report["duplicates"],
        "lost_events": report["lost_events"],
        "files": len(report["files"]),
    }


def chosen_sources(portolan: Portolan, names: Sequence[str]) -> list[FileSource]:
    """Configured sources by name; all of them where none is named."""
    sources = portolan.sources()
    if not sources:
        raise BadInputError("no sources are configured: name them under 'sources' in portolan.yaml")
    known = {source.name: source for source in sources}
    for name in names:
        if name not in known:
            raise NotFoundError(f"no source {name!r} is configured; there are {', '.join(sorted(known))}")
    return [known[name] for name in names] if names else sources


def claim_pull(portolan: Portolan, source: FileSource, start: Start) -> Claim:
    """Take the lease of whoever writes observations."""
    parameters = {"source": source.name}
    return portolan.runner.claim(
        RunRequest(f"pull:{source.name}", OBSERVATIONS_LEASE, start.trigger, parameters, start.wait)
    )


def perform_pull(
    portolan: Portolan, source: FileSource, claim: Claim, *, progress: Progress | None = None
) -> RunResult:
    """Read what a source has that was not read before."""

    def work(run_id: str) -> Mapping[str, Any]:
        counts = ingest_counts(pull(source, store=portolan.store, progress=progress).as_json())
        if counts["records"]:
            logged("pull.done", run_id, {"source": source.name, **counts})
        return {"source": source.name, **counts}

    return claim.perform(work)


def pull_source(
    portolan: Portolan, source: FileSource, *, start: Start, progress: Progress | None = None
) -> RunResult:
    """Claim and perform a pull in one go."""
    return perform_pull(portolan, source, claim_pull(portolan, source, start), progress=progress)


def claim_maintain(portolan: Portolan, start: Start) -> Claim:
    """Take the lease of whoever writes observations."""
    return portolan.runner.claim(
        RunRequest(
            "maintain",
            OBSERVATIONS_LEASE,
            start.trigger,
            {},
            wait=start.wait,
            not_if_done_since=start.due,
        )
    )


def perform_maintain(
    portolan: Portolan, claim: Claim, *, do_compact: bool = True, do_retain: bool = True
) -> RunResult:
    """Forget what is too old, then merge the small files of the day."""

    def work(run_id: str) -> Mapping[str, Any]:
        now = portolan.clock()
        keep_days = portolan.settings.retention.observations
        counts = run_maintain(
            portolan.store,
            now=now,
            keep_days=keep_days if do_retain else None,
            compaction=do_compact,
        )
        if do_retain:
            with portolan.database.write() as session:
                keep_runs = timedelta(days=portolan.settings.retention.runs)
                counts["runs_removed"] = remove_runs_before(session, now - keep_runs)
                counts["reports_removed"] = remove_reports_before(session, now - keep_runs)
                counts["quarantine_removed"] = remove_lapsed_before(session, now - keep_runs)
        logged("maintain.done", run_id, counts)
        return counts

    return claim.perform(work)
