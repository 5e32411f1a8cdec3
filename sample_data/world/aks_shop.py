"""The sample cluster: namespaces, workloads and their redeployments."""

from datetime import UTC, date, datetime, timedelta

from sample_data.world.nouns import Gap, IngressPolicy, Namespace, Release, Workload
from sample_data.world.rhythms import At, Once

CLUSTER = "aks-shop"
FIRST_DAY = date(2026, 10, 31)  # a Saturday
DAYS = 16  # the last one is Sunday 2026-11-15
NODES_OF_POOL = tuple(f"aks-nodepool1-31847562-vmss{number:06d}" for number in range(3))


def moment(text: str) -> datetime:
    """Time in November 2026, UTC, from ``"09 10:30"``."""
    day, clock = text.split()
    hour, minute = clock.split(":")
    return datetime(2026, 11, int(day), int(hour), int(minute), tzinfo=UTC)


def _space(name: str, team: str, *, visible: bool = False) -> Namespace:
    labels = {"kubernetes.io/metadata.name": name, "team": team}
    if name not in ("kube-system", "ingress-nginx"):
        labels["pod-security.kubernetes.io/enforce"] = "privileged" if name == "monitoring" else "baseline"
    return Namespace(name, labels, dns_visible=visible)


NAMESPACES = (
    _space("shop", "storefront", visible=True),
    _space("payments", "payments", visible=True),
    _space("batch", "data"),
    _space("monitoring", "platform"),
    _space("ingress-nginx", "platform"),
    _space("kube-system", "platform"),
    _space("legacy", "core"),
)


def _app(name: str, component: str, chart: str, version: str, part_of: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": part_of,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": part_of,
        "app.kubernetes.io/version": version,
        "helm.sh/chart": chart,
    }


def _shop(
    name: str,
    component: str,
    replicas: int,
    releases: tuple[tuple[str, str], ...],
    *,
    port: int = 8080,
    kind: str = "Deployment",
    scaling: tuple[tuple[datetime, int], ...] = (),
    born: datetime | None = None,
) -> Workload:
    """A workload of the shop's chart; each release is (time, version)."""
    return Workload(
        "shop",
        name,
        kind,
        _app(name, component, "shop-2.7.0", "2.7.0", "shop"),
        replicas,
        name,
        tuple(
            Release(moment(at), {"app.kubernetes.io/version": version, "helm.sh/chart": f"shop-{version}"})
            for at, version in releases
        ),
        scaling=scaling,
        probe_port=port,
        born=born,
    )


_POSTGRES = {
    "app.kubernetes.io/managed-by": "postgres-operator",
    "app.kubernetes.io/name": "postgres",
    "cluster-name": "shop-pg",
}
_LEADER, _FOLLOWER = {"role": "master"}, {"role": "replica"}
_MONITORING_CHART = (Release(moment("09 08:15"), {"helm.sh/chart": "kube-prometheus-stack-79.4.0"}),)


def _monitor(
    name: str, kind: str, replicas: int, probe_port: int, *, extra: dict[str, str] | None = None
) -> Workload:
    labels = {
        "app.kubernetes.io/instance": "monitoring",
        "app.kubernetes.io/name": name,
        "helm.sh/chart": "kube-prometheus-stack-79.1.0",
    } | (extra or {})
    return Workload(
        "monitoring", name, kind, labels, replicas, name, _MONITORING_CHART, probe_port=probe_port
    )


def _system(name: str, replicas: int, probe_port: int, labels: dict[str, str]) -> Workload:
    return Workload(
        "kube-system", name, "Deployment", labels, replicas, name, probe_port=probe_port, resolves=False
    )


_LEGACY = {"team": "core", "tier": "backend"}  # the same on two workloads: nothing tells them apart

WORKLOADS = (
    _shop(
        "web",
        "frontend",
        2,
        (("03 14:10", "2.7.1"), ("10 14:05", "2.8.0")),
        scaling=((moment("11 09:00"), 4),),
    ),
    _shop("api", "backend", 3, (("05 09:40", "2.7.1"), ("09 10:30", "2.8.0"))),
    _shop("cart", "backend", 2, (("12 10:20", "2.8.0"),), port=7070),
    _shop("catalog", "backend", 2, (("06 13:30", "2.7.2"),)),
    _shop("orders", "backend", 2, (("09 10:30", "2.8.0"),)),
    Workload(
        "shop",
        "postgres",
        "StatefulSet",
        _POSTGRES,
        3,
        "postgres",
        probe_port=5432,
        resolves=True,
        flips=(
            (moment("01 00:00") - timedelta(days=30), (_LEADER, _FOLLOWER, _FOLLOWER)),
            (moment("12 03:12"), (_FOLLOWER, _LEADER, _FOLLOWER)),
        ),
    ),
    Workload(
        "shop",
        "redis",
        "Deployment",
        _app("redis", "cache", "redis-20.1.0", "7.4.1", "shop"),
        1,
        "redis",
        probe_port=6379,
        resolves=False,
    ),
    _shop("nats", "queue", 1, (), port=8222, kind="StatefulSet", born=moment("06 08:00")),
    Workload(
        "shop",
        "debug-netshoot",
        "Pod",
        {"run": "debug-netshoot"},
        account="default",
        runs=Once(date(2026, 11, 4), 14 * 3600 + 620.0),
        run_length=timedelta(minutes=31),
    ),
    Workload(
        "payments",
        "checkout",
        "Deployment",
        _app("checkout", "backend", "payments-1.14.0", "1.14.0", "payments"),
        2,
        "checkout",
        (
            Release(
                moment("04 15:20"),
                {"app.kubernetes.io/version": "1.14.1", "helm.sh/chart": "payments-1.14.1"},
            ),
        ),
        probe_port=8080,
    ),
    Workload(
        "payments",
        "ledger-db",
        "StatefulSet",
        {"app.kubernetes.io/name": "postgres", "app": "ledger-db"},
        1,
        "ledger-db",
        probe_port=5432,
        resolves=False,
    ),
    Workload(
        "payments",
        "settlement",
        "CronJob",
        {"app.kubernetes.io/name": "settlement"},
        account="settlement",
        runs=At(18, 30, weekday=4, spread=5.0),
    ),
    Workload(
        "batch",
        "report",
        "CronJob",
        {"app": "report", "app.kubernetes.io/name": "report"},
        account="report",
        runs=At(1, 30, spread=5.0),
        run_length=timedelta(minutes=9),
    ),
    Workload(
        "batch",
        "reindex",
        "CronJob",
        {"app": "reindex", "app.kubernetes.io/name": "reindex"},
        account="reindex",
        runs=At(4, 0, weekday=6, spread=5.0),
        run_length=timedelta(minutes=14),
    ),
    _monitor("prometheus", "StatefulSet", 1, 9090),
    _monitor("alertmanager", "StatefulSet", 2, 9093),
    _monitor("grafana", "Deployment", 1, 3000),
    _monitor("kube-state-metrics", "Deployment", 1, 8080),
    _monitor("statsd-exporter", "Deployment", 1, 9102),
    _monitor("blackbox-exporter", "Deployment", 1, 9115),
    _monitor("loki", "StatefulSet", 3, 3100, extra={"app.kubernetes.io/component": "single-binary"}),
    _monitor("promtail", "DaemonSet", 3, 3101),
    Workload(
        "ingress-nginx",
        "ingress-nginx-controller",
        "Deployment",
        _app("ingress-nginx", "controller", "ingress-nginx-4.13.3", "1.13.3", "ingress-nginx"),
        2,
        "ingress-nginx",
        probe_port=10254,
    ),
    _system(
        "coredns", 2, 8080, {"k8s-app": "kube-dns", "kubernetes.azure.com/managedby": "aks", "version": "v20"}
    ),
    _system(
        "konnectivity-agent", 2, 8082, {"app": "konnectivity-agent", "kubernetes.azure.com/managedby": "aks"}
    ),
    _system(
        "metrics-server", 2, 4443, {"k8s-app": "metrics-server", "kubernetes.azure.com/managedby": "aks"}
    ),
    _system("hubble-relay", 1, 4222, {"k8s-app": "hubble-relay", "app.kubernetes.io/name": "hubble-relay"}),
    Workload("legacy", "importer", "Deployment", _LEGACY, 2, probe_port=8090),
    Workload("legacy", "exporter", "Deployment", _LEGACY, 2, probe_port=8090),
    Workload(
        "legacy",
        "mainframe-bridge",
        "Deployment",
        {"component": "bridge", "tier": "integration"},
        1,
        probe_port=5001,
        resolves=False,
    ),
)

POLICIES = (
    IngressPolicy("redis-clients", "shop", ("redis",), ("shop/cart", "shop/orders", "monitoring/prometheus")),
    IngressPolicy("legacy-intra", "legacy", (), ("legacy/*",), audit=True),
)

GAPS = (Gap(2, moment("05 11:00"), moment("05 16:00"), 41873),)
TORN = ((1, date(2026, 11, 8)),)

NOT_YET_SEEN: tuple[dict[str, object], ...] = (
    {
        "subject": "batch/invoice",
        "direction": "egress",
        "peer": {"kind": "endpoint", "workload": "shop/postgres"},
        "protocol": "TCP",
        "port": 5432,
        "class": "legitimate",
        "kind": "monthly-not-yet-seen",
        "why": "invoices run on the 25th; the window ends on the 15th",
        "schedule": "0 3 25 * *",
    },
    {
        "subject": "batch/invoice",
        "direction": "egress",
        "peer": {"kind": "fqdn", "name": "smtp.mailrelay.example"},
        "protocol": "TCP",
        "port": 587,
        "class": "legitimate",
        "kind": "monthly-not-yet-seen",
        "why": "invoices are mailed on the 25th",
        "schedule": "0 3 25 * *",
    },
)
