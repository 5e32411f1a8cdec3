"""
Parts of files into the table ``decoded`` and the rows ``fresh``, what could not be used into rejects.

``decoded`` says what a line says beside its time, uuid and ports: once for all lines of a template, or for
one line. ``fresh`` has those values of every line, with the number of its row in ``decoded``. A line goes
the first of three ways that knows it: by its template; decoded by itself, at DuckDB's own speed; or the
tolerant way, unwrapped, every spelling tried, refused with a reason.
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
from jobs.sources.ahead import Ahead, Lines
from jobs.sources.answers import MAX_WHOLE, break_up
from jobs.sources.blanks import NO_PORT
from jobs.sources.blanks import as_texts as uuid_texts
from jobs.sources.decode import UNUSABLE, decode
from jobs.sources.dictionary import MAX_TEMPLATES
from jobs.sources.layout import Layout, layout_of
from jobs.sources.lines import as_texts, blocks_of_lines
from jobs.sources.ranges import Range, reading_into
from jobs.sources.splitter import Value
from jobs.sources.templates import Templates
from jobs.sources.texts import MAX_TEXTS, Texts

WRAPPED, BARE, OTHER = "wrapped", "bare", "other"
ODD_AT_ONCE: Final = 20_000  # lines unwrapped by one query: what they hold is copied a few times
DECODED_AT_ONCE: Final = 64 << 20  # bytes of lines decoded by one query
TAKEN_AT_ONCE: Final = 2048  # lines that one thread of the engine takes
#: Rows of ``decoded`` for one line have numbers from here on; those of templates lie below.
OWN: Final = 1 << 40
_LOOKED_AT: Final = 256 << 10  # bytes of a part looked at for its layout

Line = tuple[int, int, bytes]  # part, 1-based number in its file, text
Found = list[tuple[int, Reject]]  # refused, with the number of the part

FRESH: Final = {
    "part": pa.int32(), "template": pa.int64(), "ns": pa.int64(), "uuid": pa.string(),
    "src_port": pa.int32(), "dst_port": pa.int32(),
}  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Begun:
    """Parts that are read ahead, by their numbers."""

    parts: dict[int, Part]
    shape: str
    anew: bool  # with no template known: ``forget`` must come before it is finished


class Reader:
    """
    Reads parts into a DuckDB connection, on top of what is there; ``close`` it at the end.

    Every part gets a number, larger than any before; ``files`` says which file a part belongs to.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._texts = Texts(con)
        self._templates = Templates(con, self._decode)
        self._ahead = Ahead()
        self._bare = False  # how the lines of the read at hand are wrapped
        self._own = OWN  # next number of a line that is decoded by itself
        self._parts: list[int] = []  # of the lines with such numbers, in their order
        self.files: dict[int, int] = {}
        self.next_part = 0
        self._turning = False  # what was begun last is read with no template known
        self.fresh = pa.table({name: pa.array([], kind) for name, kind in FRESH.items()})
        self._ready = False

    @property
    def alone(self) -> int:
        """Lines of the open batch that were decoded by themselves."""
        return self._own - OWN

    @property
    def first(self) -> int:
        """Number of the first template that is still known; it grows when all before are forgotten."""
        return self._templates.first

    def close(self) -> None:
        """End the thread that reads ahead."""
        self._ahead.close()

    def clear(self) -> None:
        """Forget the rows of single lines: a batch begins. Templates stay."""
        alone, self._own = self.alone, OWN
        self.files, self._parts = {}, []
        if alone:  # made anew: what is deleted from a table keeps its memory
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE decoded AS SELECT * FROM decoded WHERE template < {OWN}"
            )

    def forget(self) -> None:
        """Forget all templates and texts; a batch is just beginning."""
        self._turning = False
        self._texts.forget()
        self._templates.forget()
        self._make_decoded()

    def _make_ready(self) -> None:
        """Have the table before the first row: planning it takes as long as reading 50,000 lines ahead."""
        if not self._ready:
            self._make_decoded()
            self._ready = True

    def _make_decoded(self) -> None:
        names = ", ".join(f'NULL::{field.sql} AS "{field.name}"' for field in columns.FIELDS)
        nothing = decode(
            f"SELECT 0::BIGINT AS template, 0 AS part, {names}, false AS foreign_keys, false AS other_type"
        )
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE decoded AS SELECT * FROM ({nothing}) WHERE false")

    def begin(self, parts: Sequence[Part], shape: str) -> "Begun":
        """
        Number these parts and read ahead in them; ``finish`` must take them in the same order.

        Where too much is known by now these parts are read ``anew``.
        """
        full = self._texts.count > MAX_TEXTS or self._templates.count >= MAX_TEMPLATES
        anew = shape != OTHER and full and not self._turning
        begun = Begun(dict(enumerate(parts, self.next_part)), shape, anew)
        self.next_part += len(parts)
        if shape != OTHER:
            self._turning |= anew
            layouts = {number: _layout(part.range) for number, part in begun.parts.items()}
            ranges = {number: part.range for number, part in begun.parts.items()}
            self._ahead.add(ranges, layouts, anew=anew)
        return begun

    def finish(self, begun: "Begun") -> Found:
        """Add the records of parts that were begun; return what was refused."""
        self._make_ready()
        parts = begun.parts
        self.files |= {number: part.file for number, part in parts.items()}
        learned, own, rows = self._templates.next, self._own, list[Any]()
        if begun.shape == OTHER:
            rejects = self._read_tolerantly(parts)
        else:
            self._bare = begun.shape == BARE
            rejects, waiting = Found(), list[Lines]()
            for lines in self._ahead.take():
                waiting.append(lines)
                if sum(some.text_size for some in waiting) >= DECODED_AT_ONCE:
                    rejects += self._settle(parts, waiting, rows)
            rejects += self._settle(parts, waiting, rows)
        self._publish(learned, own, rows)
        return sorted(rejects, key=lambda reject: (reject[0], reject[1].line))

    def read_values(self, pieces: Sequence[Values]) -> Found:
        """Add the records of these pieces of streams."""
        self._make_ready()
        numbered = dict(enumerate(pieces, self.next_part))
        self.next_part += len(pieces)
        self.files |= {number: piece.file for number, piece in numbered.items()}
        names = {number: piece.name for number, piece in numbered.items()}
        own, rejects, good = self._own, Found(), []
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
        self._publish(self._templates.next, own, [])
        return rejects

    def _publish(self, learned: int, own: int, rows: list[Any]) -> None:
        """Publish the rows of what was just read, and decode the texts that came with it."""
        alone = self._con.sql(
            f"SELECT {', '.join(FRESH)} FROM decoded WHERE template >= {own}"
        ).to_arrow_table()
        places = alone["template"].to_numpy() - OWN
        parts = pa.array(np.array(self._parts, dtype=np.int32)[places])
        schema = pa.schema(list(FRESH.items()))
        self.fresh = pa.concat_tables([*rows, alone.set_column(0, "part", parts).cast(schema)])
        self._texts.learn(f"template BETWEEN {learned} AND {OWN - 1} OR template >= {own}")

    def _settle(self, parts: dict[int, Part], waiting: list[Lines], rows: list[Any]) -> Found:
        """Learn the templates that came with these lines, add their rows, and empty the list."""
        self._templates.learn(waiting)
        alone: list[Line] = []
        for lines in waiting:
            known = self._templates.are_good(lines.template)
            rows.append(self._rows(lines, np.flatnonzero(known)))
            alone += _texts_of(lines, np.flatnonzero(~known), parts)
        waiting.clear()
        return list(self._read_by_themselves(parts, alone))

    def _rows(self, lines: Lines, good: Any) -> Any:
        """Rows of the lines at these places, which have a template."""
        templates, values, number = self._templates, lines.values, lines.template[good]
        ports = []
        for taken, said in (
            (values.source_port, templates.source_port),
            (values.target_port, templates.target_port),
        ):
            port = taken[good]
            absent = np.flatnonzero(values.source_port[good] == NO_PORT)
            port[absent] = said[number[absent] - templates.first]
            ports.append(pa.array(port, mask=port == NO_PORT))
        if lines.has_uuid:
            uuid = uuid_texts(values.uuid[good])
        else:
            uuid = pa.array(templates.uuid[number - templates.first], pa.string())
        columns_of = [lines.part[good], number, values.ns[good], uuid, *ports]
        return pa.table(dict(zip(FRESH, map(pa.array, columns_of), strict=True)))

    def _decode(self, lines: Any, first: int) -> Any:
        """
        Decode lines (Arrow binaries), add those that are usable to ``decoded`` and say which.

        Their numbers there begin at ``first``.
        """
        flags = np.zeros(len(lines), dtype=bool)
        if not len(lines):
            return flags
        numbered = pa.table({"number": np.arange(first, first + len(lines)), "line": lines})
        self._con.register("lines", pa.Table.from_batches(numbered.to_batches(TAKEN_AT_ONCE)))
        parsed = f"TRY(json_transform(doc, '{columns.structure(bare=self._bare)}'))"
        self._con.execute(f"""INSERT INTO decoded SELECT * FROM ({
            decode(f'''
            SELECT number AS template, NULL::INTEGER AS part, {columns.fast_select("doc", bare=self._bare)}
            FROM (SELECT number, doc, unnest(parsed)
              FROM (SELECT number, doc, {parsed} AS parsed
                FROM (SELECT number, TRY(decode(line)) AS doc FROM lines)))''')
        })
          WHERE kind != {UNUSABLE}""")
        self._con.unregister("lines")
        usable = self._con.sql(f"""SELECT template FROM decoded
          WHERE template BETWEEN {first} AND {first + len(lines) - 1}""").to_arrow_table()
        flags[usable["template"].to_numpy() - first] = True
        return flags

    def _read_by_themselves(self, parts: dict[int, Part], lines: list[Line]) -> Iterator[tuple[int, Reject]]:
        """Decode lines that have no template; those that cannot be used as they stand go the tolerant way."""
        start = 0
        while start < len(lines):
            size, end = 0, start
            while end < len(lines) and size < DECODED_AT_ONCE:
                size, end = size + len(lines[end][2]), end + 1
            some, start = lines[start:end], end
            first, self._own = self._own, self._own + len(some)
            self._parts += [part for part, _, _ in some]
            usable = self._decode(pa.array([text for _, _, text in some], pa.large_binary()), first)
            odd = [some[index] for index in np.flatnonzero(~usable)]
            before = {part: parts[part].lines_before() for part in dict.fromkeys(part for part, _, _ in odd)}
            odd = [(part, line + before[part], text) for part, line, text in odd]
            names = {part: parts[part].name for part in before}
            for at in range(0, len(odd), ODD_AT_ONCE):
                piece = odd[at : at + ODD_AT_ONCE]
                yield from self._read_texts(names, piece, as_texts([text for _, _, text in piece]))

    def _read_tolerantly(self, parts: dict[int, Part]) -> Found:
        """Read every line of these parts the tolerant way."""
        rejects: Found = []
        for number, part in parts.items():
            before = part.lines_before()
            for lines in blocks_of_lines(part.range.read()):
                for start in range(0, len(lines), ODD_AT_ONCE):
                    some = lines.pick(np.arange(start, min(start + ODD_AT_ONCE, len(lines))))
                    numbers = [int(line) + before for line in some.numbers]
                    pieces = [(number, line, raw) for line, raw in zip(numbers, some.raws(), strict=True)]
                    rejects += self._read_texts({number: part.name}, pieces, some.texts())
        return rejects

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
        con.execute(f"""INSERT INTO decoded SELECT {self._own} - 1 + row_number() OVER () AS template,
          * EXCLUDE (line, doc, reason) FROM late WHERE kind != {UNUSABLE}""")
        found = con.execute(f"SELECT part FROM decoded WHERE template >= {self._own} ORDER BY template")
        self._parts += [part for (part,) in found.fetchall()]
        self._own += len(self._parts) - (self._own - OWN)
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
        f"SELECT part, line, doc, {columns.tolerant_select('v', 'doc')}"
        f" FROM (SELECT *, json_extract_string(doc, {columns.tolerant_paths()}) AS v FROM docs)"
    )
    return decode(raw, carry="part, line, doc, reason", strict=False)


def _layout(part: Range) -> Layout | None:
    """Layout of the lines at the start of a range."""
    with reading_into(part) as read:
        shown = bytearray(min(part.size(), _LOOKED_AT))
        return layout_of(bytes(shown[: read(0, memoryview(shown))]))


def _texts_of(lines: Lines, places: Any, parts: dict[int, Part]) -> Iterator[Line]:
    """Lines at these places as they stood in their part, but for empty ones."""
    for number in np.unique(lines.part[places]).tolist():
        with reading_into(parts[number].range) as read:
            for place in places[lines.part[places] == number].tolist():
                text = lines.odd.get(place)
                if text is None:  # it was written over
                    original = bytearray(int(lines.size[place]))
                    read(int(lines.offset[place]), memoryview(original))
                    text = bytes(original)
                if text.strip():
                    yield number, int(lines.line[place]), text
