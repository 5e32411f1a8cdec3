"""
The days of a fold, one after the other: each read from the store, or taken as an earlier fold kept it.

A day is *seen* (its own rows, counted) and, once the window has said what became of links and peers,
*settled*. Both are kept of every day that lies in the window as a whole. What is seen follows from the day's
files and, for names, from the lookups of the day before. What is settled follows from those and from the
exceptions that the window makes of the day's links and peers. A day that the window cuts, the first and the
last of most nights, is folded anew.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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


class Days:
    """
    The days with edges in ``hours`` (since the epoch).

    ``con`` has the tables ``span`` and ``steps``. After ``see`` it has the stages of ``SEEN``, after
    ``settle`` those of ``SETTLED``, each as one view of the rows of all days; and ``edges`` and ``lookups``
    are then views of whichever day was read last.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, store: ObservationStore, cluster: str, hours: range
    ) -> None:
        self._con = con
        self._hours = hours
        self._tables = {name: store.table(name) for name in ("edges", "lookups")}
        self._files = {name: table.files_by_day() for name, table in self._tables.items()}
        first, last = day_of(hours.start), day_of(hours.stop - 1)
        self._names = [day for day in self._files["edges"] if first <= day <= last] or [first]
        self._kept = KeptDays(store.data_dir, cluster)
        self._made_by = digest(FILE.read_bytes(), str(_LAYOUT), version("portolan"), duckdb.__version__)
        self._paths: dict[str, list[Path]] = defaultdict(list)
        self._counted: set[str] = set()
        for stage in (*SEEN, *SETTLED):
            self._create(_loose(stage), stage)

    def see(self) -> None:
        """Count what each day holds."""
        for day in self._names:
            key = self._key(day)
            if not self._take(SEEN, day, key):
                self._count(day)
                self._make(SEEN, day, key)
        self._show(SEEN)

    def settle(self, exceptions: Iterable[Sequence[Any]]) -> None:
        """Fold each day into edges; ``exceptions`` are rows that begin with the day on which they apply."""
        said: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in exceptions:
            said[row[0]].append(row)
        for day in self._names:
            key = self._key(day, json.dumps(said[day]))
            if not self._take(SETTLED, day, key):
                if day not in self._counted:
                    self._count(day)
                self._look_at(day)
                for stage in (UNITED, DAYS):
                    self._fill(stage, stage)
                self._make(SETTLED, day, key)
            self._forget(day)
        self._show(SETTLED)

    def _key(self, day: str, *said: str) -> str:
        """What the rows of a day follow from; "" for a day that the window cuts, or that has none."""
        begin = (date.fromisoformat(day) - _EPOCH).days * HOURS_PER_DAY
        edges, lookups = self._files["edges"], self._files["lookups"]
        cut = begin < self._hours.start or begin + HOURS_PER_DAY > self._hours.stop
        if cut or day not in edges:
            return ""
        files = [edges.get(day), lookups.get(shifted(day, -1)), lookups.get(day)]
        return digest(self._made_by, json.dumps(files), *said)

    def _take(self, stages: Iterable[str], day: str, key: str) -> bool:
        """Take what was kept of a day, if that is all of it."""
        found = {stage: self._kept.find(stage, day, key) for stage in stages} if key else {}
        paths = {stage: path for stage, path in found.items() if path is not None}
        if not paths or len(paths) < len(found):
            return False
        for stage, path in paths.items():
            self._paths[stage].append(path)
        return True

    def _count(self, day: str) -> None:
        """Read a day of the store and hold what its stages are made of."""
        read(self._con, self._tables["edges"], day, day, self._files["edges"])
        read(self._con, self._tables["lookups"], shifted(day, -1), day, self._files["lookups"])
        for stage in (DAILY, WORDS):
            self._fill(stage, _of(stage, day))
        self._counted.add(day)
        self._look_at(day)

    def _look_at(self, day: str) -> None:
        for stage in (DAILY, WORDS):
            self._con.execute(f'CREATE OR REPLACE TEMP VIEW "{stage}" AS SELECT * FROM "{_of(stage, day)}"')

    def _make(self, stages: Iterable[str], day: str, key: str) -> None:
        """Work out what a day yields, and keep it unless the window cuts the day."""
        for stage in stages:
            self._fill(stage, _MADE)
            path = self._kept.keep(stage, day, key, self._con, _MADE) if key else None
            if path is not None:
                self._paths[stage].append(path)
            else:
                self._con.execute(f'INSERT INTO "{_loose(stage)}" SELECT * FROM "{_MADE}"')

    def _fill(self, stage: str, table: str) -> None:
        self._create(table, stage)
        self._con.execute(f'INSERT INTO "{table}" {fold_statements()[stage]}')

    def _create(self, table: str, stage: str) -> None:
        # Declared: the engine's sums are wider than 64 bits.
        self._con.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" ({fold_columns()[stage]})')

    def _forget(self, day: str) -> None:
        if day in self._counted:
            for stage in (DAILY, WORDS):
                self._con.execute(f'DROP TABLE "{_of(stage, day)}"')

    def _show(self, stages: Iterable[str]) -> None:
        """Let each stage be one view of all days."""
        for stage in stages:
            parts = [f'SELECT * FROM "{_loose(stage)}"']
            if self._paths[stage]:
                parts.append(f"SELECT * FROM {_parquet(self._paths[stage])}")
            self._con.execute(f'CREATE TEMP VIEW "{stage}" AS {" UNION ALL ".join(parts)}')


def _of(stage: str, day: str) -> str:
    return f"{stage} {day}"


def _loose(stage: str) -> str:
    """Table of the rows of a stage that no file holds."""
    return f"{stage} loose"
