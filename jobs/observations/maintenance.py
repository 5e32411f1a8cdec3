"""
Nightly upkeep: merge partial rows, drop what is too old, delete files that nobody reads any more.

Compaction changes no result, since every reader merges rows by key anyway; it only makes reading
cheap. A day is replaced in one commit, so a reader sees it before or after, and the files it was
reading stay until ``vacuum`` removes them hours later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

import duckdb

from jobs.observations.compiled import merge_statements
from jobs.observations.schema import BATCHES, BY_NAME, LEDGER, TABLES
from jobs.observations.store import ObservationStore, Writer

#: Nine weeks: a monthly job gets two chances to be seen, and rhythms their 63 days.
KEEP_DAYS: Final = 63
#: Fingerprints only matter while the same records can still arrive again.
KEEP_LEDGER_DAYS: Final = 16
#: Hashes of consumed content: kept longer than any rotation keeps its files.
KEEP_BATCHES_DAYS: Final = 400
KEEP: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(BY_NAME, KEEP_DAYS) | {LEDGER.name: KEEP_LEDGER_DAYS, BATCHES.name: KEEP_BATCHES_DAYS}
)
#: A reader that began before a compaction is done by then.
VACUUM_AFTER_HOURS: Final = 24


@dataclass(frozen=True)
class Compacted:
    """One day of one table, its partial rows merged."""

    table: str
    day: str
    files: int
    rows_before: int
    rows_after: int


@dataclass(frozen=True)
class Dropped:
    """Days of one table that were older than it keeps."""

    table: str
    days: tuple[str, ...]


@dataclass(frozen=True)
class Vacuumed:
    """Files of one table that nothing referred to any more."""

    table: str
    files: int


def compact(writer: Writer, *, minimum_files: int = 2) -> list[Compacted]:
    """Merge the rows of every day that is spread over at least ``minimum_files`` files."""
    done = []
    for table in TABLES:
        stored = writer.store.table(table.name)
        for day, files in stored.files_by_day().items():
            if len(files) < minimum_files:
                continue
            with duckdb.connect(config={"threads": 2}) as con:
                con.register("rows", stored.dataset(day, day))
                before = con.sql("SELECT count(*) FROM rows").fetchall()[0][0]
                merged = con.sql(merge_statements()[table.name]).to_arrow_table()
            stored.replace_day(day, merged.cast(stored.schema))
            done.append(Compacted(table.name, day, len(files), before, merged.num_rows))
    return done


def retain(writer: Writer, today: date, keep_days: Mapping[str, int] = KEEP) -> list[Dropped]:
    """Drop the days that are older than each table keeps."""
    dropped = []
    for name, days in sorted(keep_days.items()):
        gone = writer.store.table(name).drop_before((today - timedelta(days=days)).isoformat())
        if gone:
            dropped.append(Dropped(name, tuple(gone)))
    return dropped


def vacuum(writer: Writer, *, after_hours: int = VACUUM_AFTER_HOURS) -> list[Vacuumed]:
    """Delete unreferenced files that no reader can still be using."""
    store: ObservationStore = writer.store
    counts = [Vacuumed(table.name, store.table(table.name).vacuum(after_hours)) for table in TABLES]
    return [count for count in counts if count.files]
