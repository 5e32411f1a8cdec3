"""Accounts in clouds with names of strangers beside them, and what calls from the network of the nodes."""

from dataclasses import replace

import pytest

from jobs.evaluation.host_network import HOST, REMOTE
from jobs.evaluation.judging import Judge
from jobs.evaluation.measures import measure
from jobs.evaluation.pairs import strangers_admitted
from jobs.evaluation.proposers import Proposed
from jobs.evaluation.render import observe
from jobs.evaluation.truth import ROTATED_NAME, classified
from models.learning.suffixes import registrable
from tests.unit.evaluation.small import SMALL, small_world
from tests.unit.evaluation.tiny import policy, ports

CLOUDY = replace(SMALL, name="cloudy", clouds=12)
NODES = replace(SMALL, name="nodes", host_network=6)


def test_clients_use_several_accounts_and_strangers_have_others():
    """Accounts are under suffixes of everybody, zones are the cluster's own, and some names come later."""
    world = small_world(CLOUDY)
    names = {one.name for one in world.outsides if one.name.startswith("acme")}
    assert len(names) >= 24
    assert world.strangers
    assert not names & set(world.strangers)
    shared = {one.name for one in world.outsides if one.shared and "acme" in one.name}
    assert all(registrable(name) != registrable(other) for name in shared for other in world.strangers)
    zones = [one for one in world.outsides if one.group.endswith((".corp.internal", "intra.example.net"))]
    assert zones
    first = {link.outside: link.first for link in world.links if link.outside >= 0}
    assert {first[n] > 0 for n, one in enumerate(world.outsides) if "acme" in one.name} == {True, False}
    assert ROTATED_NAME in set(classified(world, 0, 14, 28)["truth"])


@pytest.mark.parametrize(("pattern", "admitted"), [("*.{suffix}", True), ("{name}", False)])
def test_a_pattern_over_an_account_admits_strangers(pattern, admitted):
    """A wildcard over the suffix lets through what others have there; the account's own name does not."""
    world = small_world(CLOUDY)
    stranger = next(
        name for name in world.strangers if "cloudfunctions" not in name and "run.app" not in name
    )
    text = pattern.format(suffix=stranger.partition(".")[2], name=f"acme.{stranger.partition('.')[2]}")
    egress = [{"toFQDNs": [{"matchPattern": text}], "toPorts": ports(443)}]
    made = Proposed((policy("web", egress=egress),), (), 1, 0.0)
    assert (strangers_admitted(Judge(world, made.manifests)) > 0) is admitted
    counts = {one: (hits, total) for one, _, hits, total in measure(world, made, 0, 14).counts}
    assert counts["strangers_admitted"][1] == len(world.strangers)


def test_nodes_call_and_are_called():
    """Callers on other nodes come and go with the pods, agents of the own node are called, webhooks too."""
    world = small_world(NODES)
    rows = observe(world, 0, 14).edge_days
    nodes = rows[rows["peer_kind"] == "entity"]
    ways = set(zip(nodes["direction"], nodes["peer"], nodes["port"], strict=True))
    assert {("egress", HOST, 8125), ("egress", HOST, 9100), ("egress", REMOTE, 9100)} <= ways
    assert ("ingress", "kube-apiserver", 9443) in ways
    callers = [n for n, link in enumerate(world.links) if link.client < 0 and link.entity == REMOTE]
    assert len(callers) == NODES.host_network
    days = [int((world.flows[n] > 0).sum()) for n in callers]
    assert min(days) < world.parameters.days
    assert all(day % 9 in (0, world.parameters.days % 9) for day in days)
    assert not [link for link in small_world().links if link.client < 0 and link.entity == REMOTE]
