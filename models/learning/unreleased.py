"""
What began without a release and stays.

New code brings new dependencies, and it comes with a rollout. A destination outside that was not there,
then is there nearly every day and at nearly every hour, and that no rollout explains, is a change that nobody
deployed. Where a workload has several replicas, whether all of them or one began it says more; where there is
one replica, or nobody knows how many, this is all that tells an intruder from a dependency. What is called on
behalf of people, or now and then, rests at some hours; what an intruder left behind calls home round the
clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning import bitmaps
from models.learning.days import HOURS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.learning.days import ObservedDays
    from models.learning.holders import Holders

Bools = npt.NDArray[np.bool_]

#: A birth (method, section 4): days' worth of capture before it in which its origin was there without it,
#: days since, and the share of what was heard of these on which it was there.
MIN_BEFORE: Final = 4.0
MIN_SINCE: Final = 3
MIN_SHARE: Final = 0.7
#: Share of the hours heard, on its days, from which a call is made round the clock.
MIN_HOURS: Final = 0.8


def began_without_release(
    cells: pd.DataFrame,
    facts: pd.DataFrame,
    holders: Holders,
    releases_seen: Collection[str],
    adjacent: Bools,
    *,
    days: ObservedDays,
) -> Bools:
    """
    Cells outside, used round the clock, of a holder that is new, stays, and that no release explains.

    That it was not there before is an absence, so a day before it counts by what was heard of it, and a
    call on a day of which little was heard is a call.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``external``, ``named``, ``names_seen``, ``replicas`` and ``mates``.
    holders
        Of the cells: another name of a holder that was called before is no news.
    releases_seen
        Subjects whose releases would show.
    adjacent
        Whether the holder was first called soon after a release of the subject.
    days
        The window, to which the bitmaps refer.
    """
    outgoing = (cells["direction"] == "egress") & (facts["external"] == 1.0)
    # where no names are seen, a new address may be the next one of an old service
    outgoing &= (facts["named"] == 1.0) | facts["names_seen"]
    # what several replicas do, no one of them began
    outgoing &= cells["subject"].isin(releases_seen) & ~(facts["replicas"] >= 2) & ~facts["mates"]
    heard = np.concatenate([[0.0], np.cumsum(days.shares)])
    first = days.count_before(holders.first_date)
    sight = pd.Series(days.count_before(cells["first_date"]), index=cells.index)
    there = sight.groupby(cells["subject"]).transform("min").to_numpy()
    born = (heard[first] - heard[there] >= MIN_BEFORE) & (days.count - first >= MIN_SINCE)
    stays = bitmaps.count_bits(holders.bits) >= MIN_SHARE * (heard[-1] - heard[first])
    hours = HOURS_PER_DAY * _heard_since(days, holders.first_date)
    resting = cells["hours"] < MIN_HOURS * hours * cells["active_days"]
    found: Bools = outgoing.to_numpy(dtype=np.bool_) & born & stays & ~adjacent & ~resting.to_numpy()
    return found


def _heard_since(days: ObservedDays, first: pd.Series[str]) -> npt.NDArray[np.float64]:
    """Mean share of a day that was heard, from a date on; the last day of a nightly window has two hours."""
    dates = np.array(sorted(days.exposure), dtype=str)
    heard = np.cumsum([0.0, *(days.exposure[day] for day in dates.tolist())])
    at = np.searchsorted(dates, first.to_numpy(dtype=str))
    share: npt.NDArray[np.float64] = (heard[-1] - heard[at]) / np.maximum(len(dates) - at, 1)
    return share
