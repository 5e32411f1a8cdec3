"""What every cluster has: a resolver, an ingress, monitoring, shared services; and who calls them."""

from typing import Final

import numpy as np

from jobs.evaluation.draws import happens
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import NOBODY, Link, Rhythm, Workload

#: Public addresses from which visitors come; each on a tenth of the days.
VISITORS: Final = 120
VISITOR_CHANCE: Final = 0.1

_ROLE_LABEL: Final = "app.kubernetes.io/name"


def _add(
    estate: Estate, namespace: str, name: str, kind: str, *, replicas: int, ports: tuple[int, ...], label: str
) -> int:
    number = estate.workload(
        Workload(namespace, name, kind, name, {label: name}, replicas, ports, account=name)
    )
    estate.infrastructure[name] = number
    return number


def add_platform(estate: Estate) -> None:
    """Add infrastructure and the services that all teams share."""
    dns = _add(estate, "kube-system", "coredns", "Deployment", replicas=2, ports=(53,), label="k8s-app")
    estate.workloads[dns].labels["k8s-app"] = "kube-dns"
    ingress = _add(
        estate, "ingress-nginx", "ingress-nginx", "Deployment", replicas=2, ports=(8443,), label=_ROLE_LABEL
    )
    metrics = _add(
        estate, "monitoring", "prometheus", "StatefulSet", replicas=1, ports=(9090,), label=_ROLE_LABEL
    )
    logs = _add(
        estate, "monitoring", "loki", "StatefulSet", replicas=3, ports=(3100, 7946), label=_ROLE_LABEL
    )
    agent = _add(estate, "monitoring", "promtail", "DaemonSet", replicas=3, ports=(3101,), label=_ROLE_LABEL)
    operator = _add(estate, "platform", "operator", "Deployment", replicas=1, ports=(8080,), label="app")
    _add(estate, "platform", "auth", "Deployment", replicas=3, ports=(8080,), label="app")
    store = _add(estate, "platform", "shared-db", "StatefulSet", replicas=3, ports=(5432, 5433), label="app")
    bus = _add(estate, "platform", "kafka", "StatefulSet", replicas=3, ports=(9092, 9093), label="app")
    estate.link(Link(agent, logs, 3100, "core", flows=2000.0, hours=24))
    for peers, port in ((logs, 7946), (bus, 9093), (store, 5433)):
        estate.link(Link(peers, peers, port, "core", flows=500.0, hours=24))
    for client in (operator, metrics, ingress):
        estate.link(Link(client, NOBODY, 6443, "core", flows=300.0, entity="kube-apiserver", hours=24))
    estate.link(Link(metrics, NOBODY, 10250, "core", flows=800.0, entity="remote-node", hours=24))
    rng = estate.rng(1)
    for _ in range(VISITORS):
        origin = estate.outside("", group="visitors")
        rhythm = Rhythm("chance", VISITOR_CHANCE)
        flows = float(rng.integers(2, 30))
        estate.link(
            Link(
                NOBODY,
                ingress,
                8443,
                "visitor",
                rhythm,
                flows,
                outside=origin,
                hours=2,
                hour=int(rng.integers(20)),
            )
        )


def connect_workload(estate: Estate, number: int, rng: np.random.Generator) -> None:
    """Give a workload what all have: probes of the node, a resolver, a scrape by monitoring."""
    one = estate.workloads[number]
    first = one.born
    if one.ports:
        estate.link(
            Link(
                NOBODY,
                number,
                one.ports[0],
                "probe",
                flows=2000.0 * one.replicas,
                entity="host",
                first=first,
                hours=24,
            )
        )
        scraper = estate.infrastructure["prometheus"]
        if number != scraper and happens(rng, 0.85):
            estate.link(Link(scraper, number, one.ports[0], "core", flows=1440.0, first=first, hours=24))
    dns = estate.infrastructure["coredns"]
    if number != dns and one.kind != "CronJob":
        flows = float(rng.integers(50, 400))
        estate.link(Link(number, dns, 53, "dns", flows=flows, protocol="UDP", first=first, hours=24))
