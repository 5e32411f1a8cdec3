"""
Parts of files into the table ``decoded``, and what could not be used into rejects.

The fast reader takes every line it knows at DuckDB's own speed, in any order. Only where it met a
line it could not use does a second, narrow pass find out *which*, and only those lines go the
tolerant way: unwrapped, every spelling tried, refused with a reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from jobs.rejects import Reject
from jobs.sources import columns, envelopes
from jobs.sources.answers import MAX_WHOLE, break_up
from jobs.sources.decode import UNUSABLE, decode
from jobs.sources.lines import as_texts, blocks_of_lines
from jobs.sources.ranges import Range, RangeFiles
from jobs.sources.splitter import Value
from jobs.sources.texts import MAX_TEXTS, Texts

WRAPPED, BARE, OTHER = "wrapped", "bare", "other"
ODD_AT_ONCE: Final = 20_000  # lines unwrapped by one query: what they hold is copied a few times
#: DuckDB reads twice this at a time, and more for a longer line. Larger reads take fresh pages every time.
USUAL_LINE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of one file."""

    file: int  # number of the file in this run
    name: str
    range: Range
    lines_before: Callable[[], int]  # lines of the file before this range; asked only for a reject


@dataclass(frozen=True, slots=True)
class Values:
    """Pieces of a stream that is not one value per line."""

    file: int
    name: str
    values: Sequence[Value]


class Reader:
    """
    Reads parts into ``decoded`` of a DuckDB connection, on top of what is there.

    Every part gets a number, larger than any before, that its rows carry; ``files`` says which file a
    part belongs to.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._files = RangeFiles.attach(con)
        self._texts = Texts(con)
        self.files: dict[int, int] = {}
        self.next_part = 0
        self.clear()

    def clear(self) -> None:
        """Empty ``decoded``: a batch begins."""
        if self._texts.count > MAX_TEXTS:
            self._texts.forget()
        self.files = {}
        names = ", ".join(
            f'NULL::{"BOOLEAN" if field.kind == "PRESENT" else field.kind} AS "{field.name}"'
            for field in columns.FIELDS
        )
        nothing = decode(f"SELECT 0 AS part, {names}, false AS foreign_keys")
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS SELECT * FROM ({nothing}) WHERE false")

    def read(self, parts: Sequence[Part], shape: str) -> list[tuple[int, Reject]]:
        """Add the records of these parts; return what was refused, with the number of its part."""
        first = self.next_part
        numbered = dict(enumerate(parts, first))
        self._admit({number: part.file for number, part in numbered.items()})
        if shape == OTHER:
            rejects = [
                reject for number, part in numbered.items() for reject in self._tolerate(number, part, None)
            ]
        else:
            rejects = self._read_known(numbered, shape)
        self._texts.learn(first)
        return rejects

    def read_values(self, pieces: Sequence[Values]) -> list[tuple[int, Reject]]:
        """Add the records of these pieces of streams."""
        first = self.next_part
        numbered = dict(enumerate(pieces, first))
        self._admit({number: piece.file for number, piece in numbered.items()})
        names = {number: piece.name for number, piece in numbered.items()}
        rejects, good = [], []
        for number, piece in numbered.items():
            for value in piece.values:
                if value.problem:
                    rejects.append((number, Reject(piece.name, value.line, value.problem, value.raw)))
                else:
                    good.append((number, value.line, value.raw))
        for start in range(0, len(good), ODD_AT_ONCE):
            some = good[start : start + ODD_AT_ONCE]
            texts = as_texts([raw.replace(b"\n", b" ").replace(b"\r", b" ") for _, _, raw in some])
            rejects += self._read_texts(names, some, texts)
        self._texts.learn(first)
        return rejects

    def _admit(self, files: dict[int, int]) -> None:
        self.files |= files
        self.next_part += len(files)

    def _read_known(self, parts: dict[int, Part], shape: str) -> list[tuple[int, Reject]]:
        """Read lines of a known shape fast, and those among them that are not, tolerantly."""
        source = self._scan(parts, shape)
        first = min(parts)
        self._con.execute(f"INSERT INTO decoded {decode(source)}")
        dirty = self._con.execute(
            f"SELECT DISTINCT part FROM decoded WHERE part >= {first} AND kind = {UNUSABLE} ORDER BY part"
        ).fetchall()
        if not dirty:
            return []
        self._con.execute(f"DELETE FROM decoded WHERE part >= {first} AND kind = {UNUSABLE}")
        places = self._unusable(source)
        return [
            reject for (number,) in dirty for reject in self._tolerate(number, parts[number], places[number])
        ]

    def _scan(self, parts: dict[int, Part], shape: str) -> str:
        """Query over the raw columns of these parts."""
        names = self._files.publish({number: part.range for number, part in parts.items()})
        part = f"{min(parts)}" if len(parts) == 1 else "right(filename, 12)::INTEGER"
        options = f"format='newline_delimited', ignore_errors=true, maximum_object_size={USUAL_LINE}"
        if len(parts) > 1:
            options += ", filename=true"
        bare = shape == BARE
        return (
            f"SELECT {part} AS part, {columns.fast_select(bare=bare)} FROM read_json({names!r},"
            f" columns={columns.read_columns(bare=bare)}, {options})"
        )

    def _unusable(self, source: str) -> dict[int, Any]:
        """For each line of each part, in order, whether it is unusable."""
        self._con.execute("SET preserve_insertion_order = true")
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE verdicts AS SELECT part, kind = {UNUSABLE} AS unusable"
            f" FROM ({decode(source)})"
        )
        self._con.execute("SET preserve_insertion_order = false")
        found = self._con.execute("SELECT part, unusable FROM verdicts ORDER BY rowid").fetchnumpy()
        self._con.execute("DROP TABLE verdicts")
        return {int(part): found["unusable"][found["part"] == part] for part in np.unique(found["part"])}

    def _tolerate(self, number: int, part: Part, unusable: Any) -> Iterator[tuple[int, Reject]]:
        """Read lines the tolerant way; ``unusable`` says which of the part's lines, else all of them."""
        data = part.range.read()
        if unusable is not None and len(unusable) != sum(len(lines) for lines in blocks_of_lines(data)):
            # The two ways of counting lines disagree: read the whole part again, the tolerant way.
            self._con.execute("DELETE FROM decoded WHERE part = ?", [number])
            unusable = None
        before, passed = part.lines_before(), 0
        for lines in blocks_of_lines(data):
            chosen = lines
            if unusable is not None:
                chosen = lines.pick(np.flatnonzero(unusable[passed : passed + len(lines)]))
            passed += len(lines)
            for start in range(0, len(chosen), ODD_AT_ONCE):
                some = chosen.pick(np.arange(start, min(start + ODD_AT_ONCE, len(chosen))))
                numbers = [int(line) + before for line in some.numbers]
                pieces = [(number, line, raw) for line, raw in zip(numbers, some.raws(), strict=True)]
                yield from self._read_texts({number: part.name}, pieces, some.texts())

    def _read_texts(
        self, names: dict[int, str], pieces: list[tuple[int, int, bytes]], texts: Any
    ) -> list[tuple[int, Reject]]:
        """Unwrap and decode texts into ``decoded``; ``pieces`` are their part, line and bytes."""
        con = self._con
        long = [piece for piece in pieces if len(piece[2]) > MAX_WHOLE]
        rejects: list[tuple[int, Reject]] = []
        if long:
            texts = texts.filter(pa.array([len(raw) <= MAX_WHOLE for _, _, raw in pieces]))
            pieces = [piece for piece in pieces if len(piece[2]) <= MAX_WHOLE]
            rejects = [found for piece in long for found in self._read_answer(names, *piece)]
        columns_of = {"part": pa.array([part for part, _, _ in pieces], pa.int32())}
        columns_of |= {"line": pa.array([line for _, line, _ in pieces], pa.int64()), "doc": texts}
        envelopes.unwrap(con, pa.table(columns_of))
        con.execute(f"CREATE OR REPLACE TEMP TABLE late AS {_tolerant()}")
        con.execute(
            f"INSERT INTO decoded SELECT * EXCLUDE (line, doc, reason) FROM late WHERE kind != {UNUSABLE}"
        )
        refused = con.execute(
            f"SELECT part, line, reason, doc FROM late WHERE kind = {UNUSABLE}"
            " UNION ALL SELECT part, line, reason, doc FROM refused ORDER BY ALL"
        ).fetchall()
        raws = {(part, line): raw for part, line, raw in pieces} if refused else {}
        return rejects + [
            (part, Reject(names[part], line, reason, raws[part, line] if doc is None else doc.encode()))
            for part, line, reason, doc in refused
        ]

    def _read_answer(
        self, names: dict[int, str], part: int, line: int, raw: bytes
    ) -> list[tuple[int, Reject]]:
        """Read the lines that a long answer carries."""
        found = break_up(raw)
        if found is None:
            return [(part, Reject(names[part], line, "oversized", raw))]
        whole = [text for text in found if len(text) <= MAX_WHOLE]
        rejects = [
            (part, Reject(names[part], line, "oversized", text)) for text in found if len(text) > MAX_WHOLE
        ]
        for start in range(0, len(whole), ODD_AT_ONCE):
            some = [(part, line, text) for text in whole[start : start + ODD_AT_ONCE]]
            rejects += self._read_texts(names, some, as_texts([text for _, _, text in some]))
        return rejects


@cache
def _tolerant() -> str:
    """Query that decodes the table ``docs``, trying every spelling."""
    raw = (
        f"SELECT part, line, doc, {columns.tolerant_select('v')}"
        f" FROM (SELECT *, json_extract_string(doc, {columns.tolerant_paths()}) AS v FROM docs)"
    )
    return decode(raw, carry="part, line, doc, reason", strict=False)
