"""A small cluster written by hand: pods and what they did, as the frames that the synthesis reads."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd

from models import frames
from models.domain.window import Window
from models.frames import Observations

DAY_US = 24 * 3600 * 1_000_000
DAYS = 14
START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pods:
    """The pods of one label set."""

    key: str
    namespace: str
    labels: dict[str, str]


@dataclass
class World:
    """
    Everything observed; by default on every day of two whole weeks, answered, seen at both ends.

    Each method takes what differs from that and nothing else.
    """

    cluster: str = "prod"
    days: int = DAYS
    coverage: bool = True
    rows: list[dict] = field(default_factory=list)
    pods: list[dict] = field(default_factory=list)
    identities: list[dict] = field(default_factory=list)
    routes: list[dict] = field(default_factory=list)
    requests: list[dict] = field(default_factory=list)
    counts: dict[tuple, dict] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    rejects: dict[int, int] = field(default_factory=dict)
    silent_hours: set[int] = field(default_factory=set)

    def pod(
        self,
        namespace: str,
        name: str,
        labels: dict[str, str] | None = None,
        *,
        kind: str = "Deployment",
        workload: str | None = None,
        cilium_cluster: str | None = None,
        service_account: str | None = None,
        pod_names: Sequence[str] = (),
        days: Iterable[int] | None = None,
    ) -> Pods:
        """Pods of a workload; ``workload=""`` leaves the owner out of the records."""
        own = {"app": name} if labels is None else labels
        everything = {
            **own,
            "io.kubernetes.pod.namespace": namespace,
            "io.cilium.k8s.policy.cluster": cilium_cluster or self.cluster,
            "io.cilium.k8s.policy.serviceaccount": service_account or "default",
        }
        texts = sorted(f"k8s:{key}={value}" if value else f"k8s:{key}" for key, value in everything.items())
        key = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
        seen = sorted(range(self.days) if days is None else days)
        owner = name if workload is None else workload
        times = {"first_us": self.at(seen[0]), "last_us": self.at(seen[-1], hour=23)}
        base = {"cluster": self.cluster, "label_key": key, "namespace": namespace, **times}
        named = {"workload": owner, "workload_kind": kind if owner else ""}
        self.identities.append({**base, **named, "labels": json.dumps(texts), "entity": ""})
        self.pods += [{**base, **named, "pod": pod} for pod in pod_names]
        return Pods(key, namespace, own)

    def at(self, day: int, hour: int = 0) -> int:
        """Microseconds since the epoch of an hour of a day of the window."""
        return int((START + timedelta(days=day, hours=hour)).timestamp()) * 1_000_000

    def edge(
        self,
        client: Pods,
        server: Pods,
        port: int = 8080,
        protocol: str = "TCP",
        *,
        both: bool = True,
        **changes: object,
    ) -> None:
        """Traffic between two workloads, as egress of the one and ingress of the other."""
        self.half(client, "egress", "endpoint", server.key, port, protocol, **changes)
        if both:
            self.half(server, "ingress", "endpoint", client.key, port, protocol, **changes)

    def to(
        self, client: Pods, kind: str, peer: str, port: int, protocol: str = "TCP", **changes: object
    ) -> None:
        """Egress to something that is no pod."""
        self.half(client, "egress", kind, peer, port, protocol, **changes)

    def at_server(
        self, server: Pods, kind: str, peer: str, port: int, protocol: str = "TCP", **changes: object
    ) -> None:
        """Ingress from something that is no pod."""
        self.half(server, "ingress", kind, peer, port, protocol, **changes)

    def half(
        self,
        subject: Pods,
        direction: str,
        kind: str,
        peer: str,
        port: int,
        protocol: str = "TCP",
        *,
        days: Iterable[int] | None = None,
        names: str = "",
        flows: int = 10,
        answered: int | None = None,
        visible: bool | None = None,
        icmp_type: int = -1,
        subject_pods: int = 2,
        peer_pods: int = 2,
        subject_pod: tuple[str, str] = ("", ""),
        l7: str = "",
        **measures: object,
    ) -> None:
        """One direction of one edge, one row per day."""
        key = {
            "cluster": self.cluster,
            "subject": subject.key,
            "direction": direction,
            "peer_kind": kind,
            "peer": peer,
            "protocol": protocol,
            "port": port,
            "icmp_type": icmp_type,
        }
        for day in sorted(range(self.days) if days is None else days):
            row = {
                **key,
                "peer_names": names,
                "names_from": "flow" if names else "",
                "day": (START + timedelta(days=day)).strftime("%Y-%m-%d"),
                "hour_bits": 0b111,
                "flows": flows,
                "connections": flows,
                "answered": flows if answered is None else answered,
                "reset": 0,
                "audited": 0,
                "denied": 0,
                "l7_denied": 0,
                "dropped": 0,
                "drop_reasons": "",
                "replies_visible": True if visible is None else visible,
                "aggregated": False,
                "own_end": True,
                "first_us": self.at(day, 1),
                "last_us": self.at(day, 22),
                "samples": f"{subject.key[:4]}-{port}-{day}",
                "policies": "",
            }
            self.rows.append(row | measures)
        self.counts[tuple(key.values())] = {
            **key,
            "subject_pods": subject_pods,
            "peer_pods": peer_pods,
            "subject_pod_min": subject_pod[0],
            "subject_pod_max": subject_pod[1],
            "peer_pod_min": "",
            "peer_pod_max": "",
        }
        if l7:
            short = {name: value for name, value in key.items() if name != "icmp_type"}
            self.routes.append(
                {
                    **short,
                    "l7_kind": l7,
                    "l7_method": "",
                    "l7_route": "",
                    "flows": 1,
                    "l7_denied": 0,
                    "days": 1,
                }
            )

    def http(
        self,
        client: Pods,
        server: Pods,
        request: str,
        port: int = 8080,
        *,
        days: Iterable[int] | None = None,
        **measures: object,
    ) -> None:
        """Requests (``GET /orders``) between two workloads in every hour with traffic, as a proxy records them."""
        ends = ((client, "egress", server), (server, "ingress", client))
        for subject, direction, peer in ends:
            self.half_http(subject, direction, "endpoint", peer.key, request, port, days=days, **measures)

    def half_http(
        self,
        subject: Pods,
        direction: str,
        kind: str,
        peer: str,
        request: str,
        port: int,
        *,
        days: Iterable[int] | None = None,
        **measures: object,
    ) -> None:
        """One direction of requests, one row per day."""
        method, _, route = request.partition(" ")
        for day in sorted(range(self.days) if days is None else days):
            row = {
                "cluster": self.cluster,
                "subject": subject.key,
                "direction": direction,
                "peer_kind": kind,
                "peer": peer,
                "protocol": "TCP",
                "port": port,
                "method": method,
                "route": route,
                "hours": 0b111,
                "day": (START + timedelta(days=day)).strftime("%Y-%m-%d"),
                "flows": 10,
                "l7_denied": 0,
                "answered": 10,
                "failed": 0,
            }
            self.requests.append(row | measures)

    def dns(self, client: Pods, resolver: Pods, *, seen: bool = True, **changes: object) -> None:
        """Questions of a client to a resolver pod; ``seen``: the DNS proxy saw them."""
        self.edge(client, resolver, 53, "UDP", l7="dns" if seen else "", **changes)

    def kube_dns(self) -> Pods:
        """The resolver of most clusters."""
        labels = {"k8s-app": "kube-dns"}
        return self.pod("kube-system", "coredns", labels, service_account="coredns")

    def neighbours(self, count: int = 4) -> None:
        """Pairs of workloads that talk every day: alone in a cluster, nobody's next week can be told."""
        for number in range(count):
            self.edge(self.pod("next-door", f"front-{number}"), self.pod("next-door", f"back-{number}"))

    def observations(self) -> Observations:
        """The frames, sorted as the fold sorts them."""
        hours = []
        if self.coverage:
            epoch_hour = int(START.timestamp()) // 3600
            hours = [
                {
                    "cluster": self.cluster,
                    "day": (START + timedelta(hours=hour)).strftime("%Y-%m-%d"),
                    "hour": epoch_hour + hour,
                    "nodes": 2,
                    "expected_nodes": 2,
                    "seconds": 7200,
                    "flows": 1000,
                    "replies": 900,
                    "lost_events": self.lost.get(hour, 0),
                    "rejects": self.rejects.get(hour, 0),
                    "skipped": 0,
                }
                for hour in range(self.days * 24)
                if hour not in self.silent_hours
            ]
        return Observations(
            cluster=self.cluster,
            window=Window(START, START + timedelta(days=self.days)),
            edge_days=frame(self.rows, frames.EDGE_DAYS),
            edge_pods=frame(list(self.counts.values()), frames.EDGE_PODS),
            edge_routes=frame(self.routes, frames.EDGE_ROUTES),
            identities=frame(self.identities, frames.IDENTITIES),
            pods=frame(self.pods, frames.PODS),
            lookups=frame([], frames.LOOKUPS),
            coverage=frame(hours, frames.COVERAGE),
            set_aside=frame([], frames.SET_ASIDE),
            http_days=frame(self.requests, frames.HTTP_DAYS),
        )


def frame(rows: list[dict], columns: dict[str, str]) -> pd.DataFrame:
    """Frame with the contract's columns and types, sorted by all of them."""
    made = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    return made.sort_values(list(columns), kind="stable").reset_index(drop=True)


def shuffled(observations: Observations, seed: int) -> Observations:
    """The same observations with the rows of every frame in another order."""
    parts = {
        name: getattr(observations, name).sample(frac=1, random_state=seed)
        for name in (
            "edge_days",
            "edge_pods",
            "edge_routes",
            "identities",
            "pods",
            "lookups",
            "coverage",
            "set_aside",
            "http_days",
        )
    }
    return Observations(cluster=observations.cluster, window=observations.window, **parts)


def proposal_for(result, name: str):
    """The proposal of the workload with this name."""
    found = [one for one in result.proposals if any(w.endswith(f"/{name}") for w in one.subject.workloads)]
    assert len(found) == 1, [one.subject.workloads for one in result.proposals]
    return found[0]


def titles(proposal, direction: str) -> list[str]:
    """One line per rule of a direction, without the direction."""
    lines = [rule.title for rule in proposal.rules if rule.direction == direction]
    return [line.removeprefix(f"{direction} ").removeprefix("to ").removeprefix("from ") for line in lines]


def reasons(lines, direction: str | None = None) -> set[str]:
    """Codes of left-out lines."""
    return {line.reason for line in lines if direction in (None, line.direction)}


def rule_to(proposal, key: str, direction: str = "egress"):
    """The one rule whose peer key contains a text."""
    found = [rule for rule in proposal.rules if rule.direction == direction and key in rule.peer.key]
    assert len(found) == 1, [rule.title for rule in proposal.rules]
    return found[0]


def spec(result, name: str) -> dict:
    """Manifest ``spec`` of a workload."""
    return result.manifests[proposal_for(result, name).key]["spec"]
