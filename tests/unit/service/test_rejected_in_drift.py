"""A rule that a reviewer rejected, on nights on which its traffic goes on: drift tells of the decision."""

import json

import pytest

from service.drift.service import DriftOptions, report_drift
from service.proposals import repository, service, views
from service.proposals.repository import ProposalFilter
from service.proposals.service import DecisionRequest
from service.review.transitions import Verb
from tests.unit.service.nights import START, Call, night, observed, opened

#: A second peer of ``api``: with all of its rules rejected, its egress would stay open.
OTHER = [Call("api", "web", 9090, tuple(range(10)), tuple(range(24)), replica) for replica in (0, 1)]


@pytest.fixture(scope="module")
def portolan(tmp_path_factory):
    """Ten days, and their proposals."""
    with opened(observed(tmp_path_factory.mktemp("rejected"), OTHER)) as made:
        night(made, 10)
        yield made


def rule_of(portolan, title="egress to db in data on TCP/5432"):
    """Key of the proposal for ``api``, and id of one of its rules."""
    with portolan.database.read() as session:
        row = service.resolve(session, "shop/api")
        rules = service.version_body(session, row)["rules"]
        return row.key, next(one["id"] for one in rules if one["title"] == title)


def decide(portolan, verb, rule):
    """Decide on a rule."""
    with portolan.database.write() as session:
        request = DecisionRequest(verb, "ana", "nobody needs it")
        service.decide_rule(session, *rule, request, now=portolan.clock())


def told(portolan, folder):
    """What is told of that traffic against an export of everything that was not rejected."""
    with portolan.database.read() as session:
        rows = repository.list_proposals(session, ProposalFilter())
        manifests = [views.detail(session, row)["manifest"] for row in rows]
    (folder / "policies.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    )
    options = DriftOptions(policies=(folder,), as_of=START.replace(day=12), record=False)
    report = report_drift(portolan, options, trigger="cli").report
    return [one for one in report.findings if ("TCP", 5432) in one.ports]


def test_drift_tells_who_rejected_a_rule_and_offers_it_to_nobody(portolan, tmp_path):
    """Later versions do not hold the rule any more; taken back, the decision is no word any more."""
    rule = rule_of(portolan)
    decide(portolan, Verb.REJECT, rule)
    night(portolan, 11)
    (found,) = told(portolan, tmp_path)
    assert (found.suggestion.action, found.suggestion.patch) == ("investigate", ())
    said = "A rule that admits it (egress to db in data on TCP/5432) was rejected by ana on 12 March 2026"
    assert f'{said}: "nobody needs it".' in found.why
    decide(portolan, Verb.REOPEN, rule)
    (found,) = told(portolan, tmp_path)
    assert "rejected" not in found.why
    assert found.suggestion.patch
