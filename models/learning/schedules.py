"""
CronJob schedules as prior knowledge: on which days a job runs.

Days are all the models need, so hours and minutes only have to be readable. Times are UTC; a schedule in
another zone may fall on the neighbouring day, which a horizon of weeks forgives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from models.errors import BadInputError

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
_SUNDAY: Final = 7  # cron's second name for 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The days on which a schedule fires.

    Parameters
    ----------
    days_of_month, months, weekdays
        Accepted values; weekdays count from Sunday = 0.
    any_day_of_month, any_weekday
        The field was ``*``. When both are restricted, cron fires if *either* fits.
    """

    days_of_month: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day_of_month: bool
    any_weekday: bool

    def fires_on(self, day: date) -> bool:
        """Whether the job runs at least once on that day."""
        if day.month not in self.months:
            return False
        in_month = day.day in self.days_of_month
        in_week = (day.weekday() + 1) % 7 in self.weekdays
        if self.any_day_of_month or self.any_weekday:
            return in_month and in_week
        return in_month or in_week

    def days_until(self, after: date, horizon: int) -> int | None:
        """Days from ``after`` to the next run, at least 1; ``None`` when none is due within ``horizon``."""
        for ahead in range(1, horizon + 1):
            if self.fires_on(after + timedelta(days=ahead)):
                return ahead
        return None


def parse_schedule(text: str) -> Schedule:
    """
    Read a Kubernetes CronJob schedule.

    Parameters
    ----------
    text
        Five fields with ``*``, ``?``, lists, ranges, steps and English names, or a macro.

    Raises
    ------
    BadInputError
        Naming the field that cannot be read.

    Examples
    --------
    >>> monthly = parse_schedule("30 2 1 * *")
    >>> monthly.fires_on(date(2026, 3, 1)), monthly.fires_on(date(2026, 3, 2))
    (True, False)
    >>> parse_schedule("0 6 * * MON-FRI").days_until(date(2026, 3, 6), 7)
    3
    """
    fields = _MACROS.get(text.strip().lower(), text).split()
    if len(fields) != len(_FIELDS):
        raise BadInputError(f"schedule {text!r} has {len(fields)} fields instead of {len(_FIELDS)}")
    values = [_field(field, index, text) for index, field in enumerate(fields)]
    return Schedule(
        days_of_month=values[2],
        months=values[3],
        weekdays=frozenset(0 if value == _SUNDAY else value for value in values[4]),
        any_day_of_month=fields[2] in ("*", "?"),
        any_weekday=fields[4] in ("*", "?"),
    )


def _field(field: str, index: int, text: str) -> frozenset[int]:
    low, high = _BOUNDS[index]
    accepted: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            raise BadInputError(
                f"schedule {text!r}: step {step!r} of the {_FIELDS[index]} is no number above zero"
            )
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, stop = span.partition("-")
            first = _value(start, index, text)
            last = _value(stop, index, text) if dash else (high if slash else first)
        if first > last:
            raise BadInputError(f"schedule {text!r}: the {_FIELDS[index]} {span!r} runs backwards")
        accepted.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(accepted)


def _value(word: str, index: int, text: str) -> int:
    low, high = _BOUNDS[index]
    names = {3: _MONTHS, 4: _WEEKDAYS}.get(index, ())
    lowered = word.lower()
    if lowered in names:
        return names.index(lowered) + (1 if index == 3 else 0)
    if not lowered.isdecimal() or not low <= int(lowered) <= high:
        raise BadInputError(f"schedule {text!r}: {word!r} is no {_FIELDS[index]} from {low} to {high}")
    return int(lowered)
