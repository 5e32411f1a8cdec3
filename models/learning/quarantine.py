"""
Where every cell ends: admitted, quarantined with its reasons, or excluded with a code.

People overrule the screening, one cell at a time: a verdict speaks for no other call, though a name may make
the same one another cell (`models.learning.carried`). What was held back stays held back until a person
decides, or until evidence acquits it (`models.learning.remembered`): that nothing fires because the window
slid on is none. And what the last night alone turned from held back to admitted waits one night more, so that
two days of patience buy an intruder nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.domain.held_cell import HELD_BEFORE, PUT_OFF, WAITING
from models.errors import BadInputError, DefectError
from models.learning.base import require
from models.learning.second_channel import ADMIT, UNWANTED

ADMITTED: Final = "admitted"
QUARANTINED: Final = "quarantined"
EXCLUDED: Final = "excluded"
FATES: Final = (ADMITTED, QUARANTINED, EXCLUDED)

#: A reviewer's word for a cell about which to ask again: it teaches nothing, and holds until its day.
LATER: Final = "later"

#: Exclusion code of what a reviewer confirmed as unwanted.
REVIEWED: Final = "reviewed_unwanted"


def decide_fates(
    reasons: pd.Series[Any],
    excluded: pd.Series[Any] | None = None,
    verdicts: pd.Series[Any] | None = None,
    previous: pd.DataFrame | None = None,
    acquitted: pd.Series[Any] | None = None,
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
        ``admit``, ``unwanted`` or ``later`` by cell; the last holds it back whatever fires.
    previous
        ``fate``, ``wanted`` and ``reasons`` of last night by cell: result of this function, or what is
        remembered of it (`models.learning.remembered.Recall.frame`).
    acquitted
        Whether it counts for a cell that nothing fires (`models.learning.remembered.acquitted`); ``None``
        is yes for all.

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
    held = why.index[:0]
    if previous is not None:
        require(previous, ("fate", "wanted", "reasons"), "last night's fates")
        before = previous.loc[previous.index.isin(why.index) & (previous["fate"] == QUARANTINED).to_numpy()]
        held = before.index[before["wanted"] != ADMITTED]
        stuck = held[(why.loc[held] == "").to_numpy() & _not_acquitted(acquitted, held)]
        why.loc[stuck] = (before.loc[stuck, "reasons"].astype("str") + f";{HELD_BEFORE}").str.lstrip(";")
        off = _cells(verdicts, LATER, before.index)
        off = off[(why.loc[off] == "").to_numpy()]
        why.loc[off] = before.loc[off, "reasons"].astype("str")
    off = _cells(verdicts, LATER, why.index)
    why.loc[off] = why.loc[off].where(why.loc[off] != "", PUT_OFF)
    fate = pd.Series(ADMITTED, index=why.index, dtype="str").where(why == "", QUARANTINED)
    for verdict, to, reason in ((ADMIT, ADMITTED, ""), (UNWANTED, EXCLUDED, REVIEWED)):
        cells = _cells(verdicts, verdict, why.index)
        fate.loc[cells], why.loc[cells] = to, reason
    if excluded is not None:
        codes = excluded.loc[why.index.get_indexer(excluded.index) >= 0]
        fate.loc[codes.index], why.loc[codes.index] = EXCLUDED, codes.astype("str")
    wanted = fate.copy()
    flips = held[(fate.loc[held] == ADMITTED).to_numpy()]
    waiting = flips.difference(_cells(verdicts, ADMIT, why.index))
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


def _not_acquitted(acquitted: pd.Series[Any] | None, cells: pd.Index[Any]) -> npt.NDArray[np.bool_]:
    """Cells that do not go although nothing fires."""
    if acquitted is None:
        return np.zeros(len(cells), dtype=np.bool_)
    return ~acquitted.loc[cells].to_numpy(dtype=np.bool_)


def _cells(verdicts: pd.Series[Any] | None, verdict: str, known: pd.Index[Any]) -> pd.Index[Any]:
    if verdicts is None:
        return known[:0]
    chosen = verdicts.index[(verdicts == verdict).to_numpy()]
    return chosen[known.get_indexer(chosen) >= 0]
