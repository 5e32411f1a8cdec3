"""An application of one team: frontends, services, data stores, scheduled jobs, a server with odd ports."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, steady
from jobs.evaluation.estate import Estate
from jobs.evaluation.labels import workload_labels
from jobs.evaluation.nouns import ALWAYS, CHANCE, MONTHLY, NOBODY, WEEKLY, Link, Rhythm, Workload
from jobs.evaluation.platform import connect_workload

#: What services are called.
NOUNS: Final = (
    "orders", "cart", "catalog", "billing", "search", "profile", "stock", "pricing", "mail", "media",
    "report", "ledger", "audit", "route", "fleet", "claims", "quotes", "offers", "feed", "chat",
)  # fmt: skip
_STORES: Final = (("postgres", 5432), ("redis", 6379), ("mongo", 27017), ("elastic", 9200))
_API_PORTS: Final = (8080, 8000, 9000, 50051, 3000)
#: Scheduled jobs of a team at cron x1.
JOBS_PER_TEAM: Final = 3.0
#: Of the jobs, shares that run daily and weekly; the rest runs once a month.
DAILY_SHARE: Final = 0.5
WEEKLY_SHARE: Final = 0.25
MONTH_PHASES: Final = (1, 5, 15, 25, 28)
#: Port range of the FTP server's data connections, and how many of it are ever used.
DYNAMIC_PORTS: Final = range(50000, 50200)
DYNAMIC_USED: Final = 80


@dataclass(slots=True)
class Team:
    """An application while it is built."""

    estate: Estate
    rng: np.random.Generator
    namespace: str
    convention: str
    stores: list[int]
    services: list[int]
    fronts: list[int]

    def add(self, name: str, kind: str, role: str, replicas: int, ports: tuple[int, ...]) -> int:
        """Add a workload under the team's label convention."""
        labels = workload_labels(self.convention, self.namespace, name, role)
        # Where labels say nothing, every other workload at least has an account of its own.
        own = self.convention == "missing" and happens(self.rng, 0.5)
        account = name if own else "default"
        return self.estate.workload(
            Workload(self.namespace, name, kind, role, labels, replicas, ports, account)
        )


def add_team(estate: Estate, namespace: str, size: int, rng: np.random.Generator) -> None:
    """Add an application of ``size`` workloads, and its jobs."""
    team = Team(estate, rng, namespace, estate.convention(rng), [], [], [])
    _add_members(team, size)
    _connect(team)
    members = [*team.stores, *team.services, *team.fronts]
    estate.teams[namespace] = members
    for number in members:
        connect_workload(estate, number, rng)
    for place in range(int(rng.poisson(JOBS_PER_TEAM * estate.parameters.cron))):
        _add_job(team, place)
    if happens(rng, 0.15):
        _add_ftp(team)


def _add_members(team: Team, size: int) -> None:
    rng = team.rng
    stores, fronts = max(1, size // 6), max(1, size // 7)
    for place in range(stores):
        kind, port = _STORES[int(rng.integers(len(_STORES)))]
        team.stores.append(team.add(f"{kind}-{place}", "StatefulSet", "store", 3, (port, port + 1000)))
    for place in range(max(1, size - stores - fronts)):
        port = _API_PORTS[int(rng.integers(len(_API_PORTS)))]
        replicas = int(rng.integers(1, 9))
        team.services.append(team.add(f"{NOUNS[place]}-svc", "Deployment", "api", replicas, (port,)))
    for place in range(fronts):
        replicas = int(rng.integers(2, 6))
        team.fronts.append(team.add(f"front-{place}", "Deployment", "frontend", replicas, (8080,)))


def _connect(team: Team) -> None:
    estate, rng, base = team.estate, team.rng, team.estate.infrastructure
    for store in team.stores:
        port = estate.workloads[store].ports[1]
        estate.link(Link(store, store, port, "core", flows=400.0, hours=24))
    for front in team.fronts:
        estate.call(base["ingress-nginx"], front, "core", Rhythm(), busy(rng))
        for server in rng.choice(team.services, size=min(len(team.services), 4), replace=False):
            estate.call(front, int(server), "core", steady(rng), busy(rng))
    for client in team.services:
        estate.call(client, int(rng.choice(team.stores)), "core", Rhythm(), busy(rng))
        for name, share in (("auth", 0.5), ("kafka", 0.4)):
            if happens(rng, share):
                estate.call(client, base[name], "core", steady(rng), busy(rng))
        server = int(rng.choice(team.services))
        if server != client:
            estate.call(client, server, "core", steady(rng), busy(rng))


def _schedule(rng: np.random.Generator) -> Rhythm:
    draw = float(rng.random())
    if draw < DAILY_SHARE:
        return Rhythm(ALWAYS, scheduled=True)
    if draw < DAILY_SHARE + WEEKLY_SHARE:
        return Rhythm(WEEKLY, at=int(rng.integers(7)), scheduled=True)
    return Rhythm(MONTHLY, at=MONTH_PHASES[int(rng.integers(len(MONTH_PHASES)))], scheduled=True)


def _add_job(team: Team, place: int) -> None:
    """A scheduled job: a pod of its own, or a service that calls another by the calendar."""
    estate, rng = team.estate, team.rng
    rhythm, hour = _schedule(rng), int(rng.integers(24))
    if happens(rng, 0.3):
        client, server = int(rng.choice(team.services)), int(rng.choice(team.services))
        if server != client:
            port = estate.workloads[server].ports[0]
            estate.link(Link(client, server, port, "job", rhythm, 20.0, hour=hour, hours=1))
        return
    target = int(rng.choice(team.stores))
    client = team.add(f"job-{place}", "CronJob", "job", 1, ())
    port = estate.workloads[target].ports[0]
    estate.link(Link(client, target, port, "job", rhythm, 30.0, hour=hour, hours=1))
    dns = estate.infrastructure["coredns"]
    estate.link(Link(client, dns, 53, "dns", rhythm, 20.0, protocol="UDP", hour=hour, hours=1))
    if happens(rng, 0.5):
        account = estate.outside(f"{team.namespace}{place}.blob.core.windows.net", shared=True)
        estate.link(Link(client, NOBODY, 443, "job", rhythm, 10.0, outside=account, hour=hour, hours=1))


def _add_ftp(team: Team) -> None:
    """A server that answers on ever new ports of a range, after a greeting on a fixed one."""
    estate, rng = team.estate, team.rng
    server = team.add("ftp", "Deployment", "transfer", 1, (21,))
    client = team.services[0]
    estate.call(client, server, "core", Rhythm(), 40.0)
    used = rng.choice(np.array(DYNAMIC_PORTS), size=DYNAMIC_USED, replace=False)
    for port in sorted(int(port) for port in used):
        estate.link(Link(client, server, port, "dynamic", Rhythm(CHANCE, 0.06), 2.0, hours=1, hour=3))
    connect_workload(estate, server, rng)
