"""The reliability diagram: points in the coordinates of its drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Side of the square that probabilities are drawn in.
SIDE: Final = 240
_LARGEST: Final = 9.0
_SMALLEST: Final = 2.5


@dataclass(frozen=True, slots=True)
class Point:
    """One bin: where it lies, how large it is drawn, and what it says."""

    x: float
    y: float
    radius: float
    text: str


def points(calibration: Mapping[str, Any] | None) -> Sequence[Point]:
    """Bins of a reliability table; area grows with the number of cases."""
    rows = [] if calibration is None else calibration["p_need"]["reliability"]
    most = max((row["count"] for row in rows), default=1)
    return [
        Point(
            x=round(SIDE * row["predicted"], 1),
            y=round(SIDE * (1.0 - row["happened"]), 1),
            radius=round(max(_SMALLEST, _LARGEST * (row["count"] / most) ** 0.5), 1),
            text=f"forecast {row['predicted']:.3f}, happened {row['happened']:.3f}, {row['count']:,} cases",
        )
        for row in rows
    ]
