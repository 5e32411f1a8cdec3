"""All applications: tenants of one role, shards of one service, teams, and their rare links."""

from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, rare
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, Rhythm, Workload
from jobs.evaluation.platform import connect_workload
from jobs.evaluation.teams import NOUNS, add_team

#: Workloads of an application, drawn evenly.
APP_SIZE: Final = (7, 15)
TENANT_ROLES: Final = ("web", "api", "worker")
#: Days on which a tenant and a shard arrive that no learning window has seen.
ARRIVALS: Final = (16, 30)


def add_applications(estate: Estate) -> None:
    """Fill the estate with tenants, shards and teams up to its number of workloads."""
    rng = estate.rng(2)
    for number in range(estate.parameters.tenants):
        add_tenant(estate, f"tenant-{number + 1:02d}", 0, rng)
    add_shards(estate, rng)
    team = 0
    while (room := estate.parameters.workloads - len(estate.workloads)) > 0:
        team += 1
        size = min(int(rng.integers(*APP_SIZE)), max(room, 3))
        add_team(estate, f"{NOUNS[team % len(NOUNS)]}-{team}", size, rng)
    _add_tails(estate, estate.rng(3))
    for day in (day for day in ARRIVALS if day < estate.parameters.days):
        add_tenant(estate, f"tenant-new-{day}", day, rng)
        _add_shard(estate, 90 + day, day, rng)


def add_tenant(estate: Estate, namespace: str, born: int, rng: np.random.Generator) -> None:
    """A tenant: the same three workloads in a namespace of its own, calling what all tenants share."""
    kind = "core" if born == 0 else "tenant"
    numbers = []
    for role in TENANT_ROLES:
        labels = {"app.kubernetes.io/name": f"saas-{role}", "app.kubernetes.io/component": role}
        one = Workload(namespace, f"saas-{role}", "Deployment", f"saas-{role}", labels, 2, (8080,), born=born)
        numbers.append(estate.workload(one))
    web, api, worker = numbers
    base = estate.infrastructure
    estate.call(base["ingress-nginx"], web, kind, Rhythm(), busy(rng), born)
    estate.call(web, api, kind, Rhythm(), busy(rng), born)
    for client, name in ((api, "auth"), (api, "shared-db"), (worker, "kafka"), (worker, "shared-db")):
        estate.call(client, base[name], kind, Rhythm(), busy(rng), born)
    for number in numbers:
        connect_workload(estate, number, rng)


def add_shards(estate: Estate, rng: np.random.Generator) -> None:
    """A sharded service: one Deployment per shard, all under one application label."""
    labels = {"app": "index-router"}
    router = estate.workload(Workload("index", "index-router", "Deployment", "router", labels, 2, (9300,)))
    estate.infrastructure["index-router"] = router
    connect_workload(estate, router, rng)
    estate.call(estate.infrastructure["auth"], router, "core", Rhythm(), busy(rng))
    for number in range(4):
        _add_shard(estate, number, 0, rng)


def _add_shard(estate: Estate, number: int, born: int, rng: np.random.Generator) -> None:
    name = f"index-shard-{number}"
    labels = {"app": "index-shard", "shard": str(number)}
    shard = estate.workload(Workload("index", name, "Deployment", "shard", labels, 2, (9400,), born=born))
    kind = "core" if born == 0 else "shard"
    estate.call(estate.infrastructure["index-router"], shard, kind, Rhythm(), busy(rng), born)
    estate.call(shard, estate.infrastructure["kafka"], kind, Rhythm(), busy(rng), born)
    connect_workload(estate, shard, rng)


def _add_tails(estate: Estate, rng: np.random.Generator) -> None:
    """Rare links of the applications: the chance of the n-th falls as a power of n."""
    share = estate.parameters.tail
    own = [number for numbers in estate.teams.values() for number in numbers]
    servers = [number for number in own if estate.workloads[number].ports]
    for numbers in estate.teams.values():
        local = [number for number in numbers if number in servers]
        for client in numbers:
            working = sum(link.client == client and link.kind == "core" for link in estate.links)
            if estate.workloads[client].role == "store":
                continue
            for rank in range(1, int(rng.poisson(working * share / (1.0 - share))) + 1):
                pool = local if happens(rng, 0.7) else servers
                server = int(rng.choice(pool))
                chance = min(0.5, 0.5 / rank**1.2) * float(rng.uniform(0.1, 1.0))
                if server != client:
                    estate.call(client, server, "tail", Rhythm(CHANCE, chance), rare(rng))
