"""
What began without a release and stays.

New code brings new dependencies, and it comes with a rollout. A destination outside that was not there,
then is there nearly every day, and that no rollout explains, is a change that nobody deployed. Where a
workload has several replicas, whether all of them or one began it says more; where there is one replica, or
nobody knows how many, this is all that tells an intruder from a dependency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning import bitmaps

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.learning.holders import Holders

Bools = npt.NDArray[np.bool_]

#: A birth (method, section 4): full days before it on which its origin was there without it, full days since,
#: and the share of these on which it was there.
MIN_BEFORE: Final = 4
MIN_SINCE: Final = 3
MIN_SHARE: Final = 0.7
#: Full days that differ by MIN_BEFORE lie more than this apart.
_APART_US: Final = (MIN_BEFORE - 1) * 24 * 3_600_000_000


def began_without_release(
    cells: pd.DataFrame,
    facts: pd.DataFrame,
    holders: Holders,
    releases_seen: Collection[str],
    adjacent: Bools,
) -> Bools:
    """
    Cells outside of a holder that is new, stays, and that no release explains.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`.
    facts
        With ``external``, ``named``, ``names_seen`` and ``replicas``.
    holders
        Of the cells: another name of a holder that was called before is no news.
    releases_seen
        Subjects whose releases would show.
    adjacent
        Whether the holder was first called soon after a release of the subject.
    """
    outgoing = (cells["direction"] == "egress") & (facts["external"] == 1.0)
    # where no names are seen, a new address may be the next one of an old service
    outgoing &= (facts["named"] == 1.0) | facts["names_seen"]
    outgoing &= cells["subject"].isin(releases_seen) & ~(facts["replicas"] >= 2)
    days = int(cells["last_day"].max()) + 1 if len(cells) else 0
    first = pd.Series(bitmaps.lowest_bit(holders.bits), index=cells.index)
    there = cells["first_day"].where(cells["first_day"] >= 0, days).groupby(cells["subject"])
    since = days - first
    born = (first >= 0) & (first - there.transform("min") >= MIN_BEFORE) & (since >= MIN_SINCE)
    # Bits are of full days: what was called on a partial one, as the first of most windows is, was there.
    met = holders.first_us - cells["first_us"].groupby(cells["subject"]).transform("min")
    born &= met > _APART_US
    stays = bitmaps.count_bits(holders.bits) >= MIN_SHARE * since.to_numpy()
    found: Bools = (outgoing & born).to_numpy(dtype=np.bool_) & stays & ~adjacent
    return found
