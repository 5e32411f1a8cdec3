"""Who was there: pods by generation, identities by label set."""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.evaluation.activity import Ints
from jobs.evaluation.frames import sorted_rows
from jobs.evaluation.runs import run_owner, run_pods
from jobs.evaluation.words import word
from jobs.evaluation.world import CLUSTER, HOUR_US, NO_LABELS, World
from models import frames

DAY_US: Final = 24 * HOUR_US
_HASH_LENGTH: Final = 9
_SUFFIX_LENGTH: Final = 5
#: Kinds whose new pods have the names of the old ones.
_SAME_NAMES: Final = ("StatefulSet", "Pod")
#: Birth of the pods of a workload on days without any; what was there on the first day was born before it.
_NOT_THERE: Final = -(2**31)


def generations(world: World, first: int, last: int) -> pd.DataFrame:
    """
    Stretches of days in which a workload's pods stayed.

    Columns: ``workload label_set begin end start`` in days, ``first_us last_us`` as observed in the window.
    """
    rows = []
    held = world.calendar(first, last)
    end_us = world.window_us(first, last)[1]
    for number, one in enumerate(world.workloads):
        stop = min(one.dies, world.parameters.days)
        cuts = {one.born, stop, *(day for day, _ in one.versions), *one.rollouts}
        days = sorted(day for day in cuts if one.born <= day <= stop)
        stays = pairwise(days) if one.run is None else ((day, day + 1) for day in one.run.days)
        for begin, end in stays:
            label_set = int(world.label_set_of[number, begin])
            if begin < held.stop and end > held.start and label_set != NO_LABELS:
                there = (max(begin, held.start), min(end, held.stop))
                low, high = (world.start_us() + day * DAY_US for day in there)
                if one.run is not None:
                    low += one.run.hour * HOUR_US
                    high = low + one.run.hours * HOUR_US
                if low < end_us:
                    rows.append((number, label_set, *there, begin, low, min(high, end_us) - 1))
    columns = ["workload", "label_set", "begin", "end", "start", "first_us", "last_us"]
    return pd.DataFrame(rows, columns=columns)


def pod_names(world: World, workload: int, start: int) -> list[str]:
    """Pods of a workload that a rollout of day ``start`` made."""
    one = world.workloads[workload]
    if one.run is not None:
        return run_pods(one.run, one.namespace, start)
    seed = workload * 1009 + start
    match one.kind:
        case "StatefulSet":
            return [f"{one.name}-{place}" for place in range(one.replicas)]
        case "Pod":
            return [one.name]
        case "DaemonSet":
            return [f"{one.name}-{word(seed * 31 + place, _SUFFIX_LENGTH)}" for place in range(one.replicas)]
        case "CronJob":
            return [f"{one.name}-{29_000_000 + start * 1440}-{word(seed, _SUFFIX_LENGTH)}"]
        case _:
            template = word(seed, _HASH_LENGTH)
            return [
                f"{one.name}-{template}-{word(seed * 31 + place, _SUFFIX_LENGTH)}"
                for place in range(one.replicas)
            ]


class Replicas:
    """
    Which replica made or took the records of a link, where one did.

    An intruder stays in the pod that he broke into; anybody else's records come from any of them.
    """

    def __init__(self, world: World, pods: pd.DataFrame) -> None:
        self._world = world
        self._born = np.full((len(world.workloads), world.parameters.days), _NOT_THERE, dtype=np.int64)
        for workload, begin, end, start in pods[["workload", "begin", "end", "start"]].itertuples(
            index=False
        ):
            self._born[int(workload), int(begin) : int(end)] = int(start)
        self._replicas = np.array([one.replicas for one in world.workloads] or [0], dtype=np.float64)
        self._same_names = np.array(
            [one.kind in _SAME_NAMES and one.run is None for one in world.workloads] or [False]
        )
        self._ends = np.array([(one.client, one.server) for one in world.links] or [(-1, -1)], dtype=np.int64)
        self._one_pod = np.array([one.one_pod for one in world.links] or [False], dtype=np.bool_)

    def reached(self, rows: pd.DataFrame, edge: Ints, client: npt.NDArray[np.bool_]) -> Ints:
        """
        Distinct pods at one end of edges: of each generation as many as its records are expected to reach.

        Parameters
        ----------
        rows
            ``link day flows``, one row per edge and day.
        edge
            Number of each row's edge, shape (n_rows,); every number from 0 on occurs.
        client
            Whether the end is that of the link's client, by row.

        Returns
        -------
        numpy.ndarray
            By edge; 0 where no workload is at that end.
        """
        link, day = rows["link"].to_numpy(), rows["day"].to_numpy()
        workload = self._ends[link, np.where(client, 0, 1)]
        there = (workload >= 0) & (self._born[workload, day] != _NOT_THERE)
        born = np.where(self._same_names[workload], 0, self._born[workload, day])
        uses = pd.DataFrame({"edge": edge, "workload": workload, "born": born, "flows": rows["flows"]})
        uses["alone"] = self._one_pod[link] & client
        key = ["edge", "workload", "born"]
        each = uses[there].groupby(key).agg(flows=("flows", "sum"), alone=("alone", "all"))
        alive = self._replicas[each.index.get_level_values("workload")]
        pods = np.round(alive * (1.0 - (1.0 - 1.0 / alive) ** each["flows"].to_numpy()))
        each["pods"] = np.where(each["alone"], 1.0, np.maximum(pods, 1.0))
        total = each.groupby("edge")["pods"].sum().reindex(range(int(edge.max(initial=-1)) + 1), fill_value=0)
        counts: Ints = total.to_numpy(dtype=np.int64)
        return counts

    def ends(self, count: int, link: int, days: tuple[int, int], *, client: bool) -> tuple[str, str]:
        """First and last by name of ``count`` pods at one end, on the first and the last day of an edge."""
        if count == 0:
            return "", ""
        first = self._one(link, days[0], client=client)
        if count == 1:
            return first, first
        other = self._one(link, days[1], client=client, turn=1)
        return min(first, other), max(first, other)

    def _one(self, link: int, day: int, *, client: bool, turn: int = 0) -> str:
        """A pod at one end; "" where that end is no workload that was there on the day."""
        one = self._world.links[link]
        workload = one.client if client else one.server
        start = int(self._born[workload, day]) if workload >= 0 else _NOT_THERE
        if start == _NOT_THERE:
            return ""
        names = pod_names(self._world, workload, start)
        drawn = link * 7919 + day * 104_729 + turn
        return names[0 if one.one_pod and client else drawn % len(names)]


def _owner(world: World, workload: int, label_set: int) -> dict[str, str]:
    """Owner as records name it; a pod of no one has none."""
    one = world.workloads[workload]
    name, kind = (one.name, one.kind) if one.kind != "Pod" else ("", "")
    if one.run is not None:
        day = int(np.flatnonzero(world.label_set_of[workload] == label_set)[0])
        name, kind = run_owner(one.run, one.namespace, day)
    named = bool(world.owned[workload])
    return {"workload": name if named else "", "workload_kind": kind if named else ""}


def pods_frame(world: World, pods: pd.DataFrame) -> pd.DataFrame:
    """PODS of a window."""
    spans: dict[tuple[int, int, str], list[int]] = {}
    for row in pods.to_dict("records"):
        begin, end = int(row["first_us"]), int(row["last_us"])
        for name in pod_names(world, int(row["workload"]), int(row["start"])):
            span = spans.setdefault((int(row["workload"]), int(row["label_set"]), name), [begin, end])
            span[0], span[1] = min(span[0], begin), max(span[1], end)
    rows = [
        {
            "cluster": CLUSTER,
            "namespace": world.workloads[workload].namespace,
            "pod": name,
            "label_key": world.label_sets[label_set].key,
            **_owner(world, workload, label_set),
            "first_us": begin,
            "last_us": end,
        }
        for (workload, label_set, name), (begin, end) in spans.items()
    ]
    return sorted_rows(rows, frames.PODS, ["cluster", "namespace", "pod", "label_key"])


def identities_frame(world: World, pods: pd.DataFrame, uses: pd.DataFrame) -> pd.DataFrame:
    """IDENTITIES of a window: label sets that were an end of something observed."""
    used = set(uses["client_set"].unique()) | set(uses["server_set"].unique())
    spans: dict[tuple[str, int], tuple[int, int, int]] = {}
    for row in pods.to_dict("records"):
        label_set = int(row["label_set"])
        if label_set not in used:
            continue
        at = (world.label_sets[label_set].key, int(row["workload"]))
        first, last = int(row["first_us"]), int(row["last_us"])
        begin, end, _ = spans.get(at, (first, last, label_set))
        spans[at] = (min(begin, first), max(end, last), label_set)
    rows = [
        {
            "cluster": CLUSTER,
            "label_key": key,
            "labels": _json(world.label_sets[label_set].texts),
            "namespace": world.workloads[workload].namespace,
            "entity": "",
            **_owner(world, workload, label_set),
            "first_us": begin,
            "last_us": end,
        }
        for (key, workload), (begin, end, label_set) in spans.items()
    ]
    keys = ["cluster", "label_key", "labels", "workload", "workload_kind"]
    made = sorted_rows(rows, frames.IDENTITIES, keys)
    return made.drop_duplicates(keys).reset_index(drop=True)


def _json(texts: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
