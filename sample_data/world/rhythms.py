"""When traffic happens: each rhythm gives the moments of one day, in seconds after midnight UTC."""

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Protocol

HOUR = 3600
DAY = 86400

#: Share of the peak rate by hour of a working day, UTC, of a shop whose customers live in Europe.
SHOPPING_DAY = (
    0.08,
    0.05,
    0.03,
    0.03,
    0.05,
    0.12,
    0.3,
    0.55,
    0.75,
    0.85,
    0.9,
    0.95,
    1.0,
    0.9,
    0.85,
    0.85,
    0.9,
    0.95,
    1.0,
    0.95,
    0.8,
    0.55,
    0.3,
    0.15,
)


class Rhythm(Protocol):
    """Anything that can say when it happens on a day."""

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Seconds after midnight, ascending; ``volume`` scales rates, never what happens at a set time."""
        ...


def draw_count(rate: float, rng: Random) -> int:
    """Whole number with mean ``rate`` and the least possible spread."""
    whole = int(rate)
    return whole + (rng.random() < rate - whole)


@dataclass(frozen=True)
class Steady:
    """At least once in every hour, whatever the day."""

    per_hour: float = 1.0

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Uniform within each hour."""
        del day
        found: list[float] = []
        for hour in range(24):
            count = max(1, draw_count(self.per_hour * volume, rng))
            found += [hour * HOUR + rng.random() * HOUR for _ in range(count)]
        return sorted(found)


@dataclass(frozen=True)
class Shopping:
    """Follows the customers: busy on working days, quiet at night and at the weekend."""

    peak_per_hour: float
    weekend: float = 0.5

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Rate by hour of day and kind of day."""
        factor = self.peak_per_hour * volume * (self.weekend if day.weekday() >= 5 else 1.0)
        found: list[float] = []
        for hour, share in enumerate(SHOPPING_DAY):
            found += [hour * HOUR + rng.random() * HOUR for _ in range(draw_count(factor * share, rng))]
        return sorted(found)


@dataclass(frozen=True)
class Office:
    """Monday to Friday, 7 to 17 UTC, nothing else."""

    per_hour: float

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Empty at the weekend."""
        if day.weekday() >= 5:
            return []
        found: list[float] = []
        for hour in range(7, 17):
            found += [
                hour * HOUR + rng.random() * HOUR for _ in range(draw_count(self.per_hour * volume, rng))
            ]
        return sorted(found)


@dataclass(frozen=True)
class At:
    """At a time of day, on all days or on some: nightly, weekly and monthly jobs."""

    hour: int
    minute: int = 0
    weekday: int | None = None
    monthday: int | None = None
    count: int = 1
    spread: float = 40.0

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """``count`` moments within ``spread`` seconds after the time."""
        del volume
        if self.weekday is not None and day.weekday() != self.weekday:
            return []
        if self.monthday is not None and day.day != self.monthday:
            return []
        base = self.hour * HOUR + self.minute * 60
        return sorted(base + rng.random() * self.spread for _ in range(self.count))


@dataclass(frozen=True)
class Every:
    """Like a clock, with a little jitter: what a beacon does, and many honest agents too."""

    seconds: float
    jitter: float = 2.0

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """One moment per period of the day."""
        del day, volume
        count = int(DAY / self.seconds)
        return sorted(
            min(DAY - 1.0, max(0.0, i * self.seconds + rng.uniform(-self.jitter, self.jitter)))
            for i in range(count)
        )


@dataclass(frozen=True)
class Once:
    """On one day only: ``count`` moments within ``spread`` seconds."""

    on: date
    second: float
    count: int = 1
    spread: float = 1.0

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Empty on every other day."""
        del volume
        if day != self.on:
            return []
        return sorted(min(DAY - 1.0, self.second + rng.random() * self.spread) for _ in range(self.count))


@dataclass(frozen=True)
class Sporadic:
    """On some days, without a pattern."""

    share_of_days: float
    count: int = 2

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """A day is active with probability ``share_of_days``."""
        del day, volume
        if rng.random() >= self.share_of_days:
            return []
        base = rng.uniform(6, 20) * HOUR
        return sorted(base + rng.random() * 600 for _ in range(self.count))


@dataclass(frozen=True)
class PerRun:
    """In every run of a short-lived client pod: the traffic of a job."""

    count: int = 3
    after: float = 5.0
    within: float = 240.0

    def moments(self, day: date, rng: Random, volume: float = 1.0) -> list[float]:
        """Seconds after the start of one run."""
        del day, volume
        return sorted(self.after + rng.random() * self.within for _ in range(self.count))
