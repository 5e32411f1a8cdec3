"""The installed program in processes of its own."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.functional.flows import write_flows

PROGRAM = str(Path(sys.executable).with_name("portolan"))


def environment(**extra):
    """Environment without settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTOLAN_")}
    return kept | {"PYTHONWARNINGS": "default"} | extra


@pytest.fixture
def portolan(tmp_path):
    """Runs a command in an empty folder; gives what it printed and how it ended."""

    def run(*arguments, code=0, cwd=tmp_path, env=None, **more):
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            cwd=cwd,
            env=environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            **more,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def run_json(run, *arguments, **more):
    """What a command prints as JSON, and nothing else."""
    return json.loads(run(*arguments, "--format", "json", **more).stdout)


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """A data directory with flows and proposals; read only: tests that decide take a copy."""
    folder = tmp_path_factory.mktemp("learned")
    flows = write_flows(folder / "flows.jsonl")
    for arguments in (["ingest", str(flows)], ["infer"]):
        subprocess.run(
            [PROGRAM, *arguments, "--data-dir", str(folder / "data")],
            env=environment(),
            check=True,
            capture_output=True,
            timeout=240,
        )
    return folder / "data"


@contextmanager
def serving(data_dir, *arguments, cwd=None, env=None):
    """The server on a free port of loopback; gives a client, and stops it by SIGTERM."""
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", "--data-dir", str(data_dir), *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        try:
            for line in process.stderr:
                lines.append(line)
                if "listening on" in line:
                    break
            else:
                raise AssertionError("".join(lines))
            address = lines[-1].split()[-1]
            with httpx.Client(base_url=address, timeout=60) as client:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        client.get("/api/v1/health")
                        break
                    except httpx.TransportError:
                        assert time.monotonic() < deadline
                        time.sleep(0.1)
                yield client
        finally:
            process.terminate()
            rest = process.communicate(timeout=60)[1]
            assert "Traceback" not in "".join(lines) + rest, rest
            assert process.returncode in {0, -15}, process.returncode
