"""
Links day by day as a frame: what rendering and scoring both start from.

Each row is one link on one day with the label sets and the address of that day.
"""

from typing import Final

import numpy as np
import pandas as pd

from jobs.evaluation.activity import Ints
from jobs.evaluation.world import World

#: Addresses have the number of their destination times this, plus their last byte.
BYTES: Final = 256
NO_ADDRESS: Final = -1


def occurrences(world: World, first: int, last: int, *, observed: bool) -> pd.DataFrame:
    """
    Uses of links on the days ``first`` to ``last`` (exclusive).

    Columns: ``link day flows client_set server_set address``; sets and addresses are numbers, -1 for none.
    """
    table = world.caught if observed else world.flows
    link, day = np.nonzero(table[:, first:last])
    day = day + first
    clients = np.array([one.client for one in world.links], dtype=np.int64)
    servers = np.array([one.server for one in world.links], dtype=np.int64)
    return pd.DataFrame(
        {
            "link": link,
            "day": day,
            "flows": table[link, day],
            "client_set": _sets(world, clients[link], day),
            "server_set": _sets(world, servers[link], day),
            "address": _addresses(world)[
                np.array([one.outside for one in world.links], dtype=np.int64)[link], day
            ],
        }
    )


def _sets(world: World, workload: Ints, day: Ints) -> Ints:
    return np.where(workload >= 0, world.label_set_of[workload, day], -1)


def _addresses(world: World) -> Ints:
    """Number of the address per destination and day; the last row is for links without destination."""
    table = np.full((len(world.outsides) + 1, world.parameters.days), NO_ADDRESS, dtype=np.int64)
    days = np.arange(world.parameters.days)
    for number, one in enumerate(world.outsides):
        hosts = np.array(one.hosts, dtype=np.int64)
        table[number] = number * BYTES + hosts[(days // one.period) % len(hosts)]
    return table


def address_text(world: World, number: int) -> str:
    """Address by its number."""
    return f"{world.outsides[number // BYTES].network}.{number % BYTES}"
