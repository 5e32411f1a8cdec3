"""Which days count: a day with gaps or losses proves presence, never absence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from models.learning.base import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from models.frames import Observations

#: Share of a day's capture that may be missing before its silence proves nothing (method, section 1).
MAX_CAPTURE_LOSS: Final = 0.02
#: The same of what has many records a day, as a cell of a policy or of a workload has: what is lost of such
#: a day are single records (docs/decisions/0031, 0068).
MAX_DAY_LOSS: Final = 0.25
#: Share of a day's capture from which what comes daily had a fair chance to show: six hours of all nodes.
MIN_HEARD: Final = 0.25
#: Days a bitmap holds: 64 bits less the sign bit, so that it survives signed 64-bit stores.
BITMAP_DAYS: Final = 63
HOURS_PER_DAY: Final = 24
DAYS_PER_WEEK: Final = 7
_SECONDS_PER_HOUR: Final = 3600
_SUMS: Final = ("nodes", "expected_nodes", "flows", "lost_events", "rejects")  # of a day's hours
_COVERAGE_COLUMNS: Final = ("day", "hour", "seconds", *_SUMS)


@dataclass(frozen=True)
class ObservedDays:
    """
    The days of a window, split into those whose silence counts and those whose presence alone counts.

    Parameters
    ----------
    full
        ISO dates of the days that were observed well enough for the purpose, oldest first; the newest
        `BITMAP_DAYS` of them.
    partial
        ISO dates of the days that were observed with more gaps or losses than that, oldest first.
    exposure
        Share of each day's capture that arrived, in [0, 1], by ISO date.
    """

    full: tuple[str, ...]
    partial: tuple[str, ...]
    exposure: Mapping[str, float]

    @property
    def count(self) -> int:
        """T: number of fully observed days."""
        return len(self.full)

    @property
    def weekdays(self) -> npt.NDArray[np.int64]:
        """Weekday of each full day, Monday is 0; shape (T,)."""
        return np.array([date.fromisoformat(day).weekday() for day in self.full], dtype=np.int64)

    @property
    def worth(self) -> float:
        """Days' worth of capture in the window, partial days by the share of them that arrived."""
        return sum(self.exposure.get(day, 0.0) for day in (*self.full, *self.partial))

    @property
    def heard_count(self) -> int:
        """Number of days of which at least `MIN_HEARD` arrived, whatever may be said of their silence."""
        return sum(share >= MIN_HEARD for share in self.exposure.values())

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """What the silence of each full day is worth, in days, at most 1; shape (T,)."""
        shares = np.array([self.exposure.get(day, 1.0) for day in self.full], dtype=np.float64)
        return np.where(shares >= 1.0 - MAX_CAPTURE_LOSS, 1.0, shares)

    def weekdays_ahead(self, horizon: int) -> npt.NDArray[np.int64]:
        """How often each weekday comes in the ``horizon`` days after the newest full day; shape (7,)."""
        if not self.full:
            return np.zeros(DAYS_PER_WEEK, dtype=np.int64)
        after = date.fromisoformat(self.full[-1]).weekday() + 1
        return np.bincount((after + np.arange(horizon)) % DAYS_PER_WEEK, minlength=DAYS_PER_WEEK)

    def head(self, count: int) -> ObservedDays:
        """
        The window as it stood after its first ``count`` full days.

        Partial days before that point stay; everything later is forgotten.
        """
        full = self.full[:count]
        end = full[-1] if full else ""
        return ObservedDays(full, tuple(day for day in self.partial if day < end), self.exposure)

    def index_before(self, days: pd.Series[str]) -> npt.NDArray[np.int64]:
        """Index of the newest full day that is not after each date; -1 when there is none."""
        full = np.array(self.full, dtype=str)
        return np.searchsorted(full, days.to_numpy(dtype=str), side="right").astype(np.int64) - 1

    def count_before(self, days: pd.Series[str]) -> npt.NDArray[np.int64]:
        """Number of full days before each date; for a full day, its index."""
        full = np.array(self.full, dtype=str)
        return np.searchsorted(full, days.to_numpy(dtype=str), side="left").astype(np.int64)


def observed_days(coverage: pd.DataFrame, max_capture_loss: float = MAX_CAPTURE_LOSS) -> ObservedDays:
    """
    Split the days of a window by how well they were observed.

    The exposure of a day is the product of three shares: hours heard of 24, node-hours delivered of
    those expected, and events neither lost nor unreadable. A day is full when at most ``max_capture_loss``
    is missing, so one missing hour already makes it partial.

    Parameters
    ----------
    coverage
        COVERAGE rows (`models.frames`) of one cluster, one per hour.
    max_capture_loss
        Share of a day that may be missing.

    Raises
    ------
    BadInputError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.DataFrame({"day": ["2026-03-01"] * 24, "hour": range(24), "nodes": 3,
    ...                       "expected_nodes": 3, "seconds": 10800, "flows": 100, "lost_events": 0,
    ...                       "rejects": 0})
    >>> observed_days(hours).full
    ('2026-03-01',)
    """
    require(coverage, _COVERAGE_COLUMNS, "coverage")
    exposure = day_exposure(coverage)
    full = tuple(day for day, share in exposure.items() if share >= 1.0 - max_capture_loss)
    partial = tuple(day for day in exposure if day not in frozenset(full))
    return ObservedDays(full[-BITMAP_DAYS:], partial, exposure)


def window_days(observations: Observations) -> ObservedDays:
    """
    Days of a window, as what has many records a day needs them.

    A day counts with at most `MAX_DAY_LOSS` missing. A day with edges and without any coverage counts for
    presence only; without coverage at all, every day with edges is taken as observed, as the rest of a
    proposal does and says.

    Parameters
    ----------
    observations
        ``edge_days`` and ``coverage``.
    """
    seen = sorted(str(day) for day in observations.edge_days["day"].unique())
    if observations.coverage.empty:
        return ObservedDays(tuple(seen), (), dict.fromkeys(seen, 1.0))
    days = observed_days(observations.coverage, MAX_DAY_LOSS)
    silent = [day for day in seen if day not in days.exposure]
    exposure = dict(sorted({**days.exposure, **dict.fromkeys(silent, 0.0)}.items()))
    return replace(days, partial=tuple(sorted({*days.partial, *silent})), exposure=exposure)


def heard_share(coverage: pd.DataFrame) -> pd.Series[float]:
    """
    Share of each hour in which its nodes were listened to, shape (n_rows,).

    Files that rotate away between two pulls leave some minutes of every hour, full of records.

    Examples
    --------
    >>> import pandas as pd
    >>> heard_share(pd.DataFrame({"nodes": [2, 2], "seconds": [7200, 3900]})).round(2).tolist()
    [1.0, 0.54]
    """
    share = coverage["seconds"] / (_SECONDS_PER_HOUR * coverage["nodes"].clip(lower=1))
    return share.clip(upper=1.0)


def day_exposure(coverage: pd.DataFrame) -> dict[str, float]:
    """Share of each day's capture that arrived, oldest day first."""
    hourly = coverage.drop_duplicates()
    grouped = hourly.groupby("day", sort=True)
    sums = grouped[list(_SUMS)].sum()
    heard = hourly.assign(heard=heard_share(hourly)).groupby(["day", "hour"], sort=True)["heard"].max()
    hours = heard.groupby(level="day").sum().clip(upper=HOURS_PER_DAY) / HOURS_PER_DAY
    nodes = (sums["nodes"] / sums["expected_nodes"].clip(lower=1)).clip(upper=1.0)
    missed = sums["lost_events"] + sums["rejects"]
    kept = sums["flows"] / (sums["flows"] + missed).clip(lower=1)
    kept = kept.where(sums["flows"] + missed > 0, 1.0)
    share = hours * nodes * kept
    return {str(day): float(value) for day, value in share.items()}
