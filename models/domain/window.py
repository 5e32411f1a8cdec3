"""When we looked: the half-open stretch of time that a run reads."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


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
