"""
Which findings are true, and which of the planted changes were found on their first night.

A finding is judged by the world, not by the list of planted changes alone: a call that a release brought
is as uncovered as a planted one. It is wrong when it names traffic that the policies allow, calls
legitimate traffic suspicious, takes the scanner's noise for news, or calls something unused that is used
again.
"""

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from jobs.evaluation.drift_nights import Nights, each_night, make_nights
from jobs.evaluation.drift_world import (
    EXPORTER,
    FIRST_NIGHT,
    LATERAL,
    NIGHTS,
    RETIRED,
    SCANNER,
    make_drift_world,
)
from jobs.evaluation.judging import CONFIG, Judge
from jobs.evaluation.occurrences import occurrences
from jobs.evaluation.parameters import WorldParameters
from models.domain.peer import CidrPeer, EndpointPeer, EntityPeer, FqdnPeer, Peer
from models.domain.policy import Direction
from models.drift.atoms import part_text
from models.drift.find import find_drift
from models.drift.finding import TRAFFIC, Finding, Kind
from models.drift.used_parts import Parts
from models.manifest.parse import parse_objects
from models.simulation.compiled import CompiledPolicies

ATTACK: Final = "lateral_movement"
NOISE: Final = "scanner"
#: Share of a day's records that must be missing before "not heard" is a true finding.
_GAP: Final = 0.02
#: Nights of silence after which a retired dependency should have been called unused.
SETTLED_NIGHTS: Final = 10


@dataclass(slots=True)
class DriftScore:
    """
    What one world measured.

    Parameters
    ----------
    workloads
        How many the world has.
    news
        Findings reported for the first time, by (kind, true).
    wrong
        The wrong ones, for whoever tunes: (night, kind, why).
    standing
        Findings per night, new and old.
    planted, found
        Changes that could be found on their first night, and those that were, by kind.
    called
        Lateral movement that was found and called suspicious.
    scanner
        Findings about the scanner.
    nights
        Nights reported on.
    """

    workloads: int = 0
    news: Counter[tuple[str, bool]] = field(default_factory=Counter)
    wrong: list[tuple[int, str, str]] = field(default_factory=list)
    standing: list[int] = field(default_factory=list)
    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    called: int = 0
    scanner: int = 0
    nights: int = 0


def score_world(parameters: WorldParameters) -> DriftScore:
    """Plant changes into one world, report on every night, and judge the reports."""
    nights = make_nights(make_drift_world(parameters))
    score = DriftScore(workloads=len(nights.drift.world.workloads))
    seen: set[str] = set()
    unused: list[tuple[int, Finding]] = []
    for night in each_night():
        report = find_drift(nights.given(night), nights.moment(night + 1))
        truth = _Night(nights, night)
        score.nights += 1
        score.standing.append(len(report.findings))
        for finding in report.findings:
            key = finding.key(report.cluster)
            score.scanner += truth.noise(finding)
            if key in seen:
                continue
            seen.add(key)
            if finding.kind is Kind.UNUSED and finding.detector == "dead_rule":
                unused.append((night, finding))
                continue
            true = truth.holds(finding)
            score.news[(finding.kind.value, true)] += 1
            if not true:
                score.wrong.append((night, finding.kind.value, finding.why))
        _count_found(score, nights, night, truth, report.findings)
    _count_unused(score, nights, unused)
    return score


class _Night:
    """The truth of one night."""

    def __init__(self, nights: Nights, night: int) -> None:
        self._nights = nights
        self.night = night
        self._world = nights.drift.world
        self._gates = nights.verdicts(night)
        self.active = set(np.flatnonzero(self._world.flows[:, night]).tolist())
        self._names = [(one.namespace, one.member) for one in self._world.workloads]
        self._by_subject: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for number in sorted(self.active):
            link = self._world.links[number]
            if link.client >= 0:
                self._by_subject[self._names[link.client]].append((number, "egress"))
            if link.server >= 0:
                self._by_subject[self._names[link.server]].append((number, "ingress"))

    def links(self, finding: Finding) -> list[int]:
        """Links of the night that a finding about traffic speaks of."""
        found = []
        for member in finding.subject.workload.split(" + "):
            for number, direction in self._by_subject[(finding.subject.namespace, member)]:
                link = self._world.links[number]
                far = link.server if direction == "egress" else link.client
                ported = not finding.ports or (link.protocol, link.port) in finding.ports
                if direction == finding.direction and ported and self._meets(finding.peer, number, far):
                    found.append(number)
        return found

    def _meets(self, peer: Peer | None, number: int, far: int) -> bool:
        link = self._world.links[number]
        match peer:
            case None:
                return True
            case EndpointPeer():
                return (
                    far >= 0
                    and peer.namespace == self._names[far][0]
                    and self._names[far][1] in peer.workloads
                )
            case EntityPeer():
                return link.entity == peer.entity or (link.outside >= 0 and peer.entity == "world")
            case FqdnPeer():
                return link.outside >= 0 and self._world.outsides[link.outside].name in {
                    one.name for one in peer.each
                }
            case CidrPeer():
                if link.outside < 0:
                    return False
                one, network = self._world.outsides[link.outside], ipaddress.ip_network(peer.cidr)
                return any(ipaddress.ip_address(f"{one.network}.{host}") in network for host in one.hosts)

    def denied(self, number: int) -> bool:
        """Whether the policies of the night deny a link."""
        return any(self._gates.get(number, (False, False)))

    def visible(self, number: int) -> bool:
        """Whether a link was used, recorded and denied on this night."""
        return bool(self._world.caught[number, self.night]) and self.denied(number)

    def noise(self, finding: Finding) -> bool:
        """Whether a finding speaks of the scanner alone."""
        if finding.kind not in TRAFFIC:
            return False
        kinds = {self._world.links[number].kind for number in self.links(finding)}
        return kinds == {NOISE}

    def holds(self, finding: Finding) -> bool:
        """Whether a finding is true."""
        world = self._world
        if finding.kind in TRAFFIC:
            mine = [world.links[n] for n in self.links(finding) if self.denied(n)]
            attack, noise = any(one.kind == ATTACK for one in mine), all(one.kind == NOISE for one in mine)
            if finding.kind is Kind.SUSPICIOUS:
                return attack
            return bool(mine) and not noise
        if finding.kind is Kind.UNKNOWN:
            dead = self.night in self._nights.drift.dead_nights
            return dead or bool(world.seen.missing[self.night] > _GAP)
        if finding.kind is Kind.CHANGED:
            names = {change.name for change in self._nights.changes if change.night <= self.night}
            named = any(policy.rpartition("/")[2] in names for policy in finding.policy)
            return named or finding.detector == "selects_more"
        return True  # unprotected and selects nothing are read off the policies, not estimated


def _count_found(
    score: DriftScore, nights: Nights, night: int, truth: _Night, findings: Iterable[Finding]
) -> None:
    """Planted changes whose first night this is, and which of them the report names."""
    listed = list(findings)
    named: dict[int, set[Kind]] = defaultdict(set)
    for finding in listed:
        if finding.kind in TRAFFIC:
            for number in truth.links(finding):
                named[number].add(finding.kind)
    for one in nights.drift.planted:
        if one.night != night or one.kind in (RETIRED, SCANNER):
            continue
        if one.kind == EXPORTER:
            score.planted[EXPORTER] += 1
            score.found[EXPORTER] += any(f.detector == "no_data" for f in listed)
            continue
        # What the approved policies allow anyway, or nobody could record, is no drift that night.
        visible = [number for number in one.links if truth.visible(number)]
        if visible:
            score.planted[one.kind] += 1
            score.found[one.kind] += any(named[number] for number in visible)
            odd = any(Kind.SUSPICIOUS in named[number] for number in visible)
            score.called += one.kind == LATERAL and odd
    _count_policies(score, nights, night, listed)


def _count_policies(score: DriftScore, nights: Nights, night: int, findings: list[Finding]) -> None:
    """Policies changed on this night, and whether the report names them."""
    told = {
        policy.rpartition("/")[2]
        for finding in findings
        if finding.kind in (Kind.CHANGED, Kind.UNUSED)
        for policy in finding.policy
    }
    for change in nights.changes:
        if change.night == night:
            score.planted[change.kind] += 1
            score.found[change.kind] += change.name in told


def _count_unused(score: DriftScore, nights: Nights, unused: list[tuple[int, Finding]]) -> None:
    """Whether what was called unused is used again, and whether what was retired was called unused."""
    world = nights.drift.world
    policies = parse_objects([one.manifest for one in nights.approved], config=CONFIG)
    compiled, parts = CompiledPolicies(policies, CONFIG), Parts(policies, CONFIG)
    judge = Judge(world, [])
    texts = [f"{entry.policy} {part_text(entry)}" for entry in parts.entries]
    days_of: dict[str, list[int]] = defaultdict(list)
    links_of: dict[str, set[int]] = defaultdict(set)
    uses = occurrences(world, 0, world.parameters.days, observed=False)
    for direction in Direction:
        rows, table = judge._gate(uses, direction)  # noqa: SLF001 - the same gates, other policies
        entries = parts.of_rows(table, compiled.evaluate(table).entry)
        part = uses.iloc[rows]
        for entry, day, link in zip(
            entries.tolist(), part["day"].tolist(), part["link"].tolist(), strict=True
        ):
            if entry >= 0:
                days_of[texts[entry]].append(day)
                links_of[texts[entry]].add(link)
    called: dict[str, int] = {}
    for night, finding in unused:
        again = any(day > night for day in days_of[finding.about])
        score.news[(Kind.UNUSED.value, not again)] += 1
        called.setdefault(finding.about, night)
        if again:
            score.wrong.append((night, Kind.UNUSED.value, finding.why))
    last = FIRST_NIGHT + NIGHTS - 1
    for one in nights.drift.planted:
        if one.kind != RETIRED:
            continue
        ended = [
            text
            for text, links in links_of.items()
            if links & set(one.links) and max(days_of[text]) < one.night
        ]
        if ended and one.night <= last - SETTLED_NIGHTS:
            score.planted[RETIRED] += 1
            score.found[RETIRED] += any(text in called for text in ended)
