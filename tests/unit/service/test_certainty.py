"""Confidence, forecast and calibration in words; the diagram in coordinates."""

from service.proposals.certainty import (
    argument_lines,
    calibration_lines,
    confidence_line,
    forecast_lines,
    reliability_rows,
    total_lines,
)
from service.web.reliability import SIDE, points

RULE = {
    "p_need": 0.9999, "p_need_7d": 0.97, "p_legit": 0.9, "confidence": 0.9, "confidence_band": "medium",
    "confidence_reason": "", "p_legit_provenance": "prior", "rhythm": "daily_job",
    "evidence": {"ledger": [{"name": "days", "bits": -1.25, "because": "seen on 1 day"}]},
}  # fmt: skip
OLD = {
    "p_need": None,
    "p_legit": None,
    "confidence": None,
    "confidence_reason": "not calibrated yet",
    "evidence": {},
}
FORECAST = {
    "enforced": True, "probability_no_denial_7d": 0.9, "expected_denied_edges_7d": 0.2, "interval": [0, 1],
    "expected_by_cause": {"rare": 0.2, "births": 0.0}, "reason": "", "ready_at_risk": {"0.05": False, "0.2": True},
    "not_observed": ["Monday"],
}  # fmt: skip
CALIBRATION = {
    "reason": "", "trustworthy": False, "origins": [14], "labels": 12, "recalibration": {"internal": "none"},
    "recalibration_reason": "",
    "p_need": {
        "ece": 0.08, "brier": 0.05, "brier_of_base_rate": 0.1,
        "reliability": [
            {"predicted": 0.0, "happened": 0.25, "count": 3}, {"predicted": 1.0, "happened": 1.0, "count": 9},
        ],
    },
    "completeness": {"interval_coverage": 0.9, "upper_coverage": 0.95, "bias": None},
}  # fmt: skip


def test_large_numbers_are_written_in_full():
    """Not with an exponent, which two digits of them would be."""
    many = FORECAST | {
        "expected_denied_edges_7d": 1941.2,
        "interval": [1200, 2600],
        "expected_by_cause": {"rare": 1900.4},
    }
    first, causes, *_ = forecast_lines(many)
    assert first.endswith("1,941 edges expected, between 1,200 and 2,600")
    assert causes == "of these: rare traffic not seen yet 1,900"


def test_a_forecast_says_how_many_flows_in_orders_of_magnitude():
    """One significant digit, below one in words, and nothing where it was not estimated."""
    for flows, said in ((2000.0, "about 2,000 denied flows"), (0.3, "less than one denied flow")):
        lines = forecast_lines({**FORECAST, "expected_denied_flows_7d": flows})
        assert f"{said}, if nobody amends the policy" in lines
    assert not any("denied flow" in line for line in forecast_lines(FORECAST))


def test_a_rule_says_how_sure_it_is_and_why():
    """Never a plain 100 %."""
    line = confidence_line(RULE)
    assert line.startswith("confidence 0.90 (medium); needed within 35 days above 99 %, within 7 days 97%")
    assert line.endswith("wanted 90% (prior); daily job")
    assert argument_lines(RULE) == ["-1.2 bits: seen on 1 day"]


def test_no_number_is_certain_wherever_a_person_reads_it():
    """Four digits in JSON, two in words: neither end is reached."""
    sure = {**RULE, "p_need_7d": 0.0001, "p_legit": 0.9999, "confidence": 0.9999, "confidence_band": "high"}
    line = confidence_line(sure)
    assert line.startswith("confidence above 0.99 (high); ")
    assert "within 7 days below 1 %; wanted above 99 %" in line
    assert confidence_line({**sure, "confidence": 0.0001}).startswith("confidence below 0.01 ")
    unknown = confidence_line({**OLD, "p_need": 0.0001})
    assert unknown == "confidence: not calibrated yet; needed within 35 days: below 1 %"


def test_a_rule_of_an_older_version_says_that_it_has_no_number():
    """Stored bodies outlive the code that wrote them."""
    assert confidence_line(OLD) == "confidence: not calibrated yet"
    assert argument_lines(OLD) == []


def test_a_direction_says_what_enforcing_it_costs():
    """Open directions say nothing; without a number there is the reason."""
    assert forecast_lines({**FORECAST, "enforced": False}) == []
    assert forecast_lines({**FORECAST, "probability_no_denial_7d": None, "reason": "too little seen"}) == [
        "next 7 days: too little seen"
    ]
    assert forecast_lines(FORECAST) == [
        "next 7 days: no legitimate denial with probability 90%; 0.2 edges expected, between 0 and 1",
        "of these: rare traffic not seen yet 0.2",
        "ready where a risk of 20% is accepted",
        "not observed often enough, so unknown: Monday",
    ]
    assert "not ready at a risk of 20 %" in forecast_lines({**FORECAST, "ready_at_risk": {"0.2": False}})


def test_a_calibration_beyond_its_limits_says_so():
    """An order is not a probability."""
    assert "beyond the limits" in calibration_lines(CALIBRATION)[-1]
    assert reliability_rows(CALIBRATION)[0] == ("0.000", "0.250", "3")
    assert reliability_rows(None) == []
    short = {**CALIBRATION, "reason": "too little seen", "recalibration_reason": "two weeks"}
    assert calibration_lines(short) == ["too little seen", "two weeks"]
    assert calibration_lines(None) == ["no inference said yet what its numbers are worth"]


def test_the_diagram_puts_truth_on_the_diagonal():
    """Frequency runs upwards, area with the number of cases."""
    low, high = points(CALIBRATION)
    assert (low.x, low.y) == (0.0, 0.75 * SIDE)
    assert (high.x, high.y) == (SIDE, 0.0)
    assert low.radius < high.radius
    assert points(None) == []


def test_totals_are_silent_without_a_number():
    """Nothing estimated, nothing said."""
    assert total_lines(None) == []
    silent = {"expected_denied_edges_7d": None, "interval": None}
    assert total_lines({"cluster": silent, "namespaces": [], "not_observed": ["Monday"]}) == []


def test_totals_say_where_most_is_expected_and_what_is_unknown():
    """Namespaces that expect next to nothing are not worth a name."""
    spaces = [("web", 0.04), ("shop", 9.0), ("batch", 3.36)]
    forecast = {
        "cluster": {"expected_denied_edges_7d": 12.4, "interval": [5, 21]},
        "namespaces": [{"namespace": name, "expected_denied_edges_7d": number} for name, number in spaces],
        "not_observed": ["Monday", "CronJob batch/closing (0 4 3 * *): due on 2026-04-03, never seen to run"],
    }
    total, most, unknown = total_lines(forecast)
    assert "12 legitimate edges would be denied in the next 7 days, between 5 and 21" in total
    assert most == "Most of them in: shop 9.0, batch 3.4."
    assert unknown.startswith(
        "Not observed often enough, so unknown: Monday; CronJob batch/closing (0 4 3 * *): due on"
    )
