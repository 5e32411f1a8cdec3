"""
Every statement of ingest, fold and compaction as DuckDB's SQL, compiled when an expression changes.

Compiling takes some seconds, and so does importing what compiles: as long as ingesting some hundred thousand
flows. ``python -m jobs.observations.compiled`` writes the file anew; a test holds it to the expressions,
in a process of its own, for the names of subqueries depend on what a process compiled before.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("statements.duckdb.json")
STAGES, RESULTS = "stages", "results"
FOLD, FOLD_COLUMNS, MERGE = "fold", "fold_columns", "merge"


@cache
def _held() -> dict[str, dict[str, str]]:
    held: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return held


def compiled() -> tuple[dict[str, str], dict[str, str]]:
    """SQL of a batch: the stages, in the order they need each other, and the results."""
    return _held()[STAGES], _held()[RESULTS]


def fold_statements() -> dict[str, str]:
    """SQL of a fold by name (see ``fold_plan``)."""
    return _held()[FOLD]


def fold_columns() -> dict[str, str]:
    """Columns of the stages of a fold, as the engine declares them."""
    return _held()[FOLD_COLUMNS]


def merge_statements() -> dict[str, str]:
    """SQL by table that merges the partial rows in the view ``rows``."""
    return _held()[MERGE]


def compile_plan() -> str:
    """Content of the file."""
    # Here, for they import what this module is there to avoid.
    from jobs.observations import fold_plan  # noqa: PLC0415
    from jobs.observations.plan import batch_plan, merge_plan  # noqa: PLC0415

    stages, results = batch_plan().compiled("duckdb")
    made: dict[str, Any] = {STAGES: stages, RESULTS: results}
    made |= {FOLD: fold_plan.statements(), FOLD_COLUMNS: fold_plan.columns(), MERGE: merge_plan()}
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(FILE.read_text(encoding="utf-8") != compile_plan())
    FILE.write_text(compile_plan(), encoding="utf-8")
