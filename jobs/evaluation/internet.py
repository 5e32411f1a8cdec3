"""Destinations outside: popular services, names that rotate or grow, accounts on shared suffixes."""

from typing import Final

import numpy as np

from jobs.evaluation.draws import busy, happens, rare, steady
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, NOBODY, Link, Outside, Rhythm

_SAAS: Final = (
    "api.paygrid.com", "hooks.chatroom.com", "api.codeforge.com", "ingest.tracewell.io", "api.mailpost.com",
    "auth.signonce.com", "api.geomap.org", "status.pagerline.com", "registry.imagehub.io", "api.smsgate.net",
)  # fmt: skip
#: Names of a growing domain that are born on one day, on average.
NEW_NAMES_PER_DAY: Final = 0.3
FAMILIES_OF_NAMES: Final = 3
#: Clients of unnamed addresses of one pool, and addresses in the pool.
POOL_CLIENTS: Final = 2
POOL_SIZE: Final = 60


def add_internet(estate: Estate) -> None:
    """Let the applications call the outside."""
    rng = estate.rng(4)
    for name in _SAAS:
        estate.popular.append(_rotating(estate, name, rng))
    clients = [
        number
        for numbers in estate.teams.values()
        for number in numbers
        if estate.workloads[number].role in ("api", "frontend")
    ]
    weights = 1.0 / np.arange(1, len(_SAAS) + 1)
    for client in clients:
        count = int(rng.poisson(0.8))
        for popular in rng.choice(estate.popular, size=min(count, 4), p=weights / weights.sum()):
            estate.call_outside(client, int(popular), "core", steady(rng), busy(rng))
        if happens(rng, 0.3):
            own = _rotating(estate, f"api.partner{client}.com", rng)
            estate.call_outside(client, own, "core", steady(rng), busy(rng))
        for place in range(int(rng.poisson(1.5 * estate.parameters.tail))):
            odd = _rotating(estate, f"www.vendor{client}x{place}.com", rng)
            estate.call_outside(client, odd, "tail", Rhythm(CHANCE, float(rng.beta(0.6, 4.0))), rare(rng))
        if happens(rng, 0.2):
            account = estate.outside(f"acct{client}.blob.core.windows.net", shared=True, addresses=3)
            estate.call_outside(client, account, "core", Rhythm(), busy(rng))
    _add_growing(estate, clients, rng)
    _add_unnamed(estate, clients, rng)


def _rotating(estate: Estate, name: str, rng: np.random.Generator) -> int:
    """A name whose address stays, or changes within a pool every few days."""
    if happens(rng, 0.4):
        return estate.outside(name)
    return estate.outside(name, addresses=int(rng.integers(4, 40)), period=int(rng.integers(1, 6)))


def _add_growing(estate: Estate, clients: list[int], rng: np.random.Generator) -> None:
    """Domains under which new names keep appearing: content networks."""
    days = estate.parameters.days
    for place in range(FAMILIES_OF_NAMES):
        domain = f"contentnet{place}.net"
        users = rng.choice(clients, size=min(len(clients), 4), replace=False)
        births = np.sort(rng.integers(-15, days, size=int(rng.poisson(NEW_NAMES_PER_DAY * (days + 15)))))
        for number, birth in enumerate(births):
            name = estate.outside(f"edge-{number:03d}.{domain}", group=domain, addresses=6, period=2)
            last = int(birth) + int(rng.integers(5, 25))
            for client in users:
                rhythm = Rhythm(CHANCE, float(rng.uniform(0.2, 0.9)))
                flows = float(rng.integers(5, 60))
                first = max(int(birth), 0)
                if last > 0:
                    estate.link(
                        Link(
                            int(client),
                            NOBODY,
                            443,
                            "core",
                            rhythm,
                            flows,
                            outside=name,
                            first=first,
                            last=last,
                        )
                    )


def _add_unnamed(estate: Estate, clients: list[int], rng: np.random.Generator) -> None:
    """Addresses that nobody asks a name for: partners, a pool, a database on premises."""
    for _ in range(3):
        partner = estate.outside("")
        estate.call_outside(int(rng.choice(clients)), partner, "core", steady(rng), busy(rng))
    network = estate.new_network()
    estate.outsides.append(Outside("", "pool-0", False, network, tuple(range(1, POOL_SIZE + 1)), 1))
    pool = len(estate.outsides) - 1
    for client in rng.choice(clients, size=min(len(clients), POOL_CLIENTS), replace=False):
        estate.link(Link(int(client), NOBODY, 8883, "core", Rhythm(), 25.0, outside=pool))
    estate.outsides.append(Outside("", "", False, "10.200.7", (15,), 1))
    legacy = len(estate.outsides) - 1
    for client in rng.choice(clients, size=min(len(clients), 2), replace=False):
        estate.link(Link(int(client), NOBODY, 1521, "core", steady(rng), busy(rng), outside=legacy))
