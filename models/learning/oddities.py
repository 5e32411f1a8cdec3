"""
Marks of an intruder that no single number shows: one replica that changed, strangers met at once, company.

A rollout changes every replica of a workload, and traffic that several replicas make spreads over them.
So what only one of them began, long after the workload was there, is a leader's work or an intruder's.
And whoever moves sideways calls several stores of other teams within the hour, for a day or two. Whoever
works in a pod by hand does several things within the hour: what one replica called outside once and never
again makes its other first and last call of that hour odd, too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.cells import group_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

Bools = npt.NDArray[np.bool_]

#: Microseconds after the first sight of an origin from which what it begins is news; before, everything is.
SETTLED_US: Final = 2 * 24 * 3_600_000_000
HOUR_US: Final = 3_600_000_000
#: Attempts of one hour that count: a burst of retries comes from one replica whoever makes it.
ATTEMPTS_PER_HOUR: Final = 4.0
#: Accidents of so few replicas that may be expected among all cells of an estate before one is held back.
MAX_ACCIDENTS: Final = 0.01
#: Endpoints of other namespaces first met within one hour, and days of it, that make a burst.
MIN_STRANGERS: Final = 3
MAX_BURST_DAYS: Final = 3
#: Endpoints of any namespace that one replica met once, within one hour.
MIN_MANY: Final = 5
#: Pods that are several replicas where nobody knows how many there are: one that a node lost looks like two.
MANY_PODS: Final = 4
#: Other strangers outside of one pod in the hour from which it is no chance that rare calls met in it.
MIN_STRANGE_COMPANY: Final = 2
#: Hours of a day for which somebody stays at one thing; what goes on for longer is a program at its work.
MAX_SESSION_HOURS: Final = 8
#: Hours of a day over which a probe may be repeated: whoever looks for what answers moves on when it does.
MAX_PROBE_HOURS: Final = 3


def origin_first_us(cells: pd.DataFrame, origin: pd.Series[Any]) -> pd.Series[Any]:
    """First sight of the origin of each cell in the window, in microseconds."""
    return cells["first_us"].groupby(origin).transform("min")


def settled(cells: pd.DataFrame, origin: pd.Series[Any]) -> Bools:
    """
    Whether a cell began when its origin had been known for two days.

    What an earlier night knew to be so (the optional column ``news``) stays so when the beginning slides out
    of the window.
    """
    late = (cells["first_us"] - origin_first_us(cells, origin) >= SETTLED_US).to_numpy(dtype=np.bool_)
    return late | cells["news"].to_numpy(dtype=np.bool_) if "news" in cells else late


def lasting(cells: pd.DataFrame, hours: int = MAX_SESSION_HOURS) -> Bools:
    """
    Whether a cell went on for longer, in hours of the days of its use, than who looks around stays anywhere.

    A release that calls three services of other teams from its first hour on calls them all day.
    """
    found: Bools = (cells["hours"] > hours * cells["active_days"]).to_numpy(dtype=np.bool_)
    return found


def there_once(cells: pd.DataFrame, origin: pd.Series[Any]) -> Bools:
    """Whether the origin was there on one day only, so that all it did it did on one day."""
    first = cells["first_date"].groupby(origin).transform("min")
    last = cells["last_date"].groupby(origin).transform("max")
    return (first == last).to_numpy(dtype=np.bool_)


def new_in_one_replica(cells: pd.DataFrame, facts: pd.DataFrame, origin: pd.Series[Any]) -> Bools:
    """
    Cells that one replica of several began, while its mates never did.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`, with the optional columns ``templates`` and ``together``
        (`models.learning.templates`): a replaced pod is the same replica.
    facts
        With ``pods``, ``replicas`` and ``attempts``.
    origin
        Who opens the connection, by cell.
    """
    templates, together = _templates(cells)
    pods = facts["pods"].to_numpy(dtype=np.float64)
    replicas = facts["replicas"].to_numpy(dtype=np.float64)
    attempts = np.minimum(
        facts["attempts"].to_numpy(dtype=np.float64), ATTEMPTS_PER_HOUR * cells["hours"].to_numpy()
    )
    few = (pods >= 1) & (replicas >= 2) & (pods <= templates) & ~together
    log_chance = -np.log(np.where(few, replicas, 1.0)) * np.maximum(attempts - templates, 0.0)
    tested = few & settled(cells, origin)
    # among a thousand rare calls, ten have a chance of a hundredth: the limit is for all together
    found: Bools = tested & (log_chance <= math.log(MAX_ACCIDENTS / max(int(tested.sum()), 1)))
    return found


def of_several_replicas(cells: pd.DataFrame, facts: pd.DataFrame) -> Bools:
    """Cells that more than one replica of a workload shows: no rollout explains so many pods."""
    templates, together = _templates(cells)
    pods, replicas = (facts[name].to_numpy(dtype=np.float64) for name in ("pods", "replicas"))
    several: Bools = (pods > templates) | together
    found: Bools = several & np.where(np.isnan(replicas), pods >= MANY_PODS, replicas >= 2)
    return found


def _templates(cells: pd.DataFrame) -> tuple[npt.NDArray[np.float64], Bools]:
    """Pod templates under which each cell was used, and whether several replicas were at work at once."""
    if "templates" not in cells:
        return np.ones(len(cells)), np.zeros(len(cells), dtype=np.bool_)
    return cells["templates"].to_numpy(dtype=np.float64), cells["together"].to_numpy(dtype=np.bool_)


def strangers_at_once(
    cells: pd.DataFrame, facts: pd.DataFrame, origin: pd.Series[Any], teams: Mapping[str, str]
) -> Bools:
    """
    Cells of a burst of first contacts with endpoints of other teams, none of which lasted.

    What several replicas do is no burst of whoever broke into one of them.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``mates``.
    origin
        Who opens the connection, by cell.
    teams
        Team by workload.
    """
    target = cells["peer"].where(cells["direction"] == "egress", cells["subject"])
    home, away = origin.map(teams.get), target.map(teams.get)
    odd = settled(cells, origin) & (home.notna() & away.notna() & (home != away)).to_numpy()
    odd &= (cells["active_days"] <= MAX_BURST_DAYS).to_numpy() & ~lasting(cells)
    odd &= ~facts["mates"].to_numpy(dtype=np.bool_)
    hour = cells["first_us"] // HOUR_US
    frame = pd.DataFrame({"origin": origin, "hour": hour, "target": target})[odd]
    met = frame.groupby(["origin", "hour"])["target"].transform("nunique")
    found = np.zeros(len(cells), dtype=np.bool_)
    found[odd] = met.to_numpy() >= MIN_STRANGERS
    return found


def many_at_once(cells: pd.DataFrame, facts: pd.DataFrame, origin: pd.Series[Any]) -> Bools:
    """
    What one replica called inside the cluster on one day only, with many others that it called only then.

    A rare call is made by itself. Whoever looks around calls what there is, and where all of it answers no
    miss gives him away.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``external``, ``single_replica`` and ``pod``.
    origin
        Who opens the connection, by cell.
    """
    target = cells["peer"].where(cells["direction"] == "egress", cells["subject"])
    once = facts["single_replica"].to_numpy(dtype=np.bool_) & settled(cells, origin)
    once &= (cells["active_days"] <= 1).to_numpy() & (facts["external"] != 1.0).to_numpy() & ~lasting(cells)
    keys = {"origin": origin, "pod": facts["pod"], "hour": cells["first_us"] // HOUR_US, "target": target}
    met = pd.DataFrame(keys)[once].groupby(["origin", "pod", "hour"])["target"].transform("nunique")
    found = np.zeros(len(cells), dtype=np.bool_)
    found[once] = met.to_numpy() >= MIN_MANY
    return found


def strangers_outside(facts: pd.DataFrame) -> pd.Series[bool]:
    """
    Parties outside that one replica called, on one day only.

    An address without a name that other teams call, too, is one of a service that many use.

    Parameters
    ----------
    facts
        With ``external``, ``named``, ``single_replica``, ``party_days`` and ``popularity``.
    """
    shared = (facts["named"] != 1.0) & (facts["popularity"] >= 1)
    return (facts["external"] == 1.0) & facts["single_replica"] & (facts["party_days"] <= 1) & ~shared


def stranger_days(cells: pd.DataFrame, facts: pd.DataFrame, origin: pd.Series[Any]) -> pd.Series[Any]:
    """
    Days on which one replica of the origin called a nameless address outside that was called only then.

    A rare call is the only one; whoever moves from address to address calls another stranger the next day.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``named`` and ``stranger`` (`strangers_outside`).
    origin
        Who opens the connection, by cell.
    """
    strange = facts["stranger"] & (facts["named"] != 1.0)
    return cells["first_date"].where(strange).groupby(origin).transform("nunique")


def beside_lone_sightings(
    cells: pd.DataFrame, facts: pd.DataFrame, origin: pd.Series[Any]
) -> tuple[Bools, Bools]:
    """
    What one replica did on one day only, within an hour of something else that it did only then.

    A rare call is made by itself; whoever works in a pod fetches a tool and tries it, in the same pod. Of a
    thousand rare calls outside some two meet in an hour by chance, so there it takes a third.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``external``, ``single_replica``, ``stranger``, ``session_days`` and ``pod``.
    origin
        Who opens the connection, by cell.

    Returns
    -------
    tuple
        Calls inside the cluster that were made beside one outside; calls outside beside one inside or
        `MIN_STRANGE_COMPANY` outside.
    """
    outside = (facts["external"] == 1.0).to_numpy()
    once = facts["single_replica"].to_numpy(dtype=np.bool_) & settled(cells, origin)
    once &= (cells["active_days"] <= 1).to_numpy()
    lone = once & facts["stranger"].to_numpy(dtype=np.bool_)
    # a session that is an old habit hands out ports that nobody used before
    inside = once & ~outside & (facts["session_days"] <= 1).to_numpy()
    hour = (cells["first_us"] // HOUR_US).to_numpy()
    who, _ = group_codes(facts[["pod"]].assign(origin=origin), ("origin", "pod"))
    what = pd.factorize(cells["peer"].where(outside, "inside"))[0]
    met: dict[tuple[int, int], set[int]] = {}
    for place in np.flatnonzero(lone | inside).tolist():
        for shift in (-1, 0, 1):
            met.setdefault((int(who[place]), int(hour[place]) + shift), set()).add(int(what[place]))
    beyond = set(what[outside].tolist())

    def strangers(place: int) -> int:
        others = met.get((int(who[place]), int(hour[place])), set()) - {int(what[place])}
        return len(others & beyond) + MIN_STRANGE_COMPANY * len(others - beyond)

    company = np.zeros(len(cells), dtype=np.bool_)
    company[inside] = [strangers(place) > 0 for place in np.flatnonzero(inside).tolist()]
    accompanied = np.zeros(len(cells), dtype=np.bool_)
    accompanied[lone] = [strangers(place) >= MIN_STRANGE_COMPANY for place in np.flatnonzero(lone).tolist()]
    return company, accompanied
