"""
One observation table in Delta Lake: created, read, appended to, replaced by day.

Only this module talks to the ``deltalake`` package. Its errors, and those of the disk, leave it as
a PortolanError that names the path.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from jobs.observations.schema import BY_NAME, VERSION, arrow_schema
from models.errors import PortolanError, UnsupportedError

#: Application id of our transactions: its version is the number of the last batch in the table.
APP_ID: Final = "portolan"
#: Opening a table replays the log from the last checkpoint; ten small files cost less than one more.
_CHECKPOINT_EVERY: Final = "20"
_DESCRIPTION: Final = f"Portolan observations, layout {VERSION}"
#: Rows that one thread of a reader takes: a day of a large cluster is to be read by several.
_ROW_GROUP: Final = 131_072
#: Hardly any value of these comes twice: a dictionary doubles the work of writing, and bounds say nothing.
_DISTINCT: Final = frozenset({"fingerprint", "content", "sample"})


def _writing(schema: pa.Schema, compression: str, level: int | None = None) -> WriterProperties:
    plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    return WriterProperties(
        compression=compression,  # type: ignore[arg-type]
        compression_level=level,
        max_row_group_size=_ROW_GROUP,
        column_properties={name: plain for name in schema.names if name in _DISTINCT} or None,
    )


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn what the disk or the library says into an error that names the path."""
    try:
        yield
    except PortolanError:
        raise
    except OSError as error:
        raise PortolanError(f"cannot use {error.filename or path}: {error.strerror or error}") from error
    except DeltaError as error:
        raise PortolanError(f"cannot use the table at {path}: {error}") from error


class Table:
    """One table at ``uri``; holds no state, so that every call sees the newest version."""

    def __init__(self, name: str, uri: str, storage_options: dict[str, str] | None = None) -> None:
        self.name = name
        self.uri = uri
        self.schema = arrow_schema(name)
        self._options = storage_options
        self._quick = _writing(self.schema, "SNAPPY")
        #: Compacted days are read every night and written once.
        self._dense = _writing(self.schema, "ZSTD", 3)

    def _open(self) -> DeltaTable | None:
        with naming(self.uri):
            try:
                table = DeltaTable(self.uri, storage_options=self._options)
            except TableNotFoundError:
                return None
            self._check(table)
            return table

    def _check(self, table: DeltaTable) -> None:
        """Refuse a table of another layout: reading it would silently mix two meanings."""
        found = {field.name for field in table.schema().fields}
        wanted = set(BY_NAME[self.name].columns)
        description = table.metadata().description or "no description"
        if found == wanted and description == _DESCRIPTION:
            return
        different = ", ".join(sorted(found ^ wanted)) or "none"
        raise UnsupportedError(
            f"the table at {self.uri} has another layout ({description}; differing columns: {different}), "
            f"this version reads layout {VERSION}: point --data-dir at a new folder and ingest again, "
            "or use the version of Portolan that wrote it"
        )

    def create(self) -> None:
        """Make the empty table unless it exists."""
        if self._open() is not None:
            return
        with naming(self.uri):
            DeltaTable.create(
                self.uri,
                self.schema,
                mode="ignore",
                partition_by=["day"],
                name=self.name,
                description=_DESCRIPTION,
                configuration={"delta.checkpointInterval": _CHECKPOINT_EVERY},
                storage_options=self._options,
            )

    def last_batch(self) -> int:
        """Number of the newest batch in the table, 0 before the first."""
        table = self._open()
        if table is None:
            return 0
        return table.transaction_version(APP_ID) or 0

    def append(self, rows: Any, batch: int) -> bool:
        """Add a batch's rows in one commit with its number; False when the table has that batch already."""
        if batch <= self.last_batch():
            return False
        with naming(self.uri):
            write_deltalake(
                self.uri,
                rows,
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction(APP_ID, batch)]),
                writer_properties=self._quick,
                storage_options=self._options,
            )
        return True

    def files_by_day(self) -> dict[str, tuple[str, ...]]:
        """Names of the files per day, both in order; a file never changes: its name stands for its rows."""
        table = self._open()
        found: dict[str, list[str]] = {}
        if table is not None:
            with naming(self.uri):
                actions = pa.table(table.get_add_actions(flatten=True))
                columns = (actions[name].to_pylist() for name in ("partition.day", "path"))
                for day, path in zip(*columns, strict=True):
                    found.setdefault(day, []).append(path)
        return {day: tuple(sorted(paths)) for day, paths in sorted(found.items())}

    def dataset(self, first_day: str | None = None, last_day: str | None = None) -> Any:
        """Arrow dataset of the days asked for (both included); an empty one when there is no table yet."""
        table = self._open()
        if table is None:
            return pads.dataset(self.schema.empty_table())
        bounds = [("day", ">=", first_day)] if first_day else []
        bounds += [("day", "<=", last_day)] if last_day else []
        with naming(self.uri):
            return table.to_pyarrow_dataset(file_pruning_predicate=bounds or None, schema=self.schema)

    def local(self, names: Iterable[str]) -> list[str]:
        """Paths of files, for an engine that reads them itself; none where they are not on this machine."""
        return [] if "://" in self.uri else [f"{self.uri}/{name}" for name in names]

    def replace_day(self, day: str, rows: Any) -> None:
        """Put ``rows`` in the place of all rows of a day, in one commit; batch numbers stay as they are."""
        with naming(self.uri):
            write_deltalake(
                self.uri,
                rows,
                mode="overwrite",
                predicate=f"day = '{day}'",
                writer_properties=self._dense,
                storage_options=self._options,
            )

    def drop_before(self, day: str) -> list[str]:
        """Remove all days before ``day``; says which."""
        days = [found for found in self.files_by_day() if found < day]
        table = self._open()
        if days and table is not None:
            with naming(self.uri):
                table.delete(f"day < '{day}'")
        return days

    def vacuum(self, retention_hours: int) -> int:
        """Delete files that no version of the last ``retention_hours`` uses; says how many."""
        table = self._open()
        if table is None:
            return 0
        with naming(self.uri):
            gone = table.vacuum(
                retention_hours=retention_hours, dry_run=False, enforce_retention_duration=False, full=True
            )
            table.cleanup_metadata()
        return len(gone)
