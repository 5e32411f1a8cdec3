"""When a workload got another pod template, as far as the names of its pods tell."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import pandas as pd

from models.learning.owners import RUN_KINDS, rollout_stem

#: Name of a Deployment's pod: its own, the hash of the template, a suffix. A hash of digits alone is the
#: minute at which a CronJob was due.
_POD: Final = r"^(?P<deployment>.+)-(?P<template>(?![0-9]+-)[bcdfghjklmnpqrstvwxz2456789]{6,10})-[a-z0-9]{5}$"
#: Kinds whose pods are named otherwise: what looks like a template in their names is a part of their own.
_UNNAMED_TEMPLATES: Final = RUN_KINDS | {"DaemonSet", "StatefulSet", "Pod"}
#: Microseconds for which a Deployment was watched before a template beside the old one counts as new. Pods
#: show when they talk: of two that were there all along, one may be seen hours after the other.
WATCHED_US: Final = 24 * 3_600_000_000
#: Microseconds after its first pod within which a new template replaced the old ones, if it did.
GIVE_WAY_US: Final = 6 * 3_600_000_000


@dataclass(slots=True)
class _Stint:
    """A stretch in which pods of a template were there."""

    template: str
    first_us: int
    last_us: int


def rollouts(pods: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """
    Microseconds at which each workload got another pod template inside the window, where templates show.

    A rollout is a change of one Deployment's template, or of the Deployments that are the halves of one
    rollout (``web`` and ``web-canary``): two that merely share their labels have two templates for good.
    The first template is no change, for it was there before anyone looked. Another one is, if the older ones
    gave way to it, or if it came to stand beside them when they had been watched for a day. A template that
    comes back, with new pods and after others had taken its place, is a rollback if those gave way.

    Pods of StatefulSets and DaemonSets do not name their template, and workloads of theirs are missing.

    Parameters
    ----------
    pods
        PODS rows (`models.frames`) with their ``owner``, as `models.synthesis.raw_cells` names it.
    """
    parts = pods["pod"].str.extract(_POD, expand=True)
    shown = parts["template"].notna() & ~pods["workload_kind"].isin(_UNNAMED_TEMPLATES)
    stems = {name: rollout_stem(name) for name in parts.loc[shown, "deployment"].unique()}
    columns = {"owner": pods["owner"], "stem": parts["deployment"].map(stems), "template": parts["template"]}
    frame = pods[["first_us", "last_us"]].assign(**columns)[shown.to_numpy()]
    frame = frame.sort_values(["owner", "stem", "first_us", "last_us", "template"], kind="stable")
    found: dict[str, set[int]] = {str(owner): set() for owner in frame["owner"].unique()}
    rows = frame[["owner", "stem", "template", "first_us", "last_us"]].itertuples(index=False, name=None)
    for (owner, _), own in groupby(rows, key=itemgetter(0, 1)):
        found[str(owner)].update(_changes(_stints((str(row[2]), int(row[3]), int(row[4])) for row in own)))
    return {owner: tuple(sorted(times)) for owner, times in found.items()}


def _stints(pods: Iterable[tuple[str, int, int]]) -> list[_Stint]:
    """Stints of (template, first, last) of pods in the order of their first sight."""
    stints: list[_Stint] = []
    newest: dict[str, _Stint] = {}
    for template, first, last in pods:
        stint = newest.get(template)
        # while none of its pods was there, another template's were
        gone = stint is not None and first > stint.last_us
        if stint is None or (gone and any(other.last_us > stint.last_us for other in newest.values())):
            newest[template] = _Stint(template, first, last)
            stints.append(newest[template])
        else:
            stint.last_us = max(stint.last_us, last)
    return stints


def _changes(stints: list[_Stint]) -> Iterator[int]:
    """First sights of the stints that were a change of template."""
    for number, stint in enumerate(stints):
        older = [one for one in stints[:number] if one.template != stint.template]
        if not older:
            continue
        replaced = max(one.last_us for one in older) <= stint.first_us + GIVE_WAY_US
        returned = any(one.template == stint.template for one in stints[:number])
        if replaced or (not returned and stint.first_us - stints[0].first_us >= WATCHED_US):
            yield stint.first_us
