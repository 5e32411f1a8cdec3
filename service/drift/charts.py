"""Geometry of the charts of a report: numbers only, drawn as SVG by the template, nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from models.drift.finding import KINDS

WIDTH: Final = 720.0
HEIGHT: Final = 150.0
_BOTTOM: Final = 20.0  # room for dates
_RANGE_WIDTH: Final = 160.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle with its tooltip."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class NightLabel:
    """Date below a night."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Trend:
    """Findings of the last nights by kind, stacked; ``holes`` are nights that were not heard."""

    bars: tuple[Bar, ...]
    holes: tuple[Bar, ...]
    labels: tuple[NightLabel, ...]
    highest: int


def trend(nights: Sequence[tuple[datetime, Mapping[str, int], bool]]) -> Trend:
    """Stack the findings of nights, oldest first: (end of the night, count by kind, heard)."""
    highest = max([sum(counts.values()) for _, counts, _ in nights] + [1])
    step = WIDTH / max(len(nights), 1)
    width = min(step * 0.8, 40.0)
    bars, holes, labels = [], [], []
    every = max(1, -(-len(nights) // 8))
    for place, (end, counts, heard) in enumerate(nights):
        x, y = place * step + (step - width) / 2, HEIGHT - _BOTTOM
        if not heard:
            holes.append(Bar(round(x, 1), 0.0, round(width, 1), HEIGHT - _BOTTOM, "hole", f"{end:%Y-%m-%d}"))
        for kind in KINDS:
            count = counts.get(kind.value, 0)
            height = (HEIGHT - _BOTTOM - 6) * count / highest
            if count:
                y -= height
                title = f"{end:%Y-%m-%d}: {count} {kind.value}"
                bars.append(
                    Bar(round(x, 1), round(y, 1), round(width, 1), round(height, 1), kind.value, title)
                )
        if place % every == 0:
            labels.append(NightLabel(round(x + width / 2, 1), f"{end:%d %b}"))
    return Trend(tuple(bars), tuple(holes), tuple(labels), highest)


@dataclass(frozen=True, slots=True)
class Range:
    """What was expected, as a band, and what was observed, as a mark."""

    low: float
    width: float
    mark: float
    text: str


def expectation(expected: Mapping[str, Any] | None) -> Range | None:
    """The band of nine nights of ten against tonight; None where there is no band to draw."""
    if expected is None or expected["low"] is None or expected["high"] is None:
        return None
    low, high, observed = (float(expected[name]) for name in ("low", "high", "observed"))
    most = max(high, observed, 1.0)
    scale = _RANGE_WIDTH / most
    usual = f"{low:g} to {high:g}" if high else "none"
    text = f"{observed:g} {expected['what']}, usually {usual}"
    width = max((high - low) * scale, 2.0)
    return Range(round(low * scale, 1), round(width, 1), round(observed * scale, 1), text)
