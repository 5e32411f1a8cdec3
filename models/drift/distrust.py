"""
An alarm when calibration is off: the probabilities of this cluster did not come true on weeks held out.

Method, section 8: an expected calibration error above 0.05, or intervals that hold too rarely. Both are
estimates, so each has to be beyond its own noise before anybody is told.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from models.confidence.report import MAX_ECE, MIN_COVERAGE
from models.drift.finding import Expectation, Finding, Kind, Severity, SubjectRef, Suggestion

#: Labels below which an error of calibration is mostly noise.
MIN_LABELS: Final = 300
#: Bins of the reliability table; a perfect forecast shows an error of about ``sqrt(bins / (4 labels))``.
_BINS: Final = 10
#: How far below its floor the share of intervals that held has to be: few policies make it jump.
_COVERAGE_NOISE: Final = 0.05


def distrust(calibration: Mapping[str, Any] | None) -> list[Finding]:
    """
    Find out whether the numbers of the newest inference deserve trust.

    Parameters
    ----------
    calibration
        `CalibrationReport.to_json` of the newest inference; ``None`` before the first one. Where too little
        could be held out there are no figures, and nothing is said: proposals say so themselves.
    """
    if calibration is None or calibration.get("trustworthy") is not False:
        return []
    labels = int(calibration.get("labels") or 0)
    if labels < MIN_LABELS:
        return []
    error = (calibration.get("p_need") or {}).get("ece")
    held = (calibration.get("completeness") or {}).get("interval_coverage")
    off = error is not None and error > MAX_ECE + math.sqrt(_BINS / (4.0 * labels))
    narrow = held is not None and held < MIN_COVERAGE - _COVERAGE_NOISE
    if not off and not narrow:
        return []
    reasons = [f"probabilities were off by {error:.0%} on average"] if off else []
    reasons += [f"only {held:.0%} of the 90 % intervals held"] if narrow else []
    observed = error if off else held
    return [
        Finding(
            kind=Kind.UNKNOWN,
            detector="calibration_off",
            severity=Severity.MEDIUM,
            confidence=0.95,
            subject=SubjectRef(),
            why=f"On weeks that they had not seen, the forecasts of this cluster were wrong: "
            f"{' and '.join(reasons)} ({labels:,} forecasts).",
            expected=Expectation(
                "calibration error" if off else "share of intervals that held",
                round(float(observed or 0.0), 4),
                0.0 if off else MIN_COVERAGE,
                MAX_ECE if off else 1.0,
            ),
            about="calibration",
            suggestion=Suggestion(
                "investigate",
                "Read counts rather than probabilities, and see /calibration: a release or an incident of "
                "the last weeks is the usual reason.",
            ),
        )
    ]
