"""
The nights of a drift world: policies learned, approved, deployed, edited by hand; traffic stopped by them.

Half of the namespaces are enforced: what their policies deny is dropped and never answered. The others
are in audit mode: it passes, and the records say so. From the fourteenth day on, after the policies were
deployed, the observations show that.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from jobs.evaluation.drift_world import (
    DELETION,
    EDIT,
    FIRST_NIGHT,
    LEARNED,
    NIGHTS,
    DriftWorld,
)
from jobs.evaluation.judging import Judge
from jobs.evaluation.occurrences import occurrences
from jobs.evaluation.protocol import hints_of
from jobs.evaluation.render import observe
from jobs.propose import propose
from models.domain.window import Window
from models.drift.baseline import BASELINE_NIGHTS
from models.drift.changed import Approved
from models.drift.find import DriftInput
from models.drift.timeline import Snapshot
from models.frames import Observations

_LINK: Final = slice(
    24, 32
)  # of a sample uuid: the number of the link, as `jobs.evaluation.render` writes it


@dataclass(frozen=True)
class Change:
    """A change to one policy from a night on; ``manifest`` is ``None`` when it was deleted."""

    night: int
    kind: str
    name: str
    manifest: Mapping[str, Any] | None


@dataclass(frozen=True)
class Nights:
    """
    A drift world, its policies, and what was observed night by night.

    Parameters
    ----------
    drift
        The world.
    approved
        What was proposed after the learning days, and approved.
    changes
        Changes by hand.
    exempt
        Workloads for which inference said why they get no policy.
    held
        Ids of what it holds back.
    """

    drift: DriftWorld
    approved: tuple[Approved, ...]
    changes: tuple[Change, ...]
    exempt: frozenset[tuple[str, str]]
    held: frozenset[str]

    def manifests(self, night: int) -> tuple[Mapping[str, Any], ...]:
        """Policies that are deployed on a night."""
        current: dict[str, Mapping[str, Any] | None] = {
            str(policy["metadata"]["name"]): policy for one in self.approved for policy in one.policies
        }
        for change in self.changes:
            if change.night <= night:
                current[change.name] = change.manifest
        return tuple(one for _, one in sorted(current.items()) if one is not None)

    def moment(self, day: int) -> datetime:
        """Midnight at which a day begins."""
        return datetime.combine(
            self.drift.world.parameters.start, datetime.min.time(), tzinfo=UTC
        ) + timedelta(days=day)

    def snapshot(self, night: int) -> Snapshot:
        """Objects as they are when a night is over."""
        taken = int(self.moment(night + 1).timestamp()) * 1_000_000
        return Snapshot(taken, self.manifests(night), complete=True)

    def given(self, night: int) -> DriftInput:
        """Everything the report of one night rests on."""
        first = max(0, night - BASELINE_NIGHTS)
        return DriftInput(
            night=self._part(night, night + 1),
            history=self._part(first, night),
            snapshots=tuple(self.snapshot(one) for one in sorted({LEARNED, night - 1, night})),
            approved=self.approved,
            hints=hints_of(self.drift.world),
            exempt=self.exempt,
            held=self.held,
        )

    def verdicts(self, night: int) -> "dict[int, tuple[bool, bool]]":
        """Whether the policies of a night deny each link used on it: at egress, at ingress."""
        if night not in self._judged:
            uses = occurrences(self.drift.world, night, night + 1, observed=False)
            found = self._judge(night).verdicts(uses)
            self._judged[night] = {
                int(link): (bool(egress), bool(ingress))
                for link, egress, ingress in zip(
                    uses["link"], found.egress_denied, found.ingress_denied, strict=True
                )
            }
        return self._judged[night]

    @cached_property
    def _judged(self) -> dict[int, dict[int, tuple[bool, bool]]]:
        return {}

    @cached_property
    def _judges(self) -> dict[int, Judge]:
        return {}

    def _judge(self, night: int) -> Judge:
        """Policies of a night, read once for all nights between two changes."""
        changed = sum(change.night <= night for change in self.changes)
        if changed not in self._judges:
            self._judges[changed] = Judge(self.drift.world, self.manifests(night))
        return self._judges[changed]

    def _part(self, first: int, last: int) -> Observations:
        made = observe(self.drift.world, first, last) if self._heard(first, last) else self._silence(first)
        dates = self.drift.world.dates()
        dead = {dates[day] for day in self.drift.dead_nights}
        rows = self._enforced
        chosen = rows[rows["day"].isin(dates[first:last])].reset_index(drop=True)
        coverage = made.coverage[~made.coverage["day"].isin(dead)].reset_index(drop=True)
        return replace(made, edge_days=chosen, coverage=coverage)

    def _heard(self, first: int, last: int) -> bool:
        return any(day not in self.drift.dead_nights for day in range(first, last))

    def _silence(self, day: int) -> Observations:
        """A window in which nothing arrived."""
        before = observe(self.drift.world, day - 1, day)
        empty = {
            field.name: getattr(before, field.name).iloc[:0]
            for field in fields(before)
            if field.name not in ("cluster", "window")
        }
        return replace(before, window=Window(self.moment(day), self.moment(day + 1)), **empty)

    @cached_property
    def _enforced(self) -> pd.DataFrame:
        """All edge-days, with what the policies of each day did to them."""
        world = self.drift.world
        rows = observe(world, 0, FIRST_NIGHT + NIGHTS).edge_days
        dates = world.dates()
        denied: dict[tuple[int, str], tuple[bool, bool]] = {}
        for night in range(LEARNED, FIRST_NIGHT + NIGHTS):
            for link, gates in self.verdicts(night).items():
                if any(gates):
                    denied[(link, dates[night])] = gates
        links = [int(text[_LINK]) for text in rows["samples"]]
        nothing = (False, False)
        stops = [denied.get((link, day), nothing) for link, day in zip(links, rows["day"], strict=True)]
        egress = np.array([one[0] for one in stops])
        ingress = np.array([one[1] for one in stops])
        client = np.array([world.links[link].client for link in links])
        server = np.array([world.links[link].server for link in links])
        audited_client = np.where(client >= 0, self.drift.audited[client], False)
        audited_server = np.where(server >= 0, self.drift.audited[server], False)
        out = (rows["direction"] == "egress").to_numpy()
        cut_out, cut_in = egress & ~audited_client, ingress & ~audited_server
        mine = np.where(out, egress, ingress)
        audit = np.where(out, audited_client, audited_server)
        stopped = mine & ~audit & ~(cut_out & ~out)
        watched = mine & audit & ~cut_out & ~cut_in
        broken = cut_out | cut_in
        flows = rows["flows"]
        shown = rows.assign(
            denied=flows.where(stopped, 0),
            audited=flows.where(watched, 0),
            flows=flows.where(~stopped & ~watched, 0),
            answered=rows["answered"].where(~broken, 0),
            reset=rows["reset"].where(~broken, 0),
        )
        # What its caller's policy stopped never reaches the other end.
        return shown[~(cut_out & ~out)].reset_index(drop=True)


def make_nights(drift: DriftWorld) -> Nights:
    """Learn, approve everything, and choose the policies that will be changed by hand."""
    world = drift.world
    made = propose(observe(world, 0, LEARNED), capabilities=hints_of(world))
    approved = tuple(
        Approved(made.manifests[one.key], one.subject.workloads, proposal=one.key) for one in made.proposals
    )
    rng = np.random.default_rng([world.parameters.seed, 31])
    large = [policy for one in approved for policy in one.policies if policy["spec"].get("egress")]
    chosen = rng.choice(len(large), size=min(len(drift.policy_nights), len(large)), replace=False)
    changes = tuple(
        _change(large[int(place)], night, kind)
        for place, (night, kind) in zip(chosen, drift.policy_nights, strict=False)
    )
    exempt = frozenset((one.namespace, member) for one in made.unproposed for member in one.workloads)
    held = frozenset(one.id for one in made.quarantine)
    return Nights(drift, approved, changes, exempt, held)


def _change(policy: Mapping[str, Any], night: int, kind: str) -> Change:
    """One change by hand to one policy."""
    name = str(policy["metadata"]["name"])
    if kind == DELETION:
        return Change(night, kind, name, None)
    manifest = copy.deepcopy(dict(policy))
    if kind == EDIT:
        opened = {"toEntities": ["world"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
        manifest["spec"]["egress"] = [*manifest["spec"]["egress"], opened]
    else:
        selector = manifest["spec"]["endpointSelector"]["matchLabels"]
        key = min(selector)
        selector[key] = f"{selector[key]}-v2"
    return Change(night, kind, name, manifest)


def each_night() -> Iterator[int]:
    """Nights that are reported on."""
    yield from range(FIRST_NIGHT, FIRST_NIGHT + NIGHTS)
