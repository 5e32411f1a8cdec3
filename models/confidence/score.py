"""
Confidence of a rule: will it be needed, and should it be allowed.

``confidence = p_need(35 days) * p_legit``, both shown beside it with where they come from. A rule that
holds several cells is needed when any of them is, and is as legitimate as the most doubtful of them. With
too little history there is no number, only the words "too little seen".
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

from models.confidence.completeness import MIN_DAYS
from models.domain.confidence import PRIOR
from models.errors import BadInputError
from models.learning.base import Estimator, require
from models.learning.evidence import Evidence
from models.learning.recurrence import CONFIDENCE_HORIZON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.learning.days import ObservedDays

#: Lower ends of the bands (method, section 9).
HIGH: Final = 0.95
MEDIUM: Final = 0.8
#: Full days since first sight below which a cell of a long window is called young.
MIN_AGE: Final = 3
#: Bits beyond which a need is called certain: one in a thousand either way.
MAX_NEED_BITS: Final = 10.0

_SURE: Final = 0.995  # would be written as 1.00

TOO_LITTLE: Final = "too little seen"


class Band(StrEnum):
    """How far a confidence goes."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    TOO_LITTLE = TOO_LITTLE


class RuleConfidence(Estimator):
    """
    Confidence per rule.

    Parameters
    ----------
    min_days
        Full days of the window below which nothing is scored.

    Attributes
    ----------
    scores_ : pandas.DataFrame
        Keyed by rule, sorted: ``p_need``, ``p_legit``, ``confidence`` (NaN where too little was seen),
        ``band``, ``provenance`` of p_legit, ``cells`` (count), ``days_seen`` (most of any cell),
        ``young`` (no cell has had `MIN_AGE` days to return), ``doubtful`` (the cell behind p_legit),
        ``needed`` (the cell most likely to return).
    """

    def __init__(self, min_days: int = MIN_DAYS) -> None:
        self.min_days = min_days

    def fit(
        self,
        rules: pd.DataFrame,
        cells: pd.DataFrame,
        days: ObservedDays,
    ) -> Self:
        """
        Score rules.

        Parameters
        ----------
        rules
            ``rule``, ``cell``: which cells each rule admits.
        cells
            Keyed by cell: ``p_need`` (over 35 days, recalibrated), ``p_legit``, ``days_seen``,
            ``opportunities``, and ``provenance`` of p_legit if that is no prior.
        days
            The window.

        Raises
        ------
        BadInputError
            If a column is missing, or a rule names a cell that is not there.
        """
        require(rules, ("rule", "cell"), "rules")
        require(cells, ("p_need", "p_legit", "days_seen", "opportunities"), "cells")
        pairs = rules[["rule", "cell"]].drop_duplicates().sort_values(["rule", "cell"])
        unknown = pairs.loc[cells.index.get_indexer(pd.Index(pairs["cell"])) < 0, "cell"]
        if len(unknown):
            raise BadInputError(f"a rule admits the cell {unknown.iloc[0]!r}, which was not scored")
        known = cells[["p_need", "p_legit", "days_seen", "opportunities"]].rename_axis(None)
        known["provenance"] = cells.get("provenance", PRIOR)
        rows = pairs.merge(known, left_on="cell", right_index=True).sort_values(["rule", "p_legit", "cell"])
        rows["log_unneeded"] = np.log1p(-np.clip(rows["p_need"], 0.0, 1.0 - 1e-12))
        grouped = rows.groupby("rule", sort=True)
        out = pd.DataFrame({"p_need": -np.expm1(grouped["log_unneeded"].sum())})
        out["p_legit"] = grouped["p_legit"].first()
        out["confidence"] = out["p_need"] * out["p_legit"]
        if days.count < self.min_days:
            out[["p_need", "p_legit", "confidence"]] = float("nan")
        out["band"] = [str(band(value)) for value in out["confidence"]]
        out["provenance"] = grouped["provenance"].first()
        out["cells"] = grouped.size()
        out["days_seen"] = grouped["days_seen"].max()
        out["young"] = grouped["opportunities"].max() < MIN_AGE
        out["doubtful"] = grouped["cell"].first()
        # of several that are as certain as can be shown, the one that most days show is told
        most = rows.assign(told=rows["p_need"].round(2)).sort_values(
            ["rule", "told", "days_seen", "cell"], ascending=[True, False, False, True]
        )
        out["needed"] = most.groupby("rule", sort=True)["cell"].first()
        self.scores_ = out
        return self


def band(confidence: float) -> Band:
    """
    Band of a confidence; NaN is `Band.TOO_LITTLE`.

    Examples
    --------
    >>> [str(band(value)) for value in (0.97, 0.8, 0.3, float("nan"))]
    ['high', 'medium', 'low', 'too little seen']
    """
    if math.isnan(confidence):
        return Band.TOO_LITTLE
    if confidence >= HIGH:
        return Band.HIGH
    return Band.MEDIUM if confidence >= MEDIUM else Band.LOW


def need_evidence(cell: Mapping[Any, Any], days: ObservedDays, rhythm: str = "") -> Evidence:
    """
    The sentence behind p_need.

    Parameters
    ----------
    cell
        A row with ``p_need``, ``days_seen``, ``returns``, ``opportunities``, ``last_date`` and ``denied``.
    days
        The window.
    rhythm
        `models.learning.rhythms.Rhythm` of the cell, to be named.

    Returns
    -------
    Evidence
        Its bits are the log2 odds of return within 35 days, at most `MAX_NEED_BITS` either way.
    """
    chance = min(max(float(cell["p_need"]), 1e-9), 1.0 - 1e-9)
    bits = math.log2(chance) - math.log2(1.0 - chance)
    seen = int(cell["days_seen"])
    # a first sight on a partial day is in none of them
    since = int(cell["opportunities"]) + seen - int(cell["returns"])
    last = _ago(str(cell["last_date"]), days)
    named = f", {rhythm.replace('_', ' ')}" if rhythm else ""
    verb = "seen or refused" if cell["denied"] else "seen"
    text = (
        f"{verb} on {seen} of {since} full days since first sight{named}, last {last}; "
        f"returns within {CONFIDENCE_HORIZON} days with probability {_chance(chance)}"
    )
    return Evidence("recurrence", min(max(bits, -MAX_NEED_BITS), MAX_NEED_BITS), text)


def _ago(last: str, days: ObservedDays) -> str:
    """When a cell was seen for the last time."""
    if last not in days.full:
        return f"on {last}, which was seen in part"
    quiet = days.count - 1 - days.full.index(last)
    if not quiet:
        return "on the last full day"
    return f"{quiet} full {'day' if quiet == 1 else 'days'} before the end"


def _chance(probability: float) -> str:
    """Two digits, and never certain."""
    if probability >= _SURE:
        return "above 0.99"
    return "below 0.01" if probability < 1.0 - _SURE else f"{probability:.2f}"
