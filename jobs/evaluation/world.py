"""
A finished world: everything that happens in it, and what of that was observed.

The same parameters give the same world, whatever the order in which dictionaries are walked: every list
is filled in a fixed order and every draw comes from the seed.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from jobs.evaluation.activity import Ints, Watch, begin, catch, use, watch
from jobs.evaluation.applications import add_applications
from jobs.evaluation.attacks import add_attacks
from jobs.evaluation.changes import add_incidents, add_releases
from jobs.evaluation.clouds import add_clouds
from jobs.evaluation.estate import Estate
from jobs.evaluation.host_network import add_host_network
from jobs.evaluation.internet import add_internet
from jobs.evaluation.labels import label_texts
from jobs.evaluation.nouns import Link, Outside, Question, Workload
from jobs.evaluation.parameters import WorldParameters
from jobs.evaluation.platform import add_platform, connect_workload
from jobs.evaluation.runs import add_runs
from jobs.evaluation.untold import add_untold

CLUSTER: Final = "evaluation"
NO_LABELS: Final = -1
HOUR_US: Final = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class LabelSet:
    """One label set that a workload carried."""

    workload: int
    key: str
    texts: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """
    A world with its truth.

    Parameters
    ----------
    flows, caught
        Records per link and day, as they happened and as they were observed, shape (links, days).
    begins
        Hour of the first of them, shape (links, days).
    label_sets
        Every label set.
    label_set_of
        Number of the label set per workload and day, NO_LABELS while it is not there.
    visible
        Whether the DNS answers of a workload are seen, shape (workloads,).
    owned
        Whether records name the owner of a workload's pods, shape (workloads,).
    strangers
        Names of other parties under suffixes that the world's own accounts are under.
    """

    parameters: WorldParameters
    workloads: tuple[Workload, ...]
    outsides: tuple[Outside, ...]
    links: tuple[Link, ...]
    questions: tuple[Question, ...]
    flows: Ints
    caught: Ints
    begins: Ints
    seen: Watch
    label_sets: tuple[LabelSet, ...]
    label_set_of: Ints
    visible: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    owned: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    strangers: tuple[str, ...]

    def dates(self) -> list[str]:
        """Days as text."""
        start = pd.Timestamp(self.parameters.start)
        return [str(day.date()) for day in pd.date_range(start, periods=self.parameters.days)]

    def start_us(self) -> int:
        """Microseconds since the epoch at which the first day begins."""
        return int(pd.Timestamp(self.parameters.start, tz="UTC").timestamp()) * 1_000_000

    def window_us(self, first: int, last: int) -> tuple[int, int]:
        """Microseconds at which the window of the days ``first`` to ``last`` begins and ends (exclusive)."""
        start, stop = (self.start_us() + (24 * day + self.parameters.hour) * HOUR_US for day in (first, last))
        return start, stop

    def calendar(self, first: int, last: int) -> range:
        """Days of which a window holds at least an hour."""
        return range(first, min(last + (self.parameters.hour > 0), self.parameters.days))


def make_estate(parameters: WorldParameters) -> Estate:
    """Everything of a world that means well."""
    estate = Estate(parameters)
    add_platform(estate)
    shared = len(estate.workloads)
    add_applications(estate)
    rng = estate.rng(11)
    for number in range(shared):
        connect_workload(estate, number, rng)
    add_internet(estate)
    add_releases(estate)
    add_incidents(estate)
    add_runs(estate)
    add_untold(estate)
    add_clouds(estate)
    add_host_network(estate)
    return estate


def make_world(parameters: WorldParameters) -> World:
    """Make the world of these parameters."""
    estate = make_estate(parameters)
    if parameters.attacks:
        add_attacks(estate)
    return finish(estate)


def finish(estate: Estate) -> World:
    """Let an estate live for its days."""
    parameters = estate.parameters
    flows = use(estate)
    seen = watch(estate)
    label_sets, label_set_of = _label_sets(estate)
    return World(
        parameters=parameters,
        workloads=tuple(estate.workloads),
        outsides=tuple(estate.outsides),
        links=tuple(estate.links),
        questions=tuple(estate.questions),
        flows=flows,
        caught=catch(flows, seen, estate),
        begins=begin(flows, estate),
        seen=seen,
        label_sets=label_sets,
        label_set_of=label_set_of,
        visible=_by_namespace(estate, 12, parameters.dns_visibility),
        owned=_by_namespace(estate, 13, parameters.owners_named),
        strangers=tuple(estate.strangers),
    )


def _label_sets(estate: Estate) -> tuple[tuple[LabelSet, ...], Ints]:
    """Label sets of all workloads, and which of them each carries on which day."""
    made: list[LabelSet] = []
    numbers: dict[tuple[int, str], int] = {}
    table = np.full((len(estate.workloads), estate.parameters.days), NO_LABELS, dtype=np.int64)
    for place, one in enumerate(estate.workloads):
        for first, labels in sorted(one.versions, key=lambda version: version[0]):
            texts = tuple(label_texts(one.namespace, CLUSTER, one.account, labels))
            text = json.dumps(texts)
            if (place, text) not in numbers:
                numbers[(place, text)] = len(made)
                # Two workloads with equal labels have one label-set key, as in a real cluster.
                key = hashlib.sha256(text.encode()).hexdigest()[:16]
                made.append(LabelSet(place, key, texts, dict(labels)))
            last = min(one.dies, estate.parameters.days) if one.run is None else first + 1
            table[place, first:last] = numbers[(place, text)]
    return tuple(made), table


def _by_namespace(estate: Estate, part: int, share: float) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether something holds for a workload, drawn once per namespace."""
    rng = estate.rng(part)
    drawn: dict[str, bool] = {}
    for one in estate.workloads:
        if one.namespace not in drawn:
            drawn[one.namespace] = bool(rng.random() < share)
    return np.array([drawn[one.namespace] for one in estate.workloads])
