"""Jobs at their times: the installed server, a folder that keeps being written to, two processes."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.functional.conftest import serving
from tests.functional.flows import EDGES, write_flows

PER_DAY = 24 * len(EDGES) * 2


@pytest.fixture
def place(tmp_path):
    """A folder with a source that is pulled every second, and nights that are far away."""
    (tmp_path / "flows").mkdir()
    far = datetime.now(UTC) + timedelta(days=40)
    night = f"0 0 {far.day if far.day < 28 else 1} {far.month} *"
    (tmp_path / "portolan.yaml").write_text(
        json.dumps(
            {
                "data_dir": "data",
                "sources": [{"name": "shop", "paths": ["flows"], "interval": "1s"}],
                "schedule": {"infer": night, "maintenance": night},
            }
        ),
        encoding="utf-8",
    )
    return tmp_path


def until(condition, seconds=90):
    """Wait for something to be true, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def runs(client, **params):
    """Runs on record, newest first."""
    return client.get("/api/v1/runs", params={"limit": 500, **params}).json()["items"]


def flows_seen(client):
    """Flows in the store."""
    return sum(cluster["flows"] for cluster in client.get("/api/v1/clusters").json()["items"])


def test_a_growing_folder_is_pulled_and_missed_nights_are_made_up_for_once(place):
    """What is written is read once, while the server runs; a restart repeats nothing."""
    write_flows(place / "flows" / "a.jsonl", days=1)
    arguments = ("--config", str(place / "portolan.yaml"))
    with serving(place / "data", *arguments, cwd=place) as client:
        until(lambda: flows_seen(client) >= PER_DAY // 2)
        first = flows_seen(client)
        write_flows(place / "flows" / "a.jsonl", days=2)
        until(lambda: flows_seen(client) == 2 * first)
        assert {run["trigger"] for run in runs(client)} == {"schedule"}
        until(lambda: runs(client, kind="infer") and runs(client, kind="infer")[0]["outcome"] != "running")
        until(lambda: runs(client, kind="maintain", outcome="done"))
        assert len(runs(client, kind="infer")) == 1
    with serving(place / "data", *arguments, cwd=place) as client:
        pulled = len(runs(client, kind="pull:shop"))
        until(lambda: len(runs(client, kind="pull:shop")) > pulled + 1)
        assert flows_seen(client) == 2 * first
        assert len(runs(client, kind="infer")) == len(runs(client, kind="maintain")) == 1
    assert {run["outcome"] for run in run_json_runs(place)} <= {"done", "nothing"}


def run_json_runs(place):
    """Runs on record after the server stopped: none may be left running."""
    with serving(
        place / "data", "--no-scheduler", "--config", str(place / "portolan.yaml"), cwd=place
    ) as client:
        return runs(client)


def test_two_servers_on_one_data_directory_do_the_work_once(place):
    """The lease keeps them apart; the records show no overlap and nothing counted twice."""
    write_flows(place / "flows" / "a.jsonl", days=1)
    arguments = ("--config", str(place / "portolan.yaml"))
    with (
        serving(place / "data", *arguments, cwd=place) as one,
        serving(place / "data", *arguments, cwd=place) as other,
    ):
        until(lambda: len(runs(one, kind="pull:shop", outcome="done")) > 4)
        until(lambda: runs(other, kind="infer") and runs(other, kind="infer")[0]["outcome"] != "running")
        found = [run for run in runs(one) if run["finished_at"]]
        accepted = sum(run["counts"].get("accepted", 0) for run in found if run["kind"] == "pull:shop")
    assert accepted == PER_DAY
    writers = sorted(
        (run["started_at"], run["finished_at"]) for run in found if run["kind"] in {"pull:shop", "maintain"}
    )
    assert all(end <= begin for (_, end), (begin, _) in pairwise(writers))
    assert len([run for run in found if run["kind"] == "infer"]) == 1
