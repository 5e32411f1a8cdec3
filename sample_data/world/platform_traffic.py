"""Who talks to whom for the platform: ingress, monitoring, kube-system, probes and lookups."""

from typing import Any

from sample_data.world.aks_shop import WORKLOADS
from sample_data.world.nouns import NODES, Dependency, External, Workload
from sample_data.world.rhythms import Every, Office, PerRun, Rhythm, Shopping, Sporadic, Steady

RESOLVER = "kube-system/coredns"
API_SERVER = External("kube-apiserver", pool=("20.61.99.14",), entity="kube-apiserver")
AZURE_DNS = External("azure-dns", pool=("168.63.129.16",))
CHAT = External("chat", "hooks.chat.example", ("34.120.66.9", "34.120.66.10"), 2)
INTERNET = External("internet")
CONTROLLER = "ingress-nginx/ingress-nginx-controller"
PROMETHEUS = "monitoring/prometheus"


def _d(
    client: str | External,
    server: str | External,
    port: int,
    rhythm: Rhythm,
    kind: str,
    why: str,
    **more: Any,
) -> Dependency:
    return Dependency(client, server, port, rhythm, kind, why, **more)


INGRESS = (
    _d(INTERNET, CONTROLLER, 443, Shopping(12, weekend=0.6), "workday", "customers"),
    _d(INTERNET, CONTROLLER, 80, Shopping(3, weekend=0.6), "workday", "redirected to 443"),
    _d(CONTROLLER, "shop/web", 8080, Shopping(9), "workday", "the shop"),
    _d(CONTROLLER, "payments/checkout", 8080, Shopping(1), "workday", "callbacks of the payment provider"),
    _d(CONTROLLER, "monitoring/grafana", 3000, Office(2), "workday", "dashboards for the team"),
    _d(CONTROLLER, API_SERVER, 443, Every(1200, 30), "continuous", "watches Ingress objects"),
)

_SCRAPED = (
    ("shop/api", 9102),
    ("shop/cart", 9102),
    ("shop/orders", 9102),
    ("shop/catalog", 9102),
    ("shop/postgres", 9187),
    ("shop/redis", 9121),
    ("shop/nats", 7777),
    ("payments/checkout", 9102),
    ("payments/ledger-db", 9187),
    (CONTROLLER, 10254),
    (RESOLVER, 9153),
    ("kube-system/metrics-server", 4443),
    ("kube-system/hubble-relay", 9966),
    ("monitoring/alertmanager", 9093),
    ("monitoring/grafana", 3000),
    ("monitoring/kube-state-metrics", 8080),
    ("monitoring/statsd-exporter", 9102),
    ("monitoring/blackbox-exporter", 9115),
    ("monitoring/loki", 3100),
    ("monitoring/promtail", 3101),
)

MONITORING = (
    *(_d(PROMETHEUS, server, port, Steady(1), "continuous", "scrape") for server, port in _SCRAPED),
    _d(PROMETHEUS, NODES, 9100, Steady(1.5), "continuous", "node exporter on the host network"),
    _d(PROMETHEUS, NODES, 10250, Steady(1.5), "continuous", "kubelet and cAdvisor metrics"),
    _d(PROMETHEUS, API_SERVER, 443, Steady(1), "continuous", "service discovery"),
    _d(PROMETHEUS, "monitoring/alertmanager", 9093, Sporadic(0.5, 4), "sporadic", "alerts", lasting=1),
    _d(
        "monitoring/alertmanager",
        "monitoring/alertmanager",
        9094,
        Steady(1),
        "continuous",
        "gossip of the pair",
    ),
    _d(
        "monitoring/alertmanager",
        "monitoring/alertmanager",
        9094,
        Steady(1),
        "continuous",
        "gossip of the pair",
        protocol="UDP",
        source_port=9094,
    ),
    _d(
        "monitoring/alertmanager",
        CHAT,
        443,
        Sporadic(0.5, 3),
        "sporadic",
        "alerts to the chat; name not visible",
    ),
    _d("monitoring/grafana", PROMETHEUS, 9090, Office(4), "workday", "queries of dashboards"),
    _d("monitoring/grafana", "monitoring/loki", 3100, Office(1), "workday", "queries of logs"),
    _d("monitoring/kube-state-metrics", API_SERVER, 443, Steady(1), "continuous", "watches objects"),
    _d("monitoring/promtail", "monitoring/loki", 3100, Steady(3), "continuous", "log shipping", lasting=1),
    _d("monitoring/promtail", API_SERVER, 443, Steady(1), "continuous", "pod metadata"),
    _d(
        "monitoring/loki",
        "monitoring/loki",
        7946,
        Steady(2),
        "continuous",
        "memberlist gossip, both ports 7946",
        protocol="UDP",
        source_port=7946,
    ),
    _d("monitoring/loki", "monitoring/loki", 7946, Steady(1), "continuous", "memberlist state"),
    _d("monitoring/loki", "monitoring/loki", 9095, Steady(1), "continuous", "queries between members"),
    _d(
        "monitoring/blackbox-exporter",
        "shop/web",
        8080,
        Steady(1),
        "continuous",
        "synthetic probe of the shop",
    ),
    _d(
        "monitoring/blackbox-exporter",
        "legacy/mainframe-bridge",
        0,
        Steady(1),
        "continuous",
        "ping",
        protocol="ICMPv4",
        icmp_type=8,
    ),
)

KUBE_SYSTEM = (
    _d(RESOLVER, API_SERVER, 443, Every(2400, 60), "continuous", "watches Services"),
    _d(RESOLVER, AZURE_DNS, 53, Steady(2), "continuous", "names outside the cluster", protocol="UDP"),
    _d(
        "kube-system/konnectivity-agent",
        API_SERVER,
        443,
        Every(1800, 60),
        "continuous",
        "tunnel of the control plane",
        lasting=1,
    ),
    _d("kube-system/konnectivity-agent", NODES, 10250, Office(2), "workday", "logs and exec for engineers"),
    _d(
        "kube-system/konnectivity-agent",
        "kube-system/metrics-server",
        4443,
        Steady(1),
        "continuous",
        "aggregated metrics API, called by the API server through the tunnel",
    ),
    _d(
        "kube-system/konnectivity-agent",
        CONTROLLER,
        8443,
        Office(0.6),
        "rollout",
        "admission webhook, called by the API server through the tunnel",
    ),
    _d("kube-system/metrics-server", NODES, 10250, Steady(2), "continuous", "kubelet metrics"),
    _d("kube-system/metrics-server", API_SERVER, 443, Steady(1), "continuous", "registers its API"),
    _d("kube-system/hubble-relay", NODES, 4244, Steady(1), "continuous", "reads flows from every agent"),
)


def probes(workloads: tuple[Workload, ...] = WORKLOADS) -> tuple[Dependency, ...]:
    """Kubelet probes: from the node's own host to each workload."""
    return tuple(
        _d(NODES, workload.ref, workload.probe_port, Steady(1), "probe", "kubelet probe")
        for workload in workloads
        if workload.probe_port
    )


def lookups(workloads: tuple[Workload, ...] = WORKLOADS) -> tuple[Dependency, ...]:
    """Every workload that resolves names asks the cluster's DNS."""
    return tuple(
        _d(
            workload.ref,
            RESOLVER,
            53,
            PerRun(2, after=1, within=4) if workload.runs else Steady(1.3),
            "dns",
            "resolves names",
            protocol="UDP",
        )
        for workload in workloads
        if workload.resolves
    )


PLATFORM = INGRESS + MONITORING + KUBE_SYSTEM
