"""``portolan verdict`` on more entries than one request holds."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.cli import run
from service.configfile import load_settings
from service.quarantine import bulk, repository, service
from service.quarantine.recording import record
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from service.wiring import open_portolan
from tests.unit.service.held import both_ends, held

NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory with seven entries, of which a request holds three."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bulk, "MAX_ENTRIES", 3)
    entries = (*both_ends(), *(held(f"n{number}") for number in range(5)))
    with open_portolan(load_settings(data_dir=tmp_path / "data")) as made, made.database.write() as session:
        record(session, entries, cluster="c", namespace=None, run_id=None, now=NOW)
    return str(tmp_path / "data")


def states(data):
    """How many entries stand how."""
    with open_portolan(load_settings(data_dir=Path(data))) as made, made.database.read() as session:
        rows = repository.list_entries(session, QuarantineFilter(), now=NOW)
        found = [service.state_of(row, NOW).value for row in rows]
    return {state: found.count(state) for state in found}


def verdict(data, *arguments):
    """Decide on everything that is held back for one code."""
    some = ("--cluster", "c", "--reviewer", "ana", "--reason", "v", "--yes", "--data-dir", data)
    return run(["verdict", *arguments, *some])


def test_more_entries_than_one_request_holds_are_all_decided(data, capfd):
    """Also where the two ends of one call are in two requests."""
    assert verdict(data, "admit") == 0
    said = capfd.readouterr().out
    assert said.count(": admitted\n") == 7
    assert "\nadmit: 7 entries\n" in said
    assert states(data) == {"admitted": 7}


def test_a_failure_half_way_says_how_many_are_decided(data, capfd, monkeypatch):
    """Somebody decides otherwise between two requests: what was decided stays, and is told."""
    decide_many = bulk.decide_many

    def outrun(session, tags, request, *, now):
        if len(tags) < 3:
            service.decide(session, next(iter(tags)), VerdictRequest(Verdict.LATER, "ben"), now=now)
        return decide_many(session, tags, request, now=now)

    monkeypatch.setattr(bulk, "decide_many", outrun)
    assert verdict(data, "admit") == 1
    said = capfd.readouterr()
    assert "6 of 7 entries are decided and stay so" in said.err
    assert "1 of 1 entries changed since they were read" in said.err
    assert said.out.count(": admitted\n") == 6
    assert states(data) == {"admitted": 6, "open": 1}
