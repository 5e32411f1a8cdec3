"""Explanations from a store: replies whose request was not recorded, ports that do not exist."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from service.cli import run
from service.configfile import load_settings
from service.main import create_app
from service.wiring import open_portolan
from tests.functional.flows import flows


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory: of what web asks api only the replies, of what api asks db both."""
    monkeypatch.chdir(tmp_path)
    edges = (("web-0", "api-0", 8080, "TCP"), ("api-0", "db-0", 5432, "TCP"))
    kept = [one for one in flows(days=1, edges=edges) if one["flow"]["is_reply"] or "db-0" in json.dumps(one)]
    (tmp_path / "flows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in kept), "utf-8")
    assert run(["ingest", "flows.jsonl", "--data-dir", "data"]) == 0
    return tmp_path / "data"


@contextmanager
def _client(data):
    with open_portolan(load_settings(config=None, data_dir=data, log_format=None)) as portolan:
        yield TestClient(create_app(portolan), base_url="http://127.0.0.1")


def test_edges_of_replies_only_are_listed_without_times(data):
    """One such edge does not take the page away from the others."""
    with _client(data) as client:
        edges = client.get("/api/v1/edges", params={"direction": "egress"}).json()["items"]
    found = {(edge["workload"], edge["peer_workload"]): edge for edge in edges}
    alone, whole = found["web", "api"], found["api", "db"]
    assert (alone["flows"], alone["first_seen"], alone["last_seen"]) == (0, None, None)
    assert alone["answered"] > 0
    assert datetime.fromisoformat(whole["first_seen"]) == datetime(2026, 3, 2, 0, 1, tzinfo=UTC)


def test_a_number_that_no_port_can_have_is_refused(data, capfd):
    """As the API does; an answer to it would be about nothing."""
    asked = ["explain", "shop/api", "shop/db", "--state", "any", "--data-dir", str(data), "--port"]
    for wrong, sentence in (
        (["99999"], "'--port': Input should be less than or equal to 65535"),
        (["-1"], "'--port': Input should be greater than or equal to 0"),
        (["256", "--protocol", "ICMP"], "at most 255"),
    ):
        capfd.readouterr()
        assert run([*asked, *wrong]) == 2, wrong
        assert sentence in capfd.readouterr().err
    assert run([*asked, "65535"]) == 0


def test_an_explanation_says_that_only_replies_were_seen(data, capfd):
    """Neither a traceback nor a flow that nobody recorded; the port that replies showed is known."""
    asked = ["explain", "shop/web", "shop/api", "--state", "any", "--data-dir", str(data)]
    capfd.readouterr()
    assert run(asked) == 0
    said = capfd.readouterr().out
    assert "shop/web -> shop/api TCP/8080" in said
    assert "observed: only replies (24 forwarded), no request of theirs" in said
    with _client(data) as client:
        query = {"source": "shop/web", "destination": "shop/api", "port": 8080, "state": "any"}
        [seen] = client.get("/api/v1/explain", params=query).json()["observed"]
    assert (seen["flows"], seen["answered"], seen["first_seen"], seen["last_seen"]) == (0, 24, None, None)
