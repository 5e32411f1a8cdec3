"""The runs themselves: each takes its lease, calls one job, and keeps what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog

from jobs.beside import Both, forked, in_turn
from jobs.config import FileSource, InferConfig
from jobs.cron_jobs import read_cron_jobs
from jobs.ingest import run_ingest
from jobs.maintain import run_maintain
from jobs.memory import Night, told
from jobs.observations.clusters import ObservedCluster
from jobs.propose import InferResult, run_infer
from jobs.pull import pull
from jobs.runs import OBSERVATIONS_LEASE, Claim, RunRequest, RunResult
from jobs.sources.report import IngestReport
from models.domain.cron_job import CronJob
from models.domain.window import Window
from models.errors import BadInputError, NotFoundError, TooLittleEvidenceError, UnsupportedError
from models.synthesis.learned import NOTHING_LEARNED
from models.synthesis.view import Posture
from service.drift.repository import remove_reports_before
from service.observed import queries
from service.observed.folded import FoldedObservations
from service.proposals import repository
from service.proposals.recording import record
from service.quarantine import nights
from service.quarantine.recording import record as record_held
from service.quarantine.repository import remove_lapsed_before
from service.quarantine.service import open_count
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


def _logged(event: str, run_id: str, counts: Mapping[str, Any]) -> None:
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
        _logged("ingest.done", run_id, counts)
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
            _logged("pull.done", run_id, {"source": source.name, **counts})
        return {"source": source.name, **counts}

    return claim.perform(work)


def pull_source(
    portolan: Portolan, source: FileSource, *, start: Start, progress: Progress | None = None
) -> RunResult:
    """Claim and perform a pull in one go."""
    return perform_pull(portolan, source, claim_pull(portolan, source, start), progress=progress)


@dataclass(frozen=True, slots=True)
class InferOptions:
    """What a command or request may say about an inference; None: as configured."""

    cluster: str | None = None
    namespace: str | None = None
    as_of: datetime | None = None
    window: timedelta | None = None
    posture: Posture | None = None
    cron_jobs: tuple[Path, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Same for the record of the run."""
        return {
            "cluster": self.cluster,
            "namespace": self.namespace,
            "as_of": self.as_of.astimezone(UTC).isoformat() if self.as_of else None,
            "window_seconds": int(self.window.total_seconds()) if self.window else None,
            "posture": self.posture,
            "cron_jobs": [str(path) for path in self.cron_jobs],
        }


def claim_infer(portolan: Portolan, options: InferOptions, start: Start) -> Claim:
    """Take the lease of inference; one at a time, whatever the cluster."""
    return portolan.runner.claim(
        RunRequest(
            "infer",
            "infer",
            start.trigger,
            options.parameters(),
            wait=start.wait,
            not_if_done_since=start.due,
        )
    )


def infer(portolan: Portolan, options: InferOptions, start: Start) -> RunResult:
    """Propose policies for one cluster, or for every cluster that was observed; by a command, alone."""
    claim = claim_infer(portolan, options, start)
    return claim.perform(lambda run_id: _infer(portolan, options, run_id, forked))


def perform_infer(portolan: Portolan, options: InferOptions, claim: Claim) -> RunResult:
    """Do what was claimed, in a process that does other things, too."""
    return claim.perform(lambda run_id: _infer(portolan, options, run_id, in_turn))


def _infer(portolan: Portolan, options: InferOptions, run_id: str, both: Both) -> Mapping[str, Any]:
    config = portolan.infer_config()
    clusters = _chosen_clusters(portolan, options.cluster or config.cluster, options.namespace)
    cron_jobs, unread = _cron_jobs(portolan, options)
    total: dict[str, int] = {"cron_jobs": len(cron_jobs), "cron_jobs_unread": len(unread)}
    config = replace(
        config, window=options.window or config.window, posture=options.posture or config.posture
    )
    windows: list[dict[str, Any]] = []
    notes: list[str] = []
    silent: list[TooLittleEvidenceError] = []
    for cluster in clusters:
        log.info("infer.started", run=run_id, cluster=cluster.name)
        notes += cluster.notes()
        try:
            result = _infer_cluster(portolan, options, config, cluster, cron_jobs, both=both)
        except TooLittleEvidenceError as error:
            silent.append(error)
            continue
        windows.append(_looked_at(result))
        if why := result.why_nothing(options.namespace):
            notes.append(f"nothing is proposed for cluster {cluster.name}: {why}")
        for key, value in _keep(portolan, result, cluster.name, options.namespace, run_id).items():
            total[key] = total.get(key, 0) + value
    if not windows:
        raise TooLittleEvidenceError("; ".join([*map(str, silent), *notes]))
    notes += [f"{error}: its proposals stay as they are" for error in silent]
    _logged("infer.done", run_id, total)
    names = [window["cluster"] for window in windows]
    return {"clusters": names, **total, "windows": windows, "notes": notes}


def _chosen_clusters(portolan: Portolan, wanted: str | None, namespace: str | None) -> list[ObservedCluster]:
    """The cluster that is meant, or all; a name that was never observed is refused: it may be mistyped."""
    observed = portolan.observed_clusters()
    if not observed:
        raise TooLittleEvidenceError("nothing was observed yet: 'portolan ingest' reads flows")
    if wanted is not None and wanted not in {cluster.name for cluster in observed}:
        names = ", ".join(cluster.name for cluster in observed)
        raise NotFoundError(f"cluster {wanted!r} was not observed; there are {names}")
    if namespace is not None:
        known = sorted({str(row["namespace"]) for row in queries.namespaces(portolan.store, wanted)})
        if namespace not in known:
            raise NotFoundError(f"namespace {namespace!r} was not observed; there are {', '.join(known)}")
    return [cluster for cluster in observed if wanted in {None, cluster.name}]


def _infer_cluster(
    portolan: Portolan,
    options: InferOptions,
    config: InferConfig,
    cluster: ObservedCluster,
    cron_jobs: Sequence[CronJob],
    *,
    both: Both,
) -> InferResult:
    """What the window of one cluster says, with what reviewers and the night before said."""
    as_of = options.as_of or cluster.window_end
    until = Window.ending(as_of, config.window).end
    with portolan.database.read() as session:
        rejected = repository.rejected_rules(session, cluster.name)
        night = told(nights.remembered(session, cluster.name), until)
        memory = nights.memory(session, cluster.name, night)
    return run_infer(
        FoldedObservations(portolan.store),
        cluster=cluster.name,
        as_of=as_of,
        window_length=config.window,
        namespace=options.namespace,
        posture=config.posture,
        capabilities=config.capabilities,
        rejected_rules=rejected,
        memory=memory,
        previous=NOTHING_LEARNED if night is None else night.learned,
        cron_jobs=cron_jobs,
        both=both,
    )


def _looked_at(result: InferResult) -> dict[str, Any]:
    return {
        "cluster": result.cluster,
        "start": result.window.start.isoformat(),
        "end": result.window.end.isoformat(),
        "effective_days": result.effective_days,
        "without_proposal": len(result.unproposed),
    }


def _cron_jobs(portolan: Portolan, options: InferOptions) -> tuple[tuple[CronJob, ...], tuple[str, ...]]:
    """
    Those of the command, else those of the configuration; what cannot be read is said, and counted.

    A cluster that cannot be asked tonight is no reason to propose nothing.
    """
    settings = portolan.settings.cron_jobs
    paths = options.cron_jobs or tuple(map(Path, settings.paths))
    try:
        jobs, unread = read_cron_jobs(paths, from_cluster=settings.from_cluster and not options.cron_jobs)
    except BadInputError as error:
        raise BadInputError(f"CronJobs: {error}") from None
    except UnsupportedError as error:
        jobs, unread = (), (str(error),)
    for why in unread:
        log.warning("infer.cron_job_unread", reason=why)
    return jobs, unread


def _keep(
    portolan: Portolan, result: InferResult, cluster: str, namespace: str | None, run_id: str
) -> dict[str, int]:
    now = portolan.clock()
    with portolan.database.write() as session:
        recorded = record(
            session, result.proposals, cluster=cluster, namespace=namespace, run_id=run_id, now=now
        )
        held = record_held(
            session, result.quarantine, cluster=cluster, namespace=namespace, run_id=run_id, now=now
        )
        night = Night(result.fates, result.learned)
        nights.keep_night(session, cluster, result.window.end, night, namespace=namespace, run_id=run_id)
        if namespace is None:
            repository.save_inference(
                session, cluster=cluster, run_id=run_id, body=inference_body(result), now=now
            )
        undecided = open_count(session, now=now, cluster=cluster)
        return {**asdict(recorded), **asdict(held), "quarantine_open": undecided}


def inference_body(result: InferResult) -> dict[str, Any]:
    """What an inference said beyond its proposals."""
    return result.about_json()


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
        _logged("maintain.done", run_id, counts)
        return counts

    return claim.perform(work)
