"""A policy in parts, from flows to the drift report: every command and answer knows what to do with it."""

import json
import re

import pytest
import yaml
from starlette.testclient import TestClient

from models.manifest import validate
from service.cli import run
from service.configfile import load_settings
from service.main import create_app
from service.wiring import open_portolan
from tests.functional import flows

LIMIT = 5_000
CALLED = 60
PORTS = (8080, 9090)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Three days of a shop whose ``web`` calls sixty services of another namespace, every policy approved."""
    folder = tmp_path_factory.mktemp("split")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)
        for number in range(CALLED):
            place = ("billing", f"service-{number:02}", f"10.0.2.{number}", 2000 + number)
            patch.setitem(flows.PODS, f"service-{number:02}-0", place)
        called = [("web-0", f"service-{number:02}-0", PORTS[number % 2], "TCP") for number in range(CALLED)]
        flows.write_flows(folder / "flows.jsonl", edges=(*flows.EDGES, *called))
        data = ["--data-dir", str(folder / "data")]
        assert run(["ingest", "flows.jsonl", *data]) == 0
        assert run(["infer", *data]) == 0
        for name in ("web", "api", "db", "cache"):
            assert run(["review", f"shop/{name}", "approve", "--reviewer", "ana", *data]) == 0
    return folder


@pytest.fixture
def command(learned, monkeypatch, capfd):
    """Runs a command where objects must be small; gives what it printed."""
    monkeypatch.chdir(learned)
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)

    def call(*arguments, code=0):
        assert run([*map(str, arguments), "--data-dir", str(learned / "data")]) == code
        return capfd.readouterr().out

    return call


@pytest.fixture
def client(learned, monkeypatch):
    """A client of the application."""
    monkeypatch.chdir(learned)
    monkeypatch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)
    with open_portolan(load_settings(data_dir=learned / "data")) as portolan:
        yield TestClient(create_app(portolan), base_url="http://127.0.0.1")


def exported(command, out, *choices):
    """Documents of an export, by name of the file."""
    command("export", "--out", out, *choices)
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in out.rglob("*.yaml")}


def test_trap_L5_a_split_policy_is_one_file_that_check_and_drift_read(command, tmp_path):
    """The index names it once; its parts are valid, deployed as approved, and cover the traffic."""
    found = exported(command, tmp_path / "out")
    split = [name for name, document in found.items() if document["kind"] == "List"]
    assert len(found) == 4
    (name,) = split
    assert name.startswith("portolan-web-")
    files = json.loads((tmp_path / "out" / "portolan-export.json").read_text("utf-8"))["files"]
    assert sorted(files) == [f"shop/{name}" for name in sorted(found)]
    assert "unchanged" in command("export", "--out", tmp_path / "out", "--format", "json")
    parts = [part["metadata"]["name"] for part in found[name]["items"]]
    assert parts[1] == f"{parts[0]}-2"
    checked = json.loads(command("check", "--policies", tmp_path / "out", "--format", "json"))
    assert checked["rejected"] == []
    assert [one for one in checked["findings"] if one["severity"] == "error"] == []
    drift = json.loads(command("drift", "--policies", tmp_path / "out", "--format", "json"))
    kinds = {one["kind"] for one in drift["findings"]}
    assert not kinds & {"changed", "uncovered", "denied"}
    assert drift["summary"]["as_approved"] == 3 + len(parts)


def test_trap_L5_a_connection_is_allowed_by_the_part_that_lists_it(command, tmp_path):
    """The rule is named with its place in the file; what no part lists gets a patch of one of them."""
    (split,) = [one for one in exported(command, tmp_path / "out").values() if one["kind"] == "List"]
    ends = ("explain", "shop/web", "billing/service-59", "--policies", tmp_path / "out")
    told = json.loads(command(*ends, "--port", "9090", "--format", "json"))
    (egress,) = [gate for gate in told["gates"] if gate["direction"] == "egress"]
    assert egress["verdict"] == "allow"
    assert split["items"][-1]["metadata"]["name"] in egress["rules"][0]
    told = json.loads(command(*ends, "--port", "9999", "--format", "json"))
    (change,) = [one for one in told["changes"] if one["direction"] == "egress"]
    assert change["policy"].rpartition("/")[2] in [one["metadata"]["name"] for one in split["items"]]
    assert "portolan-web-" in command(*ends, "--port", "9090")


@pytest.mark.parametrize("choices", [("--kind", "kubernetes"), ("--mode", "shadow")])
def test_trap_L5_other_kinds_and_modes_are_split_too(command, client, tmp_path, monkeypatch, choices):
    """By their own sizes."""
    monkeypatch.setenv("PORTOLAN_CAPABILITIES__CILIUM_VERSION", "1.18")
    found = exported(command, tmp_path / "out", *choices)
    (split,) = [one for name, one in found.items() if name.startswith("portolan-web-")]
    assert split["kind"] == "List"
    assert len({part["metadata"]["name"] for part in split["items"]}) == len(split["items"]) > 1


def test_trap_L5_show_and_the_API_give_the_list(command, client):
    """As JSON, as YAML, on the page; a rule says in which part it stands."""
    shown = command("show", "shop/web")
    assert "kind: List" in shown
    assert "[items[1].spec.egress[" in shown
    found = json.loads(command("show", "shop/web", "--format", "json"))
    answer = client.get(f"/api/v1/proposals/{found['key']}").json()
    assert answer["manifest"] == found["manifest"]
    for rule in answer["rules"]:
        at = re.fullmatch(r"items\[(\d+)\]\.spec\.(\w+)\[(\d+)\]", rule["path"])
        number, section, place = at.groups()
        entry = answer["manifest"]["items"][int(number)]["spec"][section][int(place)]
        assert str(rule["ports"][0]["port"]) in json.dumps(entry)
    text = client.get(f"/api/v1/proposals/{found['key']}/manifest").text
    assert yaml.safe_load(text) == found["manifest"]
    assert "        # " in text
    page = client.get(f"/proposals/{found['key']}").text
    assert "to be applied together" in page
    documents = list(yaml.safe_load_all(client.get("/api/v1/export").text))
    assert sorted(one["kind"] for one in documents) == ["CiliumNetworkPolicy"] * 3 + ["List"]


def test_trap_L5_a_rejected_rule_may_make_one_object_enough(command, tmp_path):
    """What is written follows from what is chosen; the old parts then say what nobody approves any more."""
    exported(command, tmp_path / "whole")
    found = json.loads(command("show", "shop/web", "--format", "json"))
    (rule,) = [one["id"] for one in found["rules"] if "9090" in one["title"]]
    command("review", "shop/web", "reject", "--rule", rule, "--reason", "no")
    written = exported(command, tmp_path / "less")
    (left,) = [one for name, one in written.items() if name.startswith("portolan-web-")]
    assert left["kind"] == "CiliumNetworkPolicy"
    drift = json.loads(command("drift", "--policies", tmp_path / "whole", "--format", "json"))
    changed = [one for one in drift["findings"] if one["kind"] == "changed"]
    assert [one["suggestion"]["action"] for one in changed] == ["remove_policy"]
    assert "9090" in changed[0]["why"]
    command("review", "shop/web", "reopen", "--rule", rule)
