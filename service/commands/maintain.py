"""``portolan maintain``: what the nightly job does, by hand."""

from enum import StrEnum
from typing import Annotated

import typer

from service.commands.options import (
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    portolan_for,
)
from service.commands.output import print_json, print_text
from service.runs.service import PATIENCE, Start, claim_maintain, perform_maintain


class Task(StrEnum):
    """What to do."""

    ALL = "all"
    COMPACT = "compact"
    RETAIN = "retain"


def maintain(
    *,
    task: Annotated[
        Task, typer.Argument(help="Merge small files, forget what is past its retention, or both.")
    ] = Task.ALL,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Compact the observation store and remove what is older than its retention."""
    with portolan_for(data_dir, config, log_format) as portolan:
        result = perform_maintain(
            portolan,
            claim_maintain(portolan, Start("cli", PATIENCE)),
            do_compact=task is not Task.RETAIN,
            do_retain=task is not Task.COMPACT,
        )
    if output is OutputFormat.JSON:
        print_json({"run": result.run_id, **result.counts})
        return
    for name, value in result.counts.items():
        print_text(f"{name}: {value}")
