"""``portolan ingest`` and ``portolan pull``: flows into the observation store."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from models.errors import BadInputError, ConflictError
from service.commands.options import (
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    portolan_for,
)
from service.commands.output import print_json, print_table, print_text, reading_progress, say
from service.runs.service import PATIENCE, Start, chosen_sources, pull_source
from service.runs.service import ingest as run


def ingest(
    *,
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders or globs of Hubble JSON (plain, .gz, .zst); '-' is standard input."
        ),
    ],
    cluster: Annotated[
        str | None,
        typer.Option(help="Cluster to keep the flows under, whatever they say; else the one that they name."),
    ] = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Read Hubble flows into the observation store; nothing is counted twice."""
    if "-" in paths and sys.stdin.isatty():
        raise BadInputError("'-' reads standard input, and that is a terminal: pipe flows into it")
    with portolan_for(data_dir, config, log_format) as portolan, reading_progress("ingest") as progress:
        report = run(
            portolan,
            paths,
            cluster=cluster,
            start=Start("cli", PATIENCE),
            stdin=sys.stdin.buffer if "-" in paths else None,
            progress=progress,
        )
    for warning in report.warnings:
        say(f"note: {warning}")
    result = report.as_json()
    if output is OutputFormat.JSON:
        print_json(result)
    else:
        print_ingest(result)


def print_ingest(result: Mapping[str, Any]) -> None:
    """Say how many of what were read, and what became of the rest."""
    print_text(
        f"{result['records']:,} records in {len(result['files']):,} files: "
        f"{result['accepted']:,} flows accepted, {sum(result['skipped'].values()):,} other records skipped, "
        f"{sum(result['rejected'].values()):,} rejected, {result['duplicates']:,} seen before"
    )
    for title in ("skipped", "rejected"):
        for reason, count in sorted(result[title].items(), key=lambda item: (-item[1], item[0])):
            print_text(f"  {title:<9}{count:>12,}  {reason}")
    if result["lost_events"]:
        print_text(f"  lost     {result['lost_events']:>12,}  events the agents could not deliver")


@contextmanager
def asked_to_stop(*, gently: bool) -> Iterator[threading.Event]:
    """
    Turn the first Ctrl-C into an event, to be answered between two pulls.

    An exception in the middle of one may arrive inside a library that swallows it. The second Ctrl-C
    interrupts at once, and so does the first one unless ``gently``.
    """
    stop = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set() or not gently:
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def pull(
    *,
    sources: Annotated[
        list[str] | None, typer.Argument(help="Names of configured sources; all of them by default.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep pulling until interrupted.")] = False,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Read what the configured sources have that was not read before."""
    with portolan_for(data_dir, config, log_format) as portolan, asked_to_stop(gently=follow) as stop:
        chosen = chosen_sources(portolan, sources or [])
        due = dict.fromkeys((source.name for source in chosen), 0.0)
        while True:
            results = []
            for source in chosen:
                if time.monotonic() < due[source.name]:
                    continue
                try:
                    with reading_progress("pull") as progress:
                        done = pull_source(portolan, source, start=Start("cli", PATIENCE), progress=progress)
                except ConflictError:
                    if not follow:
                        raise
                    continue  # another run reads now; the next turn comes soon
                due[source.name] = time.monotonic() + source.interval.total_seconds()
                results.append(dict(done.counts))
            if results and not follow:
                _print_pull(results, output)
                return
            if stop.wait(max(0.2, min(due.values()) - time.monotonic()) if follow else 0):
                raise KeyboardInterrupt


def _print_pull(results: list[dict[str, Any]], output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json({"sources": results})
        return
    columns = ("source", "files", "records", "accepted", "skipped", "rejected", "duplicates", "lost_events")
    print_table(columns, [[row[column] for column in columns] for row in results], right=range(1, 8))
    if not any(row["records"] for row in results):
        say("nothing new")
