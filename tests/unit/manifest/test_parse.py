"""Objects become entries with their place; what is refused is kept with its reasons."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.manifest.validate import problems
from models.simulation.context import PolicyFlow, Side
from models.simulation.verdict import Verdict, evaluate
from tests.strategies_policy import policy_objects
from tests.unit.manifest.test_validate import cnp, shaped

WORLD = Side(ip="192.0.2.10", names=())
WEB = Side(("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=())
CONFIG = AgentConfig(cilium_version="1.18")


def decide(objects: list[dict[str, Any]], peer: Side, **kwargs: Any) -> Verdict:
    """Verdict on web's egress to a peer on TCP 443."""
    policies = parse_objects(objects, config=CONFIG, **kwargs)
    return evaluate(policies, PolicyFlow(Direction.EGRESS, WEB, peer, "TCP", 443), CONFIG).verdict


def test_spec_and_specs_are_both_read_with_their_places() -> None:
    """Each rule is independent; the path says where it stands."""
    policy = cnp(ingress=[{}, {}]) | {"specs": [{"endpointSelector": {}, "egressDeny": [{}]}]}
    entries = parse_objects([policy]).entries
    assert [entry.path for entry in entries] == ["ingress[0]", "ingress[1]", "specs[0].egressDeny[0]"]
    assert [entry.denies for entry in entries] == [False, False, True]


def test_absent_and_empty_peer_lists_stay_apart() -> None:
    """No key is everybody (with ports), an empty list nobody."""
    port = {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
    entries = parse_objects(
        [cnp(egress=[port, {"toEndpoints": [], **port}, {"toFQDNs": [], **port}])]
    ).entries
    assert [entry.peers for entry in entries] == [None, (), None]


def test_lists_are_opened_and_other_kinds_ignored() -> None:
    """Kubectl get -o yaml gives a List; typed lists leave the kind out of their members."""
    bare = {key: value for key, value in cnp(ingress=[{}]).items() if key not in {"kind", "apiVersion"}}
    objects = [
        {"kind": "List", "items": [cnp(ingress=[{}]), {"kind": "Pod"}]},
        {"kind": "CiliumNetworkPolicyList", "apiVersion": "cilium.io/v2", "items": [bare]},
        {"kind": "ConfigMap"},
    ]
    assert len(parse_objects(objects).entries) == 2


def test_a_missing_namespace_is_default() -> None:
    """A CNP without one would otherwise be read as clusterwide."""
    policy = cnp(ingress=[{}])
    del policy["metadata"]["namespace"]
    assert str(parse_objects([policy]).entries[0].policy) == "CiliumNetworkPolicy/default/p"


def test_a_refused_object_contributes_nothing_and_is_kept() -> None:
    """Its reasons stand with their paths."""
    policies = parse_objects([cnp(ingress=[{"fromEntities": ["internet"]}])])
    assert policies.entries == ()
    assert "spec.ingress[0].fromEntities[0]" in policies.rejected[0].reasons[0]


SERVICE = {"kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": {}}
SLICE = {
    "kind": "EndpointSlice",
    "metadata": {"name": "db-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}},
    "endpoints": [{"addresses": ["192.0.2.10"]}, {"addresses": ["not an address"]}, None],
}
ENDPOINTS = {
    "kind": "Endpoints",
    "metadata": {"name": "db", "namespace": "shop"},
    "subsets": [{"addresses": [{"ip": "192.0.2.10"}]}],
}


@pytest.mark.parametrize("backends", [SLICE, ENDPOINTS])
def test_services_without_selector_are_their_addresses(backends: dict[str, Any]) -> None:
    """EndpointSlices and Endpoints alike; malformed parts are left out."""
    policy = cnp(egress=[{"toServices": [{"k8sService": {"serviceName": "db"}}]}])
    assert decide([policy, SERVICE, backends], WORLD) is Verdict.ALLOW
    assert decide([policy, SERVICE, backends], Side(ip="192.0.2.11", names=())) is Verdict.DENY


def test_an_unknown_name_is_doubt_unless_everything_is_known() -> None:
    """Only a complete inventory says that a Service or CIDR group does not exist."""
    service = cnp(egress=[{"toServices": [{"k8sService": {"serviceName": "ghost"}}]}])
    group = cnp(egress=[{"toCIDRSet": [{"cidrGroupRef": "ghost"}]}])
    selector = cnp(egress=[{"toCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"a": "b"}}}]}])
    for policy in (service, group, selector):
        assert decide([policy], WORLD) is Verdict.UNKNOWN
        assert decide([policy], WORLD, inventory_complete=True) is Verdict.DENY


def test_a_cidr_group_is_its_prefixes() -> None:
    """By name and by label, with exceptions."""
    group = {
        "kind": "CiliumCIDRGroup",
        "metadata": {"name": "corp", "labels": {"tier": "lab"}},
        "spec": {"externalCIDRs": ["192.0.2.0/24", "bad"]},
    }
    by_name = cnp(egress=[{"toCIDRSet": [{"cidrGroupRef": "corp"}]}])
    by_label = cnp(egress=[{"toCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"tier": "lab"}}}]}])
    hole = cnp(egress=[{"toCIDRSet": [{"cidrGroupRef": "corp", "except": ["192.0.2.10/32"]}]}])
    assert [decide([policy, group], WORLD) for policy in (by_name, by_label, hole)] == [
        Verdict.ALLOW,
        Verdict.ALLOW,
        Verdict.DENY,
    ]


def test_icmp_type_zero_is_every_type() -> None:
    """The agent turns a type into a port, and port 0 means all of them."""
    policy = cnp(ingress=[{"icmps": [{"fields": [{"family": "IPv6", "type": 0}]}]}])
    flow = PolicyFlow(Direction.INGRESS, WORLD, WEB, "ICMPv6", 128)
    assert evaluate(parse_objects([policy], config=CONFIG), flow, CONFIG).verdict is Verdict.ALLOW


@settings(max_examples=100, deadline=None)
@given(policy_objects(), st.randoms(use_true_random=False))
def test_order_never_changes_what_was_read(objects: list[dict[str, Any]], rng: Any) -> None:
    """Entries and rejects come out sorted."""
    shuffled = list(objects)
    rng.shuffle(shuffled)
    one, other = parse_objects(objects), parse_objects(shuffled)
    assert sorted(map(repr, one.entries)) == sorted(map(repr, other.entries))
    assert one.rejected == other.rejected


@settings(max_examples=100, deadline=None)
@given(shaped)
def test_any_shape_is_read_or_refused(spec: Any) -> None:
    """The reader raises nothing on an object that the linter has seen."""
    manifest = cnp() | {"spec": spec}
    policies = parse_objects([manifest])
    assert bool(policies.rejected) == bool(problems(manifest))
