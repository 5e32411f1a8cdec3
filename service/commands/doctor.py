"""``portolan doctor``: what is configured, reachable, recorded, missing."""

from dataclasses import asdict

import typer

from service.checkup import examine
from service.commands.options import (
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    portolan_for,
)
from service.commands.output import print_json, print_table
from service.errors import EXIT_FAILED


def doctor(
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say what is configured, reachable, recorded and missing; exit 1 when something is bad."""
    with portolan_for(data_dir, config, log_format) as portolan:
        findings = examine(portolan)
    if output is OutputFormat.JSON:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("", "what", "finding"),
            [(finding.status, finding.subject, finding.detail) for finding in findings],
        )
    if any(finding.status == "bad" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
