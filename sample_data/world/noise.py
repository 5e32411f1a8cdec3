"""Traffic that nobody needs and nobody planned: scans from outside, dead targets, mistakes, debugging."""

from datetime import date
from typing import Any

from sample_data.world.nouns import NOISE, Dependency, External
from sample_data.world.platform_traffic import CONTROLLER
from sample_data.world.rhythms import At, Once, PerRun, Rhythm, Shopping, Sporadic, Steady

SCANNERS = External(
    "scanners",
    pool=tuple(
        f"{net}.{host}" for net in ("185.224.128", "167.94.138", "80.82.77") for host in range(10, 24)
    ),
)
SCANNED_PORTS = (22, 23, 3389, 8080, 8443, 9200, 6379, 5900, 2375, 10250)
OLD_DATABASE = External("old-database", pool=("10.1.7.40",))
MDNS = External("mdns", pool=("224.0.0.251",))
CT_FULL = (155, "CT_MAP_INSERTION_FAILED")
STALE = (151, "STALE_OR_UNROUTABLE_IP")
DEBUG = "shop/debug-netshoot"


def _n(
    client: str | External,
    server: str | External,
    port: int,
    rhythm: Rhythm,
    kind: str,
    why: str,
    **more: Any,
) -> Dependency:
    return Dependency(client, server, port, rhythm, kind, why, **({"label": NOISE} | more))


INTERNET_NOISE = tuple(
    _n(
        SCANNERS,
        CONTROLLER,
        port,
        Steady(1) if port == 22 else Sporadic(0.8, 6),
        "internet-scan",
        "scan from the internet on a port that nothing serves",
        outcome="reset" if port in (23, 8443, 5900) else "unanswered",
    )
    for port in SCANNED_PORTS
)

MISTAKES = (
    _n(
        "shop/catalog",
        OLD_DATABASE,
        1433,
        At(6, 0, count=5, spread=1800),
        "dead-target",
        "a database that was switched off in spring is still configured",
        outcome="unanswered",
    ),
    _n(
        "shop/catalog",
        "shop/redis",
        6379,
        Shopping(0.7),
        "denied",
        "a leftover cache client; the policy redis-clients drops it",
    ),
    _n(
        "legacy/mainframe-bridge",
        MDNS,
        5353,
        Steady(1),
        "multicast",
        "service announcements nobody reads",
        protocol="UDP",
        outcome="oneway",
    ),
    _n(
        "monitoring/grafana",
        External("grafana-stats", pool=("34.96.126.106",)),
        443,
        At(3, 40),
        "dead-target",
        "usage statistics towards an address that no longer answers",
        outcome="unanswered",
    ),
)

#: Drops of the datapath on connections that are wanted: health, not policy.
DATAPATH_DROPS = tuple(
    Dependency(
        client,
        server,
        port,
        rhythm,
        "datapath-drop",
        "the datapath dropped a wanted packet",
        outcome="dropped",
        drop=drop,
    )
    for client, server, port, rhythm, drop in (
        ("shop/web", "shop/api", 8080, Once(date(2026, 11, 12), 17 * 3600 + 400.0, 9, 200.0), CT_FULL),
        ("shop/api", "shop/catalog", 8080, Once(date(2026, 11, 12), 17 * 3600 + 420.0, 7, 200.0), CT_FULL),
        ("shop/web", "shop/api", 8080, Once(date(2026, 11, 9), 10 * 3600 + 1830.0, 4, 60.0), STALE),
    )
)

DEBUGGING = tuple(
    _n(
        DEBUG,
        server,
        port,
        PerRun(count, after=60, within=1500),
        "debug",
        "an engineer tried this from a kubectl run pod",
        outcome=outcome,
    )
    for server, port, count, outcome in (
        ("shop/postgres", 5432, 4, "answered"),
        ("shop/api", 8080, 6, "answered"),
        ("shop/catalog", 8080, 3, "answered"),
        ("shop/redis", 6379, 3, "answered"),
        ("payments/ledger-db", 5432, 2, "answered"),
        (External("debug-site", "example.com", ("93.184.216.34",)), 443, 2, "answered"),
    )
)

NOISE_TRAFFIC = INTERNET_NOISE + MISTAKES + DATAPATH_DROPS + DEBUGGING
