"""
The batch's plan as DuckDB's SQL, compiled when the expressions change and not when a program starts.

Compiling takes a second, and so does importing what compiles: as long as ingesting some hundred thousand
flows. ``python -m jobs.observations.compiled`` writes the file anew; a test holds it to the expressions,
in a process of its own, for the names of subqueries depend on what a process compiled before.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("batch.duckdb.json")
STAGES, RESULTS = "stages", "results"


@cache
def compiled() -> tuple[dict[str, str], dict[str, str]]:
    """SQL of the stages, in the order they need each other, and of the results."""
    held = json.loads(FILE.read_text(encoding="utf-8"))
    return held[STAGES], held[RESULTS]


def compile_plan() -> str:
    """Content of the file."""
    from jobs.observations.plan import batch_plan  # noqa: PLC0415 - what this module is there to avoid

    stages, results = batch_plan().compiled("duckdb")
    return json.dumps({STAGES: stages, RESULTS: results}, indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(FILE.read_text(encoding="utf-8") != compile_plan())
    FILE.write_text(compile_plan(), encoding="utf-8")
