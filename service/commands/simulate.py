"""``portolan simulate``: what policies would do with flows, or with cases whose answer is known."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from jobs.flow_records import FlowRecords
from jobs.simulate import FlowAnswer, Totals, load_policies, simulate_cases, simulate_flows
from models.domain.agent import AgentConfig
from models.errors import BadInputError
from service.commands.options import (
    CiliumVersion,
    ConfigFile,
    DataDir,
    LogFormatOption,
    chosen_release,
    settings_for,
)
from service.commands.output import clean, print_table, print_text, say
from service.errors import EXIT_FAILED

#: Lines of a table that a person reads; the counts below it are of everything.
MAX_ROWS: Final = 200


class SimulateFormat(StrEnum):
    """How the answers look."""

    TABLE = "table"
    JSONL = "jsonl"


def simulate(
    *,
    policies: Annotated[
        list[Path] | None, typer.Option(help="Files or folders of policies; may be given more than once.")
    ] = None,
    flows: Annotated[
        list[str] | None,
        typer.Option(help="Files, folders or globs of Hubble JSON, as for ingest; '-' reads a pipe."),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="JSON lines of cases: policies, one flow, and an id each.")
    ] = None,
    cilium_version: CiliumVersion = None,
    output: Annotated[
        SimulateFormat | None,
        typer.Option("--format", help="Form of the answers.", show_default="table; jsonl for --cases"),
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say, flow by flow, which verdict policies give and which rule decides."""
    settings = settings_for(data_dir, config, log_format)
    release = chosen_release(cilium_version, settings)
    if cases is not None:
        if policies or flows:
            raise BadInputError("--cases brings its own policies and flows: leave the other options out")
        _answer_cases(cases, release, output or SimulateFormat.JSONL)
    elif policies and flows:
        _answer_flows(policies, flows, release, output or SimulateFormat.TABLE)
    else:
        raise BadInputError("name --policies and --flows, or --cases")


def _answer_cases(path: Path, cilium_version: str, output: SimulateFormat) -> None:
    answers = simulate_cases(path, cilium_version)
    if output is SimulateFormat.JSONL:
        for answer in answers:
            _print_line(asdict(answer))
    else:
        print_table(("id", "verdict"), [(answer.id, answer.verdict) for answer in answers])


def _answer_flows(
    policies: list[Path], flows: list[str], cilium_version: str, output: SimulateFormat
) -> None:
    """Answer flow by flow; exit 1 when the policies would deny what works today."""
    if "-" in flows and sys.stdin.isatty():
        raise BadInputError("'-' reads standard input, and that is a terminal: pipe flows into it")
    loaded = load_policies(policies, AgentConfig(cilium_version=cilium_version))
    if not loaded.sources and not loaded.rejected:
        raise BadInputError(f"no policy in {', '.join(map(str, policies))}")
    for rejected in loaded.rejected:
        say(f"note: a cluster would refuse {rejected}")
    records = FlowRecords(flows)
    totals, shown = Totals(), list[FlowAnswer]()
    for answer in simulate_flows(loaded, records, cilium_version=cilium_version):
        totals.add(answer)
        if output is SimulateFormat.JSONL:
            _print_line(asdict(answer) | {"breaks": answer.breaks})
        elif answer.verdict != "skipped":
            shown = _worth_showing(shown, answer)
    _say_unread(records)
    if not totals.flows and records.unread:
        raise BadInputError("none of the flows could be read")
    if output is SimulateFormat.TABLE:
        print_table(
            ("flow", "what", "verdict", "seen", "because"),
            [(one.number, one.about, one.verdict, one.hubble, _because(one)) for one in shown],
        )
        print_text()
    _print_totals(totals, output, len(shown))
    if totals.breaks:
        raise typer.Exit(EXIT_FAILED)


def _worth_showing(shown: list[FlowAnswer], answer: FlowAnswer) -> list[FlowAnswer]:
    """The first answers; what would break takes the place of what would not."""
    if len(shown) < MAX_ROWS:
        return [*shown, answer]
    calm = next((at for at in reversed(range(MAX_ROWS)) if not shown[at].breaks), None)
    if not answer.breaks or calm is None:
        return shown
    return [*shown[:calm], *shown[calm + 1 :], answer]


def _say_unread(records: FlowRecords) -> None:
    for place in records.named:
        say(f"note: not read: {place}")
    if rest := records.unread.total() - len(records.named):
        say(f"note: and {rest} more lines that could not be read")
    for name in records.left_out:
        say(f"note: left out, not flow data by its name: {name}")


def _print_totals(totals: Totals, output: SimulateFormat, shown: int) -> None:
    """Totals below the table, or beside the lines on standard error."""
    write = print_text if output is SimulateFormat.TABLE else say
    asked = totals.flows - totals.verdicts["skipped"]
    if output is SimulateFormat.TABLE and asked > shown:
        write(f"{asked - shown:,} more flows are not shown")
    verdicts = ", ".join(
        f"{totals.verdicts[verdict]:,} {word}"
        for verdict, word in (("allow", "allowed"), ("deny", "denied"), ("unknown", "not decidable"))
    )
    write(f"{totals.flows:,} records: {verdicts}, {totals.verdicts['skipped']:,} ask nothing of policy")
    for reason, count in sorted(totals.skipped.items(), key=lambda item: (-item[1], item[0])):
        write(f"  skipped {count:>10,}  {reason}")
    if totals.denied_as_observed or totals.denied_but_allowed_here:
        write(
            f"Hubble saw policy deny {totals.denied_as_observed + totals.denied_but_allowed_here:,} of them: "
            f"{totals.denied_as_observed:,} are denied here too, {totals.denied_but_allowed_here:,} allowed"
        )
    if totals.breaks:
        write(f"{totals.breaks:,} flows that work today would be denied")


def _because(answer: FlowAnswer) -> str:
    return "; ".join(answer.rules) or answer.reason


def _print_line(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(clean(dict(answer))) + b"\n")
