"""
From when to when a cluster was observed: a node whose clock is wrong moves neither end.

One record dated years ahead would otherwise end every window there, empty, and make all else too old to keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: A node's clock may be this far ahead of ours without anybody calling it wrong.
AHEAD_HOURS: Final = 1
#: A hole longer than this parts stretches; a clock that is less wrong moves a window by less than a day.
HOLE_HOURS: Final = 24
#: A stretch at either end with less than this share of what was seen in so many hours of the main one is
#: astray. So an exporter that comes back after days counts again within a few hours.
ASTRAY_SHARE: Final = 0.01
COMPARED_HOURS: Final = 14 * 24


@dataclass(frozen=True, slots=True)
class Extent:
    """
    Hours that a cluster was observed in, as far as they are to be believed.

    Parameters
    ----------
    first_hour, last_hour
        Hours since the epoch with a flow in them; both belong to the extent.
    astray_flows
        Flows dated outside of it.
    clock_behind
        Most flows are dated ahead of our clock, so our clock is not believed.
    """

    first_hour: int
    last_hour: int
    astray_flows: int
    clock_behind: bool


def extent(flows: Mapping[int, int], now_hour: int) -> Extent:
    """
    Find the extent of what was observed.

    Parameters
    ----------
    flows
        Number of flows (positive) by hour since the epoch; at least one.
    now_hour
        Hour of our own clock.

    Examples
    --------
    >>> steady = dict.fromkeys(range(1000, 1336), 50)
    >>> extent(steady | {1400: 3, 9000: 1}, now_hour=1500)
    Extent(first_hour=1000, last_hour=1335, astray_flows=4, clock_behind=False)
    >>> extent(steady, now_hour=10)
    Extent(first_hour=1000, last_hour=1335, astray_flows=0, clock_behind=True)
    """
    total = sum(flows.values())
    past = [hour for hour in sorted(flows) if hour <= now_hour + AHEAD_HOURS]
    clock_behind = 2 * sum(flows[hour] for hour in past) < total
    stretches = _stretches(sorted(flows) if clock_behind else past)
    weights = [sum(flows[hour] for hour in stretch) for stretch in stretches]
    main = weights.index(max(weights))
    length = stretches[main][-1] - stretches[main][0] + 1
    least = ASTRAY_SHARE * weights[main] * min(1.0, COMPARED_HOURS / length)
    believed = [number for number, weight in enumerate(weights) if weight >= least]
    first, last = believed[0], believed[-1]
    inside = sum(weights[first : last + 1])
    return Extent(stretches[first][0], stretches[last][-1], total - inside, clock_behind)


def _stretches(hours: Sequence[int]) -> list[list[int]]:
    """Sorted hours, parted where a hole is too long."""
    found = [[hours[0]]]
    for hour in hours[1:]:
        if hour - found[-1][-1] > HOLE_HOURS:
            found.append([])
        found[-1].append(hour)
    return found
