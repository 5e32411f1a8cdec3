"""What the widest rules open beyond what was seen is counted on them, in identity and port pairs."""

import pytest

from jobs.propose import propose
from models.domain.rule import Rule
from tests.unit.synthesis.world import Pods, World, proposal_for, rule_to

SAME = {"team": "core"}


def role(rule: Rule) -> list[tuple[str, int, int]]:
    """Of each record of a role what it stands for, how many were seen, and the pairs."""
    return [(one.what, one.covers, one.pairs) for one in rule.widening if one.kind == "role"]


def twins(world: World, *, shared: bool) -> tuple[Pods, Pods]:
    """Two workloads that no stable label tells apart; ``shared``: their label sets are one."""
    one = world.pod("shop", "one", SAME if shared else {**SAME, "pod-template-hash": "7d4b9c6f5d"})
    two = world.pod("shop", "two", SAME if shared else {**SAME, "pod-template-hash": "6c5d8b7f4c"})
    return one, two


def test_a_port_that_faces_the_internet_counts_its_visitors():
    """Everybody is admitted, whom nobody can count, and no search weighed it."""
    world = World()
    front = world.pod("shop", "web")
    for number in range(12):
        world.at_server(front, "ip", f"9.9.{number}.9", 443)
    (rule,) = proposal_for(propose(world.observations()), "web").rules
    (record,) = rule.widening
    assert (record.kind, record.covers, record.change) == ("world", 12, 0.0)
    assert record.to_json()["unseen"] is None


def test_a_resolver_counts_the_workloads_that_never_asked_it():
    """Both protocols for each of them, at the price of the posture."""
    world = World()
    dns = world.kube_dns()
    for number in range(3):
        world.dns(world.pod(f"team-{number}", "client"), dns)
    world.edge(world.pod("shop", "web"), world.pod("shop", "db"), 5432)
    result = propose(world.observations())
    (rule,) = [one for one in proposal_for(result, "coredns").rules if "every_pod" in one.flags]
    # web, db and the resolver itself never asked.
    assert role(rule) == [("every pod of the cluster", 3, 6)]
    assert rule.widening[0].openings == 3.0
    assert "Today it opens 6 pairs with workloads that were not seen." in rule.reasons


def test_a_namespace_that_no_label_divides_counts_the_others_in_it():
    """The caller has no usable label: everybody beside it is admitted."""
    world = World()
    api = world.pod("shop", "api")
    world.edge(world.pod("legacy", "batch", {}), api)
    world.edge(world.pod("legacy", "old"), world.pod("legacy", "older"), 9000)
    rules = proposal_for(propose(world.observations()), "api").rules
    (rule,) = [one for one in rules if "wide_peer" in one.flags]
    assert role(rule) == [(rule.peer.title, 1, 2)]


@pytest.mark.parametrize("shared", [True, False])
def test_what_one_of_two_did_is_given_to_both(shared):
    """Told by names of pods where labels are the same, else by labels; what both did opens nothing."""
    world = World()
    one, two = twins(world, shared=shared)
    db, cache = world.pod("shop", "db"), world.pod("shop", "cache")
    pods = ("one-7d4b9c6f5d-x2xvz", "one-7d4b9c6f5d-x2xvz")
    world.half(one, "egress", "endpoint", db.key, 5432, subject_pods=1, subject_pod=pods)
    if shared:
        pods = ("one-7d4b9c6f5d-x2xvz", "two-6c5d8b7f4c-x2xvz")
        world.half(one, "egress", "endpoint", cache.key, 6379, subject_pods=2, subject_pod=pods)
    else:
        world.edge(one, cache, 6379, both=False)
        world.edge(two, cache, 6379, both=False)
    proposal = proposal_for(propose(world.observations()), "one")
    assert "indistinguishable" in proposal.flags
    rule = rule_to(proposal, "/db")
    assert role(rule) == [("one + two", 1, 1)]
    assert rule.widening[0].change == 0.5
    assert any(
        reason.startswith("Of 2 workloads that share this policy 1 showed this") for reason in rule.reasons
    )
    assert rule_to(proposal, "/cache").widening == ()


def test_of_many_pods_with_the_same_labels_nobody_can_say_which_they_were_of():
    """What is counted is opened for certain, so nothing is."""
    world = World()
    one, _ = twins(world, shared=True)
    db = world.pod("shop", "db")
    world.half(one, "egress", "endpoint", db.key, 5432, subject_pods=5)
    assert rule_to(proposal_for(propose(world.observations()), "one"), "/db").widening == ()


def test_a_list_of_peers_counts_peer_by_peer():
    """Each of two called another one of two servers: both may call both now."""
    world = World()
    one, two = twins(world, shared=False)
    world.edge(one, world.pod("shop", "api"), both=False)
    world.edge(two, world.pod("shop", "cart"), both=False)
    rules = proposal_for(propose(world.observations()), "one").rules
    (rule,) = [one for one in rules if "resolver" not in one.flags]
    assert role(rule) == [("one + two", 2, 2)]
    assert any(reason.startswith("Of 2 workloads that share this policy all were") for reason in rule.reasons)


def test_a_server_counts_the_twin_that_never_called_it():
    """The other end of the same: its rule selects both."""
    world = World()
    one, _ = twins(world, shared=False)
    world.edge(one, world.pod("shop", "db"), 5432)
    (rule,) = proposal_for(propose(world.observations()), "db").rules
    assert role(rule) == [("one + two", 1, 1)]


def test_a_role_says_what_its_rules_open_and_spare():
    """Three of four shards are scraped, and the fourth's port is open, too; for three rules there is one."""
    world = World()
    shards = [
        world.pod("search", f"shard-{number}", {"app": "shard", "n": str(number)}) for number in range(4)
    ]
    for server, port in (("store", 9000), ("queue", 5672), ("index", 9200)):
        peer = world.pod("search", server)
        for shard in shards:
            world.edge(shard, peer, port)
    scraper = world.pod("monitoring", "prometheus")
    for shard in shards[:3]:
        world.edge(scraper, shard, 9090)
    proposal = proposal_for(propose(world.observations()), "shard-0")
    assert len(proposal.subject.workloads) == 4
    rule = rule_to(proposal, "prometheus", "ingress")
    assert [(one.covers, one.pairs, one.change) for one in rule.widening] == [(3, 1, -1.5)]
    assert all(other.widening == () for other in proposal.rules if other != rule)


def test_halves_of_a_rollout_open_nothing_to_each_other():
    """They are one workload, older and newer."""
    world = World()
    old = world.pod("shop", "web-blue", {"app": "web"})
    world.pod("shop", "web-green", {"app": "web", "track": "green"})
    world.edge(old, world.pod("shop", "db"), 5432)
    proposal = proposal_for(propose(world.observations()), "web-blue")
    assert "rollout" in proposal.flags
    assert all(rule.widening == () for rule in proposal.rules)
