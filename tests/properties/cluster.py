"""A small cluster as Hubble's exporter writes it, and the whole way from its lines to policies."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from jobs import ingest
from jobs.observations.fold import clusters, fold
from jobs.observations.store import ObservationStore
from jobs.propose import InferResult, propose
from models.domain.capabilities import CapabilityHints
from models.domain.window import Window
from models.frames import Observations
from models.manifest.render import manifest_yaml

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 2
NAMESPACES = {"web": "shop", "api": "shop", "db": "data", "job": "batch", "coredns": "kube-system"}
OUTSIDE = {"93.184.216.34": "api.example.com", "52.1.2.4": ""}
CAPABILITIES = CapabilityHints(fqdn=True, cilium_version="1.18")


@dataclass(frozen=True, order=True)
class Contact:
    """One client asking one server; the server is a workload or an address outside."""

    client: str
    server: str
    port: int
    protocol: str
    days: tuple[int, ...] = (0,)

    @property
    def edge(self) -> tuple[str, str, int, str]:
        """What a rule could be about."""
        return self.client, self.server, self.port, self.protocol


@dataclass(frozen=True)
class Naming:
    """What changes from one week to the next and must not matter: pod names, hashes, addresses, identities."""

    suffix: str = "x2k8q"
    hash: str = "7c9d6b5f4"
    octet: int = 1
    identity: int = 30_000

    def address(self, workload: str, pod: int = 0) -> str:
        """Address of a pod, or the address outside itself."""
        if workload in OUTSIDE:
            return workload
        return f"10.0.{self.octet}.{sorted(NAMESPACES).index(workload) * 10 + pod + 1}"

    def labels(self, workload: str) -> list[str]:
        """Labels as the record carries them."""
        own = "k8s:k8s-app=kube-dns" if workload == "coredns" else f"k8s:app={workload}"
        namespace = NAMESPACES[workload]
        return [own, f"k8s:io.kubernetes.pod.namespace={namespace}", f"k8s:pod-template-hash={self.hash}"]

    def end(self, workload: str, pod: int) -> dict[str, Any]:
        """``source`` or ``destination`` of a record."""
        if workload in OUTSIDE:
            return {"identity": 2, "labels": ["reserved:world"]}
        return {
            "identity": self.identity + sorted(NAMESPACES).index(workload),
            "namespace": NAMESPACES[workload],
            "labels": self.labels(workload),
            "pod_name": f"{workload}-{self.hash}-{self.suffix}{pod}",
            "workloads": [{"name": workload, "kind": "Deployment"}],
        }


@dataclass
class Traffic:
    """Lines of flows; every record has a uuid of its own that depends on what it says."""

    naming: Naming = field(default_factory=Naming)
    lines: list[str] = field(default_factory=list)

    def say(self, contacts: Iterable[Contact], *, answered: bool = True, **changes: Any) -> "Traffic":
        """Each contact once on each of its days, from one of two pods."""
        for contact in contacts:
            for day in contact.days:
                moment = START + timedelta(days=day, hours=contact.port % 20, minutes=day * 7 + 1)
                if OUTSIDE.get(contact.server):
                    self._lookup(contact, moment - timedelta(seconds=30), day)
                self.record(contact, moment, day % 2, reply=False, **changes)
                if answered:
                    self.record(contact, moment + timedelta(milliseconds=3), day % 2, reply=True)
        return self

    def replies(self, contacts: Iterable[Contact], count: int) -> "Traffic":
        """More answers to what was answered."""
        for contact in contacts:
            for day in contact.days:
                moment = START + timedelta(days=day, hours=contact.port % 20, minutes=day * 7 + 1)
                for number in range(count):
                    self.record(contact, moment + timedelta(milliseconds=9 + number), day % 2, reply=True)
        return self

    def record(self, contact: Contact, moment: datetime, pod: int, *, reply: bool, **changes: Any) -> None:
        """One record of one packet."""
        client, server = (contact.client, pod), (contact.server, 0)
        ends, ports = [client, server], [40_000 + contact.port % 1000, contact.port]
        if reply:
            ends, ports = ends[::-1], ports[::-1]
        layer: dict[str, Any] = {"source_port": ports[0], "destination_port": ports[1]}
        if contact.protocol == "TCP":
            layer["flags"] = {"SYN": True, "ACK": True} if reply else {"SYN": True}
        self.add(
            {
                "time": moment.isoformat().replace("+00:00", "Z"),
                "verdict": "FORWARDED",
                "IP": {
                    "source": self.naming.address(*ends[0]),
                    "destination": self.naming.address(*ends[1]),
                    "ipVersion": "IPv4",
                },
                "l4": {contact.protocol: layer},
                "source": self.naming.end(*ends[0]),
                "destination": self.naming.end(*ends[1]),
                "Type": "L3_L4",
                "node_name": "node-1",
                "is_reply": reply,
                "event_type": {"type": 4},
                "traffic_direction": "EGRESS",
                "trace_observation_point": "TO_ENDPOINT",
            }
            | changes
        )

    def _lookup(self, contact: Contact, moment: datetime, day: int) -> None:
        """The answer that the DNS proxy saw before the connection."""
        ask = Contact(contact.client, "coredns", 53, "UDP", (day,))
        answer = {"query": f"{OUTSIDE[contact.server]}.", "qtypes": ["A"], "observation_source": "proxy"}
        layer = {"type": "REQUEST", "dns": answer}
        self.record(ask, moment, day % 2, reply=False, Type="L7", event_type={"type": 129}, l7=layer)
        found = {"type": "RESPONSE", "dns": answer | {"ips": [contact.server], "ttl": 300}}
        later = moment + timedelta(milliseconds=2)
        self.record(ask, later, day % 2, reply=True)
        ends = {
            "source": self.naming.end("coredns", 0),
            "destination": self.naming.end(contact.client, day % 2),
        }
        self.add(
            json.loads(self.lines[-1])["flow"]
            | ends
            | {"Type": "L7", "event_type": {"type": 129}, "l7": found, "uuid": None}
        )

    def add(self, flow: dict[str, Any]) -> None:
        """Give the record a uuid of its own, and the exporter's wrap."""
        flow["uuid"] = f"00000000-0000-4000-8000-{len(self.lines):012d}"
        line = {"flow": flow, "node_name": flow["node_name"], "time": flow["time"]}
        self.lines.append(json.dumps(line))


@st.composite
def contacts(draw: st.DrawFn, minimum: int = 1) -> tuple[Contact, ...]:
    """Some contacts inside and to the outside, one per edge."""
    inside = st.tuples(
        st.sampled_from(("web", "api", "job")),
        st.sampled_from(("api", "db", "web")),
        st.sampled_from((8080, 5432, 9102)),
        st.sampled_from(("TCP", "UDP")),
    )
    outside = st.tuples(
        st.sampled_from(("web", "api", "job")), st.sampled_from(sorted(OUTSIDE)), st.just(443), st.just("TCP")
    )
    resolver = st.tuples(st.sampled_from(("web", "api")), st.just("coredns"), st.just(53), st.just("UDP"))
    edges = draw(st.sets(st.one_of(inside, inside, outside, resolver), min_size=minimum, max_size=7))
    days = st.sets(st.integers(0, DAYS - 1), min_size=1).map(lambda found: tuple(sorted(found)))
    return tuple(Contact(*edge, draw(days)) for edge in sorted(edges))


@dataclass(frozen=True)
class Chart:
    """What came out at the other end."""

    result: InferResult
    texts: dict[str, str]  # YAML by file name
    observed: Observations

    @property
    def rules(self) -> set[str]:
        """Meaning of every rule of every policy."""
        return {
            json.dumps([one.namespace, one.subject.workloads, rule.meaning()], default=list)
            for one in self.result.proposals
            for rule in one.rules
        }


def chart(*runs: Sequence[Sequence[str]], batch_bytes: int = ingest.BATCH_BYTES) -> Chart:
    """Ingest each run's files (lists of lines), one run after the other; fold; propose; render."""
    with (
        tempfile.TemporaryDirectory(prefix="portolan-property-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(ingest, "BATCH_BYTES", batch_bytes)
        store = ObservationStore(Path(folder) / "data")
        for number, files in enumerate(runs):
            paths = [Path(folder) / f"run{number}" / f"part{place}.jsonl" for place in range(len(files))]
            paths[0].parent.mkdir()
            for path, lines in zip(paths, files, strict=True):
                path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            report = ingest.run_ingest([str(paths[0].parent)], store=store).as_json()
            assert not report["rejected"], report
        (cluster,) = clusters(store)
        window = Window(START, START + timedelta(days=DAYS))
        observed = fold(store, cluster, window)
        result = propose(observed, capabilities=CAPABILITIES)
    texts = {f"{one.namespace}/{one.name}": manifest_yaml(one) for one in result.proposals}
    assert len(texts) == len(result.proposals)
    return Chart(result, texts, observed)
