"""On which days each link is used and how much, and what of it the observers catch."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import ALWAYS, WAKING_HOURS, Link, Rhythm

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

#: Traffic of a weekend day against that of a working day.
WEEKEND_FACTOR: Final = 0.5
_SATURDAY: Final = 5
#: Share of events lost on a lossy day, and of the records of a day with a node missing.
LOSS_RANGE: Final = (0.03, 0.15)
NODE_GAP_SHARE: Final = 0.12
#: Hours for which a node is missing.
NODE_GAP_HOURS: Final = 5
#: Spread of the records of one day around their mean.
_SPREAD: Final = 0.3


@dataclass(frozen=True, slots=True)
class Watch:
    """
    How well each day was observed.

    Parameters
    ----------
    lost
        Share of events lost, shape (days,).
    gap
        Whether one of three nodes was missing for hours, shape (days,).
    """

    lost: NDArray[np.float64]
    gap: Bools

    @property
    def missing(self) -> NDArray[np.float64]:
        """Share of the records of a day that never arrived."""
        return 1.0 - (1.0 - self.lost) * (1.0 - NODE_GAP_SHARE * self.gap)


def weekdays(estate: Estate) -> Ints:
    """Weekday of each day, Monday is 0."""
    start = estate.parameters.start.weekday()
    return (np.arange(estate.parameters.days) + start) % 7


def _due(rhythm: Rhythm, estate: Estate, week: Ints, rng: np.random.Generator) -> Bools:
    days = estate.parameters.days
    match rhythm.kind:
        case "always":
            return np.ones(days, dtype=np.bool_)
        case "workdays":
            return np.asarray(week < _SATURDAY)
        case "chance":
            return np.asarray(rng.random(days) < rhythm.p)
        case "weekly":
            return np.asarray(week == rhythm.at)
        case "monthly":
            dates = [estate.parameters.start + timedelta(days=day) for day in range(days)]
            return np.array([date.day == rhythm.at for date in dates])
        case _:
            due = np.zeros(days, dtype=np.bool_)
            due[[day for day in rhythm.days if day < days]] = True
            return due


def _alive(link: Link, estate: Estate) -> Bools:
    days = np.arange(estate.parameters.days)
    alive = (days >= link.first) & (days < link.last)
    for end in (link.client, link.server):
        if end >= 0:
            one = estate.workloads[end]
            alive &= (days >= one.born) & (days < one.dies)
            if one.run is not None:
                alive &= np.isin(days, one.run.days)
    return np.asarray(alive)


def use(estate: Estate) -> Ints:
    """Records per link and day, shape (links, days); 0 where it is not used."""
    rng = estate.rng(8)
    week = weekdays(estate)
    flows = np.zeros((len(estate.links), estate.parameters.days), dtype=np.int64)
    for number, link in enumerate(estate.links):
        due = _due(link.rhythm, estate, week, rng) & _alive(link, estate)
        level = np.full(estate.parameters.days, link.flows)
        if link.kind == "core" and link.rhythm.kind == ALWAYS:
            level[week >= _SATURDAY] *= WEEKEND_FACTOR
        drawn = rng.poisson(level * rng.lognormal(0.0, _SPREAD, len(level)))
        flows[number] = np.where(due, np.maximum(drawn, 1), 0)
    return flows


def begin(flows: Ints, estate: Estate) -> Ints:
    """
    Hour at which the records of a link and day begin, shape (links, days).

    What keeps to no hour begins anywhere: were it always at midnight, all the rare calls of a day would fall
    into one hour, as if one intruder had made them, and of a window that is cut within a day one end would
    hold all calls and the other none.
    """
    hour = np.array([link.hour for link in estate.links], dtype=np.int64)
    begins = np.repeat(hour[:, None], estate.parameters.days, axis=1)
    free = np.array([link.hour == 0 and link.hours == WAKING_HOURS for link in estate.links])
    room = 25 - np.clip(flows, 1, WAKING_HOURS)
    drawn = (estate.rng(14).random(flows.shape) * room).astype(np.int64)
    begins[free] = drawn[free]
    return begins


def watch(estate: Estate) -> Watch:
    """Lossy days and days with a node missing."""
    rng = estate.rng(9)
    days, share = estate.parameters.days, estate.parameters.loss
    lost = np.where(rng.random(days) < share, rng.uniform(*LOSS_RANGE, days), 0.0)
    return Watch(lost, rng.random(days) < share)


def catch(flows: Ints, seen: Watch, estate: Estate) -> Ints:
    """What of the records the observers caught, shape (links, days)."""
    rng = estate.rng(10)
    caught: Any = rng.binomial(flows, 1.0 - seen.missing[None, :])
    return np.asarray(caught, dtype=np.int64)
