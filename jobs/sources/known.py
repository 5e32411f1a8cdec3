"""
Fingerprints of what was counted before, of the hours that are being read.

They come from the ledger the first time an hour is met; from then on, this run being the only writer,
what it adds is all that is new. Hours are forgotten, the one used longest ago first, when they grow
too many for the memory.
"""

from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from jobs.observations.clock import day_of

#: Records whose fingerprints are remembered, of all hours together: 17 bytes each, and as much to sort them.
MAX_REMEMBERED: Final = 3_000_000
_COLUMNS: Final = ("fingerprint", "content", "has_uuid")


class Ledger(Protocol):
    """The part of the observation store that is needed here."""

    def dataset(self, name: str, first_day: str | None = ..., last_day: str | None = ...) -> Any:
        """Arrow dataset of a table's rows on these days."""


class _Hour:
    """What is known of one hour: fingerprints in order, contents as they came."""

    def __init__(self, rows: Any) -> None:
        self._chunks = [rows]
        self.size = len(rows)
        self.fingerprints = np.sort(rows["fingerprint"].to_numpy())
        self.every_has_uuid = bool(np.all(rows["has_uuid"].to_numpy()))

    def add(self, rows: Any) -> None:
        """Add records."""
        self._chunks.append(rows)
        self.size += len(rows)
        new = np.sort(rows["fingerprint"].to_numpy())
        merged = np.concatenate((self.fingerprints, new))
        merged.sort(kind="stable")  # two runs that are in order: merged, not sorted
        self.fingerprints = merged
        self.every_has_uuid &= bool(np.all(rows["has_uuid"].to_numpy()))

    def has_any(self, fingerprints: Any) -> bool:
        """Whether one of these (in order) is known."""
        if not len(self.fingerprints):
            return False
        at = np.searchsorted(self.fingerprints, fingerprints)
        return bool((self.fingerprints[np.minimum(at, len(self.fingerprints) - 1)] == fingerprints).any())

    def rows(self) -> Any:
        """Fingerprint, content and has_uuid of all records."""
        self._chunks = [pa.concat_tables(self._chunks)]
        return self._chunks[0]


class Known:
    """Fingerprints by hour."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._hours: dict[int, _Hour] = {}  # in the order of their last use
        self._unsaved: dict[int, list[Any]] = {}  # of the open batch, by hour
        self._saving: dict[int, list[Any]] = {}  # of the batch that is being written

    def among(self, prints: Any) -> Any:
        """
        Give what is known of the hours of these records, as Arrow, or ``None`` if nothing can be repeated.

        ``prints`` has the columns hour, fingerprint, content and has_uuid.
        """
        fingerprints = np.sort(prints["fingerprint"].to_numpy())
        hours = [self._hour(hour) for hour in _distinct(prints["hour"].to_numpy())]
        plain = all(hour.every_has_uuid for hour in hours) and bool(np.all(prints["has_uuid"].to_numpy()))
        again = bool((fingerprints[1:] == fingerprints[:-1]).any())
        if plain and not again and not any(hour.has_any(fingerprints) for hour in hours):
            return None
        if not hours:
            return None
        rows = pa.concat_tables([hour.rows() for hour in hours])
        found = pc.or_(
            pc.is_in(rows["fingerprint"], pa.array(fingerprints)),
            pc.is_in(rows["content"], pa.array(prints["content"].to_numpy())),
        )
        return rows.filter(found)

    def add(self, prints: Any) -> None:
        """Remember records that are kept."""
        hours = prints["hour"].to_numpy()
        narrow = prints.select(_COLUMNS)
        for hour in _distinct(hours):
            rows = (
                narrow
                if hours[0] == hour and (hours == hour).all()
                else narrow.filter(pa.array(hours == hour))
            )
            self._unsaved.setdefault(hour, []).append(rows)
            self._hours[hour].add(rows)
        while len(self._hours) > 1 and sum(hour.size for hour in self._hours.values()) > MAX_REMEMBERED:
            del self._hours[next(iter(self._hours))]

    def next_batch(self) -> None:
        """Note that what was added is on its way into the ledger."""
        self._saving, self._unsaved = self._unsaved, {}

    def saved(self) -> None:
        """Note that it got there."""
        self._saving = {}

    def _hour(self, number: int) -> _Hour:
        hour = self._hours.pop(number, None)
        if hour is None:
            day = day_of(number)
            rows = self._ledger.dataset("ledger", day, day).to_table(
                columns=list(_COLUMNS), filter=pads.field("hour") == number
            )
            waiting = [*self._saving.get(number, []), *self._unsaved.get(number, [])]
            hour = _Hour(pa.concat_tables([rows, *waiting]))
        self._hours[number] = hour
        return hour


def _distinct(hours: Any) -> list[int]:
    return [int(hour) for hour in np.unique(hours)]
