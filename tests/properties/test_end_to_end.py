"""Properties M of the input traps, on the whole way: Hubble's JSON lines, ingest, fold, proposals, YAML."""

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.manifest.validate import problems
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.verdict import evaluate
from tests.properties.cluster import DAYS, OUTSIDE, Contact, Naming, Traffic, chart, contacts
from tests.unit.manifest.test_validate import crd_spec

pytestmark = pytest.mark.slow
CONFIG = AgentConfig(cilium_version="1.18")
#: Every example writes and reads real tables, about a second each: few of them, and none to shrink by.
few = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
DENIED = {
    "verdict": "DROPPED",
    "drop_reason_desc": "POLICY_DENIED",
    "is_reply": None,
    "event_type": {"type": 5},
}


@few
@given(contacts(minimum=3), st.randoms(use_true_random=False), st.sampled_from((1, 1500, 6000)))
def test_property_M1_order_duplicates_and_batches_change_no_byte(found, random, batch_bytes):
    """Shuffled, repeated in another file, read in several runs and cut into small batches: the same YAML."""
    lines = Traffic().say(found).lines
    mixed = random.sample(lines, len(lines))
    cut = random.randrange(len(lines))
    again = random.sample(lines, max(1, len(lines) // 2))
    first = chart([lines])
    second = chart([mixed[:cut], again], [mixed[cut:], mixed], batch_bytes=batch_bytes)
    assert second.texts == first.texts
    assert second.result.to_json() == first.result.to_json()


@few
@given(contacts(), st.integers(1, 4))
def test_property_M2_more_replies_change_nothing(found, count):
    """However often a server answers, the file stays as it was."""
    assert (
        chart([Traffic().say(found).replies(found, count).lines]).texts
        == chart([Traffic().say(found).lines]).texts
    )


@few
@given(contacts(), contacts())
def test_property_M2_refused_traffic_adds_no_allow_rule(found, refused):
    """What a policy dropped is listed, never allowed; also beside the same traffic that passed."""
    before = chart([Traffic().say(found).lines])
    allowed = {one.edge for one in found}
    new = [one for one in refused if one.edge not in allowed and one.server not in OUTSIDE]
    traffic = Traffic().say(found).say(new, answered=False, **DENIED).say(found[:1], answered=False, **DENIED)
    after = chart([traffic.lines])
    assert after.rules <= before.rules


@few
@given(contacts(), st.sampled_from(("web", "job")))
def test_property_M3_an_unanswered_scan_changes_no_proposal(found, scanner):
    """Ports that never answered, on every workload, from a pod that also does its work."""
    ports = (21, 22, 23, 3389)
    scan = [
        Contact(scanner, server, port, "TCP", (1,))
        for server in ("api", "db", "web")
        for port in ports
        if server != scanner
    ]
    home = (*found, Contact(scanner, "db", 5432, "TCP", (0, 1)), Contact("api", "web", 8080, "TCP", (0, 1)))
    before = chart([Traffic().say(home).lines])
    after = chart([Traffic().say(home).say(scan, answered=False).lines])
    assert [one.fingerprint for one in after.result.proposals] == [
        one.fingerprint for one in before.result.proposals
    ]


@few
@given(contacts(minimum=3))
def test_properties_M5_and_M7_every_answered_edge_is_admitted_by_valid_documents(found):
    """By the reference evaluator reading the exported text, or listed as left out; and every text is legal."""
    made = chart([Traffic().say(found).lines])
    documents = [yaml.safe_load(text) for text in made.texts.values()]
    for document in documents:
        assert problems(document, cilium_version="1.18") == []
        assert not list(jsonschema.Draft4Validator(crd_spec("1.18")).iter_errors(document["spec"]))
    policies = parse_objects(documents, config=CONFIG, inventory_complete=True)
    assert policies.rejected == ()
    listed = {
        (workload.partition("/")[2], line.direction, line.port)
        for one in made.result.proposals
        for workload in one.subject.workloads
        for line in one.left_out
    }
    naming = Naming()
    admitted = False
    for one in found:
        outside = one.server in OUTSIDE
        client = Side(labels=tuple(naming.labels(one.client)))
        server = Side(labels=tuple(naming.labels(one.server))) if not outside else None
        server = server or Side(ip=one.server, names=tuple(filter(None, (OUTSIDE[one.server],))))
        for direction, subject in ((Direction.EGRESS, one.client), (Direction.INGRESS, one.server)):
            flow = PolicyFlow(direction, client, server, one.protocol, one.port)
            if subject in OUTSIDE or (subject, direction.value, f"{one.protocol}/{one.port}") in listed:
                continue
            assert evaluate(policies, flow, CONFIG).verdict is Verdict.ALLOW, (one, direction)
            admitted = True
    daily = [one for one in found if len(one.days) == DAYS and one.server not in OUTSIDE and one.port != 53]
    assert admitted or not daily, "leaving everything out admits nothing"


@few
@given(contacts(minimum=2), st.data())
def test_property_M6_a_rule_without_its_traffic_is_gone(found, data):
    """What only one edge speaks for disappears with it, and what is left has an edge that is left."""
    gone = data.draw(st.sampled_from(found))
    before = chart([Traffic().say(found).lines])
    kept = [one for one in found if one != gone]
    after = chart([Traffic().say(kept).lines]) if kept else None
    lost = before.rules - after.rules
    if gone.port != 53:
        assert any(f": {gone.port}" in rule for rule in lost) or not any(
            f": {gone.port}" in rule for rule in before.rules
        )
    alive = {(one.client, one.port) for one in kept} | {(one.server, one.port) for one in kept}
    for rule in after.rules:
        assert any(f'/{name}"' in rule and f": {port}" in rule for name, port in alive) or ": 53" in rule


@few
@given(contacts(minimum=2), st.integers(2, 200), st.integers(40_000, 60_000))
def test_property_M9_pods_hashes_and_addresses_may_be_called_anything(found, octet, identity):
    """Tomorrow's pods are the same workloads, and a name has the address that it has tomorrow."""
    renamed = Naming("zz9p4", "5f6b8d9c7", octet, identity)
    (named,) = [address for address, name in OUTSIDE.items() if name]
    moved = named.rpartition(".")[0] + f".{octet}"
    lines = [line.replace(named, moved) for line in Traffic(renamed).say(found).lines]
    assert chart([lines]).texts == chart([Traffic().say(found).lines]).texts


def test_the_same_traffic_a_day_later_gives_the_same_meaning():
    """The window moves on and the fingerprint stays, so the review makes no new version."""
    week = tuple(range(DAYS))
    found = (Contact("web", "api", 8080, "TCP", week), Contact("api", "db", 5432, "TCP", week))
    one = chart([Traffic().say(found).lines]).result.proposals
    other = chart([Traffic().say([Contact(*edge.edge, (1,)) for edge in found]).lines]).result.proposals
    assert [proposal.fingerprint for proposal in one] == [proposal.fingerprint for proposal in other]
    assert [proposal.key for proposal in one] == [proposal.key for proposal in other]
