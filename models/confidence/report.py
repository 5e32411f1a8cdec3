"""
The calibration panel: how this estate's own forecasts fared on weeks they had not seen.

Every figure comes from rolling origins. Where the history is too short to hold a week out, the report
says so and holds no figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.confidence.backtest import common_shock, completeness_backtest, recurrence_labels, steered_level
from models.confidence.calibration import Recalibration, prequential
from models.confidence.conformal import interval_ends
from models.confidence.metrics import (
    brier,
    brier_climatology,
    brier_skill,
    expected_calibration_error,
    interval_coverage,
    reliability_table,
)
from models.domain.window import FIRST_ORIGIN, origins
from models.learning.recurrence import HORIZON

if TYPE_CHECKING:
    import pandas as pd

    from models.learning.days import ObservedDays

#: Drift of confidence: beyond these, recalibrate or distrust (method, section 8).
MAX_ECE: Final = 0.05
MIN_COVERAGE: Final = 0.85


@dataclass(frozen=True)
class CalibrationReport:
    """
    Figures of one back-test; NaN and empty tables where nothing could be held out.

    Parameters
    ----------
    reason
        Why there are no figures; empty when there are.
    origins
        Full days learned from at each origin.
    label_count
        Labelled cells over all origins.
    brier, climatology, skill, ece
        Of p_need as it would have been shown: each week calibrated on earlier weeks only.
    raw_ece
        Of p_need before recalibration.
    reliability
        ``predicted``, ``happened``, ``count`` in equal-mass bins.
    interval_coverage
        Share of policies whose real number of new cells lay in the 90 % interval.
    upper_coverage
        Share below the upper end of it.
    any_ece, any_brier
        Of the probability of any new cell per policy.
    bias
        Expected over real new cells of the whole estate, less one.
    conformal_level
        Nominal miss rate at which intervals of totals are asked for.
    shock
        Common shock of totals.
    recalibration
        To be applied to tonight's forecasts, fitted on all origins.
    """

    reason: str
    origins: tuple[int, ...]
    label_count: int
    brier: float
    climatology: float
    skill: float
    ece: float
    raw_ece: float
    reliability: pd.DataFrame
    interval_coverage: float
    upper_coverage: float
    any_ece: float
    any_brier: float
    bias: float
    conformal_level: float
    shock: float
    recalibration: Recalibration

    @property
    def ends(self) -> tuple[float, float]:
        """Quantiles between which the interval of a total is asked for."""
        return interval_ends(self.conformal_level)

    @property
    def trustworthy(self) -> bool | None:
        """Whether the figures are within their limits; ``None`` where there are none."""
        if self.reason:
            return None
        # intervals that are too wide waste a reviewer's time, too narrow ones break production
        return self.ece <= MAX_ECE and self.interval_coverage >= MIN_COVERAGE

    def to_json(self) -> dict[str, Any]:
        """Contract form; what could not be measured is ``None``, and ``reason`` says why."""
        return {
            "reason": self.reason,
            "trustworthy": self.trustworthy,
            "origins": list(self.origins),
            "horizon_days": HORIZON,
            "labels": self.label_count,
            "recalibration": dict(self.recalibration.method_),
            "recalibration_reason": self.recalibration.reason_,
            "p_need": {
                "brier": _figure(self.brier),
                "brier_of_base_rate": _figure(self.climatology),
                "skill": _figure(self.skill),
                "ece": _figure(self.ece),
                "ece_before_recalibration": _figure(self.raw_ece),
                "reliability": [
                    {"predicted": _figure(predicted), "happened": _figure(happened), "count": int(count)}
                    for predicted, happened, count in self.reliability.itertuples(index=False)
                ],
            },
            "completeness": {
                "interval_coverage": _figure(self.interval_coverage),
                "upper_coverage": _figure(self.upper_coverage),
                "any_ece": _figure(self.any_ece),
                "any_brier": _figure(self.any_brier),
                "bias": _figure(self.bias),
            },
            "interval_miss_rate": _figure(self.conformal_level),
            "common_shock": _figure(self.shock),
        }


def calibrate(cells: pd.DataFrame, days: ObservedDays, horizon: int = HORIZON) -> CalibrationReport:
    """
    Back-test p_need and completeness, and fit tonight's recalibration.

    Parameters
    ----------
    cells
        `DayIncidence.cells_` that count as legitimate, with ``job_owned`` where owners are known.
    days
        The window.
    horizon
        Days ahead; also the distance of the origins.
    """
    starts = origins(days.count, horizon)
    labels = recurrence_labels(cells, days, horizon)
    table = prequential(labels)
    units = completeness_backtest(cells, days, horizon)
    shown = table["calibrated"].to_numpy(dtype=np.float64)
    raw = table["predicted"].to_numpy(dtype=np.float64)
    happened = table["happened"].to_numpy(dtype=np.float64)
    chance = units["p_any"].to_numpy(dtype=np.float64)
    any_new = np.asarray(units["actual"] > 0, dtype=np.float64)
    shock = common_shock(units)
    reason = "" if len(labels) else _too_short(days.count, horizon)
    return CalibrationReport(
        reason=reason,
        origins=starts,
        label_count=len(labels),
        brier=brier(shown, happened),
        climatology=brier_climatology(happened),
        skill=brier_skill(shown, happened) if len(shown) else float("nan"),
        ece=expected_calibration_error(shown, happened),
        raw_ece=expected_calibration_error(raw, happened),
        reliability=reliability_table(shown, happened),
        interval_coverage=interval_coverage(units["low"], units["high"], units["actual"]),
        upper_coverage=float((units["actual"] <= units["high"]).mean()) if len(units) else float("nan"),
        any_ece=expected_calibration_error(chance, any_new),
        any_brier=brier(chance, any_new),
        bias=_bias(units),
        conformal_level=steered_level(units, shock),
        shock=shock,
        recalibration=Recalibration().fit(labels, days.count),
    )


def _too_short(day_count: int, horizon: int) -> str:
    needed = FIRST_ORIGIN + horizon
    return f"too little seen: {day_count} fully observed days, the first back-test needs {needed}"


def _figure(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)


def _bias(units: pd.DataFrame) -> float:
    actual = float(units["actual"].sum())
    return float(units["expected"].sum()) / actual - 1.0 if actual > 0.0 else float("nan")
