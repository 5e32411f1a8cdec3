"""``portolan quarantine`` and ``portolan verdict``."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from models.errors import BadInputError, NotFoundError
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
from service.commands.output import print_json, print_text, say
from service.db.tables import QuarantineRow
from service.quarantine import bulk, repository, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import DEFAULT_DAYS, EntryState, Verdict
from service.wiring import Portolan

Workload = Annotated[str | None, typer.Option(help="All of this workload.")]
Peer = Annotated[str | None, typer.Option(help="All whose other side (its title) contains this text.")]


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
    workload: Workload = None,
    peer: Peer = None,
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
        wanted = QuarantineFilter(cluster, namespace, state, reason, workload, peer)
        entries = [views.entry(row, now) for row in repository.list_entries(session, wanted, now=now)]
    if output is OutputFormat.JSON:
        print_json({"quarantine": entries})
    elif entries:
        print_entries(entries)
    else:
        print_text("nothing fits: what looks odd is held back by 'portolan infer', after a week of flows")


def verdict(
    *,
    entries: Annotated[
        list[str] | None, typer.Argument(help="Ids of entries, or their beginnings; or say which below.")
    ] = None,
    decision: Annotated[Verdict, typer.Argument(help="What you decide.")],
    reason: Annotated[str, typer.Option(help="Why; needed to admit and to confirm as unwanted.")] = "",
    days: Annotated[
        int | None,
        typer.Option(help="later: days after which it asks again.", show_default=str(DEFAULT_DAYS)),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Who decides.", show_default="the name of this account")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="All of this cluster.")] = None,
    namespace: Annotated[str | None, typer.Option(help="All of this namespace.")] = None,
    workload: Workload = None,
    held_for: Annotated[str | None, typer.Option(help="All that is held back for this code.")] = None,
    peer: Peer = None,
    state: Annotated[
        EntryState,
        typer.Option(help="Which of them: those nobody decided on, unless another state is given."),
    ] = EntryState.OPEN,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deciding on several.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Admit what is held back, confirm it as unwanted, ask again later, or reopen it; one or many."""
    request = VerdictRequest(decision, reviewer or account(), reason, days)
    wanted = QuarantineFilter(cluster, namespace, state, held_for, workload, peer)
    with portolan_for(data_dir, config, log_format) as portolan:
        now = portolan.clock()
        with portolan.database.read() as session:
            chosen = _chosen(session, entries or [], wanted, now)
            tags = {row.id: service.etag(row) for row in chosen}
            seen = [views.entry(row, now) for row in chosen]
        if len(entries or []) != 1:
            _ask(seen, decision, yes=yes)
        _decide(portolan, tags, request, now)
    if len(tags) > 1:
        print_text(f"{decision}: {len(tags):,} entries")
    if decision is Verdict.ADMIT:
        what = "it becomes a rule" if len(tags) == 1 else "they become rules"
        print_text(f"{what} with the next inference: 'portolan infer'")


def _decide(portolan: Portolan, tags: Mapping[str, str], request: VerdictRequest, now: datetime) -> None:
    """Decide in as many requests as it takes, and say what was decided, also where one of them fails."""
    decided = 0
    try:
        for part in bulk.requests_of(tags):
            with portolan.database.write() as session:
                done = bulk.decide_many(session, part, request, now=now)
                found = [views.entry(row, now) for row in done.rows]
            decided += len(found)
            for one in found:
                where = f"{one['namespace']}/{one['workload']} {one['direction']}"
                print_text(f"{where} {one['title']}: {one['state']}")
    except BaseException:  # whoever stops it has to know, too
        if decided:
            say(
                f"{decided:,} of {len(tags):,} entries are decided and stay so; "
                "those of the request that failed, and all behind it, are not"
            )
        raise


def _chosen(
    session: Session, entries: Sequence[str], wanted: QuarantineFilter, now: datetime
) -> list[QuarantineRow]:
    """Entries that are named, or that fit the options; never all of them by accident."""
    narrowed = (wanted.cluster, wanted.namespace, wanted.workload, wanted.reason, wanted.peer)
    if entries and any(narrowed):
        raise BadInputError("name entries, or say which by options, not both")
    if entries:
        return list({row.id: row for row in (service.resolve(session, one) for one in entries)}.values())
    if not any(narrowed):
        raise BadInputError(
            "which entries? Name them, or narrow them down by --namespace, --workload, --held-for or --peer"
        )
    found = repository.list_entries(session, wanted, now=now)
    if not found:
        raise NotFoundError("no entry fits: 'portolan quarantine' lists them")
    return found


def _ask(seen: Sequence[Mapping[str, Any]], decision: Verdict, *, yes: bool) -> None:
    """Show what will be decided on, and go on only if whoever sits there agrees."""
    print_entries(seen)
    question = f"{decision} {len(seen):,} {'entry' if len(seen) == 1 else 'entries'}"
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInputError(f"{question}: say --yes to decide on these; nothing was decided")
    typer.confirm(f"{question}?", abort=True)
