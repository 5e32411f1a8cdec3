"""What the completeness estimate expects of rare cells, of births to come, and of jobs that never ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.confidence.episodes import Clumps, Floats, Forecast, GammaRate, forecast
from models.confidence.novelty import BIRTH, ONE_RUN, RARE, first_birth_day
from models.learning.unseen import expected_unseen

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

#: Upper ends of the size classes, in cells seen on two or more days (method, section 4).
SIZE_CLASSES: Final = (12, 40)
#: Singletons a group needs before its own extrapolation is believed.
MIN_GROUP_SINGLETONS: Final = 20
#: Kappa, in units of H/T: its bounds, and its value where too few singletons speak.
KAPPA_BOUNDS: Final = (0.2, 1.0)
KAPPA_DEFAULT: Final = 0.75
#: Days at the end of the window whose newcomers cannot yet be told to be births.
UNDECIDED_DAYS: Final = 2
#: Workloads whose rates are drawn together: calls in and out, and to the outside, come differently.
_GROUP: Final = ["direction", "size", "zone"]


@dataclass(frozen=True, slots=True)
class Reach:
    """
    How far a window is made to speak.

    Parameters
    ----------
    day_count
        T: full days of the window.
    told
        Days ahead that the series may be extrapolated to.
    wanted
        H: days ahead that are asked for, at the rate of ``told``.
    """

    day_count: int
    told: int
    wanted: int


def size_class(recurrent: pd.Series[Any]) -> pd.Series[Any]:
    """Size class of workloads by their number of cells seen on at least two days."""
    return pd.Series(np.digitize(recurrent.to_numpy(), SIZE_CLASSES), index=recurrent.index)


def kappa(days_seen: pd.Series[Any], day_count: int, horizon: int) -> float:
    """
    New cells ahead per singleton of a group.

    Parameters
    ----------
    days_seen
        x of each rare cell of the group.
    day_count, horizon
        T, and the days that the series is extrapolated to.

    Returns
    -------
    float
        The smoothed Good-Toulmin total over the singletons, clipped to [0.2, 1] H/T; three quarters of
        H/T when the group has fewer than `MIN_GROUP_SINGLETONS`.
    """
    ratio = horizon / day_count
    singletons = int((days_seen == 1).sum())
    if singletons < MIN_GROUP_SINGLETONS:
        return KAPPA_DEFAULT * ratio
    total = expected_unseen(days_seen.to_numpy(dtype=np.int64), day_count, horizon)
    return float(np.clip(total / singletons, KAPPA_BOUNDS[0] * ratio, KAPPA_BOUNDS[1] * ratio))


def rare_ahead(cells: pd.DataFrame, units: pd.DataFrame, reach: Reach) -> pd.DataFrame:
    """
    R per unit and zone.

    Parameters
    ----------
    cells
        Cells with ``subject``, ``direction``, ``zone``, ``novelty``, ``days_seen``, ``first_day``.
    units
        One row per (subject, direction, zone) to answer for, with its ``size`` class; units without a
        singleton are listed too, or a quiet workload would be called complete.
    reach
        How far the window is made to speak.

    Returns
    -------
    pandas.DataFrame
        The units with ``mean``, ``variance``, ``none`` and ``episodes``.
    """
    unit = ["subject", "direction", "zone"]
    rare = cells.loc[(cells["novelty"] == RARE).to_numpy()].merge(units, on=unit)
    singles = rare.loc[(rare["days_seen"] == 1).to_numpy()]
    clumps = _clumps(singles, [*unit, "size"])
    counted = _counted(clumps, units, unit)
    out = units.assign(mean=0.0, variance=0.0, none=1.0, episodes=counted[:, 0])
    for one in units[_GROUP].drop_duplicates().sort_values(_GROUP).to_dict("records"):
        member, own, brought = (_of_group(frame, one) for frame in (units, rare, clumps))
        sizes = clumps["cells"].to_numpy(dtype=np.float64)[brought]
        ratio = kappa(rare["days_seen"].loc[own], reach.day_count, reach.told) * reach.wanted / reach.told
        _write(out, member, _group_forecast(counted[member], Clumps.of(sizes), 1.0, ratio))
    return out


def births_ahead(cells: pd.DataFrame, units: pd.DataFrame, reach: Reach) -> pd.DataFrame:
    """
    B per unit: persistent newcomers, fitted apart for workloads with and without a deploy in the window.

    Parameters
    ----------
    cells
        As for `rare_ahead`.
    units
        One row per (subject, direction), with ``deployed``.
    reach
        How far the window is made to speak.
    """
    born = cells.loc[(cells["novelty"] == BIRTH).to_numpy()]
    exposure = float(max(reach.day_count - first_birth_day(reach.day_count) - UNDECIDED_DAYS, 1))
    unit = ["subject", "direction"]
    clumps = _clumps(born, unit)
    counted = _counted(clumps, units, unit)
    all_clumps = Clumps.of(clumps["cells"].to_numpy(dtype=np.float64))
    out = units.assign(mean=0.0, variance=0.0, none=1.0, episodes=counted[:, 0])
    for deployed in (False, True):
        member = (units["deployed"] == deployed).to_numpy()
        if member.any():
            _write(out, member, _group_forecast(counted[member], all_clumps, exposure, float(reach.wanted)))
    return out


def runs_ahead(cells: pd.DataFrame, units: pd.DataFrame, day_count: int, new_days: int) -> pd.DataFrame:
    """
    Calls of jobs that run once a month and did not run yet, per unit that they would enter.

    A job that never ran has no policy that could deny what it calls; whom it calls may have one.

    Parameters
    ----------
    cells
        As for `rare_ahead`.
    units
        One row per (subject, direction).
    day_count
        Full days of the window, on which the jobs of the cells ran.
    new_days
        Days ahead on a day of the month that the window did not show
        (`models.confidence.calendar.new_days_of_month`).
    """
    unit = ["subject", "direction"]
    member = (units["direction"] == "ingress").to_numpy()
    once = cells.loc[((cells["novelty"] == ONE_RUN) & (cells["direction"] == "ingress")).to_numpy()]
    out = units.assign(mean=0.0, variance=0.0, none=1.0)
    if len(once) and new_days and member.any():
        clumps = _clumps(once, unit)
        sizes = Clumps.of(clumps["cells"].to_numpy(dtype=np.float64))
        counted = _counted(clumps, units, unit)[member]
        _write(out, member, _group_forecast(counted, sizes, float(day_count), float(new_days)))
    return out


def _of_group(frame: pd.DataFrame, group: Mapping[Any, Any]) -> npt.NDArray[np.bool_]:
    """Rows that share the values of a group."""
    same = [(frame[name] == value).to_numpy() for name, value in group.items()]
    return np.asarray(np.logical_and.reduce(same))


def _clumps(cells: pd.DataFrame, unit: list[str]) -> pd.DataFrame:
    """Cells per episode: per unit and first day."""
    return cells.groupby([*unit, "first_day"], sort=True).size().rename("cells").reset_index()


def _counted(clumps: pd.DataFrame, units: pd.DataFrame, unit: list[str]) -> Floats:
    """Episodes and cells of each unit, in the order of ``units``; shape (n_units, 2)."""
    sums = clumps.groupby(unit, sort=True)["cells"].agg(["size", "sum"])
    keys = pd.MultiIndex.from_frame(units[unit])
    return sums.reindex(keys, fill_value=0).to_numpy(dtype=np.float64)


def _group_forecast(counted: Floats, clumps: Clumps, exposure: float, horizon: float) -> Forecast:
    episodes, total = counted[:, 0], counted[:, 1]
    group = GammaRate.fit(episodes, exposure)
    ahead = group.ahead(episodes, exposure, horizon)
    return forecast(group, clumps, episodes, clumps.shrunk(total, episodes), ahead)


def _write(out: pd.DataFrame, member: Any, part: Forecast) -> None:
    out.loc[member, "mean"] = part.mean
    out.loc[member, "variance"] = part.variance
    out.loc[member, "none"] = part.none
