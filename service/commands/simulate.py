"""``portolan simulate``: what policies would do with flows, or with cases whose answer is known."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from jobs.simulate import FlowAnswer, Totals, load_policies, simulate_cases, simulate_flows
from jobs.sources.files import Unpacked, find_files, packing
from models.domain.agent import NEWEST
from models.errors import BadInputError
from service.commands.options import ConfigFile, DataDir, LogFormatOption, settings_for
from service.commands.output import clean, print_table, print_text, say

#: Lines of a table that a person reads; the counts below it are of everything.
MAX_ROWS: Final = 200
_HEAD_BYTES: Final = 16


class SimulateFormat(StrEnum):
    """How the answers look."""

    TABLE = "table"
    JSONL = "jsonl"


@dataclass(slots=True)
class _Unread:
    """Lines that are no JSON object."""

    lines: int = 0


def simulate(
    *,
    policies: Annotated[
        list[Path] | None, typer.Option(help="Files or folders of policies; may be given more than once.")
    ] = None,
    flows: Annotated[
        list[str] | None, typer.Option(help="Files, folders or globs of Hubble JSON lines; '-' reads a pipe.")
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="JSON lines of cases: policies, one flow, and an id each.")
    ] = None,
    cilium_version: Annotated[str, typer.Option(help="Release whose semantics count.")] = NEWEST,
    output: Annotated[
        SimulateFormat, typer.Option("--format", help="Form of the answers.")
    ] = SimulateFormat.TABLE,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Say, flow by flow, which verdict policies give and which rule decides."""
    settings_for(data_dir, config, log_format)
    if cases is not None:
        if policies or flows:
            raise BadInputError("--cases brings its own policies and flows: leave the other options out")
        _answer_cases(cases, cilium_version, output)
    elif policies and flows:
        _answer_flows(policies, flows, output)
    else:
        raise BadInputError("name --policies and --flows, or --cases")


def _answer_cases(path: Path, cilium_version: str, output: SimulateFormat) -> None:
    answers = simulate_cases(path, cilium_version)
    if output is SimulateFormat.JSONL:
        for answer in answers:
            _print_line(asdict(answer))
    else:
        print_table(("id", "verdict"), [(answer.id, answer.verdict) for answer in answers])


def _answer_flows(policies: list[Path], flows: list[str], output: SimulateFormat) -> None:
    loaded = load_policies(policies)
    for rejected in loaded.rejected:
        say(f"note: not read: {rejected}")
    totals, unread, shown = Totals(), _Unread(), list[FlowAnswer]()
    for answer in simulate_flows(loaded, _records(flows, unread)):
        totals.add(answer)
        if output is SimulateFormat.JSONL:
            _print_line(asdict(answer))
        elif answer.verdict != "skipped" and len(shown) < MAX_ROWS:
            shown.append(answer)
    if unread.lines:
        say(f"note: {unread.lines} lines are no JSON object")
    if output is SimulateFormat.TABLE:
        print_table(
            ("flow", "what", "verdict", "seen", "because"),
            [(one.number, one.about, one.verdict, one.hubble, _because(one)) for one in shown],
        )
        print_text(json.dumps(totals.as_dict(), sort_keys=True))


def _because(answer: FlowAnswer) -> str:
    return "; ".join(answer.rules) or answer.reason


def _print_line(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(clean(dict(answer))) + b"\n")


def _records(paths: list[str], unread: _Unread) -> Iterator[Mapping[str, Any]]:
    """Decoded lines of the files, one after the other."""
    found, _ = find_files(paths)
    for path in found:
        if path is None:
            yield from _lines(Unpacked(sys.stdin.buffer, "plain"), unread)
            continue
        with path.open("rb") as stream:
            kind = packing(stream.read(_HEAD_BYTES))
            stream.seek(0)
            content = Unpacked(stream, kind)
            yield from _lines(content, unread)
        if content.damage:
            say(f"note: {path}: {content.damage}")


def _lines(content: Unpacked, unread: _Unread) -> Iterator[Mapping[str, Any]]:
    rest = b""
    for block in content:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield from _decoded(line, unread)
    yield from _decoded(rest, unread)


def _decoded(line: bytes, unread: _Unread) -> Iterator[Mapping[str, Any]]:
    if not line.strip():
        return
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if isinstance(record, dict):
        yield record
    else:
        unread.lines += 1
