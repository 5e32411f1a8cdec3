"""
One destination that moves: addresses of one network that take turns.

A service whose name was not seen shows as a row of addresses, each for some days and then never again. An
exact list of them is out of date by next week, so the network is offered as a whole where that pays. What
tells turns from a list of partners is that the days hardly overlap.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from math import log2
from typing import Any, Final

from models.learning.cidrs import PRICE_UNKNOWN
from models.learning.recurrence import HORIZON
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.evidence import SECOND_US, DayIndex
from models.synthesis.exchange import Exchange

#: Microseconds of a day.
DAY_US: Final = 24 * 3600 * SECOND_US
#: Prefix lengths of what one service moves within.
NETWORK: Final = {4: 24, 6: 64}
#: Addresses that make turns, and how often a day may be counted twice: a change falls within a day.
MIN_TURNS: Final = 3
MAX_OVERLAP: Final = 1.35


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
        ``cidr``, ``addresses``, ``unseen``, ``price``, ``denials`` (saved, in the objective); sorted.
    """
    networks: dict[str, list[str]] = defaultdict(list)
    for address in sorted(edges_of):
        version = ip_network(address).version
        networks[str(ip_network(f"{address}/{NETWORK[version]}", strict=False))].append(address)
    found = []
    for cidr, addresses in sorted(networks.items()):
        unseen = int(ip_network(cidr).num_addresses) - len(addresses)
        if len(addresses) < MIN_TURNS or unseen > rates.addresses:
            continue
        each = sum(window.index.seen(edges_of[address])[0] for address in addresses)
        together = window.index.seen([edge for address in addresses for edge in edges_of[address]])[0]
        if each > MAX_OVERLAP * together:
            continue
        price = PRICE_UNKNOWN[0] + PRICE_UNKNOWN[1] * log2(unseen + 1)
        denials = rates.mu_outside * (len(addresses) - 1) * HORIZON / max(window.day_count, 1)
        if price < PRICE_UNKNOWN[0] * len(addresses) + denials:
            found.append(
                {
                    "cidr": cidr,
                    "addresses": len(addresses),
                    "unseen": unseen,
                    "price": price,
                    "denials": denials,
                }
            )
    return found
