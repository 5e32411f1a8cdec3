"""
Label sets of pods and which of them belong together.

A label set belongs to the owner that the records name, else to the one that pod names tell of, else to
the one its labels name. Sets that share an owner are one workload, and so are the halves of one rollout
(canary, blue and green), which differ in name suffix and rollout labels only.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from models.domain.labels import CLUSTER_KEY, NAMESPACE_KEY
from models.frames import Observations, records
from models.learning.label_choice import ANCHOR_KEYS, ROLLOUT_KEYS, Pair, kubernetes_labels, usable
from models.learning.owners import (
    LASTING_KINDS,
    Owner,
    drop_intermediate,
    owner_of_pod_name,
    owner_of_record,
    rollout_stem,
)
from models.learning.run_labels import is_run

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: A label set that was not seen for this long while a newer one of the same workload was is replaced.
REPLACED_AFTER_US: Final = 24 * 3600 * 1_000_000
#: A rollout is over once the old label set was gone for this long after the new one came.
ROLLOUT_US: Final = 3600 * 1_000_000


@dataclass(slots=True)
class LabelSetSeen:
    """One label set of pods, with every owner that was named for it."""

    key: str
    cluster: str
    namespace: str
    labels: dict[str, str]
    first_us: int
    last_us: int
    recorded: set[Owner] = field(default_factory=set)
    from_pods: set[Owner] = field(default_factory=set)
    #: A record said that no controller made the pod; its name may still be built like one of a controller's.
    bare: bool = False

    @property
    def owners(self) -> set[Owner]:
        """Best known owners: records before pod names before labels."""
        if self.recorded:
            return drop_intermediate(self.recorded)
        if self.from_pods:
            return drop_intermediate(self.from_pods)
        name = next((self.labels[key] for key in ANCHOR_KEYS if self.labels.get(key)), "")
        return {Owner("", name)} if name else set()

    @property
    def guessed(self) -> bool:
        """Whether the kind of an owner rests on how pods are called, and on nothing that a record says."""
        return not self.recorded and any(owner.kind in LASTING_KINDS for owner in self.owners)


def seen_label_sets(
    observations: Observations, texts: dict[str, tuple[str, ...]], entities: dict[str, str]
) -> dict[str, LabelSetSeen]:
    """
    Every label set of a pod.

    Parameters
    ----------
    observations
        ``identities`` and ``pods``.
    texts, entities
        Filled: labels as Hubble printed them, and reserved entities, by label-set key.
    """
    found: dict[str, LabelSetSeen] = {}
    for row in records(observations.identities):
        key = str(row["label_key"])
        texts[key] = tuple(sorted(str(text) for text in json.loads(row["labels"] or "[]")))
        if row["entity"]:
            entities[key] = str(row["entity"])
            continue
        labels = kubernetes_labels(texts[key])
        one = found.get(key)
        if one is None:
            namespace = labels.get(NAMESPACE_KEY, "") or str(row["namespace"])
            if not _NAMESPACE.fullmatch(namespace):
                continue  # no policy can name it: its edges are left out as of unknown pods
            one = found[key] = LabelSetSeen(
                key, labels.get(CLUSTER_KEY, ""), namespace, labels, int(row["first_us"]), int(row["last_us"])
            )
        one.first_us = min(one.first_us, int(row["first_us"]))
        one.last_us = max(one.last_us, int(row["last_us"]))
        _named(one, str(row["workload_kind"]), str(row["workload"]))
    for row in records(observations.pods):
        one = found.get(str(row["label_key"]))
        if one is None:
            continue
        one.first_us = min(one.first_us, int(row["first_us"]))
        one.last_us = max(one.last_us, int(row["last_us"]))
        if not _named(one, str(row["workload_kind"]), str(row["workload"])) and row["pod"]:
            one.from_pods.add(owner_of_pod_name(str(row["pod"]), one.labels))
    return found


def _named(one: LabelSetSeen, kind: str, name: str) -> bool:
    """Note the owner that a record names, if it names one; a pod is none, its name may still tell of one."""
    owner = owner_of_record(kind, name, one.labels)
    one.bare |= owner is not None and kind == "Pod"
    if owner is not None:
        (one.from_pods if kind == "Pod" else one.recorded).add(owner)
    return owner is not None


class Groups:
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

    def collect(self, label_sets: Iterable[LabelSetSeen]) -> list[list[LabelSetSeen]]:
        """Label sets by group, sorted inside and out."""
        members: dict[str, list[LabelSetSeen]] = defaultdict(list)
        for one in sorted(label_sets, key=lambda one: one.key):
            members[self.leader(one.key)].append(one)
        return [members[leader] for leader in sorted(members)]


def _rollout_signature(label_set: LabelSetSeen) -> tuple[str, tuple[Pair, ...]] | None:
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


def group_by_workload(label_sets: Iterable[LabelSetSeen]) -> Groups:
    """Label sets of one namespace by workload: same owner, or the two halves of one rollout."""
    groups = Groups()
    by_owner: dict[Owner, str] = {}
    by_rollout: dict[tuple[str, tuple[Pair, ...]], str] = {}
    ordered = sorted(label_sets, key=lambda one: one.key)
    for one in ordered:
        groups.leader(one.key)
        for owner in sorted(one.owners):
            if owner.kind == "Pod" and is_run(one.labels):
                continue  # the driver of an application owns its executors, which do something else
            groups.join(one.key, by_owner.setdefault(owner, one.key))
        if signature := _rollout_signature(one):
            groups.join(one.key, by_rollout.setdefault(signature, one.key))
    return groups


def current_sets(group: list[LabelSetSeen]) -> list[LabelSetSeen]:
    """Label sets that no later one replaced, or none since yesterday."""
    latest = max(one.last_us for one in group)
    return [
        one
        for one in group
        if one.last_us >= latest - REPLACED_AFTER_US or not _replaced(one, group, REPLACED_AFTER_US)
    ]


def newest_sets(group: list[LabelSetSeen]) -> list[LabelSetSeen]:
    """Label sets that no later one replaced, today's rollouts included."""
    return [one for one in group if not _replaced(one, group, ROLLOUT_US)]


def _replaced(one: LabelSetSeen, group: list[LabelSetSeen], overlap_us: int) -> bool:
    """Whether a later label set came, beside which this one was not seen for longer than a rollout takes."""
    return any(
        later.first_us > one.first_us and one.last_us <= later.first_us + overlap_us for later in group
    )
