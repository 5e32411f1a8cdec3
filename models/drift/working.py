"""
Traffic that works today and that no deployed policy allows: enforcing them would break it, or lets it in.

Only what a rule could name counts, and only what was answered where an answer would have shown. One
episode of one pod is no finding by itself: it becomes one when it returns, or when screening finds it odd.
What audit mode alone lets pass is told in any case: that is the question audit mode is switched on to ask.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models import frames
from models.domain.peer import CidrPeer, EntityPeer, Peer
from models.domain.workload import Workload
from models.drift.finding import Expectation, Finding, Kind, Severity, peer_group
from models.drift.gates import GateSeries, callers
from models.drift.night import Scene
from models.drift.oddity import describe, suspicious
from models.drift.places import ports_text, subject_of
from models.drift.standing import Standing
from models.drift.suggest import Changes
from models.simulation.compiled import ALLOW, DENY, UNKNOWN
from models.synthesis.candidates import Candidate, find_candidates
from models.synthesis.edges import EDGE_KEY, Edge, fold_edges

#: Outside addresses without a name, on one port of one workload, that are told one by one.
MAX_ADDRESSES: Final = 3
#: Confidence that traffic which was answered and returns is wanted, where nothing was screened.
_UNSCREENED: Final = 0.8
#: What is said besides of traffic that is told although screening holds it back.
HELD_BACK: Final = " Screening holds it back until somebody decides ('portolan quarantine')."
#: Chance of a caller's count of calls without a rule below which tonight is out of the ordinary for it.
QUIET_CALLER: Final = 0.05


@dataclass(frozen=True, slots=True)
class Working:
    """
    Findings, and what was passed over.

    Parameters
    ----------
    findings
        Uncovered, audited and suspicious traffic that passes.
    passing
        Connections seen once by one pod, which nobody is told of yet.
    held
        Connections that screening holds back, and that nobody is told of a second time.
    cells
        Cells that the findings speak of.
    """

    findings: tuple[Finding, ...]
    passing: int
    held: int
    cells: frozenset[str]


@dataclass(slots=True)
class _Group:
    """Candidates of one workload, direction and peer."""

    workload: Workload
    direction: str
    peer: Peer
    candidates: list[Candidate]

    @property
    def edges(self) -> list[Edge]:
        """Edges of all candidates, in order."""
        return sorted((edge for one in self.candidates for edge in one.edges), key=lambda edge: edge.place)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a group: cells and callers, hours by edge, chance of its caller, denied cells."""

    cells: frozenset[str]
    callers: frozenset[str]
    hours: Mapping[tuple[object, ...], int]
    chance: float | None
    closed: frozenset[str]
    offered: Edge | None  # the first that may be let in; None: all of it is held back, or was rejected

    @property
    def out_of_order(self) -> bool:
        """Whether the caller did more than on an ordinary night."""
        return self.chance is not None and self.chance <= QUIET_CALLER


def working_traffic(scene: Scene, standing: Standing, by_caller: GateSeries, changes: Changes) -> Working:
    """
    Find working traffic that the policies deny, or that odd workloads send past open gates.

    Parameters
    ----------
    scene, standing
        The night.
    by_caller
        Series of kind ``unruled``: odd traffic of a caller who does that every night is no news.
    changes
        Finds the rules to suggest.
    """
    rows = scene.rows[~scene.rows["cell"].isin(standing.confirmed)]
    passes = rows["flows"] + rows["audited"] > 0
    odd = frozenset(cell for cell, codes in standing.odd.items() if codes)
    unruled = (rows["verdict"] == ALLOW) & (rows["part"] < 0) & (rows["closed"] == 0)
    strange = unruled & rows["cell"].isin(odd & standing.new)
    # The agent knows what cannot be decided here: what it audits it would deny.
    denied = (rows["verdict"] == DENY) | ((rows["verdict"] == UNKNOWN) & (rows["audited"] > 0))
    chosen = rows[passes & (denied | strange)]
    if chosen.empty:
        return Working((), 0, 0, frozenset())
    closed = frozenset(rows.loc[passes & denied, "cell"])
    caller_of = dict(zip(chosen["cell"].tolist(), callers(chosen).tolist(), strict=True))
    keys = list(zip(*(chosen[name].tolist() for name in EDGE_KEY), strict=True))
    cell_of = dict(zip(keys, chosen["cell"].tolist(), strict=True))
    hours_of: dict[tuple[object, ...], int] = defaultdict(int)
    for key, hours in zip(keys, chosen["hours"].tolist(), strict=True):
        hours_of[key] += hours
    seen = replace(scene.night, edge_days=chosen[list(frames.EDGE_DAYS)])
    found = find_candidates(scene.view, fold_edges(seen).edges).found
    findings: list[Finding] = []
    cells: set[str] = set()
    passing = held = 0
    for group in _grouped(found):
        mine = frozenset(cell_of[edge[1:8]] for edge in group.edges)
        who = frozenset(caller_of[cell] for cell in mine)
        chance = by_caller.chance(min(who))
        offered = next((one for one in group.edges if not standing.keeps_out(cell_of[one[1:8]])), None)
        made = _finding(scene, standing, changes, group, _Seen(mine, who, hours_of, chance, closed, offered))
        if isinstance(made, Finding):
            findings.append(made)
            cells |= mine
        elif made == "held":
            held += 1
        else:
            passing += 1
    return Working(tuple(findings), passing, held, frozenset(cells))


def _grouped(found: Iterable[Candidate]) -> list[_Group]:
    """One group per peer; many nameless addresses of one port are one."""
    groups: dict[tuple[object, ...], _Group] = {}
    addresses: dict[tuple[object, ...], list[Candidate]] = defaultdict(list)
    for candidate in found:
        peer = candidate.target.peers[0]
        place = (candidate.workload.label_keys, candidate.direction)
        if isinstance(peer, CidrPeer):
            addresses[(*place, candidate.target.ports)].append(candidate)
        else:
            _join(groups, (*place, peer_group(peer)), candidate)
    for key, listed in addresses.items():
        if len({peer_group(one.target.peers[0]) for one in listed}) > MAX_ADDRESSES:
            first = listed[0]
            groups[(*key, "world")] = _Group(first.workload, first.direction, EntityPeer("world"), listed)
            continue
        for one in listed:
            _join(groups, (*key[:2], peer_group(one.target.peers[0])), one)
    return list(groups.values())


def _join(groups: dict[tuple[object, ...], _Group], key: tuple[object, ...], one: Candidate) -> None:
    """Add a candidate to the group of its key."""
    empty = _Group(one.workload, one.direction, one.target.peers[0], [])
    groups.setdefault(key, empty).candidates.append(one)


def _finding(
    scene: Scene,
    standing: Standing,
    changes: Changes,
    group: _Group,
    seen: _Seen,
) -> Finding | str:
    """The finding of a group; ``held`` or ``passing`` where there is none yet."""
    edges = group.edges
    cells, hours_of = seen.cells, seen.hours
    legit, codes = standing.looks(cells, seen.callers)
    audited = sum(edge.audited for edge in edges)
    held = cells <= standing.held or bool(codes and scene.history is None)
    if held and not audited:
        return "held"
    odd = suspicious(legit, codes) and seen.out_of_order
    if not odd and not cells & seen.closed:
        return "passing"  # through an open gate: only odd traffic is worth a word
    hours = max(hours_of[edge[1:8]] for edge in edges)
    if not (odd or audited) and not _returns(scene, standing, group, seen):
        return "passing"
    denied = sum(edge.denied + edge.l7_denied for edge in edges)
    forwarded = sum(edge.flows for edge in edges)
    ports = tuple(sorted({(p.protocol, p.number) for one in group.candidates for p in one.target.ports}))
    kind = Kind.SUSPICIOUS if odd else (Kind.DENIED if audited or denied else Kind.UNCOVERED)
    subject = subject_of(group.workload)
    policies = tuple(map(str, changes.selecting(edges[0])))
    caller = subject.title if group.direction == "egress" else group.peer.title
    confidence = 1.0 - (seen.chance or 0.0) if odd else (_UNSCREENED if legit is None else legit)
    return Finding(
        kind=kind,
        detector="odd" if odd else ("audited" if audited else "not_allowed"),
        severity=_severity(kind, group, len(edges), hours),
        confidence=round(min(max(confidence, 0.5), 0.999), 4),
        subject=subject,
        direction=group.direction,
        peer=group.peer,
        ports=ports,
        first_us=_first(standing, cells, edges),
        last_us=max(edge.last_us for edge in edges),
        flows=forwarded + audited + denied,
        expected=Expectation("flows that no deployed rule allows", forwarded + audited, 0.0, 0.0),
        policy=policies,
        why=_why(group, ports, hours=hours, audited=audited, codes=codes if odd else ())
        + (HELD_BACK if held else "")
        + standing.decisions(cells),
        suggestion=changes.advise(None if odd or held else seen.offered, caller),
        p_legit=legit,
        verdicts=tuple(
            (name, count)
            for name, count in (("audited", audited), ("denied", denied), ("forwarded", forwarded))
            if count
        ),
        samples=tuple(dict.fromkeys(sample for edge in edges for sample in edge.samples))[:3],
        merged=_merged(group),
    )


def _returns(scene: Scene, standing: Standing, group: _Group, seen: _Seen) -> bool:
    """Whether it is more than one episode of one pod; without a history nobody can say that it is not."""
    if scene.history is None or not seen.cells <= standing.new:
        return True
    hours = max(seen.hours[edge[1:8]] for edge in group.edges)
    pods = max((max(edge.subject_pods, edge.peer_pods) for edge in group.edges), default=0)
    return hours > 1 or pods > 1


def _first(standing: Standing, cells: frozenset[str], edges: Sequence[Edge]) -> int:
    """First sight of the connection, in the history too."""
    known = standing.cells.index.intersection(sorted(cells))
    first = min(edge.first_us for edge in edges)
    return min(first, int(standing.cells.loc[known, "first_us"].min())) if len(known) else first


def _severity(kind: Kind, group: _Group, edges: int, hours: int) -> Severity:
    outside = group.candidates[0].target.outside
    if kind is Kind.SUSPICIOUS:
        return Severity.CRITICAL if edges > 1 or outside else Severity.HIGH
    if hours >= 6 or outside:
        return Severity.HIGH
    return Severity.MEDIUM


def _merged(group: _Group) -> tuple[str, ...]:
    """Peers that one finding stands for."""
    names = sorted({peer.title for one in group.candidates for peer in one.target.peers})
    return tuple(names) if len(names) > 1 else ()


def _why(
    group: _Group,
    ports: tuple[tuple[str, int], ...],
    *,
    hours: int,
    audited: int,
    codes: tuple[str, ...],
) -> str:
    who = subject_of(group.workload).title
    count = sum(1 for one in group.candidates for _ in one.target.peers)
    whom = group.peer.title
    if isinstance(group.peer, EntityPeer) and group.peer.entity == "world" and count > 1:
        whom = f"{count} outside addresses"
    call = f"{who} {'calls' if group.direction == 'egress' else 'is called by'} {whom} on {ports_text(ports)}"
    if codes:
        by_audit = ". Only audit mode lets it pass" if audited else ""
        return f"{call}, which no policy allows and looks wrong: {describe(codes)}{by_audit}."
    often = f" in {hours} hours of this night" if hours > 1 else ""
    if audited:
        return f"{call}{often}; only audit mode lets it pass, and enforcing the policy would stop it."
    return f"{call}{often} and is answered, but no deployed rule allows it."
