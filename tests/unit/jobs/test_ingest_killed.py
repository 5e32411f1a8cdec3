"""A run that was killed at any moment and run again ends with the tables of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.observations.store import ObservationStore
from tests.support import ROOT
from tests.unit.jobs.test_ingest import rejects, state
from tests.unit.sources.flows import lines, many, wrapped

#: Ingests with batches of a hundred kilobytes, so that there is much to interrupt.
CHILD = """
import sys
from pathlib import Path
from jobs import ingest
from jobs.observations.store import ObservationStore
ingest.CHUNK = ingest.READ_TOGETHER = 60_000
ingest.BATCH_BYTES = 150_000
report = ingest.run_ingest([sys.argv[1]], store=ObservationStore(Path(sys.argv[2])))
"""


def start(folder: Path, data: Path) -> subprocess.Popen[bytes]:
    """Ingest in a process of its own."""
    command = [sys.executable, "-c", CHILD, str(folder), str(data)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


@pytest.mark.slow
def test_killing_an_ingest_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments, until a run gets through."""
    folder = tmp_path / "flows"
    folder.mkdir()
    flows = [wrapped(one) for one in many(1500)]
    for number in range(3):
        text = lines(*flows[number * 450 : number * 450 + 600])
        (folder / f"{number}.json").write_bytes(text + b"garbage %d\n" % number)
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    assert start(folder, undisturbed).wait() == 0
    whole = time.monotonic() - began
    dice = random.Random(7)
    kills = 0
    for _ in range(8):
        process = start(folder, tmp_path / "killed")
        try:
            process.wait(timeout=whole * dice.uniform(0.3, 0.9))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills > 0
    assert start(folder, tmp_path / "killed").wait() == 0
    killed, plain = ObservationStore(tmp_path / "killed"), ObservationStore(undisturbed)
    with killed.writing():
        assert state(killed) == state(plain)
    assert sorted(map(str, rejects(killed))) == sorted(map(str, rejects(plain)))
