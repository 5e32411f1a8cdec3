"""
Where every cell ends: admitted, quarantined with its reasons, or excluded with a code.

People overrule the screening, one cell at a time: a verdict speaks for no other call, though a name may make
the same one another cell (`models.learning.carried`). And what the last night alone turned from held back to
admitted waits one night more, so that two days of patience buy an intruder nothing.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from models.errors import BadInputError, DefectError
from models.learning.base import require
from models.learning.second_channel import ADMIT, UNWANTED

ADMITTED: Final = "admitted"
QUARANTINED: Final = "quarantined"
EXCLUDED: Final = "excluded"
FATES: Final = (ADMITTED, QUARANTINED, EXCLUDED)

#: Reason while a flip to admitted waits for a second night.
WAITING: Final = "waits_one_night"
#: Exclusion code of what a reviewer confirmed as unwanted.
REVIEWED: Final = "reviewed_unwanted"


def decide_fates(
    reasons: pd.Series[Any],
    excluded: pd.Series[Any] | None = None,
    verdicts: pd.Series[Any] | None = None,
    previous: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """
    Fate of every cell.

    Parameters
    ----------
    reasons
        `Screening.reasons_`: keyed by cell, empty where nothing fired.
    excluded
        Reason code by cell for what no policy can hold (probes, unresolved peers, ...).
    verdicts
        ``admit``, ``unwanted`` or ``later`` by cell; the last asks again and changes nothing.
    previous
        Last night's result of this function.

    Returns
    -------
    pandas.DataFrame
        Keyed by cell in the order of ``reasons``: ``fate`` (one of `FATES`), ``reasons``, and ``wanted``,
        the fate before waiting, which tomorrow night reads.

    Raises
    ------
    BadInputError
        If a cell is listed twice or the previous frame lacks its columns.
    """
    if reasons.index.has_duplicates:
        twice = reasons.index[reasons.index.duplicated()][0]
        raise BadInputError(f"the cell {twice!r} is listed twice: it can end in one place only")
    why = reasons.copy().astype("str")
    fate = pd.Series(ADMITTED, index=reasons.index, dtype="str").where(why == "", QUARANTINED)
    for verdict, to, reason in ((ADMIT, ADMITTED, ""), (UNWANTED, EXCLUDED, REVIEWED)):
        cells = _cells(verdicts, verdict, reasons.index)
        fate.loc[cells], why.loc[cells] = to, reason
    if excluded is not None:
        codes = excluded.loc[excluded.index.isin(reasons.index)]
        fate.loc[codes.index], why.loc[codes.index] = EXCLUDED, codes.astype("str")
    wanted = fate.copy()
    if previous is not None:
        require(previous, ("fate", "wanted"), "last night's fates")
        held = previous.index[(previous["fate"] == QUARANTINED) & (previous["wanted"] != ADMITTED)]
        flips = fate.index[(fate == ADMITTED) & fate.index.isin(held)]
        waiting = flips.difference(_cells(verdicts, ADMIT, reasons.index))
        fate.loc[waiting], why.loc[waiting] = QUARANTINED, WAITING
    return pd.DataFrame({"fate": fate, "reasons": why, "wanted": wanted})


def check_conservation(cells: pd.DataFrame, fates: pd.DataFrame, flows: int) -> dict[str, int]:
    """
    Flows per fate; every cell in exactly one place and no flow lost.

    Parameters
    ----------
    cells
        Keyed by cell, with ``flows``.
    fates
        Result of `decide_fates`.
    flows
        Flows of the input, counted there and not from ``cells``.

    Raises
    ------
    DefectError
        If a cell has no fate, two, or an unknown one, or if the flows do not add up.
    """
    if not cells.index.equals(fates.index) or cells.index.has_duplicates:
        raise DefectError("cells and fates do not name the same cells, each once")
    unknown = fates.loc[~fates["fate"].isin(FATES)]
    if len(unknown):
        raise DefectError(f"the cell {unknown.index[0]!r} has the unknown fate {unknown['fate'].iloc[0]!r}")
    sums = {fate: int(cells.loc[(fates["fate"] == fate).to_numpy(), "flows"].sum()) for fate in FATES}
    if sum(sums.values()) != flows:
        raise DefectError(f"{flows} flows came in, {sum(sums.values())} are accounted for")
    return sums


def _cells(verdicts: pd.Series[Any] | None, verdict: str, known: pd.Index[Any]) -> pd.Index[Any]:
    if verdicts is None:
        return known[:0]
    chosen = verdicts.index[(verdicts == verdict).to_numpy()]
    return chosen[chosen.isin(known)]
