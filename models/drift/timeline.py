"""
Which policies were in force when: a flow is judged by the revision of its own moment.

Snapshots are taken now and then (every night by the nightly run), and objects say when they were made
and last edited. Where neither says what an object looked like at a moment, the flows it selects at that
moment are undecidable, and never a finding.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.policy import POLICY_KINDS, Entry, PolicyRef, PolicySet, UndecidablePeer
from models.manifest.lists import opened
from models.manifest.parse import parse_objects

#: Moments in one window at which policies are told apart; a roll-out of hundreds within minutes is taken
#: as one change at its end, and what was seen between its first and last step is undecidable.
MAX_MOMENTS: Final = 48
_EVER: Final = 0
_SPEC_KEYS: Final = ("spec", "specs")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    Objects of a cluster, a folder or a Git checkout at a moment.

    Parameters
    ----------
    taken_us
        Microseconds since the epoch.
    objects
        Policies and what they refer to, decoded.
    complete
        It holds every Service and CIDR group of the cluster.
    """

    taken_us: int
    objects: tuple[Mapping[str, Any], ...]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class NotInForce:
    """An object that is there and enforces nothing: refused, or not accepted by the agents."""

    policy: PolicyRef
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    Policies over a window.

    Parameters
    ----------
    starts
        Microseconds at which each set came into force, sorted; the first is the beginning of time.
    sets
        One per start.
    not_in_force
        Of the newest snapshot, sorted by object.
    last_seen
        When each object that is gone now was last in a snapshot.
    snapshots
        How many were used.
    """

    starts: tuple[int, ...]
    sets: tuple[PolicySet, ...]
    not_in_force: tuple[NotInForce, ...]
    last_seen: Mapping[PolicyRef, int]
    snapshots: int

    @property
    def current(self) -> PolicySet:
        """Policies that are in force now."""
        return self.sets[-1]

    def place(self, moment_us: int) -> int:
        """Number of the set that was in force at a moment."""
        return max(0, bisect_right(self.starts, moment_us) - 1)


@dataclass(frozen=True, slots=True)
class _Revision:
    """One object from a moment on; ``None``: it is not there, or nobody knows what it said."""

    start_us: int
    item: Mapping[str, Any] | None
    known: bool = True


def timeline(snapshots: Sequence[Snapshot], start_us: int, config: AgentConfig) -> Timeline:
    """
    Put snapshots in order of time.

    Parameters
    ----------
    snapshots
        At least one, in any order; of two taken at one moment the later one given counts.
    start_us
        Moments before this one are not told apart.
    config
        Agent settings.
    """
    ordered = sorted(snapshots, key=lambda one: one.taken_us)
    revisions: dict[PolicyRef, list[_Revision]] = {}
    last_seen: dict[PolicyRef, int] = {}
    previous_us = _EVER
    for number, snapshot in enumerate(ordered):
        found = {_reference(item): item for item in _policies(snapshot.objects)}
        for policy, item in found.items():
            history = revisions.setdefault(policy, [])
            history += _revisions(history, item, snapshot.taken_us, previous_us, first=number == 0)
        for policy in set(revisions) - set(found):
            if revisions[policy][-1].item is not None:
                revisions[policy].append(_Revision(snapshot.taken_us, None))
        last_seen.update(dict.fromkeys(found, snapshot.taken_us))
        previous_us = snapshot.taken_us
    newest = ordered[-1]
    others = [
        item for given in newest.objects for item in opened(given) if item.get("kind") not in POLICY_KINDS
    ]
    moments = sorted(
        {one.start_us for history in revisions.values() for one in history if one.start_us > start_us}
    )
    starts = (_EVER, *(moments if len(moments) <= MAX_MOMENTS else moments[-MAX_MOMENTS:]))
    reader = _Reader(others, config, newest.complete)
    sets = tuple(reader.read(revisions, moment if moment != _EVER else start_us) for moment in starts)
    here = {_reference(item) for item in _policies(newest.objects)}
    return Timeline(
        starts,
        sets,
        reader.not_in_force(newest.objects, sets[-1]),
        {policy: moment for policy, moment in last_seen.items() if policy not in here},
        len(ordered),
    )


class _Reader:
    """Parses the objects of a moment; equal moments are parsed once."""

    def __init__(self, others: Sequence[Mapping[str, Any]], config: AgentConfig, complete: bool) -> None:
        self._others = list(others)
        self._config = config
        self._complete = complete

    def read(self, revisions: Mapping[PolicyRef, Sequence[_Revision]], moment_us: int) -> PolicySet:
        """Policies in force at a moment."""
        items: list[Mapping[str, Any]] = []
        unknown: list[Mapping[str, Any]] = []
        for policy in sorted(revisions):
            current = None
            for one in revisions[policy]:
                if one.start_us <= moment_us:
                    current = one
            if current is None or current.item is None or refused_by_agents(current.item):
                continue
            (items if current.known else unknown).append(current.item)
        made = self._parse(items)
        if not unknown:
            return made
        blurred = [_blurred(entry) for entry in self._parse(unknown).entries]
        entries = tuple(sorted([*made.entries, *blurred], key=lambda entry: (entry.policy, entry.path)))
        return PolicySet(entries, made.rejected, made.sources)

    def _parse(self, items: Sequence[Mapping[str, Any]]) -> PolicySet:
        return parse_objects([*items, *self._others], config=self._config, inventory_complete=self._complete)

    @staticmethod
    def not_in_force(objects: Sequence[Mapping[str, Any]], current: PolicySet) -> tuple[NotInForce, ...]:
        """Objects of the newest snapshot that enforce nothing, with the reasons."""
        found: dict[PolicyRef, list[str]] = {}
        policies = list(_policies(objects))
        for item in policies:
            reasons = refused_by_agents(item)
            if reasons:
                found.setdefault(_reference(item), []).extend(reasons)
        for one in current.rejected:
            if not all(reason.endswith("unknown field") for reason in one.reasons):
                found.setdefault(one.policy, []).extend(one.reasons)
        return tuple(NotInForce(policy, tuple(found[policy])) for policy in sorted(found))


def _blurred(entry: Entry) -> Entry:
    """An entry whose wording at the moment is not known: it may allow and may deny."""
    peer = UndecidablePeer(f"what {entry.policy} said at that moment is not known")
    return Entry(
        entry.policy,
        entry.path,
        entry.direction,
        entry.denies,
        entry.subject,
        entry.node_subject,
        (peer,),
        None,
    )


def _revisions(
    history: Sequence[_Revision], item: Mapping[str, Any], taken_us: int, previous_us: int, *, first: bool
) -> list[_Revision]:
    """What one snapshot adds to the history of an object."""
    made, edited = _times(item)
    latest = history[-1] if history else None
    if latest is not None and latest.item is not None and _same(latest.item, item):
        return []
    if latest is None or latest.item is None:
        start = made if made is not None and (first or made > previous_us) else (_EVER if first else taken_us)
        if first and edited is not None and edited > start and edited <= taken_us:
            return [_Revision(start, item, known=False), _Revision(edited, item)]
        return [_Revision(start, item)]
    start = edited if edited is not None and previous_us < edited <= taken_us else taken_us
    return [_Revision(start, item)]


def refused_by_agents(item: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Why the object's own status says that it is not enforced; empty when it does not say so.

    Cilium writes a condition ``Valid`` (1.16 and newer); older agents wrote one entry per node.
    """
    status = item.get("status")
    if not isinstance(status, Mapping):
        return ()
    conditions = status.get("conditions")
    reasons = [
        str(one.get("message") or "the agents refuse it")
        for one in (conditions if isinstance(conditions, list) else ())
        if isinstance(one, Mapping) and one.get("type") == "Valid" and one.get("status") == "False"
    ]
    nodes = status.get("nodes")
    states = list(nodes.values()) if isinstance(nodes, Mapping) else []
    states = [one for one in states if isinstance(one, Mapping)]
    if states and not any(one.get("ok") for one in states):
        errors = sorted({str(one.get("error") or "not enforced yet") for one in states})
        reasons += errors[:3]
    return tuple(reasons)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return _wording(one) == _wording(other) and refused_by_agents(one) == refused_by_agents(other)


def _wording(item: Mapping[str, Any]) -> str:
    return json.dumps({key: item[key] for key in _SPEC_KEYS if key in item}, sort_keys=True, default=str)


def _times(item: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """When the object was made, and when its wording was last edited, as far as it says."""
    metadata = item.get("metadata")
    if not isinstance(metadata, Mapping):
        return None, None
    managed = metadata.get("managedFields")
    edits = [
        _microseconds(one.get("time"))
        for one in (managed if isinstance(managed, list) else ())
        if isinstance(one, Mapping) and one.get("subresource") != "status"
    ]
    return _microseconds(metadata.get("creationTimestamp")), max(
        (moment for moment in edits if moment is not None), default=None
    )


def _microseconds(text: object) -> int | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    except ValueError:
        return None
    if not isinstance(moment, datetime):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * 1_000_000


def _policies(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [item for given in objects for item in opened(given) if item.get("kind") in POLICY_KINDS]


def _reference(item: Mapping[str, Any]) -> PolicyRef:
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    namespace, name = metadata.get("namespace"), metadata.get("name")
    clusterwide = item["kind"] == "CiliumClusterwideNetworkPolicy"
    place = "" if clusterwide else (namespace if isinstance(namespace, str) and namespace else "default")
    return PolicyRef(str(item["kind"]), place, name if isinstance(name, str) else "")
