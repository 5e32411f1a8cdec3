"""
The whole of a drift run: observations, policies and approvals in, one report out.

A function of its arguments: no clock, no store. The order of rows, objects and approvals changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np

from models.domain.capabilities import CapabilityHints
from models.domain.policy import UndecidablePeer
from models.drift.baseline import MIN_CLUSTER_NIGHTS
from models.drift.changed import Approved, Compared, compare
from models.drift.confirmed import Word, confirmed_traffic, unwanted_cells
from models.drift.coverage import NightCoverage, night_coverage, unheard, unseen_denials
from models.drift.distrust import distrust
from models.drift.finding import Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.gates import FRUITLESS, STOPPED, UNRULED, gate_series
from models.drift.moved_names import explain_moved_names
from models.drift.night import Scene, set_scene
from models.drift.reach import idle_policies, reach, unprotected
from models.drift.refused import refused_traffic
from models.drift.regrouped import ProposedGroup, regrouped
from models.drift.rejected import RejectedRule
from models.drift.report import DriftReport, arranged
from models.drift.standing import Standing, stand
from models.drift.suggest import Changes
from models.drift.sweeps import sweeps
from models.drift.timeline import Snapshot
from models.drift.unused import unused_parts
from models.drift.working import working_traffic
from models.errors import BadInputError
from models.frames import Observations
from models.learning.screening import MIN_SCREENED_DAYS
from models.simulation.compiled import ALLOW, DENY, UNKNOWN

_VERDICTS: Final = ((ALLOW, "allowed"), (DENY, "denied"), (UNKNOWN, "undecided"))


@dataclass(frozen=True, slots=True)
class DriftInput:
    """
    Everything a report rests on.

    Parameters
    ----------
    night
        Observations of the window of the report.
    history
        Observations of the nights before it, up to where it begins; ``None`` without any.
    snapshots
        Deployed policies; at least one.
    approved
        Policies as they were approved.
    hints
        What the configuration says of the cluster.
    exempt
        (namespace, ``Kind/name``) of workloads for which inference said why they get no policy.
    held
        Ids of what inference holds back for a person to decide: that it is denied is on purpose.
    said
        What people said about calls, by cell at both of their ends: what is unwanted is never legitimate.
    rejected
        Rules that reviewers rejected: nothing is offered that they would admit.
    denials_counted
        Packets that the agents' own counters say policy dropped in the window; ``None``: not asked.
    proposed
        Workloads that share a policy in the newest inference; empty when there was none.
    calibration
        What its forecasts were worth, in the form of the contract; ``None`` when there was none.
    """

    night: Observations
    history: Observations | None
    snapshots: tuple[Snapshot, ...]
    approved: tuple[Approved, ...] = ()
    hints: CapabilityHints = field(default_factory=CapabilityHints)
    exempt: frozenset[tuple[str, str]] = frozenset()
    held: frozenset[str] = frozenset()
    said: Mapping[str, Word] = field(default_factory=dict)
    rejected: tuple[RejectedRule, ...] = ()
    denials_counted: float | None = None
    proposed: tuple[ProposedGroup, ...] = ()
    calibration: Mapping[str, Any] | None = None


def find_drift(given: DriftInput, generated_at: datetime) -> DriftReport:
    """
    Report on one night.

    Parameters
    ----------
    given
        See `DriftInput`.
    generated_at
        Time of the report; goes into it and nowhere else.

    Raises
    ------
    BadInputError
        If there is no snapshot of policies at all.
    """
    if not given.snapshots:
        raise BadInputError("no policies to compare with: name files or a cluster")
    scene, compared = _scene(given)
    coverage = night_coverage(scene)
    findings = [
        *unheard(scene, coverage),
        *unseen_denials(scene, coverage, given.denials_counted),
        *compared.findings,
        *regrouped(given.approved, given.proposed),
        *distrust(given.calibration),
    ]
    counts = _counts(scene, compared)
    notes: list[str] = []
    if not scene.timeline.current.sources and not scene.timeline.not_in_force:
        notes.append(
            "No policy was read: a wrong path, an empty checkout, or all of them are gone. What was heard is "
            "compared with none."
        )
    if not coverage.silent:
        words = unwanted_cells(scene.rows["cell"], given.said)
        standing = stand(scene, given.held, frozenset(words), given.rejected)
        findings += confirmed_traffic(scene, words, Changes(scene))
        findings += _traffic(scene, standing, coverage, counts, notes)
        if scene.history is not None and standing.days.heard_count < MIN_SCREENED_DAYS:
            notes.append(
                f"Enough was heard of {standing.days.heard_count} days only, of {MIN_SCREENED_DAYS} it takes "
                "to tell what looks odd: nothing is called suspicious for its looks."
            )
        found = reach(scene)
        told = frozenset(
            policy for policy in found.selected if any(str(policy) in one.policy for one in compared.findings)
        )
        idle = idle_policies(scene, standing, found, given.approved, told)
        findings += idle
        nobody = {policy for one in idle for policy in one.policy if one.detector == "selects_nothing"}
        findings += [
            one for one in unused_parts(scene, standing, coverage) if not nobody & frozenset(one.policy)
        ]
        findings += unprotected(scene, found, coverage, given.exempt)
        findings += _undecidable(scene)
    else:
        notes.append("Nothing was heard tonight: only policies were compared, traffic was not.")
    return DriftReport(
        generated_at, scene.night.cluster, scene.window, coverage, arranged(findings), counts, tuple(notes)
    )


def _scene(given: DriftInput) -> tuple[Scene, Compared]:
    """Night and policies; approved ones tell which deployed ones are merely staged."""
    scene = set_scene(given.night, given.history, given.snapshots, given.hints)
    compared = compare(given.approved, scene.timeline.current, scene.timeline, scene.config)
    if compared.staged:
        scene = set_scene(given.night, given.history, given.snapshots, given.hints, compared.staged)
    return scene, compared


def _traffic(
    scene: Scene, standing: Standing, coverage: NightCoverage, counts: dict[str, int], notes: list[str]
) -> list[Finding]:
    """Findings about what was sent."""
    changes = Changes(scene)
    by_caller = gate_series(scene, standing.days, coverage, UNRULED)
    working = working_traffic(scene, standing, by_caller, changes)
    stopped = gate_series(scene, standing.days, coverage, STOPPED)
    fruitless = gate_series(scene, standing.days, coverage, FRUITLESS)
    if stopped.nights < MIN_CLUSTER_NIGHTS:
        notes.append(
            f"{stopped.nights} full nights before this one: too few to say what is usual, so refusals and "
            "sweeps are not judged."
        )
    if scene.history is None:
        notes.append("No nights before this one: nothing can be called new, odd or unused.")
    counts["seen_once"] = working.passing
    counts["held_back_by_screening"] = working.held
    counts["baseline_nights"] = stopped.nights
    found = [
        *working.findings,
        *refused_traffic(scene, standing, (stopped, by_caller), changes, working.cells),
        *sweeps(scene, standing, fruitless),
    ]
    return explain_moved_names(scene, found)


def _counts(scene: Scene, compared: Compared) -> dict[str, int]:
    """What was looked at."""
    verdicts = scene.rows["verdict"].to_numpy()
    counts = {f"edges_{name}": int(np.count_nonzero(verdicts == code)) for code, name in _VERDICTS}
    return counts | {
        "edges": len(scene.rows),
        "policies": len(scene.timeline.current.sources),
        "snapshots": scene.timeline.snapshots,
        "staged": len(compared.staged),
        "as_approved": len(compared.same),
        "workloads": len(scene.view.workloads.all),
    }


def _undecidable(scene: Scene) -> list[Finding]:
    """Policies with constructs nobody can decide here, where tonight's traffic met them."""
    found = []
    unknown = scene.rows[scene.rows["verdict"] == UNKNOWN]
    if unknown.empty:
        return []
    reasons: dict[str, str] = {}
    for entry in scene.parts:
        for peer in entry.peers or ():
            if isinstance(peer, UndecidablePeer):
                reasons.setdefault(str(entry.policy), peer.reason)
    for policy, reason in sorted(reasons.items()):
        found.append(
            Finding(
                kind=Kind.UNKNOWN,
                detector="undecidable",
                severity=Severity.LOW,
                confidence=1.0,
                subject=SubjectRef(policy.split("/")[1]),
                why=f"{policy} cannot be decided here: {reason}; what only it may allow is not judged.",
                policy=(policy,),
                about=policy,
                suggestion=Suggestion(
                    "investigate", "Give the objects it refers to along with the policies."
                ),
            )
        )
    return found
