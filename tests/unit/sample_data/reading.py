"""A second, plain reading of flow records into edges, written apart from the generator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml
import zstandard


class SeenEdge(NamedTuple):
    """An edge as its subject's node reported it; ``peer`` is a workload, an entity or an address."""

    subject: str
    direction: str
    kind: str
    peer: str
    protocol: str
    port: int
    icmp_type: int | None


def load_truth(path: Path) -> dict[str, Any]:
    """The truth file, read with the fastest safe loader there is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def lines_of(path: Path) -> list[bytes]:
    """The lines of a packed file; the last one may be torn."""
    return zstandard.ZstdDecompressor().decompress(path.read_bytes()).splitlines(keepends=True)


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """All whole records of all files."""
    for path in sorted(folder.glob("*.jsonl.zst")):
        for line in lines_of(path):
            if line.endswith(b"\n"):
                yield orjson.loads(line)


class EdgeReader:
    """Turns flows into edges; owners of remote pods are learned from what their own nodes said."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], str] = {}
        self._pending: dict[tuple[Any, ...], set[str]] = {}

    def add(self, flow: dict[str, Any]) -> None:
        """Note the edge of one flow, if it is one."""
        for end in (flow["source"], flow["destination"]):
            if end.get("workloads"):
                owner = f"{end['namespace']}/{end['workloads'][0]['name']}"
                self._owners[end["namespace"], end["pod_name"]] = owner
        labels = flow["source"].get("labels", []) + flow["destination"].get("labels", [])
        if flow["Type"] == "SOCK" or "reserved:health" in labels or flow["IP"]["ipVersion"] == "IPv6":
            return
        direction = flow.get("traffic_direction")
        if direction is None:
            return
        client, server = flow["source"], flow["destination"]
        client_ip, server_ip = flow["IP"]["source"], flow["IP"]["destination"]
        (protocol, l4), reply = next(iter(flow["l4"].items())), flow.get("is_reply") is True
        port = l4.get("source_port" if reply else "destination_port", 0)
        if reply:
            client, server, client_ip, server_ip = server, client, server_ip, client_ip
        egress = direction == "EGRESS"
        subject, peer, peer_ip = (client, server, server_ip) if egress else (server, client, client_ip)
        icmp = 8 if protocol.startswith("ICMP") else None
        names = flow.get("source_names" if reply else "destination_names", [])
        key = (
            (subject["namespace"], subject["pod_name"]),
            direction.lower(),
            _peer(peer, peer_ip),
            protocol,
            port,
            icmp,
        )
        self._pending.setdefault(key, set()).update(names)

    def edges(self) -> dict[SeenEdge, set[str]]:
        """Every edge seen, with the names its peer went by."""
        found: dict[SeenEdge, set[str]] = {}
        for (subject, direction, (kind, peer), protocol, port, icmp), names in self._pending.items():
            shown = self._owners[peer] if kind == "endpoint" else peer
            edge = SeenEdge(self._owners[subject], direction, kind, shown, protocol, port, icmp)
            found.setdefault(edge, set()).update(names)
        return found


def _peer(end: dict[str, Any], ip: str) -> tuple[str, Any]:
    if "pod_name" in end:
        return "endpoint", (end["namespace"], end["pod_name"])
    for entity in ("kube-apiserver", "host", "remote-node"):
        if f"reserved:{entity}" in end["labels"]:
            return "entity", entity
    return "world", ip


def match_truth(truth: list[dict[str, Any]], seen: dict[SeenEdge, set[str]]) -> tuple[list[Any], list[Any]]:
    """Edges seen that the truth lacks, and edges of the truth that were not seen."""
    exact: dict[SeenEdge, int] = {}
    outside: dict[tuple[Any, ...], list[int]] = {}
    for number, row in enumerate(truth):
        peer, icmp = row["peer"], row.get("icmp_type")
        shared = (row["subject"], row["direction"])
        rest = (row["protocol"], row["port"], icmp)
        if peer["kind"] == "endpoint":
            exact[SeenEdge(*shared, "endpoint", peer["workload"], *rest)] = number
        elif peer["kind"] == "entity" and peer["entity"] != "world":
            exact[SeenEdge(*shared, "entity", peer["entity"], *rest)] = number
        else:
            outside.setdefault((*shared, *rest), []).append(number)
    unknown, met = [], set()
    for edge, names in seen.items():
        if edge.kind != "world":
            met.add(exact.get(edge, -1))
            unknown += [edge] if edge not in exact else []
            continue
        rows = outside.get((edge.subject, edge.direction, edge.protocol, edge.port, edge.icmp_type), [])
        fitting = [number for number in rows if _covers(truth[number]["peer"], edge.peer)]
        met.update(fitting)
        told = {truth[number]["peer"].get("name") for number in fitting}
        if not fitting or not names <= told:
            unknown.append((edge, sorted(names)))
    return unknown, [row for number, row in enumerate(truth) if number not in met]


def _covers(peer: dict[str, Any], ip: str) -> bool:
    return peer["kind"] == "entity" or ip in peer["addresses"]
