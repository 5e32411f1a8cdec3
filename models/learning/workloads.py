"""
Who is who: label sets to workloads, and for each workload the selector that picks exactly it.

A label set belongs to the owner that the records name, else to the one that pod names tell of, else to
the one its labels name. Label sets and owners that touch are one workload: a renamed label, a rolled-out
version, the two halves of a canary. Two owners under one label set cannot be told apart by any policy,
so they are one workload too, and it says so.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from models.domain.labels import CLUSTER_KEY, NAMESPACE_KEY
from models.domain.peer import LabelSelector
from models.domain.workload import Workload
from models.frames import Observations
from models.learning.activity import Activity
from models.learning.label_choice import (
    ANCHOR_KEYS,
    ROLLOUT_KEYS,
    LabelIndex,
    Pair,
    kubernetes_labels,
    service_account,
    usable,
)
from models.learning.owners import Owner, drop_intermediate, owner_of_pod_name, owner_of_record, rollout_stem

#: A label set that was not seen for this long while a newer one of the same workload was is replaced.
REPLACED_AFTER_US: Final = 24 * 3600 * 1_000_000
#: A label that had more values than this over time names versions; one change is a renaming.
MAX_RENAMINGS: Final = 2


@dataclass(slots=True)
class _LabelSet:
    key: str
    cluster: str
    namespace: str
    labels: dict[str, str]
    first_us: int
    last_us: int
    recorded: set[Owner] = field(default_factory=set)
    from_pods: set[Owner] = field(default_factory=set)

    @property
    def owners(self) -> set[Owner]:
        """Best known owners: records before pod names before labels."""
        if self.recorded:
            return drop_intermediate(self.recorded)
        if self.from_pods:
            return drop_intermediate(self.from_pods)
        name = next((self.labels[key] for key in ANCHOR_KEYS if self.labels.get(key)), "")
        return {Owner("", name)} if name else set()


@dataclass(frozen=True, slots=True)
class Workloads:
    """
    Every workload of a window, and which label set belongs to which.

    Parameters
    ----------
    by_label_key
        Workload of a label set; label sets of entities are not in it.
    all
        Sorted by cluster, namespace and members.
    entities
        Reserved entity of a label set, for those that are no pod.
    labels
        Kubernetes labels by label-set key, keys without source.
    texts
        Labels by label-set key as Hubble printed them.
    """

    by_label_key: Mapping[str, Workload]
    all: tuple[Workload, ...]
    entities: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]
    texts: Mapping[str, tuple[str, ...]]


def _label_sets(
    observations: Observations, texts: dict[str, tuple[str, ...]], entities: dict[str, str]
) -> dict[str, _LabelSet]:
    """One record per label set of a pod, with every owner that was named for it."""
    found: dict[str, _LabelSet] = {}
    for row in observations.identities.to_dict("records"):
        key = str(row["label_key"])
        texts[key] = tuple(sorted(str(text) for text in json.loads(row["labels"] or "[]")))
        if row["entity"]:
            entities[key] = str(row["entity"])
            continue
        labels = kubernetes_labels(texts[key])
        one = found.get(key)
        if one is None:
            namespace = labels.get(NAMESPACE_KEY, "") or str(row["namespace"])
            one = found[key] = _LabelSet(
                key, labels.get(CLUSTER_KEY, ""), namespace, labels, int(row["first_us"]), int(row["last_us"])
            )
        one.first_us = min(one.first_us, int(row["first_us"]))
        one.last_us = max(one.last_us, int(row["last_us"]))
        if owner := owner_of_record(str(row["workload_kind"]), str(row["workload"]), labels):
            one.recorded.add(owner)
    for row in observations.pods.to_dict("records"):
        one = found.get(str(row["label_key"]))
        if one is None:
            continue
        one.first_us = min(one.first_us, int(row["first_us"]))
        one.last_us = max(one.last_us, int(row["last_us"]))
        if owner := owner_of_record(str(row["workload_kind"]), str(row["workload"]), one.labels):
            one.recorded.add(owner)
        elif row["pod"]:
            one.from_pods.add(owner_of_pod_name(str(row["pod"]), one.labels))
    return found


class _Groups:
    """Union-find over label sets of one namespace; the smallest key leads, so order does not matter."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def leader(self, item: str) -> str:
        """Representative of an item."""
        self._parent.setdefault(item, item)
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: str, other: str) -> None:
        """Make two items one group."""
        low, high = sorted((self.leader(one), self.leader(other)))
        self._parent[high] = low


def _rollout_signature(label_set: _LabelSet) -> tuple[str, tuple[Pair, ...]] | None:
    """What the halves of one rollout have in common; ``None`` when nothing names the workload."""
    kept = tuple(
        sorted(
            (key, value)
            for key, value in label_set.labels.items()
            if usable(key, value) and key not in ROLLOUT_KEYS
        )
    )
    stems = {rollout_stem(owner.name) for owner in label_set.owners}
    if len(stems) != 1 or not any(key in ANCHOR_KEYS for key, _ in kept):
        return None
    return (stems.pop(), kept)


def _group(label_sets: Iterable[_LabelSet]) -> list[list[_LabelSet]]:
    """Label sets of one namespace by workload: same owner, or the two halves of one rollout."""
    groups = _Groups()
    by_owner: dict[Owner, str] = {}
    by_rollout: dict[tuple[str, tuple[Pair, ...]], str] = {}
    ordered = sorted(label_sets, key=lambda one: one.key)
    for one in ordered:
        groups.leader(one.key)
        for owner in sorted(one.owners):
            groups.join(one.key, by_owner.setdefault(owner, one.key))
        if signature := _rollout_signature(one):
            groups.join(one.key, by_rollout.setdefault(signature, one.key))
    members: dict[str, list[_LabelSet]] = defaultdict(list)
    for one in ordered:
        members[groups.leader(one.key)].append(one)
    return [members[leader] for leader in sorted(members)]


def _current(group: list[_LabelSet]) -> list[_LabelSet]:
    """Label sets that no later one replaced."""
    latest = max(one.last_us for one in group)
    return [
        one
        for one in group
        if one.last_us >= latest - REPLACED_AFTER_US
        or not any(
            later.first_us > one.first_us and one.last_us <= later.first_us + REPLACED_AFTER_US
            for later in group
        )
    ]


def _values(group: list[_LabelSet], key: str) -> set[str | None]:
    return {one.labels.get(key) for one in group}


def _candidates(group: list[_LabelSet], current: list[_LabelSet]) -> tuple[list[Pair], list[Pair]]:
    """Labels that never changed, and those with the ones that all current sets share after a renaming."""
    shared = [
        pair
        for pair in current[0].labels.items()
        if usable(*pair) and all(one.labels.get(pair[0]) == pair[1] for one in current)
    ]
    steady = [pair for pair in shared if len(_values(group, pair[0])) == 1]
    renamed = [pair for pair in shared if len(_values(group, pair[0])) <= MAX_RENAMINGS]
    return steady, renamed


@dataclass(frozen=True, slots=True)
class _Choice:
    selector: LabelSelector | None
    service_account: bool = False
    renamed: bool = False
    #: Label sets of others that no selector could keep out.
    confused: tuple[str, ...] = ()


def _choose(group: list[_LabelSet], index: LabelIndex) -> _Choice:
    """Selector of a workload: steady labels, then renamed ones, then the service account, then absence."""
    current = _current(group)
    own = [one.key for one in group]
    steady, renamed = _candidates(group, current)
    if labels := index.smallest(steady, own):
        return _Choice(LabelSelector(labels))
    if labels := index.smallest(renamed, own):
        return _Choice(LabelSelector(labels), renamed=True)
    accounts = {service_account(one.labels) for one in current}
    account = accounts.pop() if len(accounts) == 1 else None
    if account and (labels := index.smallest([*renamed, account], own)):
        return _Choice(LabelSelector(labels), service_account=True)
    if not renamed:
        return _Choice(None)
    absent = index.absent_keys(renamed, own)
    if absent is not None:
        kept = index.smallest_without(renamed, absent, own)
        return _Choice(LabelSelector(kept, absent))
    return _Choice(None, confused=tuple(index.label_sets(index.strangers(renamed, own))))


def _members(group: list[_LabelSet]) -> tuple[str, ...]:
    owners = drop_intermediate({owner for one in group for owner in one.owners})
    return tuple(sorted(owner.text for owner in owners)) or (f"Pods/{group[0].key[:12]}",)


def _namespace_workloads(label_sets: list[_LabelSet], activity: Activity) -> list[Workload]:
    """Workloads of one namespace of one cluster."""
    index = LabelIndex({one.key: one.labels for one in label_sets})
    groups = _group(label_sets)
    merged: set[str] = set()
    while True:
        home = {one.key: place for place, group in enumerate(groups) for one in group}
        choices = [_choose(group, index) for group in groups]
        clash = next(
            ((place, home[choice.confused[0]]) for place, choice in enumerate(choices) if choice.confused),
            None,
        )
        if clash is None:
            break
        low, high = sorted(clash)
        groups[low] = sorted(groups[low] + groups[high], key=lambda one: one.key)
        merged.add(groups[low][0].key)
        del groups[high]
    return [_workload(group, choice, activity) for group, choice in zip(groups, choices, strict=True)]


def _workload(group: list[_LabelSet], choice: _Choice, activity: Activity) -> Workload:
    """Put one workload together, with what a reviewer should know about its labels."""
    members = _members(group)
    current = _current(group)
    notes: list[str] = []
    flags: list[str] = []
    if len(members) > 1:
        stems = {rollout_stem(member) for member in members}
        names = " and ".join(members)
        if len(stems) == 1:
            notes.append(f"{names} are the halves of one rollout and share this policy.")
            flags.append("rollout")
        else:
            notes.append(f"{names} cannot be told apart by stable labels, so one policy covers all of them.")
            flags.append("indistinguishable")
    if choice.renamed:
        notes.append("Labels of this workload changed inside the window; the selector uses the current ones.")
        flags.append("labels_changed")
    if choice.service_account:
        notes.append(
            "No other stable label separates these pods, so the selector uses their service account."
        )
        flags.append("service_account_selector")
    if choice.selector is not None and choice.selector.absent:
        notes.append("Other workloads carry all labels of this one; the selector excludes their extra keys.")
        flags.append("selector_by_absence")
    keys = [one.key for one in group]
    return Workload(
        cluster=group[0].cluster,
        namespace=group[0].namespace,
        members=members,
        label_keys=tuple(sorted(keys)),
        current_keys=tuple(sorted(one.key for one in current)),
        selector=choice.selector,
        service_account=choice.service_account,
        first_us=min(one.first_us for one in group),
        last_us=max(one.last_us for one in group),
        gone=activity.gone(keys, periodic=any(member.startswith(("CronJob/", "Job/")) for member in members)),
        notes=tuple(notes),
        flags=tuple(flags),
    )


def learn_workloads(observations: Observations) -> Workloads:
    """
    Find the workloads of a window and the selector of each.

    Parameters
    ----------
    observations
        Frames of one cluster; ``identities``, ``pods`` and, for who fell silent, ``edge_days``.

    Returns
    -------
    Workloads
        The same for the same observations in any order.
    """
    texts: dict[str, tuple[str, ...]] = {}
    entities: dict[str, str] = {}
    label_sets = _label_sets(observations, texts, entities)
    places: dict[tuple[str, str], list[_LabelSet]] = defaultdict(list)
    for one in label_sets.values():
        places[(one.cluster, one.namespace)].append(one)
    activity = Activity.of(observations)
    found: list[Workload] = []
    for place in sorted(places):
        found += _namespace_workloads(sorted(places[place], key=lambda one: one.key), activity)
    found.sort(
        key=lambda workload: (workload.cluster, workload.namespace, workload.members, workload.label_keys)
    )
    return Workloads(
        by_label_key={key: workload for workload in found for key in workload.label_keys},
        all=tuple(found),
        entities=entities,
        labels={key: one.labels for key, one in label_sets.items()},
        texts=texts,
    )
