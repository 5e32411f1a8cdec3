"""A policy set's own findings, with and without observations."""

import random

import pytest

from models.domain.agent import AgentConfig
from models.manifest.parse import parse_objects
from models.simulation.check import check_policies
from models.simulation.findings import Severity
from models.simulation.seen import SeenWindow
from tests.unit.simulation.test_algebra import DNS_RULE, port
from tests.unit.simulation.test_backtest import FROM_WEB, cnp
from tests.unit.synthesis.world import World

CONFIG = AgentConfig(cilium_version="1.19")


def found(objects, world=None, config=CONFIG):
    """Severity, kind and place of every finding."""
    seen = None if world is None else SeenWindow(world.observations())
    settings = config if seen is None else seen.config
    told = check_policies(parse_objects(objects, config=settings), settings, seen)
    return [(one.severity.value, one.kind.value, one.rule.path) for one in told.findings]


def estate():
    """Three workloads that ask kube-dns, and one that asks nobody."""
    world = World()
    api, web, dns = world.pod("shop", "api"), world.pod("shop", "web"), world.kube_dns()
    quiet = world.pod("shop", "quiet")
    world.edge(web, api, 8080)
    world.edge(quiet, api, 8080)
    for client in (api, web):
        world.dns(client, dns)
    return world


def test_without_observations_dns_is_asked_of_the_usual_resolvers():
    """A closed egress without DNS is an error; with the rule for kube-dns it is none; CoreDNS asks nobody."""
    closed = cnp("shop", egress=[{"toEntities": ["world"]}])
    assert found([closed]) == [("error", "no-dns", "egress[0]")]
    assert found([cnp("shop", egress=[{"toEntities": ["world"]}, DNS_RULE])]) == []
    core = cnp("kube-system", egress=[{"toEntities": ["world"]}])
    core["spec"]["endpointSelector"] = {"matchLabels": {"k8s-app": "kube-dns"}}
    assert found([core]) == []


def test_names_that_are_never_learned_are_an_error():
    """ToFQDNs without a DNS rule on the way."""
    plain = DNS_RULE | {"toPorts": [port("53", "ANY")]}
    names = {"toFQDNs": [{"matchName": "api.example.org"}]}
    assert ("error", "no-learning", "egress[0]") in found([cnp("shop", egress=[names, plain])])


def test_what_cannot_be_computed_is_an_error():
    """HTTP and DNS rules that meet on one port and peer: the endpoint would keep its old policy."""
    http = {"toPorts": [port("53", "TCP") | {"rules": {"http": [{"method": "GET"}]}}]}
    dns = {"toPorts": [port("53", "TCP") | {"rules": {"dns": [{"matchPattern": "*"}]}}]}
    assert ("error", "uncomputable", "egress[0]") in found([cnp("shop", egress=[http, dns])])


def test_what_was_not_looked_at_is_said():
    """Silence is not absence."""
    policies = parse_objects([cnp("shop", ingress=[FROM_WEB])], config=CONFIG)
    assert check_policies(policies, CONFIG).not_checked
    seen = SeenWindow(estate().observations())
    told = check_policies(policies, seen.config, seen)
    assert told.not_checked == ()
    assert [(one.namespace, one.labels, one.entries) for one in told.costs] == [("shop", "app=api", 1)]


def test_only_a_workload_that_resolves_is_in_error_without_dns():
    """One that was never seen to ask anybody is a note: closing it off may be meant."""
    rules = [{"toEntities": ["kube-apiserver"]}]
    assert ("error", "no-dns", "egress[0]") in found([cnp("shop", egress=rules)], estate())
    quiet = cnp("shop", egress=rules)
    quiet["spec"]["endpointSelector"] = {"matchLabels": {"app": "quiet"}}
    assert found([quiet], estate()) == [("note", "no-dns-unused", "egress[0]")]


def test_trap_F8_a_peer_without_its_namespace_selects_nobody_and_is_told_where_it_is():
    """The most frequent slip: the peer's namespace is missing, so the own one is meant."""
    world = estate()
    world.edge(world.pod("monitoring", "prometheus"), world.pod("shop", "api"), 9102)
    rule = {"fromEndpoints": [{"matchLabels": {"app": "prometheus"}}]}
    seen = SeenWindow(world.observations())
    told = check_policies(parse_objects([cnp("shop", ingress=[rule])], config=seen.config), seen.config, seen)
    assert [(one.kind.value, one.rule.path) for one in told.findings] == [("no-such-peer", "ingress[0]")]
    assert "are in monitoring" in told.findings[0].because


def test_a_subject_that_selects_nobody_is_named_once():
    """A typo in the subject makes the whole policy do nothing."""
    typo = cnp("shop", ingress=[FROM_WEB, {"fromEntities": ["host"]}])
    typo["spec"]["endpointSelector"] = {"matchLabels": {"app": "apii"}}
    assert found([typo], estate()) == [("warning", "selects-nobody", "ingress[0]")]


def test_a_name_that_nobody_asked_for_is_told():
    """A misspelt matchName; one that was reached is fine."""
    world = estate()
    world.to(world.pod("shop", "api"), "ip", "192.0.2.7", 443, names="api.psp.example")
    good, typo = ({"toFQDNs": [{"matchName": name}]} for name in ("api.psp.example", "api.pps.example"))
    objects = [cnp("shop", egress=[DNS_RULE, good, typo])]
    assert ("warning", "no-such-peer", "egress[2]") in found(objects, world)
    assert ("warning", "no-such-peer", "egress[1]") not in found(objects, world)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_objects_changes_nothing(seed):
    """Same set, same findings."""
    objects = [
        cnp("shop", ingress=[FROM_WEB, {"fromEntities": ["cluster"]}])
        | {"metadata": {"name": name, "namespace": "shop"}}
        for name in ("a", "b", "c")
    ]
    shuffled = random.Random(seed).sample(objects, len(objects))
    assert found(shuffled, estate()) == found(objects, estate())
    assert Severity.NOTE.value in {severity for severity, _, _ in found(objects)}
