"""Confidence, forecast and calibration, in lines that a person reads."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.domain.confidence import chance_text, confidence_from_json, count_text, percent_text

#: What became of p_need on the estate's own weeks, for people.
_MAPS: Final = {"none": "as the model says", "sigmoid": "bent by a sigmoid", "isotonic": "bent by steps"}
#: Arguments below this weight print as nothing; the JSON has all of them.
MIN_SHOWN_BITS: Final = 0.05
#: But for this one, which may move the week alone.
SCHEDULE: Final = "schedule"
_CAUSES: Final = {
    "rare": "rare traffic not seen yet",
    "births": "releases to come",
    "calendar": "scheduled jobs",
    "held_back": "held back",
}

_FEW: Final = "less than one denied flow, if nobody amends the policy"

#: Namespaces that a forecast names: those that expect at least this much, and this many of them.
MIN_SHOWN: Final = 0.1
MAX_SHOWN: Final = 5


def confidence_line(rule: Mapping[str, Any]) -> str:
    """How sure a rule is, in one line."""
    found = confidence_from_json(rule)
    if found.confidence is None:
        need = "" if found.p_need is None else f"; needed within 35 days: {percent_text(found.p_need)}"
        return f"confidence: {found.reason or 'not calibrated yet'}{need}"
    parts = [
        f"confidence {chance_text(found.confidence)} ({found.band})",
        f"needed within 35 days {_percent(found.p_need)}, within 7 days {_percent(found.p_need_7d)}",
        f"wanted {_percent(found.p_legit)} ({found.provenance})",
    ]
    return "; ".join(parts) + (f"; {found.rhythm.replace('_', ' ')}" if found.rhythm else "")


def argument_lines(rule: Mapping[str, Any]) -> list[str]:
    """The arguments for and against a rule that weigh something, each with its weight, and its schedule."""
    ledger = confidence_from_json(rule).ledger
    weighty = [one for one in ledger if abs(one.bits) >= MIN_SHOWN_BITS or one.name == SCHEDULE]
    return [f"{one.bits:+.1f} bits: {one.because}" for one in weighty]


def forecast_lines(found: Mapping[str, Any]) -> list[str]:
    """What a direction would deny in the next week; nothing for a direction that stays open."""
    if not found["enforced"]:
        return []
    if found["probability_no_denial_7d"] is None:
        return [f"next 7 days: {found['reason']}"]
    low, high = found["interval"]
    lines = [
        (
            "next 7 days: no legitimate denial with probability "
            f"{_percent(found['probability_no_denial_7d'])}; "
            f"{count_text(found['expected_denied_edges_7d'])} edges expected, between {low:,} and {high:,}"
        )
    ]
    causes = [
        f"{name} {count_text(found['expected_by_cause'][key])}"
        for key, name in _CAUSES.items()
        if found["expected_by_cause"].get(key, 0.0) > 0.0
    ]
    if causes:
        lines.append(f"of these: {', '.join(causes)}")
    if flows := found.get("expected_denied_flows_7d"):
        lines.append(f"about {flows:,.0f} denied flows, if nobody amends the policy" if flows >= 1 else _FEW)
    if found["reason"]:
        lines.append(found["reason"])
    ready = [f"{float(risk):.0%}" for risk, is_ready in found["ready_at_risk"].items() if is_ready]
    lines.append(f"ready where a risk of {ready[0]} is accepted" if ready else "not ready at a risk of 20 %")
    if found["not_observed"]:
        lines.append(f"not observed often enough, so unknown: {', '.join(found['not_observed'])}")
    return lines


def calibration_lines(calibration: Mapping[str, Any] | None) -> list[str]:
    """What the numbers of a cluster are worth, by its own held-out weeks."""
    if calibration is None:
        return ["no inference said yet what its numbers are worth"]
    if calibration["reason"]:
        return [calibration["reason"], calibration["recalibration_reason"]]
    need, policies = calibration["p_need"], calibration["completeness"]
    origins = ", ".join(str(origin) for origin in calibration["origins"])
    maps = ", ".join(f"{zone} {_MAPS[how]}" for zone, how in calibration["recalibration"].items())
    lines = [
        f"{calibration['labels']:,} forecasts checked on the week after the first {origins} full days",
        (
            f"p_need within 7 days: off by {need['ece']:.3f} on average (ECE), Brier {need['brier']:.3f} "
            f"against {need['brier_of_base_rate']:.3f} for the base rate"
        ),
        f"recalibrated: {maps}",
        (
            f"90 % intervals of denials held in {_percent(policies['interval_coverage'])} of the cases, "
            f"their upper ends in {_percent(policies['upper_coverage'])}"
        ),
    ]
    if policies["bias"] is not None:
        lines.append(f"denials of the whole cluster were forecast {policies['bias']:+.0%}")
    if not calibration["trustworthy"]:
        lines.append("beyond the limits: read the numbers as an order, not as probabilities")
    return lines


def reliability_rows(calibration: Mapping[str, Any] | None) -> Sequence[tuple[str, str, str]]:
    """Reliability table: forecast, frequency, cases."""
    rows = [] if calibration is None else calibration["p_need"]["reliability"]
    return [(f"{row['predicted']:.3f}", f"{row['happened']:.3f}", f"{row['count']:,}") for row in rows]


def _percent(share: float | None) -> str:
    return "unknown" if share is None else percent_text(share)


def total_lines(forecast: Mapping[str, Any] | None) -> list[str]:
    """What all policies together would deny, where most of it, and what nobody could know; maybe nothing."""
    if forecast is None or forecast["cluster"]["expected_denied_edges_7d"] is None:
        return []
    low, high = forecast["cluster"]["interval"]
    said = [
        (
            f"With every proposal enforced as it is, {forecast['cluster']['expected_denied_edges_7d']:,.0f} "
            f"legitimate edges would be denied in the next 7 days, between {low:,} and {high:,}."
        )
    ]
    named = [one for one in forecast["namespaces"] if (one["expected_denied_edges_7d"] or 0.0) >= MIN_SHOWN]
    most = sorted(named, key=lambda one: (-one["expected_denied_edges_7d"], one["namespace"]))[:MAX_SHOWN]
    if most:
        told = ", ".join(f"{one['namespace']} {one['expected_denied_edges_7d']:,.1f}" for one in most)
        said.append(f"Most of them in: {told}.")
    if forecast["not_observed"]:
        said.append(f"Not observed often enough, so unknown: {'; '.join(forecast['not_observed'])}.")
    return said
