"""The calibration panel has figures or says why not."""

import numpy as np
import pytest

from models.confidence.report import calibrate
from models.learning.cells import to_cells
from models.learning.incidence import DayIncidence
from tests.unit.learning.worlds import coverage, day_names, estate


def test_two_weeks_give_a_reason_and_no_figure() -> None:
    """Reusing the training days would flatter."""
    seen = DayIncidence().fit(to_cells(estate(0, 14, workloads=10)), coverage(day_names(14)))
    report = calibrate(seen.cells_, seen.days_)
    assert report.reason == "too little seen: 14 fully observed days, the first back-test needs 21"
    assert report.trustworthy is None
    assert np.isnan([report.brier, report.ece, report.interval_coverage, report.bias, report.any_ece]).all()
    assert report.reliability.empty
    assert report.conformal_level == 0.1
    assert set(report.recalibration.method_.values()) == {"none"}


@pytest.mark.slow
def test_five_weeks_judge_themselves_week_by_week() -> None:
    """Three origins; better than climatology, calibrated, and the estate's total within a quarter."""
    seen = DayIncidence().fit(to_cells(estate(1, 35)), coverage(day_names(35)))
    report = calibrate(seen.cells_, seen.days_)
    assert report.reason == ""
    assert report.origins == (14, 21, 28)
    assert report.reliability["count"].sum() == report.label_count
    assert report.skill > 0.3
    assert report.ece <= 0.05
    assert report.trustworthy is True
    assert report.upper_coverage >= 0.92
    assert abs(report.bias) <= 0.25
    assert report.recalibration.method_["internal"] == "isotonic"
