"""Tenants of which only one was seen: what tells that another will come, and what it is admitted to."""

import pytest

from jobs.propose import propose
from models.synthesis.tenants import Tenancy
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
        ("acme", "example.com/tenant-name", True),
        ("acme", "org", True),
        ("acme", "capsule.clastix.io/tenant", False),
        ("acme", "kubesphere.io/workspace", False),
        ("acme", "example.com/workspace", False),
        ("acme", "team", False),
    ],
)
def test_a_tenant_is_one_by_a_label_that_means_a_customer(namespace, label, tenant):
    """Tools that call their teams tenants say nothing about what the next one runs."""
    labels = {LABEL + label: "x"}
    tenancy = Tenancy.of([(namespace, labels), ("kube-system", {})])
    assert tenancy.is_tenant(namespace, labels) == tenant


@pytest.mark.parametrize(
    ("namespace", "tenant"),
    [
        ("tenant-acme", True),
        ("acme-tenant", True),
        ("tenant-01-prod", True),
        ("tenant-prod-01", True),
        ("tenant-prod", False),
        ("tenant-operator", False),
        ("multi-tenant", False),
        ("tenants", False),
        ("customer-0042", True),
        ("c17-org", True),
        ("workspace-7f3kq2", True),
        ("customer-acme", False),
        ("customer-service", False),
        ("customer-service-2", False),
        ("org-chart", False),
        ("workspace-operator", False),
        ("customer-v2", False),
        ("orders-2", False),
    ],
)
def test_a_tenant_is_one_by_its_name(namespace, tenant):
    """Words that also begin ordinary names need a number or a hash beside them."""
    assert Tenancy().is_tenant(namespace, {}) == tenant


@pytest.mark.parametrize(
    ("other", "tenant"),
    [("customer-globex", True), ("customer-service", False), ("globex-customer", False), ("orders", False)],
)
def test_two_of_one_form_are_tenants_where_they_run_the_same(other, tenant):
    """The second says what the word of the first means."""
    assert Tenancy().is_tenant("customer-acme", {}, {"customer-acme", other}) == tenant


@pytest.mark.parametrize(
    ("values", "tells"),
    [
        ({"a": "acme", "b": "globex"}, True),
        ({"a": "acme", "b": "acme", "c": "globex"}, True),
        ({"a": "acme", "b": ""}, True),
        ({"a": "acme", "b": "acme", "c": ""}, False),
        ({"a": "acme", "b": "acme"}, False),
        ({"a": "acme"}, False),
    ],
)
def test_a_label_that_says_the_same_of_all_namespaces_tells_no_tenant(values, tells):
    """It names the company whose cluster it is; the first tenant is one namespace among others."""
    key = LABEL + "org"
    places = [(space, {key: value} if value else {}) for space, value in values.items()]
    for order in (places, places[::-1]):
        assert Tenancy.of(order).is_tenant("a", {key: "acme"}) == tells


@pytest.mark.parametrize("label", ["org", "kubesphere.io/workspace"])
def test_an_estate_whose_namespaces_are_all_one_companys_is_opened_to_nobody(label):
    """Every peer of it was in every namespace before."""
    world = World()
    labels = {LABEL + label: "acme"}
    store = world.pod("data", "store")
    for space in ("billing", "orders", "search"):
        world.edge(world.pod(space, f"{space}-api", {"app": f"{space}-api", **labels}), store, 5432)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert {one.namespace for one in rule.peer.members} == {"billing", "orders", "search"}
    assert rule.widening == ()


@pytest.mark.parametrize(
    ("spaces", "everywhere"),
    [(["customer-acme", "customer-globex"], True), (["customer-service"], False), (["customer-acme"], False)],
)
def test_customers_are_seen_where_two_of_them_run_the_same(spaces, everywhere):
    """One namespace of that name may be a department."""
    world = World()
    store = world.pod("platform", "store")
    for space in spaces:
        world.edge(world.pod(space, "api", {"app": "saas-api"}), store, 5432)
    (rule,) = ingress(proposal_for(propose(world.observations()), "store"))
    assert (rule.peer.namespace == "*") == everywhere
