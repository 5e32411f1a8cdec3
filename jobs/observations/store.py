"""
The observation store: Delta tables under ``<data-dir>/observations``, one writer, any number of readers.

Readers take no lock: every Delta commit is a version of its own. A writer holds a file lock, which
the kernel releases when the process dies, and first finishes what a killed writer had begun.
"""

import fcntl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from jobs.observations.delta import Table, naming
from jobs.observations.schema import TABLES, arrow_schema
from jobs.observations.staging import StagedBatch, Staging
from models.errors import BadInputError, ConflictError

_LOCK: Final = "observations.lock"
_APPENDED_TOGETHER: Final = 2


@dataclass(frozen=True)
class Recovered:
    """What opening for writing found of a killed predecessor."""

    finished: int = 0  # batches that were complete and are in the tables now
    discarded: int = 0  # batches that were half written and left no trace


class ObservationStore:
    """Tables of one data directory, for reading; ``writing`` gives the one writer."""

    def __init__(
        self, data_dir: Path, uri: str | None = None, storage_options: dict[str, str] | None = None
    ) -> None:
        """``uri`` puts the tables elsewhere (object storage); staging and lock stay in ``data_dir``."""
        self.data_dir = data_dir
        self.rejects = data_dir / "rejects"
        base = uri.rstrip("/") if uri else str(data_dir / "observations")
        self._tables = {
            table.name: Table(table.name, f"{base}/{table.name}", storage_options) for table in TABLES
        }

    def table(self, name: str) -> Table:
        """One table by name."""
        return self._tables[name]

    def dataset(self, name: str, first_day: str | None = None, last_day: str | None = None) -> Any:
        """Arrow dataset of a table's partial rows on these days; merge them by key before use."""
        return self._tables[name].dataset(first_day, last_day)

    def last_batch(self) -> int:
        """Number of the newest batch in any table."""
        return max(table.last_batch() for table in self._tables.values())

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Hold the only right to write; raises ConflictError while another process has it."""
        path = self.data_dir / _LOCK
        with naming(str(path)):
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = path.open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(
                    f"another process is writing to {self.data_dir}: wait until it is done"
                ) from None
            for table in self._tables.values():
                table.create()
            writer = Writer(self)
            writer.recovered = writer.recover()
            yield writer


class Writer:
    """The one process that may write. Made by ``ObservationStore.writing`` only."""

    def __init__(self, store: ObservationStore) -> None:
        self.store = store
        self.recovered = Recovered()
        self._staging = Staging(store.data_dir / "staging")

    def next_batch(self) -> int:
        """Number for the next batch: larger than any before."""
        return self.store.last_batch() + 1

    def commit(
        self, batch: int, tables: Mapping[str, Any], extra_files: Mapping[str, bytes] | None = None
    ) -> None:
        """
        Add a batch to all its tables, or to none.

        ``tables`` are Arrow tables by name; ``extra_files`` go to ``<data-dir>/rejects`` with them. A
        batch number at or below ``last_batch`` is refused: the cursor it stands for is in the store.
        """
        self.finish(self.stage(batch, tables, extra_files))

    def stage(
        self, batch: int, tables: Mapping[str, Any], extra_files: Mapping[str, bytes] | None = None
    ) -> StagedBatch:
        """Do the first half of ``commit``: the batch is durable, and its tables are not needed any more."""
        self.recover()
        if batch <= self.store.last_batch():
            raise BadInputError(f"batch {batch} is in the store already")
        unknown = sorted(set(tables) - {table.name for table in TABLES})
        if unknown:
            raise BadInputError(f"no such observation table: {', '.join(unknown)}")
        rows = {
            table.name: _conform(table.name, tables[table.name])
            for table in TABLES
            if table.name in tables and tables[table.name].num_rows
        }
        return self._staging.stage(batch, rows, extra_files or {})

    def recover(self) -> Recovered:
        """Finish complete batches of a killed process and delete its incomplete ones."""
        pending = self._staging.pending()
        for batch in pending:
            self.finish(batch)
        return Recovered(finished=len(pending), discarded=self._staging.discard_unfinished())

    def finish(self, batch: StagedBatch) -> None:
        """Do the second half of ``commit``: append a staged batch to all its tables, two at a time."""
        with naming(str(batch.folder)):
            # Each append leaves a core idle: it encodes one day's file, and waits for the disk.
            with ThreadPoolExecutor(_APPENDED_TOGETHER, thread_name_prefix="append") as pool:
                list(pool.map(lambda name: self._append(batch, name), batch.tables()))
            batch.move_files(self.store.rejects)
            batch.remove()

    def _append(self, batch: StagedBatch, name: str) -> None:
        with batch.rows(name) as rows:
            self.store.table(name).append(rows, batch.number)


def _conform(name: str, rows: Any) -> Any:
    """Rows with exactly the columns and types of their table."""
    schema = arrow_schema(name)
    if set(rows.schema.names) != set(schema.names):
        different = ", ".join(sorted(set(rows.schema.names) ^ set(schema.names)))
        raise BadInputError(f"rows for {name} have other columns than the table: {different}")
    try:
        return rows.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise BadInputError(f"rows for {name} do not fit the table: {error}") from error
