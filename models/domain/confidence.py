"""
How sure a proposal is: the numbers beside a rule and beside a direction, as they are kept and shown.

Every number is a probability or a count with its horizon; where too little was seen it is ``None``, and the
reason says so in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Nothing was counted at all, as in proposals that an older version stored.
NOT_CALIBRATED: Final = "not calibrated yet"
#: What ``p_legit`` rests on: the method's weights, or what reviewers of this estate said.
PRIOR: Final = "prior, not calibrated on this estate"
CALIBRATED: Final = "calibrated on this estate's verdicts"
#: No probability is shown beyond this: nothing that was only observed is certain.
MOST_CERTAIN: Final = 0.9999
_DIGITS: Final = 4
_FULL_FROM: Final = 99.5  # two digits of what is above would be an exponent
_SURE: Final = 0.995  # from here on two digits would say 1.00


def shown_probability(value: float) -> float:
    """
    Probability as it is kept: four digits, never certain.

    Examples
    --------
    >>> shown_probability(1.0), shown_probability(0.25004), shown_probability(0.0)
    (0.9999, 0.25, 0.0001)
    """
    return round(min(max(value, 1.0 - MOST_CERTAIN), MOST_CERTAIN), _DIGITS)


def chance_text(probability: float) -> str:
    """
    Probability for people: two digits, never certain.

    Examples
    --------
    >>> chance_text(0.9999), chance_text(0.25), chance_text(0.0001)
    ('above 0.99', '0.25', 'below 0.01')
    """
    if probability >= _SURE:
        return "above 0.99"
    return "below 0.01" if probability < 1.0 - _SURE else f"{probability:.2f}"


def count_text(expected: float) -> str:
    """
    Expected number for people: two digits of a small one, a large one in full.

    Examples
    --------
    >>> count_text(0.0123), count_text(7.36), count_text(99.6), count_text(1941.2)
    ('0.012', '7.4', '100', '1,941')
    """
    return f"{expected:.2g}" if expected < _FULL_FROM else f"{expected:,.0f}"


def percent_text(share: float) -> str:
    """
    The same in percent.

    Examples
    --------
    >>> percent_text(0.9999), percent_text(0.25), percent_text(0.0)
    ('above 99 %', '25%', 'below 1 %')
    """
    if share >= _SURE:
        return "above 99 %"
    return "below 1 %" if share < 1.0 - _SURE else f"{share:.0%}"


@dataclass(frozen=True, slots=True)
class Argument:
    """
    One piece of evidence behind a rule.

    Parameters
    ----------
    name
        Stable identifier.
    bits
        Log2 odds it adds; above zero it speaks for the rule.
    because
        A sentence with the numbers behind it.
    """

    name: str
    bits: float
    because: str


@dataclass(frozen=True, slots=True)
class Confidence:
    """
    How sure a rule is.

    Parameters
    ----------
    p_need_7d
        Probability of use within 7 days: the number that back-tests check.
    p_need
        Probability of use within 35 days, longer than a month.
    p_legit
        Probability that what it admits is wanted.
    confidence
        ``p_need * p_legit``.
    band
        ``high``, ``medium``, ``low`` or ``too little seen``.
    reason
        Why a number is missing; empty otherwise.
    provenance
        What ``p_legit`` rests on.
    rhythm
        How its traffic returns.
    ledger
        The arguments.
    """

    p_need_7d: float | None = None
    p_need: float | None = None
    p_legit: float | None = None
    confidence: float | None = None
    band: str = ""
    reason: str = NOT_CALIBRATED
    provenance: str = ""
    rhythm: str = ""
    ledger: tuple[Argument, ...] = ()


#: A rule of which nothing was counted.
UNKNOWN: Final = Confidence()


@dataclass(frozen=True, slots=True)
class Completeness:
    """
    What a direction of a policy would deny of legitimate traffic in the next 7 days.

    Parameters
    ----------
    no_denial
        Probability of not a single legitimate denial.
    expected
        Expected number of legitimate edges denied.
    interval
        5 % and 95 % quantile of that number.
    parts
        Expected number by cause, in a fixed order: ``rare``, ``births``, ``calendar``, ``held_back``.
    flows
        Flows that would be denied if nobody amended the policy: an order of magnitude.
    provisional
        Less than two weeks were observed.
    reason
        Why there is no number, or why it is provisional; empty otherwise.
    uncovered
        Phases of the calendar that the window did not show: unknown, not zero.
    ready
        ``(risk, whether the probability of any denial is at most that)``.
    """

    no_denial: float | None = None
    expected: float | None = None
    interval: tuple[int, int] | None = None
    parts: tuple[tuple[str, float], ...] = ()
    flows: float | None = None
    provisional: bool = False
    reason: str = NOT_CALIBRATED
    uncovered: tuple[str, ...] = ()
    ready: tuple[tuple[float, bool], ...] = ()


#: A direction of which nothing was estimated.
NOT_ESTIMATED: Final = Completeness()


def confidence_to_json(confidence: Confidence) -> dict[str, Any]:
    """Fields of a rule's contract form; the ledger goes with its evidence."""
    return {
        "p_need": confidence.p_need,
        "p_need_7d": confidence.p_need_7d,
        "p_legit": confidence.p_legit,
        "p_legit_provenance": confidence.provenance,
        "confidence": confidence.confidence,
        "confidence_band": confidence.band,
        "confidence_reason": confidence.reason,
        "rhythm": confidence.rhythm,
    }


def ledger_to_json(confidence: Confidence) -> list[dict[str, Any]]:
    """Arguments as the evidence of a rule lists them."""
    return [{"name": one.name, "bits": one.bits, "because": one.because} for one in confidence.ledger]


def confidence_from_json(rule: Mapping[str, Any]) -> Confidence:
    """Inverse of the two, from the contract form of a rule; older forms have less in them."""
    return Confidence(
        p_need_7d=rule.get("p_need_7d"),
        p_need=rule["p_need"],
        p_legit=rule["p_legit"],
        confidence=rule["confidence"],
        band=rule.get("confidence_band", ""),
        reason=rule["confidence_reason"],
        provenance=rule.get("p_legit_provenance", ""),
        rhythm=rule.get("rhythm", ""),
        ledger=tuple(Argument(**argument) for argument in rule["evidence"].get("ledger", ())),
    )


def completeness_to_json(completeness: Completeness) -> dict[str, Any]:
    """Contract form, without what was decided about the direction."""
    return {
        "probability_no_denial_7d": completeness.no_denial,
        "expected_denied_edges_7d": completeness.expected,
        "interval": None if completeness.interval is None else list(completeness.interval),
        "expected_by_cause": dict(completeness.parts),
        "expected_denied_flows_7d": completeness.flows,
        "provisional": completeness.provisional,
        "reason": completeness.reason,
        "not_observed": list(completeness.uncovered),
        "ready_at_risk": {f"{risk:g}": ready for risk, ready in completeness.ready},
    }


def completeness_from_json(form: Mapping[str, Any]) -> Completeness:
    """Inverse; older forms have less in them."""
    interval = form["interval"]
    return Completeness(
        no_denial=form["probability_no_denial_7d"],
        expected=form["expected_denied_edges_7d"],
        interval=None if interval is None else (interval[0], interval[1]),
        parts=tuple(form.get("expected_by_cause", {}).items()),
        flows=form.get("expected_denied_flows_7d"),
        provisional=form.get("provisional", False),
        reason=form["reason"],
        uncovered=tuple(form.get("not_observed", ())),
        ready=tuple((float(risk), ready) for risk, ready in form.get("ready_at_risk", {}).items()),
    )
