"""p_need: vectors, calendar overrides, and what more evidence does."""

from __future__ import annotations

import math
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta as beta_function

from models.confidence.calendar import Job, cron_columns
from models.confidence.metrics import expected_calibration_error
from models.confidence.scheduled import by_schedule
from models.errors import BadInputError
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from models.learning.recurrence import Recurrence, histories
from models.learning.returns import TYPICAL, Habits, Histories, _calendars, _OnCalendar
from models.learning.schedules import parse_schedule
from models.learning.unseen import expected_unseen, good_toulmin_weights
from tests.unit.learning.worlds import coverage, day_names, edge, estate

#: Published for (alpha, beta, gamma, delta) = (1.20, 0.75, 0.66, 2.78), six opportunities, five days ahead.
VECTORS = [
    ((0, 0), 0.312683, 0.1078, 0.0475),
    ((6, 6), 0.112098, 0.9301, 0.9228),
    ((3, 6), 0.002988, 0.9301, 0.8373),
    ((4, 4), 0.021285, 0.1994, 0.1893),
    ((4, 5), 0.006101, 0.6957, 0.6604),
]
DAYS = day_names(14)
FINE = Habits.typical(np.linspace(0.0, 1.0, 201)[1:-1], np.linspace(0.0, 1.0, 201))


def every_day(seen: Histories) -> _OnCalendar:
    """The histories on the calendar of all days."""
    return next(one for number, _, one in _calendars(seen) if number == 0)


def history(x: int, last: int, n: int, days: int | None = None, ahead: int = 7) -> Histories:
    """One cell on the calendar of all days; first seen on the first of ``n + 1`` days unless said."""
    columns = [np.array([[value, 0, 0]]) for value in (x, last, n)]
    length = np.array([[n + 1 if days is None else days, 1, 1]])
    return Histories(*columns, length, np.array([[ahead, 0, 0]]), np.array([[1.0, 0.0, 0.0]]))


def marginal(habits: Habits, x: int, last: int, n: int) -> float:
    """Probability of the days after first sight, under the histogram as it is."""
    shares = habits.weights[0].ravel() / habits.weights[0].sum()
    return float(habits._likelihood(every_day(history(x, last, n)))[0] @ shares)


@pytest.mark.parametrize(("pair", "likelihood", "alive", "need"), VECTORS)
def test_the_published_vectors_hold(
    pair: tuple[int, int], likelihood: float, alive: float, need: float
) -> None:
    """A fine histogram of the published densities gives the published numbers."""
    now, later = marginal(FINE, *pair, 6), marginal(FINE, *pair, 11)
    assert math.isclose(now, likelihood, rel_tol=1e-2)
    assert math.isclose(1.0 - later / now, need, abs_tol=3e-3)
    survived = plain_alive(*pair, 6) / now
    assert math.isclose(survived, alive, abs_tol=3e-3)


def plain_alive(x: int, last: int, n: int) -> float:
    """Closed form of being alive for the day after ``n`` opportunities, at the published parameters."""
    del last
    a, b, c, d = TYPICAL
    seen = beta_function(a + x, b + n - x) / beta_function(a, b)
    return float(seen * beta_function(c, d + n + 1) / beta_function(c, d))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(0, 30),
)
def test_the_histogram_is_the_closed_form_in_the_limit(window: tuple[int, int], hits: int) -> None:
    """One meaning, two forms: the likelihood as the method writes it, term by term."""
    n, last = window
    x = min(hits, last) if last else 0
    last = 0 if x == 0 else last
    a, b, c, d = TYPICAL
    plain = (
        beta_function(a + x, b + n - x) / beta_function(a, b) * beta_function(c, d + n) / beta_function(c, d)
    )
    for i in range(n - last):
        alive = beta_function(a + x, b + last - x + i) / beta_function(a, b)
        plain += alive * beta_function(c + 1, d + last + i) / beta_function(c, d)
    assert math.isclose(marginal(FINE, x, last, n), plain, rel_tol=0.08)


def test_likelihoods_of_all_histories_of_one_length_sum_to_one() -> None:
    """Each of the 2^n histories counts once; the triples are what they share."""
    n = 8
    total = 0.0
    for bits in range(2**n):
        positions = [i + 1 for i in range(n) if bits >> i & 1]
        total += marginal(Habits.typical(), len(positions), max(positions, default=0), n)
    assert math.isclose(total, 1.0, rel_tol=1e-9)


def test_days_of_first_sight_sum_to_one() -> None:
    """Whoever was seen was first seen on some day of the window, whatever the habit and the arrival."""
    days = 14
    seen = [every_day(history(0, 0, days - 1 - f, days)) for f in range(days)]
    arrivals = [Habits.typical()._arrival(one)[0] for one in seen]
    assert np.allclose(np.sum(arrivals, axis=0), 1.0)


def test_sixty_three_days_do_not_underflow() -> None:
    """The rarest habit and the longest window still divide."""
    for x, last in ((0, 0), (1, 63), (63, 63)):
        seen = history(x, last, 63, 64, ahead=35)
        assert 0.0 <= float(Habits.typical().need(seen)[0]) <= 1.0


@given(st.integers(1, 28), st.integers(0, 27), st.integers(1, 34))
def test_probabilities_grow_with_the_horizon(n: int, x: int, horizon: int) -> None:
    """What may return in a week may return in a month."""
    pair = (min(x, n), n if min(x, n) else 0)
    near, far = (Habits.typical().need(history(*pair, n, ahead=days)) for days in (horizon, horizon + 1))
    assert float(near[0]) <= float(far[0]) + 1e-12


@given(st.integers(1, 27))
def test_another_day_of_the_same_traffic_does_not_lower_the_need(n: int) -> None:
    """Property 4 of the traps, for a cell that shows every day."""
    now, later = (Habits.typical().need(history(days, days, days)) for days in (n, n + 1))
    assert float(later[0]) >= float(now[0]) - 1e-12


@given(st.integers(1, 27), st.data())
def test_one_more_return_does_not_lower_the_need(n: int, data: st.DataObject) -> None:
    """More evidence of use, all else equal, is never less need."""
    x = data.draw(st.integers(0, n - 1))
    fewer, more = (Habits.typical().need(history(hits, n if hits else 0, n)) for hits in (x, x + 1))
    assert float(more[0]) >= float(fewer[0]) - 1e-12


@given(st.integers(2, 20), st.integers(2, 50))
def test_replicas_of_a_history_change_no_posterior_but_its_own_weight(n: int, copies: int) -> None:
    """Cells with one history share one number, however many there are."""
    one = history(1, n, n)
    many = one.at(np.zeros(copies, dtype=np.int64))
    assert np.allclose(Habits.typical().need(many), Habits.typical().need(one))


def test_fitting_recovers_the_forecast_of_a_planted_estate() -> None:
    """Cells that come, go and are born by known laws: the mean forecast is the share that returned."""
    rng = np.random.default_rng(5)
    count, days, ahead = 60_000, 21, 7
    p, theta = rng.beta(0.8, 1.2, count), rng.beta(0.5, 6.0, count) / 2
    born = np.where(rng.random(count) < 0.8, 0, rng.integers(1, days, count))
    life = born + rng.geometric(np.maximum(theta, 1e-6))
    when = np.arange(days + ahead)[None, :]
    shown = (
        (rng.random((count, days + ahead)) < p[:, None]) & (when >= born[:, None]) & (when < life[:, None])
    )
    seen = shown[:, :days].any(axis=1)
    window, later = shown[seen, :days], shown[seen, days:].any(axis=1)
    first, back = window.argmax(axis=1), window[:, ::-1].argmax(axis=1)
    zero = np.zeros((len(window), 2), dtype=np.int64)
    columns = [
        np.column_stack([values, zero])
        for values in (window.sum(axis=1) - 1, days - 1 - back - first, days - 1 - first)
    ]
    length = np.column_stack([np.full(len(window), days), zero + 1])
    chance = np.column_stack([np.ones(len(window)), zero]).astype(float)
    cells = Histories(*columns, length, np.column_stack([np.full(len(window), ahead), zero]), chance)
    need = Habits.typical().fitted(cells).need(cells)
    assert expected_calibration_error(need, later.astype(float)) < 0.01
    newcomers = first >= days - 3
    assert abs(need[newcomers].mean() - later[newcomers].mean()) < 0.05


def test_no_cells_at_all_give_the_prior() -> None:
    """Nothing seen, nothing claimed."""
    nothing = history(0, 0, 1).at(np.zeros(0, dtype=np.int64))
    assert np.array_equal(Habits.typical().fitted(nothing).weights, Habits.typical().weights)
    assert len(Habits.typical().need(nothing)) == 0


def fitted(rows: list[dict[str, object]], days: list[str] = DAYS) -> tuple[pd.DataFrame, DayIncidence]:
    """Cells of rows, by peer, and the incidence they came from."""
    incidence = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(days))
    return incidence.cells_, incidence


def test_trap_J1_a_weekly_cell_is_needed_next_week() -> None:
    """Two Tuesdays of two, among jobs that do the same: the silence between says nothing."""
    rows = [edge("w", f"weekly-{d}", DAYS[d + week]) for d in range(7) for week in (0, 7)]
    rows += [edge("w", "daily", day) for day in DAYS]
    cells, incidence = fitted(rows)
    model = Recurrence().fit(cells, incidence.days_)
    weekly = cells.index[cells["peer"] == "weekly-1"][0]
    assert bool(model.weekly_[weekly])
    assert model.p_need_[weekly] >= 0.7
    assert model.predict(cells, incidence.days_, 14)[weekly] > model.p_need_[weekly]


def test_what_was_learned_again_is_forecast_again() -> None:
    """A second fit leaves nothing of the first one, though forecasts are worked out when they are asked for."""
    few, incidence = fitted([edge("w", "p", day) for day in DAYS[:3]])
    many, later = fitted([edge("w", "p", day) for day in DAYS])
    model = Recurrence().fit(few, incidence.days_)
    before = model.p_need_
    assert model.fit(many, later.days_).p_need_.equals(Recurrence().fit(many, later.days_).p_need_)
    assert not model.p_need_.equals(before)


def test_a_monthly_job_is_needed_when_its_schedule_says_so() -> None:
    """Two weeks never show the second run; the schedule does, and says that none is due next week."""
    rows = [edge("job", "db", DAYS[3])] + [edge("w", "p", day) for day in DAYS]
    cells, incidence = fitted(rows)
    jobs = [Job("job", "0 3 5 * *")]
    runs = cron_columns(jobs, cells, incidence.days_, 35).assign(cron_whole=cells["subject"] == "job")
    plain, told = {}, {}
    for horizon in (7, 35):
        plain[horizon] = Recurrence(horizon).fit(cells, incidence.days_).p_need_
        told[horizon] = by_schedule(plain[horizon], runs, horizon)
    cell = cells.index[cells["subject"] == "job"][0]
    assert told[35][cell] >= 2 / 3 > plain[35][cell]
    assert told[7][cell] <= plain[7][cell]
    other = cells.index[cells["subject"] == "w"][0]
    assert told[35][other] == plain[35][other]


def test_runs_on_full_days_since_first_sight_are_counted() -> None:
    """Every third day is due: seen on two of those, and on one other day."""
    rows = [edge("job", "db", DAYS[day]) for day in (3, 6, 7)]
    cells, incidence = fitted(rows)
    numbers = ",".join(str(date.fromisoformat(DAYS[day]).day) for day in (0, 3, 6, 9, 12))
    runs = cron_columns([Job("job", f"0 3 {numbers} * *")], cells, incidence.days_, 35).iloc[0]
    assert runs[["cron_ok", "cron_expected", "cron_off", "cron_free"]].tolist() == [2.0, 4.0, 1.0, 7.0]


def test_a_suspended_job_promises_nothing() -> None:
    """Disabled jobs fire on no day."""
    cells, incidence = fitted([edge("job", "db", DAYS[3])])
    assert (
        cron_columns([Job("job", "0 3 5 * *", enabled=False)], cells, incidence.days_, 35).isna().all().all()
    )


def test_trap_J9_an_edge_that_stopped_is_needed_less() -> None:
    """Recency matters: seven days of seven, then silence."""
    rows = [edge("w", "gone", day) for day in DAYS[:7]] + [edge("w", "here", day) for day in DAYS]
    rows += list(estate(1, 14, workloads=20).to_dict("records"))
    cells, incidence = fitted(rows)
    need = Recurrence().fit(cells, incidence.days_).p_need_
    by_peer = dict(zip(cells["peer"], need, strict=True))
    assert by_peer["gone"] < 0.5
    assert by_peer["here"] > 0.95


def test_trap_F16_a_young_cell_is_less_certain_than_an_old_one() -> None:
    """Seen on each of its two days is less than seen on each of fourteen."""
    rows = estate(2, 14, workloads=20).to_dict("records")
    rows += [edge("w", "old", day) for day in DAYS] + [edge("w", "young", day) for day in DAYS[12:]]
    cells, incidence = fitted(rows)
    need = Recurrence().fit(cells, incidence.days_).p_need_
    by_peer = dict(zip(cells["peer"], need, strict=True))
    assert by_peer["young"] < by_peer["old"]


def test_small_zones_borrow_the_habits_of_all() -> None:
    """A zone without a cell forecasts as the estate does; one with many has habits of its own."""
    cells, incidence = fitted(estate(4, 14, workloads=20).to_dict("records"))
    habits = Recurrence().fit(cells, incidence.days_).habits_
    pooled = Habits.typical().fitted(histories(cells, incidence.days_, 7))
    assert np.allclose(habits["infrastructure"].weights, pooled.weights)
    assert not np.allclose(habits["internal"].weights, habits["external"].weights)


def office(first: int, last: int, *strays: int) -> float:
    """p_need of a cell that is used on working days, in a window whose first and last day are partial."""
    used = {day for day in range(first, last + 1) if date.fromisoformat(DAYS[day]).weekday() < 5} | {*strays}
    rows = estate(2, 14, workloads=20).to_dict("records")
    rows += [edge("w", "office", DAYS[day]) for day in sorted(used)]
    partial = coverage(DAYS)
    partial = partial[~(partial["day"].isin([DAYS[0], DAYS[-1]]) & (partial["hour"] < 12))]
    incidence = DayIncidence().fit(to_cells(pd.DataFrame(rows)), partial)
    assert incidence.days_.partial == (DAYS[0], DAYS[-1])
    need = Recurrence().fit(incidence.cells_, incidence.days_).p_need_
    return float(need[incidence.cells_["peer"] == "office"].iloc[0])


def test_a_window_that_begins_at_noon_knows_its_working_days() -> None:
    """First seen on a day that is not whole, as everything that was always there."""
    assert DAYS[0] == min(day for day in DAYS if date.fromisoformat(day).weekday() == 0)
    assert office(0, 11) > 0.97


@pytest.mark.parametrize("stray", [5, 6])
def test_one_call_on_a_weekend_does_not_end_an_office_rhythm(stray: int) -> None:
    """More evidence never says that it is needed less."""
    assert office(0, 11, stray) > 0.95


@pytest.mark.parametrize("free", [5, 6])
def test_an_office_far_from_utc_is_needed_as_one_at_home(free: int) -> None:
    """It works on six days of UTC, and the seventh is no end of it."""
    rows = estate(2, 14, workloads=20).to_dict("records")
    rows += [edge("w", "home", day) for day in DAYS if date.fromisoformat(day).weekday() < 5]
    rows += [edge("w", "far", day) for day in DAYS if date.fromisoformat(day).weekday() != free]
    cells, incidence = fitted(rows)
    need = Recurrence(35).fit(cells, incidence.days_).p_need_
    by_peer = dict(zip(cells["peer"], need, strict=True))
    assert by_peer["far"] > by_peer["home"] - 0.01


def test_what_is_used_on_many_weekend_days_has_no_calendar_of_working_days() -> None:
    """Two of them may be strays, three are none."""
    rows = [edge("w", "strays", day) for day in DAYS[:7]]
    rows += [edge("w", "always", day) for day in DAYS[:13]]
    cells, incidence = fitted(rows)
    chance = dict(zip(cells["peer"], histories(cells, incidence.days_, 7).chance[:, 1], strict=True))
    assert 0.0 < chance["strays"] < 0.001
    assert chance["always"] == 0.0


def test_a_weekend_of_silence_is_no_death() -> None:
    """Ten working days of ten, read on a Sunday evening: Monday is expected."""
    working = [day for day in DAYS if date.fromisoformat(day).weekday() < 5]
    rows = estate(2, 14, workloads=20).to_dict("records")
    rows += [edge("w", "office", day) for day in working]
    rows += [edge("w", "stopped", day) for day in DAYS[:10]]
    cells, incidence = fitted(rows)
    need = Recurrence().fit(cells, incidence.days_).p_need_
    by_peer = dict(zip(cells["peer"], need, strict=True))
    assert by_peer["office"] > 0.9
    assert by_peer["stopped"] < by_peer["office"] - 0.2


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (14, [0.49805, -0.29688, 0.19742, -0.13358, 0.08383, -0.04447, 0.01758, -0.00391]),
        (21, [0.33203, -0.12865, 0.05403, -0.02234, 0.00825, -0.00246, 0.00052, -0.00006]),
        (28, [0.24902, -0.07147, 0.02194, -0.00653, 0.00171, -0.00035, 0.00005, -0.00000]),
    ],
)
def test_the_published_weights_hold(days: int, expected: list[float]) -> None:
    """Seven days ahead, to five places."""
    assert good_toulmin_weights(days, 7).round(5).tolist() == expected


def test_too_few_days_extrapolate_nothing() -> None:
    """Below eight days the series has no room."""
    assert expected_unseen(np.ones(100, dtype=np.int64), 7, 7) == 0.0
    with pytest.raises(BadInputError, match="too few"):
        good_toulmin_weights(7, 7)


@pytest.mark.parametrize(
    "text", ["* * *", "61 * * * *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *"]
)
def test_unreadable_schedules_are_refused_by_name(text: str) -> None:
    """The sentence holds the schedule, so that its owner finds it."""
    with pytest.raises(BadInputError, match="schedule"):
        parse_schedule(text)


def test_schedules_fire_as_cron_does() -> None:
    """Lists, ranges, steps, names, macros, and either of two restricted day fields."""
    first = date(2026, 3, 1)  # a Sunday
    assert parse_schedule("0 0 * * 0").fires_on(first)
    assert parse_schedule("0 0 * * 7").fires_on(first)
    assert parse_schedule("@weekly").fires_on(first)
    assert not parse_schedule("0 0 * jan,feb *").fires_on(first)
    either = parse_schedule("0 0 13 * fri")
    assert [day for day in range(1, 32) if either.fires_on(date(2026, 3, day))] == [6, 13, 20, 27]
    every_other = parse_schedule("0 0 1-10/3 * ?")
    assert [day for day in range(1, 32) if every_other.fires_on(date(2026, 3, day))] == [1, 4, 7, 10]
    assert parse_schedule("0 0 31 * *").days_until(date(2026, 2, 1), 20) is None


@pytest.mark.parametrize(
    ("text", "zone", "fires"),
    [
        ("0 0 1 * *", "Asia/Tokyo", [28]),
        ("0 9 1 * *", "Asia/Tokyo", [1]),
        ("0 22 1 * *", "America/Los_Angeles", [2]),
        ("*/30 * 1 * *", "Asia/Kolkata", [28, 1]),
        ("29 5 1 * *", "Asia/Kolkata", [28]),
        ("30 5 1 * *", "Asia/Kolkata", [1]),
        ("0 0 1 * *", "Etc/UTC", [1]),
    ],
)
def test_days_of_a_schedule_are_days_of_utc(text: str, zone: str, fires: list[int]) -> None:
    """Midnight of the first in Tokyo is the afternoon before; a whole local day touches two."""
    days = [date(2026, 2, 27) + timedelta(days=ahead) for ahead in range(6)]
    assert [day.day for day in days if parse_schedule(text, zone).fires_on(day)] == fires


def test_a_million_cells_are_scored_in_seconds() -> None:
    """Distinct triples are scored once; the rest is a look-up."""
    rng = np.random.default_rng(0)
    count, n = 1_000_000, 13
    x = rng.integers(0, n + 1, count)
    last = np.where(x > 0, np.maximum(rng.integers(0, n + 1, count), x), 0)
    cells = pd.DataFrame(
        {"returns": x, "last_return": last, "opportunities": n, "zone": "internal", "days": np.uint64(5)},
    ).assign(first_date=DAYS[0])
    start = time.perf_counter()
    need = Recurrence().fit(cells, DayIncidence().fit(EDGES, coverage(DAYS)).days_).p_need_
    assert time.perf_counter() - start < 60
    assert need.between(0, 1).all()


EDGES = to_cells(pd.DataFrame([edge("w", "p", day) for day in DAYS]))
