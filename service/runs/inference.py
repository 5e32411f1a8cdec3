"""The inference: takes its lease, folds and proposes, and keeps what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from jobs.beside import Both, forked, in_turn
from jobs.cron_jobs import read_cron_jobs
from jobs.garbage import uncollected
from jobs.infer import run_infer
from jobs.memory import Night, told
from jobs.runs import Claim, RunRequest, RunResult
from models.domain.window import Window
from models.errors import BadInputError, NotFoundError, TooLittleEvidenceError, UnsupportedError
from models.synthesis.learned import NOTHING_LEARNED
from service.observed import queries
from service.observed.folded import FoldedObservations
from service.proposals import repository
from service.proposals.recording import record
from service.quarantine import nights
from service.quarantine.recording import record as record_held
from service.quarantine.service import open_count
from service.runs.service import Start, logged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobs.config import InferConfig
    from jobs.observations.clusters import ObservedCluster
    from jobs.propose import InferResult
    from models.domain.cron_job import CronJob
    from models.synthesis.view import Posture
    from service.wiring import Portolan

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class InferOptions:
    """What a command or request may say about an inference; None: as configured."""

    cluster: str | None = None
    namespace: str | None = None
    as_of: datetime | None = None
    window: timedelta | None = None
    posture: Posture | None = None
    cron_jobs: tuple[Path, ...] = ()

    def parameters(self, configured: Posture) -> dict[str, Any]:
        """Same for the record of the run, with the posture that it really takes."""
        return {
            "cluster": self.cluster,
            "namespace": self.namespace,
            "as_of": self.as_of.astimezone(UTC).isoformat() if self.as_of else None,
            "window_seconds": int(self.window.total_seconds()) if self.window else None,
            "posture": self.posture or configured,
            "cron_jobs": [str(path) for path in self.cron_jobs],
        }


def claim_infer(portolan: Portolan, options: InferOptions, start: Start) -> Claim:
    """Take the lease of inference; one at a time, whatever the cluster."""
    return portolan.runner.claim(
        RunRequest(
            "infer",
            "infer",
            start.trigger,
            options.parameters(portolan.settings.posture),
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
            with uncollected():  # and what a cluster took is given back before anybody looks for garbage
                done = _infer_and_keep(
                    portolan, options, config, cluster, cron_jobs=cron_jobs, run_id=run_id, both=both
                )
        except TooLittleEvidenceError as error:
            silent.append(error)
            continue
        windows.append(done.looked_at)
        if done.why_nothing:
            notes.append(f"nothing is proposed for cluster {cluster.name}: {done.why_nothing}")
        if done.not_screened:
            notes.append(f"cluster {cluster.name}: {done.not_screened}")
        for key, value in done.kept.items():
            total[key] = total.get(key, 0) + value
    if not windows:
        raise TooLittleEvidenceError("; ".join([*map(str, silent), *notes]))
    notes += [f"{error}: its proposals stay as they are" for error in silent]
    logged("infer.done", run_id, total)
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


@dataclass(frozen=True, slots=True)
class _Done:
    """What a run says of a cluster: the window that it looked at, and what came of it."""

    looked_at: dict[str, Any]
    why_nothing: str
    not_screened: str
    kept: dict[str, int]


def _infer_and_keep(
    portolan: Portolan,
    options: InferOptions,
    config: InferConfig,
    cluster: ObservedCluster,
    *,
    cron_jobs: Sequence[CronJob],
    run_id: str,
    both: Both,
) -> _Done:
    result = _infer_cluster(portolan, options, config, cluster, cron_jobs, both=both)
    kept = _keep(portolan, result, cluster.name, options.namespace, run_id)
    return _Done(_looked_at(result), result.why_nothing(options.namespace), result.not_screened, kept)


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
    window = Window.ending(as_of, config.window)
    with portolan.database.read() as session:
        rejected = repository.rejected_rules(session, cluster.name)
        night = told(nights.remembered(session, cluster.name), window)
        memory = nights.memory(session, cluster.name, night, portolan.clock())
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
        "records": result.records,
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
            session,
            result.quarantine,
            result.sightings,
            cluster=cluster,
            namespace=namespace,
            run_id=run_id,
            now=now,
        )
        night = Night(result.fates, result.learned)
        nights.keep_night(session, cluster, result.window, night, namespace=namespace, run_id=run_id)
        if namespace is None:
            repository.save_inference(
                session, cluster=cluster, run_id=run_id, body=inference_body(result), now=now
            )
        undecided = open_count(session, now=now, cluster=cluster)
        return {**asdict(recorded), **asdict(held), "quarantine_open": undecided}


def inference_body(result: InferResult) -> dict[str, Any]:
    """What an inference said beyond its proposals."""
    return result.about_json()
