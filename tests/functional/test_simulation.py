"""Simulation, back-test and explanation: on the command line and over HTTP, on what was observed."""

import json
import shutil

import pytest
import yaml

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
    operation = told["change"]["patch"][0]
    assert operation["path"] == "/spec/ingress/-"
    mended = CLOSED | {"spec": SPEC | {"ingress": [*SPEC["ingress"], operation["value"]]}}
    closed.write_text(yaml.safe_dump(mended), encoding="utf-8")
    assert run_json(portolan, *asked)["verdict"] == "allow"
    assert all(command.split()[0] in {"kubectl", "hubble"} for command in told["commands"])
    closed.write_text(yaml.safe_dump(CLOSED), encoding="utf-8")
    text = portolan(*asked).stdout
    assert "DENY" in text
    assert "Smallest change" in text


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
    assert told["change"]["patch"]
    body = {"source": "shop/api", "destination": "shop/db", "policies": [CLOSED]}
    assert client.post("/api/v1/explain", json=body).json()["verdict"] == "deny"


def test_the_api_refuses_what_is_too_much_or_unknown(client):
    """Problem documents with the status that fits; larger bodies only where policies travel."""
    nested = []
    for _ in range(100):
        nested = [nested]
    padding = "x" * 100_000
    for path, body, status in (
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
