"""``portolan simulate``: what policies would do with flows, or with cases whose answer is known."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from jobs.flow_records import FlowRecords
from jobs.policy_files import read_objects
from jobs.simulate import FlowAnswer, Totals, compare_flows, simulate_cases, simulate_flows
from models.domain.policy import PolicySet
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.simulation.backtest import replay_seen
from models.simulation.comparison import compare_seen
from models.simulation.seen import SeenWindow
from service.commands.compared import print_comparison
from service.commands.options import (
    AsOf,
    CiliumVersion,
    ClusterOption,
    ConfigFile,
    DataDir,
    InPlaceOfFiles,
    LogFormatOption,
    PolicyFiles,
    StateOption,
    chosen_release,
    parse_length,
    parse_time,
    settings_for,
)
from service.commands.output import clean, print_table, print_text, say
from service.commands.replayed import name_refused, print_backtest
from service.errors import EXIT_FAILED
from service.simulation.service import observed_cluster, seen_in_window, stored_policies
from service.wiring import Portolan, open_portolan

#: Lines of a table that a person reads; the counts below it are of everything.
MAX_ROWS: Final = 200


class SimulateFormat(StrEnum):
    """How the answers look."""

    TABLE = "table"
    JSONL = "jsonl"


def simulate(
    *,
    policies: PolicyFiles = None,
    flows: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<path>", help="Files, folders or globs of Hubble JSON, as for ingest; '-' reads a pipe."
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="JSON lines of cases: policies, one flow, and an id each.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="Files or folders of the policies of today: say only what would change from them.",
        ),
    ] = None,
    state: InPlaceOfFiles = None,
    window: Annotated[
        str | None, typer.Option(help="Without --flows: how far back the stored observations go, as in 14d.")
    ] = None,
    as_of: AsOf = None,
    cluster: ClusterOption = None,
    cilium_version: CiliumVersion = None,
    output: Annotated[
        SimulateFormat | None,
        typer.Option("--format", help="Form of the answers.", show_default="table; jsonl for --cases"),
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say, flow by flow, which verdict policies give and which rule decides; or what would change."""
    settings = settings_for(data_dir, config, log_format)
    release = chosen_release(cilium_version, settings)
    form = output or (SimulateFormat.TABLE if cases is None else SimulateFormat.JSONL)
    if cases is not None:
        if policies or flows or state or window or against:
            raise BadInputError("--cases brings its own policies and flows: leave the other options out")
        _answer_cases(cases, release, form)
        return
    if bool(policies) == (state is not None):
        raise BadInputError("name --policies or --state, with --flows or --window; or --cases alone")
    if flows and (window or as_of):
        raise BadInputError("--flows brings the flows along: leave --window and --as-of out")
    today = None if against is None else read_objects(against)
    lines = form is SimulateFormat.JSONL
    if policies and flows:
        # No store is needed, and none is made.
        breaks = _with_flows(read_objects(policies), today, flows, release, form)
    else:
        with open_portolan(settings) as portolan:
            observed = observed_cluster(portolan, cluster)
            objects = read_objects(policies) if policies else _stored(portolan, observed.name, state, release)
            if flows:
                breaks = _with_flows(objects, today, flows, release, form)
            else:
                seen = seen_in_window(
                    portolan,
                    cluster=observed,
                    as_of=parse_time(as_of),
                    window=parse_length(window),
                    cilium_version=release,
                )
                breaks = _with_window(seen, objects, today, lines=lines)
    if breaks:
        raise typer.Exit(EXIT_FAILED)


def _with_flows(
    objects: Sequence[Mapping[str, Any]],
    today: Sequence[Mapping[str, Any]] | None,
    flows: list[str],
    release: str,
    form: SimulateFormat,
) -> int:
    """Answer about flows of files; gives how many of them the policies would break."""
    loaded = parse_objects(list(objects), cilium_version=release)
    if "-" in flows and sys.stdin.isatty():
        raise BadInputError("'-' reads standard input, and that is a terminal: pipe flows into it")
    if today is None:
        return _answer_flows(loaded, flows, release, form)
    before = _loaded_before(today, cilium_version=release)
    name_refused(loaded)
    records = FlowRecords(flows)
    found = compare_flows(before, loaded, records, cilium_version=release)
    _say_unread(records)
    if not found.compared and records.unread:
        raise BadInputError("none of the flows could be read")
    print_comparison(found, lines=form is SimulateFormat.JSONL)
    return found.breaks


def _with_window(
    seen: SeenWindow,
    objects: Sequence[Mapping[str, Any]],
    today: Sequence[Mapping[str, Any]] | None,
    *,
    lines: bool,
) -> int:
    """Answer about stored observations; gives how much of them the policies would break."""
    loaded = parse_objects(list(objects), config=seen.config)
    if today is None:
        _check_loaded(loaded)
        found = replay_seen(seen, loaded)
        print_backtest(found, lines=lines)
        return found.denied_legitimate + found.requests_denied_legitimate
    compared = compare_seen(seen, _loaded_before(today, config=seen.config), loaded)
    name_refused(loaded)
    print_comparison(compared, lines=lines)
    return compared.breaks


def _loaded_before(today: Sequence[Mapping[str, Any]], **how: Any) -> PolicySet:
    """The policies of today; an empty set is a fine starting point, one that is refused is named."""
    before = parse_objects(list(today), **how)
    name_refused(before, "today's ")
    return before


def _stored(
    portolan: Portolan, cluster: str, state: StateOption | None, release: str
) -> list[Mapping[str, Any]]:
    with portolan.database.read() as session:
        return stored_policies(
            session,
            cluster=cluster,
            approved_only=state is StateOption.APPROVED,
            cilium_version=release,
        )


def _check_loaded(loaded: PolicySet) -> None:
    """Refuse to simulate nothing, and name what a cluster would refuse."""
    name_refused(loaded)
    if not loaded.sources and not loaded.rejected:
        raise BadInputError("there is no policy to simulate")


def _answer_cases(path: Path, cilium_version: str, output: SimulateFormat) -> None:
    answers = simulate_cases(path, cilium_version)
    if output is SimulateFormat.JSONL:
        for answer in answers:
            _print_line(asdict(answer))
    else:
        print_table(("id", "verdict"), [(answer.id, answer.verdict) for answer in answers])


def _answer_flows(loaded: PolicySet, flows: list[str], cilium_version: str, output: SimulateFormat) -> int:
    """Answer flow by flow; gives how many the policies would deny that work today."""
    _check_loaded(loaded)
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
    return totals.breaks


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
