"""An explanation offers no change for what is held back, confirmed as unwanted or rejected as a rule."""

import json

import pytest
from starlette.testclient import TestClient

from service.cli import run
from service.main import create_app
from service.proposals import repository as proposals
from service.proposals import service as proposed
from service.proposals.service import DecisionRequest
from service.quarantine import repository, service
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from service.review.transitions import Verb
from tests.unit.service.nights import Call, night, observed, opened
from tests.unit.service.test_quarantine_rolling import DAILY

LATERAL = Call("web", "db", 5432, tuple(range(8, 10)), hours=DAILY, replica=1)
#: A second way out, without which the policy of ``web`` would leave egress open once the first is rejected.
METRICS = [Call("web", "api", 9090, tuple(range(10)), hours=tuple(range(24)), replica=n) for n in range(3)]
ASKED = {"source": "shop/web", "destination": "data/db", "port": 5432, "state": "any"}
WEB_TO_API = "egress to api in shop on TCP/8080"


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Ten days, on the last of which one replica of ``web`` began to call ``db``, which is held back."""
    folder = tmp_path_factory.mktemp("reviewed")
    data = observed(folder, [LATERAL, *METRICS])
    with opened(data) as portolan:
        night(portolan, 10)
    return folder


@pytest.fixture
def portolan(learned, monkeypatch):
    """The same, with nothing decided yet."""
    monkeypatch.chdir(learned)
    with opened(learned / "data") as made:
        yield made


def decide(portolan, verdict):
    """Ana's verdict on the call."""
    with portolan.database.write() as session:
        rows = repository.list_entries(session, QuarantineFilter(workload="web"), now=portolan.clock())
        (entry,) = [row.id for row in rows if row.form["title"] == "db in data on TCP/5432"]
        service.decide(session, entry, VerdictRequest(verdict, "ana", "no idea"), now=portolan.clock())
    return entry


def told(portolan, **asked):
    """Answer of the API."""
    client = TestClient(create_app(portolan), base_url="http://127.0.0.1")
    answer = client.get("/api/v1/explain", params=ASKED | asked)
    assert answer.status_code == 200
    return answer.json()


def said(capfd, *arguments):
    """What the command prints."""
    capfd.readouterr()
    assert run(["explain", *arguments, "--state", "any", "--data-dir", "data"]) == 0
    return capfd.readouterr().out


def test_what_is_held_back_is_said_first_and_no_change_is_offered(portolan, capfd):
    """Until somebody decides; the way to admit it is named."""
    found = told(portolan)
    assert (found["verdict"], found["changes"]) == ("deny", [])
    assert {(one["workload"], one["state"]) for one in found["held_back"]} == {
        ("web", "open"),
        ("db", "open"),
    }
    text = said(capfd, "shop/web", "data/db", "--port", "5432")
    entry = next(one["id"] for one in found["held_back"] if one["workload"] == "web")
    assert text.splitlines()[1].startswith("  HELD BACK, nobody decided: ")
    assert f"if it is wanted: portolan verdict {entry} admit --reason WHY" in text
    assert "No change is offered: this is held back, and nobody has admitted it" in text
    assert "kubectl patch" not in text
    assert found["held_back"][0]["why"][0] in text


def test_a_verdict_is_told_with_who_gave_it_and_only_an_admission_brings_the_change(portolan, capfd):
    """Confirmed as unwanted, then admitted after all."""
    entry = decide(portolan, Verdict.UNWANTED)
    found = told(portolan)
    assert found["changes"] == []
    assert {(one["state"], one["reviewer"], one["reason"]) for one in found["held_back"]} == {
        ("unwanted", "ana", "no idea")
    }
    text = said(capfd, "shop/web", "data/db", "--port", "5432")
    assert "CONFIRMED AS UNWANTED: shop/web egress db in data on TCP/5432; ana, 2026-03-12" in text
    assert f"look at it: portolan quarantine {entry}" in text
    assert "No change is offered: this was confirmed as unwanted" in text
    assert "kubectl patch" not in text
    decide(portolan, Verdict.REOPEN)
    decide(portolan, Verdict.ADMIT)
    assert {one["state"] for one in told(portolan)["held_back"]} == {"admitted"}
    assert [one["direction"] for one in told(portolan)["changes"]] == ["egress", "ingress"]
    decide(portolan, Verdict.REOPEN)


def test_a_recorded_flow_is_looked_up_in_the_quarantine_too(portolan, learned, capfd):
    """By the workloads that the record names."""
    lines = (learned / "flows.jsonl").read_text("utf-8").splitlines()
    record = next(
        line
        for line in map(json.loads, lines)
        if line["flow"]["l4"].get("TCP", {}).get("destination_port") == 5432
        and line["flow"]["source"].get("pod_name", "").startswith("web-")
    )
    (learned / "flow.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    text = said(capfd, "--flow", "flow.json")
    assert "HELD BACK, nobody decided" in text
    assert "kubectl patch" not in text
    client = TestClient(create_app(portolan), base_url="http://127.0.0.1")
    answer = client.post("/api/v1/explain", json={"flow": record, "state": "any"}).json()
    assert (len(answer["held_back"]), answer["changes"]) == (2, [])


def test_a_rejected_rule_is_told_and_no_change_is_offered(portolan, capfd):
    """Also once an inference proposed the policy without it."""
    with portolan.database.write() as session:
        row = proposed.resolve(session, "shop/web")
        rules = proposed.version_body(session, row)["rules"]
        (rule,) = [one["id"] for one in rules if one["title"] == WEB_TO_API]
        request = DecisionRequest(Verb.REJECT, "ana", "goes through the gateway")
        proposed.decide_rule(session, row.key, rule, request, now=portolan.clock())
    asked = {"destination": "shop/api", "port": 8080}
    for later in (False, True):
        if later:
            night(portolan, 10)
            with portolan.database.read() as session:
                row = proposed.resolve(session, "shop/web")
                assert rule not in {one["id"] for one in proposed.version_body(session, row)["rules"]}
                assert proposals.rejected_standings(session, row.cluster)
        found = told(portolan, **asked)
        assert found["verdict"] == "deny"
        assert [(one["id"], one["reason"]) for one in found["rejected_rules"]] == [
            (rule, "goes through the gateway")
        ]
        assert (found["held_back"], found["changes"]) == ([], [])
    text = said(capfd, "shop/web", "shop/api", "--port", "8080")
    assert f"REJECTED AS A RULE: {WEB_TO_API}; ana, 2026-03-12T" in text
    assert "No change is offered: a reviewer rejected the rule for it" in text
    other = told(portolan, source="shop/api", destination="shop/web", port=8080)
    assert other["rejected_rules"] == []
    assert other["changes"]
