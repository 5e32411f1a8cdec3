"""Calibration, its measures, and the confidence of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.confidence.backtest import steered_level
from models.confidence.calibration import Recalibration, carry_horizon, prequential
from models.confidence.completeness import CLUSTER_SHOCK
from models.confidence.conformal import interval_ends, next_level
from models.confidence.metrics import (
    brier,
    brier_climatology,
    brier_skill,
    expected_calibration_error,
    interval_coverage,
    reliability_table,
)
from models.confidence.score import RuleConfidence, need_ledger
from models.errors import BadInputError
from models.learning.days import ObservedDays
from models.learning.evidence import Evidence, probability, total_bits
from tests.unit.learning.worlds import day_names

if TYPE_CHECKING:
    from collections.abc import Mapping


def labels(count: int, seed: int = 0, tilt: float = 1.0, zone: str = "internal") -> pd.DataFrame:
    """Forecasts whose log odds are ``tilt`` times too bold."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.0, 1.5, count)
    happened = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(float)
    predicted = 1 / (1 + np.exp(-odds * tilt))
    return pd.DataFrame({"origin": 14, "zone": zone, "predicted": predicted, "happened": happened})


@pytest.mark.parametrize(
    ("count", "days", "method"),
    [(5000, 20, "none"), (10, 28, "none"), (500, 28, "sigmoid"), (5000, 28, "isotonic")],
)
def test_the_method_grows_with_the_history(count: int, days: int, method: str) -> None:
    """None below three weeks, a sigmoid below a thousand labels, isotonic above."""
    fitted = Recalibration().fit(labels(count), days)
    assert fitted.method_ == {"internal": method, "external": "none", "infrastructure": "none"}
    assert fitted.label_count_["internal"] == count


@pytest.mark.parametrize("count", [900, 6000])
def test_trap_J12_recalibration_mends_bold_forecasts_on_new_cases(count: int) -> None:
    """Twice too sure of itself; mended on cases it has not seen."""
    fitted = Recalibration().fit(labels(count, 1, tilt=2.0), 28)
    fresh = labels(6000, 2, tilt=2.0)
    happened = fresh["happened"].to_numpy()
    before = expected_calibration_error(fresh["predicted"].to_numpy(), happened)
    after = expected_calibration_error(fitted.predict(fresh["predicted"], fresh["zone"]).to_numpy(), happened)
    assert after < 0.5 * before
    assert after < 0.04


def test_good_forecasts_are_left_nearly_alone() -> None:
    """The prior of the sigmoid is that the forecast is right."""
    fitted = Recalibration().fit(labels(300, 3), 28)
    grid = pd.Series(np.linspace(0.05, 0.95, 19))
    moved = fitted.predict(grid, pd.Series("internal", index=grid.index))
    assert (moved - grid).abs().max() < 0.12


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([100, 2000]), st.integers(0, 5), st.floats(0.3, 3))
def test_recalibration_keeps_the_order_and_stays_in_bounds(count: int, seed: int, tilt: float) -> None:
    """A surer forecast never becomes a less sure one."""
    fitted = Recalibration().fit(labels(count, seed, tilt), 28)
    grid = pd.Series(np.linspace(0, 1, 101))
    out = fitted.predict(grid, pd.Series("internal", index=grid.index)).to_numpy()
    assert (np.diff(out) >= -1e-12).all()
    assert ((out >= 0) & (out <= 1)).all()


def test_no_week_is_calibrated_on_itself() -> None:
    """The first origin stays raw; later ones use earlier ones only."""
    first, second = labels(2000, 1, tilt=2.0), labels(2000, 2, tilt=2.0).assign(origin=21)
    table = prequential(pd.concat([first, second]))
    raw, mended = (table.loc[table["origin"] == origin] for origin in (14, 21))
    assert (raw["calibrated"] == raw["predicted"]).all()
    happened = mended["happened"].to_numpy()
    before = expected_calibration_error(mended["predicted"].to_numpy(), happened)
    assert expected_calibration_error(mended["calibrated"].to_numpy(), happened) < before
    assert prequential(first.iloc[:0]).empty


def test_a_longer_horizon_keeps_the_model_where_calibration_changed_nothing() -> None:
    """And is never below the calibrated week."""
    near, far = pd.Series([0.1, 0.5, 0.9]), pd.Series([0.3, 0.7, 0.95])
    assert np.allclose(carry_horizon(near, near, far), far)
    lower = carry_horizon(near * 0.5, near, far)
    assert ((lower > near * 0.5) & (lower < far)).all()


def test_measures_of_a_perfect_and_of_a_useless_forecast() -> None:
    """Brier, skill and ECE at their ends."""
    happened = np.array([0.0, 1.0, 1.0, 0.0])
    assert brier(happened, happened) == 0.0
    assert brier_skill(np.full(4, 0.5), happened) == 0.0
    assert brier_climatology(happened) == 0.25
    assert expected_calibration_error(np.full(4, 0.5), happened) == 0.0
    assert expected_calibration_error(1 - happened, happened) == 1.0
    none = np.zeros(0)
    assert np.isnan(
        [brier(none, none), expected_calibration_error(none, none), brier_skill(happened, np.ones(4))]
    ).all()
    assert reliability_table(none, none).empty


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.21, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=200
    )
)
def test_equal_forecasts_share_a_bin_in_any_order(cases: list[tuple[float, bool]]) -> None:
    """Otherwise the error would depend on how rows happen to lie."""
    predicted, happened = np.array([p for p, _ in cases]), np.array([float(h) for _, h in cases])
    table = reliability_table(predicted, happened)
    assert table["count"].sum() == len(cases)
    assert table["predicted"].is_monotonic_increasing
    once = expected_calibration_error(predicted, happened)
    assert once == expected_calibration_error(predicted[::-1], happened[::-1])
    assert 0.0 <= once <= 1.0


def test_coverage_counts_both_ends() -> None:
    """A count on the end of its interval is inside."""
    low, high, actual = pd.Series([0, 1, 2]), pd.Series([1, 2, 3]), pd.Series([1, 1, 4])
    assert interval_coverage(low, high, actual) == pytest.approx(2 / 3)
    assert np.isnan(interval_coverage(low[:0], high[:0], actual[:0]))


def test_the_conformal_level_follows_its_misses() -> None:
    """Ten misses widen, a long clean record narrows, and neither without end."""
    missing = holding = 0.1
    for _ in range(10):
        missing = next_level(missing, missed=True)
    for _ in range(500):
        holding = next_level(holding, missed=False)
    assert (missing, holding) == (0.005, 0.5)
    assert interval_ends(0.1) == (0.05, 0.95)


def weeks(*actual: int) -> pd.DataFrame:
    """Back-tests of two units that were expected to bring two cells each and week."""
    rows = [
        {"origin": 14 + 7 * week, "subject": unit, "expected": 2.0, "variance": 2.0, "actual": count / 2}
        for week, count in enumerate(actual)
        for unit in ("a", "b")
    ]
    return pd.DataFrame(rows)


def test_the_interval_of_totals_is_wider_after_weeks_that_it_missed() -> None:
    """From the sixth held-out week on, and asked for anew each week at the level that the last one left."""
    assert steered_level(weeks(40, 40, 40, 40, 40), CLUSTER_SHOCK) == 0.1
    assert steered_level(weeks(40, 40, 40, 40, 40, 40), CLUSTER_SHOCK) == 0.005
    assert steered_level(weeks(4, 4, 4, 4, 4, 4), CLUSTER_SHOCK) == pytest.approx(0.13)
    assert steered_level(weeks(4, 4, 40, 4, 4, 4), CLUSTER_SHOCK) == pytest.approx(0.08)


def rules(count: int = 14) -> tuple[pd.DataFrame, pd.DataFrame, ObservedDays]:
    """Two rules: one of two cells, one of a young doubtful one."""
    cells = pd.DataFrame(
        {
            "p_need": [0.9, 0.5, 0.6],
            "p_legit": [0.99, 0.9, 0.4],
            "days_seen": [14, 3, 1],
            "first_date": day_names(14)[0],
            "last_date": [day_names(14)[day] for day in (13, 9, 13)],
            "opportunities": [13, 10, 1],
            "returns": [13, 2, 0],
            "denied": [0, 0, 3],
        },
        index=pd.Index(["a", "b", "c"], name="cell"),
    )
    members = pd.DataFrame({"rule": ["r1", "r1", "r2"], "cell": ["a", "b", "c"]})
    return members, cells, ObservedDays(tuple(day_names(count)), (), {})


def test_a_rule_is_needed_if_any_cell_is_and_as_legitimate_as_its_worst() -> None:
    """1 - 0.1 * 0.5, times 0.9."""
    scores = RuleConfidence().fit(*rules()).scores_
    assert scores.loc["r1", ["p_need", "p_legit", "confidence"]].tolist() == pytest.approx([0.95, 0.9, 0.855])
    assert scores["band"].tolist() == ["medium", "low"]
    assert scores["doubtful"].tolist() == ["b", "c"]
    assert scores["young"].tolist() == [False, True]


def test_trap_F16_too_little_history_gives_words() -> None:
    """Nine days: no number, but the rule is listed."""
    scores = RuleConfidence().fit(*rules(9)).scores_
    assert scores[["p_need", "p_legit", "confidence"]].isna().all().all()
    assert scores["band"].tolist() == ["too little seen"] * 2


def test_a_rule_over_an_unscored_cell_is_refused() -> None:
    """It would look needless."""
    members, cells, days = rules()
    with pytest.raises(BadInputError, match="not scored"):
        RuleConfidence().fit(members.assign(cell="z"), cells, days)


def told(cell: Mapping[Any, Any], days: ObservedDays, rhythm: str = "") -> Evidence:
    """What is said of a rule of one cell."""
    score = {"p_need": cell["p_need"], "p_habit": cell["p_need"]}
    (said,) = need_ledger(score, {**cell, "rhythm": rhythm}, days)
    return said


def test_the_need_has_a_sentence() -> None:
    """Days, recency, rhythm and the number."""
    _, cells, days = rules()
    said = told(cells.loc["b"], days, "workday")
    assert said.because == (
        "seen on 3 of 11 full days since first sight, workday, last 4 full days before the end; "
        "returns within 35 days with probability 0.50"
    )
    assert said.bits == pytest.approx(0.0)
    assert "on the last full day" in told(cells.loc["a"], days).because


def test_a_window_beyond_the_bitmap_is_told_as_what_it_is() -> None:
    """Days are counted among the last 63; that it was seen before is in the evidence."""
    _, cells, _ = rules()
    names = day_names(85)
    days = ObservedDays(tuple(names[-63:]), (), {})
    about = cells.loc["b"].to_dict() | {"returns": 3, "opportunities": 63, "last_date": names[80]}
    assert told(about | {"first_date": names[2]}, days).because.startswith(
        "seen on 3 of the last 63 full days, last 4"
    )
    young = told(about | {"first_date": names[30], "opportunities": 54}, days).because
    assert young.startswith("seen on 3 of 54 full days since first sight")


def test_first_and_last_sight_on_partial_days_are_told_as_what_they_are() -> None:
    """No full day is counted that lies before first sight, and silence on full days is not the end of it."""
    _, cells, days = rules()
    begun = cells.loc["b"].to_dict() | {"returns": 3, "last_date": "2026-12-24"}
    said = told(begun, days).because
    assert said.startswith(
        "seen on 3 of 10 full days since first sight, last on 2026-12-24, which was seen in"
    )


def test_attempts_that_a_policy_of_today_refuses_are_told_as_such() -> None:
    """They count as days of use, and nobody shall look for flows that passed."""
    _, cells, days = rules()
    assert told(cells.loc["c"], days).because.startswith("seen or refused on 1 of 2 full days")


def test_of_certain_cells_the_one_that_most_days_show_is_told() -> None:
    """Their chances are cut at the same height, and the name of a cell says nothing."""
    members, cells, days = rules()
    sure = cells.assign(p_need=1.0 - 1e-6, days_seen=[3, 14, 1])
    assert RuleConfidence().fit(members, sure, days).scores_.loc["r1", "needed"] == "b"


@given(st.lists(st.floats(-20, 20), max_size=20))
def test_bits_add_up_in_any_order(bits: list[float]) -> None:
    """The ledger's total does not depend on the order of its lines."""
    ledger = [Evidence(str(i), b, "") for i, b in enumerate(bits)]
    assert total_bits(ledger) == total_bits(ledger[::-1])
    assert 0.0 <= probability(total_bits(ledger)) <= 1.0
