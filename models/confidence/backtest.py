"""
Rolling-origin back-tests on the estate's own days: learn on the first k, look at the next week.

Origins do not overlap, so no day is judged twice. Partial days never label anything: their silence
means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.confidence.completeness import CLUSTER_SHOCK, MIN_SHOCK_ORIGINS, Completeness
from models.confidence.conformal import TARGET_MISS, interval_ends, next_level
from models.confidence.episodes import count_interval
from models.domain.window import FIRST_ORIGIN, origins
from models.learning import bitmaps
from models.learning.incidence import as_of
from models.learning.recurrence import HORIZON, Recurrence

if TYPE_CHECKING:
    from models.learning.days import ObservedDays

#: Bounds of the re-estimated common shock; outside, a handful of weeks is not believed.
SHOCK_BOUNDS: Final = (0.05, 0.6)


def recurrence_labels(
    cells: pd.DataFrame,
    days: ObservedDays,
    horizon: int = HORIZON,
    first: int = FIRST_ORIGIN,
) -> pd.DataFrame:
    """
    Forecast and truth of every cell known at each origin.

    Parameters
    ----------
    cells, days
        `DayIncidence.cells_` and ``days_``.
    horizon
        Days ahead.
    first
        First origin, in full days.

    Returns
    -------
    pandas.DataFrame
        ``origin``, ``cell``, ``zone``, ``predicted``, ``happened``, sorted; empty for short windows.
    """
    parts = [_label(cells, days, origin, horizon) for origin in origins(days.count, horizon, first)]
    columns = ["origin", "cell", "zone", "predicted", "happened"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def _label(cells: pd.DataFrame, days: ObservedDays, origin: int, horizon: int) -> pd.DataFrame:
    known = as_of(cells, days, origin)
    then = days.head(origin)
    model = Recurrence(horizon).fit(known, then)
    bitmap = cells.loc[known.index, "days"].to_numpy(dtype=np.uint64)
    happened = bitmaps.bits_between(bitmap, origin, origin + horizon) != 0
    return pd.DataFrame(
        {
            "origin": origin,
            "cell": known.index.astype(str),
            "zone": known["zone"].to_numpy(),
            "predicted": model.p_need_.to_numpy(),
            "happened": happened.astype(np.float64),
        },
    ).sort_values("cell")


def completeness_backtest(
    cells: pd.DataFrame,
    days: ObservedDays,
    horizon: int = HORIZON,
    first: int = FIRST_ORIGIN,
) -> pd.DataFrame:
    """
    Expected and real new cells per unit at each origin.

    Parameters
    ----------
    cells
        Cells that count as legitimate.
    days, horizon, first
        As for `recurrence_labels`.

    Returns
    -------
    pandas.DataFrame
        ``origin``, ``subject``, ``direction``, ``expected``, ``variance``, ``low``, ``high``, ``p_any``,
        ``actual``: cells first seen within the horizon, partial days included.
    """
    parts = []
    for origin in origins(days.count, horizon, first):
        then = days.head(origin)
        known = as_of(cells, days, origin)
        model = Completeness(horizon).fit(known, then)
        later = days.full[origin : origin + horizon]
        fresh = (cells["first_date"] > then.full[-1]) & (cells["first_date"] <= later[-1])
        actual = cells.loc[fresh.to_numpy()].groupby(["subject", "direction"]).size()
        table = model.completeness_[["expected", "variance", "low", "high", "p_any"]]
        counted = actual.reindex(table.index, fill_value=0)
        parts.append(table.assign(actual=counted, origin=origin).reset_index())
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_BACKTEST_COLUMNS)


_BACKTEST_COLUMNS: Final = [
    "subject",
    "direction",
    "expected",
    "variance",
    "low",
    "high",
    "p_any",
    "actual",
    "origin",
]


def _weekly(backtest: pd.DataFrame) -> Any:
    """What all units together were expected to bring at each origin, and brought; oldest first."""
    return backtest.groupby("origin", sort=True)[["expected", "variance", "actual"]].sum()


def common_shock(backtest: pd.DataFrame) -> float:
    """
    Coefficient of variation of what hits many workloads in one week, by moments over the origins.

    Parameters
    ----------
    backtest
        Rows of `completeness_backtest`.

    Returns
    -------
    float
        `CLUSTER_SHOCK` until there are `MIN_SHOCK_ORIGINS` weekly origins.
    """
    totals = _weekly(backtest)
    if len(totals) < MIN_SHOCK_ORIGINS:
        return CLUSTER_SHOCK
    excess = float((np.square(totals["actual"] - totals["expected"]) - totals["variance"]).sum())
    scale = float(np.square(totals["expected"]).sum())
    squared = max(excess, 0.0) / scale if scale > 0.0 else 0.0
    return float(np.clip(np.sqrt(squared), *SHOCK_BOUNDS))


def steered_level(backtest: pd.DataFrame, shock: float) -> float:
    """
    Nominal miss rate that the interval of all units together should be asked for from now on.

    Each week's interval is asked for at the level that the weeks before it left. Those of single units are
    not steered: their counts are nearly all 0, and no interval of whole numbers around 0 misses once in ten.

    Parameters
    ----------
    backtest
        Rows of `completeness_backtest`.
    shock
        Of the intervals that are to be steered: `common_shock`.

    Returns
    -------
    float
        `TARGET_MISS` until there are `MIN_SHOCK_ORIGINS` weekly origins.
    """
    level, totals = TARGET_MISS, _weekly(backtest)
    if len(totals) < MIN_SHOCK_ORIGINS:
        return level
    for week in totals.to_dict("records"):
        spread = week["variance"] + (shock * week["expected"]) ** 2
        low, high = count_interval(week["expected"], spread, interval_ends(level))
        level = next_level(level, missed=not low <= week["actual"] <= high)
    return level
