"""What worked and is no edge: a rule for its port or for both readings, where the direction stayed open."""

import pytest

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.peer import ANYONE, EndpointPeer, peer_to_json
from models.domain.rule import Port
from models.manifest.render import cilium_manifest
from models.synthesis.memory import Memory
from models.synthesis.untold import MAX_UNTOLD
from tests.unit.synthesis.set_aside import row, web_and_api, with_rows
from tests.unit.synthesis.world import World, proposal_for


@pytest.fixture
def world():
    return web_and_api()


def web_of(world, rows, **options):
    """Proposal of web with things that the fold set aside."""
    return proposal_for(propose(with_rows(world, rows), **options), "web")


def untold(proposal):
    """Rules for what nobody can tell."""
    return [rule for rule in proposal.rules if "untold" in rule.flags]


def known(world, reason, port=30001, **changes):
    """A contact with a known peer of which nobody can say who called."""
    peer = {"peer_kind": "endpoint", "peer": world.identities[1]["label_key"], "protocol": "UDP"}
    return row(world, reason, port=port, **{**peer, **changes})


def test_the_port_of_an_unknown_peer_is_open_to_anyone_and_the_direction_is_constrained(world):
    proposal = web_of(world, [row(world, "unresolved")])
    assert proposal.egress.enforced
    (rule,) = untold(proposal)
    assert (rule.direction, rule.peer, rule.ports) == ("egress", ANYONE, (Port("TCP", 6001),))
    assert rule.evidence.addresses == ("10.9.9.9",)
    assert (rule.evidence.days_seen, rule.evidence.flows) == (14, 300)
    assert [one.kind for one in rule.widening] == ["world"]
    assert any("10.9.9.9" in reason and "open to anyone" in reason for reason in rule.reasons)
    assert "needs_review" in rule.flags


def test_nobody_can_say_how_needed_or_how_wanted_it_is(world):
    (rule,) = untold(web_of(world, [row(world, "unresolved")]))
    assert (rule.confidence.p_need, rule.confidence.p_legit, rule.confidence.confidence) == (None, None, None)
    assert "not told" in rule.confidence.reason


def test_what_a_rule_lets_through_is_not_left_out(world):
    assert not web_of(world, [row(world, "unresolved")]).left_out


def test_the_manifest_opens_that_port_alone(world):
    spec = cilium_manifest(web_of(world, [row(world, "unresolved")]))["spec"]
    ports = [{"ports": [{"port": "6001", "protocol": "TCP"}]}]
    assert {"toEntities": ["all"], "toPorts": ports} in spec["egress"]


@pytest.mark.parametrize(("reason", "said"), [("ambiguous_direction", "both"), ("reply_only", "answers")])
def test_what_two_known_ones_did_is_a_rule_for_the_two(world, reason, said):
    (rule,) = untold(web_of(world, [known(world, reason)]))
    assert isinstance(rule.peer, EndpointPeer)
    assert peer_to_json(rule.peer)["workload"] == "Deployment/api"
    assert rule.ports == (Port("UDP", 30001),)
    assert any(said in reason for reason in rule.reasons)


def test_two_known_ones_need_two_days_and_in_strict_as_many_as_unknown_ones(world):
    days = [known(world, "ambiguous_direction", 30000 + days, days=days) for days in (1, 2, 7)]
    assert [rule.ports[0].number for rule in untold(web_of(world, days))] == [30002, 30007]
    assert [rule.ports[0].number for rule in untold(web_of(world, days, posture="strict"))] == [30007]


def test_ports_of_single_days_make_no_rules_however_many_they_are(world):
    """Trap B1, B3: the port that a client called from is another each time."""
    rows = [known(world, "ambiguous_direction", 40000 + one, days=1) for one in range(60)]
    proposal = web_of(world, rows)
    assert proposal.egress.enforced
    assert not untold(proposal)


def test_what_an_ordinary_rule_lets_through_needs_no_other(world):
    ordinary = known(world, "ambiguous_direction", 8080, protocol="TCP")
    proposal = web_of(world, [ordinary])
    assert proposal.egress.enforced
    assert not untold(proposal)


def by_turns(world, port):
    """Seven addresses one after the other, two days each."""
    return [
        row(
            world,
            "unresolved",
            peer=f"10.9.9.{turn}",
            port=port,
            days=2,
            first_us=world.at(2 * turn),
            last_us=world.at(2 * turn + 1, 20),
        )
        for turn in range(7)
    ]


def test_addresses_that_change_with_each_pod_are_one_contact_where_nobody_known_uses_the_port(world):
    (rule,) = untold(web_of(world, by_turns(world, 6001)))
    assert (rule.evidence.days_seen, rule.evidence.address_count) == (14, 7)


def test_where_known_peers_use_the_port_unknown_ones_are_those_before_their_labels_were_seen(world):
    """Trap E12: what lags behind opens nothing."""
    proposal = web_of(world, by_turns(world, 8080))
    assert proposal.egress.enforced
    assert not untold(proposal)


def test_what_never_answered_gets_no_rule(world):
    assert not untold(web_of(world, [row(world, "unresolved", answered=0)]))


def test_where_there_are_many_those_come_first_that_would_break_for_certain(world):
    """Two days each are no reason to give up the port that is needed daily, nor all of them."""
    rows = [row(world, "unresolved")]
    rows += [known(world, "ambiguous_direction", 30000 + one, days=2) for one in range(MAX_UNTOLD + 5)]
    proposal = web_of(world, rows)
    found = untold(proposal)
    assert proposal.egress.enforced
    assert len(found) == MAX_UNTOLD
    assert ANYONE in {rule.peer for rule in found}
    assert "6 edges that nobody can place" in proposal.egress.why


def test_a_list_that_nobody_would_check_leaves_the_direction_open(world):
    ports = [row(world, "unresolved", port=6000 + one) for one in range(MAX_UNTOLD + 1)]
    result = propose(with_rows(world, ports))
    assert not [one for one in result.proposals if one.subject.workloads == ("Deployment/web",)]
    assert len(untold(web_of(world, ports[:-1]))) == MAX_UNTOLD


def test_one_rejected_stays_out_and_the_direction_constrained(world):
    rows = [row(world, "unresolved")]
    (rule,) = untold(web_of(world, rows))
    proposal = web_of(world, rows, rejected_rules=frozenset({rule.id}))
    assert proposal.egress.enforced
    assert not untold(proposal)
    assert [(one.reason, one.peer) for one in proposal.left_out] == [("rejected", "10.9.9.9")]


def test_it_closes_nothing_where_nothing_else_was_observed():
    """One thing that nobody can tell is no evidence that there is nothing else."""
    world = World()
    world.edge(world.pod("shop", "web"), world.pod("shop", "api"))
    api = world.identities[1]["label_key"]
    result = propose(with_rows(world, [row(world, "unresolved", subject=api)]))
    proposal = proposal_for(result, "api")
    assert not proposal.egress.enforced
    assert not untold(proposal)
    assert [line.reason for line in proposal.left_out] == ["unresolved"]


def test_who_is_held_back_on_an_open_port_is_named(world):
    """A pod that somebody started by hand is not let in silently."""
    server = world.pod("shop", "db")
    world.edge(world.pod("shop", "worker"), server, 5432)
    world.edge(world.pod("shop", "netshoot", kind="Pod"), server, 6001, days=[12])
    aside = row(world, "unresolved", subject=server.key, direction="ingress")
    (rule,) = untold(proposal_for(propose(with_rows(world, [aside])), "db"))
    assert "admits_held_back" in rule.flags
    assert any("netshoot" in reason for reason in rule.reasons)


@pytest.fixture
def server():
    """A database with a worker, and a bare pod that somebody started."""
    world = World()
    found = world.pod("shop", "db")
    world.edge(world.pod("shop", "worker"), found, 5432)
    return world, found, world.pod("shop", "netshoot", kind="Pod")


@pytest.mark.parametrize("port", [6001, 7777])
@pytest.mark.parametrize("memory", ["", "unwanted"])
def test_who_is_held_back_gets_no_rule_because_nobody_can_say_who_called(server, port, memory):
    """Neither on the port on which he was, nor on another; nor does a bare pod that was nowhere else."""
    world, db, netshoot = server
    both = {
        "direction": "ingress",
        "subject": db.key,
        "peer_kind": "endpoint",
        "peer": netshoot.key,
        "port": port,
    }
    aside = row(world, "ambiguous_direction", **both, days=2, first_us=world.at(12), last_us=world.at(13))
    alone = proposal_for(propose(with_rows(world, [aside])), "db")
    assert not untold(alone)
    world.edge(netshoot, db, 6001, days=[12])
    cell = "prod:shop/Deployment/db|ingress|endpoint|prod:shop/Pod/netshoot|TCP|6001"
    known_as = Memory({cell: memory} if memory else {})
    assert not untold(proposal_for(propose(with_rows(world, [aside]), memory=known_as), "db"))


def rejected_on_8080(world, aside, clients=("web",)):
    """Proposal of the API after a person rejected the rule of its port; another port stays."""
    api = next(one for one in world.identities if one["label_key"] == aside[0]["subject"])["label_key"]
    pods = type(world.pod("shop", "batch"))(api, "shop", {"app": "api"})
    world.edge(world.pod("shop", "admin"), pods, 9090)
    for name in clients:
        world.edge(world.pod("shop", name), pods, 8080)
    before = proposal_for(propose(with_rows(world, aside)), "api")
    ids = {
        rule.id for rule in before.rules if rule.ports == (Port("TCP", 8080),) and "untold" not in rule.flags
    }
    assert ids
    return proposal_for(propose(with_rows(world, aside), rejected_rules=frozenset(ids)), "api")


def test_rejecting_the_known_peers_of_a_port_opens_it_to_nobody(world):
    """Unknown addresses in turn are those peers still."""
    api = world.identities[1]["label_key"]
    aside = [{**one, "subject": api, "direction": "ingress"} for one in by_turns(world, 8080)]
    proposal = rejected_on_8080(world, aside)
    assert proposal.ingress.enforced
    assert not untold(proposal)


@pytest.mark.parametrize("clients", [("web",), ("web", "one", "two", "three")])
def test_who_was_rejected_does_not_come_back_because_nobody_can_say_who_called(world, clients):
    """Neither by itself nor as a member of a list that was rejected."""
    web, api = (one["label_key"] for one in world.identities)
    both = {"direction": "ingress", "subject": api, "peer_kind": "endpoint", "peer": web, "port": 8080}
    proposal = rejected_on_8080(world, [row(world, "ambiguous_direction", **both)], clients)
    assert proposal.ingress.enforced
    assert not untold(proposal)
    assert "rejected" in {one.reason for one in proposal.left_out}
    assert "ambiguous_direction" not in {one.reason for one in proposal.left_out}


def test_rejecting_all_but_an_untold_rule_keeps_that_rule(world):
    """Tomorrow's policy is what the reviewer left of tonight's."""
    rows = [row(world, "unresolved")]
    before = web_of(world, rows)
    others = frozenset(rule.id for rule in before.rules if "untold" not in rule.flags)
    after = web_of(world, rows, rejected_rules=others)
    assert after.egress.enforced
    assert [rule.peer for rule in after.rules if rule.direction == "egress"] == [ANYONE]


def test_no_port_with_a_list_of_requests_is_opened_to_anyone():
    """What is open to anyone passes no proxy."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    for number in range(28):
        world.http(web, api, f"GET /orders/{1000 + 7 * number}", days=[number // 2])
    aside = row(world, "unresolved", subject=api.key, direction="ingress", port=8080)
    hints = CapabilityHints(fqdn=True, l7=True)
    result = propose(with_rows(world, [aside]), capabilities=hints)
    assert not [rule for one in result.proposals for rule in untold(one) if rule.direction == "ingress"]


def test_questions_of_dns_are_never_opened_to_anyone(world):
    result = propose(with_rows(world, [row(world, "unresolved", protocol="UDP", port=53)]))
    assert not [rule for one in result.proposals for rule in untold(one)]


def test_pods_of_whom_no_labels_are_recorded_are_one_contact_each(world):
    """Where a known peer uses the port, two days of each are the beginnings of known pods."""
    rows = [
        {**one, "peer_kind": "endpoint", "peer": f"{turn:016x}", "port": 8080}
        for turn, one in enumerate(by_turns(world, 8080))
    ]
    assert not untold(web_of(world, rows))
    (rule,) = untold(web_of(world, [{**one, "port": 6001} for one in rows]))
    assert any("who is at the other end" in reason for reason in rule.reasons)


def test_what_a_port_open_to_anyone_lets_through_needs_no_rule_of_its_own(world):
    rows = [row(world, "unresolved"), known(world, "ambiguous_direction", 6001, protocol="TCP")]
    proposal = web_of(world, rows)
    assert [rule.peer for rule in untold(proposal)] == [ANYONE]
    assert not proposal.left_out


def test_the_order_of_rows_changes_nothing(world):
    rows = [
        *by_turns(world, 6001),
        known(world, "reply_only", 30001),
        known(world, "ambiguous_direction", 30001),
    ]
    assert web_of(world, rows) == web_of(world, rows[::-1])
