"""
Policy that nobody uses any more: by the probability that it is needed again, never by a number of days.

Method, section 8: removal is recommended for a part of a rule when the probability that any of its cells
returns within 35 days is at most 0.03, it was used on at least four days, it is idle for at least seven,
and no calendar stands behind it. Everything else is watched, and nothing is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.domain.confidence import percent_text
from models.domain.labels import LabelSet
from models.domain.policy import EntitySelector, Entry, PolicyRef
from models.domain.selector import EndpointSelector
from models.drift.atoms import meaning, part_text, peer_text, ports_text
from models.drift.coverage import NightCoverage
from models.drift.finding import Expectation, Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.night import Scene
from models.drift.standing import Standing
from models.learning import bitmaps
from models.learning.days import BITMAP_DAYS
from models.learning.owners import RUN_KINDS
from models.manifest.parse import parse_objects
from models.simulation.changes import apply_patch

#: Probability of being needed within 35 days up to which removal is recommended. The method says 0.10, which
#: bounds each recommendation; for at most one wrong one in a hundred of all, a third of it is needed.
MAX_NEED: Final = 0.03
MIN_ACTIVE_DAYS: Final = 4
MIN_IDLE_DAYS: Final = 7
#: Full days between first and last use below which a use may be one run of a monthly job over a few days.
MIN_SPAN_DAYS: Final = 7
#: Idle days per longest earlier gap: a silence no longer than those before it is a rhythm.
SILENCE_PER_GAP: Final = 3
#: Reasons for which the fold sets aside what `models.synthesis.untold` writes rules for.
_UNTOLD: Final = ("unresolved", "ambiguous_direction", "reply_only")
_ANYONE: Final = EntitySelector("all")
#: Label or annotation of a policy that is kept for emergencies.
BREAK_GLASS: Final = "portolan.dev/break-glass"
_CALENDAR: Final = tuple(sorted(RUN_KINDS))
#: Entities of which whoever runs on the host network of a node is one, this node or another.
NODE_ENTITIES: Final = ("host", "remote-node")
_PEER_FIELDS: Final = ("Endpoints", "FQDNs", "CIDR", "CIDRSet", "Entities")


def unused_parts(scene: Scene, standing: Standing, coverage: NightCoverage) -> list[Finding]:
    """
    Find parts of rules that are as good as certain not to be needed again.

    Parameters
    ----------
    scene, standing
        The night and the history; without a history nothing can be called unused.
    coverage
        Of the night: one that was not heard says nothing about silence.
    """
    if scene.history is None or not coverage.heard or standing.days.count < MIN_ACTIVE_DAYS + MIN_IDLE_DAYS:
        return []
    kept = _break_glass(scene)
    found = []
    for use in _dead(scene, standing):
        entry = scene.parts[use.part]
        if (
            not entry.denies
            and entry.policy not in kept
            and not _calendar(use.cells)
            and not _nodes(use.cells)
            and not _untold(scene, entry)
        ):
            found.append(_finding(scene, standing, entry, use))
    return found


@dataclass(frozen=True, slots=True)
class _Use:
    """How a part of a rule was used, and the probability that it will be again."""

    part: int
    cells: tuple[str, ...]
    active: int
    idle: int
    need: float
    first_us: int
    last_us: int


def _dead(scene: Scene, standing: Standing) -> Iterator[_Use]:
    """Parts whose cells are all as good as dead, in order."""
    days = standing.days
    uses = pd.concat([scene.past[["part", "cell"]], scene.rows[["part", "cell"]]])
    uses = uses[uses["part"] >= 0].drop_duplicates()
    # A cell that is new tonight was not judged; what it uses is in use.
    fresh = uses.loc[~uses["cell"].isin(standing.cells.index), "part"]
    uses = uses[~uses["part"].isin(fresh)].sort_values(["part", "cell"], ignore_index=True)
    if uses.empty:
        return
    state = standing.cells.loc[uses["cell"]]
    starts = np.flatnonzero(np.diff(uses["part"].to_numpy(), prepend=-1))
    bits = np.bitwise_or.reduceat(state["days"].to_numpy(dtype=np.uint64), starts)
    missed = np.log1p(-np.minimum(standing.need[uses["cell"]].to_numpy(dtype=np.float64), 1.0 - 1e-12))
    need = -np.expm1(np.add.reduceat(missed, starts))
    first_us = np.minimum.reduceat(state["first_us"].to_numpy(dtype=np.int64), starts)
    last_us = np.maximum.reduceat(state["last_us"].to_numpy(dtype=np.int64), starts)
    active, first = bitmaps.count_bits(bits), bitmaps.lowest_bit(bits)
    # Seen on a partial day after the last full one: that day counts as use, though not as a full day.
    days_used = np.searchsorted(np.array(days.full, dtype=str), state["last_date"].to_numpy(dtype=str))
    last = np.maximum.reduceat(days_used, starts)
    idle = days.count - 1 - last
    dead = (need <= MAX_NEED) & (active >= MIN_ACTIVE_DAYS) & (idle >= MIN_IDLE_DAYS)
    dead &= last - first >= MIN_SPAN_DAYS
    dead &= idle >= SILENCE_PER_GAP * _longest_gap(bits)
    ends = np.append(starts[1:], len(uses))
    for at in np.flatnonzero(dead).tolist():
        yield _Use(
            int(uses["part"].iloc[starts[at]]),
            tuple(uses["cell"].iloc[starts[at] : ends[at]]),
            int(active[at]),
            int(idle[at]),
            float(need[at]),
            int(first_us[at]),
            int(last_us[at]),
        )


def _longest_gap(bits: bitmaps.Bits) -> NDArray[np.int64]:
    """Most full days between two uses, per bitmap."""
    held = np.stack([(bits >> np.uint64(day)) & np.uint64(1) for day in range(BITMAP_DAYS)]).astype(np.int64)
    days = np.arange(BITMAP_DAYS, dtype=np.int64)[:, None]
    seen = np.maximum.accumulate(np.where(held > 0, days, -1), axis=0)
    before = np.vstack([np.full((1, len(bits)), -1, dtype=np.int64), seen[:-1]])
    gaps = np.where((held > 0) & (before >= 0), days - before - 1, 0)
    return np.asarray(gaps.max(axis=0))


def _finding(scene: Scene, standing: Standing, entry: Entry, use: _Use) -> Finding:
    """The finding about one part."""
    what = f"{_way(entry)} {_peers(entry)} on {ports_text(entry.ports)}"
    patch = _removal(scene, entry)
    text = f"Remove it from {entry.policy}." if patch else f"Remove this part of {entry.policy} {entry.path}."
    return Finding(
        kind=Kind.UNUSED,
        detector="dead_rule",
        severity=Severity.LOW,
        confidence=round(1.0 - use.need, 4),
        subject=_subject(scene, entry),
        direction=entry.direction.value,
        ports=_ports(entry),
        first_us=use.first_us,
        last_us=use.last_us,
        expected=Expectation(f"days of use in the last {use.idle}", 0, 1.0, float(use.idle)),
        policy=(str(entry.policy),),
        rule=str(entry.ref()),
        about=f"{entry.policy} {part_text(entry)}",
        why=f"The rule {what} was used on {use.active} of {standing.days.count} days and not in the last "
        f"{use.idle}: the chance that it is needed within 35 days is {percent_text(use.need)}.",
        suggestion=Suggestion("remove_rule", text, str(entry.policy), patch),
    )


def _subject(scene: Scene, entry: Entry) -> SubjectRef:
    """Workloads that a part's subject selects today."""
    found = [
        one
        for one in scene.view.workloads.all
        if any(_selects(entry.subject, scene.view.workloads.texts.get(key, ())) for key in one.current_keys)
    ]
    names = sorted({member for one in found for member in one.members})
    return SubjectRef(entry.policy.namespace or (found[0].namespace if found else ""), " + ".join(names[:3]))


def _selects(selector: EndpointSelector, texts: tuple[str, ...]) -> bool:
    return selector.matches(LabelSet.of(texts))


def _calendar(cells: tuple[str, ...]) -> bool:
    """Whether a job stands behind a cell: its schedule is longer than any window."""
    return any(f"/{kind}/" in cell for cell in cells for kind in _CALENDAR)


def _nodes(cells: tuple[str, ...]) -> bool:
    """Whether other nodes are meant: who runs on the pod's own node passes without a rule, until it moves."""
    return any(f"|entity|{name}|" in cell for cell in cells for name in NODE_ENTITIES)


def _untold(scene: Scene, entry: Entry) -> bool:
    """Whether traffic that makes no cell needs it: nobody can tell its other end, or who called."""
    windows = [one for one in (scene.night, scene.history) if one is not None]
    aside = pd.concat([one.aside_edges for one in windows], ignore_index=True)
    mine = aside["reason"].isin(_UNTOLD) & (aside["direction"] == entry.direction.value)
    return any(_lets_through(entry, row, scene) for row in aside[mine].to_dict("records"))


def _lets_through(entry: Entry, row: Mapping[Any, Any], scene: Scene) -> bool:
    """Whether a part of a rule lets an edge pass that the fold set aside."""
    texts = scene.view.workloads.texts
    port = row["icmp_type"] if row["protocol"].startswith("ICMP") else row["port"]
    holds = any(
        one.protocol.value == row["protocol"] and one.contains(port)
        for rule in entry.ports or ()
        for one in rule.ports
    )
    if not holds or not _selects(entry.subject, texts.get(row["subject"], ())):
        return False
    labels = texts.get(row["peer"], ()) if row["peer_kind"] == "endpoint" else ()
    return any(
        peer == _ANYONE or (isinstance(peer, EndpointSelector) and bool(labels) and _selects(peer, labels))
        for peer in entry.peers or ()
    )


def _break_glass(scene: Scene) -> frozenset[PolicyRef]:
    """Objects that are kept for emergencies."""
    return frozenset(
        policy
        for policy, source in scene.timeline.current.sources.items()
        if any(BREAK_GLASS in _mapping(source, "metadata", name) for name in ("labels", "annotations"))
    )


def _mapping(source: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = source
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _way(entry: Entry) -> str:
    return "from" if entry.direction.value == "ingress" else "to"


def _peers(entry: Entry) -> str:
    return "any peer" if entry.peers is None else ", ".join(map(peer_text, entry.peers)) or "nobody"


def _ports(entry: Entry) -> tuple[tuple[str, int], ...]:
    numbers = [one for rule in entry.ports or () for one in rule.ports]
    return tuple((one.protocol.value, one.first) for one in numbers if one.first == one.last)


def _removal(scene: Scene, entry: Entry) -> tuple[Mapping[str, Any], ...]:
    """Patch that takes a part out and nothing else: tried, and compared part by part."""
    source = scene.timeline.current.sources.get(entry.policy)
    if source is None:
        return ()
    before = _texts(scene, source)
    wanted = before - {part_text(entry)}
    for patch in _removals(source, entry):
        try:
            after = _texts(scene, apply_patch(source, patch))
        except (KeyError, IndexError, TypeError):
            continue
        if after == wanted:
            return patch
    return ()


def _texts(scene: Scene, source: Mapping[str, Any]) -> frozenset[str]:
    found = meaning(parse_objects([source], config=scene.config, linted=True))
    return frozenset(text for texts in found.values() for text in texts)


def _removals(source: Mapping[str, Any], entry: Entry) -> Iterator[tuple[Mapping[str, Any], ...]]:
    """Whole entry, one peer of it, one port of it."""
    base = "/" + (entry.path if entry.path.startswith("specs[") else f"spec.{entry.path}").replace(
        "[", "."
    ).replace("]", "").replace(".", "/")
    yield ({"op": "remove", "path": base},)
    place: Any = source
    for part in base.strip("/").split("/"):
        place = place[int(part)] if isinstance(place, list) else place.get(part, {})
    side = "from" if entry.direction.value == "ingress" else "to"
    for name in _PEER_FIELDS:
        listed = place.get(f"{side}{name}") if isinstance(place, Mapping) else None
        for number in range(len(listed) if isinstance(listed, list) else 0):
            yield ({"op": "remove", "path": f"{base}/{side}{name}/{number}"},)
    listed = place.get("toPorts") if isinstance(place, Mapping) else None
    for number, rule in enumerate(listed if isinstance(listed, list) else ()):
        for port in range(len(rule.get("ports", ()))):
            yield ({"op": "remove", "path": f"{base}/toPorts/{number}/ports/{port}"},)
