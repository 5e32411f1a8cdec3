"""The drift run: reads what is deployed and approved, reports, and keeps the life of every finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.drift import DriftRequest, run_drift
from jobs.drift_counters import count_denials
from jobs.observations.clusters import ObservedCluster
from jobs.runs import RunRequest, RunResult
from models.drift.changed import Approved
from models.drift.confirmed import Word
from models.drift.regrouped import ProposedGroup
from models.drift.rejected import RejectedRule
from models.drift.report import DriftReport
from models.errors import UnsupportedError
from models.learning.second_channel import ADMIT, UNWANTED
from service.calibration.views import calibration_of
from service.db.tables import QuarantineRow
from service.drift import notify, repository, snapshots
from service.drift.snapshots import Deployed
from service.export.manifests import Target, render
from service.export.rejected import rejected_policies
from service.observed.folded import FoldedObservations
from service.proposals import repository as proposals
from service.proposals.repository import ProposalFilter
from service.proposals.service import exportable
from service.quarantine import service as quarantine
from service.quarantine.verdicts import EntryState
from service.simulation.service import chosen_version, observed_cluster
from service.wiring import Portolan

KIND: Final = "drift"
#: Observations older than this are an archive: the newest of them ends the night, not the clock.
ARCHIVE_AFTER: Final = timedelta(days=2)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """What a command, a request or the schedule says about a report; None: as configured."""

    cluster: str | None = None
    policies: tuple[Path, ...] = ()
    from_cluster: bool = False
    as_of: datetime | None = None
    since: timedelta | None = None
    record: bool = True

    def parameters(self) -> dict[str, Any]:
        """Same for the record of the run."""
        return {
            "cluster": self.cluster,
            "policies": [str(path) for path in self.policies],
            "from_cluster": self.from_cluster,
            "as_of": self.as_of.astimezone(UTC).isoformat() if self.as_of else None,
            "since_seconds": int(self.since.total_seconds()) if self.since else None,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """
    A report, and where each of its findings stands.

    Parameters
    ----------
    report
        As made.
    states
        ``state`` and ``news`` by key of finding; empty when nothing is kept about it.
    fresh
        Keys of what became news with it: all that anybody is sent.
    """

    report: DriftReport
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Contract form, with the state of each finding."""
        form = self.report.to_json()
        for finding in form["findings"]:
            state, news = self.states.get(finding["key"], ("open", "new"))
            finding["state"], finding["news"] = state, news or None
        return form


def report_drift(
    portolan: Portolan,
    options: DriftOptions,
    *,
    trigger: str,
    wait: timedelta = timedelta(),
    due: datetime | None = None,
) -> Told:
    """Make one report under the lease of drift, keep it if asked to, and tell what changed."""
    told: list[Told] = []

    def work(run_id: str) -> Mapping[str, Any]:
        made = _report(portolan, options, run_id)
        told.append(made)
        counts = {"cluster": made.report.cluster, **_flat(made.report.summary())}
        log.info("drift.done", run=run_id, **counts)
        return counts

    request = RunRequest(KIND, KIND, trigger, options.parameters(), wait=wait, not_if_done_since=due)
    result: RunResult = portolan.runner.run(request, work)
    if options.record:
        states = {key: state for key, state in told[0].states.items() if key in told[0].fresh}
        notify.tell(portolan.settings.drift, told[0].report, states, run_id=result.run_id)
    return told[0]


def _flat(summary: Mapping[str, Any]) -> dict[str, int]:
    by_kind = {f"{kind}": count for kind, count in summary["by_kind"].items()}
    return {"findings": summary["findings"], **by_kind}


def _report(portolan: Portolan, options: DriftOptions, run_id: str) -> Told:
    """Read, compare, and keep."""
    settings = portolan.settings.drift
    paths, from_cluster = options.policies, options.from_cluster
    if not paths and not from_cluster:
        paths, from_cluster = tuple(map(Path, settings.policies)), settings.from_cluster
    deployed = snapshots.read_deployed(paths, from_cluster=from_cluster)
    cluster = observed_cluster(portolan, options.cluster)
    now = portolan.clock()
    request = DriftRequest(
        cluster.name, options.as_of or _until(cluster, now), options.since or settings.since, now
    )
    window = request.window()
    with portolan.database.read() as session:
        before = snapshots.earlier(session, cluster.name, deployed.source, window.end)
        version = chosen_version(portolan, None)
        approved = approved_policies(session, cluster.name, version)
        rejected = rejected_rules(session, cluster.name, version)
        exempt = _exempt(session, cluster.name)
        held, said = _held(session, cluster.name), _said(session, cluster.name)
        proposed = _proposed(session, cluster.name)
        calibration = calibration_of(session, cluster.name)
    counted = None if settings.prometheus_url is None else count_denials(settings.prometheus_url, window)
    report = run_drift(
        FoldedObservations(portolan.store),
        request,
        [*before, snapshots.current(deployed, min(now, window.end))],
        approved=approved,
        hints=portolan.infer_config().capabilities,
        exempt=exempt,
        held=held,
        said=said,
        rejected=rejected,
        denials_counted=counted,
        proposed=proposed,
        calibration=calibration,
    )
    return _kept(portolan, report, deployed, run_id, record=options.record)


def _kept(portolan: Portolan, report: DriftReport, deployed: Deployed, run_id: str, *, record: bool) -> Told:
    keys = [finding.key(report.cluster) for finding in report.findings]
    fresh: frozenset[str] | None = frozenset()
    if record:
        with portolan.database.write() as session:
            snapshots.record(session, report.cluster, deployed, portolan.clock())
            fresh = repository.save_report(session, report, run_id)
    with portolan.database.read() as session:
        rows = repository.standing(session, report.cluster, keys)
        # A look back is no news, whatever is news about the same finding on the newest night.
        states = {key: (row.state, "" if fresh is None else row.news) for key, row in rows.items()}
        return Told(report, states, fresh or frozenset())


def _until(cluster: ObservedCluster, now: datetime) -> datetime:
    """
    End of the night: now, so that a dead exporter shows as silence.

    Observations that ended long ago are an archive, and their end is meant.
    """
    return now if abs(now - cluster.window_end) < ARCHIVE_AFTER else cluster.window_end


def approved_policies(session: Session, cluster: str, cilium_version: str) -> list[Approved]:
    """Policies of a cluster as they were approved, rendered as an export would write them."""
    found = []
    for row in proposals.list_proposals(session, ProposalFilter(cluster=cluster)):
        kept = exportable(session, row, approved_only=True)
        if kept is None:
            continue
        try:
            manifest, _ = render(kept.proposal, kept.include, Target(cilium_version=cilium_version))
        except UnsupportedError as error:
            log.warning("drift.unrenderable", proposal=row.key, error=str(error))
            continue
        decisions = [one for one in proposals.decisions_of(session, row.key) if one.verb == "approve"]
        last = decisions[-1] if decisions else None
        found.append(
            Approved(
                manifest,
                kept.proposal.subject.workloads,
                0 if last is None else int(last.decided_at.timestamp()) * 1_000_000,
                "" if last is None else last.reviewer,
                row.key,
            )
        )
    return found


def rejected_rules(session: Session, cluster: str, cilium_version: str) -> list[RejectedRule]:
    """Rules of a cluster that reviewers rejected, each as the only one of its policy."""
    return [
        RejectedRule(
            one.manifest,
            one.standing.title,
            one.standing.reviewer,
            one.standing.reason,
            one.standing.decided_at,
        )
        for one in rejected_policies(session, cluster, cilium_version)
    ]


def _exempt(session: Session, cluster: str) -> frozenset[tuple[str, str]]:
    """Workloads for which the newest inference said why they get no policy."""
    found: Sequence[Mapping[str, Any]] = [
        one
        for row in proposals.newest_inferences(session, cluster)
        for one in row.body.get("without_proposal", [])
    ]
    return frozenset((str(one["namespace"]), str(name)) for one in found for name in one["workloads"])


def _proposed(session: Session, cluster: str) -> tuple[ProposedGroup, ...]:
    """Whom the newest inference gives one policy."""
    return tuple(
        ProposedGroup(row.namespace, row.name, tuple(row.workloads.split(", ")))
        for row in proposals.list_proposals(session, ProposalFilter(cluster=cluster))
        if row.workloads and not row.withdrawn
    )


def _held(session: Session, cluster: str) -> frozenset[str]:
    """Ids of what is held back and was not admitted, at both of its ends."""
    rows = session.scalars(select(QuarantineRow).where(QuarantineRow.cluster == cluster))
    kept = [row for row in rows if row.held and row.state != EntryState.ADMITTED]
    return frozenset(one for row in kept for one in (row.id, row.other_end) if one)


def _said(session: Session, cluster: str) -> dict[str, Word]:
    """What reviewers decided, by cell at both ends of each call."""
    found: dict[str, Word] = {}
    for row in quarantine.decided(session, cluster):
        verdict = UNWANTED if row.state == EntryState.UNWANTED else ADMIT
        word = Word(verdict, row.reviewer or "", row.decided_at)
        for cell in filter(None, (row.form["cell"], row.form["mirror"])):
            found.setdefault(cell, word)
    return found
