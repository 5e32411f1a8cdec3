"""``portolan explain --flow``: one record, both ends, a change for each, no store."""

import json

import pytest
import yaml

from service.cli import run
from tests.functional.test_simulation import CLOSED, DENIED, SPEC


@pytest.fixture(autouse=True)
def _somewhere(tmp_path, monkeypatch):
    """No configuration file of the folder the tests run in."""
    monkeypatch.chdir(tmp_path)


def test_one_hubble_record_is_explained_without_a_store(tmp_path, capfd):
    """Both ends deny a ping: a change for each, for ICMP without a port, and what Hubble said."""
    web = CLOSED | {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toEntities": ["host"]}]},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump_all([CLOSED, web]), encoding="utf-8")
    line = json.dumps(DENIED) + "\n"
    forwarded = json.dumps({"flow": DENIED["flow"] | {"verdict": "FORWARDED", "is_reply": False}}) + "\n"
    (tmp_path / "flow.json").write_text(forwarded + line, encoding="utf-8")
    arguments = ("explain", "--flow", "flow.json", "--policies", "p.yaml")
    assert run([*arguments, "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["source"], told["destination"], told["protocol"]) == ("shop/web-0", "db-0 in shop", "ICMP")
    assert [change["direction"] for change in told["changes"]] == ["egress", "ingress"]
    icmps = [{"fields": [{"family": "IPv4", "type": 8}]}]
    assert [change["patch"][0]["value"]["icmps"] for change in told["changes"]] == [icmps, icmps]
    assert told["hubble"] == {
        "outcome": "denied",
        "drop_reason": "POLICY_DENIED",
        "named": ["ingress denied by CiliumNetworkPolicy/shop/db"],
    }
    hubble = next(command for command in told["commands"] if command.startswith("hubble"))
    assert "--protocol=icmpv4" in hubble
    assert "--to-port" not in hubble
    assert any("cilium-dbg policy selectors" in command for command in told["commands"])
    assert run(list(arguments)) == 0
    text = capfd.readouterr().out
    assert f"{tmp_path}" not in text
    assert "p.yaml:1" in text
    assert "Both changes are needed" in text
    assert not (tmp_path / ".portolan").exists()
    for wrong, sentence in (
        ([*arguments, "--port", "1"], "leave the ends"),
        (["explain", "shop/web"], "name who connects"),
    ):
        assert run(wrong) == 2
        assert sentence in capfd.readouterr().err
    (tmp_path / "flow.json").write_text('{"node_status": {}}\n', encoding="utf-8")
    assert run(list(arguments)) == 2
    assert "asks anything of policy" in capfd.readouterr().err


def test_a_refused_request_gets_a_change_of_the_rule_that_refused_it(tmp_path, capfd):
    """The L7 part of the record counts: one method and path, literally, where the rules stand."""
    ports = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"path": "/a"}]}}]
    rule = {"fromEndpoints": [{}], "toPorts": ports}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(CLOSED | {"spec": SPEC | {"ingress": [rule]}}))
    http = {"type": "REQUEST", "http": {"method": "PUT", "url": "http://db/v1.0?x=1"}}
    flow = DENIED["flow"] | {"l4": {"TCP": {"destination_port": 80}}, "l7": http}
    (tmp_path / "flow.json").write_text(json.dumps({"flow": flow}))
    assert run(["explain", "--flow", "flow.json", "--policies", "p.yaml", "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["verdict"], told["request"]) == ("deny", "PUT /v1.0")
    [change] = told["changes"]
    assert change["patch"][0]["path"] == "/spec/ingress/0/toPorts/0/rules/http/-"
    assert change["patch"][0]["value"] == {"method": "PUT", "path": "/v1\\.0\\?x=1"}


def test_what_passed_and_would_not_is_told_apart(tmp_path, capfd):
    """Hubble and the policies disagree: the cluster runs others, and that is said."""
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(CLOSED))
    passed = {"flow": DENIED["flow"] | {"verdict": "FORWARDED", "is_reply": False}}
    (tmp_path / "flow.json").write_text(json.dumps(passed))
    assert run(["explain", "--flow", "flow.json", "--policies", "p.yaml"]) == 0
    assert "does not enforce these policies" in capfd.readouterr().out
    (tmp_path / "flow.json").write_text(json.dumps(DENIED))
    open_ = CLOSED | {
        "spec": SPEC | {"ingress": [{"fromEntities": ["all"], "icmps": [{"fields": [{"type": 8}]}]}]}
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(open_))
    assert run(["explain", "--flow", "flow.json", "--policies", "p.yaml"]) == 0
    assert "the cluster runs others" in capfd.readouterr().out
