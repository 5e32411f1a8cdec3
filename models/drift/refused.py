"""
Connections that policy stopped, against what it stops every night.

A gate stands out by its series, never by a count above zero; only a connection that was certain to be
needed, and traffic that screening is sure about at a usually quiet gate, need no baseline of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import stats

from models import frames
from models.domain.peer import Peer
from models.drift.baseline import CUSUM_ALARM
from models.drift.finding import Expectation, Finding, Kind, Severity, SubjectRef, peer_group
from models.drift.gates import GateSeries, callers, expected
from models.drift.night import Scene
from models.drift.oddity import HARD, describe, suspicious
from models.drift.places import peer_of, port_of, ports_text, subject_of
from models.drift.standing import Standing
from models.drift.suggest import Changes
from models.simulation.compiled import ALLOW
from models.synthesis.edges import EDGE_KEY, Edge, fold_edges

#: Chance of a cell's own count, given its past, below which it is one of those that made its gate stand out.
CELL_TAIL: Final = 0.05
#: Chance of a gate's count below which a hard reason of screening needs no further support.
QUIET_GATE: Final = 0.05
#: Peers refused for the first time tonight at one gate from which it is a sweep, told as one.
MIN_SWEEP: Final = 8
#: Probability of return from which the refusal of a known connection is news by itself (method, section 8).
SURE_NEED: Final = 0.95
#: Hours of a night in which a connection is refused that make it a client which keeps trying, and nights
#: after which even that is usual.
PERSISTENT_HOURS: Final = 6
RECENT_DAYS: Final = 14
_DAY_US: Final = 24 * 3_600_000_000
_MIN_WORKING_DAYS: Final = 5
#: Share of a connection's days on which it has to have been answered to count as one that works. Days and not
#: records: one connection may be two records (verdict, trace) or twenty, and one answer.
_WORKING_SHARE: Final = 0.5
_PRIOR_MEAN: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Stop:
    """One refused edge of tonight."""

    edge: Edge
    cell: str
    caller: str
    episodes: int
    usual: float
    worked_days: int  # before tonight, with more answers than resets


def refused_traffic(
    scene: Scene,
    standing: Standing,
    series: tuple[GateSeries, GateSeries],
    changes: Changes,
    told: frozenset[str],
) -> list[Finding]:
    """
    Find gates at which policy stopped more than usual, and what made it so.

    Parameters
    ----------
    scene, standing
        The night.
    series
        Of kind ``stopped`` by gate, and of kind ``unruled`` by caller.
    changes
        Finds the rules to suggest.
    told
        Cells that other findings speak of.
    """
    rows = scene.rows
    if rows.empty or scene.history is None:
        return []
    # Stopped by what has been mended since is no news, and files do not say since when they are in force.
    since = scene.timeline.starts[-1] if scene.timeline.snapshots > 1 else int(rows["last_us"].max()) + 1
    mended = (rows["verdict"] == ALLOW) & (rows["last_us"] < since)
    known = told | standing.held | standing.confirmed
    chosen = rows[(rows["stopped"] > 0) & ~mended & ~rows["cell"].isin(known)]
    if chosen.empty:
        return []
    stops = _stops(scene, standing, chosen)
    findings: list[Finding] = []
    for (owner, direction), mine in sorted(stops.items(), key=lambda item: item[0]):
        gate = _Gate.of(series[0], owner, direction)
        loud = [one for one in mine if _in_excess(one)] or mine
        fresh = {one.edge.peer for one in loud if one.cell in standing.new}
        if gate.stands_out and direction == "egress" and len(fresh) >= MIN_SWEEP:
            findings.append(_sweep(scene, gate, loud))
            continue
        by_peer: dict[str, list[_Stop]] = defaultdict(list)
        for one in mine:
            by_peer[peer_group(peer_of(scene.view, one.edge))].append(one)
        for _, stops_there in sorted(by_peer.items()):
            made = _finding(scene, standing, changes, (gate, series[1]), (stops_there, loud))
            if made is not None:
                findings.append(made)
    return findings


@dataclass(frozen=True, slots=True)
class _Gate:
    """What the series says of one gate tonight."""

    tonight: float
    expectation: Expectation
    flagged: bool
    creeping: bool
    known: bool  # there is a baseline

    @property
    def stands_out(self) -> bool:
        """Whether tonight is out of the ordinary here."""
        return self.flagged or self.creeping

    @classmethod
    def of(cls, series: GateSeries, owner: str, direction: str) -> "_Gate":
        """Read one gate off a series."""
        what = "hours in which policy stopped a connection"
        place, predicted = series.place(owner, direction), series.predicted
        count = 0.0 if place is None else float(series.tonight[place])
        if place is None or predicted is None:
            return cls(count, Expectation(what, count), flagged=False, creeping=False, known=False)
        expectation = expected(series, place, what)
        creeping = bool(predicted.creeping[place] >= CUSUM_ALARM) and count > predicted.mean[place]
        return cls(count, expectation, bool(predicted.flagged[place]), creeping, known=True)


def _stops(scene: Scene, standing: Standing, chosen: Any) -> dict[tuple[str, str], list[_Stop]]:
    """Refused edges by gate, with what is usual for their cells."""
    keys = list(zip(*(chosen[name].tolist() for name in EDGE_KEY), strict=True))
    about: dict[tuple[object, ...], tuple[str, str, str]] = {}
    episodes: dict[tuple[object, ...], int] = defaultdict(int)
    columns = [chosen[name].tolist() for name in ("cell", "owner", "stopped")]
    for key, cell, owner, count, caller in zip(keys, *columns, callers(chosen).tolist(), strict=True):
        about[key] = (cell, owner, caller)
        episodes[key] += int(count)
    past = scene.past[scene.past["cell"].isin({cell for cell, *_ in about.values()})]
    nights = max(standing.days.count - 1, 1)
    usual = (past.groupby("cell")["stopped"].sum() / nights).to_dict()
    worked = past[past["answered"] > past["reset"]].groupby("cell")["day"].nunique().to_dict()
    seen = replace(scene.night, edge_days=chosen[list(frames.EDGE_DAYS)])
    found: dict[tuple[str, str], list[_Stop]] = defaultdict(list)
    for edge in fold_edges(seen).edges:
        cell, owner, caller = about[edge[1:8]]
        if scene.view.workload(edge.subject) is None:
            continue
        often = float(usual.get(cell, 0.0)), int(worked.get(cell, 0))
        stop = _Stop(edge, cell, caller, episodes[edge[1:8]], *often)
        found[(owner, edge.direction)].append(stop)
    return found


def _in_excess(stop: _Stop) -> bool:
    return bool(stats.poisson.sf(stop.episodes - 1, stop.usual + _PRIOR_MEAN) < CELL_TAIL)


def _finding(
    scene: Scene,
    standing: Standing,
    changes: Changes,
    measured: tuple[_Gate, GateSeries],
    about: tuple[list[_Stop], Sequence[_Stop]],
) -> Finding | None:
    """The finding about one peer of a gate, if there is one."""
    (gate, by_caller), (stops, loud) = measured, about
    peer = peer_of(scene.view, stops[0].edge)
    cells = frozenset(one.cell for one in stops)
    legit, codes = standing.looks(cells, frozenset(one.caller for one in stops))
    sure = _sure(standing, stops)
    hard = bool(HARD & set(codes)) and bool(cells & standing.new)
    chance = gate.expectation.chance
    caller = by_caller.chance(stops[0].caller)
    quiet = caller is not None and caller <= QUIET_GATE
    keeps_trying = (
        gate.known
        and max(one.episodes for one in stops) >= PERSISTENT_HOURS
        and _recent(scene, standing, cells)
    )
    # What a caller does to others every night is no news at any one of them.
    habit = stops[0].edge.direction == "ingress" and stops[0].caller in by_caller.habitual and not quiet
    loudest = gate.stands_out and any(one in loud for one in stops) and not habit
    if not (sure or (hard and quiet) or keeps_trying or loudest):
        return None
    odd = suspicious(legit, codes) and quiet and not sure
    edges = [one.edge for one in stops]
    offered = next((one.edge for one in stops if not standing.keeps_out(one.cell)), None)
    workload = scene.view.workload(edges[0].subject)
    if workload is None:
        return None
    ports = tuple(sorted({port_of(edge) for edge in edges}))
    hours = sum(one.episodes for one in stops)
    judged = caller if odd else chance
    confidence = 0.99 if sure else 1.0 - min(judged if judged is not None else 0.5, 0.5)
    confidence = max(confidence, 0.9) if keeps_trying else confidence
    denied = sum(edge.denied + edge.l7_denied for edge in edges)
    audited = sum(edge.audited for edge in edges)
    subject = subject_of(workload)
    detector = "keeps_trying" if keeps_trying and not loudest else "above_baseline"
    detector = "needed_and_stopped" if sure else ("odd_and_stopped" if odd else detector)
    return Finding(
        kind=Kind.SUSPICIOUS if odd else Kind.DENIED,
        detector=detector,
        severity=Severity.HIGH if sure or odd or hours >= 6 else Severity.MEDIUM,
        confidence=round(confidence, 4),
        subject=subject,
        direction=edges[0].direction,
        peer=peer,
        ports=ports,
        first_us=_first(standing, cells, edges),
        last_us=max(edge.last_us for edge in edges),
        flows=denied + audited + sum(edge.flows for edge in edges),
        expected=gate.expectation,
        policy=tuple(map(str, changes.selecting(edges[0]))),
        why=_why((subject, edges[0].direction, peer), ports, gate, (hours, sure, codes if odd else ()))
        + standing.decisions(cells),
        suggestion=changes.advise(None if odd else offered, _pair(subject, edges[0].direction, peer)[0]),
        p_legit=legit,
        verdicts=tuple((name, count) for name, count in (("audited", audited), ("denied", denied)) if count),
        samples=tuple(dict.fromkeys(sample for edge in edges for sample in edge.samples))[:3],
        merged=_merged(scene, edges),
    )


def _recent(scene: Scene, standing: Standing, cells: Iterable[str]) -> bool:
    """Whether the connections were first seen not long ago."""
    known = standing.cells.index.intersection(sorted(cells))
    begin = int(scene.window.end.timestamp()) * 1_000_000 - RECENT_DAYS * _DAY_US
    return bool(len(known)) and int(standing.cells.loc[known, "first_us"].max()) >= begin


def _merged(scene: Scene, edges: Sequence[Edge]) -> tuple[str, ...]:
    """Peers that one finding stands for."""
    names = sorted({peer_of(scene.view, edge).title for edge in edges})
    return tuple(names) if len(names) > 1 else ()


def _sure(standing: Standing, stops: Iterable[_Stop]) -> bool:
    """Whether one of the cells worked day after day and was as good as certain to be needed again."""
    active: Any = standing.cells["active_days"]
    return any(
        stop.worked_days >= max(_MIN_WORKING_DAYS, _WORKING_SHARE * active[stop.cell])
        and standing.need[stop.cell] >= SURE_NEED
        for stop in stops
        if stop.cell in active.index
    )


def _sweep(scene: Scene, gate: _Gate, stops: Sequence[_Stop]) -> Finding:
    """Many peers refused for the first time: one finding about who called them."""
    edges = [one.edge for one in stops]
    workload = scene.view.workload(edges[0].subject)
    subject = SubjectRef() if workload is None else subject_of(workload)
    peers = sorted({peer_of(scene.view, edge).title for edge in edges})
    ports = tuple(sorted({port_of(edge) for edge in edges}))
    why = (
        f"{subject.title} was refused by {len(peers)} peers it had never called before, on "
        f"{ports_text(ports)}: it is looking for something, or was set up wrong."
    )
    return Finding(
        kind=Kind.SUSPICIOUS,
        detector="sweep",
        severity=Severity.CRITICAL,
        confidence=round(1.0 - min(gate.expectation.chance or 0.0, 0.5), 4),
        subject=subject,
        direction="egress",
        about="sweep",
        ports=ports[:40],
        first_us=min(edge.first_us for edge in edges),
        last_us=max(edge.last_us for edge in edges),
        flows=sum(edge.denied + edge.audited + edge.l7_denied + edge.flows for edge in edges),
        expected=gate.expectation,
        why=why,
        verdicts=(("denied", sum(edge.denied + edge.l7_denied for edge in edges)),),
        samples=edges[0].samples[:3],
        merged=tuple(peers[:50]),
    )


def _first(standing: Standing, cells: frozenset[str], edges: Sequence[Edge]) -> int:
    known = standing.cells.index.intersection(sorted(cells))
    first = min(edge.first_us for edge in edges)
    return min(first, int(standing.cells.loc[known, "first_us"].min())) if len(known) else first


def _pair(subject: SubjectRef, direction: str, peer: Peer) -> tuple[str, str]:
    """Caller and called."""
    names = subject.title, peer.title
    return names if direction == "egress" else names[::-1]


def _why(
    ends: tuple[SubjectRef, str, Peer],
    ports: tuple[tuple[str, int], ...],
    gate: _Gate,
    found: tuple[int, bool, tuple[str, ...]],
) -> str:
    (subject, direction, peer), (hours, sure, codes) = ends, found
    pair = _pair(subject, direction, peer)
    span = f"{hours} hour{'s' if hours > 1 else ''}"
    call = f"Policy stopped {pair[0]} calling {pair[1]} on {ports_text(ports)} in {span}"
    if sure:
        return f"{call}; this connection worked day after day and is as good as certain to be needed."
    if codes:
        return f"{call}, and it looks wrong: {describe(codes)}."
    if not gate.stands_out:
        return f"{call}; it keeps trying, and did not before."
    if gate.creeping and not gate.flagged:
        return f"{call}; such hours have been growing here from night to night."
    high = gate.expectation.high
    if high is None or np.isnan(high):
        return f"{call}."
    return f"{call}; this gate shows {gate.tonight:.0f} such hours, where at most {high:.0f} are usual."
