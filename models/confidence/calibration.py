"""
Recalibration of p_need on the estate's own held-out weeks, as simple as the history is short.

Nothing below 21 days, because the only held-out week would be judged by itself; a sigmoid below 1,000
labelled cells; isotonic regression above. Per zone, since outside names behave unlike internal calls.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression

from models.learning.base import Estimator, canonical, require
from models.learning.cells import ZONES
from models.learning.sigmoid import Sigmoid

Floats = npt.NDArray[np.float64]

#: Full days below which nothing is recalibrated (method, section 3).
MIN_RECALIBRATION_DAYS: Final = 21
#: Labelled cells from which isotonic regression is used.
MIN_ISOTONIC_LABELS: Final = 1000
#: Labelled cells below which even a sigmoid would follow noise.
MIN_SIGMOID_LABELS: Final = 30
#: Isotonic regression knows no doubt at its ends; this is as sure as it may be.
ISOTONIC_BOUNDS: Final = (0.005, 0.995)
_EDGE: Final = 1e-6  # keeps log odds finite

NONE: Final = "none"
SIGMOID: Final = "sigmoid"
ISOTONIC: Final = "isotonic"

_COLUMNS: Final = ("zone", "predicted", "happened")


class Recalibration(Estimator):
    """
    Map from forecast to calibrated probability, per zone.

    Parameters
    ----------
    min_isotonic_labels
        Labelled cells of a zone from which isotonic regression is used.

    Attributes
    ----------
    method_ : dict of str to str
        ``none``, ``sigmoid`` or ``isotonic`` per zone.
    label_count_ : dict of str to int
        Labelled cells per zone.
    reason_ : str
        Why nothing was recalibrated; empty where something could be.
    """

    def __init__(self, min_isotonic_labels: int = MIN_ISOTONIC_LABELS) -> None:
        self.min_isotonic_labels = min_isotonic_labels

    def fit(self, labels: pd.DataFrame, day_count: int) -> Self:
        """
        Learn from labelled forecasts.

        Parameters
        ----------
        labels
            Rows of `models.confidence.backtest.recurrence_labels`: ``zone``, ``predicted``, ``happened``.
        day_count
            T: full days of the window that the labels come from.
        """
        require(labels, _COLUMNS, "labels")
        self.method_: dict[str, str] = {}
        self.reason_ = _reason(day_count, len(labels))
        self.label_count_: dict[str, int] = {}
        self._maps: dict[str, Any] = {}
        for zone in ZONES:
            own = labels.loc[(labels["zone"] == zone).to_numpy(), list(_COLUMNS)]
            self.label_count_[zone] = len(own)
            self.method_[zone] = self._choose(len(own), day_count)
            ordered = own.sort_values(list(_COLUMNS))
            predicted = ordered["predicted"].to_numpy(dtype=np.float64)
            happened = ordered["happened"].to_numpy(dtype=np.float64)
            if self.method_[zone] == SIGMOID:
                self._maps[zone] = Sigmoid.fit(_odds(predicted), happened, np.ones(len(own)))
            elif self.method_[zone] == ISOTONIC:
                low, high = ISOTONIC_BOUNDS
                self._maps[zone] = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip")
                self._maps[zone].fit(predicted, happened)
        return self

    def predict(self, predicted: pd.Series[Any], zone: pd.Series[Any]) -> pd.Series[Any]:
        """Calibrated probabilities; forecasts of a zone without a map are returned as they are."""
        self.check_fitted("method_")
        values = predicted.to_numpy(dtype=np.float64).copy()
        for name, method in sorted(self.method_.items()):
            member = (zone == name).to_numpy()
            if method == SIGMOID:
                values[member] = self._maps[name].probability(_odds(values[member]))
            elif method == ISOTONIC and member.any():
                values[member] = self._maps[name].predict(values[member])
        return pd.Series(values, index=predicted.index, name=predicted.name)

    def _choose(self, label_count: int, day_count: int) -> str:
        if day_count < MIN_RECALIBRATION_DAYS or label_count < MIN_SIGMOID_LABELS:
            return NONE
        return SIGMOID if label_count < self.min_isotonic_labels else ISOTONIC


def _reason(day_count: int, label_count: int) -> str:
    if day_count < MIN_RECALIBRATION_DAYS:
        return (
            f"{day_count} fully observed days: two weeks allow no valid recalibration, because the days that "
            f"taught the model would judge it; {MIN_RECALIBRATION_DAYS} are needed"
        )
    if label_count < MIN_SIGMOID_LABELS:
        return f"{label_count} labelled cells: {MIN_SIGMOID_LABELS} of a zone are needed"
    return ""


def _odds(predicted: Floats) -> Floats:
    return np.asarray(logit(np.clip(predicted, _EDGE, 1.0 - _EDGE)), dtype=np.float64)


def carry_horizon(
    calibrated: pd.Series[Any],
    forecast: pd.Series[Any],
    far: pd.Series[Any],
) -> pd.Series[Any]:
    """
    Calibrated probability over a longer horizon, for which no labels exist.

    The model's ratio of the two log survival probabilities is kept:
    ``1 - (1 - calibrated) ^ (log(1 - far) / log(1 - forecast))``.

    Parameters
    ----------
    calibrated
        Recalibrated probability over the labelled horizon (7 days).
    forecast, far
        The model's own probabilities over the labelled and the longer horizon.

    Returns
    -------
    pandas.Series
        At least ``calibrated``; equal to ``far`` where recalibration changed nothing.
    """
    near = np.log1p(-np.clip(forecast.to_numpy(dtype=np.float64), _EDGE, 1.0 - _EDGE))
    long = np.log1p(-np.clip(far.to_numpy(dtype=np.float64), _EDGE, 1.0 - _EDGE))
    own = np.log1p(-np.clip(calibrated.to_numpy(dtype=np.float64), _EDGE, 1.0 - _EDGE))
    carried = -np.expm1(own * np.maximum(long / near, 1.0))
    return pd.Series(carried, index=calibrated.index, name=f"{calibrated.name}")


def prequential(labels: pd.DataFrame, min_isotonic_labels: int = MIN_ISOTONIC_LABELS) -> pd.DataFrame:
    """
    Labels with the forecast as it would have been calibrated then: each week from earlier weeks only.

    Parameters
    ----------
    labels
        ``origin``, ``zone``, ``predicted``, ``happened``; ``origin`` is a count of full days.
    min_isotonic_labels
        As for `Recalibration`.

    Returns
    -------
    pandas.DataFrame
        The labels in canonical order with the column ``calibrated``.
    """
    require(labels, ("origin", *_COLUMNS), "labels")
    parts = []
    ordered = (
        canonical(labels, ["origin", "zone"])
        if "cell" not in labels
        else labels.sort_values(["origin", "cell"])
    )
    for origin in sorted(ordered["origin"].unique()):
        now = ordered.loc[(ordered["origin"] == origin).to_numpy()]
        before = ordered.loc[(ordered["origin"] < origin).to_numpy()]
        days = int(origin) if len(before) else 0
        model = Recalibration(min_isotonic_labels).fit(before, days)
        parts.append(now.assign(calibrated=model.predict(now["predicted"], now["zone"])))
    return pd.concat(parts) if parts else ordered.assign(calibrated=ordered["predicted"])
