"""
One ingest: files of Hubble flows into the observation tables, each record once.

Content is read in chunks; a few chunks make a batch, and a batch is one commit of everything it
gives: hourly rows, ledger, cursor and rejects. Whenever the process dies, the next run goes on from
the last batch and ends with the tables of an undisturbed run.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa

from jobs.observations.engine import batch_tables
from jobs.observations.schema import BATCHES, arrow_schema
from jobs.observations.store import ObservationStore, Writer
from jobs.rejects import MAX_TEXT, Reject, as_lines, keep_unfinished
from jobs.sources.assemble import assemble, notices
from jobs.sources.content import CHUNK, Chunk, Content
from jobs.sources.cursor import Cursor, digest
from jobs.sources.decode import FLOW, LOST, NODE_STATUS, OTHER_EVENT
from jobs.sources.duplicates import Duplicates
from jobs.sources.files import find_files
from jobs.sources.ranges import Block
from jobs.sources.reader import OTHER, Part, Reader
from jobs.sources.report import COSTS, FileReport, IngestReport
from jobs.sources.shape import VALUES, shape_of
from jobs.sources.splitter import Splitter, Value

Progress = Callable[[int, int, int], None]  # bytes done, bytes in all, records

MEMORY: Final = "1200MB"  # for DuckDB; the rest of the 2 GiB is Python, Arrow and the commit
THREADS: Final = 2
READ_TOGETHER: Final = 128 << 20  # bytes of small files that one query reads
OTHER_CHUNK: Final = 16 << 20  # bytes of lines that must all be unwrapped, read at once
VALUES_TOGETHER: Final = 16 << 20  # the same, of values that are not one per line
MAX_REJECTS: Final = 64 << 20  # bytes of rejects that a batch holds in memory
BATCH_BYTES: Final = 1 << 30  # bytes of content per commit: committing costs about a third of a second
_KINDS: Final = {LOST: "lost_events", NODE_STATUS: "node_status", OTHER_EVENT: "agent_or_debug_event"}


@dataclass(slots=True)
class _Stretch:
    """What the open batch has consumed of one content."""

    content: Content
    start: int
    end: int
    tail: Callable[[], bytes]
    before: Counter[str]  # counts of the file when the batch began with it


@dataclass(slots=True)
class _Batch:
    """The open batch."""

    tables: dict[str, list[Any]] = field(default_factory=dict)
    stretches: dict[int, _Stretch] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    size: int = 0


def run_ingest(
    paths: Iterable[str],
    *,
    store: ObservationStore,
    cluster: str | None = None,
    source: str = "file",
    stdin: BinaryIO | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """
    Read these files, folders, globs or ``-`` into the store and say how many of what there was.

    Raises BadInputError for a path that does not exist and ConflictError while another process
    writes to the same store; bad content is rejected line by line and never raises.
    """
    found, left_out = find_files(paths)
    with store.writing() as writer, duckdb.connect() as con:
        run = _Run(con, store, writer, cluster=cluster, source=source, progress=progress)
        run.total = sum(path.stat().st_size for path in found if path is not None)
        for path in found:
            run.ingest(path, stdin)
        run.finish()
    run.report.warnings += [f"left out, not flow data by its name: {name}" for name in left_out]
    return run.report


class _Run:
    """One ingest under way."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        store: ObservationStore,
        writer: Writer,
        *,
        cluster: str | None,
        source: str,
        progress: Progress | None,
    ) -> None:
        settings = {"memory_limit": MEMORY, "temp_directory": str(store.data_dir / "tmp"), "timezone": "UTC"}
        for name, value in settings.items():
            con.execute(f"SET {name} = '{value}'")
        con.execute(
            f"SET threads = {THREADS}; SET preserve_insertion_order = false; SET enable_progress_bar = false"
        )
        self.report = IngestReport()
        self.total = 0
        self._con, self._writer, self._cluster, self._source = con, writer, cluster, source
        self._reader = Reader(con)
        self._duplicates = Duplicates(con, store, cluster)
        self._cursor = Cursor(store.dataset(BATCHES.name).to_table().to_pylist())
        self._progress = progress or (lambda done, total, records: None)
        self._done = 0
        self._queue: list[Part] = []
        self._queue_shape = ""
        self._late: list[Reject] = []  # of the file at hand: what may still grow, so no batch counts it
        self._unfinished: dict[str, list[Reject]] = {}
        self._rejects = store.rejects
        self._batch = _Batch()

    def ingest(self, path: Path | None, stdin: BinaryIO | None) -> None:
        """Read one file from where earlier batches left it."""
        file = FileReport("-" if path is None else str(path))
        self.report.files.append(file)
        try:
            content = Content(path, stdin)
            known = self._cursor.find(content)
            file.records += known.records
            file.duplicates += known.records
            self._late = []
            if (shape := shape_of(content.peek)) == VALUES:
                self._take_values(content, known.offset)
            else:
                for chunk in content.chunks(known.offset, CHUNK if shape != OTHER else OTHER_CHUNK):
                    self._take(content, shape, chunk)
        except OSError as error:
            self._late.append(Reject(file.path, 0, f"cannot be read: {error.strerror}", b""))
        self._unfinished[file.path] = self._late
        self._done += content.size if path else 0
        self._progress(self._done, self.total, self.report.records)

    def finish(self) -> None:
        """Commit what is left, and keep what files ended with that may still grow."""
        self._flush()
        self._commit()
        for file in self.report.files:
            rejects = self._unfinished[file.path]
            keep_unfinished(self._rejects, file.path, rejects)
            file.refuse(rejects)
            self.report.warnings += file.warnings()

    def _take(self, content: Content, shape: str, chunk: Chunk) -> None:
        """Queue a chunk; small ones are read together."""
        number = len(self.report.files) - 1
        file = self.report.files[number]
        if chunk.problem:
            self._flush()
            reject = Reject(file.path, content.lines_before(chunk) + 1, chunk.problem, chunk.part.read())
            if chunk.consumed:
                self._consume(number, content, chunk)
                self._reader.clear()
                self._add({number}, [(number, reject)], 0)
            else:
                self._late.append(reject)
            return
        waiting = sum(part.range.size() for part in self._queue)
        if self._queue and (shape != self._queue_shape or waiting + chunk.part.size() > READ_TOGETHER):
            self._flush()
        self._queue_shape = shape
        self._queue.append(Part(number, file.path, chunk.part, lambda: content.lines_before(chunk)))
        self._consume(number, content, chunk)

    def _consume(self, number: int, content: Content, chunk: Chunk) -> None:
        """Move the cursor of the open batch to the end of a chunk."""
        stretches, file = self._batch.stretches, self.report.files[number]
        if number not in stretches:
            stretches[number] = _Stretch(content, chunk.start, chunk.end, bytes, file.counts())
        stretches[number].end = chunk.end
        stretches[number].tail = lambda: content.tail(chunk)

    def _flush(self) -> None:
        """Read what is queued and add what it gives to the open batch."""
        if not self._queue:
            return
        parts, self._queue = self._queue, []
        numbers = {part.name: part.file for part in parts}
        rejects = [(numbers[reject.file], reject) for reject in self._reader.read(parts, self._queue_shape)]
        self._add(set(numbers.values()), rejects, sum(part.range.size() for part in parts))

    def _take_values(self, content: Content, start: int) -> None:
        """Read a stream of JSON values that are not one per line."""
        self._flush()
        number = len(self.report.files) - 1
        splitter, waiting, damage = Splitter(), list[Value](), list[str]()
        done, size = start, 0
        for value in splitter.values(_sound(content.blocks(), damage)):
            if value.problem == "truncated":
                self._late.append(Reject(content.name, value.line, "truncated", value.raw))
            elif value.end > start:
                waiting.append(value)
                size += len(value.raw)
            if size >= VALUES_TOGETHER:
                self._add_values(
                    number, content, waiting, Chunk(done, splitter.offset, Block(b""), tail=splitter.tail())
                )
                waiting, done, size = [], splitter.offset, 0
        if waiting:
            self._add_values(
                number, content, waiting, Chunk(done, splitter.offset, Block(b""), tail=splitter.tail())
            )
        if damage:
            self._late.append(Reject(content.name, splitter.line, f"corrupt: {damage[0]}", b""))

    def _add_values(self, number: int, content: Content, values: list[Value], chunk: Chunk) -> None:
        self._consume(number, content, chunk)
        rejects = self._reader.read_values(number, content.name, values)
        self._add({number}, [(number, reject) for reject in rejects], chunk.end - chunk.start)

    def _add(self, files: set[int], rejects: list[tuple[int, Reject]], size: int) -> None:
        """Count what is in ``decoded``, and add what it gives to the open batch."""
        self._count_facts()
        repeated = self._duplicates.remove()
        refused: Counter[tuple[int, str]] = Counter()
        for number, reject in rejects:
            refused[number, reject.reason] += 1
        kinds = self._con.execute(
            "SELECT file, kind, count(*) FROM decoded GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        unused = [(number, "rejected", reason, count) for (number, reason), count in sorted(refused.items())]
        unused += [
            (number, "skipped", _KINDS[kind], count) for number, kind, count in kinds if kind in _KINDS
        ]
        assemble(self._con, cluster=self._cluster, source=self._source)
        notices(self._con, cluster=self._cluster, source=self._source, refused=unused)
        for name, rows in batch_tables(self._con).items():
            self._batch.tables.setdefault(name, []).append(rows)
        self._batch.rejects += [reject for _, reject in rejects]
        self._report(files, repeated, kinds, unused)
        self._batch.size += size
        kept = sum(min(len(reject.raw), MAX_TEXT) for reject in self._batch.rejects)
        if not self._queue and (self._batch.size >= BATCH_BYTES or kept >= MAX_REJECTS):
            self._commit()

    def _report(self, files: set[int], repeated: dict[int, int], kinds: list[Any], unused: list[Any]) -> None:
        """Put the counts of ``decoded`` into the report."""
        reported = self.report.files
        for number in files:
            reported[number].duplicates += repeated.get(number, 0)
            reported[number].records += repeated.get(number, 0)
        for number, kind, count in kinds:
            reported[number].records += count
            reported[number].accepted += count if kind == FLOW else 0
        for number, what, reason, count in unused:
            if what == "rejected":
                reported[number].records += count
                reported[number].rejected[reason] += count
            else:
                reported[number].skipped[reason] += count
        lost = self._con.execute("SELECT coalesce(sum(count), 0) FROM notices WHERE kind = 'lost'").fetchall()
        if len(files) == 1:
            reported[next(iter(files))].lost_events += int(lost[0][0])
        self._progress(self._done, self.total, self.report.records)

    def _count_facts(self) -> None:
        """Count which facts the flows of each file have, for the warnings."""
        for number, *counts in self._con.execute(_FACTS).fetchall():
            self.report.files[number].flows += counts[0]
            self.report.files[number].present.update(dict(zip(COSTS, counts[1:], strict=True)))

    def _commit(self) -> None:
        """Make the open batch durable: all of it, or nothing."""
        batch, self._batch = self._batch, _Batch()
        if not batch.stretches:
            return
        number = self._writer.next_batch()
        tables = {name: pa.concat_tables(parts) for name, parts in batch.tables.items()}
        ledger = self._duplicates.rows()
        days = ledger["day"].to_pylist() if ledger.num_rows else []
        day = max(days, default="1970-01-01")
        rows = [
            self._cursor_row(number, day, file, stretch) for file, stretch in sorted(batch.stretches.items())
        ]
        tables["ledger"] = ledger
        tables["batches"] = pa.Table.from_pylist(rows, schema=arrow_schema(BATCHES.name))
        rejects = {f"batch-{number:08d}.jsonl": as_lines(batch.rejects)} if batch.rejects else {}
        self._writer.commit(number, tables, rejects)
        for row in rows:
            self._cursor.add(row)
        self._duplicates.clear()

    def _cursor_row(self, number: int, day: str, file: int, stretch: _Stretch) -> dict[str, Any]:
        head = stretch.content.head[: stretch.end]
        counts = self.report.files[file].counts()
        counts.subtract(stretch.before)
        return {
            "day": day,
            "batch": number,
            "source": self._source,
            "path": stretch.content.name,
            "head_bytes": len(head),
            "head_hash": digest(head),
            "start": stretch.start,
            "end": stretch.end,
            "tail_hash": digest(stretch.tail()),
            **{name: counts[name] for name in BATCHES.sums},
        }


#: Per file: flows, and how many of them have each fact of COSTS, in its order. Drops and socket events
#: never say whether they are replies, so only the others count for that.
_FACTS: Final = f"""SELECT file, count(*),
    count(*) FILTER (is_reply IS NOT NULL OR verdict IN ('DROPPED', 'TRACED', 'TRANSLATED')),
    count(*) FILTER (src_labels IS NOT NULL OR dst_labels IS NOT NULL),
    count(*) FILTER (node != ''),
    count(*) FILTER (dst_port IS NOT NULL OR protocol NOT IN ('TCP', 'UDP', 'SCTP', '')),
    count(*) FILTER (src_ip != '' OR dst_ip != '')
    FROM decoded WHERE kind = {FLOW} GROUP BY file"""


def _sound(blocks: Iterator[bytes | str], damage: list[str]) -> Iterator[bytes]:
    """Blocks as far as they can be read; why not further goes to ``damage``."""
    for block in blocks:
        if isinstance(block, str):
            damage.append(block)
            return
        yield block
