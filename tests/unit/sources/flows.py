"""Small Hubble flows, and what the readers make of bytes."""

import copy
import json
from functools import cache
from typing import Any

import duckdb

from jobs.observations.records import RECORDS
from jobs.sources.assemble import assemble
from jobs.sources.ranges import Block
from jobs.sources.reader import Part, Reader, Values
from jobs.sources.shape import VALUES, shape_of
from jobs.sources.splitter import Splitter

TIME = "2026-03-02T10:15:30.123456789Z"
TIME_US = 1_772_446_530_123_456


def flow(**changes: Any) -> dict[str, Any]:
    """One forwarded request from shop/frontend to shop/cart; ``None`` takes a member away."""
    made: dict[str, Any] = {
        "time": TIME,
        "uuid": "6f1c2d3e-0a1b-4c2d-8e3f-000000000001",
        "verdict": "FORWARDED",
        "IP": {"source": "10.244.1.17", "destination": "10.244.2.33", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 45678, "destination_port": 8080, "flags": {"SYN": True}}},
        "source": {
            "ID": 1417,
            "identity": 31001,
            "cluster_name": "prod",
            "namespace": "shop",
            "labels": ["k8s:app=frontend", "k8s:io.kubernetes.pod.namespace=shop"],
            "pod_name": "frontend-7c9d6b5f4-x2k8q",
            "workloads": [{"name": "frontend", "kind": "Deployment"}],
        },
        "destination": {
            "identity": 31002,
            "cluster_name": "prod",
            "namespace": "shop",
            "labels": ["k8s:app=cart", "k8s:io.kubernetes.pod.namespace=shop"],
            "pod_name": "cart-66f8c9d7b-pl4mz",
        },
        "Type": "L3_L4",
        "node_name": "prod/node-1",
        "event_type": {"type": 4, "sub_type": 3},
        "traffic_direction": "EGRESS",
        "trace_observation_point": "TO_STACK",
        "trace_reason": "NEW",
        "is_reply": False,
    } | copy.deepcopy(changes)
    return {key: value for key, value in made.items() if value is not None}


def many(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Flows that differ in uuid, time and client port."""
    flows = []
    for number in range(count):
        one = flow(**changes)
        one["uuid"] = f"6f1c2d3e-0a1b-4c2d-8e3f-{number:012d}"
        one["time"] = f"2026-03-02T10:15:{number // 1000 % 60:02d}.{number % 1000:03d}456789Z"
        one["l4"]["TCP"]["source_port"] = 30_000 + number % 30_000
        flows.append(one)
    return flows


def wrapped(one: dict[str, Any]) -> dict[str, Any]:
    """Return the flow as the exporter writes it."""
    return {"flow": one, "node_name": one.get("node_name", ""), "time": one.get("time", "")}


def lines(*values: Any) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)


@cache
def _reader() -> tuple[duckdb.DuckDBPyConnection, Reader]:
    """One connection for all tests of a process: making one costs more than most of what they read."""
    con = duckdb.connect()
    con.execute("SET threads = 1; SET preserve_insertion_order = false; SET timezone = 'UTC'")
    return con, Reader(con)


class Read:
    """Records, label sets and rejects that the readers make of some bytes."""

    def __init__(self, data: bytes, cluster: str | None = None, shape: str | None = None) -> None:
        con, reader = _reader()
        reader.clear()
        shape = shape or shape_of(data)
        if shape == VALUES:
            found = reader.read_values([Values(0, "test", list(Splitter().values([data])))])
        else:
            begun = reader.begin([Part(0, "test", Block(data), lambda: 0)], shape)
            if begun.anew:
                reader.forget()
            found = reader.finish(begun)
        con.register("kept", reader.fresh)
        assemble(con, cluster=cluster, source="test")
        self.rejects = [reject for _, reject in found]
        self.records = rows(
            con, f"SELECT {', '.join(RECORDS)} FROM templates JOIN taken USING (template) ORDER BY ALL"
        )
        self.answers = rows(con, "SELECT * FROM answers ORDER BY ALL")
        self.labels = rows(con, "SELECT * FROM label_sets ORDER BY ALL")
        kinds = "SELECT kind, count(*) FROM decoded JOIN kept USING (template) GROUP BY kind"
        self.kinds = dict(con.execute(kinds).fetchall())
        #: How many lines were decoded for all these records.
        self.decoded = len({row["template"] for row in rows(con, "SELECT template FROM kept")})

    @property
    def record(self) -> dict[str, Any]:
        """The only record."""
        assert len(self.records) == 1, (self.records, self.rejects)
        return self.records[0]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Line and reason of each reject."""
        return [(reject.line, reject.reason) for reject in self.rejects]


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Rows of a query as mappings."""
    return con.sql(query).to_arrow_table().to_pylist()
