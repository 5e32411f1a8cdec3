"""
Pods of one run to the workload that runs again and again.

Bare pods, and pods whose owner is a run itself (a Job without a schedule, a workflow, a task), have a label
set of their own per run. Sets that differ only in labels which name the run are one workload. Which labels
these are is known of the common tools (`models.learning.run_labels`), and seen of all others: their values
lived for hours, one after the other, while the labels beside them stayed. A tenant's label is no such one:
it is there for weeks, beside those of other tenants.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Final

from models.domain.labels import SERVICE_ACCOUNT_KEY
from models.learning.label_choice import ANCHOR_KEYS, MAX_LABELS, VAGUE_KEYS, Pair, rank, usable
from models.learning.label_sets import LabelSetSeen
from models.learning.owners import LASTING_KINDS, Owner, started_by_hand
from models.learning.run_labels import RUN_NAMES, is_job, is_run, run_stem

#: A label value that was seen for longer than this outlives a run.
RUN_US: Final = 24 * 3600 * 1_000_000
#: Runs, one after the other, from which a label that is new with each of them is one of the run. Two may be
#: a workload and its successor.
MIN_RUNS: Final = 3
#: Owners that do not last themselves, of something that does; "" is a name that labels told.
_NOT_RUNS: Final = LASTING_KINDS | {"ReplicaSet", "ReplicationController", ""}
_NAMELESS: Final = "runs"
#: In place of a name that tells nothing.
_DOUBT: Final = "?"
#: Labels that stay, keys of those that do not, service account, and what names tell where labels do not.
_Signature = tuple[tuple[Pair, ...], tuple[str, ...], str, str]


def passing_set(one: LabelSetSeen) -> bool:
    """Whether a label set may be one run's: no owner of it lasts, and no person started it by hand."""
    if any(started_by_hand(owner.name, one.labels) for owner in one.owners):
        return False
    if not one.owners or (one.bare and not one.recorded):
        return one.bare or is_run(one.labels)
    return all(owner.kind not in _NOT_RUNS for owner in one.owners)


def _residual(one: LabelSetSeen) -> list[Pair]:
    return sorted(pair for pair in one.labels.items() if usable(*pair))


def _stem(one: LabelSetSeen) -> str:
    return min((run_stem(owner.name) for owner in one.owners), default="")


def same_runs(label_sets: Sequence[LabelSetSeen]) -> list[list[LabelSetSeen]]:
    """
    Label sets of one namespace that are runs of one workload; those that stand alone are not listed.

    Parameters
    ----------
    label_sets
        All of the namespace, sorted: how long a value lived, the others say, too.
    """
    runs = [one for one in label_sets if passing_set(one)]
    if len(runs) < 2:
        return []
    lasting = _lasting_pairs(label_sets)
    by_behaviour: dict[_Signature, list[LabelSetSeen]] = defaultdict(list)
    for one in runs:
        by_behaviour[_behaviour(one, lasting)].append(one)
    found: list[list[LabelSetSeen]] = []
    exact: dict[_Signature, list[LabelSetSeen]] = defaultdict(list)
    for (stays, passes, account, doubt), group in sorted(by_behaviour.items()):
        if stays and passes and doubt != _DOUBT and _one_after_the_other(group):
            found.append(group)
            continue
        for one in group:
            residual = tuple(_residual(one))
            # Without a label only the name is left; of a pod that is no tool's the name proves nothing.
            if residual or is_run(one.labels) or is_job(one.labels):
                exact[(residual, (), account, "" if residual else _stem(one))].append(one)
    return found + [group for _, group in sorted(exact.items()) if len(group) > 1]


def _behaviour(one: LabelSetSeen, lasting: Container[Pair]) -> _Signature:
    """
    What a set has in common with other runs.

    Where a label that names a workload passes, or only vague ones stay, pods of one team that had nothing
    to do with each other look the same: there the names have to agree, too.
    """
    residual = _residual(one)
    stays = tuple(pair for pair in residual if pair in lasting)
    passes = tuple(key for key, value in residual if (key, value) not in lasting)
    doubtful = not set(ANCHOR_KEYS).isdisjoint(passes) or all(key in VAGUE_KEYS for key, _ in stays)
    account = one.labels.get(SERVICE_ACCOUNT_KEY, "")
    return (stays, passes, account, (_stem(one) or _DOUBT) if doubtful else "")


def _lasting_pairs(label_sets: Iterable[LabelSetSeen]) -> set[Pair]:
    """Labels that were seen for longer than a run takes."""
    first: dict[Pair, int] = {}
    last: dict[Pair, int] = {}
    for one in label_sets:
        for pair in one.labels.items():
            first[pair] = min(first.get(pair, one.first_us), one.first_us)
            last[pair] = max(last.get(pair, one.last_us), one.last_us)
    return {pair for pair, begin in first.items() if last[pair] - begin > RUN_US}


def _one_after_the_other(group: Iterable[LabelSetSeen]) -> bool:
    """Whether enough of the label sets began after the one before them had ended."""
    chain, end = 0, -1
    for one in sorted(group, key=lambda one: (one.last_us, one.first_us)):
        if one.first_us > end:
            chain, end = chain + 1, one.last_us
    return chain >= MIN_RUNS


def changing_keys(group: Sequence[LabelSetSeen]) -> frozenset[str]:
    """Keys that a selector of these runs must not use: their values differ from run to run."""
    if len(group) < 2 or not all(map(passing_set, group)):
        return frozenset()
    keys = {key for one in group for key in one.labels}
    return frozenset(key for key in keys if len({one.labels.get(key) for one in group}) > 1)


def naming_pairs(group: Sequence[LabelSetSeen]) -> tuple[Pair, ...]:
    """Labels by which a tool says what runs, where all sets agree in them; empty for any other workload."""
    if not all(is_run(one.labels) and passing_set(one) for one in group):
        return ()
    for keys in RUN_NAMES:
        pairs = tuple((key, group[0].labels.get(key, "")) for key in keys)
        if all(value and one.labels.get(key) == value for key, value in pairs for one in group):
            return pairs
    return ()


def settled_owners(group: Sequence[LabelSetSeen], owners: set[Owner]) -> set[Owner]:
    """
    Owners of a workload under names that last: a list of runs would be another one tomorrow.

    Runs are called what their labels say, else what their names share. The kind stays where it is known;
    what a tool made is no ``Pod``, for those are what nothing starts again.

    Parameters
    ----------
    group
        Label sets of the workload.
    owners
        As they were seen.
    """
    passing = {owner for owner in owners if owner.kind and owner.kind not in LASTING_KINDS}
    runs = all(map(passing_set, group))
    marked = runs and all(is_run(one.labels) for one in group)
    if len(passing) < 2 and not marked:
        return owners
    if pairs := naming_pairs(group):
        return {Owner("", "-".join(value for _, value in pairs))}
    shared = dict(
        pair for pair in group[0].labels.items() if all(pair in one.labels.items() for one in group)
    )
    if anchor := next((shared[key] for key in ANCHOR_KEYS if shared.get(key)), ""):
        return (owners - passing) or {Owner("", anchor)}
    if not runs:
        return owners
    telling = sorted((pair for pair in shared.items() if usable(*pair)), key=rank)[:MAX_LABELS]
    said = "-".join(value for _, value in telling)
    if marked and said:
        return {Owner("", said)}
    return {
        Owner("" if marked else owner.kind, run_stem(owner.name) or said or _NAMELESS)
        for owner in passing or {Owner("", "")}
    }
