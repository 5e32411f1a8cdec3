"""Completeness: what the window did not show, and when not to say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.confidence.backtest import common_shock, completeness_backtest, recurrence_labels
from models.confidence.calendar import Job, cells_per_job, new_days_of_month, uncovered_phases
from models.confidence.completeness import CLUSTER_SHOCK, Completeness, horizon_for
from models.confidence.episodes import Clumps, GammaRate, count_interval, forecast
from models.confidence.metrics import expected_calibration_error
from models.confidence.novelty import novelty
from models.confidence.rare import kappa
from models.domain.window import origins
from models.learning.cells import to_cells
from models.learning.days import ObservedDays
from models.learning.incidence import DayIncidence
from tests.unit.learning.worlds import coverage, day_names, edge, estate

UNIT = ["subject", "direction"]


def incidence(rows: pd.DataFrame | list[dict[str, object]], count: int) -> DayIncidence:
    """Cells of rows over a window of full days."""
    return DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(day_names(count)))


def complete(rows: pd.DataFrame | list[dict[str, object]], count: int, **options: object) -> Completeness:
    """Completeness of rows over a window."""
    seen = incidence(rows, count)
    return Completeness().fit(seen.cells_, seen.days_, **options)


def test_a_weekly_cell_is_no_rare_cell() -> None:
    """Every Tuesday of two weeks contributes nothing to R."""
    days = day_names(14)
    seen = incidence([edge("w", "p", days[1]), edge("w", "p", days[8])], 14)
    assert novelty(seen.cells_, seen.days_).tolist() == ["weekly"]


def test_a_persistent_newcomer_is_a_birth() -> None:
    """Born on day 9 of 14 and seen daily: a deploy, not a rare cell; on day 12 it is too early to say."""
    days = day_names(14)
    born = [edge("w", "born", day) for day in days[9:]]
    young = [edge("w", "young", day) for day in days[12:]]
    old = [edge("w", "old", day) for day in days]
    seen = incidence([*born, *young, *old], 14)
    kinds = dict(zip(seen.cells_["peer"], novelty(seen.cells_, seen.days_), strict=True))
    assert kinds == {"born": "birth", "young": "rare", "old": "rare"}


@pytest.mark.parametrize(
    ("count", "estimable", "provisional"), [(9, False, True), (10, True, True), (14, True, False)]
)
def test_trap_J11_too_little_seen_gives_no_number(count: int, estimable: bool, provisional: bool) -> None:
    """Below ten days nothing, below fourteen provisionally."""
    fitted = complete(estate(0, count, workloads=15), count)
    assert fitted.estimable_ is estimable
    assert fitted.provisional_ is provisional
    assert fitted.completeness_["p_any"].notna().all() == estimable
    assert ("too little seen" in fitted.reason_) == (not estimable)
    assert np.isnan(fitted.total()["expected"]) != estimable
    assert len(fitted.completeness_) == 15


def test_horizons_are_whole_weeks_and_at_most_half_the_window() -> None:
    """Five days from ten, a week from fourteen, two weeks only when asked and seen for four."""
    assert [horizon_for(count) for count in (10, 13, 14, 28)] == [5, 6, 7, 7]
    assert [horizon_for(count, 14) for count in (14, 27, 28)] == [7, 7, 14]


def test_no_policy_is_certainly_complete() -> None:
    """A workload that showed nothing new still has a chance of it: silence is not absence."""
    rows = [edge(f"w{i}", "p", day) for i in range(10) for day in day_names(14)]
    p_any = complete(rows, 14).completeness_["p_any"]
    assert ((p_any > 0.0) & (p_any < 0.5)).all()


def test_more_singletons_mean_more_to_come() -> None:
    """Of two workloads, the one that keeps showing new things is less complete."""
    days = day_names(14)
    rows = estate(0, 14, workloads=20).to_dict("records")
    rows += [edge("calm", f"p{i}", day) for i in range(4) for day in days]
    rows += [edge("busy", f"p{i}", day) for i in range(4) for day in days]
    rows += [edge("busy", f"once{i}", days[i]) for i in range(12)]
    table = complete(rows, 14).completeness_["expected"]
    assert table["busy", "egress"] > 3 * table["calm", "egress"]


def test_held_back_cells_count_with_their_chances() -> None:
    """Expected p_need times p_legit each; nothing held back changes nothing."""
    rows = estate(0, 14, workloads=15)
    base = complete(rows, 14).completeness_
    held = pd.DataFrame(
        [("w001", "egress", 0.8, 0.5), ("w001", "egress", 1.0, 0.5)], columns=[*UNIT, "p_need", "p_legit"]
    )
    with_held = complete(rows, 14, held_back=held).completeness_
    gained = with_held["expected"] - base["expected"]
    assert np.isclose(gained["w001", "egress"], 0.9)
    assert np.isclose(gained.drop(("w001", "egress")).abs().max(), 0.0)
    none = 1.0 - base["p_any"]["w001", "egress"]
    assert np.isclose(1.0 - with_held["p_any"]["w001", "egress"], none * 0.6 * 0.5)


def test_trap_J1_a_job_that_never_ran_is_expected() -> None:
    """Due within the week and never seen: mean 1.5 cells; suspended or not due: nothing."""
    rows = estate(0, 14, workloads=15)
    units = pd.DataFrame([("job", "egress"), ("idle", "egress")], columns=UNIT)
    jobs = [Job("job", "0 3 * * *"), Job("idle", "0 3 * * *", enabled=False), Job("w001", "0 3 * * *")]
    table = complete(rows, 14, units=units, jobs=jobs).completeness_
    assert table["calendar"].to_dict() == {("idle", "egress"): 0.0, ("job", "egress"): 1.5}
    assert table["p_any"]["job", "egress"] > 0.95


def test_five_jobs_teach_their_own_number_of_cells() -> None:
    """Until then the default stands."""
    days = day_names(14)
    rows = [edge(f"job{i}", f"p{k}", days[2]) for i in range(5) for k in range(3)]
    cells = incidence(rows, 14).cells_
    jobs = [Job(f"job{i}", "@daily") for i in range(5)]
    assert cells_per_job(jobs, cells) == 3.0
    assert cells_per_job(jobs[:4], cells) == 1.5


def monthly(count: int, jobs: int = 12) -> DayIncidence:
    """A store that many use, and jobs that call it on one day each of a window."""
    days = day_names(count)
    rows = [edge("store", f"web{i}", day, direction="ingress") for i in range(4) for day in days]
    for number in range(jobs):
        day = days[number * count // jobs]
        rows += [edge("store", f"job{number}", day, direction="ingress")]
        rows += [edge(f"job{number}", "store", day)]
    return incidence(rows, count)


@pytest.mark.parametrize(("count", "least", "most"), [(14, 5.0, 8.0), (31, 0.0, 0.0)])
def test_a_job_with_one_run_tells_of_others_that_did_not_run_yet(
    count: int, least: float, most: float
) -> None:
    """Twelve in two weeks: six in the next, at whom they call; none once each day of a month was seen."""
    seen = monthly(count)
    owned = seen.cells_["peer"].str.startswith("job") | seen.cells_["subject"].str.startswith("job")
    fitted = Completeness().fit(seen.cells_.assign(job_owned=owned), seen.days_)
    parts = fitted.completeness_
    assert least <= parts["calendar"]["store", "ingress"] <= most
    assert parts["calendar"].drop(("store", "ingress")).eq(0.0).all()
    plain = Completeness().fit(seen.cells_, seen.days_).completeness_
    assert parts["rare"].sum() < 0.2 * plain["rare"].sum()


def test_days_of_the_month_ahead_are_counted_by_what_the_window_showed() -> None:
    """A gap on the 7th is a day that no run could show on."""
    days = incidence([edge("w", "p", day) for day in day_names(31)], 31).days_
    assert new_days_of_month(days, 7) == 0
    assert new_days_of_month(days.head(14), 7) == 7
    gap = ObservedDays(tuple(day for day in days.full if not day.endswith("-07")), (), {})
    assert new_days_of_month(gap, 31) == 1


def test_trap_J2_uncovered_phases_are_named_not_counted_as_zero() -> None:
    """A window of ten days misses the turn of the month, and has four weekdays once."""
    missing = uncovered_phases(incidence([edge("w", "p", day_names(10)[0])], 10).days_)
    assert missing[:3] == ("first day of the month", "last day of the month", "first day of a quarter")
    assert missing[3:] == tuple(
        f"{day} (one full day)" for day in ("Thursday", "Friday", "Saturday", "Sunday")
    )
    three = uncovered_phases(incidence([edge("w", "p", day_names(3)[0])], 3).days_)
    assert three[-4:] == ("Thursday", "Friday", "Saturday", "Sunday")


def test_kappa_stays_in_its_bounds() -> None:
    """A fifth to all of H/T; three quarters where too few singletons speak."""
    assert kappa(pd.Series([1] * 19), 14, 7) == 0.75 * 0.5
    assert kappa(pd.Series([1] * 200), 14, 7) == pytest.approx(0.498047, abs=1e-6)
    assert kappa(pd.Series([1] * 20 + [2] * 400), 14, 7) == 0.2 * 0.5


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.floats(0.05, 10))
def test_forecasts_are_coherent(episodes: list[int], horizon: float) -> None:
    """Means above zero, a variance at least Poisson's, and a chance of nothing that agrees with the mean."""
    counts = np.array(episodes, dtype=float)
    group = GammaRate.fit(counts, 1.0)
    clumps = Clumps.of(np.ones(3))
    ahead = group.ahead(counts, 1.0, horizon)
    result = forecast(group, clumps, counts, clumps.shrunk(counts, counts), ahead)
    assert (result.mean > 0).all()
    assert (result.variance >= result.mean - 1e-9).all()
    assert ((result.none > 0) & (result.none < 1)).all()
    assert (result.none >= np.exp(-ahead) - 1e-9).all()
    assert (np.diff(ahead[np.argsort(counts, kind="stable")]) >= -1e-12).all()


@given(st.floats(0.01, 200), st.floats(0.0, 400))
def test_intervals_hold_their_mean(mean: float, extra: float) -> None:
    """A wider variance never gives a shorter upper end below the mean."""
    low, high = count_interval(mean, mean + extra)
    assert 0 <= low <= high
    assert count_interval(mean, mean)[1] + 1 >= mean


def test_totals_add_with_a_common_shock() -> None:
    """One incident touches many workloads at once."""
    fitted = complete(estate(0, 14, workloads=30), 14)
    alone, shaken = fitted.total(0.0), fitted.total()
    assert np.isclose(alone["expected"], fitted.completeness_["expected"].sum())
    assert np.isclose(shaken["variance"] - alone["variance"], (CLUSTER_SHOCK * alone["expected"]) ** 2)
    assert shaken["high"] >= alone["high"]
    some = fitted.total(subjects=frozenset({"w000"}))["expected"]
    assert np.isclose(some, fitted.completeness_.loc["w000", "expected"].sum())


def test_readiness_follows_the_risk_that_is_accepted() -> None:
    """More risk, more policies ready; without numbers none is."""
    fitted = complete(estate(0, 28, workloads=30), 28)
    shares = [fitted.ready(risk).mean() for risk in (0.05, 0.2, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert not complete(estate(0, 8, workloads=5), 8).ready(1.0).any()


@pytest.mark.slow
def test_recovery_on_planted_estates() -> None:
    """Six estates, a week ahead of each origin: bias, coverage and calibration inside the floors."""
    parts = []
    for seed in range(6):
        seen = incidence(estate(seed, 28), 28)
        parts.append(completeness_backtest(seen.cells_, seen.days_).assign(seed=seed))
    table = pd.concat(parts)
    assert sorted(table["origin"].unique()) == [14, 21]
    for _, rows in table.groupby("origin"):
        assert abs(rows["expected"].sum() / rows["actual"].sum() - 1.0) <= 0.25
        assert (rows["actual"] <= rows["high"]).mean() >= 0.92
        happened = (rows["actual"] > 0).to_numpy(dtype=float)
        assert (
            expected_calibration_error(rows["p_any"].to_numpy(), happened) <= 0.12
        )  # 720 cases: noise is 0.05


def test_the_common_shock_waits_for_six_weeks() -> None:
    """Then it is what the totals missed beyond their variance."""
    weeks = pd.DataFrame({"origin": range(8), "expected": 100.0, "variance": 100.0, "actual": [60, 140] * 4})
    assert common_shock(weeks.iloc[:5]) == CLUSTER_SHOCK
    assert common_shock(weeks) == pytest.approx(np.sqrt((1600 - 100) / 10_000))
    assert common_shock(weeks.assign(actual=100)) == 0.05


def test_short_windows_have_no_origin_and_no_labels() -> None:
    """Two weeks cannot judge themselves."""
    seen = incidence(estate(0, 14, workloads=5), 14)
    assert origins(20, 7) == ()
    assert recurrence_labels(seen.cells_, seen.days_).empty
    assert completeness_backtest(seen.cells_, seen.days_).empty


def test_labels_tell_what_the_next_week_showed() -> None:
    """One cell that stays, one that stops: forecasts from the first two weeks only."""
    days = day_names(21)
    rows = estate(0, 21, workloads=10).to_dict("records")
    rows += [edge("w", "stays", day) for day in days] + [edge("w", "stops", day) for day in days[:14]]
    seen = incidence(rows, 21)
    labels = recurrence_labels(seen.cells_, seen.days_).set_index("cell")
    own = seen.cells_.reset_index().set_index("peer")["cell"]
    assert labels["origin"].unique().tolist() == [14]
    assert labels.loc[own["stays"], "happened"] == 1.0
    assert labels.loc[own["stops"], "happened"] == 0.0
    assert labels.loc[own["stops"], "predicted"] == labels.loc[own["stays"], "predicted"] > 0.9
