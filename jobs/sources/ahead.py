"""
Lines read ahead of whoever uses them: split, their own values taken out, their template looked up.

That is work for one core, done in a thread of its own. What it hands on is small: of a line that shares
a template only its values, of others the text.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, Final

import numpy as np
import pyarrow as pa

from jobs.sources.blanks import Numbers, Places, Values, take_out
from jobs.sources.dictionary import NONE, Dictionary
from jobs.sources.layout import Layout
from jobs.sources.ranges import Range
from jobs.sources.sheets import Sheet, Sheets

BLOCK: Final = 32 << 20  # bytes of content that are handed on together
MAX_WAITING: Final = 128 << 20  # bytes of memory that blocks may take which nobody took yet
_LINE: Final = 96  # bytes of memory that a line takes beside its text


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of parts that are laid out alike; arrays have one element per line."""

    part: Numbers
    line: Places  # 1-based in the part
    offset: Places  # in the range of the part
    size: Numbers  # bytes without the line feed
    template: Places  # NONE where the line must be decoded by itself
    values: Values
    has_uuid: bool  # whether uuids were taken out
    news: Any  # texts of templates met for the first time, in the order of their numbers: Arrow binaries
    new_at: Places  # the lines that they were met in
    odd: dict[int, bytes]  # texts of lines out of which nothing was taken

    @property
    def text_size(self) -> int:
        """Bytes of texts that are still to be decoded."""
        return int(self.news.nbytes) + sum(map(len, self.odd.values()))

    @property
    def memory(self) -> int:
        """Bytes of memory, about."""
        return self.text_size + _LINE * len(self.part)


@dataclass(frozen=True, slots=True)
class _Task:
    """Parts to read; ``anew`` forgets all templates first."""

    parts: Mapping[int, Range]
    layouts: Mapping[int, Layout | None]
    anew: bool


@dataclass(slots=True)
class _Block:
    """Lines put together from sheets."""

    layout: Layout | None = None
    size: int = 0
    count: int = 0
    columns: list[tuple[Any, ...]] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)
    news: list[bytes] = field(default_factory=list)
    new_at: list[Places] = field(default_factory=list)
    odd: dict[int, bytes] = field(default_factory=dict)

    def lines(self) -> Lines:
        """Give what was put together."""
        part, line, offset, size, template = (
            np.concatenate(column) for column in zip(*self.columns, strict=True)
        )
        values = Values(
            *(np.concatenate([getattr(some, name) for some in self.values]) for name in Values.__slots__)
        )
        has_uuid = self.layout is not None and self.layout.has_uuid
        new_at = np.concatenate(self.new_at)
        news = _binaries(self.news, size[new_at])
        return Lines(part, line, offset, size, template, values, has_uuid, news, new_at, self.odd)


class Ahead:
    """
    Reads what was added, in its order, in a thread that ends with ``close``.

    Whoever takes gets the blocks of what was added first and not taken yet. An error while reading is
    raised there too.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._waiting: deque[Lines | BaseException | None] = deque()
        self._memory = 0  # of what waits
        self._moved = Condition()
        self._stopped = False
        self._thread: Thread | None = None

    def add(
        self, parts: Mapping[int, Range], layouts: Mapping[int, Layout | None], *, anew: bool = False
    ) -> None:
        """Read these parts once those before are read; ``anew`` forgets all templates first."""
        self._tasks.put(_Task(parts, layouts, anew))
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ahead", daemon=True)
            self._thread.start()

    def take(self) -> Iterator[Lines]:
        """Blocks of the parts that were added first and not taken yet, in their order."""
        while True:
            with self._moved:
                self._moved.wait_for(lambda: self._waiting)
                made = self._waiting.popleft()
                self._memory -= made.memory if isinstance(made, Lines) else 0
                self._moved.notify()
            if made is None:
                return
            if isinstance(made, BaseException):
                raise made
            yield made

    def close(self) -> None:
        """End the thread."""
        with self._moved:
            self._stopped = True
            self._moved.notify()
        self._tasks.put(None)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        splitter = _Splitter()
        while (task := self._tasks.get()) is not None:
            try:
                for lines in splitter.read(task):
                    if not self._hand_on(lines):
                        return
            except BaseException as error:  # noqa: BLE001 - raised again by whoever takes
                self._hand_on(error)
            else:
                self._hand_on(None)

    def _hand_on(self, made: Lines | BaseException | None) -> bool:
        """Hand this on once there is room for it; false if nobody wants it any more."""
        size = made.memory if isinstance(made, Lines) else 0
        with self._moved:
            self._moved.wait_for(
                lambda: self._stopped or not self._memory or self._memory + size <= MAX_WAITING
            )
            self._waiting.append(made)
            self._memory += size
            self._moved.notify()
            return not self._stopped


class _Splitter:
    """What the thread knows from one task to the next."""

    def __init__(self) -> None:
        self._sheets = Sheets()
        self._dictionary = Dictionary()
        self._distances: dict[Layout, list[int]] = {}  # see ``take_out``

    def read(self, task: _Task) -> Iterator[Lines]:
        """Blocks of the parts of a task."""
        if task.anew:
            self._dictionary.forget()
        block = _Block()
        for sheet in self._sheets.of(task.parts, task.layouts):
            if block.columns and (block.layout != sheet.layout or block.size >= BLOCK):
                yield block.lines()
                block = _Block()
            self._put(sheet, block)
        if block.columns:
            yield block.lines()

    def _put(self, sheet: Sheet, block: _Block) -> None:
        """Add the lines of a sheet to a block."""
        data, starts, ends = sheet.data, sheet.starts, sheet.ends
        known = self._distances.setdefault(sheet.layout, []) if sheet.layout else []
        values = take_out(data, starts, ends, sheet.layout, known)
        fits = np.flatnonzero(values.fits)
        template = np.full(len(sheet), NONE, dtype=np.int64)
        template[fits], news = self._dictionary.find(data, starts[fits], ends[fits])
        new_at = fits[news]
        text = _text_of(sheet)
        block.odd |= {block.count + place: text(place) for place in np.flatnonzero(~values.fits).tolist()}
        block.news += map(text, new_at.tolist())
        block.new_at.append(new_at + block.count)
        size = (ends - starts).astype(np.int32)
        block.columns.append((sheet.part.astype(np.int32), sheet.line, sheet.offset, size, template))
        block.values.append(values)
        block.layout = sheet.layout
        block.size += int(ends[-1]) + 1 if len(ends) else 0
        block.count += len(sheet)


def _binaries(texts: list[bytes], sizes: Numbers) -> Any:
    """Give an Arrow array of these texts of these sizes: one piece of memory instead of thousands."""
    ends = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(sizes, out=ends[1:])
    data = pa.py_buffer(b"".join(texts))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), [None, pa.py_buffer(ends), data])


def _text_of(sheet: Sheet) -> Callable[[int], bytes]:
    """Give a function that copies a line as it stands now."""
    view: Any = memoryview(sheet.data)  # type: ignore[arg-type]
    return lambda place: bytes(view[sheet.starts[place] : sheet.ends[place]])
