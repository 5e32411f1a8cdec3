"""What verdicts teach: the share of what is held back that is wanted, and nothing about anything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.learning.screening import CALIBRATED, MIN_OF_A_KIND, PRIOR, Screening
from tests.unit.learning.screened import screened

HELD = 80


@pytest.fixture(scope="module")
def facts() -> pd.DataFrame:
    """An ordinary estate in which a test fires on eighty cells, whatever their evidence."""
    cells = screened([]).drop(columns=["reasons", "p_legit", "review", "said"])
    scan = np.zeros(len(cells), dtype=np.bool_)
    scan[np.linspace(0, len(cells) - 1, HELD).astype(int)] = True
    return cells.assign(scan=scan)


def verdicts(facts: pd.DataFrame, admitted: int, unwanted: int) -> pd.Series:
    """Of the cells that are held back, in the order of their names."""
    words = ["admit"] * admitted + ["unwanted"] * unwanted
    return pd.Series(words, index=facts.index[facts["scan"]][: len(words)])


@pytest.mark.parametrize(("admitted", "unwanted"), [(0, 60), (60, 0), (MIN_OF_A_KIND - 1, 60)])
def test_verdicts_of_one_kind_are_a_choice_and_no_share(facts, admitted, unwanted):
    """Whoever answers a pentest in one go says nothing about how often such calls are wanted."""
    plain = Screening().fit(facts, 14)
    taught = Screening().fit(facts, 14, verdicts(facts, admitted, unwanted))
    assert taught.provenance_ == PRIOR
    assert not taught.calibrated_.any()
    pd.testing.assert_series_equal(taught.p_legit_, plain.p_legit_)


def test_verdicts_move_what_is_held_back_and_no_other_cell(facts):
    """A quarter was wanted, so a quarter of the rest may be; nobody was asked about anything else."""
    plain = Screening().fit(facts, 14)
    taught = Screening().fit(facts, 14, verdicts(facts, 15, 45))
    held = taught.reasons_ != ""
    assert taught.provenance_ == CALIBRATED
    assert taught.calibrated_.tolist() == held.tolist()
    pd.testing.assert_series_equal(taught.p_legit_[~held], plain.p_legit_[~held])
    assert taught.p_legit_[held].mean() == pytest.approx(0.25, abs=0.1)
    assert plain.p_legit_[held].mean() > 0.8


def test_verdicts_against_the_evidence_do_not_turn_the_order_round(facts):
    """The best half unwanted, the worst admitted: flatter, and still in the order of the evidence."""
    order = Screening().fit(facts, 14).score_[facts["scan"]].sort_values(kind="stable").index
    said = pd.Series(["admit"] * 40 + ["unwanted"] * 40, index=order)
    taught = Screening().fit(facts, 14, said)
    ranked = taught.p_legit_[order].to_numpy()
    scores = taught.score_[order].to_numpy()
    assert taught.provenance_ == CALIBRATED
    assert (np.diff(ranked)[np.diff(scores) > 1e-9] > 0.0).all()
    assert ranked[-1] - ranked[0] > 0.05


def test_what_reviewers_are_not_asked_about_stays_a_prior(facts):
    """Calls of a resolver are let in whatever fires, and nobody is shown what never worked."""
    odd = facts.index[facts["scan"]]
    spared, failed = odd[-1], odd[-2]
    silent = facts.assign(only_failed=facts.index == failed)
    taught = Screening().fit(silent, 14, verdicts(facts, 15, 45), [spared])
    assert (taught.reasons_[spared], taught.reasons_[failed]) == ("", "never_answered;scan")
    assert not taught.calibrated_[[spared, failed]].any()
    assert taught.calibrated_.sum() == HELD - 2


def test_the_order_of_rows_and_verdicts_changes_nothing(facts):
    """Same input, same output."""
    said = verdicts(facts, 15, 45)
    one = Screening().fit(facts, 14, said)
    other = Screening().fit(facts.iloc[::-1], 14, said.sample(frac=1.0, random_state=3))
    pd.testing.assert_series_equal(other.p_legit_.reindex(facts.index), one.p_legit_)
