"""Does 0.9 mean nine in ten: reliability, its errors, and the coverage of intervals."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

#: Equal-mass bins of the reliability table (method, section 11).
BINS: Final = 15


def brier(predicted: Floats, happened: Floats) -> float:
    """Mean squared error of probabilities; 0 is perfect, NaN without cases."""
    return float(np.mean(np.square(predicted - happened))) if len(predicted) else float("nan")


def brier_climatology(happened: Floats) -> float:
    """Brier score of always saying the base rate."""
    return brier(np.full(len(happened), float(np.mean(happened)) if len(happened) else 0.0), happened)


def brier_skill(predicted: Floats, happened: Floats) -> float:
    """
    Share of climatology's error that the forecast removes; 0 is none, NaN when there is no error to remove.

    Examples
    --------
    >>> brier_skill(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    1.0
    """
    base = brier_climatology(happened)
    return 1.0 - brier(predicted, happened) / base if base > 0.0 else float("nan")


def reliability_table(predicted: Floats, happened: Floats, bins: int = BINS) -> pd.DataFrame:
    """
    Forecast and frequency in bins of about equal mass.

    Equal forecasts always share a bin, so the table does not depend on the order of the cases; with few
    distinct forecasts there are fewer bins.

    Parameters
    ----------
    predicted
        Probabilities, shape (n_cases,).
    happened
        0 or 1, shape (n_cases,).
    bins
        Wanted number of bins.

    Returns
    -------
    pandas.DataFrame
        One row per bin, rising: ``predicted`` and ``happened`` (means), ``count``.
    """
    columns = ["predicted", "happened", "count"]
    if not len(predicted):
        return pd.DataFrame(columns=columns).astype({"predicted": float, "happened": float, "count": int})
    inner = np.quantile(predicted, np.arange(1, bins) / bins, method="higher")
    which = np.searchsorted(np.unique(inner), predicted, side="left")
    cases = pd.DataFrame({"bin": which, "predicted": predicted, "happened": happened})
    ordered = cases.sort_values(["bin", "predicted", "happened"])
    grouped = ordered.groupby("bin", sort=True)
    table = grouped[["predicted", "happened"]].mean()
    table["count"] = grouped.size()
    return table.reset_index(drop=True)[columns]


def expected_calibration_error(predicted: Floats, happened: Floats, bins: int = BINS) -> float:
    """
    ECE: mean distance of forecast and frequency over equal-mass bins, weighted by their mass.

    Examples
    --------
    >>> round(expected_calibration_error(np.full(10, 0.7), np.repeat([1.0, 0.0], 5)), 3)
    0.2
    """
    table = reliability_table(predicted, happened, bins)
    if not len(table):
        return float("nan")
    gap = (table["predicted"] - table["happened"]).abs()
    return float((gap * table["count"]).sum() / table["count"].sum())


def interval_coverage(low: pd.Series[Any], high: pd.Series[Any], actual: pd.Series[Any]) -> float:
    """Share of cases inside their interval, ends included; NaN without cases."""
    if not len(actual):
        return float("nan")
    return float(((actual >= low) & (actual <= high)).mean())
