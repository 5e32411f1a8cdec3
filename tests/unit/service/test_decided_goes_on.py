"""An attack that a person confirmed and that goes on: the quarantine watches it, and drift tells of it."""

import json

import pytest
from starlette.testclient import TestClient

from models.domain.agent import NEWEST
from service.commands.held import print_entry
from service.drift.service import DriftOptions, report_drift
from service.main import create_app
from service.proposals import repository as proposals
from service.proposals import views as proposal_views
from service.proposals.repository import ProposalFilter
from service.quarantine import repository, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from service.simulation.service import observed_cluster, seen_in_window
from tests.unit.service.nights import START, Call, night, observed, opened
from tests.unit.service.test_quarantine_rolling import DAILY

LATERAL = Call("web", "db", 5432, tuple(range(8, 13)), hours=DAILY, replica=1)


@pytest.fixture(scope="module")
def portolan(tmp_path_factory):
    """Confirmed as unwanted on the tenth day; two more nights."""
    with opened(observed(tmp_path_factory.mktemp("goes_on"), [LATERAL], days=13)) as made:
        night(made, 10)
        with made.database.write() as session:
            request = VerdictRequest(Verdict.UNWANTED, "ana", "nobody deployed that")
            service.decide(session, entry(made)["id"], request, now=made.clock())
        night(made, 11)
        night(made, 12)
        yield made


def entry(portolan, title="db in data on TCP/5432"):
    """The entry of an end, with everything."""
    with portolan.database.read() as session:
        rows = repository.list_entries(session, QuarantineFilter(), now=portolan.clock())
        (found,) = [
            views.detail(session, row, portolan.clock()) for row in rows if row.form["title"] == title
        ]
        return found


def test_how_long_it_goes_on_is_told(portolan, capsys):
    """Its days grow, and so do its records; why it was held back stays."""
    found = entry(portolan)
    assert (found["state"], found["held"], found["still_seen"]) == ("unwanted", False, True)
    assert (found["days_seen"], found["last_seen"][:10], found["reasons"]) == (
        4,
        "2026-03-13",
        ["one_replica_began"],
    )
    assert entry(portolan, "web in shop on TCP/5432")["days_seen"] == 4
    print_entry(found)
    assert "unwanted; not held back by the newest run, still seen" in capsys.readouterr().out


def test_page_and_api_show_that_it_goes_on(portolan):
    """Whoever looks for what was confirmed sees that it is not over."""
    client = TestClient(create_app(portolan), base_url="http://127.0.0.1")
    (one, other) = client.get("/api/v1/quarantine", params={"state": "unwanted"}).json()["items"]
    assert (one["still_seen"], other["still_seen"]) == (True, True)
    assert one["last_seen"].startswith("2026-03-13")
    page = client.get("/quarantine", params={"state": "unwanted"}).text
    assert page.count('<span class="flag">still seen</span>') == 2


def test_drift_calls_it_suspicious_and_offers_nothing(portolan, tmp_path):
    """Against the very policies that leave it out."""
    with portolan.database.read() as session:
        rows = proposals.list_proposals(session, ProposalFilter())
        manifests = [proposal_views.detail(session, row)["manifest"] for row in rows]
    (tmp_path / "policies.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    )
    options = DriftOptions(policies=(tmp_path,), as_of=START.replace(day=15), record=False)
    report = report_drift(portolan, options, trigger="cli").report
    (found,) = [one for one in report.findings if ("TCP", 5432) in one.ports]
    assert (found.kind.value, found.detector) == ("suspicious", "confirmed")
    assert "confirmed as unwanted by ana on 12 March 2026" in found.why
    assert (found.suggestion.action, found.suggestion.patch) == ("investigate", ())


def test_reopened_it_is_open_at_once_and_held_back_by_the_next_run(portolan):
    """Whatever nights there were between."""
    with portolan.database.write() as session:
        service.decide(
            session, entry(portolan)["id"], VerdictRequest(Verdict.REOPEN, "ben"), now=portolan.clock()
        )
    assert (entry(portolan)["state"], entry(portolan)["held"]) == ("open", True)
    night(portolan, 13)
    assert (entry(portolan)["state"], entry(portolan)["reasons"]) == ("open", ["one_replica_began"])


def test_a_simulation_does_not_call_it_legitimate(portolan):
    """At both ends; what was never held back stays what it was."""
    cluster = observed_cluster(portolan, None)
    about = {"as_of": None, "window": None, "cilium_version": NEWEST}
    seen = seen_in_window(portolan, cluster=cluster, **about)
    kinds = {seen.ends(edge)[1:4]: seen.legitimacy(edge) for edge in seen.edges}
    assert kinds["web", "egress", "db in data"] == kinds["db", "ingress", "web in shop"] == "suspicious"
    assert kinds["api", "egress", "db in data"] == kinds["db", "ingress", "api in shop"] == "legitimate"
