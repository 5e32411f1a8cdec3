"""Rows of a fold as the frames that the models read."""

from typing import Final

import pandas as pd

from jobs.observations.schema import ASIDE_PREFIX, COVERAGE, NODE_UNAVAILABLE
from models import frames

_SECONDS_PER_SLOT: Final = 300
#: Records of a node in a stretch of five minutes after which an empty one is no quiet: one in five seconds.
_BUSY_RECORDS: Final = 60


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

    A node of which it was said that it could not be reached is expected on that day, and was not listened
    to in that hour, whatever it delivered in the rest of it.
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
        known_node=rows["node"].where(heard | missing),
        flows=rows["flows"].where(rows["reason"].eq(""), 0),
        replies=rows["replies"].where(rows["reason"].eq(""), 0),
    )
    expected = rows.groupby("day")["known_node"].nunique()
    hours = rows.groupby(["day", "hour"], as_index=False, sort=True).agg(
        nodes=("heard_node", "nunique"),
        seconds=("seconds", "sum"),
        **{name: (name, "sum") for name in ("flows", "replies", "lost_events", "rejects", "skipped")},
    )
    hours = hours.assign(cluster=cluster, expected_nodes=hours["day"].map(expected))
    return shaped(hours, frames.COVERAGE, ["cluster", "day", "hour"])


def aside_of_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Records that never became an edge, by reason: ``reason flows edges``."""
    aside = rows[rows["reason"].str.startswith(ASIDE_PREFIX)]
    aside = aside.assign(reason=aside["reason"].str.removeprefix(ASIDE_PREFIX), edges=0)
    return aside.groupby("reason", as_index=False, sort=True).agg(
        flows=("flows", "sum"), edges=("edges", "sum")
    )
