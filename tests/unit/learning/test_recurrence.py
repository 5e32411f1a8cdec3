"""p_need: vectors, calendar overrides, and what more evidence does."""

from __future__ import annotations

import math
import time
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import beta as beta_function

from models.confidence.calendar import Job, cron_columns
from models.errors import BadInputError
from models.learning.bgbb import BgBb
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from models.learning.recurrence import Recurrence
from models.learning.schedules import parse_schedule
from models.learning.unseen import expected_unseen, good_toulmin_weights
from tests.unit.learning.worlds import coverage, day_names, edge, estate

VECTORS = [
    ((0, 0), 0.312683, 0.1078, 0.0475),
    ((6, 6), 0.112098, 0.9301, 0.9228),
    ((3, 6), 0.002988, 0.9301, 0.8373),
    ((4, 4), 0.021285, 0.1994, 0.1893),
    ((4, 5), 0.006101, 0.6957, 0.6604),
]
MODEL = BgBb(1.20, 0.75, 0.66, 2.78)
DAYS = day_names(14)


def triple(x: int, last: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One triple as arrays."""
    return np.array([x]), np.array([last]), np.array([n])


@pytest.mark.parametrize(("pair", "likelihood", "alive", "need"), VECTORS)
def test_the_published_vectors_hold(
    pair: tuple[int, int], likelihood: float, alive: float, need: float
) -> None:
    """Six opportunities, five days ahead, to the printed precision."""
    args = triple(*pair, 6)
    assert round(float(np.exp(MODEL.log_likelihood(*args)[0])), 6) == likelihood
    assert round(float(MODEL.alive(*args)[0]), 4) == alive
    assert round(float(MODEL.need(*args, 5)[0]), 4) == need


@given(
    st.tuples(*[st.floats(0.05, 20)] * 4),
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(0, 30),
)
def test_tables_equal_the_sum_as_written(
    parameters: tuple[float, float, float, float],
    window: tuple[int, int],
    hits: int,
) -> None:
    """One meaning, two forms: the likelihood term by term in plain floats."""
    n, last = window
    x = min(hits, last) if last else 0
    last = 0 if x == 0 else last
    a, b, c, d = parameters
    plain = (
        beta_function(a + x, b + n - x) / beta_function(a, b) * beta_function(c, d + n) / beta_function(c, d)
    )
    for i in range(n - last):
        alive = beta_function(a + x, b + last - x + i) / beta_function(a, b)
        plain += alive * beta_function(c + 1, d + last + i) / beta_function(c, d)
    fast = float(BgBb(*parameters).log_likelihood(*triple(x, last, n))[0])
    assert math.isclose(math.exp(fast), plain, rel_tol=1e-9)


def test_likelihoods_of_all_histories_of_one_length_sum_to_one() -> None:
    """Each of the 2^n histories counts once; the triples are what they share."""
    n = 8
    total = 0.0
    for bits in range(2**n):
        positions = [i + 1 for i in range(n) if bits >> i & 1]
        total += float(np.exp(MODEL.log_likelihood(*triple(len(positions), max(positions, default=0), n))[0]))
    assert math.isclose(total, 1.0, rel_tol=1e-9)


def test_extreme_parameters_do_not_underflow() -> None:
    """Sixty-three days at parameters a thousand apart still give a finite answer."""
    model = BgBb(2000.0, 0.001, 0.001, 2000.0)
    assert np.isfinite(model.log_likelihood(*triple(0, 0, 63))).all()
    assert 0.0 <= float(model.need(*triple(1, 1, 63), 35)[0]) <= 1.0


@given(st.integers(1, 28), st.integers(0, 27), st.integers(1, 34))
def test_probabilities_grow_with_the_horizon(n: int, x: int, horizon: int) -> None:
    """What may return in a week may return in a month."""
    args = triple(min(x, n), n if min(x, n) else 0, n)
    assert float(MODEL.need(*args, horizon)[0]) <= float(MODEL.need(*args, horizon + 1)[0]) + 1e-12


@given(st.integers(1, 27))
def test_another_day_of_the_same_traffic_does_not_lower_the_need(n: int) -> None:
    """Property 4 of the traps, for a cell that shows every day."""
    now, later = MODEL.need(*triple(n, n, n), 7), MODEL.need(*triple(n + 1, n + 1, n + 1), 7)
    assert float(later[0]) >= float(now[0])


def test_fitting_recovers_planted_parameters() -> None:
    """A hundred thousand cells of known parameters, four weeks."""
    rng = np.random.default_rng(5)
    count, n = 100_000, 27
    p, theta = rng.beta(0.8, 1.2, count), rng.beta(0.5, 6.0, count)
    life = rng.geometric(theta)
    shown = (rng.random((count, n)) < p[:, None]) & (np.arange(1, n + 1)[None, :] < life[:, None])
    x = shown.sum(axis=1)
    last = np.where(x > 0, n - np.argmax(shown[:, ::-1], axis=1), 0)
    triples, counts = np.unique(np.stack([x, last, np.full(count, n)], axis=1), axis=0, return_counts=True)
    model = BgBb.fit(*triples.T, counts.astype(float))
    assert np.allclose(np.log(model.as_tuple()), np.log((0.8, 1.2, 0.5, 6.0)), atol=0.15)


def test_no_cells_at_all_give_the_mode_of_the_prior() -> None:
    """Nothing seen, nothing claimed: all parameters one."""
    none = np.zeros(0, dtype=np.int64)
    assert np.allclose(BgBb.fit(none, none, none, np.zeros(0)).as_tuple(), 1.0, atol=0.01)


def fitted(rows: list[dict[str, object]], days: list[str] = DAYS) -> tuple[pd.DataFrame, DayIncidence]:
    """Cells of rows, by peer, and the incidence they came from."""
    incidence = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(days))
    return incidence.cells_, incidence


def test_trap_J1_a_weekly_cell_is_needed_next_week() -> None:
    """Two Tuesdays of two: (2+1)/(2+2), whatever the model thinks of the silence between."""
    rows = [edge("w", "weekly", DAYS[d]) for d in (1, 8)] + [edge("w", "daily", day) for day in DAYS]
    cells, incidence = fitted(rows)
    model = Recurrence().fit(cells, incidence.days_)
    weekly = cells.index[cells["peer"] == "weekly"][0]
    assert bool(model.weekly_[weekly])
    assert model.p_need_[weekly] >= 0.75
    assert model.predict(cells, incidence.days_, 14)[weekly] >= 1 - 0.25**2


def test_a_monthly_job_is_needed_when_its_schedule_says_so() -> None:
    """Two weeks never show the second run; the schedule does."""
    rows = [edge("job", "db", DAYS[3])] + [edge("w", "p", day) for day in DAYS]
    cells, incidence = fitted(rows)
    jobs = [Job("job", "0 3 5 * *")]
    with_cron = cells.join(cron_columns(jobs, cells, incidence.days_, 35))
    plain = Recurrence(35).fit(cells, incidence.days_).p_need_
    told = Recurrence(35).fit(with_cron, incidence.days_).p_need_
    cell = cells.index[cells["subject"] == "job"][0]
    assert told[cell] >= 2 / 3 > plain[cell]
    other = cells.index[cells["subject"] == "w"][0]
    assert told[other] == plain[other]


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


def test_small_zones_borrow_the_parameters_of_all() -> None:
    """Three outside cells cannot support four parameters."""
    cells, incidence = fitted(estate(4, 14, workloads=20).to_dict("records"))
    model = Recurrence(min_zone_cells=10**6).fit(cells, incidence.days_)
    assert len({p.as_tuple() for p in model.parameters_.values()}) == 1
    assert len({p.as_tuple() for p in Recurrence().fit(cells, incidence.days_).parameters_.values()}) > 1


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


def test_a_million_cells_are_scored_in_seconds() -> None:
    """Distinct triples are scored once; the rest is a look-up."""
    rng = np.random.default_rng(0)
    count, n = 1_000_000, 13
    x = rng.integers(0, n + 1, count)
    last = np.where(x > 0, np.maximum(rng.integers(0, n + 1, count), x), 0)
    cells = pd.DataFrame(
        {"returns": x, "last_return": last, "opportunities": n, "zone": "internal", "days": np.uint64(5)},
    )
    start = time.perf_counter()
    need = Recurrence().fit(cells, DayIncidence().fit(EDGES, coverage(DAYS)).days_).p_need_
    assert time.perf_counter() - start < 60
    assert need.between(0, 1).all()


EDGES = to_cells(pd.DataFrame([edge("w", "p", day) for day in DAYS]))
