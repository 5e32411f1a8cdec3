"""Forecasts that proposals carry are compared with what came true; missing ones are told, never skipped."""

import math

import pandas as pd
import pytest

from jobs.evaluation.counts import Measured
from jobs.evaluation.forecasts import measure_forecasts, measure_totals
from jobs.evaluation.protocol import Result, Trial
from jobs.evaluation.rulebook import NEEDS_REVIEW, Place, RuleBook
from jobs.evaluation.summary import summarise
from jobs.evaluation.targets import FLOOR, MISSED, NO_RUN, NONE_CARRIED, NOT_GIVEN, PLAIN, TARGET, scorecard
from tests.unit.evaluation.tiny import tiny_world

TRIAL = Trial("portolan", "balanced", 14)


def rule(identifier: str, peer: dict, port: int, p_need: float | None, p_legit: float | None, **more) -> dict:
    ports = [{"protocol": "TCP", "port": port, **more}]
    form = {"id": identifier, "direction": "egress", "peer": peer, "ports": ports, "flags": [NEEDS_REVIEW]}
    return form | {"p_need_7d": p_need, "p_legit": p_legit}


def endpoint(name: str) -> dict:
    labels = {"app": name}
    return {
        "kind": "endpoint",
        "cluster": "",
        "namespace": "shop",
        "workload": f"Deployment/{name}",
        "labels": labels,
    }


def form(rules: list, expected: float | None = None, interval: tuple | None = None) -> dict:
    numbers = {
        "enforced": True,
        "probability_no_denial_7d": None if expected is None else math.exp(-expected),
        "expected_denied_edges_7d": expected,
        "interval": interval,
    }
    return {
        "namespace": "shop",
        "subject": {"selector": {"matchLabels": {"app": "web"}}, "workloads": ["Deployment/web"]},
        "rules": rules,
        "completeness": {"egress": numbers, "ingress": numbers | {"enforced": False}},
    }


def uses(rows: list[tuple]) -> pd.DataFrame:
    columns = [
        "link",
        "client_set",
        "server_set",
        "address",
        "family",
        "truth",
        "cell",
        "allowed",
        "egress_denied",
    ]
    return pd.DataFrame(rows, columns=columns).assign(ingress_denied=False)


WEB, API, DB = 0, 1, 2
TO_API = (0, WEB, API, -1, "", "seen", 0, True, False)
TO_NEW = (4, WEB, -1, 5 * 256 + 10, "", "new release", 1, False, True)
SCAN = (5, WEB, DB, -1, "horizontal_scan", "horizontal_scan", 2, True, False)


def test_a_rule_is_needed_if_a_later_use_matches_it_and_legitimate_unless_an_attack_does():
    """Two rules: one used next week, one that only a scan stands behind."""
    rules = [rule("used", endpoint("api"), 9090, 0.9, 0.8), rule("odd", endpoint("db"), 22, 0.2, 0.3)]
    measured = Measured()
    book = RuleBook(tiny_world(), [form(rules, 0.5, (0.0, 2.0))])
    measure_forecasts(measured, book, uses([TO_API, SCAN]), uses([TO_API, TO_NEW]), uses([]))
    assert measured.forecasts == [
        ("p_need", 0.9, 1.0),
        ("p_legit", 0.8, 1.0),
        ("p_need", 0.2, 0.0),
        ("p_legit", 0.3, 0.0),
        ("no_denial", pytest.approx(math.exp(-0.5)), 0.0),
    ]
    assert measured.intervals == [("gate", 0.0, 2.0, 1.0)]
    assert ("expected_vs_actual", "all", 0.5, 1.0) in measured.counts


def test_a_rule_that_only_probes_use_is_needed():
    """The node asks whether a pod lives, and a rule that names the node is used by that."""
    measured = Measured()
    book = RuleBook(tiny_world(), [form([rule("used", endpoint("api"), 9090, 0.9, 0.8)])])
    measure_forecasts(measured, book, uses([TO_API]), uses([]), uses([TO_API]))
    assert ("p_need", 0.9, 1.0) in measured.forecasts


def test_a_missing_number_is_counted_as_missing():
    """Null is not zero: nothing is scored, and the share of rules with a number says so."""
    measured = Measured()
    book = RuleBook(tiny_world(), [form([rule("used", endpoint("api"), 9090, None, None)])])
    measure_forecasts(measured, book, uses([TO_API]), uses([TO_API]), uses([]))
    assert measured.forecasts == []
    assert ("p_need_given", "all", 0.0, 1.0) in measured.counts
    assert not [count for count in measured.counts if count[0] == "expected_vs_actual"]


def test_a_port_range_of_a_rule_covers_its_ports():
    """A range in the contract form is as good as the ports in it."""
    book = RuleBook(tiny_world(), [form([rule("range", endpoint("api"), 9000, None, None, end_port=9100)])])
    assert [found["id"] for found in book.rules(Place(0, "egress", WEB, API, -1))] == ["range"]


def result(world: str, **counts) -> Result:
    measured = Measured()
    for name, (hits, total) in counts.items():
        measured.add(name, hits, total)
    return Result(world, TRIAL, measured)


def test_worlds_are_pooled_by_their_counts_and_the_ends_are_named():
    """The pooled figure weighs worlds by what they hold; the lowest and highest world stand beside it."""
    rows = summarise([result("one", flows_denied_7=(1, 10)), result("two", flows_denied_7=(0, 90))])
    row = rows[rows["metric"] == "flows_denied_7"].iloc[0]
    assert row["value"] == pytest.approx(0.01)
    assert (row["low_world"], row["high_world"]) == ("two", "one")
    assert row["high"] == pytest.approx(0.1)


def test_calibration_errors_match_a_hand_computed_example():
    """Ten forecasts of 0.7 of which five came true: ECE 0.2, Brier 0.29."""
    measured = Measured()
    measured.forecasts = [("p_need", 0.7, float(number < 5)) for number in range(10)]
    measured.intervals = [("total", 0.0, 2.0, actual) for actual in (0.0, 1.0, 2.0, 3.0)]
    measured.intervals += [("gate", 1.0, 1.0, actual) for actual in (0.0, 1.0)]
    made = summarise([Result("one", TRIAL, measured), result("two", seconds=(1, 1))])
    rows = made.set_index(["metric", "part"])["value"]
    assert rows["p_need_ece", "all"] == pytest.approx(0.2)
    assert rows["p_need_brier", "all"] == pytest.approx(0.29)
    assert rows["interval_coverage", "all"] == pytest.approx(0.75)
    assert rows["upper_coverage", "all"] == pytest.approx(0.75)
    assert rows["interval_coverage", "gate"] == pytest.approx(0.5)
    assert rows["upper_coverage", "gate"] == pytest.approx(1.0)


def test_totals_are_judged_by_namespace_and_by_cluster():
    """One denied edge in one namespace counts there and in the cluster; without numbers nothing is judged."""
    measured = Measured()
    proposal = form([rule("used", endpoint("api"), 9090, 0.9, 0.8)], 0.5, (0.0, 2.0))
    book = RuleBook(tiny_world(), [proposal])
    told = {"expected_denied_edges_7d": 0.5, "interval": [0, 0]}
    forecast = {
        "cluster": {**told, "interval": [1, 3]},
        "namespaces": [{"namespace": proposal["namespace"], **told}],
    }
    measure_totals(measured, book, forecast, uses([TO_API, TO_NEW]))
    assert measured.intervals == [("total", 0.0, 0.0, 1.0), ("total", 1.0, 3.0, 1.0)]
    measure_totals(measured, book, {}, uses([TO_API, TO_NEW]))
    assert len(measured.intervals) == 2


def test_readiness_compares_what_broke_with_what_was_promised():
    """Of ten gates called ready at a risk of 0.2, four broke: twice the risk."""
    measured = Measured()
    measured.forecasts = [("no_denial", 0.85, float(number >= 4)) for number in range(10)]
    measured.forecasts += [("no_denial", 0.5, 0.0)]
    rows = summarise([Result("one", TRIAL, measured), result("two", seconds=(1, 1))]).set_index("metric")[
        "value"
    ]
    assert rows["ready_realised"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("denied", "verdict"), [(0.0, TARGET), (0.0005, FLOOR), (0.5, MISSED)], ids=["target", "floor", "missed"]
)
def test_each_figure_is_held_to_its_floor_and_target(denied, verdict):
    """A thousandth is the floor, three ten-thousandths the target."""
    cards = scorecard(summarise([result("one", flows_denied_7=(denied * 10000, 10000))]))
    card = cards[cards["title"] == "Legitimate flows denied in the following 7 days"].iloc[0]
    assert card["verdict"] == verdict


def test_a_row_without_a_figure_says_why():
    """Not calibrated, not run, carries none: three different things."""
    naive = Result("one", Trial("exact allow-list", "balanced", 14), Measured([("seconds", "all", 1.0, 1.0)]))
    cards = scorecard(summarise([result("one", seconds=(1, 1)), naive])).set_index(["method", "title"])[
        "verdict"
    ]
    assert cards[("portolan", "p_need: ECE")] == NOT_GIVEN
    assert cards[("exact allow-list", "p_need: ECE")] == NONE_CARRIED
    assert cards[("portolan", "Quiet nights: rules that change")] == NO_RUN
    assert cards[("portolan", "Seconds per run")] == PLAIN
