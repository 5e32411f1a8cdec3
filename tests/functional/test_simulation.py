"""Simulation, back-test and explanation: on the command line and over HTTP, on what was observed."""

import json
import shlex
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from jobs.backtest import backtest_learning
from models.domain.window import Window, splits
from models.manifest.parse import parse_objects
from models.simulation.rolling import rolling_origin
from service.configfile import load_settings
from service.observed.folded import FoldedObservations
from service.wiring import open_portolan
from tests.functional.conftest import run_json, serving

SPEC = {
    "endpointSelector": {"matchLabels": {"app": "db"}},
    "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "nobody"}}]}],
}
CLOSED = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": SPEC,
}


@pytest.fixture(scope="module")
def client(learned, tmp_path_factory):
    """A server that nobody decides on."""
    folder = tmp_path_factory.mktemp("simulation")
    shutil.copytree(learned, folder / "data")
    with serving(folder / "data", "--no-scheduler", cwd=folder) as opened:
        yield opened


@pytest.fixture
def files(tmp_path, learned):
    """A data directory and a policy that closes the database."""
    shutil.copytree(learned, tmp_path / "data")
    (tmp_path / "closed.yaml").write_text(yaml.safe_dump(CLOSED), encoding="utf-8")
    return tmp_path / "data", tmp_path / "closed.yaml"


def test_stored_observations_are_replayed_against_files_and_proposals(portolan, files):
    """What was proposed denies nothing that was seen; a policy that closes the database denies its client."""
    data, closed = files
    kept = portolan("simulate", "--state", "any", "--window", "14d", "--data-dir", data)
    assert "0 denied" in kept.stdout
    arguments = ("simulate", "--policies", closed, "--window", "14d", "--data-dir", data)
    denied = portolan(*arguments, "--format", "jsonl", code=1)
    found = [json.loads(line) for line in denied.stdout.splitlines()]
    assert [(one["workload"], one["peer"], one["port"]) for one in found] == [
        ("db", "api in shop", "TCP/5432")
    ]
    assert [day["day"] for day in found[0]["days"]] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert "api in shop" in portolan(*arguments, code=1).stdout
    assert "no policy" in portolan("simulate", "--state", "approved", "--data-dir", data, code=2).stderr


def test_explain_names_rule_change_and_commands(portolan, files):
    """The change is one that was tried: with it the connection is allowed."""
    data, closed = files
    asked = ("explain", "shop/api-0", "shop/db", "--policies", closed, "--data-dir", data)
    told = run_json(portolan, *asked)
    assert (told["verdict"], told["protocol"], told["port"]) == ("deny", "TCP", 5432)
    ingress = next(gate for gate in told["gates"] if gate["direction"] == "ingress")
    assert ingress["policies"] == ["CiliumNetworkPolicy/shop/db"]
    assert [one["verdict"] for one in told["observed"]] == ["forwarded"]
    assert told["observed"][0]["flows"] >= 72
    [change] = told["changes"]
    assert (change["direction"], change["policy"]) == ("ingress", "CiliumNetworkPolicy/shop/db")
    assert "app: api" in change["yaml"]
    assert shlex.split(change["command"])[:2] == ["kubectl", "patch"]
    assert "--dry-run=server" in change["command"]
    operation = change["patch"][0]
    assert operation["path"] == "/spec/ingress/-"
    mended = CLOSED | {"spec": SPEC | {"ingress": [*SPEC["ingress"], operation["value"]]}}
    closed.write_text(yaml.safe_dump(mended), encoding="utf-8")
    assert run_json(portolan, *asked)["verdict"] == "allow"
    assert all(command.split()[0] in {"kubectl", "hubble"} for command in told["commands"])
    closed.write_text(yaml.safe_dump(CLOSED), encoding="utf-8")
    text = portolan(*asked).stdout
    assert "DENY" in text
    assert "Smallest change" in text


DENIED = {
    "flow": {
        "time": "2026-03-04T02:10:00Z",
        "verdict": "DROPPED",
        "drop_reason_desc": "POLICY_DENIED",
        "traffic_direction": "INGRESS",
        "IP": {"source": "10.0.1.1", "destination": "10.0.1.3"},
        "l4": {"ICMPv4": {"type": 8}},
        "source": {
            "namespace": "shop",
            "pod_name": "web-0",
            "labels": ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"],
        },
        "destination": {
            "namespace": "shop",
            "pod_name": "db-0",
            "labels": ["k8s:app=db", "k8s:io.kubernetes.pod.namespace=shop"],
        },
        "ingress_denied_by": [{"kind": "CiliumNetworkPolicy", "namespace": "shop", "name": "db"}],
    }
}


def test_learning_on_the_first_days_is_tested_on_the_later_ones_of_a_real_store(learned):
    """Two days learned, the third one replayed: by day, and nothing of a steady shop is denied."""
    settings = load_settings(data_dir=learned)
    with open_portolan(settings) as opened:
        reader = FoldedObservations(opened.store)
        window = {"as_of": datetime(2026, 3, 5, tzinfo=UTC), "length": timedelta(days=3)}
        [found] = backtest_learning(reader, cluster="default", **window, horizon=1, first=2)
        assert found.split.learned.days == 2
        assert found.policy_count == 5
        assert [(day.day, day.denied) for day in found.backtest.days] == [("2026-03-04", 0)]
        assert found.backtest.checked > 0
        shut = parse_objects([CLOSED], cilium_version="1.18")

        def observe(part):
            return reader.observations("default", part)

        parts = splits(Window.ending(window["as_of"], window["length"]), 1, 1)
        tested = rolling_origin(observe, lambda _: shut, parts)
        days = [(day.day, day.denied_legitimate) for one in tested for day in one.backtest.days]
        assert days == [("2026-03-03", 1), ("2026-03-04", 1)]


def test_what_a_change_breaks_is_said_before_it_is_made(portolan, files, tmp_path):
    """From no policy to one that closes the database, over the stored window and over flows."""
    data, closed = files
    (tmp_path / "none").mkdir()
    over = ("simulate", "--policies", closed, "--against", tmp_path / "none", "--data-dir", data)
    found = portolan(*over, "--window", "14d", "--format", "jsonl", code=1)
    first, *unseen = [json.loads(line) for line in found.stdout.splitlines()]
    assert (first["workload"], first["peer"], first["before"], first["after"]) == (
        "db",
        "api in shop",
        "allow",
        "deny",
    )
    assert {one["legitimacy"] for one in unseen} == {"unseen"}
    assert "3 changed: 1 lines newly denied (1 of them legitimate)" in found.stderr.replace(
        "compared, 1", "3"
    )
    back = portolan("simulate", "--policies", tmp_path / "none", "--against", closed, "--data-dir", data)
    assert "denied -> allowed" in back.stdout
    (tmp_path / "flow.json").write_text(json.dumps(DENIED), encoding="utf-8")
    flows = portolan(
        *over, "--flows", "flow.json", "--format", "jsonl"
    )  # policy stops it today: breaks nothing
    assert json.loads(flows.stdout.splitlines()[0])["legitimacy"] == "denied"


def test_check_finds_what_is_wrong_and_where(portolan, files, tmp_path):
    """With the store: a peer that nobody has; without: what files alone can tell; exit 1 only for errors."""
    data, closed = files
    told = run_json(portolan, "check", "--policies", closed, "--data-dir", data)
    assert [(one["severity"], one["kind"], one["path"]) for one in told["findings"]] == [
        ("warning", "no-such-peer", "ingress[0]")
    ]
    assert told["findings"][0]["where"].startswith(f"{closed}:")
    assert told["not_checked"] == []
    shut = CLOSED | {"spec": SPEC | {"egress": [{"toEntities": ["world"]}]}}
    (tmp_path / "shut.yaml").write_text(yaml.safe_dump(shut), encoding="utf-8")
    text = portolan("check", "--policies", tmp_path / "shut.yaml", code=1).stdout
    assert "error  no-dns  " in text
    assert "not checked" in text


def test_the_api_compares_and_checks(client):
    """The same over HTTP, by window, by flows and without observations."""
    body = {"policies": [CLOSED], "against": []}
    by_window = client.post("/api/v1/policies/diff", json=body | {"window": "14d"}).json()
    assert (by_window["newly_denied"], by_window["newly_denied_legitimate"]) == (1, 1)
    assert by_window["lines"][0]["rule_after"] == ""
    assert by_window["unseen_in_all"] == len(by_window["unseen"]) > 0
    by_flow = client.post("/api/v1/policies/diff", json=body | {"flows": [DENIED]}).json()
    assert [(one["before"], one["after"]) for one in by_flow["lines"]] == [("allow", "deny")]
    assert by_flow["newly_denied_legitimate"] == 0
    stored = client.post("/api/v1/policies/diff", json={"against": [], "state": "any"}).json()
    assert stored["newly_denied_legitimate"] == 0
    checked = client.post("/api/v1/policies/check", json={"policies": [CLOSED]}).json()
    assert [one["kind"] for one in checked["findings"]] == ["no-such-peer"]
    assert [one["labels"] for one in checked["costs"]] == ["app=db"]
    assert client.post("/api/v1/policies/check", json={"state": "any"}).json()["errors"] == 0
    asked = {"flow": DENIED, "policies": [CLOSED], "direction": "ingress"}
    told = client.post("/api/v1/explain", json=asked).json()
    assert (told["verdict"], told["hubble"]["outcome"]) == ("deny", "denied")
    assert [gate["direction"] for gate in told["gates"]] == ["ingress"]


def test_explain_knows_the_outside_and_says_what_it_does_not_know(portolan, files):
    """Addresses, names and entities are ends; what nobody observed is said, with exit code 2."""
    data, _ = files
    base = ("--state", "any", "--data-dir", data)
    for end in ("world", "192.0.2.7", "api.example.org"):
        told = run_json(portolan, "explain", "shop/db", end, "--port", "443", *base)
        assert told["verdict"] in {"deny", "allow"}, end
    assert (
        run_json(portolan, "explain", "10.0.1.2", "10.0.1.3", "--port", "5432", *base)["verdict"] == "allow"
    )
    for end, sentence in (("shop/ghost", "was observed"), ("no such thing", "names no end")):
        assert sentence in portolan("explain", end, "shop/db", *base, code=2).stderr
    assert "name the port" in portolan("explain", "shop/db", "shop/web", *base, code=2).stderr


def test_the_api_simulates_flows_windows_and_explains(client):
    """The same three answers over HTTP."""
    flow = {
        "flow": {
            "verdict": "FORWARDED",
            "is_reply": False,
            "traffic_direction": "INGRESS",
            "l4": {"TCP": {"destination_port": 5432}},
            "source": {"labels": ["k8s:app=api", "k8s:io.kubernetes.pod.namespace=shop"]},
            "destination": {"labels": ["k8s:app=db", "k8s:io.kubernetes.pod.namespace=shop"]},
        }
    }
    by_flow = client.post("/api/v1/simulate", json={"policies": [CLOSED], "flows": [flow]}).json()
    assert [(one["verdict"], one["breaks"]) for one in by_flow["flows"]] == [("deny", True)]
    assert by_flow["totals"]["breaks"] == 1
    window = client.post("/api/v1/simulate", json={"policies": [CLOSED], "window": "14d"}).json()
    assert window["backtest"]["denied_legitimate"] == 3
    assert window["backtest"]["lines"][0]["peer"] == "api in shop"
    stored = client.post("/api/v1/simulate", json={"state": "any"}).json()
    assert (stored["backtest"]["denied"], stored["policies"]) == (0, 5)
    query = {"source": "shop/web", "destination": "shop/db", "port": 5432, "state": "any"}
    told = client.get("/api/v1/explain", params=query).json()
    assert told["verdict"] == "deny"
    assert [change["direction"] for change in told["changes"]]
    body = {"source": "shop/api", "destination": "shop/db", "policies": [CLOSED]}
    assert client.post("/api/v1/explain", json=body).json()["verdict"] == "deny"


def test_the_api_refuses_what_is_too_much_or_unknown(client):
    """Problem documents with the status that fits; larger bodies only where policies travel."""
    nested = []
    for _ in range(100):
        nested = [nested]
    padding = "x" * 100_000
    reading = {
        "toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{"path": "((a{999}){999}){999}"}]}}]
    }
    hang = CLOSED | {"spec": {"endpointSelector": {}, "ingress": [reading]}}
    for path, body, status in (
        ("policies/check", {"policies": [{"kind": "Pod", "spec": nested}]}, 422),
        ("policies/check", {"policies": [{}] * 2001}, 422),
        ("policies/check", {"policies": [hang]}, 200),
        ("policies/check", {"policies": [CLOSED], "more": 1}, 422),
        ("policies/check", {"policies": [CLOSED], "cluster": "nowhere"}, 404),
        ("policies/check", {"policies": [CLOSED | {"x": padding * 90}]}, 413),
        ("policies/diff", {"policies": [CLOSED], "flows": []}, 422),
        ("policies/diff", {"policies": [CLOSED], "against": [{"spec": nested}], "flows": []}, 422),
        ("policies/diff", {"policies": [hang], "against": [CLOSED], "flows": [DENIED] * 5000}, 200),
        ("explain", {"source": "shop/api"}, 422),
        ("explain", {"source": "shop/api", "flow": DENIED, "policies": []}, 422),
        ("explain", {"flow": {"node_status": {}}, "policies": []}, 422),
        ("explain", {"flow": {"flow": {"l4": nested}}, "policies": []}, 422),
        ("simulate", {"policies": [{"kind": "Pod", "spec": nested}], "flows": []}, 422),
        ("simulate", {"policies": [CLOSED], "flows": [{}] * 5001}, 422),
        ("simulate", {"policies": [CLOSED], "flows": [], "cilium_version": "1.2"}, 422),
        ("simulate", {"policies": [CLOSED], "flows": [], "more": 1}, 422),
        ("simulate", {"policies": [CLOSED], "cluster": "nowhere"}, 404),
        ("explain", {"source": "shop/ghost", "destination": "shop/db", "port": 1}, 404),
        ("simulate", {"policies": [CLOSED | {"x": padding}], "flows": []}, 200),
        ("simulate", {"policies": [CLOSED | {"x": padding * 90}], "flows": []}, 413),
        ("runs", {"kind": padding}, 413),
    ):
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == status, answer.text[:300]
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"
