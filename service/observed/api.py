"""REST: what was observed."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from jobs.observations.clock import moment, moment_if_any
from service.dependencies import DEFAULT_LIMIT, Cursor, Limit, NameQuery, PortolanDep
from service.observed import queries
from service.observed.queries import EDGE_ORDER, Where
from service.paging import decode_cursor, encode_cursor
from service.problems import PROBLEM_RESPONSES

router = APIRouter(tags=["observed"], responses=PROBLEM_RESPONSES)


class AstrayOut(BaseModel):
    """Flows of one node whose time cannot be right."""

    node: str = Field(description="Empty where the records name none")
    flows: int
    first_seen: datetime
    last_seen: datetime


class ClusterOut(BaseModel):
    """A cluster that flows came from."""

    name: str
    first_seen: datetime
    last_seen: datetime
    window_end: datetime = Field(description="Where windows end unless a request says otherwise")
    astray: list[AstrayOut] = Field(
        description="Flows dated in the future, or far from all others: they end no window"
    )
    nodes: int
    flows: int
    lost_events: int
    rejects: int
    skipped: int


class ClusterList(BaseModel):
    """Observed clusters."""

    items: list[ClusterOut]


class NamespaceOut(BaseModel):
    """An observed namespace."""

    cluster: str
    name: str
    workloads: int
    flows: int
    first_seen: datetime
    last_seen: datetime


class NamespaceList(BaseModel):
    """Observed namespaces."""

    items: list[NamespaceOut]


class WorkloadOut(BaseModel):
    """An observed workload."""

    cluster: str
    namespace: str
    name: str = Field(description="Name of the owner; a label-set key where no record named one")
    kind: str
    labels: list[str]
    label_sets: int
    flows: int
    first_seen: datetime
    last_seen: datetime


class WorkloadPage(BaseModel):
    """Part of the list of workloads."""

    items: list[WorkloadOut]
    next_cursor: str | None


class EdgeOut(BaseModel):
    """An edge as observed: many flows between a subject and a peer."""

    cluster: str
    namespace: str
    workload: str
    subject: str = Field(description="Label-set key")
    direction: str
    peer_kind: str
    peer: str
    peer_namespace: str
    peer_workload: str
    peer_names: list[str]
    protocol: str
    port: int = Field(description="-1 where the protocol has none")
    icmp_type: int
    verdicts: list[str]
    flows: int
    connections: int
    answered: int
    days: int
    hours: int
    first_seen: datetime | None = Field(description="First request; null where only replies were recorded")
    last_seen: datetime | None = Field(description="Last request; null where only replies were recorded")


class EdgePage(BaseModel):
    """Part of the list of edges."""

    items: list[EdgeOut]
    next_cursor: str | None


def _times(row: dict[str, Any]) -> dict[str, Any]:
    return {"first_seen": moment(row.pop("first_us")), "last_seen": moment(row.pop("last_us"))}


@router.get("/clusters", summary="List observed clusters")
def list_clusters(portolan: PortolanDep) -> ClusterList:
    """Clusters that flows came from, and how well they were listened to."""
    found = portolan.observed_clusters()
    return ClusterList(
        items=[
            ClusterOut(
                **{name: getattr(cluster, name) for name in ClusterOut.model_fields if name != "astray"},
                astray=[AstrayOut(**asdict(one)) for one in cluster.astray],
            )
            for cluster in found
        ]
    )


@router.get("/namespaces", summary="List observed namespaces")
def list_namespaces(portolan: PortolanDep, cluster: NameQuery = None) -> NamespaceList:
    """Namespaces that a pod was seen in."""
    rows = queries.namespaces(portolan.store, cluster)
    return NamespaceList(
        items=[NamespaceOut(name=row.pop("namespace"), **_times(row), **row) for row in rows]
    )


@router.get("/workloads", summary="List observed workloads")
def list_workloads(
    *,
    portolan: PortolanDep,
    cluster: NameQuery = None,
    namespace: NameQuery = None,
    q: Annotated[NameQuery, Query(description="Part of a name")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> WorkloadPage:
    """Workloads that were seen, by namespace and name."""
    after = None if cursor is None else decode_cursor(cursor, str, str, str, str)
    where = Where(cluster=cluster, namespace=namespace, text=q)
    rows = queries.workloads(portolan.store, where, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    order = ("cluster", "namespace", "workload", "workload_kind")
    next_cursor = encode_cursor(*(last[column] for column in order)) if last else None
    items = [
        WorkloadOut(
            name=row.pop("workload"),
            kind=row.pop("workload_kind"),
            labels=orjson.loads(row.pop("labels") or "[]"),
            **_times(row),
            **row,
        )
        for row in rows[:limit]
    ]
    return WorkloadPage(items=items, next_cursor=next_cursor)


@router.get("/edges", summary="List observed edges")
def list_edges(
    *,
    portolan: PortolanDep,
    cluster: NameQuery = None,
    namespace: NameQuery = None,
    workload: NameQuery = None,
    direction: Literal["ingress", "egress"] | None = None,
    peer_kind: Literal["endpoint", "entity", "ip", "service", "unresolved"] | None = None,
    protocol: Annotated[NameQuery, Query(examples=["TCP"])] = None,
    port: Annotated[int | None, Query(ge=-1, le=65535)] = None,
    verdict: Annotated[NameQuery, Query(examples=["forwarded"])] = None,
    since: Annotated[date | None, Query(description="First day, UTC")] = None,
    until: Annotated[date | None, Query(description="Last day, UTC")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> EdgePage:
    """Edges as observed, before learning orients, names and screens them."""
    types = (*(str for _ in EDGE_ORDER[:-2]), int, int)
    where = Where(
        cluster=cluster,
        namespace=namespace,
        workload=workload,
        direction=direction,
        peer_kind=peer_kind,
        protocol=protocol,
        port=port,
        verdict=verdict,
        first_day=since.isoformat() if since else None,
        last_day=until.isoformat() if until else None,
    )
    after = None if cursor is None else decode_cursor(cursor, *types)
    rows = queries.edges(portolan.store, where, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    next_cursor = encode_cursor(*(last[column] for column in EDGE_ORDER)) if last else None
    items = [
        EdgeOut(
            peer_names=sorted(set((row.pop("peer_names") or "").split(",")) - {""}),
            first_seen=moment_if_any(row.pop("first_us")),
            last_seen=moment_if_any(row.pop("last_us")),
            **row,
        )
        for row in rows[:limit]
    ]
    return EdgePage(items=items, next_cursor=next_cursor)
