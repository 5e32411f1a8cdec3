"""``portolan simulate``: verdicts on standard output, totals, and an exit code that a pipeline can trust."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli import run
from tests.support import shared_path

CAPTURE = "data/hubble-captures/ephico2real2-cilium-implementation-poc"


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration file of the folder the tests run in."""
    monkeypatch.chdir(tmp_path)


def written(path: Path, namespace: str, **spec: Any) -> str:
    """A CiliumNetworkPolicy in a file."""
    manifest = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"endpointSelector": {}, **spec},
    }
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return str(path)


def lines(text: str) -> list[dict[str, Any]]:
    """JSON of every line, and of every line."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("shape", ["observer", "export", "loki"])
def test_what_hubble_saw_denied_is_denied(shape: str, tmp_path: Path, capfd) -> None:
    """The drop of a default deny, in three pipelines' envelopes; nothing legitimate breaks: exit 0."""
    flows = shared_path(f"{CAPTURE}/26-flow-stranger-to-shop.{shape}.json")
    policy = written(tmp_path / "p.yaml", "cf2cnp-lab", ingress=[{}])
    assert run(["simulate", "--policies", policy, "--flows", str(flows), "--format", "jsonl"]) == 0
    said = capfd.readouterr()
    assert [(one["verdict"], one["hubble"]) for one in lines(said.out)] == [("deny", "denied")]
    assert "1 are denied here too, 0 allowed" in said.err


def test_denying_what_works_exits_1(tmp_path: Path, capfd) -> None:
    """A pipeline stops before the policy reaches a cluster."""
    flows = str(shared_path(f"{CAPTURE}/35-flows-audit.first9.ndjson"))
    policy = written(tmp_path / "p.yaml", "shop-edge", ingress=[{}])
    assert run(["simulate", "--policies", policy, "--flows", flows]) == 1
    assert "9 flows that work today would be denied" in capfd.readouterr().out
    open_ = written(tmp_path / "p.yaml", "shop-edge", ingress=[{"fromEntities": ["all"]}])
    assert run(["simulate", "--policies", open_, "--flows", flows]) == 0


def test_the_release_decides_what_it_changes(tmp_path: Path, capfd) -> None:
    """``**.`` spans labels from 1.19 on; the option reaches the evaluator, for flows too."""
    flow = {
        "flow": {
            "verdict": "FORWARDED",
            "is_reply": False,
            "traffic_direction": "EGRESS",
            "IP": {"source": "10.0.0.1", "destination": "192.0.2.7"},
            "l4": {"TCP": {"destination_port": 443}},
            "source": {"namespace": "shop", "labels": ["k8s:app=a", "k8s:io.kubernetes.pod.namespace=shop"]},
            "destination": {"labels": ["reserved:world"]},
            "destination_names": ["a.b.example.org"],
        }
    }
    (tmp_path / "flows").write_text(json.dumps(flow), encoding="utf-8")
    policy = written(tmp_path / "p.yaml", "shop", egress=[{"toFQDNs": [{"matchPattern": "**.example.org"}]}])
    arguments = ["simulate", "--policies", policy, "--flows", str(tmp_path / "flows"), "--format", "jsonl"]
    assert run([*arguments, "--cilium-version", "1.19"]) == 0
    assert run([*arguments, "--cilium-version", "1.18"]) == 1
    assert [one["verdict"] for one in lines(capfd.readouterr().out)] == ["allow", "deny"]


def test_cases_give_id_and_verdict_and_nothing_else(capfd) -> None:
    """One line per case on standard output, as JSON, whatever the format says by default."""
    path = shared_path("reference/oracle-cases.jsonl")
    assert run(["simulate", "--cases", str(path), "--cilium-version", "1.19"]) == 0
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines(capfd.readouterr().out) == [
        {"id": case["id"], "verdict": case["expect"]} for case in expected
    ]


def test_bad_input_exits_2_and_says_what(tmp_path: Path, capfd) -> None:
    """No flows that can be read, no policies, no such file, a case that is none."""
    policy = written(tmp_path / "p.yaml", "shop", ingress=[{}])
    (tmp_path / "noise").write_text("no flow\n", encoding="utf-8")
    (tmp_path / "none.yaml").write_text("kind: Pod\n", encoding="utf-8")
    noise = str(tmp_path / "noise")
    for arguments, sentence in (
        (["--policies", policy, "--flows", noise], "none of the flows could be read"),
        (["--policies", str(tmp_path / "none.yaml"), "--flows", noise], "no policy to simulate"),
        (["--policies", policy, "--flows", "nowhere"], "no such file"),
        (["--cases", noise], "line 1 is no JSON"),
        (["--policies", policy, "--flows", noise, "--cilium-version", "1.2"], "older than"),
        ([], "--cases"),
    ):
        assert run(["simulate", *arguments]) == 2, arguments
        assert sentence in capfd.readouterr().err


def test_hostile_fields_are_answered(tmp_path: Path, capfd) -> None:
    """Wrong types in every place give an answer or a count, no traceback."""
    policy = written(tmp_path / "p.yaml", "shop", ingress=[{}])
    nested: list[Any] = [[], {}, 7, True, None, "\x1b[31m"]
    keys = ("verdict", "traffic_direction", "drop_reason_desc", "is_reply", "l4", "l7", "IP", "source")
    flows = [{"flow": {"source": {}, "verdict": "DROPPED", key: value}} for key in keys for value in nested]
    (tmp_path / "flows").write_text("\n".join(map(json.dumps, flows)), encoding="utf-8")
    assert run(["simulate", "--policies", policy, "--flows", str(tmp_path / "flows")]) == 0
    assert "48 records" in capfd.readouterr().out
