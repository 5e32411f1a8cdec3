"""Hours and days as whole numbers: the only arithmetic on time, the same on every engine."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

US_PER_SECOND: Final = 1_000_000
US_PER_SLOT: Final = 300 * US_PER_SECOND  # coverage is flagged per five minutes
US_PER_HOUR: Final = 3_600 * US_PER_SECOND
HOURS_PER_DAY: Final = 24
SLOTS_PER_HOUR: Final = 12

#: Input table that spells days. Engines disagree on how to write a date; they agree on a join.
CALENDAR: Final = {"day_number": "int64", "day": "string"}
_EPOCH: Final = date(1970, 1, 1)
_DAYS: Final = 73_414  # to the end of 2170
#: Where a clock was so wrong that its day has no name.
NO_DAY: Final = "9999-12-31"


def whole(value: Any, divisor: int) -> Any:
    """Whole part of ``value / divisor``; the remainder goes first, since engines divide as floating point."""
    return (value - value % divisor) // divisor


def with_day(rows: Any) -> Any:
    """Rows with the ``day`` of their ``hour``."""
    import ibis  # noqa: PLC0415 - who only runs what was compiled from this does not wait for it

    calendar = ibis.table(CALENDAR, name="calendar")
    numbered = rows.mutate(own_day_number=whole(rows.hour, HOURS_PER_DAY))
    joined = numbered.left_join(calendar, numbered.own_day_number == calendar.day_number)
    # Chosen, not dropped: Ibis writes what is dropped in the order of a set's hashes.
    return joined.select(*rows.columns, day=joined.day.fill_null(NO_DAY))


def moment(us: int) -> datetime:
    """Microseconds since the epoch as a time."""
    return datetime.fromtimestamp(us / US_PER_SECOND, tz=UTC)


def moment_if_any(us: int | None) -> datetime | None:
    """Time of the requests of an edge; None where only replies were recorded, which have none."""
    return None if us is None else moment(us)


def day_of(hour: int) -> str:
    """Day of an hour since the epoch as ``YYYY-MM-DD``."""
    return (_EPOCH + timedelta(days=hour // HOURS_PER_DAY)).isoformat()


@cache
def calendar_table() -> Any:
    """The calendar, for an engine to hold beside the batch."""
    numbers = np.arange(_DAYS, dtype=np.int64)
    # Spelt by Arrow: NumPy's texts are made one by one, and take ten times as long.
    days = pa.array(numbers.astype("datetime64[D]")).cast(pa.string())
    return pa.table({"day_number": pa.array(numbers), "day": days})
