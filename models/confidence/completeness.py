"""
Completeness: how many legitimate flows a policy would deny next week, and the chance that it is none.

    expected = held back + R (rare returns) + B (births) + C (calendar)

Each part has a mean, a variance and a probability of nothing; means and variances add, probabilities of
nothing multiply. Below ten full days there is no answer, and below fourteen a provisional one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

from models.confidence.calendar import Job, jobs_ahead, new_days_of_month, uncovered_phases
from models.confidence.episodes import INTERVAL, count_interval, count_intervals
from models.confidence.novelty import BIRTH, RARE, novelty
from models.confidence.rare import Reach, births_ahead, rare_ahead, runs_ahead, size_class
from models.learning.base import Estimator, require
from models.learning.cells import EXTERNAL, INTERNAL
from models.learning.days import DAYS_PER_WEEK, MAX_DAY_LOSS, ObservedDays
from models.learning.recurrence import HORIZON

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Full days below which nothing is estimated, and below which the estimate is provisional (section 4).
MIN_DAYS: Final = 10
MIN_STABLE_DAYS: Final = 14
#: Share of two weeks that may be missing: a window that begins at noon holds thirteen full days of fourteen.
STABLE_SLACK: Final = 0.05
#: Common shock of totals, as coefficient of variation: one incident touches many workloads at once.
CLUSTER_SHOCK: Final = 0.25
NAMESPACE_SHOCK: Final = 0.1
#: Weekly back-tests before the shock is estimated from the estate itself.
MIN_SHOCK_ORIGINS: Final = 6
#: Risks at which readiness is reported.
READINESS_RISKS: Final = (0.05, 0.1, 0.2)

_CELL_COLUMNS: Final = (
    "subject",
    "direction",
    "zone",
    "days",
    "days_seen",
    "first_day",
    "flows",
    "active_days",
)
_HELD_COLUMNS: Final = ("subject", "direction", "p_need", "p_legit")
_PARTS: Final = ("rare", "births", "calendar", "held_back")
_UNIT: Final = ["subject", "direction"]


def horizon_for(day_count: int, wanted: int = HORIZON) -> int:
    """
    Days ahead that a window can extrapolate to: whole weeks from 14 days on, half the window below.

    What is wanted beyond is the same rate for longer; only the shape of the series ends here.
    """
    if day_count < MIN_STABLE_DAYS:
        return min(wanted, day_count // 2)
    weeks = min(wanted, day_count // 2) // DAYS_PER_WEEK
    return max(weeks, 1) * DAYS_PER_WEEK


class Completeness(Estimator):
    """
    Expected legitimate denials per policy and direction.

    Parameters
    ----------
    horizon
        Days ahead that the numbers speak of; see `horizon_for` for how far the window itself can tell.

    Attributes
    ----------
    estimable_ : bool
        False below `MIN_DAYS` full days: the frame then lists the units without numbers.
    provisional_ : bool
        True when less than `MIN_STABLE_DAYS` days' worth of capture arrived.
    horizon_ : int
        Days ahead that the rate of new cells was extrapolated to.
    reason_ : str
        Why there is no number, or why it is provisional; empty otherwise.
    uncovered_ : tuple of str
        Calendar phases the window did not cover: unknown, not zero.
    completeness_ : pandas.DataFrame
        Keyed by (subject, direction): expected new cells by part (``rare``, ``births``, ``calendar``,
        ``held_back``), their total ``expected`` with ``variance``, ``low`` and ``high`` (5 and 95 %),
        ``p_any`` and ``flows_denied`` (order of magnitude).
    """

    def __init__(self, horizon: int = HORIZON) -> None:
        self.horizon = horizon

    def fit(
        self,
        cells: pd.DataFrame,
        days: ObservedDays,
        *,
        units: pd.DataFrame | None = None,
        held_back: pd.DataFrame | None = None,
        jobs: Sequence[Job] = (),
        deployed: frozenset[str] = frozenset(),
    ) -> Self:
        """
        Estimate what the window did not show.

        Parameters
        ----------
        cells
            `DayIncidence.cells_` that count as legitimate; with ``cron_expected`` where jobs are known
            and ``job_owned`` for the calls of those whose schedule is not.
        days
            The window.
        units
            Policies to answer for: subject, direction. Those of the cells when left out.
        held_back
            Quarantined cells that could be needed: subject, direction, p_need, p_legit.
        jobs
            CronJobs the cluster told of.
        deployed
            Subjects whose pod template changed in the window.

        Raises
        ------
        BadInputError
            If a column is missing or a schedule cannot be read.
        """
        require(cells, _CELL_COLUMNS, "cells")
        named = [cells] if held_back is None else [cells, held_back]
        wanted = pd.concat([frame[_UNIT] for frame in (named if units is None else [units])])
        rows = wanted.drop_duplicates().sort_values(_UNIT).reset_index(drop=True)
        self.estimable_ = days.count >= MIN_DAYS
        self.provisional_ = days.worth < MIN_STABLE_DAYS * (1.0 - STABLE_SLACK)
        self.horizon_ = horizon_for(days.count, self.horizon)
        self.uncovered_ = uncovered_phases(days)
        self.reason_ = _reason(days, provisional=self.provisional_)
        self._strangers = pd.DataFrame(columns=["mean", "variance"], dtype=float)
        if not self.estimable_ or not len(rows):
            self.completeness_ = _without_numbers(rows)
            return self
        due = jobs_ahead(jobs, cells, days, self.horizon)
        self._strangers = due.loc[~due.index.isin(rows["subject"])]
        known = cells.assign(novelty=novelty(cells, days), zone=_two_zones(cells["zone"]))
        reach = Reach(days.count, self.horizon_, self.horizon)
        rare = rare_ahead(known, _rare_units(known, rows), reach)
        births = births_ahead(known, rows.assign(deployed=rows["subject"].isin(deployed)), reach)
        parts = {
            "rare": _collapse(rare),
            "births": births.set_index(_UNIT),
            "calendar": _calendar(
                rows, due, runs_ahead(known, rows, days.count, new_days_of_month(days, self.horizon))
            ),
            "held_back": _held_back(rows, held_back),
        }
        self.completeness_ = self._combine(rows, parts, known, days.count)
        return self

    def _combine(
        self,
        rows: pd.DataFrame,
        parts: dict[str, pd.DataFrame],
        cells: pd.DataFrame,
        day_count: int,
    ) -> pd.DataFrame:
        out = rows.set_index(_UNIT)
        for name in _PARTS:
            out[name] = parts[name]["mean"].reindex(out.index)
        out["expected"] = out[list(_PARTS)].sum(axis=1)
        out["variance"] = sum(parts[name]["variance"].reindex(out.index) for name in _PARTS)
        none = np.prod([parts[name]["none"].reindex(out.index).to_numpy() for name in _PARTS], axis=0)
        out["p_any"] = 1.0 - none
        out["low"], out["high"] = count_intervals(
            out["expected"].to_numpy(dtype=np.float64), out["variance"].to_numpy(dtype=np.float64)
        )
        rare, birth = (_flows_per_day(cells, kind) for kind in (RARE, BIRTH))
        horizon = self.horizon
        out["flows_denied"] = (
            out["rare"] * rare * (1.0 + (horizon - 1) / day_count)
            + out["births"] * birth * (horizon + 1) / 2.0
        )
        return out

    def ready(self, risk: float) -> pd.Series[Any]:
        """Whether the chance of any new legitimate cell is at most ``risk``; False without numbers."""
        self.check_fitted("completeness_")
        return (self.completeness_["p_any"] <= risk).rename("ready")

    def total(
        self,
        shock: float = CLUSTER_SHOCK,
        subjects: frozenset[str] | None = None,
        ends: tuple[float, float] = INTERVAL,
    ) -> dict[str, float]:
        """
        Sum over policies, with the common shock; and of jobs that are due and that no policy selects yet.

        Parameters
        ----------
        shock
            Coefficient of variation: `CLUSTER_SHOCK`, `NAMESPACE_SHOCK` or one re-estimated by
            `models.confidence.backtest.common_shock`.
        subjects
            Only these; all when left out.
        ends
            Quantiles of the interval; those of `CalibrationReport.ends` once weeks were held out.

        Returns
        -------
        dict
            ``expected``, ``variance``, ``low``, ``high``; NaN when nothing could be estimated.
        """
        self.check_fitted("completeness_")
        rows = self.completeness_
        if subjects is not None:
            rows = rows.loc[rows.index.get_level_values("subject").isin(subjects)]
        if not self.estimable_:
            return dict.fromkeys(("expected", "variance", "low", "high"), float("nan"))
        strangers = self._strangers
        if subjects is not None:
            strangers = strangers.loc[strangers.index.isin(subjects)]
        mean = float(rows["expected"].sum()) + float(strangers["mean"].sum())
        variance = float(rows["variance"].sum() + strangers["variance"].sum()) + (shock * mean) ** 2
        low, high = count_interval(mean, variance, ends)
        return {"expected": mean, "variance": variance, "low": float(low), "high": float(high)}


def _reason(days: ObservedDays, *, provisional: bool) -> str:
    if days.count < MIN_DAYS:
        short = f"too little seen: {days.count} fully observed days, {MIN_DAYS} are needed"
        if not days.partial:
            return short
        return f"{short}; of {len(days.partial)} more, over {MAX_DAY_LOSS:.0%} of the capture is missing"
    if provisional:
        return f"provisional: {days.worth:.1f} days' worth observed, {MIN_STABLE_DAYS} are needed"
    return ""


def _without_numbers(rows: pd.DataFrame) -> pd.DataFrame:
    columns = [*_PARTS, "expected", "variance", "p_any", "low", "high", "flows_denied"]
    return rows.set_index(_UNIT).reindex(columns=columns).astype(float)


def _two_zones(zone: pd.Series[Any]) -> pd.Series[Any]:
    return zone.where(zone == EXTERNAL, INTERNAL)


def _rare_units(cells: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    recurrent = cells.loc[(cells["days_seen"] >= 2).to_numpy()].groupby("subject", sort=True).size()
    sizes = recurrent.reindex(rows["subject"].unique(), fill_value=0)
    size = size_class(sizes).reindex(rows["subject"]).to_numpy()
    both = [rows.assign(size=size, zone=zone) for zone in (EXTERNAL, INTERNAL)]
    return pd.concat(both).sort_values([*_UNIT, "zone"]).reset_index(drop=True)


def _collapse(by_zone: pd.DataFrame) -> pd.DataFrame:
    grouped = by_zone.groupby(_UNIT, sort=True)
    out = grouped[["mean", "variance"]].sum()
    out["none"] = grouped["none"].prod()
    return out


def _calendar(rows: pd.DataFrame, due: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """
    What is due by the calendar.

    Jobs with a schedule bring egress cells, what a job calls and not who calls it; those that run once a
    month and were never seen bring ingress cells.
    """
    out = rows.join(due, on="subject")
    egress = (out["direction"] == "egress").to_numpy()
    for column, neutral in (("mean", 0.0), ("variance", 0.0), ("none", 1.0)):
        out[column] = out[column].where(egress).fillna(neutral).where(egress, runs[column])
    return out.set_index(_UNIT)


def _held_back(rows: pd.DataFrame, held: pd.DataFrame | None) -> pd.DataFrame:
    out = rows.set_index(_UNIT).assign(mean=0.0, variance=0.0, none=1.0)
    if held is None or not len(held):
        return out
    require(held, _HELD_COLUMNS, "held-back cells")
    ordered = held[list(_HELD_COLUMNS)].sort_values(list(_HELD_COLUMNS))
    chance = ordered["p_need"] * ordered["p_legit"]
    terms = ordered.assign(mean=chance, variance=chance * (1.0 - chance), none=1.0 - chance)
    grouped = terms.groupby(_UNIT, sort=True)
    found = grouped[["mean", "variance"]].sum()
    found["none"] = grouped["none"].prod()
    out.update(found)
    return out


def _flows_per_day(cells: pd.DataFrame, kind: str) -> float:
    own = cells.loc[(cells["novelty"] == kind).to_numpy()]
    active = int(own["active_days"].sum())
    return float(own["flows"].sum()) / active if active else 1.0
