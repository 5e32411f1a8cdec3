"""Ten families of attacks, in the learning window and after it, each acting from where an intruder would."""

from typing import Final

import numpy as np

from jobs.evaluation.changes import release
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, DAYS, NOBODY, Link, Question, Rhythm, Workload

#: Days on which a round of all ten families begins: while learning, and after either learning window.
ROUNDS: Final = ((3, 11), (15, 19), (29, 33))
_SCANNED: Final = (22, 445, 3306, 6379, 9200)
_LETTERS: Final = tuple("abcdefghijklmnopqrstuvwxyz0123456789")


def add_attacks(estate: Estate) -> None:
    """Let every family act once in every round."""
    rng = estate.rng(7)
    for number, (low, high) in enumerate(ROUNDS):
        if low >= estate.parameters.days:
            break
        _Round(estate, rng, number, low, high).run()


def _word(rng: np.random.Generator, length: int) -> str:
    return "".join(_LETTERS[int(place)] for place in rng.integers(len(_LETTERS), size=length))


class _Round:
    """One act of every family."""

    def __init__(self, estate: Estate, rng: np.random.Generator, number: int, low: int, high: int) -> None:
        self.estate, self.rng, self.number = estate, rng, number
        self.low, self.high = low, high
        self.victims = [
            n
            for numbers in estate.teams.values()
            for n in numbers
            if estate.workloads[n].kind == "Deployment" and estate.workloads[n].role in ("api", "frontend")
        ]
        self.listening = {
            (n, port) for n, one in enumerate(estate.workloads) if one.born == 0 for port in one.ports
        }

    def run(self) -> None:
        """Act."""
        self.scan()
        self.slow_scan()
        self.lateral()
        self.tunnel()
        self.generated()
        self.beacons()
        self.miner()
        self.debug()
        self.trojan()

    def victim(self) -> int:
        """A workload that was broken into."""
        return int(self.rng.choice(self.victims))

    def day(self) -> int:
        """First day of an act."""
        return int(self.rng.integers(self.low, self.high + 1))

    def span(self, start: int, length: int) -> tuple[int, ...]:
        """Days of an act."""
        return tuple(range(start, min(start + length, self.estate.parameters.days)))

    def attack(
        self,
        family: str,
        client: int,
        port: int,
        days: tuple[int, ...],
        flows: float,
        *,
        server: int = NOBODY,
        outside: int = NOBODY,
        one_pod: bool = True,
        hours: int = 1,
        hour: int = 10,
    ) -> None:
        """One contact of an intruder; what does not listen does not answer."""
        answered = outside != NOBODY or (server, port) in self.listening
        self.estate.link(
            Link(
                client,
                server,
                port,
                family,
                Rhythm(DAYS, days=days),
                flows,
                outside,
                first=days[0],
                last=days[-1] + 1,
                one_pod=one_pod,
                answered=answered,
                hour=hour,
                hours=hours,
            )
        )

    def scan(self) -> None:
        """Many workloads and ports within the hour."""
        client, day = self.victim(), self.day()
        count = min(30, len(self.estate.workloads) - 1)
        for server in self.rng.choice(len(self.estate.workloads), size=count, replace=False):
            target = self.estate.workloads[int(server)]
            if int(server) == client or target.born > day:
                continue
            for port in (*_SCANNED, *target.ports[:1]):
                self.attack("horizontal_scan", client, port, (day,), 1.0, server=int(server))

    def slow_scan(self) -> None:
        """Two contacts a day for ten days."""
        client, start = self.victim(), self.day()
        for day in self.span(start, 10):
            for _ in range(2):
                server = int(self.rng.integers(len(self.estate.workloads)))
                target = self.estate.workloads[server]
                if server != client and target.born <= day:
                    ports = (*_SCANNED, *target.ports)
                    port = int(self.rng.choice(ports))
                    self.attack("slow_scan", client, port, (day,), 1.0, server=server, hour=int(day * 7 % 24))

    def lateral(self) -> None:
        """Sessions on other teams' stores and services, over days."""
        client, start = self.victim(), self.day()
        home = self.estate.workloads[client].namespace
        away = sorted((n, p) for n, p in self.listening if self.estate.workloads[n].namespace != home)
        for place in self.rng.choice(len(away), size=5, replace=False):
            server, port = away[int(place)]
            flows = float(self.rng.integers(3, 30))
            days = self.span(start, int(self.rng.integers(1, 4)))
            self.attack("lateral_movement", client, port, days, flows, server=server, hours=3)

    def tunnel(self) -> None:
        """Data in the names that are asked for."""
        client, start = self.victim(), self.day()
        for day in self.span(start, 3):
            for _ in range(150):
                name = f"{_word(self.rng, 40)}.tun{self.number}sync.com"
                self.estate.questions.append(Question(client, name, day, "dns_tunnel", missed=False))

    def generated(self) -> None:
        """Many domains that do not exist and a few that do."""
        client, start = self.victim(), self.day()
        for day in self.span(start, 4):
            for _ in range(40):
                name = f"{_word(self.rng, 14)}.com"
                self.estate.questions.append(Question(client, name, day, "generated_domains", missed=True))
            found = self.estate.outside(f"{_word(self.rng, 14)}.com")
            self.attack("generated_domains", client, 443, (day,), 4.0, outside=found, hours=2)

    def beacons(self) -> None:
        """Regular calls home: to a domain of its own, and over a service that many use."""
        client, start = self.victim(), self.day()
        home = self.estate.outside(f"cdn.{_word(self.rng, 8)}-update.com")
        self.attack("beacon", client, 443, self.span(start, 14), 96.0, outside=home, hours=24, hour=0)
        client, start = self.victim(), self.day()
        known = {link.outside for link in self.estate.links if link.client == client}
        strange = [popular for popular in self.estate.popular if popular not in known]
        if strange:
            via = int(self.rng.choice(strange))
            self.attack("saas_beacon", client, 443, self.span(start, 14), 48.0, outside=via, hours=24, hour=0)

    def miner(self) -> None:
        """A pool over its own port, by name and by address."""
        client, start = self.victim(), self.day()
        pool = self.estate.outside(f"pool{self.number}.coinworks.org")
        self.attack("miner", client, 3333, self.span(start, 10), 20.0, outside=pool, hours=24, hour=0)
        bare = self.estate.outside("")
        self.attack("miner", client, 14444, self.span(start, 10), 20.0, outside=bare, hours=24, hour=0)

    def debug(self) -> None:
        """A person in a pod: tools fetched from outside, databases looked into."""
        client, day = self.victim(), self.day()
        tools = self.estate.outside(f"raw.toolbox{self.number}.net")
        self.attack("exec_debug", client, 443, (day,), 3.0, outside=tools, hour=14)
        shared = self.estate.infrastructure["shared-db"]
        self.attack("exec_debug", client, 5432, (day,), 4.0, server=shared, hour=14)
        namespace = self.estate.workloads[client].namespace
        name = f"debug-{_word(self.rng, 5)}"
        pod = Workload(namespace, name, "Pod", "debug", {"run": name}, 1, born=day, dies=day + 1)
        extra = self.estate.workload(pod)
        targets = self.rng.choice(self.estate.teams[namespace], size=3, replace=False)
        for server in targets:
            port = self.estate.workloads[int(server)].ports[0]
            self.attack("exec_debug", extra, port, (day,), 6.0, server=int(server), hour=15)

    def trojan(self) -> None:
        """A released image that calls out from every replica from then on."""
        client, start = self.victim(), self.day()
        release(self.estate, client, start, 50 + self.number)
        self.estate.workloads[client].versions.sort(key=lambda version: version[0])
        self.estate.workloads[client].rollouts.sort()
        for place in range(2):
            home = self.estate.outside(f"telemetry{place}.{_word(self.rng, 7)}.com", addresses=3, period=3)
            self.estate.link(
                Link(
                    client,
                    NOBODY,
                    443,
                    "trojaned_image",
                    Rhythm(CHANCE, 0.95),
                    60.0,
                    outside=home,
                    first=start,
                    last=start + 14,
                )
            )
