"""
How the lines of a stream are written, learned from its first ones.

A Hubble exporter writes every line alike: the same keys in the same order with the same spacing. What is
constant around the values that differ in every line (time, uuid, ports) is found here once; ``blanks``
then only compares bytes. A line that is written otherwise is read in a slower way, never wrongly.
"""

import re
from dataclasses import dataclass
from typing import Final

LINES_LOOKED_AT: Final = 50
_START: Final = re.compile(
    rb'(\{[ \t]*(?:"flow"[ \t]*:[ \t]*\{[ \t]*)?"time"[ \t]*:[ \t]*")([^"\\]+)'
    rb'("(?:[ \t]*,[ \t]*"uuid"[ \t]*:[ \t]*")?)'
)
_PORTS: Final = re.compile(
    rb'("source_port"[ \t]*:[ \t]*)[0-9]+([ \t]*,[ \t]*"destination_port"[ \t]*:[ \t]*)[0-9]+'
)
_END: Final = rb'("time"[ \t]*:[ \t]*")%s("[ \t]*\}[ \t]*)$'


@dataclass(frozen=True, slots=True)
class Layout:
    """The constant bytes around the values that differ; empty where there is no such value."""

    before_time: bytes
    before_uuid: bytes  # from the end of the time on; the mere quote where no uuid follows
    source_port: bytes
    destination_port: bytes  # from the end of the source port on
    before_end_time: bytes
    after_end_time: bytes  # up to the end of the line

    @property
    def has_uuid(self) -> bool:
        """Whether a uuid follows the time."""
        return len(self.before_uuid) > 1


def layout_of(data: bytes) -> Layout | None:
    """Layout of the first line that begins with a time, completed by the lines after it."""
    found, ports, end = None, (b"", b""), (b"", b"")
    for line in data.split(b"\n", LINES_LOOKED_AT)[:LINES_LOOKED_AT]:
        start = _START.match(line)
        if start is None or (found is not None and start[1] != found[1]):
            continue
        if found is None:
            found = start
            last = re.search(_END % re.escape(start[2]), line.rstrip(b"\r"), re.DOTALL)
            end = (last[1], last[2]) if last is not None and last.start() > start.end() else end
        if (pair := _PORTS.search(line)) is not None:
            ports = (pair[1], pair[2])
            break
    if found is None:
        return None
    return Layout(found[1], found[3], *ports, *end)
