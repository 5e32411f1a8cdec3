"""Tenants of which only one was seen: what tells that another will come, and what it is admitted to."""

import pytest

from jobs.propose import propose
from models.synthesis.tenants import is_tenant
from tests.unit.synthesis.test_generalised import ingress, tenants
from tests.unit.synthesis.world import World, proposal_for

LABEL = "io.cilium.k8s.namespace.labels."


@pytest.mark.parametrize("prefix", ["tenant-", "team-"])
def test_the_only_tenant_stands_for_the_next_one(prefix):
    """Nothing is alike yet; what tells that a second will come is the name of the namespace."""
    world = World()
    tenants(world, 1, prefix=prefix)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    lone = prefix == "tenant-"
    assert rule.peer.namespace == ("*" if lone else "team-01")
    assert bool(rule.widening) == lone
    (strict,) = ingress(proposal_for(propose(world.observations(), posture="strict"), "store"))
    assert strict.peer.namespace == f"{prefix}01"


def test_two_tenants_of_unlike_names_are_a_family():
    """A shop and its copy are none; tenant-01 and tenant-new are two of many."""
    world = World()
    store = tenants(world, 1)
    world.edge(world.pod("tenant-new", "api", {"app": "saas-api"}), store, 5432)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert (rule.peer.namespace, rule.widening[0].covers) == ("*", 2)


def test_a_tenant_whose_labels_another_carries_stands_for_nobody():
    """The selector would let the other in."""
    world = World()
    tenants(world, 1)
    world.edge(world.pod("other", "impostor", {"app": "saas-api"}), world.pod("other", "sink"), 9999)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert rule.peer.namespace == "tenant-01"


@pytest.mark.parametrize(
    ("namespace", "label", "tenant"),
    [
        ("customer-acme", "team", True),
        ("acme-workspace", "team", True),
        ("acme", "example.com/tenant-name", True),
        ("acme", "capsule.clastix.io/tenant", False),
        ("tenants", "team", False),
        ("orders-2", "team", False),
    ],
)
def test_a_tenant_is_one_by_its_name_or_by_a_label_that_means_a_customer(namespace, label, tenant):
    """Tools that call their teams tenants say nothing about what the next one runs."""
    assert is_tenant(namespace, {LABEL + label: "x"}) == tenant
