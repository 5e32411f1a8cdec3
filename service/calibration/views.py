"""Calibration and forecast of every cluster, as its newest inference left them."""

from typing import Any

from sqlalchemy.orm import Session

from service.db.tables import InferenceRow
from service.proposals import repository


def calibrations(session: Session, cluster: str | None = None) -> list[dict[str, Any]]:
    """One form per cluster; ``None`` in it where an older version inferred."""
    return [_form(row) for row in repository.newest_inferences(session, cluster)]


def calibration_of(session: Session, cluster: str) -> dict[str, Any] | None:
    """Calibration of one cluster; ``None`` before its first inference."""
    found = calibrations(session, cluster)
    return found[0]["calibration"] if found else None


def _form(row: InferenceRow) -> dict[str, Any]:
    return {
        "cluster": row.cluster,
        "generated_at": row.generated_at,
        "window": row.body.get("window"),
        "calibration": row.body.get("calibration"),
        "forecast": row.body.get("forecast"),
    }
