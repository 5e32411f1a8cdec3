"""
Who is who: label sets to workloads, and for each workload the selector that picks exactly it.

A label set belongs to the owner that the records name, else to the one that pod names tell of, else to
the one its labels name. Label sets and owners that touch are one workload: a renamed label, a rolled-out
version, the two halves of a canary. Two owners under one label set cannot be told apart by any policy,
so they are one workload too, and it says so.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from models.domain.labels import SERVICE_ACCOUNT_KEY
from models.domain.peer import LabelSelector
from models.domain.workload import Workload
from models.frames import Observations
from models.learning.activity import Activity
from models.learning.label_choice import LabelIndex, Pair, service_account, usable
from models.learning.label_sets import (
    LabelSetSeen,
    current_sets,
    group_by_workload,
    newest_sets,
    seen_label_sets,
)
from models.learning.owners import RUN_KINDS, Owner, drop_intermediate, rollout_stem
from models.learning.runs import changing_keys, naming_pairs, passing_set, same_runs, settled_owners
from models.learning.unlabelled import lend_labels

#: A label that had more values than this over time names versions; one change is a renaming.
MAX_RENAMINGS: Final = 2


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
    owners
        ``Kind/name`` of the owners by label-set key; several where they share the set.
    """

    by_label_key: Mapping[str, Workload]
    all: tuple[Workload, ...]
    entities: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]
    texts: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, frozenset[str]]


def _values(group: list[LabelSetSeen], key: str) -> set[str | None]:
    return {one.labels.get(key) for one in group}


def _candidates(group: list[LabelSetSeen], current: list[LabelSetSeen]) -> tuple[list[Pair], list[Pair]]:
    """Labels that never changed, and those with the ones that all current sets share after a renaming."""
    shared = [
        pair
        for pair in current[0].labels.items()
        if usable(*pair) and all(one.labels.get(pair[0]) == pair[1] for one in current)
    ]
    changing = changing_keys(group)
    shared = [pair for pair in shared if pair[0] not in changing]
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


def _choose(group: list[LabelSetSeen], index: LabelIndex) -> _Choice:
    """
    Selector of a workload: of the labels of the last day, else of those that it has now.

    Old and new pods of today's rollout are selected together where labels allow it. Where they do not, two
    workloads are not joined for a night because one of them changed its labels.
    """
    current, newest = current_sets(group), newest_sets(group)
    choice = _choose_by(current, group, index)
    if choice.selector is None and len(newest) < len(current):
        alone = _choose_by(newest, group, index)
        return alone if alone.selector is not None else choice
    return choice


def _choose_by(current: list[LabelSetSeen], group: list[LabelSetSeen], index: LabelIndex) -> _Choice:
    """Selector by some of the label sets: steady labels, then renamed ones, the service account, absence."""
    own = [one.key for one in group]
    steady, renamed = _candidates(group, current)
    if (named := naming_pairs(group)) and not index.strangers(named, own):
        return _Choice(LabelSelector(tuple(sorted(named))))
    if labels := index.smallest(steady, own):
        return _Choice(LabelSelector(labels))
    if labels := index.smallest(renamed, own):
        return _Choice(LabelSelector(labels), renamed=True)
    accounts = {service_account(one.labels) for one in current}
    account = accounts.pop() if len(accounts) == 1 else None
    if account and (labels := index.smallest([*renamed, account], own)):
        return _Choice(LabelSelector(labels), service_account=True)
    return _choose_by_exclusion(group, index, renamed)


def _choose_by_exclusion(group: list[LabelSetSeen], index: LabelIndex, shared: list[Pair]) -> _Choice:
    """Selector of a workload whose labels others carry too: without their extra keys, or their accounts."""
    own = [one.key for one in group]
    if not shared:
        return _Choice(None)
    absent = index.absent_keys(shared, own)
    if absent is not None:
        kept = index.smallest_without(shared, absent, own)
        return _Choice(LabelSelector(kept, absent))
    # Any new pod gets the default account; even so it keeps out the neighbours that have one of their own.
    default = (SERVICE_ACCOUNT_KEY, "default")
    if all(one.labels.get(SERVICE_ACCOUNT_KEY) == "default" for one in group) and (
        labels := index.smallest([*shared, default], own)
    ):
        return _Choice(LabelSelector(labels), service_account=True)
    return _Choice(None, confused=tuple(index.label_sets(index.strangers(shared, own))))


def _owners(group: list[LabelSetSeen]) -> set[Owner]:
    return drop_intermediate({owner for one in group for owner in one.owners})


def _members(group: list[LabelSetSeen]) -> tuple[str, ...]:
    """``Kind/name`` of the owners."""
    owners = settled_owners(group, _owners(group))
    return tuple(sorted(owner.text for owner in owners)) or (f"Pods/{group[0].key[:12]}",)


def _namespace_workloads(label_sets: list[LabelSetSeen], activity: Activity) -> list[Workload]:
    """Workloads of one namespace of one cluster; what cannot be told apart is joined until all can."""
    index = LabelIndex({one.key: one.labels for one in label_sets})
    joined = group_by_workload(label_sets)
    for runs in same_runs(label_sets):
        for one in runs:
            joined.join(runs[0].key, one.key)
    while True:
        groups = joined.collect(label_sets)
        choices = _unconfused(groups, [_choose(group, index) for group in groups])
        if not any(choice.confused for choice in choices):
            break
        for group, choice in zip(groups, choices, strict=True):
            for key in choice.confused:
                joined.join(group[0].key, key)
    return _with_names_of_their_own(
        [_workload(group, choice, activity) for group, choice in zip(groups, choices, strict=True)]
    )


def _unconfused(groups: list[list[LabelSetSeen]], choices: list[_Choice]) -> list[_Choice]:
    """
    Choices in which runs are not joined with workloads whose selectors leave them out.

    What is left of the labels of a run may be a team's. Nothing forces the others to share a policy with
    it, as it would if they selected it: it gets no selector then, and they keep theirs.
    """
    chosen = [choice.selector for choice in choices if choice.selector is not None]
    return [
        _Choice(None)
        if choice.confused
        and all(map(passing_set, group))
        and not any(selector.matches(one.labels) for selector in chosen for one in group)
        and not _all_runs(groups, choice.confused)
        else choice
        for group, choice in zip(groups, choices, strict=True)
    ]


def _all_runs(groups: list[list[LabelSetSeen]], keys: tuple[str, ...]) -> bool:
    return all(passing_set(one) for group in groups for one in group if one.key in keys)


def _with_names_of_their_own(workloads: list[Workload]) -> list[Workload]:
    """Workloads of one name (driver and executors of one application) told apart by their selectors."""
    count = Counter(one.members for one in workloads)
    return [
        replace(one, members=tuple(f"{member} ({one.selector.text()})" for member in one.members))
        if count[one.members] > 1 and one.selector is not None
        else one
        for one in workloads
    ]


def _workload(group: list[LabelSetSeen], choice: _Choice, activity: Activity) -> Workload:
    """Put one workload together, with what a reviewer should know about its labels."""
    members = _members(group)
    current = current_sets(group)
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
    if all(one.guessed for one in group):
        notes.append(f"No record names the owner of these pods; {members[0]} is a guess from their names.")
        flags.append("owner_guessed")
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
        gone=activity.gone(keys, periodic=_periodic(group)),
        notes=tuple(notes),
        flags=tuple(flags),
    )


def _periodic(group: list[LabelSetSeen]) -> bool:
    """Whether the pods run to completion, so that a silence may be one between two runs."""
    if len(group) > 1 and all(map(passing_set, group)):
        return True
    return any(owner.kind in RUN_KINDS for owner in _owners(group))


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
    label_sets = seen_label_sets(observations, texts, entities)
    lend_labels(label_sets, texts)
    places: dict[tuple[str, str], list[LabelSetSeen]] = defaultdict(list)
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
        owners={key: frozenset(owner.text for owner in one.owners) for key, one in label_sets.items()},
    )
