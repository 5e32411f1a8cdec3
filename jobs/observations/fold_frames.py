"""The frames beside EDGE_DAYS: owners and pods, lookups, routes, coverage."""

from typing import Any, Final

import ibis
import pandas as pd

from jobs.observations.coverage import ASIDE_PREFIX
from jobs.observations.fold_rows import EDGE, LINK, within
from jobs.observations.schema import COVERAGE, EDGE_PODS, ENDPOINTS, IDENTITIES, LOOKUPS
from models import frames

_SECONDS_PER_SLOT: Final = 300


def shaped(rows: pd.DataFrame, spec: dict[str, str], keys: list[str] | None = None) -> pd.DataFrame:
    """Rows with exactly the columns and dtypes of ``spec``, sorted by ``keys`` unless they are already."""
    rows = rows[list(spec)].astype(spec)
    return (rows.sort_values(keys, kind="stable") if keys else rows).reset_index(drop=True)


def identity_rows() -> Any:
    """Label keys of a cluster with their labels and, where no pod tells, their owner."""
    rows = within(IDENTITIES, by_hour=False)
    return rows.group_by("label_key", "labels", "namespace", "entity", "workload", "workload_kind").agg(
        first_us=rows.first_us.min(), last_us=rows.last_us.max()
    )


def endpoint_rows() -> Any:
    """Addresses, pods and owners of a cluster per day, of the days around the span too."""
    rows = within(ENDPOINTS, by_hour=False, by_day=False)
    keys = ["day", "ip", "label_key", "namespace", "pod", "workload", "workload_kind"]
    return rows.group_by(*keys).agg(first_us=rows.first_us.min(), last_us=rows.last_us.max())


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


def lookups_rows() -> Any:
    """LOOKUPS before its dtypes."""
    rows = within(LOOKUPS)
    zero, nowhere = ibis.literal(0, "int64"), ibis.null("string")
    rows = rows.mutate(
        asked=ibis.ifelse(rows.ip == "", rows.lookups, zero),
        address=ibis.ifelse(rows.ip == "", nowhere, rows.ip),
    )
    return rows.group_by("cluster", "subject", "name", "rcode").agg(
        lookups=rows.asked.sum().cast("int64"), addresses=rows.address.nunique(), days=rows.day.nunique()
    )


def pod_rows() -> Any:
    """
    Distinct pods per link of the window's days, each end for itself.

    The day is kept only where it can decide what the peer was. The rows do not know which of them
    were of unknown orientation; those that turn out to be no edge find none to join.
    """
    rows = within(EDGE_PODS, by_hour=False)
    moving = rows.peer_kind.isin(("ip", "unresolved"))
    shared = [name for name in LINK if name != "oriented"]
    ends = [
        rows.filter(rows[pod] != "").select(
            *shared, day=ibis.ifelse(moving, rows.day, ""), end=ibis.literal(pod), pod=rows[pod]
        )
        for pod in ("subject_pod", "peer_pod")
    ]
    both = ibis.union(*(end.distinct() for end in ends))
    return both.mutate(oriented=ibis.literal("known"))


def pods_per_edge(resolved_pods: Any) -> Any:
    """EDGE_PODS before its dtypes: distinct pods at both ends."""
    nobody = ibis.null("string")
    rows = resolved_pods.filter((resolved_pods.aside == "") & ~resolved_pods.turned)
    return rows.group_by(*EDGE).agg(
        subject_pods=ibis.ifelse(rows.end == "subject_pod", rows.pod, nobody).nunique(),
        peer_pods=ibis.ifelse(rows.end == "peer_pod", rows.pod, nobody).nunique(),
    )


def routes(resolved_routes: Any) -> Any:
    """EDGE_ROUTES before its dtypes."""
    r = resolved_routes.filter((resolved_routes.aside == "") & ~resolved_routes.turned)
    zero = ibis.literal(0, "int64")
    passed, refused = r.verdict != "l7_denied", r.verdict == "l7_denied"
    own, other = r.side == "subject", r.side == "peer"
    keys = [*(name for name in EDGE if name != "icmp_type"), "l7_kind", "l7_method", "l7_route"]
    return r.group_by(*keys).agg(
        flows=ibis.greatest(
            ibis.ifelse(own & passed, r.flows, zero).sum(), ibis.ifelse(other & passed, r.flows, zero).sum()
        ).cast("int64"),
        l7_denied=ibis.greatest(
            ibis.ifelse(own & refused, r.flows, zero).sum(), ibis.ifelse(other & refused, r.flows, zero).sum()
        ).cast("int64"),
        days=ibis.ifelse(r.flows > 0, r.day, ibis.null("string")).nunique(),
    )


def route_rows(edge_rows: Any) -> Any:
    """Layer 7 rows with their routes, per link and day."""
    rows = edge_rows.filter(edge_rows.l7_kind != "")
    keys = [name for name in EDGE if name in rows.columns]
    return rows.group_by("day", *keys, "oriented", "l7_kind", "l7_method", "l7_route", "verdict", "side").agg(
        flows=rows.flows.sum().cast("int64")
    )


def coverage_rows() -> Any:
    """Coverage per node and hour; two sources that deliver the same node listen once."""
    rows = within(COVERAGE)
    slots = [name for name in COVERAGE.maxima if name != "last_us"]
    return rows.group_by("day", "hour", "node", "reason").agg(
        **{name: rows[name].sum().cast("int64") for name in COVERAGE.sums},
        **{name: rows[name].max().cast("int64") for name in slots},
    )


def coverage_frame(cluster: str, rows: pd.DataFrame) -> pd.DataFrame:
    """COVERAGE: one row per hour in which anything at all was heard or said about it."""
    slots = [name for name in COVERAGE.maxima if name != "last_us"]
    heard = rows["reason"].eq("") & rows["flows"].gt(0)
    node = rows["node"].where(heard)
    rows = rows.assign(
        seconds=_SECONDS_PER_SLOT * rows[slots].sum(axis=1),
        heard_node=node,
        flows=rows["flows"].where(rows["reason"].eq(""), 0),
        replies=rows["replies"].where(rows["reason"].eq(""), 0),
    )
    expected = rows.groupby("day")["heard_node"].nunique()
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
