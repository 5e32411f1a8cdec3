"""
Attacks that were forwarded because no policy stood in the way, each a function of who and when.

They start inside the window, from one replica, the way an intruder in one container would act.
"""

from datetime import datetime
from random import Random

from sample_data.world.nouns import ATTACK, Dependency, External, Queries
from sample_data.world.rhythms import Every, Once, Shopping

#: What a scanner tries on every pod that it finds.
SWEEP_PORTS = (22, 80, 443, 3306, 5432, 6379, 8080, 9200, 11211, 27017)


def _second(at: datetime) -> float:
    return at.hour * 3600.0 + at.minute * 60.0 + at.second


def port_scan(
    client: str,
    replica: int,
    at: datetime,
    targets: tuple[str, ...],
    serving: dict[str, set[int]],
    depth: int,
    seed: int,
) -> tuple[Dependency, ...]:
    """A sweep over all targets, then many ports of the first one; ``serving`` says which ports answer."""
    rng = Random(f"{seed}/scan/{client}")
    attempts = [(target, port) for target in targets for port in SWEEP_PORTS]
    attempts += [(targets[0], port) for port in sorted(rng.sample(range(1, 10000), depth))]
    found = []
    for number, (target, port) in enumerate(dict.fromkeys(attempts)):
        opens = port in serving.get(target, set())
        outcome = "answered" if opens else ("reset" if number % 3 else "unanswered")
        found.append(
            Dependency(
                client,
                target,
                port,
                Once(at.date(), _second(at) + number * 1.7),
                "port-scan",
                "swept from one compromised replica within minutes",
                label=ATTACK,
                outcome=outcome,
                replica=replica,
            )
        )
    return tuple(found)


def lateral_movement(client: str, replica: int, at: datetime, target: str, port: int) -> Dependency:
    """One replica opens sessions on a data store of another namespace."""
    rhythm = Once(at.date(), _second(at), 14, 4800.0)
    return Dependency(
        client,
        target,
        port,
        rhythm,
        "lateral-movement",
        "one replica reads another team's database",
        label=ATTACK,
        replica=replica,
        lasting=2,
    )


def beacon(client: str, replica: int, start: datetime, name: str, ip: str, period: float) -> Dependency:
    """One replica calls home on a clock."""
    server = External(f"beacon-{name}", name, (ip,), ttl=300)
    return Dependency(
        client,
        server,
        443,
        Every(period, 4.0),
        "beacon",
        "one of several replicas calls a rare name on a clock",
        label=ATTACK,
        replica=replica,
        start=start,
    )


def dns_tunnel(client: str, replica: int, at: datetime, domain: str, count: int) -> Queries:
    """Data leaves in the names that are asked for."""
    return Queries(
        client,
        (f"{{}}.{domain}",),
        Once(at.date(), _second(at), count, 5000.0),
        "dns-tunnel",
        ATTACK,
        "TXT",
        replica,
        why="long random labels under one domain: data carried out in questions",
    )


def mining(client: str, replica: int, start: datetime, ip: str, port: int) -> Dependency:
    """A long-lived connection to a mining pool, opened again now and then."""
    server = External(f"pool-{ip}", pool=(ip,))
    return Dependency(
        client,
        server,
        port,
        Shopping(1.2, weekend=1.0),
        "mining",
        "pool protocol of a crypto miner",
        label=ATTACK,
        replica=replica,
        start=start,
        lasting=4,
    )
