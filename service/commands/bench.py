"""``portolan bench``: speed and memory, measured by the files in ``benchmarks/`` of a source checkout."""

import runpy
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from models.errors import BadInputError, UnsupportedError
from service.commands.options import ConfigFile, DataDir, LogFormatOption, settings_for

#: Beside the packages; an installed wheel has no such folder.
BENCHMARKS: Final = Path(__file__).resolve().parents[2] / "benchmarks"
#: Files there that make input for the others.
HELPERS: Final = frozenset({"__init__", "estate", "generate", "stored"})


def bench(
    *,
    name: Annotated[str | None, typer.Argument(help="Benchmark to run; all by default.")] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed on to the benchmark (after --).")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    log_format: LogFormatOption = None,
) -> None:
    """Measure speed and memory, as ratios within one run."""
    settings_for(data_dir, config, log_format)
    if not BENCHMARKS.is_dir():
        raise UnsupportedError("benchmarks come with a source checkout, and this is an installed package")
    known = {path.stem: path for path in sorted(BENCHMARKS.glob("*.py")) if path.stem not in HELPERS}
    if name is not None and name not in known:
        raise BadInputError(f"no benchmark {name!r}; there are {', '.join(known) or 'none'}")
    for path in [known[name]] if name is not None else known.values():
        saved = sys.argv, list(sys.path)
        sys.argv = [str(path), *(arguments or [])]
        sys.path.insert(0, str(BENCHMARKS.parent))
        try:
            runpy.run_path(str(path), run_name="__main__")
        finally:
            sys.argv, sys.path[:] = saved
