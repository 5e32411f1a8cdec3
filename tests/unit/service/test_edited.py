"""A proposal of which a rule was rejected says only what holds for the rules that are left."""

from dataclasses import replace

import pytest

from models.domain.confidence import Completeness
from models.domain.proposal import Backtest, BacktestDenial
from models.domain.proposal_json import proposal_to_json
from models.synthesis.description import SERVERS_FIRST, describe
from service.commands.show import print_proposal
from service.db.engine import database_url, make_engine
from service.db.migrate import upgrade
from service.db.sessions import Database
from service.export.manifests import Target
from service.export.service import collect
from service.proposals import service, views
from service.proposals.recording import record
from service.proposals.service import DecisionRequest
from service.review.transitions import Verb
from service.settings import DatabaseSettings
from service.web.pages import proposal_context
from service.web.render import render_page
from tests.contracts.test_review_state import NOW
from tests.unit.service.proposals import KEY, proposal, rule

API, DB, RESOLVER = rule(), rule("db", 5432), replace(rule("dns", 53), flags=("resolver",))
HELD = BacktestDenial("egress", "odd in shop", "TCP/9", 3, "quarantined", "Held back.", flows=4)
READY = Completeness(
    no_denial=0.93,
    expected=0.08,
    interval=(0, 1),
    reason="",
    uncovered=("first day of a quarter",),
    ready=((0.05, False), (0.1, True), (0.2, True)),
)


def proposed(*rules):
    """Stable: it admits 111 of 114 edge-days, and its egress is ready at a risk of 10 %."""
    found = proposal(*rules)
    return replace(
        found,
        description=describe(found.subject.workloads, found.rules),
        egress=replace(found.egress, completeness=READY),
        maturity="stable",
        reasons=(SERVERS_FIRST,),
        backtest=Backtest(checked=114, admitted=111, denied=(HELD,), denied_edge_days=3, denied_in_all=1),
    )


@pytest.fixture
def database(tmp_path):
    """Calls to ``api`` and ``db`` and the resolver are proposed."""
    made = Database(make_engine(database_url(DatabaseSettings(), tmp_path)))
    upgrade(made.engine)
    with made.write() as session:
        record(session, [proposed(API, DB, RESOLVER)], cluster="c", namespace=None, run_id=None, now=NOW)
    yield made
    made.close()


def decide(database, verb, *rules):
    """Ana decides on rules, or on the proposal."""
    request = DecisionRequest(verb, "ana", "moved away")
    with database.write() as session:
        for one in rules:
            service.decide_rule(session, KEY, one.id, request, now=NOW)
        if not rules:
            service.decide_proposal(session, KEY, request, now=NOW)


def detail(database):
    """The proposal as everybody sees it."""
    with database.read() as session:
        return views.detail(session, service.get(session, KEY))


def exported(database, **target):
    """Object and text of what is exported, approved or not."""
    with database.read() as session:
        (one,) = collect(session, cluster="c", approved_only=False, target=Target(**target)).objects
    return one.manifest, one.text


def test_the_replay_lists_what_a_rejected_rule_carried_and_promises_no_count(database):
    """Its traffic is denied now; how many edge-days that are is not kept with a rule."""
    decide(database, Verb.REJECT, API)
    found = detail(database)["backtest"]
    assert [(one["peer"], one["reason"], one["flows"]) for one in found["denied"]] == [
        ("api in shop", "rejected", 9),
        ("odd in shop", "quarantined", 4),
    ]
    assert (found["checked"], found["admitted"], found["denied_legitimate"]) == (114, None, None)
    assert "not known until the next inference" in found["reason"]


def test_a_direction_that_lost_a_rule_is_not_forecast(database):
    """No probability, no readiness, and so nothing stable, in the list of proposals neither."""
    decide(database, Verb.REJECT, API)
    found = detail(database)
    egress = found["completeness"]["egress"]
    assert egress["enforced"]
    assert (egress["probability_no_denial_7d"], egress["ready_at_risk"]) == (None, {})
    assert "until the next inference" in egress["reason"]
    assert egress["not_observed"] == ["first day of a quarter"]
    assert found["objective"] == {"openings": 0.0, "rules": 2, "expected_denials_7d": None, "doubts": None}
    with database.read() as session:
        assert views.summary(service.get(session, KEY))["maturity"] == found["maturity"] == "maturing"


@pytest.mark.parametrize("kind", ["cilium", "kubernetes"])
@pytest.mark.parametrize("approved", [False, True])
def test_a_manifest_counts_the_peers_that_it_holds(database, kind, approved):
    """Description, first comment and evidence, also of what was approved before the rejection."""
    if approved:
        decide(database, Verb.APPROVE)
    decide(database, Verb.REJECT, API)
    manifest, text = exported(database, kind=kind)
    said = "Allow-list of Deployment web, proposed from observed traffic: egress to 2 peers."
    assert f"# {said}" in text
    assert "3 peers" not in text
    assert manifest["metadata"]["annotations"]["portolan.dev/evidence"].startswith(
        "2 rules; 13.0 effective days"
    )
    assert manifest["spec"].get("description", said) == said
    shown = detail(database)
    assert shown["description"] == shown["manifest"]["spec"]["description"] == said


def test_the_fingerprint_is_that_of_what_was_proposed(database):
    """A rejection makes no other version."""
    before = detail(database)["manifest"]["metadata"]["annotations"]["portolan.dev/fingerprint"]
    decide(database, Verb.REJECT, API)
    assert detail(database)["fingerprint"] == before
    manifest, _ = exported(database)
    assert manifest["metadata"]["annotations"]["portolan.dev/fingerprint"] == before


def test_a_direction_of_which_only_the_resolver_is_left_is_shown_as_open(database):
    """It has no section, so nothing is denied there, whatever the replay of all rules said."""
    decide(database, Verb.REJECT, API, DB)
    found = detail(database)
    assert not found["completeness"]["egress"]["enforced"]
    assert found["completeness"]["egress"]["reason"] == "left open: nothing is denied"
    assert found["backtest"]["denied"] == []
    assert SERVERS_FIRST not in found["reasons"]
    assert found["manifest"] is None


def test_people_read_the_same(database, capsys):
    """On the terminal and on the page."""
    decide(database, Verb.REJECT, API)
    with database.read() as session:
        print_proposal(views.detail(session, service.get(session, KEY)), [], None)
        page = render_page(proposal_context(session, KEY, None)).body.decode()
    shown = capsys.readouterr().out
    assert "would deny egress api in shop TCP/8080 (9 flows, 3 days" in shown
    assert "<td>egress api in shop TCP/8080</td>" in page
    for text in (shown, page):
        assert "114 edge-days worked; how many of them this policy admits is not known" in text
        assert "111 of" not in text
        assert "with probability 93%" not in text
        assert "a risk of 10% is accepted" not in text


def test_with_all_rules_everything_is_as_it_was_recorded(database):
    """Also once the rejection was taken back."""
    before, files = detail(database), exported(database)
    body = proposal_to_json(proposed(API, DB, RESOLVER))
    same = ("description", "maturity", "reasons", "completeness", "objective", "backtest")
    assert {name: before[name] for name in same} == {name: body[name] for name in same}
    decide(database, Verb.REJECT, API)
    decide(database, Verb.REOPEN, API)
    after = detail(database)
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert exported(database) == files
    with database.read() as session:
        assert service.get(session, KEY).maturity == "stable"
