"""
Links day by day as a frame: what rendering and scoring both start from.

Each row is one link on one day with the label sets and the address of that day. Where windows begin within a
day, the rows of their first and last day hold the records of some hours only: the records of a day lie evenly
in its hours.
"""

from typing import Final

import numpy as np
import pandas as pd

from jobs.evaluation.activity import Ints
from jobs.evaluation.world import World

#: Addresses have the number of their destination times this, plus their last byte.
BYTES: Final = 256
NO_ADDRESS: Final = -1
_HOURS: Final = 24


def occurrences(
    world: World, first: int, last: int, *, observed: bool, from_midnight: bool = False
) -> pd.DataFrame:
    """
    Uses of links in the window of the days ``first`` to ``last`` (exclusive).

    Parameters
    ----------
    observed
        What was caught instead of what happened.
    from_midnight
        Take the first day as a whole although the window begins within it.

    Returns
    -------
    pandas.DataFrame
        ``link day flows client_set server_set address begin hours``; sets and addresses are numbers, -1 for
        none. The records lie in at most ``hours`` hours of the day from ``begin`` on.
    """
    table = world.caught if observed else world.flows
    days = world.calendar(first, last)
    link, day = np.nonzero(table[:, days.start : days.stop])
    day = day + first
    flows, begin = table[link, day], world.begins[link, day]
    hours = np.minimum(np.array([one.hours for one in world.links], dtype=np.int64)[link], _HOURS - begin)
    cut = world.parameters.hour
    if cut:
        hours = np.minimum(hours, flows)
        low = np.clip(np.where((day == first) & (not from_midnight), cut, 0) - begin, 0, hours)
        high = np.clip(np.where(day == last, cut, _HOURS) - begin, 0, hours)
        kept = low < high
        link, day, flows, begin, hours, low, high = (
            column[kept] for column in (link, day, flows, begin, hours, low, high)
        )
        flows = _before(high, flows, hours) - _before(low, flows, hours)
        begin, hours = begin + low, high - low
    clients = np.array([one.client for one in world.links], dtype=np.int64)
    servers = np.array([one.server for one in world.links], dtype=np.int64)
    return pd.DataFrame(
        {
            "link": link,
            "day": day,
            "flows": flows,
            "client_set": _sets(world, clients[link], day),
            "server_set": _sets(world, servers[link], day),
            "address": _addresses(world)[
                np.array([one.outside for one in world.links], dtype=np.int64)[link], day
            ],
            "begin": begin,
            "hours": hours,
        }
    )


def _before(hour: Ints, flows: Ints, hours: Ints) -> Ints:
    """Records before an hour; the n-th of ``flows`` records lies in the hour n ``hours`` / ``flows``."""
    return np.asarray(-(-hour * flows // hours))


def by_period(world: World, first: int, last: int) -> pd.DataFrame:
    """
    What happened on the days ``first`` to ``last`` with ``period``: the day on which its 24 hours began.

    A period goes from the hour at which windows begin to the same hour of the next day.
    """
    if not world.parameters.hour:
        uses = occurrences(world, first, last, observed=False)
        return uses.assign(period=uses["day"])
    parts = [
        occurrences(world, day, day + 1, observed=False).assign(period=day) for day in range(first, last)
    ]
    return pd.concat(parts, ignore_index=True)


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
