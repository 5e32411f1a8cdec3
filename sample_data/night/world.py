"""
The sample world two days on: a Monday as any other, and the night of Tuesday with what is planted in it.

`expected.py` says what a report has to say of it.
"""

from dataclasses import replace
from datetime import date

from sample_data.world.aks_shop import moment
from sample_data.world.nouns import ATTACK, Dependency, External, Gap, Workload, World
from sample_data.world.platform_traffic import RESOLVER
from sample_data.world.rhythms import Office, Once, Shopping, Steady
from sample_data.world.sample import sample_world
from sample_data.world.shop_traffic import SUPPLIER

NIGHT = date(2026, 11, 17)
DAYS = 2
INTRUDER = "shop/cart"
RECOMMENDER = Workload(
    "shop",
    "recommender",
    labels={"app.kubernetes.io/name": "recommender", "app.kubernetes.io/part-of": "shop"},
    account="recommender",
    born=moment("17 09:00"),
    probe_port=8080,
)
SILENT = Gap(1, moment("17 12:00"), moment("17 18:00"), 0)


def _lateral(server: str, port: int, minute: int) -> Dependency:
    return Dependency(
        INTRUDER,
        server,
        port,
        Once(NIGHT, 3 * 3600.0 + minute * 60, 6, 240.0),
        "lateral-movement",
        "one replica of a workload whose policy was deleted knocks at other teams' doors",
        label=ATTACK,
        replica=1,
    )


def _new(client: str, server: str | External, port: int, rhythm: Office | Shopping, why: str) -> Dependency:
    start = moment("17 06:00")
    return Dependency(client, server, port, rhythm, "dependency-began", why, start=start)


PLANTED = (
    _new("shop/web", "shop/cart", 7070, Shopping(2), "a badge on every page shows what is in the cart"),
    _new(
        "legacy/mainframe-bridge",
        "legacy/importer",
        8090,
        Office(2),
        "the mainframe tells of stock that moved",
    ),
    _new("monitoring/grafana", "monitoring/alertmanager", 9093, Office(2), "a new panel shows alerts"),
    _new(RECOMMENDER.ref, SUPPLIER, 443, Shopping(2), "recommendations are made from the supplier's feed"),
    Dependency(RECOMMENDER.ref, RESOLVER, 53, Steady(1.3), "dns", "resolves names", protocol="UDP"),
    Dependency("@nodes", RECOMMENDER.ref, 8080, Steady(1), "probe", "kubelet probe"),
    _lateral("payments/ledger-db", 5432, 12),
    _lateral("payments/checkout", 8080, 15),
    _lateral("monitoring/prometheus", 9090, 19),
)


def night_world() -> World:
    """The sample world with two days more and what is planted on the second."""
    world = sample_world()
    return replace(
        world,
        days=world.days + DAYS,
        workloads=(*world.workloads, RECOMMENDER),
        dependencies=(*world.dependencies, *PLANTED),
        gaps=(*world.gaps, SILENT),
        not_yet_seen=(),
    )
