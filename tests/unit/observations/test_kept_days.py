"""A fold that takes days as an earlier one kept them gives what a fold of everything gives, whatever happened."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.observations import fold_days, kept_days
from jobs.observations.fold import fold
from jobs.observations.kept_days import FOLDER, forget_unused, kept
from jobs.observations.maintenance import compact
from jobs.observations.store import ObservationStore
from models.domain.window import Window
from models.frames import Observations
from tests.support import ROOT
from tests.unit.observations.builders import (
    API,
    CLUSTER,
    OUTSIDE,
    START,
    WEB,
    WEB2,
    answer_to,
    at,
    dns_answer,
    edges,
    flow,
    tables_of,
    world,
)
from tests.unit.observations.test_properties import FEW, assert_same, records

DAYS = 4
_folders = count()


def until(day: float, days: float = DAYS) -> Window:
    """Window that ends so many days after the start."""
    return Window.ending(START + timedelta(days=day), timedelta(days=days))


def add(folder: Path, made: Iterable[dict[str, Any]], answers: Iterable[dict[str, Any]] = ()) -> None:
    """Commit one batch."""
    with ObservationStore(folder).writing() as writer:
        writer.commit(writer.next_batch(), tables_of(made, answers))


def some_days(folder: Path) -> None:
    """One batch per day: calls in the cluster and outside, names, a reply taken for a request."""
    for day in range(DAYS):
        named = dns_answer(WEB, "api.example.com", OUTSIDE.ip, time=at(days=day))
        calls = [flow(WEB, API, time=at(5, days=day)), flow(WEB, OUTSIDE, 443, time=at(6, days=day))]
        calls.append(flow(WEB2, world("10.0.0.11"), time=at(7, days=day)))
        add(folder, [*calls, *map(answer_to, calls)], [named])


def from_scratch(folder: Path, window: Window) -> Observations:
    """Fold of a copy of the store that no fold has seen."""
    copy = folder.with_name(f"{folder.name}-copy-{next(_folders)}")
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(FOLDER))
    return fold(ObservationStore(copy), CLUSTER, window)


def check(folder: Path, *windows: Window) -> None:
    """Twice, so that the second fold finds what the first one kept."""
    for window in windows:
        whole = from_scratch(folder, window)
        for _ in range(2):
            assert_same(fold(ObservationStore(folder), CLUSTER, window), whole)


def kept_files(folder: Path) -> list[Path]:
    """Everything that folds kept."""
    return sorted((folder / FOLDER).glob("*/*"))


@pytest.fixture
def data(tmp_path):
    """A store of some days, folded once."""
    folder = tmp_path / "data"
    some_days(folder)
    fold(ObservationStore(folder), CLUSTER, until(DAYS))
    return folder


@settings(FEW, max_examples=4)
@given(made=records(), cut=st.sampled_from([0.0, 0.1, 0.5]), late=st.integers(0, 2))
def test_nights_that_follow_each_other_equal_one_from_scratch(tmp_path, made, cut, late):
    """Day by day, with records that come after their day was folded, in windows that begin and end anywhere."""
    folder = tmp_path / str(next(_folders))
    ordered = sorted(made, key=lambda record: record["time_us"])
    held, rest = ordered[:late], ordered[late:]
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip, time=at(days=day)) for day in range(3)]
    add(folder, rest[::2], answers[:1])
    check(folder, until(2 - cut))
    add(folder, rest[1::2], answers[1:])
    check(folder, until(3 - cut))
    add(folder, held)
    check(folder, until(3 - cut, 2))


def test_what_was_kept_is_used(data, monkeypatch):
    """No day is read from the store again, as long as its files are the same."""
    read: list[str] = []
    monkeypatch.setattr(fold_days.Days, "_count", lambda _, day: read.append(day.name))
    fold(ObservationStore(data), CLUSTER, until(DAYS))
    fold(ObservationStore(data), CLUSTER, until(DAYS, 2))
    assert not read


def test_a_night_reads_the_day_that_is_new_and_those_that_its_window_cuts(data, monkeypatch):
    """A window from noon to noon."""
    read: list[str] = []
    count_day = fold_days.Days._count

    def counted(days: fold_days.Days, day: Any) -> None:
        read.append(day.name)
        count_day(days, day)

    add(data, [flow(WEB, API, time=at(days=DAYS)), flow(WEB, API, time=at(days=DAYS + 1))])
    monkeypatch.setattr(fold_days.Days, "_count", counted)
    fold(ObservationStore(data), CLUSTER, until(DAYS + 1.5))
    assert sorted(read) == ["2026-03-03", "2026-03-06", "2026-03-07"]


def test_late_records_open_their_day_again(data):
    """And a lookup opens the day after it, whose first flows it may name."""
    add(
        data,
        [flow(WEB, API, 9090, time=at(days=1))],
        [dns_answer(WEB, "b.example", "203.0.113.9", time=at(20))],
    )
    check(data, until(DAYS))


def test_what_another_day_says_of_a_link_reaches_days_that_were_kept(tmp_path):
    """A record that did not say which way it went is read by what a later day shows."""
    folder = tmp_path / "data"
    unsaid = flow(API, WEB, 40001, 8080, is_reply=None, flags=None, time=at())
    add(folder, [unsaid])
    alone = fold(ObservationStore(folder), CLUSTER, until(2))
    add(folder, [flow(WEB, API, 8080, 40001, time=at(days=1))])
    check(folder, until(2))
    both = fold(ObservationStore(folder), CLUSTER, until(2))
    assert len(edges(alone, WEB, "egress")) < len(edges(both, WEB, "egress"))


def test_what_the_next_day_says_of_an_address_reaches_days_that_were_kept(tmp_path):
    """A pod that showed as a bare address is known by the pod that has the address on the day after."""
    folder = tmp_path / "data"
    add(folder, [flow(WEB, API.as_world(), time=at())])
    check(folder, until(2))
    add(folder, [flow(API, WEB, time=at(days=1))])
    check(folder, until(2))
    assert [row["peer"] for row in edges(fold(ObservationStore(folder), CLUSTER, until(2)), WEB, "egress")]


def test_compaction_changes_files_and_no_result(data):
    """Merged files are other files."""
    add(data, [flow(WEB, API, time=at(30, days=2))])
    fold(ObservationStore(data), CLUSTER, until(DAYS))
    with ObservationStore(data).writing() as writer:
        assert compact(writer)
    check(data, until(DAYS))


def test_windows_that_change_keep_out_of_each_others_way(data):
    """What a short window makes of a link need not be what a long one makes of it."""
    check(data, until(DAYS), until(DAYS, 2), until(DAYS - 1, 1.5), until(DAYS, 3), until(DAYS))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [_truncate, _turn_a_bit, _empty, Path.unlink, _make_a_folder])
def test_damage_is_found_before_it_is_read(data, harm: Callable[[Path], None]):
    """Some of what was kept, then all of it."""
    whole = from_scratch(data, until(DAYS))
    for every in (7, 1):
        for path in kept_files(data)[::every]:
            if path.is_file():
                harm(path)
        assert_same(fold(ObservationStore(data), CLUSTER, until(DAYS)), whole)


def test_another_program_makes_its_own_days(data, monkeypatch):
    """Days that other statements made are not taken for those of these."""
    before = set(kept_files(data))
    monkeypatch.setattr(fold_days, "_LAYOUT", fold_days._LAYOUT + 1)
    check(data, until(DAYS))
    assert len(kept_files(data)) == 2 * len(before)


def test_a_disk_that_takes_nothing_costs_time_only(tmp_path, monkeypatch):
    """A fold goes on without keeping anything."""
    some_days(tmp_path / "data")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_days.Path, "replace", full)
    check(tmp_path / "data", until(DAYS))


def test_what_nobody_asked_for_goes(data):
    """Used within two nights it stays; so goes what a killed fold left half written."""
    now = datetime.now(tz=UTC)
    half, unused = data / FOLDER / "x" / "1.unfinished", kept_files(data)[0]
    half.parent.mkdir()
    half.write_bytes(b"half")
    old = (now - kept_days.UNUSED_AFTER - timedelta(minutes=1)).timestamp()
    for path in (half, unused):
        os.utime(path, (old, old))
    there = kept(data)
    assert forget_unused(data, now) == 2
    assert kept(data).files == there.files - 2
    assert kept(data).size < there.size
    for path in kept_files(data):
        os.utime(path, (old, old))
    check(data, until(DAYS))
    assert not forget_unused(data, now), "a fold that takes a file says that it is in use"


_FOLD = """
import sys
from pathlib import Path
from tests.unit.observations.builders import CLUSTER
from tests.unit.observations.test_kept_days import until, DAYS
from jobs.observations.fold import fold
from jobs.observations.store import ObservationStore
print("ready", flush=True)
fold(ObservationStore(Path(sys.argv[1])), CLUSTER, until(DAYS))
"""


@pytest.mark.slow
def test_a_fold_killed_at_any_moment_leaves_nothing_that_misleads(tmp_path):
    """SIGKILL while days are made and kept; the next fold is right."""
    folder = tmp_path / "data"
    some_days(folder)
    killed = 0
    whole = from_scratch(folder, until(DAYS))
    for wait in (0.02, 0.05, 0.1, 0.15, 0.2):
        command = [sys.executable, "-c", _FOLD, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(wait)
            child.kill()
        killed += child.returncode == -signal.SIGKILL
        assert_same(fold(ObservationStore(folder), CLUSTER, until(DAYS)), whole)
        shutil.rmtree(folder / FOLDER)
    assert killed
