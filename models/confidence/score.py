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
from models.confidence.scheduled import schedule_sentence
from models.domain.confidence import PRIOR, chance_text, shown_probability
from models.errors import BadInputError
from models.learning.base import Estimator, require
from models.learning.days import BITMAP_DAYS
from models.learning.evidence import Evidence
from models.learning.recurrence import CONFIDENCE_HORIZON, HORIZON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.learning.days import ObservedDays

#: Lower ends of the bands (method, section 9).
HIGH: Final = 0.95
MEDIUM: Final = 0.8
#: Full days since first sight below which a cell of a long window is called young.
MIN_AGE: Final = 3

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
        ``needed`` (the cell most likely to return), ``p_habit`` (p_need without what schedules say),
        ``scheduled`` (of the cells with a known schedule the one that it moved most, else "").
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
            Keyed by cell: ``p_need`` (over 35 days, recalibrated; NaN is unknown, and adds nothing to that of
            other cells), ``p_legit``, ``days_seen``,
            ``opportunities``; ``p_habit`` (p_need without schedules) and ``schedule_moved`` (how far they
            moved it; NaN without one) where jobs are known; ``provenance`` of p_legit if it is no prior.
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
        known["p_habit"] = cells.get("p_habit", cells["p_need"])
        known["schedule_moved"] = cells.get("schedule_moved", np.nan)
        rows = pairs.merge(known, left_on="cell", right_index=True).sort_values(["rule", "p_legit", "cell"])
        grouped = rows.groupby("rule", sort=True)
        out = pd.DataFrame({name: _any_of(rows[name], rows["rule"]) for name in ("p_need", "p_habit")})
        out["p_legit"] = grouped["p_legit"].first()
        out["confidence"] = out["p_need"] * out["p_legit"]
        if days.count < self.min_days:
            out[["p_need", "p_legit", "confidence"]] = float("nan")
        out["band"] = [str(band(value)) for value in out["confidence"].tolist()]
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
        moved = rows.dropna(subset="schedule_moved").sort_values(
            ["rule", "schedule_moved", "cell"], ascending=[True, False, True]
        )
        out["scheduled"] = moved.groupby("rule", sort=True)["cell"].first()
        out["scheduled"] = out["scheduled"].fillna("")
        self.scores_ = out
        return self


def _any_of(chance: pd.Series[Any], rule: pd.Series[Any]) -> pd.Series[Any]:
    """Probability that any cell of each rule is used, taking them to come independently."""
    unused = np.log1p(-chance.clip(0.0, 1.0 - 1e-12)).groupby(rule, sort=True).sum(min_count=1)
    return pd.Series(-np.expm1(unused), index=unused.index)


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


def need_ledger(
    score: Mapping[Any, Any],
    cell: Mapping[Any, Any],
    days: ObservedDays,
    scheduled: Mapping[Any, Any] | None = None,
    *,
    among: str = "",
    best: str = "",
) -> list[Evidence]:
    """
    The sentences behind p_need.

    Parameters
    ----------
    score
        Row of `RuleConfidence.scores_`.
    cell
        The ``needed`` cell of the rule: a row with ``days_seen``, ``returns``, ``opportunities``,
        ``first_date``, ``last_date``, ``denied`` and ``rhythm``.
    days
        The window.
    scheduled
        The ``scheduled`` cell, with ``p_need_7d`` and its runs (`models.confidence.scheduled.with_runs`);
        ``None`` without.
    among, best
        Of a rule with several cells: how many of what, and the name of the ``needed`` one, which then has
        ``p_habit`` too. Any of them is use of the rule, so that one alone does not explain its number.

    Returns
    -------
    list of Evidence
        Their bits sum to the log2 odds of the probability that is shown, of use within 35 days.
    """
    habit, stated = float(score["p_habit"]), float(score["p_need"])
    bits = _log2_odds(habit)
    seen = _seen(cell, days)
    text = f"{seen}; returns within {CONFIDENCE_HORIZON} days with probability {chance_text(habit)}"
    if among:
        text = (
            f"any of {among} returns within {CONFIDENCE_HORIZON} days with probability {chance_text(habit)}; "
            f"the best one alone, {best}: {chance_text(float(cell['p_habit']))} ({seen})"
        )
    ledger = [Evidence("recurrence", bits, text)]
    if scheduled is not None:
        week = f"returns within {HORIZON} days with probability {chance_text(float(scheduled['p_need_7d']))}"
        said = f"{schedule_sentence(scheduled, CONFIDENCE_HORIZON)}; {week}"
        ledger.append(Evidence("schedule", _log2_odds(stated) - bits, said))
    return ledger


def _log2_odds(chance: float) -> float:
    """Of a probability as it is shown: what is said of it adds up to that."""
    shown = shown_probability(chance)
    return math.log2(shown) - math.log2(1.0 - shown)


def _seen(cell: Mapping[Any, Any], days: ObservedDays) -> str:
    """On how many days a cell was seen, in which rhythm, and when last."""
    seen = int(cell["days_seen"])
    # a first sight on a partial day is in none of them
    since = int(cell["opportunities"]) + seen - int(cell["returns"])
    last = _ago(str(cell["last_date"]), days)
    named = f", {str(cell['rhythm']).replace('_', ' ')}" if cell["rhythm"] else ""
    verb = "seen or refused" if cell["denied"] else "seen"
    of = f"{since} full days since first sight"
    if days.count >= BITMAP_DAYS and str(cell["first_date"]) < days.full[0]:
        of = f"the last {days.count} full days"  # older ones are in the evidence, and in no bitmap
    return f"{verb} on {seen} of {of}{named}, last {last}"


def _ago(last: str, days: ObservedDays) -> str:
    """When a cell was seen for the last time."""
    if last not in days.full:
        return f"on {last}, which was seen in part"
    quiet = days.count - 1 - days.full.index(last)
    if not quiet:
        return "on the last full day"
    return f"{quiet} full {'day' if quiet == 1 else 'days'} before the end"
