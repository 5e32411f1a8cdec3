"""The frames beside EDGE_DAYS: owners and pods, lookups, routes, requests, coverage."""

from typing import Any

import ibis

from jobs.observations.clock import HOURS_PER_DAY
from jobs.observations.fold_keys import EDGE, LINK
from jobs.observations.fold_rows import within
from jobs.observations.schema import COVERAGE, EDGE_PODS, ENDPOINTS, IDENTITIES, LOOKUPS


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


def lookups_rows() -> Any:
    """LOOKUPS before its dtypes."""
    rows = within(LOOKUPS)
    zero, nowhere = ibis.literal(0, "int64"), ibis.null("string")
    rows = rows.mutate(
        asked=ibis.ifelse(rows.ip == "", rows.lookups, zero),
        address=ibis.ifelse(rows.ip == "", nowhere, rows.ip),
    )
    return rows.group_by("cluster", "subject", "name", "rcode").agg(
        lookups=rows.asked.sum().cast("int64"),
        addresses=rows.address.nunique(),
        days=rows.day.nunique(),
        first_us=rows.first_us.min(),
        last_us=rows.last_us.max(),
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
    """EDGE_PODS in halves, ``end`` says of which end: distinct pods, the first and the last by name."""
    rows = resolved_pods.filter((resolved_pods.aside == "") & ~resolved_pods.turned)
    return rows.group_by(*EDGE, "end").agg(
        pods=rows.pod.nunique(), pod_min=rows.pod.min(), pod_max=rows.pod.max()
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


def http_days(resolved_routes: Any) -> Any:
    """HTTP_DAYS before its dtypes: requests and responses of whichever end saw more of them."""
    r = resolved_routes.filter(
        (resolved_routes.aside == "") & ~resolved_routes.turned & (resolved_routes.l7_kind == "http")
    )
    zero = ibis.literal(0, "int64")
    measures = {
        "flows": ("flows", r.verdict != "l7_denied"),
        "l7_denied": ("flows", r.verdict == "l7_denied"),
        "answered": ("answered", r.flows >= 0),
        "failed": ("reset", r.flows >= 0),
    }
    keys = [name for name in EDGE if name != "icmp_type"]
    return r.group_by(*keys, "day", method=r.l7_method, route=r.l7_route).agg(
        hours=r.hours.bit_or(),
        **{
            name: ibis.greatest(
                *(
                    ibis.ifelse((r.side == side) & wanted, r[measure], zero).sum().cast("int64")
                    for side in ("subject", "peer")
                )
            )
            for name, (measure, wanted) in measures.items()
        },
    )


def route_rows(edge_rows: Any) -> Any:
    """Layer 7 rows with their routes, per link and day."""
    rows = edge_rows.filter(edge_rows.l7_kind != "")
    keys = [name for name in EDGE if name in rows.columns]
    hour_bit = ibis.literal(1, "int64") << (rows.hour % HOURS_PER_DAY)
    return rows.group_by("day", *keys, "oriented", "l7_kind", "l7_method", "l7_route", "verdict", "side").agg(
        flows=rows.flows.sum().cast("int64"),
        answered=rows.answered.sum().cast("int64"),
        reset=rows.reset.sum().cast("int64"),
        hours=ibis.ifelse(rows.flows > 0, hour_bit, ibis.literal(0, "int64")).bit_or(),
    )


def coverage_rows() -> Any:
    """Coverage per node and hour; two sources that deliver the same node listen once."""
    rows = within(COVERAGE)
    slots = [name for name in COVERAGE.maxima if name != "last_us"]
    return rows.group_by("day", "hour", "node", "reason").agg(
        **{name: rows[name].sum().cast("int64") for name in COVERAGE.sums},
        **{name: rows[name].max().cast("int64") for name in slots},
    )
