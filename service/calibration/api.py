"""REST: what the numbers are worth."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.calibration.views import calibrations
from service.dependencies import NameQuery, ReadSession
from service.problems import PROBLEM_RESPONSES

router = APIRouter(prefix="/calibration", tags=["calibration"], responses=PROBLEM_RESPONSES)


class CalibrationOut(BaseModel):
    """How the forecasts of one cluster fared on weeks that they had not seen."""

    cluster: str
    generated_at: datetime
    window: dict[str, Any] | None
    calibration: dict[str, Any] | None = Field(
        description="Reliability table, Brier score, ECE, coverage; `reason` says why there are none"
    )
    forecast: dict[str, Any] | None = Field(
        description="What all policies together would deny in the next 7 days, and per namespace"
    )


class CalibrationList(BaseModel):
    """Every cluster that was inferred."""

    items: list[CalibrationOut]


@router.get("", summary="Show the calibration")
def show_calibration(session: ReadSession, cluster: NameQuery = None) -> CalibrationList:
    """Calibration of every cluster, from back-tests on its own observations."""
    return CalibrationList(items=[CalibrationOut(**one) for one in calibrations(session, cluster)])
