"""Observations in, proposals out, every one of them replayed and linted before it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from jobs.beside import Both, in_turn
from models.confidence.attach import confident
from models.domain.agent import NEWEST
from models.domain.capabilities import CapabilityHints
from models.domain.cron_job import CronJob
from models.domain.held_cell import HeldCell
from models.domain.proposal import LeftOut, Proposal
from models.domain.proposal_json import left_out_to_json, proposal_to_json
from models.domain.quarantine import Quarantined, Sighting
from models.domain.window import Window
from models.frames import Observations
from models.manifest.lists import LIST
from models.manifest.parse import parse_objects
from models.manifest.render import cilium_manifest, paths_in_parts
from models.manifest.validate import problems
from models.simulation.observed import agent_config
from models.simulation.replay import Replayed, replay, replayed
from models.synthesis.draft import Draft, Unproposed, draft
from models.synthesis.learned import NOTHING_LEARNED, Learned
from models.synthesis.memory import NO_MEMORY, Memory
from models.synthesis.nothing import why_nothing
from models.synthesis.sightings import sightings
from models.synthesis.view import Posture

#: Edges from which a second process earns more than it costs.
MIN_EDGES_BESIDE: Final = 5_000


@dataclass(frozen=True, slots=True)
class InferResult:
    """
    Outcome of a run.

    ``proposals`` are sorted by namespace and name and carry their back-test and confidence; ``manifests``
    are their objects by proposal key, in enforce mode with all rules, a ``List`` of parts where one was
    split. ``calibration`` says how forecasts of this estate fared on weeks that they had not seen,
    ``forecast`` what all policies would deny together; ``records`` where the records of the window ended,
    ``not_screened`` why nothing could be called odd where too little was heard for it. ``quarantine`` is
    everything held back, also of workloads without a proposal, ``sightings`` what is still seen of calls that
    people decided on; ``fates`` (of both, by cell) and ``learned`` are for the next night's run.
    """

    cluster: str
    window: Window
    proposals: tuple[Proposal, ...]
    manifests: dict[str, dict[str, Any]]
    unproposed: tuple[Unproposed, ...]
    left_out: tuple[LeftOut, ...]
    edge_count: int
    effective_days: float
    listened_share: float
    lost_events: int
    set_aside: dict[str, int]
    quarantine: tuple[Quarantined, ...]
    sightings: tuple[Sighting, ...]
    fates: dict[str, HeldCell]
    learned: Learned
    calibration: dict[str, Any]
    forecast: dict[str, Any]
    records: dict[str, int]
    not_screened: str = ""

    def counts(self) -> dict[str, Any]:
        """What a run record keeps."""
        return {
            "edges": self.edge_count,
            "proposals": len(self.proposals),
            "rules": sum(len(proposal.rules) for proposal in self.proposals),
            "without_proposal": len(self.unproposed),
            "quarantined": len(self.quarantine),
            "effective_days": self.effective_days,
            "listened_share": self.listened_share,
            "lost_events": self.lost_events,
            "records": self.records,
            "set_aside": self.set_aside,
        }

    def why_nothing(self, namespace: str | None) -> str:
        """Why there is no proposal (for the namespace that was asked about); "" where there is one."""
        if self.proposals:
            return ""
        return why_nothing(self.unproposed, self.left_out, self.set_aside, namespace)

    def to_json(self) -> dict[str, Any]:
        """Contract form of the run, without what only the review knows (versions, decisions)."""
        proposals = [
            proposal_to_json(proposal, manifest=self.manifests[proposal.key]) for proposal in self.proposals
        ]
        return {**self.about_json(), "proposals": proposals}

    def about_json(self) -> dict[str, Any]:
        """The same without the proposals."""
        return {
            "cluster": self.cluster,
            "window": {"start": self.window.start.isoformat(), "end": self.window.end.isoformat()},
            "coverage": {
                "effective_days": self.effective_days,
                "listened_share": self.listened_share,
                "lost_events": self.lost_events,
                "not_screened": self.not_screened,
                "set_aside": self.set_aside,
            },
            "without_proposal": [
                {
                    "namespace": one.namespace,
                    "workloads": list(one.workloads),
                    "reason": one.reason,
                    "why": one.why,
                }
                for one in self.unproposed
            ],
            "left_out": [left_out_to_json(line) for line in self.left_out],
            "calibration": self.calibration,
            "forecast": self.forecast,
        }


def propose(
    observations: Observations,
    *,
    namespace: str | None = None,
    posture: Posture = "balanced",
    capabilities: CapabilityHints | None = None,
    rejected_rules: frozenset[str] = frozenset(),
    memory: Memory = NO_MEMORY,
    previous: Learned = NOTHING_LEARNED,
    cron_jobs: Sequence[CronJob] = (),
    both: Both = in_turn,
) -> InferResult:
    """
    Draft, render, lint and replay the proposals of a window, and say how sure they are.

    ``both`` does the last two of a large estate: neither rests on what the other finds.
    """
    made = draft(
        observations,
        hints=capabilities,
        posture=posture,
        namespace=namespace,
        rejected_rules=rejected_rules,
        memory=memory,
        previous=previous,
    )
    way = both if len(made.table.edges) >= MIN_EDGES_BESIDE else in_turn
    checked, sure = way(
        partial(_checked, made), partial(confident, made, made.proposals, observations, cron_jobs)
    )
    if checked.refused:  # a defect, and what is said of the others must not rest on it
        made = _without(made, checked)
        sure = confident(made, made.proposals, observations, cron_jobs)
    set_aside = observations.set_aside.groupby("reason", sort=True)["flows"].sum()
    return InferResult(
        cluster=observations.cluster,
        window=observations.window,
        proposals=tuple(_finished(one, checked) for one in sure.proposals),
        manifests=checked.manifests,
        unproposed=made.unproposed,
        left_out=made.left_out,
        edge_count=len(made.table.edges),
        effective_days=made.observed.effective_days,
        listened_share=made.observed.listened_share,
        lost_events=made.observed.lost_events,
        set_aside={str(reason): int(flows) for reason, flows in set_aside.items()},
        quarantine=made.quarantine,
        sightings=sightings(made.table, made.screened, memory),
        fates=made.screened.remembered(),
        learned=made.learned,
        calibration=sure.calibration,
        forecast=sure.forecast,
        records=made.records,
        not_screened=made.screened.unscreened,
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """
    What the manifests of a draft came to.

    ``refused`` are the proposals whose manifests a cluster would not take, with the reason; ``manifests``
    and ``replays`` are of the others, by key. ``paths`` are those of their rules by id, where a manifest
    was split.
    """

    manifests: dict[str, dict[str, Any]]
    refused: tuple[Unproposed, ...]
    replays: dict[str, Replayed]
    paths: dict[str, dict[str, str]]


def _checked(made: Draft) -> _Checked:
    """
    Render, lint and replay a draft.

    A manifest that a cluster would refuse is a defect of Portolan or of its input: it is set apart with the
    reason, and does not take the others with it.
    """
    version = made.capabilities.version_text or NEWEST
    manifests: dict[str, dict[str, Any]] = {}
    refused: list[Unproposed] = []
    for proposal in made.proposals:
        manifest = cilium_manifest(proposal)
        found = problems(manifest, cilium_version=version)
        if found:
            why = f"A cluster would refuse {proposal.name}: {'; '.join(map(str, found[:3]))}"
            refused.append(
                Unproposed(proposal.namespace, proposal.subject.workloads, "manifest_refused", why)
            )
        else:
            manifests[proposal.key] = manifest
    policies = parse_objects(list(manifests.values()), config=agent_config(made.view), linted=True)
    kept = replace(made, proposals=tuple(one for one in made.proposals if one.key in manifests))
    paths = {one.key: paths_in_parts(one) for one in kept.proposals if manifests[one.key]["kind"] == LIST}
    return _Checked(manifests, tuple(refused), replay(kept, policies), paths)


def _finished(proposal: Proposal, checked: _Checked) -> Proposal:
    """A proposal with its back-test, and with the places of its rules if its manifest was split."""
    done = replayed(proposal, checked.replays[proposal.key])
    if (paths := checked.paths.get(proposal.key)) is None:
        return done
    return replace(done, rules=tuple(replace(rule, path=paths[rule.id]) for rule in done.rules))


def _without(made: Draft, checked: _Checked) -> Draft:
    """The draft without the proposals that were refused."""
    kept = tuple(proposal for proposal in made.proposals if proposal.key in checked.manifests)
    unproposed = sorted([*made.unproposed, *checked.refused], key=lambda one: (one.namespace, one.workloads))
    held = tuple(
        one if one.proposal in checked.manifests else replace(one, proposal="", nearest_rule="")
        for one in made.quarantine
    )
    return replace(made, proposals=kept, unproposed=tuple(unproposed), quarantine=held)
