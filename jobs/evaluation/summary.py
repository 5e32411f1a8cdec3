"""Results of many worlds to one figure per metric, part and trial; what is missing stays as a row."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from jobs.evaluation.forecasts import GATE, TOTAL
from models.confidence.metrics import brier, brier_skill, expected_calibration_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobs.evaluation.protocol import Result

TRIAL: Final = ["method", "posture", "learned"]
COLUMNS: Final = [
    *TRIAL,
    "metric",
    "part",
    "hits",
    "total",
    "value",
    "low",
    "low_world",
    "high",
    "high_world",
]
#: Risk up to which a policy is called ready, by days learned (method, section 4).
READY_RISK: Final = {14: 0.20, 28: 0.10}
_FORECASTS: Final = ("p_need", "p_legit", "no_denial")


def summarise(results: "Iterable[Result]") -> pd.DataFrame:
    """
    One row per trial, metric and part.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: hits and total over all worlds and their quotient ``value`` (NaN where nothing was
        there to count), the lowest and highest world and their names.
    """
    listed = list(results)
    rows = [
        (one.trial.method, one.trial.posture, one.trial.learned, one.world, *count)
        for one in listed
        for count in one.measured.counts
    ]
    frame = pd.DataFrame(rows, columns=[*TRIAL, "world", "metric", "part", "hits", "total"])
    key = [*TRIAL, "metric", "part"]
    by_world = frame.groupby([*key, "world"], as_index=False, sort=True)[["hits", "total"]].sum()
    by_world["value"] = by_world["hits"] / by_world["total"].where(by_world["total"] > 0)
    pooled = by_world.groupby(key, as_index=False, sort=True)[["hits", "total"]].sum()
    pooled["value"] = pooled["hits"] / pooled["total"].where(pooled["total"] > 0)
    known = by_world.dropna(subset=["value"])
    for name, rising in (("low", True), ("high", False)):
        ends = known.sort_values(["value", "world"], ascending=[rising, True], kind="stable").drop_duplicates(
            key
        )
        ends = ends[[*key, "value", "world"]].rename(columns={"value": name, "world": f"{name}_world"})
        pooled = pooled.merge(ends, on=key, how="left")
    calibration = pd.DataFrame(_calibration(listed), columns=[*key, "hits", "total", "value"])
    everything = pd.concat([pooled, calibration, _family_means(pooled)], ignore_index=True)
    ordered = everything.reindex(columns=COLUMNS).sort_values(key, kind="stable").reset_index(drop=True)
    return pd.DataFrame(ordered)


def _family_means(pooled: pd.DataFrame) -> pd.DataFrame:
    """Mean over attack families, so that a scan's many cells do not hide the rest."""
    rows = pooled[(pooled["metric"] == "attack_admitted") & (pooled["part"] != "all")]
    means = rows.groupby(TRIAL, as_index=False, sort=True)["value"].mean()
    named = {"metric": "attack_admitted", "part": "mean over families", "hits": np.nan, "total": np.nan}
    return pd.DataFrame(means.assign(**named))


def _calibration(results: "list[Result]") -> list[tuple[object, ...]]:
    """Errors of the forecasts, pooled over worlds; NaN with a total of 0 where no proposal carried any."""
    rows: list[tuple[object, ...]] = []
    trials = list(dict.fromkeys(one.trial for one in results))
    for trial in trials:
        mine = [one.measured for one in results if one.trial == trial]
        name = (trial.method, trial.posture, trial.learned)
        for kind in _FORECASTS:
            cases = [(p, h) for one in mine for k, p, h in one.forecasts if k == kind]
            predicted, happened = np.array([p for p, _ in cases]), np.array([h for _, h in cases])
            count = len(cases)
            figures = {
                "ece": expected_calibration_error(predicted, happened) if count else np.nan,
                "brier": brier(predicted, happened),
                "skill": brier_skill(predicted, happened) if count else np.nan,
            }
            rows += [(*name, f"{kind}_{key}", "all", np.nan, count, value) for key, value in figures.items()]
            if kind == "no_denial":
                rows.append((*name, "ready_realised", "all", *_readiness(predicted, happened, trial.learned)))
        for kind, part in ((TOTAL, "all"), (GATE, GATE)):
            spans = [one for item in mine for one in item.intervals if one[0] == kind]
            inside = sum(low <= actual <= high for _, low, high, actual in spans)
            below = sum(actual <= high for _, _, high, actual in spans)
            for key, hits in (("interval_coverage", inside), ("upper_coverage", below)):
                rows.append((*name, key, part, hits, len(spans), hits / len(spans) if spans else np.nan))
        sums = [count for one in mine for count in one.counts if count[0] == "expected_vs_actual"]
        expected, actual = sum(count[2] for count in sums), sum(count[3] for count in sums)
        bias = abs(expected / actual - 1.0) if sums and actual else np.nan
        rows.append((*name, "total_bias", "all", expected, actual, bias))
    return rows


def _readiness(
    predicted: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    happened: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    learned: int,
) -> tuple[float, float, float]:
    """Denials among gates that were called ready, as a multiple of the risk that was promised."""
    risk = READY_RISK.get(learned, READY_RISK[14])
    ready = predicted >= 1.0 - risk if len(predicted) else np.zeros(0, dtype=np.bool_)
    count = int(ready.sum())
    broken = float((1.0 - happened[ready]).sum()) if count else 0.0
    return (broken, float(count), broken / count / risk if count else float("nan"))
