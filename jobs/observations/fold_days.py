"""
The days of a fold, two at a time: each read from the store, or taken as an earlier fold kept it.

A day is *seen* (its own rows, counted) and, once the window has said what became of links and peers,
*settled*. Both are kept of every day that lies in the window as a whole. What is seen follows from the day's
files and, for names, from the lookups of the day before. What is settled follows from those and from the
exceptions that the window makes of the day's links and peers. A day that the window cuts, the first and the
last of most nights, is folded anew.

A day is too few rows for the engine to share between its threads, so each has a session of its own and two
days are worked on side by side (docs/decisions/0058).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import duckdb

from jobs.observations.clock import HOURS_PER_DAY, day_of
from jobs.observations.compiled import FILE, fold_columns, fold_statements
from jobs.observations.delta import Table
from jobs.observations.fold_keys import DAILY, DAYS, SEEN, SETTLED, UNITED, WORDS
from jobs.observations.kept_days import KeptDays, digest
from jobs.observations.store import ObservationStore

_EPOCH: Final = date(1970, 1, 1)
#: Raised when what this module does with a day changes; the statements speak for themselves.
_LAYOUT: Final = 1


_HIVE: Final = ", hive_partitioning = true, hive_types = {'day': VARCHAR}"
#: Rows of what is being worked out.
_MADE: Final = "made"
#: Days at a time; each holds its own rows in the engine's memory.
AT_ONCE: Final = 2

FilesByDay = Mapping[str, Sequence[str]]


def shifted(day: str, days: int) -> str:
    """A day before or after."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def read(
    con: duckdb.DuckDBPyConnection, table: Table, first: str, last: str, files: FilesByDay | None = None
) -> None:
    """Let the engine's view of a table be these days of it; ``files`` are those of a moment before."""
    listed = table.files_by_day() if files is None else files
    paths = table.local(name for day, names in listed.items() if first <= day <= last for name in names)
    con.execute(f'DROP VIEW IF EXISTS "{table.name}"')
    if paths:
        con.execute(f'CREATE TEMP VIEW "{table.name}" AS SELECT * FROM {_parquet(paths, _HIVE)}')
    else:
        con.register(table.name, table.dataset(first, last))


def _parquet(paths: Iterable[Path | str], options: str = "") -> str:
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}]{options})"


@dataclass(slots=True)
class _Day:
    """
    A day, and a session in which its tables and views are nobody else's.

    ``counted``: the session holds what the day's stages are made of.
    """

    name: str
    con: duckdb.DuckDBPyConnection
    counted: bool = False


class Days:
    """
    The days with edges in ``hours`` (since the epoch).

    The database of ``con`` has the tables ``span`` and ``steps``, and from ``settle`` on ``peer_changes`` and
    ``link_changes``. After ``see`` it has the stages of ``SEEN``, after ``settle`` those of ``SETTLED``, each
    as one view of the rows of all days.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, store: ObservationStore, cluster: str, hours: range
    ) -> None:
        self._con = con
        self._hours = hours
        self._tables = {name: store.table(name) for name in ("edges", "lookups")}
        self._files = {name: table.files_by_day() for name, table in self._tables.items()}
        first, last = day_of(hours.start), day_of(hours.stop - 1)
        names = [day for day in self._files["edges"] if first <= day <= last] or [first]
        self._days = [_Day(name, con.cursor()) for name in names]
        self._kept = KeptDays(store.data_dir, cluster)
        self._made_by = digest(FILE.read_bytes(), str(_LAYOUT), version("portolan"), duckdb.__version__)
        for stage in (*SEEN, *SETTLED):
            con.execute(f'CREATE TABLE "{_loose(stage)}" ({fold_columns()[stage]})')

    def see(self) -> None:
        """Count what each day holds."""
        self._show(SEEN, self._see)

    def settle(self, exceptions: Iterable[Sequence[Any]]) -> None:
        """Fold each day into edges; ``exceptions`` are rows that begin with the day on which they apply."""
        said: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in exceptions:
            said[row[0]].append(row)
        self._show(SETTLED, lambda day: self._settle(day, json.dumps(said[day.name])))

    def _see(self, day: _Day) -> list[Path | None]:
        key = self._key(day.name)
        found = self._find(SEEN, day, key)
        if found is None:
            self._count(day)
            found = self._make(SEEN, day, key)
        return found

    def _settle(self, day: _Day, said: str) -> list[Path | None]:
        key = self._key(day.name, said)
        found = self._find(SETTLED, day, key)
        if found is None:
            if not day.counted:
                self._count(day)
            for stage in (UNITED, DAYS):
                _fill(day, stage, stage)
            found = self._make(SETTLED, day, key)
        day.con.close()
        return found

    def _key(self, day: str, *said: str) -> str:
        """What the rows of a day follow from; "" for a day that the window cuts, or that has none."""
        begin = (date.fromisoformat(day) - _EPOCH).days * HOURS_PER_DAY
        edges, lookups = self._files["edges"], self._files["lookups"]
        cut = begin < self._hours.start or begin + HOURS_PER_DAY > self._hours.stop
        if cut or day not in edges:
            return ""
        files = [edges.get(day), lookups.get(shifted(day, -1)), lookups.get(day)]
        return digest(self._made_by, json.dumps(files), *said)

    def _find(self, stages: Iterable[str], day: _Day, key: str) -> list[Path | None] | None:
        """What was kept of a day, if that is all of it."""
        if not key:
            return None
        found = [self._kept.find(stage, day.name, key) for stage in stages]
        return None if None in found else found

    def _count(self, day: _Day) -> None:
        """Read a day of the store and hold what its stages are made of."""
        read(day.con, self._tables["edges"], day.name, day.name, self._files["edges"])
        before = shifted(day.name, -1)
        read(day.con, self._tables["lookups"], before, day.name, self._files["lookups"])
        for stage in (DAILY, WORDS):
            _fill(day, stage, stage)
        day.counted = True

    def _make(self, stages: Iterable[str], day: _Day, key: str) -> list[Path | None]:
        """Work out what a day yields, and keep it unless the window cuts the day; None: loose rows."""
        paths = []
        for stage in stages:
            _fill(day, stage, _MADE)
            path = self._kept.keep(stage, day.name, key, day.con, _MADE) if key else None
            if path is None:
                day.con.execute(f'INSERT INTO "{_loose(stage)}" SELECT * FROM "{_MADE}"')
            paths.append(path)
        return paths

    def _show(self, stages: Sequence[str], work: Callable[[_Day], list[Path | None]]) -> None:
        """Do this for each day, and let each stage be one view of all days."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fold") as pool:
            made = list(pool.map(work, self._days))
        for stage, paths in zip(stages, zip(*made, strict=True), strict=True):
            parts = [f'SELECT * FROM "{_loose(stage)}"']
            if files := [path for path in paths if path is not None]:
                parts.append(f"SELECT * FROM {_parquet(files)}")
            self._con.execute(f'CREATE TEMP VIEW "{stage}" AS {" UNION ALL ".join(parts)}')


def _fill(day: _Day, stage: str, table: str) -> None:
    # Declared: the engine's sums are wider than 64 bits.
    day.con.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" ({fold_columns()[stage]})')
    day.con.execute(f'INSERT INTO "{table}" {fold_statements()[stage]}')


def _loose(stage: str) -> str:
    """Table of the rows of a stage that no file holds."""
    return f"{stage} loose"
