"""The sample world put together: the cluster, its traffic, its noise, and one intrusion."""

from sample_data.world import aks_shop, attacks, noise, platform_traffic, shop_traffic
from sample_data.world.aks_shop import moment
from sample_data.world.nouns import LEGITIMATE, Dependency, Queries, World

SEED = 20261115
VOLUME = 1.55  # about 400,000 records, which pack into less than 10 MB
VICTIM = "shop/web"
SCAN_TARGETS = (
    "shop/postgres",
    "shop/api",
    "shop/cart",
    "shop/catalog",
    "shop/orders",
    "shop/redis",
    "shop/nats",
    "payments/checkout",
    "payments/ledger-db",
    "monitoring/prometheus",
    "monitoring/grafana",
    "legacy/importer",
)


def _serving(dependencies: tuple[Dependency, ...]) -> dict[str, set[int]]:
    """Ports on which servers are known to answer."""
    found: dict[str, set[int]] = {}
    for dependency in dependencies:
        if (
            isinstance(dependency.server, str)
            and dependency.label == LEGITIMATE
            and dependency.protocol == "TCP"
        ):
            found.setdefault(dependency.server, set()).add(dependency.port)
    return found


def sample_world(seed: int = SEED) -> World:
    """The world behind ``sample_data/flows`` and ``truth.yaml``."""
    wanted = (
        shop_traffic.APPLICATIONS
        + platform_traffic.PLATFORM
        + platform_traffic.probes()
        + platform_traffic.lookups()
    )
    ordinary = {(dependency.client, dependency.server, dependency.port) for dependency in wanted}
    scan = attacks.port_scan(VICTIM, 1, moment("11 02:13"), SCAN_TARGETS, _serving(wanted), 60, seed)
    intrusion = (
        attacks.lateral_movement(VICTIM, 1, moment("11 02:41"), "payments/ledger-db", 5432),
        *(attempt for attempt in scan if (attempt.client, attempt.server, attempt.port) not in ordinary),
        attacks.beacon(VICTIM, 1, moment("11 02:50"), "cdn-sync.upd-telemetry.example", "45.137.21.9", 600.0),
        attacks.mining("legacy/exporter", 1, moment("08 23:20"), "51.15.65.182", 3333),
    )
    return World(
        cluster=aks_shop.CLUSTER,
        seed=seed,
        first_day=aks_shop.FIRST_DAY,
        days=aks_shop.DAYS,
        nodes=aks_shop.NODES_OF_POOL,
        namespaces=aks_shop.NAMESPACES,
        workloads=aks_shop.WORKLOADS,
        dependencies=wanted + noise.NOISE_TRAFFIC + intrusion,
        queries=_queries(),
        policies=aks_shop.POLICIES,
        gaps=aks_shop.GAPS,
        resolver=platform_traffic.RESOLVER,
        not_yet_seen=aks_shop.NOT_YET_SEEN,
        volume=VOLUME,
        torn=aks_shop.TORN,
    )


def _queries() -> tuple[Queries, ...]:
    tunnel = attacks.dns_tunnel(VICTIM, 1, moment("12 01:05"), "t.relay-dnsx.example", 320)
    return (tunnel,)
