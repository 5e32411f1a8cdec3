"""A writer killed at any moment, and started again, leaves what an undisturbed one leaves."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.observations.store import ObservationStore
from tests.functional.recovery_child import commit_up_to
from tests.support import ROOT

BATCHES = 40
SECONDS = 50  # of killing; what is left is then finished in peace
LONGEST_LIFE = 0.9  # seconds: several commits and a compaction


def contents(folder: Path) -> dict[str, Any]:
    """Every table merged by key, and the rejects: what a reader of the store can tell."""
    store = ObservationStore(folder)
    found: dict[str, Any] = {}
    for name in ("edges", "coverage", "batches"):
        rows = store.dataset(name).to_table().to_pandas()
        sums = [column for column in rows.columns if column in {"flows", "records", "lines", "lost_events"}]
        keys = [column for column in ("day", "subject", "node", "batch", "path") if column in rows.columns]
        found[name] = rows.groupby(keys)[sums].sum().to_dict("index")
    found["rejects"] = {path.name: path.read_bytes() for path in sorted(store.rejects.iterdir())}
    found["last_batch"] = store.last_batch()
    return found


def start(folder: Path) -> "subprocess.Popen[str]":
    """The writer in a process of its own, at the moment it begins to write."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.functional.recovery_child", str(folder), str(BATCHES)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.slow
def test_sigkill_at_random_moments_neither_loses_nor_doubles_a_batch(tmp_path):
    """Killed while staging, committing, compacting or cleaning up, and run again each time."""
    chance = random.Random(20260302)
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    kills = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with start(disturbed) as child:
            try:
                child.wait(timeout=chance.uniform(0, LONGEST_LIFE))
            except subprocess.TimeoutExpired:
                child.kill()
                kills += 1
            else:
                assert child.returncode == 0
                break
    commit_up_to(disturbed, BATCHES)
    commit_up_to(undisturbed, BATCHES)
    assert kills >= 3
    assert contents(disturbed) == contents(undisturbed)
    assert not list((disturbed / "staging").iterdir())


def test_the_lock_dies_with_its_process(tmp_path):
    """Nobody has to remove a lock file by hand."""
    with start(tmp_path) as child:
        child.kill()
    with ObservationStore(tmp_path).writing() as writer:
        assert writer.next_batch() == writer.store.last_batch() + 1
