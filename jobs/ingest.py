"""
One ingest: files of Hubble flows into the observation tables, each record once.

Content is read in chunks; a few chunks make a batch, and a batch is one commit of everything it
gives: hourly rows, ledger, cursor and rejects. Whenever the process dies, the next run goes on from
the last batch and ends with the tables of an undisturbed run.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from jobs.observations.engine import batch_tables
from jobs.observations.schema import BATCHES, arrow_schema
from jobs.observations.store import ObservationStore, Writer
from jobs.open_batch import Batch, Passed, Queue, Stretch
from jobs.rejects import MAX_TEXT, Reject, as_lines, keep_unfinished
from jobs.sources.assemble import CLUSTER_NAME, assemble, lost_events, notices
from jobs.sources.content import CHUNK, Chunk, Content
from jobs.sources.cursor import Cursor, digest
from jobs.sources.decode import FLOW, LOST, NODE_STATUS, OTHER_EVENT
from jobs.sources.duplicates import Duplicates
from jobs.sources.files import find_files
from jobs.sources.met import flows_met, kinds_met, meet
from jobs.sources.ranges import Block
from jobs.sources.reader import OTHER, Part, Reader, Values
from jobs.sources.report import COSTS, FileReport, IngestReport
from jobs.sources.shape import VALUES, shape_of
from jobs.sources.splitter import Splitter, Value
from models.errors import BadInputError

Progress = Callable[[int, int, int], None]  # bytes done, bytes in all, records

MEMORY: Final = "1200MB"  # for DuckDB; the rest of the 2 GiB is Python, Arrow and the commit
THREADS: Final = 2
READ_TOGETHER: Final = 1 << 30  # bytes of small files that are read together
HELD_TOGETHER: Final = 128 << 20  # the same, of content that is held in memory
#: Queues that are read ahead: while a batch is closed the other core needs something to do.
AHEAD: Final = 2
OTHER_CHUNK: Final = 16 << 20  # bytes of lines that must all be unwrapped, read at once
VALUES_TOGETHER: Final = 16 << 20  # the same, of values that are not one per line
MAX_REJECTS: Final = 64 << 20  # bytes of rejects that a batch holds in memory
BATCH_BYTES: Final = 3 << 30  # bytes of content per commit, at most
MAX_ALONE: Final = 300_000  # lines of a batch that share no template: what they decode to must fit in memory
NO_DAY: Final = "1970-01-01"  # of a batch that holds no record with a time
_KINDS: Final = {LOST: "lost_events", NODE_STATUS: "node_status", OTHER_EVENT: "agent_or_debug_event"}


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
    if cluster is not None and not re.fullmatch(CLUSTER_NAME, cluster):
        raise BadInputError(
            f"{cluster!r} is no name for a cluster: letters, digits, '-', '.' and '_', at most 63 characters"
        )
    found, left_out = find_files(paths, store.data_dir)
    with store.writing() as writer, duckdb.connect() as con:
        run = _Run(con, store, writer, cluster=cluster, source=source, progress=progress)
        run.total = sum(map(_size, found))
        try:
            for path in found:
                run.ingest(path, stdin)
            run.finish()
        finally:
            run.close()
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
        # Checkpoints of a database in memory compress its tables again and again, and make nothing durable.
        con.execute("SET checkpoint_threshold = '1TB'")
        # It makes joins of lists of names, which takes longer than most of what is decoded by one query.
        con.execute("SET disabled_optimizers = 'in_clause'")
        self.report = IngestReport()
        self.total = 0
        self._con, self._writer, self._cluster, self._source = con, writer, cluster, source
        self._reader = Reader(con)
        self._duplicates = Duplicates(con, store, cluster)
        self._cursor = Cursor(store.dataset(BATCHES.name).to_table().to_pylist())
        self._progress = progress or (lambda *_: None)
        self._done = 0
        self._queue, self._begun = Queue(), deque[Queue]()
        self._late: list[Reject] = []  # of the file at hand: what may still grow, so no batch counts it
        self._unfinished: dict[str, list[Reject]] = {}
        self._rejects = store.rejects
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="saver")
        self._saving: Future[None] | None = None
        self._batch = Batch()

    def ingest(self, path: Path | None, stdin: BinaryIO | None) -> None:
        """Read one file from where earlier batches left it."""
        file = FileReport("-" if path is None else str(path))
        self.report.files.append(file)
        self._late = []
        try:
            if path is not None and not path.is_file():  # a pipe has no size and is read once
                with path.open("rb") as pipe:
                    self._read(Content(None, pipe, name=str(path)), file)
            else:
                self._read(Content(path, stdin), file)
        except OSError as error:
            self._late.append(Reject(file.path, 0, f"cannot be read: {error.strerror}", b""))
        self._unfinished[file.path] = self._late
        self._done += _size(path)
        self._progress(self._done, self.total, self.report.records)

    def _read(self, content: Content, file: FileReport) -> None:
        known = self._cursor.find(content)
        file.records += known.records
        file.duplicates += known.records
        if (shape := shape_of(content.peek)) == VALUES:
            self._take_values(content, known.offset)
        else:
            for chunk in content.chunks(known.offset, CHUNK if shape != OTHER else OTHER_CHUNK):
                self._take(content, shape, chunk)

    def close(self) -> None:
        """Stop reading ahead, and wait until nothing is being written."""
        self._reader.close()
        self._saver.shutdown()

    def _saved(self) -> None:
        """Wait until the batch before is durable: there is one at a time, and they keep their order."""
        if self._saving is not None:
            self._saving.result()
            self._saving = None
            self._duplicates.saved()

    def finish(self) -> None:
        """Commit what is left, and keep what files ended with that may still grow."""
        self._flush()
        while self._begun:
            self._absorb(self._begun.popleft())
        self._commit()
        self._saved()
        for file in self.report.files:
            rejects = self._unfinished[file.path]
            keep_unfinished(self._rejects, file.path, rejects)
            for reject in rejects:
                file.refuse(reject.reason)
            self.report.warnings += file.warnings()

    def _take(self, content: Content, shape: str, chunk: Chunk) -> None:
        """Queue a chunk; small ones are read together."""
        number = len(self.report.files) - 1
        file = self.report.files[number]
        if chunk.problem and not chunk.consumed:
            self._late.append(
                Reject(file.path, content.lines_before(chunk) + 1, chunk.problem, chunk.part.read())
            )
            return
        if chunk.problem:
            value = Value(
                chunk.start, chunk.end, content.lines_before(chunk) + 1, chunk.part.read(), chunk.problem
            )
            passed = Passed(number, content, chunk)
            self._queue_up(Values(number, file.path, [value]), VALUES, chunk.part.size(), passed)
        else:
            part = Part(number, file.path, chunk.part, lambda: content.lines_before(chunk))
            self._queue_up(part, shape, chunk.part.size(), Passed(number, content, chunk))

    def _take_values(self, content: Content, start: int) -> None:
        """Queue a stream of JSON values that are not one per line."""
        number = len(self.report.files) - 1
        splitter, waiting, damage = Splitter(), list[Value](), list[str]()
        done, size = start, 0

        def queue() -> None:
            passed = Passed(number, content, Chunk(done, splitter.offset, Block(b""), tail=splitter.tail()))
            self._queue_up(Values(number, content.name, waiting), VALUES, splitter.offset - done, passed)

        for value in splitter.values(_sound(content.blocks(), damage)):
            if value.problem == "truncated":
                self._late.append(Reject(content.name, value.line, "truncated", value.raw))
            elif value.end > start:
                waiting.append(value)
                size += len(value.raw)
            if size >= VALUES_TOGETHER:
                queue()
                waiting, done, size = [], splitter.offset, 0
        if waiting:
            queue()
        if damage:
            self._late.append(Reject(content.name, splitter.line, f"corrupt: {damage[0]}", b""))

    def _queue_up(self, part: Part | Values, shape: str, size: int, passed: Passed) -> None:
        """Add to the queue, which holds parts of one shape and is read when it is long enough."""
        limit = READ_TOGETHER if shape not in (VALUES, OTHER) else VALUES_TOGETHER
        if isinstance(part, Part) and isinstance(part.range, Block):
            limit = min(limit, HELD_TOGETHER)
        queue = self._queue
        if queue.parts and (shape != queue.shape or queue.size + size > limit):
            self._flush()
        self._queue.shape = shape
        self._queue.parts.append(part)
        self._queue.passed.append(passed)
        self._queue.size += size

    def _flush(self) -> None:
        """Begin to read what is queued, and meanwhile put what was begun long before into the open batch."""
        queue, self._queue = self._queue, Queue()
        if not queue.parts:
            return
        if queue.shape != VALUES:
            parts = [part for part in queue.parts if isinstance(part, Part)]
            queue.begun = self._reader.begin(parts, queue.shape)
        self._begun.append(queue)
        if len(self._begun) > AHEAD:
            self._absorb(self._begun.popleft())

    def _absorb(self, queue: Queue) -> None:
        """Put the records of a queue into the open batch, and close the batch when it is large enough."""
        if queue.begun is not None and queue.begun.anew:
            self._commit()
            self._reader.forget()
            self._duplicates.forget(self._reader.first)
        for passed in queue.passed:
            self._pass(passed)
        if queue.begun is not None:
            numbers = range(min(queue.begun.parts), max(queue.begun.parts) + 1)
            rejects = self._reader.finish(queue.begun)
        else:
            numbers = range(self._reader.next_part, self._reader.next_part + len(queue.parts))
            rejects = self._reader.read_values([part for part in queue.parts if isinstance(part, Values)])
        self._count(numbers, rejects)
        self._batch.rejects += [reject for _, reject in rejects]
        self._batch.kept += sum(min(len(reject.raw), MAX_TEXT) for _, reject in rejects)
        self._batch.size += queue.size
        full = self._batch.size + READ_TOGETHER > BATCH_BYTES or self._reader.alone >= MAX_ALONE
        if full or self._batch.kept >= MAX_REJECTS:
            self._commit()

    def _pass(self, passed: Passed) -> None:
        """Move the cursor of the open batch to the end of a chunk."""
        stretches, file, chunk = self._batch.stretches, self.report.files[passed.file], passed.chunk
        content = passed.content
        if passed.file not in stretches:
            stretches[passed.file] = Stretch(content, chunk.start, chunk.end, bytes, file.counts())
        stretches[passed.file].end = chunk.end
        stretches[passed.file].tail = lambda: content.tail(chunk)

    def _count(self, numbers: range, rejects: list[tuple[int, Reject]]) -> None:
        """Keep what was just read but for duplicates, and put the counts into the report."""
        files = {
            part: self.report.files[number] for part, number in self._reader.files.items() if part in numbers
        }
        meet(self._con, self._reader.fresh)
        for part, cluster, time_us, *facts in flows_met(self._con, self._cluster):
            self._batch.places[part] = (cluster, time_us)
            files[part].flows += facts[0]
            files[part].renamed[self._cluster or ""] += facts[1]
            files[part].present.update(dict(zip(COSTS, facts[2:], strict=True)))
        repeated = self._duplicates.keep(self._reader.fresh)
        counts = kinds_met(self._con)
        for (part, kind), count in repeated.items():
            files[part].repeat(count)
            counts[part, kind] -= count
        for (part, kind), count in counts.items():
            if kind == FLOW:
                files[part].accept(count)
            elif count:
                files[part].skip(_KINDS[kind], count)
                self._batch.unused[part, "skipped", _KINDS[kind]] += count
        for part, lost in lost_events(self._con, numbers).items():
            files[part].lost_events += lost
        for part, reject in rejects:
            files[part].refuse(reject.reason)
            self._batch.unused[part, "rejected", reject.reason] += 1
        self._progress(self._done, self.total, self.report.records)

    def _commit(self) -> None:
        """Make the open batch durable: all of it, or nothing. Nothing is queued when this is called."""
        batch, self._batch = self._batch, Batch()
        if not batch.stretches:
            return
        assemble(self._con, cluster=self._cluster, source=self._source)
        notices(
            self._con, cluster=self._cluster, source=self._source, refused=batch.unused, places=batch.places
        )
        tables = batch_tables(self._con)
        self._saved()
        number = self._writer.next_batch()
        ledger = self._duplicates.rows()
        self._reader.clear()
        day = pc.max(ledger["day"]).as_py() or NO_DAY
        rows = [
            self._cursor_row(number, day, file, stretch) for file, stretch in sorted(batch.stretches.items())
        ]
        tables["ledger"] = ledger
        tables["batches"] = pa.Table.from_pylist(rows, schema=arrow_schema(BATCHES.name))
        rejects = {f"batch-{number:08d}.jsonl": as_lines(batch.rejects)} if batch.rejects else {}
        self._saving = self._saver.submit(self._save, number, tables, rejects)
        for row in rows:
            self._cursor.add(row)
        self._duplicates.clear()

    def _save(self, number: int, tables: dict[str, Any], rejects: dict[str, bytes]) -> None:
        """Write a batch; once it is staged it does not need its memory."""
        staged = self._writer.stage(number, tables, rejects)
        tables.clear()
        self._writer.finish(staged)

    def _cursor_row(self, number: int, day: str, file: int, stretch: Stretch) -> dict[str, Any]:
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


def _size(path: Path | None) -> int:
    """Bytes on disk; none of a stream, nor of a file that was rotated away since it was found."""
    return path.stat().st_size if path is not None and path.is_file() else 0


def _sound(blocks: Iterator[bytes | str], damage: list[str]) -> Iterator[bytes]:
    """Blocks as far as they can be read; why not further goes to ``damage``."""
    for block in blocks:
        if isinstance(block, str):
            damage.append(block)
            return
        yield block
