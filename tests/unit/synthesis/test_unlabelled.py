"""Trap A9: stored records without labels beside a live stream with labels."""

import pytest

from jobs.propose import propose
from models.domain.rule import Port
from tests.unit.synthesis.world import Pods, World, proposal_for


def unlabelled(world: World, of: Pods, name: str, kind: str = "Deployment") -> Pods:
    """The same workload as records without labels show it."""
    own = next(row for row in world.identities if row["label_key"] == of.key)
    key = f"bare-{kind}-{name}"
    world.identities.append(own | {"label_key": key, "labels": "[]", "workload": name, "workload_kind": kind})
    return Pods(key, of.namespace, {})


@pytest.fixture
def world():
    made = World()
    web, db = made.pod("shop", "web"), made.pod("shop", "db")
    made.edge(web, made.pod("shop", "api"))
    made.edge(unlabelled(made, web, "web"), unlabelled(made, db, "db"), 5432)
    return made


def test_trap_A9_records_without_labels_are_of_the_workload_that_they_name(world):
    """One policy for all that its pods do, and replay agrees."""
    result = propose(world.observations())
    web, db = proposal_for(result, "web"), proposal_for(result, "db")
    assert {rule.ports[0] for rule in web.rules if rule.direction == "egress"} >= {
        Port("TCP", 8080),
        Port("TCP", 5432),
    }
    assert [rule.ports for rule in db.rules if rule.direction == "ingress"] == [(Port("TCP", 5432),)]
    assert not web.backtest.denied
    assert not result.unproposed or all(one.reason != "subject_no_selector" for one in result.unproposed)


def test_a_name_that_another_kind_or_namespace_has_lends_nothing(world):
    """The owner is a kind and a name in a namespace."""
    job = unlabelled(world, world.pod("shop", "web"), "web", kind="Job")
    world.edge(job, world.pod("data", "lake"), 9000)
    result = propose(world.observations())
    assert Port("TCP", 9000) not in {rule.ports[0] for rule in proposal_for(result, "web").rules}
    assert "subject_no_selector" in {one.reason for one in result.unproposed}


def test_of_two_clusters_that_show_the_owner_neither_lends_its_labels(world):
    """Nobody can say whose pods they are."""
    world.pod("shop", "web", cilium_cluster="other")
    result = propose(world.observations())
    assert Port("TCP", 5432) not in {rule.ports[0] for rule in proposal_for(result, "web").rules}
