"""A second, plain reading of flow records into edges, written apart from the generator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml
import zstandard

Sighting = tuple[tuple[str, ...], tuple[str, ...], str]  # labels of subject and peer, peer's address


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
        self._names: dict[tuple[Any, ...], set[str]] = {}
        self._sightings: dict[tuple[Any, ...], set[Sighting]] = {}

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
        self._names.setdefault(key, set()).update(names)
        seen = (tuple(subject["labels"]), tuple(peer.get("labels", ())), peer_ip)
        self._sightings.setdefault(key, set()).add(seen)

    def edges(self) -> dict[SeenEdge, set[str]]:
        """Every edge seen, with the names its peer went by."""
        found: dict[SeenEdge, set[str]] = {}
        for key, names in self._names.items():
            found.setdefault(self._edge(key), set()).update(names)
        return found

    def sightings(self) -> dict[SeenEdge, list[Sighting]]:
        """Every edge seen, with the labels of both ends and the peer's address, each way it occurred."""
        found: dict[SeenEdge, set[Sighting]] = {}
        for key, seen in self._sightings.items():
            found.setdefault(self._edge(key), set()).update(seen)
        return {edge: sorted(seen) for edge, seen in sorted(found.items(), key=str)}

    def _edge(self, key: tuple[Any, ...]) -> SeenEdge:
        subject, direction, (kind, peer), protocol, port, icmp = key
        shown = self._owners[peer] if kind == "endpoint" else peer
        return SeenEdge(self._owners[subject], direction, kind, shown, protocol, port, icmp)


def _peer(end: dict[str, Any], ip: str) -> tuple[str, Any]:
    if "pod_name" in end:
        return "endpoint", (end["namespace"], end["pod_name"])
    for entity in ("kube-apiserver", "host", "remote-node"):
        if f"reserved:{entity}" in end["labels"]:
            return "entity", entity
    return "world", ip


class TruthIndex:
    """Finds the rows of the truth that an edge seen in the records belongs to."""

    def __init__(self, truth: list[dict[str, Any]]) -> None:
        self.truth = truth
        self._exact: dict[SeenEdge, int] = {}
        self._outside: dict[tuple[Any, ...], list[int]] = {}
        for number, row in enumerate(truth):
            peer = row["peer"]
            shared, rest = (
                (row["subject"], row["direction"]),
                (row["protocol"], row["port"], row.get("icmp_type")),
            )
            if peer["kind"] == "endpoint":
                self._exact[SeenEdge(*shared, "endpoint", peer["workload"], *rest)] = number
            elif peer["kind"] == "entity" and peer["entity"] != "world":
                self._exact[SeenEdge(*shared, "entity", peer["entity"], *rest)] = number
            else:
                self._outside.setdefault((*shared, *rest), []).append(number)

    def rows(self, edge: SeenEdge) -> list[int]:
        """Numbers of the fitting rows; more than one where names share an address."""
        if edge.kind != "world":
            return [self._exact[edge]] if edge in self._exact else []
        rows = self._outside.get((edge.subject, edge.direction, edge.protocol, edge.port, edge.icmp_type), [])
        return [number for number in rows if _covers(self.truth[number]["peer"], edge.peer)]

    def compare(self, seen: dict[SeenEdge, set[str]]) -> tuple[list[Any], list[Any]]:
        """Edges seen that the truth lacks, and rows of the truth that were not seen."""
        unknown: list[Any] = []
        met: set[int] = set()
        for edge, names in seen.items():
            fitting = self.rows(edge)
            met.update(fitting)
            told = {self.truth[number]["peer"].get("name") for number in fitting}
            if not fitting or not names <= told:
                unknown.append((edge, sorted(names)))
        return unknown, [row for number, row in enumerate(self.truth) if number not in met]


def _covers(peer: dict[str, Any], ip: str) -> bool:
    return peer["kind"] == "entity" or ip in peer["addresses"]
