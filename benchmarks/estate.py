"""
A made-up estate as observation tables, as an ingest and the nightly compaction leave them.

One row per edge, hour and end that saw it. Two edges in five talk all day, the others through office hours
or once a night; most show on every day.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.observations.schema import BY_NAME, arrow_schema
from jobs.observations.store import ObservationStore

START = datetime(2026, 3, 2, tzinfo=UTC)
CLUSTER = "bench"
NAMESPACES = 30
NODES = 10
PODS = 3  # of a workload
LINK = ("subject", "direction", "peer_kind", "peer", "port")
PORTS = (80, 443, 5432, 6379, 8080, 8443, 9090, 9102)
OUTSIDE = 0.2  # share of contacts that lead out of the cluster
NAMED = 0.5  # of those, the share whose name the flow itself says; lookups say the others
ALL_DAY, OFFICE = 0.4, 0.3  # shares of edges; the rest talks once a night
OFFICE_HOURS = range(8, 18)
ALWAYS = 0.8  # share of edges that show on every day; the others on a share of days of their own
ANSWERED = 0.97
US_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Estate:
    """How large."""

    workloads: int = 300
    edges: int = 20_000
    days: int = 14

    @property
    def end(self) -> datetime:
        """First moment after the last day."""
        return START + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class _Workload:
    number: int
    namespace: str
    labels: str
    key: str

    def pod(self, replica: int) -> str:
        return f"service-{self.number}-7c9d6b5f4-{replica:05d}"

    def address(self, replica: int) -> str:
        return f"10.{self.number >> 8}.{self.number & 255}.{replica + 2}"


def _workload(number: int) -> _Workload:
    namespace = f"team-{number % NAMESPACES}"
    texts = sorted(
        [
            f"k8s:app.kubernetes.io/name=service-{number}",
            f"k8s:app.kubernetes.io/part-of=product-{number % 7}",
            f"k8s:app.kubernetes.io/version=1.{number % 5}.0",
            f"k8s:io.kubernetes.pod.namespace={namespace}",
            f"k8s:io.cilium.k8s.policy.cluster={CLUSTER}",
            f"k8s:io.cilium.k8s.policy.serviceaccount=service-{number}",
        ]
    )
    labels = json.dumps(texts, separators=(",", ":"))
    return _Workload(number, namespace, labels, hashlib.blake2b(labels.encode(), digest_size=8).hexdigest())


class _Edges:
    """Distinct edges as columns: a contact inside the cluster is one of its client and one of its server."""

    def __init__(self, estate: Estate, workloads: list[_Workload], seed: int) -> None:
        rng = random.Random(seed)
        # Name by subject, direction, peer, address and port.
        found: dict[tuple[int, str, int, str, int], str] = {}
        while len(found) < estate.edges:
            client = rng.randrange(len(workloads))
            if rng.random() < OUTSIDE:
                site = rng.randrange(400)
                address = f"52.{site // 200}.{site % 200}.{rng.randrange(1, 4)}"
                found[client, "egress", -1, address, 443] = f"api-{site}.example.com"
                continue
            server, port = rng.randrange(len(workloads)), rng.choice(PORTS)
            found[client, "egress", server, "", port] = ""
            found[server, "ingress", client, "", port] = ""
        rows = sorted(found)[: estate.edges]
        keys = [workload.key for workload in workloads]
        self.subject_number = np.array([row[0] for row in rows])
        self.peer_number = np.array([row[2] for row in rows])
        self.inside = self.peer_number >= 0
        self.subject = pa.array([keys[row[0]] for row in rows])
        self.direction = pa.array([row[1] for row in rows])
        self.peer_kind = pa.array(["endpoint" if row[2] >= 0 else "ip" for row in rows])
        self.peer = pa.array([keys[row[2]] if row[2] >= 0 else row[3] for row in rows])
        self.port = pa.array([row[4] for row in rows], pa.int32())
        self.name = pa.array([found[row] for row in rows])
        draw = np.random.default_rng(seed)
        count = len(rows)
        self.said = draw.random(count) < NAMED
        self.answered = draw.random(count) < ANSWERED
        self.presence = np.where(draw.random(count) < ALWAYS, 1.0, draw.random(count))
        habit, night = draw.random(count), draw.integers(0, 24, count)
        hours = np.arange(24)
        office = np.isin(hours, OFFICE_HOURS)
        self.hours = (
            (habit < ALL_DAY)[:, None]
            | ((habit < ALL_DAY + OFFICE)[:, None] & office[None, :])
            | (hours[None, :] == night[:, None])
        )
        self.hours[(habit >= ALL_DAY) & (habit < ALL_DAY + OFFICE)] = office


def _table(name: str, count: int, columns: dict[str, Any]) -> Any:
    """Arrow table of an observation table; what is not given is empty, and numbers 0."""
    empty: dict[str, Any] = {"string": "", "boolean": False}
    made = []
    for column, kind in BY_NAME[name].columns.items():
        value = columns.get(column, empty.get(kind, 0))
        field = arrow_schema(name).field(column).type
        if isinstance(value, str | int | bool):
            made.append(pa.repeat(pa.scalar(value, field), count))
        else:
            made.append(pa.array(value, field) if isinstance(value, list | np.ndarray) else value.cast(field))
    return pa.table(made, schema=arrow_schema(name))


def write(store: ObservationStore, estate: Estate, seed: int = 1) -> int:
    """Fill an empty store, one batch per day, and say how many edge-days there are."""
    workloads = [_workload(number) for number in range(estate.workloads)]
    edges = _Edges(estate, workloads, seed)
    draw = np.random.default_rng(seed + 1)
    shown = 0
    with store.writing() as writer:
        for day in range(estate.days):
            alive = np.flatnonzero(draw.random(estate.edges) < edges.presence)
            shown += len(alive)
            writer.commit(writer.next_batch(), _day(day, alive, edges, workloads))
    return shown


def _day(day: int, alive: Any, edges: _Edges, workloads: list[_Workload]) -> dict[str, Any]:
    began = START + timedelta(days=day)
    name, first_hour = f"{began:%Y-%m-%d}", int(began.timestamp()) // 3600
    common = {"day": name, "cluster": CLUSTER}
    at, hour = np.nonzero(edges.hours[alive])
    number = alive[at]
    both = np.concatenate([number, number[edges.inside[number]]])  # what is inside is seen at both ends
    hours = first_hour + np.concatenate([hour, hour[edges.inside[number]]])
    own = np.arange(len(both)) < len(number)
    take = pa.array(both)
    said = edges.said[both]
    edge_rows = {
        **common,
        "hour": hours,
        **{field: getattr(edges, field).take(take) for field in LINK},
        "peer_names": _where(said, edges.name.take(take)),
        "protocol": "TCP",
        "icmp_type": -1,
        "side": _where(own, "subject", "peer"),
        "oriented": "known",
        "verdict": "forwarded",
        "flows": 40,
        "connections": 40,
        "answered": np.where(edges.answered[both], 40, 0),
        "trace_events": 40,
        "first_us": hours * US_PER_HOUR + both % 1_000_000,
        "client_port_min": 32_768,
        "sample": [f"{edge:08x}-0a1b-4c2d-8e3f-{hour:012x}" for edge, hour in zip(both, hours, strict=True)],
        "last_us": (hours + 1) * US_PER_HOUR - 1 - both % 1_000_000,
        "client_port_max": 60_999,
    }
    return {
        "edges": _table("edges", len(both), edge_rows),
        "edge_pods": _pods_of_edges(common, alive, edges, workloads),
        "identities": _identities(common, first_hour, workloads),
        "endpoints": _endpoints(common, first_hour, workloads),
        "lookups": _lookups(common, number, first_hour + hour, edges),
        "coverage": _coverage(common, first_hour),
    }


def _where(condition: Any, left: Any, right: Any = "") -> Any:
    return pc.if_else(pa.array(condition), left, right)


def _pods_of_edges(common: dict[str, Any], alive: Any, edges: _Edges, workloads: list[_Workload]) -> Any:
    number, replica = np.repeat(alive, PODS), np.tile(np.arange(PODS), len(alive))
    take = pa.array(number)
    names = pa.array([workload.pod(one) for workload in workloads for one in range(PODS)] + [""])
    peer = edges.peer_number[number]
    columns = {
        **common,
        **{field: getattr(edges, field).take(take) for field in LINK},
        "protocol": "TCP",
        "icmp_type": -1,
        "subject_pod": names.take(pa.array(edges.subject_number[number] * PODS + replica)),
        "peer_pod": names.take(pa.array(np.where(peer >= 0, peer * PODS + replica, len(names) - 1))),
        "flows": 100,
    }
    return _table("edge_pods", len(number), columns)


def _identities(common: dict[str, Any], first_hour: int, workloads: list[_Workload]) -> Any:
    columns = {
        **common,
        "label_key": [workload.key for workload in workloads],
        "labels": [workload.labels for workload in workloads],
        "namespace": [workload.namespace for workload in workloads],
        "workload": [f"service-{workload.number}" for workload in workloads],
        "workload_kind": "Deployment",
        "flows": 1000,
        "first_us": first_hour * US_PER_HOUR,
        "last_us": (first_hour + 24) * US_PER_HOUR - 1,
    }
    return _table("identities", len(workloads), columns)


def _endpoints(common: dict[str, Any], first_hour: int, workloads: list[_Workload]) -> Any:
    ends = [(workload, replica) for workload in workloads for replica in range(PODS)]
    columns = {
        **common,
        "ip": [workload.address(replica) for workload, replica in ends],
        "label_key": [workload.key for workload, _ in ends],
        "namespace": [workload.namespace for workload, _ in ends],
        "pod": [workload.pod(replica) for workload, replica in ends],
        "workload": [f"service-{workload.number}" for workload, _ in ends],
        "workload_kind": "Deployment",
        "flows": 300,
        "first_us": first_hour * US_PER_HOUR,
        "last_us": (first_hour + 24) * US_PER_HOUR - 1,
    }
    return _table("endpoints", len(ends), columns)


def _lookups(common: dict[str, Any], number: Any, hours: Any, edges: _Edges) -> Any:
    """Answers that led to the addresses: a row that counts, and one that says which address."""
    out = ~edges.inside[number]
    number, hours = np.tile(number[out], 2), np.tile(hours[out], 2)
    take = pa.array(number)
    counting = np.arange(len(number)) < len(number) // 2
    columns = {
        **common,
        "hour": hours,
        "subject": edges.subject.take(take),
        "name": edges.name.take(take),
        "qtypes": _where(counting, "A"),
        "ip": _where(~counting, edges.peer.take(take)),
        "lookups": counting.astype(np.int64),
        "first_us": hours * US_PER_HOUR,
        "ttl_min": 60,
        "last_us": hours * US_PER_HOUR + US_PER_HOUR - 1,
        "ttl_max": 60,
    }
    return _table("lookups", len(number), columns)


def _coverage(common: dict[str, Any], first_hour: int) -> Any:
    hours = np.repeat(np.arange(first_hour, first_hour + 24), NODES)
    columns = {
        **common,
        "hour": hours,
        "source": "file",
        "node": [f"node-{number}" for number in range(NODES)] * 24,
        "flows": 50_000,
        "records": 50_000,
        "replies": 45_000,
        "first_us": hours * US_PER_HOUR,
        "last_us": (hours + 1) * US_PER_HOUR - 1,
        **{f"m{minute:02d}": 1 for minute in range(0, 60, 5)},
    }
    return _table("coverage", len(hours), columns)
