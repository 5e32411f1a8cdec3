"""Flow records for tests: two ends, one packet, everything else as Hubble would fill it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from jobs.observations.engine import batch_tables
from jobs.observations.fold import fold
from jobs.observations.records import ANSWERS, LABEL_SETS, NOTICES, RECORDS, TAKEN, TEMPLATES
from jobs.observations.store import ObservationStore
from models.domain.window import Window
from models.frames import Observations

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=14))
CLUSTER = "aks"
_ARROW = {"string": pa.string(), "int32": pa.int32(), "int64": pa.int64(), "boolean": pa.bool_()}
_numbers = count(1)


@dataclass(frozen=True)
class End:
    """One end of a packet; ``key`` doubles as its readable label key."""

    key: str
    ip: str
    pod: str = ""
    namespace: str = ""
    workload: str = ""
    kind: str = "Deployment"
    entity: str = ""
    labels: str = "[]"
    identity: int = 1000

    def as_world(self) -> "End":
        """The same address before its identity had arrived."""
        return End("world", self.ip, entity="world", labels='["reserved:world"]', identity=2)

    def nameless(self) -> "End":
        """The same address with nothing known about it."""
        return End("", self.ip, identity=0)


def pod(name: str, ip: str, *, key: str = "", namespace: str = "shop", **more: Any) -> End:
    """A pod; its label key is its workload unless told otherwise."""
    key = key or name.rsplit("-", 1)[0]
    labels = f'["k8s:app={key}","k8s:io.kubernetes.pod.namespace={namespace}"]'
    return End(key, ip, name, namespace, key, labels=labels, **more)


def reserved(entity: str, ip: str, **more: Any) -> End:
    """A node, the API server, or whatever else has a reserved label."""
    return End(entity, ip, entity=entity, labels=f'["reserved:{entity}"]', **{"identity": 1} | more)


def world(ip: str, **more: Any) -> End:
    """An address outside the cluster."""
    return replace(End("world", ip, entity="world", labels='["reserved:world"]', identity=2), **more)


WEB = pod("web-1", "10.0.0.1")
WEB2 = pod("web-2", "10.0.0.2")
API = pod("api-1", "10.0.0.11")
DNS = pod("coredns-1", "10.0.0.53", namespace="kube-system")
HOST = reserved("host", "10.9.0.4")
NODE = reserved("remote-node", "10.9.0.5", identity=6)
APISERVER = reserved("kube-apiserver", "20.1.2.3", identity=7)
OUTSIDE = world("203.0.113.7")


def at(minutes: float = 0, *, days: int = 0) -> int:
    """Microseconds of a moment in the window, from its second hour on."""
    return int((START + timedelta(days=days, hours=1, minutes=minutes)).timestamp()) * 1_000_000


def flow(
    src: End,
    dst: End,
    dport: int | None = 8080,
    sport: int | None = 40001,
    *,
    protocol: str = "TCP",
    is_reply: bool | None = False,
    seen_at: str = "src",  # src | dst | ""
    event: int = 4,
    flags: str | None = "S",  # None: no flags in the record
    time: int | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One record as a source hands it over."""
    tcp = protocol == "TCP" and flags is not None
    direction = ""
    if seen_at:
        egress = (seen_at == "src") != bool(is_reply)
        direction = "EGRESS" if egress else "INGRESS"
    number = next(_numbers)
    record: dict[str, Any] = dict.fromkeys((n for n, kind in RECORDS.items() if kind == "string"), "")
    record |= {
        "cluster": CLUSTER,
        "source": "file",
        "node": "node-1",
        "time_us": at() if time is None else time,
        "uuid": f"{number:08d}",
        "weight": 1,
        "aggregated": False,
        "verdict": "FORWARDED",
        "event_type": event,
        "event_sub_type": 0,
        "direction": direction,
        "is_reply": is_reply,
        "protocol": protocol,
        "src_port": sport,
        "dst_port": dport,
        "icmp_type": None,
        "syn": "S" in (flags or "") if tcp else None,
        "ack": "A" in (flags or "") if tcp else None,
        "rst": "R" in (flags or "") if tcp else None,
        "fin": "F" in (flags or "") if tcp else None,
        "dns_rcode": None,
        "dns_ttl": None,
        "http_code": None,
    }
    for side, end, local in (("src", src, seen_at == "src"), ("dst", dst, seen_at == "dst")):
        record |= {
            f"{side}_ip": end.ip,
            f"{side}_id": 77 if local else 0,
            f"{side}_identity": end.identity,
            f"{side}_namespace": end.namespace,
            f"{side}_key": end.key,
            f"{side}_pod": end.pod,
            f"{side}_workload": end.workload if local else "",
            f"{side}_workload_kind": end.kind if local and end.workload else "",
        }
    record |= fields
    record["_sets"] = {end.key: end for end in (src, dst)}
    return record


def answer_to(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The packet that comes back: ends swapped, seen at the same end."""
    back = dict(record)
    for name in list(record):
        if name.startswith("src_"):
            other = "dst_" + name[4:]
            back[name], back[other] = record[other], record[name]
    number = next(_numbers)
    back |= {
        "is_reply": True,
        "uuid": f"{number:08d}",
        "time_us": record["time_us"] + 1000,
        "trace_reason": "REPLY",
        "event_type": 4,
        "src_names": "",
        "dst_names": "",
    }
    if record["protocol"] == "TCP" and record["syn"] is not None:
        back |= {"syn": record["syn"], "ack": True, "rst": False, "fin": False}
    return back | fields


def dns_answer(client: End, name: str, ip: str, *, ttl: int = 60, time: int | None = None) -> dict[str, Any]:
    """One address in an answer."""
    return {
        "cluster": CLUSTER,
        "node": "node-1",
        "time_us": at() if time is None else time,
        "client_key": client.key,
        "client_namespace": client.namespace,
        "client_pod": client.pod,
        "dns_query": name,
        "ip": ip,
        "dns_ttl": ttl,
    }


def lookup(client: End, name: str, *, rcode: int = 0, time: int | None = None) -> dict[str, Any]:
    """The response record of a question, as the DNS proxy of the client logs it."""
    return flow(
        DNS,
        client,
        40001,
        53,
        protocol="UDP",
        is_reply=True,
        seen_at="dst",
        event=129,
        time=time,
        l7_kind="dns",
        l7_type="RESPONSE",
        dns_query=name,
        dns_qtypes="A",
        dns_rcode=rcode,
    )


def notice(kind: str, number: int, *, node: str = "node-1", time: int | None = None) -> dict[str, Any]:
    """A coverage fact that is no flow."""
    return {
        "cluster": CLUSTER,
        "source": "file",
        "node": node,
        "time_us": at() if time is None else time,
        "kind": kind,
        "reason": "",
        "count": number,
    }


def arrow(rows: Iterable[dict[str, Any]], columns: dict[str, str]) -> pa.Table:
    """Rows as an Arrow table of exactly these columns."""
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    return pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows], schema=schema)


def inputs(
    records: Iterable[dict[str, Any]],
    answers: Iterable[dict[str, Any]] = (),
    notices: Iterable[dict[str, Any]] = (),
) -> dict[str, pa.Table]:
    """The input tables of one batch; every record is a template of its own."""
    records = [record | {"template": number} for number, record in enumerate(records)]
    ends: dict[str, End] = {}
    for record in records:
        ends |= record["_sets"]
    sets = [
        {
            "label_key": key,
            "labels": end.labels,
            "namespace": end.namespace,
            "cluster_label": "",
            "entity": end.entity,
        }
        for key, end in sorted(ends.items())
        if key
    ]
    return {
        "templates": arrow(records, TEMPLATES),
        "taken": arrow(records, TAKEN),
        "answers": arrow(answers, ANSWERS),
        "label_sets": arrow(sets, LABEL_SETS),
        "notices": arrow(notices, NOTICES),
    }


def tables_of(
    records: Iterable[dict[str, Any]],
    answers: Iterable[dict[str, Any]] = (),
    notices: Iterable[dict[str, Any]] = (),
) -> dict[str, pa.Table]:
    """Hourly tables of one batch."""
    with duckdb.connect() as con:
        for name, table in inputs(records, answers, notices).items():
            con.register(name, table)
        return batch_tables(con)


def observe(
    folder: Path,
    records: Iterable[dict[str, Any]],
    answers: Iterable[dict[str, Any]] = (),
    notices: Iterable[dict[str, Any]] = (),
    *,
    batches: int = 1,
    window: Window = WINDOW,
) -> Observations:
    """Commit the records in so many batches to a new store, and fold the window."""
    records, answers, notices = list(records), list(answers), list(notices)
    store = ObservationStore(folder)
    with store.writing() as writer:
        for number in range(batches):
            part = slice(number, None, batches)
            writer.commit(writer.next_batch(), tables_of(records[part], answers[part], notices[part]))
    return fold(store, CLUSTER, window)


def edge(observed: Observations, subject: End, direction: str, peer: str, port: int = -1) -> dict[str, Any]:
    """The only edge-day with this key; fails when there is none or more than one."""
    found = edges(observed, subject, direction, peer, port)
    assert len(found) == 1, observed.edge_days.to_string()
    return found[0]


def edges(
    observed: Observations, subject: End, direction: str, peer: str | None = None, port: int | None = None
) -> list[dict[str, Any]]:
    """Edge-days of a subject, as dictionaries."""
    rows = observed.edge_days
    rows = rows[(rows["subject"] == subject.key) & (rows["direction"] == direction)]
    if peer is not None:
        rows = rows[rows["peer"] == peer]
    if port is not None:
        rows = rows[rows["port"] == port]
    return rows.to_dict("records")


def set_aside(observed: Observations) -> dict[str, int]:
    """Flows set aside, by reason."""
    rows = observed.set_aside
    return dict(zip(rows["reason"], rows["flows"], strict=True))
