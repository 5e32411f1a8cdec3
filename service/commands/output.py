"""
What commands print.

Results go to standard output, everything else to standard error. Text that came out of flows is
escaped before Rich sees it: neither its markup nor a terminal's escape sequences are obeyed.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from service.printable import printable

#: Seconds between two lines about progress where there is no terminal.
_LOG_EVERY: Final = 10.0
_NO_TERMINAL_COLUMNS: Final = 160

log = structlog.get_logger()


def console() -> Console:
    """Console on standard output; wide where no terminal says otherwise, so that cells stay whole."""
    width = None if sys.stdout.isatty() else _NO_TERMINAL_COLUMNS
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{printable(text)}\n")


def print_json(value: Any) -> None:
    """JSON and nothing else on standard output."""
    text = orjson.dumps(clean(value), option=orjson.OPT_INDENT_2, default=str)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def clean(value: Any) -> Any:
    """Same with times in one form and without text that UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def iso(moment: datetime) -> str:
    """Time as every JSON of Portolan writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Table of escaped cells."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell), limit=300)) for cell in row))
    console().print(table)


def print_text(text: str = "") -> None:
    """One line, escaped: a line break that came out of a flow begins no new one."""
    sys.stdout.write(f"{printable(text)}\n")


def print_block(text: str) -> None:
    """Lines of a document that was rendered from escaped data, such as YAML."""
    sys.stdout.write("".join(f"{printable(line, limit=sys.maxsize)}\n" for line in text.split("\n")))


@contextmanager
def reading_progress(title: str) -> Iterator[Callable[[int, int, int], None]]:
    """Progress over bytes: a bar on a terminal, a log line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _log_progress(title)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    task = bar.add_task(title, total=None, records=0)

    def update(done: int, total: int, records: int) -> None:
        bar.update(task, completed=done, total=total or None, records=records)

    with bar:
        yield update


def _log_progress(title: str) -> Callable[[int, int, int], None]:
    last = time.monotonic()
    event = f"{title}.progress"

    def update(done: int, total: int, records: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY:
            last = time.monotonic()
            log.info(event, bytes=done, of_bytes=total, records=records)

    return update
