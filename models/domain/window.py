"""When we looked: the half-open stretch of time that a run reads, and how it is split to test forecasts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

#: Full days before the first origin (method, section 3).
FIRST_ORIGIN: Final = 14
STABLE_FROM_DAYS: Final = 14.0  # every weekday twice; below, a weekly job cannot be told from an accident
#: Share of the window's hours that may be missing without shortening it: restarts of a collector.
MAX_GAP_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Window:
    """
    Observation window ``[start, end)`` in UTC, cut to whole hours by whoever makes it.

    Examples
    --------
    >>> w = Window.ending(datetime(2026, 3, 15, 2, 30, tzinfo=UTC), timedelta(days=14))
    >>> w.start.isoformat(), w.end.isoformat()
    ('2026-03-01T02:00:00+00:00', '2026-03-15T02:00:00+00:00')
    """

    start: datetime
    end: datetime

    @classmethod
    def ending(cls, end: datetime, length: timedelta) -> "Window":
        """Window of ``length`` whose end is ``end`` cut down to the hour."""
        end = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return cls(end - length, end)

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end - self.start) / timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Split:
    """
    One origin of a rolling test: what is learned from, and what is held out.

    Parameters
    ----------
    learned
        Up to the origin.
    tested
        From the origin on.
    """

    learned: Window
    tested: Window


def origins(day_count: int, horizon: int, first: int = FIRST_ORIGIN) -> tuple[int, ...]:
    """
    Origins of a run of days, oldest first: none when it is too short to hold one out.

    Parameters
    ----------
    day_count
        Days there are; whoever asks says which days count (calendar days, or fully observed ones).
    horizon
        Days held out after each origin, and between origins, so that no day is tested twice.
    first
        Days before the first origin.

    Examples
    --------
    >>> origins(14, 7), origins(21, 7), origins(30, 7)
    ((), (14,), (14, 21))
    """
    return tuple(range(first, day_count - horizon + 1, horizon))


def splits(window: Window, horizon: int, first: int = FIRST_ORIGIN) -> tuple[Split, ...]:
    """
    Split a window of whole days at its `origins`.

    Parameters
    ----------
    window
        From midnight to midnight; a part of a day would be tested as a whole one.
    horizon, first
        As for `origins`.

    Examples
    --------
    >>> w = Window.ending(datetime(2026, 3, 22, tzinfo=UTC), timedelta(days=21))
    >>> [(s.learned.days, s.tested.start.day) for s in splits(w, 7)]
    [(14.0, 15)]
    """
    return tuple(
        Split(
            Window(window.start, window.start + timedelta(days=origin)),
            Window(window.start + timedelta(days=origin), window.start + timedelta(days=origin + horizon)),
        )
        for origin in origins(int(window.days), horizon, first)
    )
