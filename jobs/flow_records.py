"""
Hubble records as decoded objects, for questions about single flows.

Unwraps what ingest unwraps, in every packing, but keeps each record whole: what policy asks of a request
(its path, its headers) is more than the hourly tables hold. Nothing is stored and nothing is merged, so a
record that was written twice is answered twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import orjson
import pyarrow as pa

from jobs.sources import envelopes
from jobs.sources.answers import MAX_WHOLE, break_up
from jobs.sources.content import Content
from jobs.sources.files import find_files
from jobs.sources.lines import as_texts, blocks_of_lines
from jobs.sources.shape import VALUES, shape_of
from jobs.sources.splitter import Splitter

CHUNK: Final = 16 << 20  # bytes of lines decoded at once
ODD_AT_ONCE: Final = 20_000  # lines unwrapped by one query
MAX_NAMED: Final = 20  # unreadable lines that are named one by one; all of them are counted

Numbered = tuple[int, dict[str, Any]]


class FlowRecords:
    """
    The records of files, folders, globs or ``-``, in order.

    After the iteration ``unread`` counts what could not be read by its reason, ``named`` says where the
    first of it is, and ``left_out`` holds files that are no flow data by their name.
    """

    def __init__(self, paths: Iterable[str], stdin: BinaryIO | None = None) -> None:
        self._found, self.left_out = find_files(paths)
        self._stdin = stdin
        self.unread: Counter[str] = Counter()
        self.named: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Records, one after the other."""
        with duckdb.connect(config={"threads": 2}) as con:
            for path in self._found:
                try:
                    yield from self._file(con, path)
                except OSError as error:
                    self._refuse(str(path or "-"), 0, f"cannot be read: {error.strerror}")

    def _refuse(self, name: str, line: int, reason: str) -> None:
        self.unread[reason.partition(":")[0]] += 1
        if len(self.named) < MAX_NAMED:
            self.named.append(f"{name}:{line}: {reason}" if line else f"{name}: {reason}")

    def _file(self, con: duckdb.DuckDBPyConnection, path: Path | None) -> Iterator[dict[str, Any]]:
        content = Content(path, self._stdin)
        if shape_of(content.peek) == VALUES:
            yield from self._values(con, content)
            return
        before = 0
        for chunk in content.chunks(0, CHUNK):
            data = chunk.part.read()
            if chunk.problem:
                self._refuse(content.name, before + 1, chunk.problem)
            else:
                for lines in blocks_of_lines(data):
                    numbers = [before + int(number) for number in lines.numbers]
                    pieces = list(zip(numbers, lines.raws(), strict=True))
                    yield from self._decoded(con, content.name, pieces)
            before += data.count(b"\n")

    def _values(self, con: duckdb.DuckDBPyConnection, content: Content) -> Iterator[dict[str, Any]]:
        """Records of JSON that is not one value per line."""
        damage: list[str] = []
        waiting: list[tuple[int, bytes]] = []
        for value in Splitter().values(_sound(content.blocks(), damage)):
            if value.problem:
                self._refuse(content.name, value.line, value.problem)
            else:
                waiting.append((value.line, value.raw))
            if len(waiting) >= ODD_AT_ONCE:
                yield from self._decoded(con, content.name, waiting)
                waiting = []
        yield from self._decoded(con, content.name, waiting)
        if damage:
            self._refuse(content.name, 0, f"corrupt: {damage[0]}")

    def _decoded(
        self, con: duckdb.DuckDBPyConnection, name: str, pieces: list[tuple[int, bytes]]
    ) -> Iterator[dict[str, Any]]:
        """Records of these pieces: most are Hubble lines as they stand, the others are unwrapped."""
        found: list[Numbered] = []
        odd: list[tuple[int, bytes]] = []
        for line, raw in pieces:
            record = _hubble_line(raw)
            if record is not None:
                found.append((line, record))
            elif len(raw) <= MAX_WHOLE:
                odd.append((line, raw))
            else:
                carried = break_up(raw)
                if carried is None:
                    self._refuse(name, line, "oversized")
                odd += [(line, text) for text in carried or ()]
        for start in range(0, len(odd), ODD_AT_ONCE):
            found += self._unwrapped(con, name, odd[start : start + ODD_AT_ONCE])
        found.sort(key=lambda one: one[0])
        yield from (record for _, record in found)

    def _unwrapped(
        self, con: duckdb.DuckDBPyConnection, name: str, pieces: list[tuple[int, bytes]]
    ) -> Iterator[Numbered]:
        texts = as_texts([raw.replace(b"\n", b" ").replace(b"\r", b" ") for _, raw in pieces])
        columns = {
            "part": pa.array([0] * len(pieces), pa.int32()),
            "line": pa.array([line for line, _ in pieces], pa.int64()),
            "doc": texts,
        }
        envelopes.unwrap(con, pa.table(columns))
        for line, reason in con.execute("SELECT line, reason FROM refused ORDER BY line, reason").fetchall():
            self._refuse(name, line, reason)
        for line, doc in con.execute("SELECT line, doc FROM docs ORDER BY line, rowid").fetchall():
            record = _hubble_line(doc.encode())
            if record is None:
                self._refuse(name, line, "not JSON")
            else:
                yield line, record


def _hubble_line(raw: bytes) -> dict[str, Any] | None:
    """Decode a line that is a Hubble line as it stands, else give None."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not any(isinstance(value.get(kind), dict) for kind in envelopes.KINDS):
        return None
    return value


def _sound(blocks: Iterator[bytes | str], damage: list[str]) -> Iterator[bytes]:
    """Blocks as far as they can be read; why not further goes to ``damage``."""
    for block in blocks:
        if isinstance(block, str):
            damage.append(block)
            return
        yield block
