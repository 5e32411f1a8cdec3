"""``portolan drift``: what no longer fits between last night's traffic and the deployed policies."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from models.domain.confidence import percent_text
from service.commands.options import (
    ConfigFile,
    DataDir,
    LogFormatOption,
    parse_length,
    parse_time,
    portolan_for,
)
from service.commands.output import print_block, print_json, print_table, print_text
from service.drift.render import html, markdown, nights_of
from service.drift.service import DriftOptions, Told, report_drift

#: A person at a terminal rather waits for a report that is under way than to be turned away.
PATIENCE = timedelta(minutes=10)


class DriftFormat(StrEnum):
    """How the report looks."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def drift(
    *,
    policies: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>", help="Files or folders of deployed policies; may be given more than once."
        ),
    ] = None,
    from_cluster: Annotated[
        bool, typer.Option("--from-cluster", help="Read them from the cluster that kubectl would speak to.")
    ] = False,
    cluster: Annotated[str | None, typer.Option(help="Cluster whose observations count.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="End of the night (ISO 8601, UTC).",
            show_default="now; the newest observation where that is days old",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Length of the night, as in 24h.", show_default="as configured: 24h")
    ] = None,
    record: Annotated[
        bool | None,
        typer.Option(
            "--record/--no-record",
            help="Keep the report, the life of its findings and a snapshot of the policies.",
            show_default="kept with --from-cluster and configured policies, not with --policies",
        ),
    ] = None,
    output: Annotated[
        DriftFormat, typer.Option("--format", help="Form of the report on standard output.")
    ] = DriftFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Compare last night's flows with the deployed policies: what is blocked, odd, unused, changed, open."""
    options = DriftOptions(
        cluster,
        tuple(policies or ()),
        from_cluster,
        parse_time(as_of),
        parse_length(since),
        record=not policies if record is None else record,
    )
    with portolan_for(data_dir, config, log_format) as portolan:
        told = report_drift(portolan, options, trigger="cli", wait=PATIENCE)
        match output:
            case DriftFormat.JSON:
                print_json(told.to_json())
            case DriftFormat.MARKDOWN:
                print_block(markdown(told).rstrip("\n"))
            case DriftFormat.HTML:
                print_block(html(told.to_json(), nights_of(portolan, told.report.cluster)).rstrip("\n"))
            case DriftFormat.TABLE:
                print_report(told)


def print_report(told: Told) -> None:
    """The report as a table, worst first."""
    form = told.to_json()
    summary: dict[str, Any] = form["summary"]
    print_text(
        f"{form['cluster']}: {form['window']['start']} to {form['window']['end']}, "
        f"coverage {form['coverage']['state']}"
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["by_kind"].items() if count)
    print_text(f"findings: {summary['findings']}{f' ({kinds})' if kinds else ''}")
    if form["findings"]:
        print_text()
        print_table(
            ("severity", "kind", "state", "sure", "what", "what to do"),
            [
                (
                    finding["severity"],
                    finding["kind"],
                    finding["news"] or finding["state"],
                    percent_text(finding["confidence"]),
                    finding["why"],
                    (finding["suggestion"] or {}).get("text", ""),
                )
                for finding in form["findings"]
            ],
            right=(3,),
        )
    for note in summary["notes"]:
        print_text(f"note: {note}")
