"""``portolan demo``: the main job on ``sample_data/``, from files to policies, and one night of drift."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.rule import Rule

from models.errors import TooLittleEvidenceError
from models.manifest.render import to_yaml
from service.commands import sample
from service.commands.drift import print_report
from service.commands.ingest import print_ingest
from service.commands.options import ConfigFile, LogFormatOption, portolan_for
from service.commands.output import console, print_block, print_table, print_text, reading_progress
from service.commands.serve import run_server
from service.proposals import repository, views
from service.proposals.repository import ProposalFilter
from service.wiring import Portolan

DATA_DIR: Final = Path(".demo")
#: Policies shown in full; the rest is a command away.
EXAMPLES: Final = 3
#: Longer ones teach nothing more on a screen.
EXAMPLE_LINES: Final = 70


def demo(
    once: Annotated[bool, typer.Option("--once", help="Do everything except keep serving.")] = False,
    port: Annotated[
        int | None,
        typer.Option(help="Port to serve on.", metavar="<number>", min=0, max=65535, show_default="8000"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for observations and review state.", show_default=".demo")
    ] = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Load sample_data, propose, show some policies, report one night of drift, and serve; uses .demo."""
    sample.require_sample()
    with portolan_for(data_dir or DATA_DIR, config, log_format) as portolan:
        where = portolan.settings.data_dir
        _heading("Reading sixteen days of flows of a small AKS cluster")
        with reading_progress("ingest") as progress:
            report = sample.read(portolan, sample.FLOWS, progress)
        print_ingest(report.as_json())
        _heading("Proposing a policy for every workload")
        sample.propose(portolan)
        _show(portolan)
        _heading("Two days later: what no longer fits what was deployed")
        _show_night(portolan)
        _heading("Next")
        print_text(f"portolan proposals --data-dir {where}")
        print_text(f"portolan show shop/api --data-dir {where}")
        print_text(f'portolan review monitoring/grafana approve --reason "looks right" --data-dir {where}')
        print_text(f"portolan export --out policies --data-dir {where}")
        if not once:
            print_text("the report of the night is at /drift, the proposals at /")
            print_text()
            run_server(portolan, host=None, port=port, scheduler=False)


def _show_night(portolan: Portolan) -> None:
    approved = sample.approve(portolan)
    with reading_progress("ingest") as progress:
        sample.read(portolan, sample.NIGHT_FLOWS, progress)
    print_text(
        f"the {approved} policies of {' and '.join(sample.APPROVED)} were approved and rolled out, and then:"
    )
    print_text()
    print_report(sample.report_nights(portolan))


def _heading(text: str) -> None:
    out = console()
    out.print()
    out.print(Rule(text, align="left"))


def _show(portolan: Portolan) -> None:
    with portolan.database.read() as session:
        rows = repository.list_proposals(session, ProposalFilter())
        if not rows:
            raise TooLittleEvidenceError("the sample data gave no proposal")
        found = [views.detail(session, row) for row in rows]
    rules = sum(len(one["rules"]) for one in found)
    flagged = sum(row.flagged_count for row in rows)
    # a former demo may have rejected rules of what is proposed no more: their replay has no counts
    replays = [one["backtest"] for one in found if one["backtest"] and "reason" not in one["backtest"]]
    checked = sum(replay["checked"] for replay in replays)
    admitted = sum(replay["admitted"] for replay in replays)
    left_out = sum(len(one["left_out"]) for one in found)
    print_text(f"{len(found)} proposals with {rules} rules, {flagged} of them for a person to look at")
    print_text(f"replayed against the window: {admitted:,} of {checked:,} edge-days that worked are admitted")
    print_text(f"{left_out} kinds of traffic were seen and not allowed: refused, unanswered, scans, odd ones")
    print_text()
    print_table(
        ("namespace", "selects", "maturity", "rules", "to review", "not allowed"),
        [
            (
                row.namespace,
                row.workloads,
                row.maturity,
                row.rule_count,
                row.flagged_count or "",
                len(one["left_out"]) or "",
            )
            for row, one in zip(rows, found, strict=True)
        ],
        right=(3, 4, 5),
    )
    for one in _examples(found):
        _heading(f"{one['namespace']}/{one['name']}")
        print_block(to_yaml(one["manifest"]).rstrip())


def _examples(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Policies that show the most kinds of peers in a length that fits a screen."""
    short = [
        one
        for one in found
        if one["manifest"] is not None and to_yaml(one["manifest"]).count("\n") <= EXAMPLE_LINES
    ]

    def rank(one: dict[str, Any]) -> tuple[int, int, str, str]:
        kinds = {(rule["direction"], rule["peer"]["kind"]) for rule in one["rules"]}
        return -len(kinds), len(one["rules"]), one["namespace"], one["name"]

    return sorted(short, key=rank)[:EXAMPLES]
