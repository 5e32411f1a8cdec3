"""``portolan quarantine`` and ``portolan verdict``."""

from typing import Annotated

import typer

from service.commands.held import print_entries, print_entry
from service.commands.options import (
    ConfigFile,
    DataDir,
    Format,
    LogFormatOption,
    OutputFormat,
    account,
    portolan_for,
)
from service.commands.output import print_json, print_text
from service.quarantine import repository, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import DEFAULT_DAYS, EntryState, Verdict


def quarantine(
    *,
    entry: Annotated[
        str | None, typer.Argument(help="Id of an entry (or its beginning), to see all of it.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    state: Annotated[
        EntryState | None, typer.Option(help="Only entries in this state; all of them otherwise.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only what is held back for this code.")] = None,
    output: Format = OutputFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """List what is held back for a person to decide, or show one entry with its evidence."""
    with portolan_for(data_dir, config, log_format) as portolan, portolan.database.read() as session:
        now = portolan.clock()
        if entry is not None:
            found = views.detail(session, service.resolve(session, entry), now)
            print_json(found) if output is OutputFormat.JSON else print_entry(found)
            return
        wanted = QuarantineFilter(cluster, namespace, state, reason)
        entries = [views.entry(row, now) for row in repository.list_entries(session, wanted, now=now)]
    if output is OutputFormat.JSON:
        print_json({"quarantine": entries})
    elif entries:
        print_entries(entries)
    else:
        print_text("nothing fits: what looks odd is held back by 'portolan infer', after a week of flows")


def verdict(
    *,
    entry: Annotated[str, typer.Argument(help="Id of an entry, or its beginning.")],
    decision: Annotated[Verdict, typer.Argument(help="What you decide.")],
    reason: Annotated[str, typer.Option(help="Why; needed to admit and to confirm as unwanted.")] = "",
    days: Annotated[
        int | None,
        typer.Option(help="later: days after which it asks again.", show_default=str(DEFAULT_DAYS)),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Who decides.", show_default="the name of this account")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Admit what is held back, confirm it as unwanted, ask again later, or reopen it."""
    request = VerdictRequest(decision, reviewer or account(), reason, days)
    with portolan_for(data_dir, config, log_format) as portolan, portolan.database.write() as session:
        now = portolan.clock()
        row = service.resolve(session, entry)
        found = views.entry(service.decide(session, row.id, request, now=now), now)
    print_text(
        f"{found['namespace']}/{found['workload']} {found['direction']} {found['title']}: {found['state']}"
    )
    if decision is Verdict.ADMIT:
        print_text("it becomes a rule with the next inference: 'portolan infer'")
