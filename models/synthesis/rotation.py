"""
One destination that moves: addresses of one network that take turns.

A service whose name was not seen shows as a row of addresses, each for some days and then never again. An
exact list of them is out of date by next week, so the network is offered as a whole where that pays. What
tells turns from a list of partners is that the days hardly overlap, or that each address is there for a day
or two and new ones never cease to come.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from math import log2
from typing import Any, Final

from models.domain.special import holds_metadata, reaches_reserved
from models.learning.cidrs import PRICE_UNKNOWN
from models.learning.recurrence import HORIZON
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.evidence import SECOND_US, DayIndex
from models.synthesis.exchange import Exchange

#: Microseconds of a day.
DAY_US: Final = 24 * 3600 * SECOND_US
#: Prefix lengths of what one service moves within.
NETWORK: Final = {4: 24, 6: 64}
#: Addresses that such a network is reckoned as. Nobody gets a part of a /64 (RFC 7421), so that it is no more
#: of a stranger's than a /24 is.
NETWORK_SIZE: Final = 256
#: Addresses that make turns, and how often a day may be counted twice: a change falls within a day.
MIN_TURNS: Final = 3
MAX_OVERLAP: Final = 1.35
#: Days that an address which comes and goes is seen on, in the mean, and days with new ones once the first
#: third of the window taught what there is.
MAX_LIFE: Final = 2.0
MIN_BIRTH_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """
    When edges were seen.

    Parameters
    ----------
    index
        Days of the edges.
    day_count
        Days of the window with any traffic.
    first_day
        The first of them, in days since the epoch.
    """

    index: DayIndex
    day_count: int
    first_day: int


def when_seen(table: EdgeTable, index: DayIndex) -> Seen:
    """Days of a window's edges."""
    first = min((edge.first_us for edge in table.edges), default=0)
    return Seen(index, len(table.days), first // DAY_US)


def rotating(edges_of: Mapping[str, Sequence[Edge]], window: Seen, rates: Exchange) -> list[dict[str, Any]]:
    """
    Networks within which one destination moves and that pay.

    Parameters
    ----------
    edges_of
        Edges by address, of one workload and port.
    window
        When they were seen.
    rates
        Exchange rates of the posture.

    Returns
    -------
    list of dict
        ``cidr``, ``addresses``, ``unseen``, ``counted`` (unseen as the budget reckons it), ``price``,
        ``denials`` (saved, in the objective); what pays most comes first, whether or not all fit the budget.
    """
    networks: dict[str, list[str]] = defaultdict(list)
    for address in sorted(edges_of):
        version = ip_network(address).version
        networks[str(ip_network(f"{address}/{NETWORK[version]}", strict=False))].append(address)
    found = []
    for cidr, addresses in sorted(networks.items()):
        unseen = max(NETWORK_SIZE - len(addresses), 0)
        if len(addresses) < MIN_TURNS or unseen > rates.moving or _forbidden(cidr):
            continue
        edges = [edges_of[address] for address in addresses]
        coming = _coming(edges, window)
        if coming == 0.0:
            continue
        price = PRICE_UNKNOWN[0] + PRICE_UNKNOWN[1] * log2(unseen + 1)
        denials = rates.mu_outside * coming * HORIZON
        if price < PRICE_UNKNOWN[0] * len(addresses) + denials:
            found.append(
                {
                    "cidr": cidr,
                    "addresses": len(addresses),
                    "unseen": int(ip_network(cidr).num_addresses) - len(addresses),
                    "counted": unseen,
                    "price": price,
                    "denials": denials,
                }
            )
    return sorted(found, key=lambda row: (-_gain(row), row["cidr"]))


def _forbidden(cidr: str) -> bool:
    """Whether a network holds what no prefix may; of NAT64 a /64 is all of IPv4."""
    network = ip_network(cidr)
    return reaches_reserved(network) or holds_metadata(network)


def _gain(row: Mapping[str, Any]) -> float:
    """What a network saves; rounded, so that the order does not hang on the order of a sum."""
    return round(PRICE_UNKNOWN[0] * int(row["addresses"]) + float(row["denials"]) - float(row["price"]), 6)


def _coming(addresses: Sequence[Sequence[Edge]], window: Seen) -> float:
    """New addresses a day, where one destination moves; 0 where none does. Of each address its edges."""
    days = max(window.day_count, 1)
    each = sum(window.index.seen(edges)[0] for edges in addresses)
    together = window.index.seen([edge for edges in addresses for edge in edges])[0]
    if each <= MAX_OVERLAP * together:
        return (len(addresses) - 1) / days
    taught = -(-days // 3)
    first = [min(edge.first_us for edge in edges) // DAY_US - window.first_day for edges in addresses]
    born = [day for day in first if day >= taught]
    if each > MAX_LIFE * len(addresses) or len(set(born)) < MIN_BIRTH_DAYS or days <= taught:
        return 0.0
    return len(born) / (days - taught)
