"""What an ingest has taken up and not committed yet: queues of parts, and the batch that they go into."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.rejects import Reject
from jobs.sources.content import Chunk, Content
from jobs.sources.reader import Begun, Part, Values


@dataclass(slots=True)
class Stretch:
    """What the open batch has consumed of one content."""

    content: Content
    start: int
    end: int
    tail: Callable[[], bytes]
    before: Counter[str]  # counts of the file when the batch began with it


@dataclass(slots=True)
class Batch:
    """The open batch, besides what the connection's tables hold of it."""

    stretches: dict[int, Stretch] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    unused: Counter[tuple[int, str, str]] = field(default_factory=Counter)  # by part, kind, reason
    places: dict[int, tuple[str, int]] = field(default_factory=dict)  # cluster and first time of a part
    size: int = 0
    kept: int = 0  # bytes of rejects


@dataclass(frozen=True, slots=True)
class Passed:
    """A chunk of a file that was queued."""

    file: int
    content: Content
    chunk: Chunk


@dataclass(slots=True)
class Queue:
    """Parts of one shape that are read together."""

    shape: str = ""
    parts: list[Part | Values] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    size: int = 0
    begun: Begun | None = None
