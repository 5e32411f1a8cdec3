"""
The time and memory that the real ``portolan infer`` takes on a made-up estate's tables (``estate``).

Writing the tables is not measured. The command runs in a process of its own, from its start to its exit,
on an empty review database and no kept days, or (``nightly``) on what the night before left. Its modules
were compiled before, as they are wherever a command runs for the second time.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.estate import Estate, write
from jobs.observations.store import ObservationStore

MODULES = Path(__file__).resolve().parents[1]


def infer(data_dir: Path, as_of: datetime, days: int) -> dict[str, Any]:
    """Run the command once in a process of its own; what it took and what it counted."""
    command = [sys.executable, "-m", "service.cli", "infer", "--data-dir", str(data_dir), "--format", "json"]
    command += ["--as-of", as_of.isoformat(), "--window", f"{days}d"]
    compiled = {"PYTHONPYCACHEPREFIX": str(data_dir / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = os.environ | compiled
    load = [sys.executable, "-c", "import service.commands.infer"]
    subprocess.run(load, check=True, cwd=MODULES, env=environment)  # noqa: S603 - ourselves
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        # Waited for by hand: only so are time and memory those of this child, and of no other.
        process = subprocess.Popen(command, stdout=out, cwd=MODULES, env=environment)  # noqa: S603 - ourselves
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        out.seek(0)
        counts = json.loads(out.read())
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "counts": counts,
    }


def measure(estate: Estate, *, nightly: bool, folder: Path | None = None) -> dict[str, Any]:
    """Write the tables and infer from scratch; with ``nightly`` once more, a day later."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        data_dir = Path(place)
        # Apart, for the peak of a child is never below that of the process that started it.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            stored = replace(estate, days=estate.days + nightly)
            shown = pool.submit(write, ObservationStore(data_dir), stored).result()
        figures: dict[str, Any] = {"workloads": estate.workloads, "edges": estate.edges, "days": estate.days}
        figures |= {"edge_days_stored": shown}
        figures["from_scratch"] = infer(data_dir, estate.end, estate.days)
        if nightly:
            figures["one_night_more"] = infer(data_dir, estate.end + timedelta(days=1), estate.days)
        return figures
