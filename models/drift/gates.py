"""
Nightly series: how often each gate refused, or called without an answer, night after night.

A gate is one direction of one workload. What is counted are episodes, distinct hours of a cell, so that a
client that retries a thousand times counts as one that retries ten times.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.drift.baseline import BASELINE_NIGHTS, MIN_CLUSTER_NIGHTS, Predicted, day_types, predict
from models.drift.coverage import NightCoverage
from models.drift.finding import Expectation
from models.drift.night import Scene
from models.learning.days import ObservedDays

STOPPED: Final = "stopped"  # denied by policy, or only audited
FRUITLESS: Final = "fruitless"  # passed, no rule allows it, and nothing answered
UNRULED: Final = "unruled"  # calls that no rule allows, by who makes them
#: Share of nights on which a gate shows something for it to be a habit.
HABIT: Final = 0.5
SERIES: Final = (STOPPED, FRUITLESS, UNRULED)


@dataclass(frozen=True)
class GateSeries:
    """
    Counts of one kind and what was to be expected of them.

    Parameters
    ----------
    kind
        One of `SERIES`.
    gates
        (owner, direction), sorted.
    tonight
        Episodes, shape (gates,).
    predicted
        ``None`` when there are too few nights to say.
    nights
        Nights that the baseline rests on.
    numbers
        Place of each gate.
    habitual
        Owners that showed it on most nights.
    """

    kind: str
    gates: tuple[tuple[str, str], ...]
    tonight: NDArray[np.float64]
    predicted: Predicted | None
    nights: int

    numbers: Mapping[tuple[str, str], int]
    habitual: frozenset[str] = frozenset()

    def place(self, owner: str, direction: str) -> int | None:
        """Number of a gate, ``None`` when it showed nothing."""
        return self.numbers.get((owner, direction))

    def chance(self, owner: str, direction: str = "egress") -> float | None:
        """Chance of tonight's count at a gate; ``None`` where there is no baseline."""
        place = self.place(owner, direction)
        if place is None or self.predicted is None:
            return None
        return float(self.predicted.chance[place])


def episodes(rows: pd.DataFrame, kind: str) -> "pd.Series[Any]":
    """
    Episodes of a kind per row.

    Parameters
    ----------
    rows
        With ``stopped``, ``hours``, ``part`` and the measures of EDGE_DAYS.
    kind
        One of `SERIES`.
    """
    if kind == STOPPED:
        return rows["stopped"]
    if kind == UNRULED:
        return (rows["part"] < 0).astype("int64")
    connects = rows["protocol"].isin(("TCP", "SCTP")) & rows["replies_visible"] & (rows["flows"] > 0)
    missed = connects & (rows["answered"] <= rows["reset"]) & (rows["part"] < 0)
    return rows["hours"].where(missed, 0)


def callers(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Who opens the connection of each row, as the owner of a subject is named."""
    return rows["owner"].where(rows["direction"] == "egress", rows["far"])


def gate_series(scene: Scene, days: ObservedDays, coverage: NightCoverage, kind: str) -> GateSeries:
    """
    Series of one kind over all gates that were seen.

    Parameters
    ----------
    scene
        Night and history.
    days
        Which days were fully observed.
    coverage
        How well tonight was heard: a night of which half was heard expects half.
    kind
        One of `SERIES`.
    """
    tonight = _counted(scene.rows, kind)
    past = _counted(scene.past, kind)
    before = scene.window.start.date().isoformat()
    nights = [day for day in days.full if day < before][-BASELINE_NIGHTS:]
    gates = sorted(set(zip(tonight["owner"], tonight["direction"], strict=True)))
    number = {gate: place for place, gate in enumerate(gates)}
    now = np.zeros(len(gates))
    for owner, direction, count in zip(tonight["owner"], tonight["direction"], tonight["count"], strict=True):
        now[number[(owner, direction)]] += count
    if len(nights) < MIN_CLUSTER_NIGHTS or not gates:
        return GateSeries(kind, tuple(gates), now, None, len(nights), number)
    table = np.zeros((len(nights), len(gates)))
    born = np.full(len(gates), len(nights))
    row_of = {day: row for row, day in enumerate(nights)}
    columns = (past[name] for name in ("owner", "direction", "day", "count"))
    for owner, direction, day, count in zip(*columns, strict=True):
        place, row = number.get((owner, direction)), row_of.get(day)
        if place is not None and row is not None:
            table[row, place] += count
            born[place] = min(born[place], row)
    weekdays = np.array([date.fromisoformat(day).weekday() for day in nights], dtype=np.int64)
    today = day_types(np.array([scene.window.start.date().weekday()], dtype=np.int64))[0]
    exposure = coverage.hours / 24.0 * max(coverage.heard_share, 0.05)
    predicted = predict(
        table, now, day_types(weekdays) == today, nights=len(nights) - born, exposure=exposure
    )
    often = (table > 0).mean(axis=0) >= HABIT
    habitual = frozenset(gate[0] for gate, habit in zip(gates, often.tolist(), strict=True) if habit)
    return GateSeries(kind, tuple(gates), now, predicted, len(nights), number, habitual)


def _counted(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Episodes per gate and day; gates that were merely there count zero."""
    counted = rows[["owner", "direction", "day"]].assign(count=episodes(rows, kind))
    if kind == UNRULED:
        counted = counted.assign(owner=callers(rows), direction="egress")
    return counted.groupby(["owner", "direction", "day"], sort=True)["count"].sum().reset_index()


def expected(series: GateSeries, place: int, what: str) -> Expectation:
    """Tonight's count of one gate against its baseline."""
    count, predicted = float(series.tonight[place]), series.predicted
    if predicted is None:
        return Expectation(what, count)
    low, high = float(predicted.low[place]), float(predicted.high[place])
    return Expectation(what, count, low, high, float(predicted.chance[place]))
