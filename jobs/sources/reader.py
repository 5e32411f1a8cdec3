"""
Chunks of lines into the table ``decoded``, and what could not be used into rejects.

The fast reader takes every line it knows at DuckDB's own speed, in any order. Only where it met a
line it could not use does a second, narrow pass find out *which*, and only those lines go the
tolerant way: unwrapped, every spelling tried, refused with a reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from jobs.rejects import Reject
from jobs.sources import columns, envelopes
from jobs.sources.decode import UNUSABLE, decode
from jobs.sources.lines import Lines, as_texts
from jobs.sources.ranges import Block, Range, RangeFiles
from jobs.sources.splitter import Value

WRAPPED, BARE, OTHER = "wrapped", "bare", "other"
ODD_AT_ONCE: Final = 20_000  # lines unwrapped by one query: what they hold is copied a few times


@dataclass(frozen=True, slots=True)
class Part:
    """A range of lines of one file."""

    file: int  # number of the file in this run
    name: str
    range: Range
    lines_before: Callable[[], int]  # lines of the file before this range; asked only for a reject


class Reader:
    """Reads parts into ``decoded`` of a DuckDB connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._files = RangeFiles.attach(con)

    def read(self, parts: Sequence[Part], shape: str) -> list[Reject]:
        """Replace ``decoded`` by the records of these parts; return what was refused."""
        if shape == OTHER:
            self.clear()
            return [
                reject for part in parts for reject in self._tolerate(part, Lines.of(part.range.read()), None)
            ]
        source = self._scan([part.range for part in parts], shape)
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS {decode(source)}")
        dirty = self._con.execute(
            f"SELECT file, count(*) FROM decoded WHERE kind = {UNUSABLE} GROUP BY file ORDER BY file"
        ).fetchall()
        if not dirty:
            self._number_files(parts)
            return []
        self._con.execute(f"DELETE FROM decoded WHERE kind = {UNUSABLE}")
        rejects = []
        positions = self._unusable(source)
        self._number_files(parts)
        for place, _ in dirty:
            part = parts[place]
            lines = Lines.of(part.range.read())
            rejects += self._tolerate(part, lines, positions[place])
        return rejects

    def _scan(self, ranges: Sequence[Range], shape: str) -> str:
        """Query over the raw columns; ``file`` is the place of the range in the list."""
        names = self._files.publish(ranges)
        bare = shape == BARE
        first = int(names[0].rsplit("/", 1)[-1])
        file = "0" if len(names) == 1 else f"right(filename, 12)::INTEGER - {first}"
        options = "format='newline_delimited', ignore_errors=true, maximum_object_size=33554432"
        if len(names) > 1:
            options += ", filename=true"
        return (
            f"SELECT {file} AS file, {columns.fast_select(bare=bare)} FROM read_json({names!r},"
            f" columns={columns.read_columns(bare=bare)}, {options})"
        )

    def _number_files(self, parts: Sequence[Part]) -> None:
        """Put the run's file numbers where the places in the list were."""
        if len(parts) == 1 and parts[0].file == 0:
            return
        cases = " ".join(f"WHEN {place} THEN {part.file}" for place, part in enumerate(parts))
        self._con.execute(f"UPDATE decoded SET file = CASE file {cases} END")

    def _unusable(self, source: str) -> dict[int, Any]:
        """Places of the unusable lines among the lines of each range, which are read in order here."""
        self._con.execute("SET preserve_insertion_order = true")
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE usable AS SELECT file, kind != {UNUSABLE} AS usable FROM ({decode(source)})"
        )
        self._con.execute("SET preserve_insertion_order = false")
        found = self._con.execute("SELECT file, usable FROM usable ORDER BY rowid").fetchnumpy()
        self._con.execute("DROP TABLE usable")
        places = {}
        for file in np.unique(found["file"]):
            usable = found["usable"][found["file"] == file]
            places[int(file)] = (np.flatnonzero(~usable), len(usable))
        return places

    def _tolerate(self, part: Part, lines: Lines, found: tuple[Any, int] | None) -> list[Reject]:
        """Read lines the tolerant way; ``found`` says which of the file's lines, else all of them."""
        if found is not None and found[1] != len(lines):
            # The two ways of counting lines disagree: read the whole file again, the tolerant way.
            self._con.execute("DELETE FROM decoded WHERE file = ?", [part.file])
            found = None
        chosen = lines if found is None else lines.pick(found[0])
        rejects: list[Reject] = []
        before = part.lines_before()
        for start in range(0, len(chosen), ODD_AT_ONCE):
            some = chosen.pick(np.arange(start, min(start + ODD_AT_ONCE, len(chosen))))
            numbers = some.numbers + before
            rejects += self._read_texts(
                part.file, part.name, pa.array(numbers), some.texts(), [some.raw(i) for i in range(len(some))]
            )
        return rejects

    def clear(self) -> None:
        """Empty ``decoded``."""
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS {_empty()}")

    def read_values(self, file: int, name: str, values: Sequence[Value]) -> list[Reject]:
        """Replace ``decoded`` by the records of these pieces of a stream."""
        self.clear()
        rejects = [Reject(name, value.line, value.problem, value.raw) for value in values if value.problem]
        good = [value for value in values if not value.problem]
        if good:
            texts = as_texts([value.raw.replace(b"\n", b" ").replace(b"\r", b" ") for value in good])
            numbers = pa.array([value.line for value in good])
            rejects += self._read_texts(file, name, numbers, texts, [value.raw for value in good])
        return rejects

    def _read_texts(
        self, file: int, name: str, numbers: Any, texts: Any, raws: Sequence[bytes]
    ) -> list[Reject]:
        """Unwrap and decode these texts into ``decoded``, on top of what is there."""
        files = pa.array(np.full(len(texts), file, dtype=np.int32))
        con = self._con
        envelopes.unwrap(con, pa.table({"file": files, "line": numbers, "doc": texts}))
        raw = f"SELECT file, line, doc, {columns.tolerant_select('v')} FROM (SELECT *, json_extract_string(doc, {columns.tolerant_paths()}) AS v FROM docs)"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE late AS {decode(raw, carry='file, line, doc', strict=False)}"
        )
        con.execute(f"INSERT INTO decoded SELECT * EXCLUDE (line, doc) FROM late WHERE kind != {UNUSABLE}")
        refused = con.execute(
            f"SELECT line, reason, doc FROM late WHERE kind = {UNUSABLE} UNION ALL SELECT line, reason, doc FROM refused ORDER BY ALL"
        ).fetchall()
        by_line = {int(number.as_py()): index for index, number in enumerate(numbers)} if refused else {}
        return [
            Reject(name, line, reason, raws[by_line[line]] if doc is None else doc.encode())
            for line, reason, doc in refused
        ]


def _empty() -> str:
    names = ", ".join(
        f'NULL::{"BOOLEAN" if field.kind == "PRESENT" else field.kind} AS "{field.name}"'
        for field in columns.FIELDS
    )
    return f"SELECT * FROM ({decode(f'SELECT 0 AS file, {names}, false AS foreign_keys')}) WHERE false"


def read_block(reader: Reader, data: bytes, shape: str = WRAPPED) -> list[Reject]:
    """Read a block of memory as one file."""
    return reader.read([Part(0, "-", Block(data), lambda: 0)], shape)
