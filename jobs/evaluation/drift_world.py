"""
Worlds with changes planted into them, night after night, each with its truth.

Fourteen days are learned from and the policies approved and deployed; a week later the changes begin, one
kind after the other over twenty-one nights. What the world does by itself (releases, incidents, rare calls)
goes on, and is as true as what was planted.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from jobs.evaluation.changes import release
from jobs.evaluation.draws import busy
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import ALWAYS, DAYS, FOREVER, NOBODY, Link, Rhythm, Workload
from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.world import World, finish, make_estate

#: Days learned from, and the first night that is reported on.
LEARNED: Final = 14
FIRST_NIGHT: Final = 21
NIGHTS: Final = 21

NEW_DEPENDENCY: Final = "new dependency"
LATERAL: Final = "lateral movement"
EDIT: Final = "manual edit"
DELETION: Final = "deletion"
SELECTOR: Final = "selector that matches nothing"
RETIRED: Final = "retired dependency"
SCANNER: Final = "scanner's steady noise"
EXPORTER: Final = "exporter death"
BURST: Final = "rollout burst"
PLANTED: Final = (NEW_DEPENDENCY, LATERAL, EDIT, DELETION, SELECTOR, RETIRED, SCANNER, EXPORTER, BURST)

#: How many of each kind are planted in one world.
_COUNTS: Final = {NEW_DEPENDENCY: 8, LATERAL: 5, RETIRED: 6, BURST: 2}
POLICY_CHANGES: Final = {EDIT: 3, DELETION: 2, SELECTOR: 2}
_SCANNED: Final = (22, 445, 2375, 3389, 9200)
#: Shares of new dependencies that come with a release, and that go outside.
_RELEASED: Final = 0.5
_OUTSIDE: Final = 0.3
#: Records a day from which a call is missed when it ends.
_BUSY: Final = 20
_DNS: Final = 53
#: Days after the last night: whether what was called unused is used again after all.
AFTERWARDS: Final = 14


@dataclass(frozen=True, slots=True)
class Planted:
    """
    One planted change.

    Parameters
    ----------
    kind
        One of `PLANTED`.
    night
        First night on which it shows.
    last
        Last night on which it shows.
    links
        Numbers of the links that it made or ended.
    """

    kind: str
    night: int
    last: int
    links: tuple[int, ...] = ()


@dataclass(frozen=True)
class DriftWorld:
    """
    A world and what was planted in it.

    Parameters
    ----------
    world
        Finished.
    planted
        In order of night.
    dead_nights
        Nights on which the exporter was down.
    policy_nights
        (night, kind) of the changes to policies, which are chosen once the policies exist.
    audited
        Whether a workload's namespace is in audit mode, shape (workloads,); the others are enforced.
    """

    world: World
    planted: tuple[Planted, ...]
    dead_nights: frozenset[int]
    policy_nights: tuple[tuple[int, str], ...]
    audited: "np.ndarray[tuple[int], np.dtype[np.bool_]]"


@dataclass(slots=True)
class _Plan:
    """What is being planted."""

    estate: Estate
    rng: np.random.Generator
    planted: list[Planted] = field(default_factory=list)

    def night(self, last: int = FIRST_NIGHT + NIGHTS - 1) -> int:
        """A night of those reported on."""
        return int(self.rng.integers(FIRST_NIGHT, last + 1))

    def team(self) -> list[int]:
        """Deployments of the teams that were there from the beginning."""
        return [
            n
            for numbers in self.estate.teams.values()
            for n in numbers
            if self.estate.workloads[n].kind == "Deployment"
            and self.estate.workloads[n].born == 0
            and self.estate.workloads[n].dies >= self.estate.parameters.days
        ]

    def calls(self, client: int) -> set[tuple[int, int]]:
        """(server, port) that a workload calls."""
        return {(one.server, one.port) for one in self.estate.links if one.client == client}


def make_drift_world(parameters: WorldParameters) -> DriftWorld:
    """Make a world of these parameters and plant its changes."""
    # Reports of drift are about nights that end at midnight.
    parameters = replace(parameters, days=FIRST_NIGHT + NIGHTS + AFTERWARDS, attacks=False, hour=0)
    estate = make_estate(parameters)
    plan = _Plan(estate, estate.rng(21))
    _add_scanner(plan)
    _retire(plan)
    for _ in range(_COUNTS[NEW_DEPENDENCY]):
        _add_dependency(plan)
    for _ in range(_COUNTS[BURST]):
        _add_burst(plan)
    for _ in range(_COUNTS[LATERAL]):
        _move_sideways(plan)
    dead = plan.night()
    plan.planted.append(Planted(EXPORTER, dead, dead))
    latest = FIRST_NIGHT + NIGHTS - 4
    nights = [(plan.night(latest), kind) for kind, count in POLICY_CHANGES.items() for _ in range(count)]
    world = finish(estate)
    world.caught[:, dead] = 0
    namespaces = sorted({one.namespace for one in estate.workloads})
    audits = {name: bool(number % 2) for number, name in enumerate(namespaces)}
    return DriftWorld(
        world,
        tuple(sorted(plan.planted, key=lambda one: (one.night, one.kind, one.links))),
        frozenset({dead}),
        tuple(sorted(nights)),
        np.array([audits[one.namespace] for one in estate.workloads]),
    )


def _add_dependency(plan: _Plan) -> None:
    """A call that begins one night and stays; half of them come with a release."""
    estate, rng, night = plan.estate, plan.rng, plan.night()
    client = int(rng.choice(plan.team()))
    if rng.random() < _RELEASED:
        release(estate, client, night, 70 + len(plan.planted))
        estate.workloads[client].versions.sort(key=lambda version: version[0])
        estate.workloads[client].rollouts.sort()
    outside = NOBODY
    server, port = NOBODY, 443
    if rng.random() < _OUTSIDE:
        outside = estate.outside(f"api.planted{len(plan.planted)}n{night}.com")
    else:
        known = plan.calls(client)
        free = [
            (n, port)
            for n in plan.team()
            for port in estate.workloads[n].ports[:1]
            if n != client and (n, port) not in known
        ]
        if not free:
            return
        server, port = free[int(rng.integers(len(free)))]
    link = Link(
        client, server, port, "release", Rhythm(ALWAYS), busy(rng), outside=outside, first=night, last=FOREVER
    )
    plan.planted.append(Planted(NEW_DEPENDENCY, night, FIRST_NIGHT + NIGHTS - 1, (estate.link(link),)))


def _add_burst(plan: _Plan) -> None:
    """A rollout that calls a port nobody opened, from every replica, until it is rolled back."""
    estate, rng, night = plan.estate, plan.rng, plan.night()
    client = int(rng.choice(plan.team()))
    server = int(rng.choice([n for n in plan.team() if n != client and estate.workloads[n].ports]))
    release(estate, client, night, 90 + len(plan.planted))
    estate.workloads[client].versions.sort(key=lambda version: version[0])
    estate.workloads[client].rollouts.sort()
    rhythm = Rhythm(DAYS, days=(night,))
    link = Link(client, server, 18080, "incident", rhythm, 900.0, first=night, last=night + 1, hours=20)
    plan.planted.append(Planted(BURST, night, night, (estate.link(link),)))


def _move_sideways(plan: _Plan) -> None:
    """One replica calls stores and services of other teams in the small hours."""
    estate, rng, start = plan.estate, plan.rng, plan.night()
    client = int(rng.choice([n for n in plan.team() if estate.workloads[n].replicas > 1] or plan.team()))
    home = estate.workloads[client].namespace
    listening = [(n, port) for n, one in enumerate(estate.workloads) if one.born == 0 for port in one.ports]
    away = [pair for pair in listening if estate.workloads[pair[0]].namespace != home]
    days = tuple(range(start, min(start + int(rng.integers(1, 4)), FIRST_NIGHT + NIGHTS)))
    before = len(estate.links)
    links = []
    for place in rng.choice(len(away), size=min(5, len(away)), replace=False):
        server, port = away[int(place)]
        number = estate.link(
            Link(
                client,
                server,
                port,
                "lateral_movement",
                Rhythm(DAYS, days=days),
                float(rng.integers(3, 30)),
                first=days[0],
                last=days[-1] + 1,
                one_pod=True,
                hour=3,
                hours=1,
            )
        )
        if number >= before:
            links.append(number)
    if links:
        plan.planted.append(Planted(LATERAL, start, days[-1], tuple(links)))


def _retire(plan: _Plan) -> None:
    """Calls that were made every day and end."""
    estate, rng = plan.estate, plan.rng
    team = set(plan.team())
    core = [
        number
        for number, link in enumerate(estate.links)
        if link.kind == "core"
        and link.rhythm.kind == ALWAYS
        and link.client in team
        and link.first == 0
        and link.last >= FOREVER
        and link.flows >= _BUSY
        and link.port != _DNS
    ]
    for number in rng.choice(core, size=min(_COUNTS[RETIRED], len(core)), replace=False):
        end = int(rng.integers(LEARNED + 3, FIRST_NIGHT + 6))
        estate.end(int(number), end)
        plan.planted.append(Planted(RETIRED, end, FIRST_NIGHT + NIGHTS - 1, (int(number),)))


def _add_scanner(plan: _Plan) -> None:
    """A vulnerability scanner that knocks at other doors every night and is never answered."""
    estate, rng = plan.estate, plan.rng
    labels = {"app": "scanner"}
    scanner = estate.workload(
        Workload("security", "scanner", "Deployment", "scanner", labels, 1, account="scanner")
    )
    targets = [n for n, one in enumerate(estate.workloads) if one.born == 0 and n != scanner]
    days_of: dict[tuple[int, int], list[int]] = defaultdict(list)
    for day in range(FIRST_NIGHT + NIGHTS):
        for server in rng.choice(targets, size=min(12, len(targets)), replace=False):
            days_of[(int(server), int(rng.choice(_SCANNED)))].append(day)
    links = []
    for (server, port), days in days_of.items():
        rhythm = Rhythm(DAYS, days=tuple(days))
        one = Link(scanner, server, port, "scanner", rhythm, 2.0, answered=False, hour=1, hours=1)
        links.append(estate.link(one))
    plan.planted.append(Planted(SCANNER, 0, FIRST_NIGHT + NIGHTS - 1, tuple(sorted(set(links)))))
