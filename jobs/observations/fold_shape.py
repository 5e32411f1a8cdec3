"""Rows of a fold as the frames that the models read."""

from typing import Final

import numpy as np
import pandas as pd

from jobs.observations.schema import ASIDE_PREFIX, COVERAGE, NODE_UNAVAILABLE
from models import frames

_SECONDS_PER_SLOT: Final = 300
#: Records of a node in a stretch of five minutes after which an empty one is no quiet: one in five seconds.
_BUSY_RECORDS: Final = 60
_HOURS_PER_DAY: Final = 24
#: Share of its days, first and last one apart, on which a node delivered from first to last hour. From here
#: on it is one that is there all day, and where it ends earlier is a gap; below, it comes and goes.
_STEADY_SHARE: Final = 0.5


def shaped(rows: pd.DataFrame, spec: dict[str, str], keys: list[str] | None = None) -> pd.DataFrame:
    """Rows with exactly the columns and dtypes of ``spec``, sorted by ``keys`` unless they are already."""
    rows = rows[list(spec)].astype(spec)
    return (rows.sort_values(keys, kind="stable") if keys else rows).reset_index(drop=True)


def pods_frame(cluster: str, endpoints: pd.DataFrame) -> pd.DataFrame:
    """PODS: the owner is what any record of the pod named; remote ends never name it."""
    pods = endpoints[endpoints["pod"] != ""].sort_values(["workload", "workload_kind"])
    keys = ["namespace", "pod", "label_key"]
    merged = pods.groupby(keys, as_index=False, sort=True).agg(
        workload=("workload", "last"),
        workload_kind=("workload_kind", "last"),
        first_us=("first_us", "min"),
        last_us=("last_us", "max"),
    )
    merged["workload_kind"] = merged["workload_kind"].where(merged["workload"] != "", "")
    return shaped(merged.assign(cluster=cluster), frames.PODS, ["cluster", *keys])


def identities_frame(cluster: str, identities: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """IDENTITIES: one row per label key and owner, an unknown owner only where nothing named one."""
    labels = identities.sort_values(["label_key", "labels"]).drop_duplicates("label_key", keep="last")
    labels = labels[["label_key", "labels", "namespace", "entity"]]
    owner = ["workload", "workload_kind"]
    owners = pd.concat([pods, identities])[["label_key", *owner, "first_us", "last_us"]].copy()
    owners["workload_kind"] = owners["workload_kind"].where(owners["workload"] != "", "")
    named = set(pods.loc[pods["workload"] != "", "label_key"])
    by_pods = owners["label_key"].isin(named)
    sure = pd.concat(
        [
            pods.loc[(pods["workload"] != ""), ["label_key", *owner, "first_us", "last_us"]],
            owners[~by_pods],
        ]
    )
    any_owner = sure[sure["workload"] != ""]["label_key"]
    sure = sure[(sure["workload"] != "") | ~sure["label_key"].isin(set(any_owner))]
    spans = sure.groupby(["label_key", *owner], as_index=False, sort=True).agg(
        first_us=("first_us", "min"), last_us=("last_us", "max")
    )
    rows = spans.merge(labels, on="label_key").assign(cluster=cluster)
    return shaped(rows, frames.IDENTITIES, ["cluster", "label_key", "labels", *owner])


def coverage_frame(cluster: str, rows: pd.DataFrame) -> pd.DataFrame:
    """
    COVERAGE: one row per hour in which anything at all was heard or said about it.

    Of a node that delivers little, silence within an hour is none. Where it delivers all the time, five
    minutes without a record were not listened to: files rotated away between two pulls.

    A node is expected when it was there (`_expected`). One of which it was said that it could not be reached
    is expected on that day, and was not listened to in that hour, whatever it delivered in the rest of it.
    """
    slots = [name for name in COVERAGE.maxima if name != "last_us"]
    heard = rows["reason"].eq("") & rows["flows"].gt(0)
    missing = rows["reason"].str.startswith(NODE_UNAVAILABLE)
    hour_of_node = pd.MultiIndex.from_frame(rows[["hour", "node"]])
    whole = heard & ~hour_of_node.isin(hour_of_node[missing])
    stretches = rows[slots].sum(axis=1)
    quiet = heard & rows["records"].lt(_BUSY_RECORDS * stretches)
    rows = rows.assign(
        seconds=_SECONDS_PER_SLOT * stretches.where(~quiet, len(slots)),
        heard_node=rows["node"].where(whole),
        flows=rows["flows"].where(rows["reason"].eq(""), 0),
        replies=rows["replies"].where(rows["reason"].eq(""), 0),
    )
    hours = rows.groupby(["day", "hour"], as_index=False, sort=True).agg(
        nodes=("heard_node", "nunique"),
        seconds=("seconds", "sum"),
        **{name: (name, "sum") for name in ("flows", "replies", "lost_events", "rejects", "skipped")},
    )
    # what a node lost shows that it was there
    there = heard | (rows["lost_events"].gt(0) & rows["node"].isin(rows.loc[heard, "node"].unique()))
    expected = _expected(rows[there], rows[missing], hours["hour"])
    hours = hours.assign(cluster=cluster, expected_nodes=expected)
    return shaped(hours, frames.COVERAGE, ["cluster", "day", "hour"])


def _expected(seen: pd.DataFrame, missing: pd.DataFrame, hours: "pd.Series[int]") -> "pd.Series[int]":
    """
    Nodes that were there in each hour, whether they delivered or not.

    Between its first and its last record of a day a node was there. Before and after them, too, if it is
    one that delivers all day (`_STEADY_SHARE`, or nobody can tell) and had been there or comes back: a node
    of an autoscaler is no gap before it starts, and an exporter that was down across midnight is one.
    """
    spans = seen.groupby(["node", "day"], as_index=False).agg(first=("hour", "min"), last=("hour", "max"))
    begin = spans["first"] // _HOURS_PER_DAY * _HOURS_PER_DAY
    end = begin + _HOURS_PER_DAY - 1
    of_node = spans.groupby("node")
    came, left = of_node["first"].transform("min"), of_node["last"].transform("max")
    whole = (spans["first"].eq(begin) & spans["last"].eq(end)).where(came.lt(begin) & left.gt(end))
    steady = whole.astype("float64").groupby(spans["node"]).transform("mean").fillna(1.0) >= _STEADY_SHARE
    spans["first"] = spans["first"].where(~steady, np.maximum(begin, came))
    spans["last"] = spans["last"].where(~steady, np.minimum(end, left))
    said = missing[["node", "day"]].assign(first=missing["hour"] // _HOURS_PER_DAY * _HOURS_PER_DAY)
    said["last"] = said["first"] + _HOURS_PER_DAY - 1
    there = pd.concat([said, spans]).drop_duplicates(["node", "day"])
    starts, ends = np.sort(there["first"].to_numpy()), np.sort(there["last"].to_numpy())
    counts = np.searchsorted(starts, hours, side="right") - np.searchsorted(ends, hours, side="left")
    return pd.Series(counts, index=hours.index)


def aside_of_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Records that never became an edge, by reason: ``reason flows edges``."""
    aside = rows[rows["reason"].str.startswith(ASIDE_PREFIX)]
    aside = aside.assign(reason=aside["reason"].str.removeprefix(ASIDE_PREFIX), edges=0)
    return aside.groupby("reason", as_index=False, sort=True).agg(
        flows=("flows", "sum"), edges=("edges", "sum")
    )
