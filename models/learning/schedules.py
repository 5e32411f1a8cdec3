"""
CronJob schedules as prior knowledge: on which days a job runs.

Days of UTC, because those are what traffic is counted by: a job that starts at midnight of the first in
Tokyo runs on the last day of the month before. Hours and minutes serve that shift and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

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
_MINUTES_PER_HOUR: Final = 60
_MINUTES_PER_DAY: Final = 24 * _MINUTES_PER_HOUR
#: Zone of a schedule that names none: that of the controllers that start jobs.
DEFAULT_ZONE: Final = "UTC"
_LONGEST_ZONE: Final = 64  # characters of a name in the time zone database


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The days on which a schedule fires.

    Parameters
    ----------
    minutes, hours, days_of_month, months, weekdays
        Accepted values; weekdays count from Sunday = 0.
    any_day_of_month, any_weekday
        The field was ``*``. When both are restricted, cron fires if *either* fits.
    zone
        Name of the time zone that the fields are read in; known to the time zone database.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_month: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day_of_month: bool
    any_weekday: bool
    zone: str = DEFAULT_ZONE

    def fires_on(self, day: date) -> bool:
        """Whether the job starts at least once on that day of UTC."""
        if self.zone == DEFAULT_ZONE:
            return self._fits(day)
        zone = ZoneInfo(self.zone)
        midnight = datetime.combine(day, time(), UTC)
        begin, end = midnight.astimezone(zone), (midnight + timedelta(days=1)).astimezone(zone)
        return (self._fits(begin.date()) and self._starts(_minute(begin), _MINUTES_PER_DAY)) or (
            self._fits(end.date()) and self._starts(0, _minute(end))
        )

    def _starts(self, low: int, high: int) -> bool:
        """Whether it starts at a minute of the day from ``low`` up to, not including, ``high``."""
        return any(
            low <= hour * _MINUTES_PER_HOUR + minute < high for hour in self.hours for minute in self.minutes
        )

    def _fits(self, day: date) -> bool:
        """Whether a day of the schedule's own zone is one of its days."""
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


def _minute(moment: datetime) -> int:
    return moment.hour * _MINUTES_PER_HOUR + moment.minute


def known_zone(name: object) -> bool:
    """
    Whether the time zone database has a zone of this name.

    Examples
    --------
    >>> known_zone("Asia/Tokyo"), known_zone("Mars/Base"), known_zone("../../etc/passwd"), known_zone(None)
    (True, False, False, False)
    """
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ZONE:
        return False
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: a folder of the database, as "America"
        return False
    return True


def parse_schedule(text: str, zone: str = DEFAULT_ZONE) -> Schedule:
    """
    Read a Kubernetes CronJob schedule.

    Parameters
    ----------
    text
        Five fields with ``*``, ``?``, lists, ranges, steps and English names, or a macro.
    zone
        A `known_zone`: that of the CronJob's ``timeZone``.

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
    >>> parse_schedule("0 0 1 * *", "Asia/Tokyo").fires_on(date(2026, 2, 28))
    True
    """
    fields = _MACROS.get(text.strip().lower(), text).split()
    if len(fields) != len(_FIELDS):
        raise BadInputError(f"schedule {text!r} has {len(fields)} fields instead of {len(_FIELDS)}")
    values = [_field(field, index, text) for index, field in enumerate(fields)]
    return Schedule(
        minutes=values[0],
        hours=values[1],
        days_of_month=values[2],
        months=values[3],
        weekdays=frozenset(0 if value == _SUNDAY else value for value in values[4]),
        any_day_of_month=fields[2] in ("*", "?"),
        any_weekday=fields[4] in ("*", "?"),
        zone=zone,
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
