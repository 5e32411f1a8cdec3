"""``portolan evaluate``: quality on worlds with known truth."""

import math
import os
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import structlog
import typer

from jobs.evaluation.document import figures_text, updated
from jobs.evaluation.drift_tables import run_worlds, section, tables
from jobs.evaluation.drift_tables import updated as with_section
from jobs.evaluation.parameters import one_of_each, world_list
from jobs.evaluation.protocol import run_plans, standard_plans
from jobs.evaluation.summary import summarise
from jobs.evaluation.tables import detail_tables, score_table
from jobs.evaluation.targets import scorecard
from models.errors import BadInputError, UnsupportedError
from service.commands.options import ConfigFile, DataDir, LogFormatOption, settings_for
from service.commands.output import print_block, print_json, print_table, print_text, say

#: Of a source checkout; an installed wheel has no such folder.
DOCUMENTS: Final = Path(__file__).resolve().parents[2] / "docs"
#: Processes by default; each holds one world.
MAX_WORKERS: Final = 2

log = structlog.get_logger()


class WorldList(StrEnum):
    """Which worlds are run."""

    TUNE = "tune"
    REPORT = "report"


class EvaluationFormat(StrEnum):
    """How the figures look."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def evaluate(
    *,
    worlds: Annotated[
        WorldList, typer.Option(help="Worlds that thresholds may be tuned on, or those never used for it.")
    ] = WorldList.REPORT,
    drift: Annotated[
        bool,
        typer.Option("--drift", help="Measure drift reports instead, over nights with planted changes."),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One small world, in seconds.")] = False,
    output: Annotated[
        EvaluationFormat, typer.Option("--format", help="Form of the result on standard output.")
    ] = EvaluationFormat.TABLE,
    write: Annotated[
        bool, typer.Option("--write", help="Put the figures into docs/evaluation.md of a source checkout.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="<number>", help="Worlds at a time.", show_default="up to 2 cores"),
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Measure proposals on worlds with known truth, beside floors, targets and the exact allow-list."""
    settings_for(data_dir, config, log_format)
    which = "quick" if quick else worlds.value
    if write and which != WorldList.REPORT.value:
        raise BadInputError("--write is for the reporting worlds: leave out --quick and --worlds tune")
    if write and not DOCUMENTS.is_dir():
        raise UnsupportedError("docs/ comes with a source checkout, and this is an installed package")
    if drift:
        _evaluate_drift(which, output, workers, write=write)
        return
    plans = standard_plans(which)
    started = time.monotonic()
    count = workers or min(MAX_WORKERS, os.cpu_count() or 1, len(plans))
    summary = summarise(run_plans(plans, count, _progress))
    seconds = time.monotonic() - started
    figures = figures_text(summary, world_list(which), which)
    if write:
        _write(DOCUMENTS / "evaluation.md", figures)
    match output:
        case EvaluationFormat.JSON:
            print_json({"worlds": which, "seconds": round(seconds, 1), **_json(summary)})
        case EvaluationFormat.MARKDOWN:
            print_block(figures)
        case _:
            for table in (score_table(summary), *detail_tables(summary)):
                print_text(table.title)
                print_table(table.headers, table.rows)
                print_text()
    say(f"{len(plans)} worlds in {seconds:.0f} s")


def _evaluate_drift(which: str, output: EvaluationFormat, workers: int | None, *, write: bool) -> None:
    """Plant changes, report on every night, and say what was found and what was wrong."""
    worlds = one_of_each(which)
    count = workers or min(MAX_WORKERS, os.cpu_count() or 1, len(worlds))
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)
    found = tables(run_worlds(worlds, count, _progress))
    text = section(found)
    if write:
        page = DOCUMENTS / "evaluation.md"
        _replace(page, with_section(page.read_text(encoding="utf-8") if page.exists() else "", text))
    match output:
        case EvaluationFormat.JSON:
            rows = {
                one.title: [dict(zip(one.headers, row, strict=True)) for row in one.rows] for one in found
            }
            print_json({"worlds": which, **rows})
        case EvaluationFormat.MARKDOWN:
            print_block(text)
        case _:
            for table in found:
                print_text(table.title)
                print_table(table.headers, table.rows)
                print_text()
    say(f"{len(worlds)} worlds in {time.monotonic() - started:.0f} s")


def _interrupt(_number: int, _frame: object) -> None:
    """A run that is ended from outside says so, as one that is ended at the keyboard does."""
    raise KeyboardInterrupt


def _progress(done: int, total: int) -> None:
    log.info("evaluate.progress", worlds=done, of_worlds=total)


def _write(path: Path, figures: str) -> None:
    """Replace the figures in the page; a page that is half written is never seen."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    _replace(path, updated(before, figures))


def _replace(path: Path, text: str) -> None:
    """Write a page at once."""
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _json(summary: pd.DataFrame) -> dict[str, Any]:
    """Score card and figures without NaN, which JSON does not know."""
    return {
        name: [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]
        for name, frame in (("scorecard", scorecard(summary)), ("figures", summary))
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
