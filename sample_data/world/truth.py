"""
What really happened, as edges: the yardstick for everything that learns from the records.

Counts are of the world, not of the records: what fell into an exporter's gap still happened.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from sample_data.world.nouns import ATTACK, CLASSES, LEGITIMATE, Dependency, World
from sample_data.world.pods import Cluster, Node, Pod
from sample_data.world.traffic import NANOSECONDS, Address, Connection, Event, Lookup, Side

EdgeKey = tuple[str, str, str, str, str, int, int]


class MixedEdgeError(ValueError):
    """Two dependencies of different class share an edge: no truth could be told about it."""


@dataclass
class Edge:
    """One edge from its subject's point of view."""

    subject: str
    direction: str
    peer: dict[str, object]
    protocol: str
    port: int
    icmp_type: int | None
    label: str
    kinds: dict[str, str] = field(default_factory=dict)  # kind -> why
    outcomes: dict[str, int] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    first: int = 0
    last: int = 0
    review: bool = False

    def add(self, at: int, outcome: str) -> None:
        """Count one connection."""
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)
        self.days.add(_stamp(at)[:10])
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def row(self) -> dict[str, object]:
        """The edge as the truth file shows it."""
        peer = dict(self.peer)
        if self.addresses:
            peer["addresses"] = sorted(self.addresses)
        row: dict[str, object] = {"subject": self.subject, "direction": self.direction, "peer": peer}
        row |= {"protocol": self.protocol, "port": self.port}
        if self.icmp_type is not None:
            row["icmp_type"] = self.icmp_type
        row |= {"class": self.label, "kind": next(iter(self.kinds)), "why": next(iter(self.kinds.values()))}
        if self.review:
            row["review"] = True
        also = list(self.kinds)[1:]
        if also:
            row["also"] = also
        row |= {"outcomes": dict(sorted(self.outcomes.items())), "days": len(self.days)}
        return row | {"first": _stamp(self.first), "last": _stamp(self.last)}


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at // NANOSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Truth:
    """Collects edges and lookups from events."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self.world = world
        self.cluster = cluster
        self.edges: dict[EdgeKey, Edge] = {}
        self.questions: dict[tuple[str, str, str], dict[str, object]] = {}
        self.set_aside: dict[str, int] = {}
        self._dns = {
            dependency.client: dependency
            for dependency in world.dependencies
            if dependency.kind == "dns" and dependency.protocol == "UDP"
        }

    def observe(self, event: Event) -> None:
        """Add an event to the edges of its ends."""
        if isinstance(event, Lookup):
            dependency, client, server, outcome = (
                self._dns[event.client.workload.ref],
                event.client,
                event.server,
                "answered",
            )
            self._question(event)
            self._both(dependency, client, server, event.at, outcome)
            return
        self._both(event.dependency, event.client, event.server, event.at, _outcome(event))

    def count(self, reason: str, number: int = 1) -> None:
        """Count records that are no edge."""
        self.set_aside[reason] = self.set_aside.get(reason, 0) + number

    def _both(self, dependency: Dependency, client: Side, server: Side, at: int, outcome: str) -> None:
        if isinstance(client, Pod):
            self._add(dependency, client, "egress", server, at, outcome)
        # A packet that its own node dropped, or that another policy stopped on the way, never arrives.
        if isinstance(server, Pod) and outcome != "dropped":
            self._add(dependency, server, "ingress", client, at, outcome)

    def _add(
        self, dependency: Dependency, subject: Pod, direction: str, peer: Side, at: int, outcome: str
    ) -> None:
        shown, name = self._peer(subject, peer)
        icmp = -1 if dependency.icmp_type is None else dependency.icmp_type
        key = (
            subject.workload.ref,
            direction,
            str(shown["kind"]),
            name,
            dependency.protocol,
            dependency.port,
            icmp,
        )
        edge = self.edges.get(key)
        if edge is None:
            edge = self.edges[key] = Edge(
                subject.workload.ref,
                direction,
                shown,
                dependency.protocol,
                dependency.port,
                dependency.icmp_type,
                dependency.label,
            )
        if edge.label != dependency.label:
            raise MixedEdgeError(f"{key} is both {edge.label} and {dependency.label} ({dependency.key})")
        edge.kinds.setdefault(dependency.kind, dependency.why)
        edge.review |= dependency.review
        if isinstance(peer, Address) and shown["kind"] in ("fqdn", "cidr"):
            edge.addresses.add(peer.ip)
        edge.add(at, outcome)

    def _peer(self, subject: Pod, peer: Side) -> tuple[dict[str, object], str]:
        if isinstance(peer, Pod):
            return {"kind": "endpoint", "workload": peer.workload.ref}, peer.workload.ref
        if isinstance(peer, Node):
            entity = "host" if peer.index == subject.node else "remote-node"
            return {"kind": "entity", "entity": entity}, entity
        if peer.entity != "world":
            return {"kind": "entity", "entity": peer.entity}, peer.entity
        outside = peer.external
        if outside.name and self.cluster.dns_visible(subject.workload):
            return {"kind": "fqdn", "name": outside.name}, outside.name
        if outside.key in ("internet", "scanners"):
            return {"kind": "entity", "entity": "world"}, outside.key
        hidden = {"hidden_name": outside.name} if outside.name else {}
        return {"kind": "cidr", **hidden}, outside.key

    def _question(self, look: Lookup) -> None:
        label = look.queries.label if look.queries else LEGITIMATE
        kind = look.queries.kind if look.queries else ("search-expansion" if look.rcode == 3 else "dns")
        domain = look.name.split(".", 1)[1] if label == ATTACK else look.name
        row = self.questions.setdefault(
            (look.client.workload.ref, domain, kind),
            {
                "subject": look.client.workload.ref,
                "domain" if label == ATTACK else "name": domain,
                "class": label,
                "kind": kind,
                "lookups": 0,
            },
        )
        row["lookups"] = int(str(row["lookups"])) + 1

    def write(self, out: TextIO) -> None:
        """Write the truth file: YAML whose rows are one line each."""
        edges = [self.edges[key].row() for key in sorted(self.edges)]
        totals = {label: sum(row["class"] == label for row in edges) for label in CLASSES}
        days = self.world.days_list()
        out.write(
            "# Written by sample_data/generate.py; see sample_data/README.md for the meaning of the fields.\n"
        )
        head = {
            "cluster": self.world.cluster,
            "seed": self.world.seed,
            "first_day": str(days[0]),
            "last_day": str(days[-1]),
            "nodes": list(self.world.nodes),
            "edges_by_class": totals,
            "set_aside": dict(sorted(self.set_aside.items())),
        }
        out.writelines(f"{key}: {json.dumps(value)}\n" for key, value in head.items())
        _section(out, "events", self._happenings())
        _section(out, "edges", edges)
        _section(out, "not_yet_seen", self.world.not_yet_seen)
        _section(out, "lookups", [self.questions[key] for key in sorted(self.questions)])

    def _happenings(self) -> list[dict[str, object]]:
        """Redeployments, scale changes, label flips, short-lived pods and exporter gaps."""
        found: list[dict[str, object]] = []
        for workload in self.world.workloads:
            found += [
                {"at": _iso(r.at), "kind": "release", "workload": workload.ref, "labels": r.labels}
                for r in workload.releases
            ]
            found += [
                {"at": _iso(at), "kind": "scale", "workload": workload.ref, "replicas": size}
                for at, size in workload.scaling
            ]
            found += [
                {"at": _iso(at), "kind": "label-flip", "workload": workload.ref}
                for at, _ in workload.flips
                if at.date() >= self.world.first_day
            ]
        found += [
            {
                "at": _iso(gap.start),
                "kind": "exporter-gap",
                "node": self.world.nodes[gap.node],
                "until": _iso(gap.end),
                "lost_events": gap.lost,
            }
            for gap in self.world.gaps
        ]
        return sorted(found, key=lambda row: (str(row["at"]), str(row["kind"]), json.dumps(row)))


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _outcome(event: Connection) -> str:
    if event.dependency.outcome == "dropped":
        return "dropped"
    if "denied" in (event.leaving, event.verdict):
        return "denied"
    if "audit" in (event.leaving, event.verdict) and event.dependency.outcome == "answered":
        return "audited"
    return event.dependency.outcome


def _section(out: TextIO, name: str, rows: Iterable[dict[str, object]]) -> None:
    listed = list(rows)
    out.write(f"{name}:\n" if listed else f"{name}: []\n")
    out.writelines(f"- {json.dumps(row, ensure_ascii=True)}\n" for row in listed)
