"""Predictive distributions: how many alarms ordinary nights give, and what stands out."""

import numpy as np
import pytest

from models.drift.baseline import discoveries, predict

NIGHTS = 28


def counts(rng, means, nights=NIGHTS, shape=2.0):
    """Over-dispersed counts, shape (nights, series)."""
    return rng.poisson(rng.gamma(shape, np.asarray(means) / shape, size=(nights, len(means)))).astype(float)


@pytest.fixture
def estate():
    """Many quiet series and some that are never quiet."""
    rng = np.random.default_rng(7)
    means = np.concatenate([np.full(400, 0.05), np.full(60, 1.0), np.full(40, 15.0)])
    return rng, means


def test_ordinary_nights_give_hardly_any_alarm(estate):
    """Of 500 series on each of 40 nights, at most a tenth of what is flagged may be chance."""
    rng, means = estate
    history = counts(rng, means)
    same = np.ones(NIGHTS, dtype=bool)
    flagged = [predict(history, counts(rng, means, 1)[0], same).flagged.sum() for _ in range(40)]
    assert np.mean(flagged) < 0.8


def test_twelve_more_on_a_quiet_series_are_found(estate):
    """The method's target: recall 0.98 for +12 on quiet policies."""
    rng, means = estate
    history = counts(rng, means)
    same = np.ones(NIGHTS, dtype=bool)
    found = []
    for place in rng.choice(400, size=50, replace=False):
        tonight = counts(rng, means, 1)[0]
        tonight[place] += 12
        found.append(bool(predict(history, tonight, same).flagged[place]))
    assert np.mean(found) >= 0.9


def test_the_same_count_as_every_night_is_no_alarm():
    """A scanner that knocks thirty times a night does so tonight."""
    history = np.full((NIGHTS, 3), 30.0)
    tonight = np.array([30.0, 31.0, 29.0])
    assert not predict(history, tonight, np.ones(NIGHTS, dtype=bool)).flagged.any()


def test_weekends_are_compared_with_weekends():
    """What is busy on working days is expected to be busier on one."""
    days = np.arange(NIGHTS) % 7
    working = days < 5
    history = np.where(working, 20.0, 1.0)[:, None].repeat(2, axis=1)
    monday = predict(history, np.array([20.0, 20.0]), working)
    sunday = predict(history, np.array([1.0, 1.0]), ~working)
    assert monday.mean[0] > sunday.mean[0]


def test_a_series_that_creeps_is_found_by_its_sum():
    """Two more every other night: no single night stands out, the sum does."""
    steady = np.full((NIGHTS, 1), 4.0)
    creeping = steady + np.maximum(0, np.arange(NIGHTS) - 13)[:, None] * 1.5
    same = np.ones(NIGHTS, dtype=bool)
    assert predict(creeping, np.array([27.0]), same).creeping[0] > 5
    assert predict(steady, np.array([4.0]), same).creeping[0] < 1


def test_the_order_of_the_series_changes_nothing(estate):
    """Permuted input, permuted output."""
    rng, means = estate
    history, tonight = counts(rng, means), counts(rng, means, 1)[0]
    order = rng.permutation(len(means))
    same = np.ones(NIGHTS, dtype=bool)
    first, second = predict(history, tonight, same), predict(history[:, order], tonight[order], same)
    np.testing.assert_allclose(first.chance[order], second.chance, rtol=1e-9)


def test_no_discovery_among_no_tests():
    """Nothing in, nothing out."""
    assert discoveries(np.zeros(0)).tolist() == []
