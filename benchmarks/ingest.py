"""
Speed and memory of an ingest, as ratios within one run.

For each set of flows (``generate``): a bare DuckDB scan that projects the same fields and counts by
hour, and an ingest from the file to committed tables. Each is measured in a process of its own, in
turns, and the best of the turns counts: what is compared is the work, not the neighbours.

    python benchmarks/ingest.py --flows 4000000
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SETS = ("repetitive", "varied")
#: Targets: rate against the bare scan, flows a second on two cores, peak memory.
MIN_RATIO, MIN_RATE, MAX_RSS_MB = 0.5, 250_000, 2048


def bare_scan(path: Path) -> int:
    """Read every field that an ingest reads, count by hour, keep nothing."""
    import duckdb  # noqa: PLC0415 - in the child only, so that the parent costs it nothing

    from jobs.sources import columns  # noqa: PLC0415

    with duckdb.connect() as con:
        con.execute("SET threads = 2; SET enable_progress_bar = false")
        fields = ", ".join(f'count("{field.name}")' for field in columns.FIELDS)
        lines = (
            f"read_json('{path}', format='newline_delimited', ignore_errors=true,"
            f" columns={_columns(json.loads(columns.structure(bare=False, typed=True)))})"
        )
        hours = con.execute(
            f"SELECT substr(inner_time, 1, 13) AS hour, count(*), {fields}"
            f" FROM (SELECT {columns.plain_select()} FROM {lines}) GROUP BY hour"
        ).fetchall()
    return sum(int(row[1]) for row in hours)


def _columns(tree: dict[str, Any]) -> str:
    """Give the ``columns`` argument of ``read_json`` for a nested type."""

    def nested(value: dict[str, Any] | str) -> str:
        if isinstance(value, str):
            return value
        members = ", ".join(f'"{key}" {nested(inner)}' for key, inner in value.items())
        return f"STRUCT({members})"

    return "{" + ", ".join(f"'{key}': '{nested(value)}'" for key, value in tree.items()) + "}"


def full_ingest(path: Path) -> int:
    """Ingest into an empty store."""
    from jobs.ingest import run_ingest  # noqa: PLC0415
    from jobs.observations.store import ObservationStore  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return run_ingest([str(path)], store=ObservationStore(Path(folder))).accepted


WORK = {"bare": bare_scan, "ingest": full_ingest}


def child(what: str, path: Path) -> None:
    """Do one measurement and print it; importing is not part of it."""
    sys.path.insert(0, str(ROOT))
    import duckdb  # noqa: F401, PLC0415

    import jobs.ingest  # noqa: F401, PLC0415

    began = time.perf_counter()
    flows = WORK[what](path)
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime
    print(json.dumps({"flows": flows, "seconds": seconds, "cpu": cpu, "rss_mb": usage.ru_maxrss / 1024}))


def measure(what: str, path: Path) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", what, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S603 - ourselves
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(flows: int = 4_000_000, turns: int = 2, seed: int = 1, folder: Path | None = None) -> dict[str, Any]:
    """Measure both sets and return the figures."""
    spec = importlib.util.spec_from_file_location(
        "portolan_generate", Path(__file__).with_name("generate.py")
    )
    if spec is None or spec.loader is None:
        raise FileNotFoundError("benchmarks/generate.py")
    generate = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = generate
    spec.loader.exec_module(generate)
    results: dict[str, Any] = {}
    for name in SETS:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            path = Path(place) / f"{name}.jsonl"
            generate.write(path, generate.PROFILES[name], flows, seed)
            size = path.stat().st_size
            bare, ingest = [], []
            for _ in range(turns):
                bare.append(measure("bare", path))
                ingest.append(measure("ingest", path))
        results[name] = _figures(flows, size, bare, ingest)
    return {"flows": flows, "seed": seed, "sets": results}


def _figures(
    flows: int, size: int, bare: list[dict[str, float]], ingest: list[dict[str, float]]
) -> dict[str, Any]:
    scan, work = min(turn["seconds"] for turn in bare), min(turn["seconds"] for turn in ingest)
    rss = max(turn["rss_mb"] for turn in ingest)
    return {
        "bytes_per_flow": round(size / flows),
        "bare_flows_per_second": round(flows / scan),
        "ingest_flows_per_second": round(flows / work),
        "ratio": round(scan / work, 3),
        "cpu_ratio": round(min(turn["cpu"] for turn in bare) / min(turn["cpu"] for turn in ingest), 3),
        "peak_rss_mb": round(rss),
        "all_accepted": all(turn["flows"] == flows for turn in ingest),
        "meets_targets": scan / work >= MIN_RATIO and flows / work >= MIN_RATE and rss <= MAX_RSS_MB,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flows", type=int, default=4_000_000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the flows are written (about 1.5 KB each)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "PATH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    results = run(given.flows, given.turns, given.seed, given.folder)
    if given.format == "json":
        print(json.dumps(results, indent=2))
        return
    print(f"{given.flows:,} flows; targets: ratio {MIN_RATIO}, {MIN_RATE:,}/s, {MAX_RSS_MB} MB")
    for name, figures in results["sets"].items():
        print(f"\n{name}")
        for what, value in figures.items():
            print(f"  {what:26} {value:,}" if isinstance(value, int) else f"  {what:26} {value}")


if __name__ == "__main__":
    main()
