"""Silence of a node is no forecast: whoever was on another node may be on the own one."""

import pytest

from jobs.propose import propose
from models.domain.peer import EntityPeer
from tests.unit.synthesis.world import World

DAYS = 14


def confidences(last: int, kind: str = "entity", caller: str = "remote-node"):
    """Of the rules for a caller that was there from the first day until day ``last``, beside steady ones."""
    world = World(days=DAYS)
    api = world.pod("shop", "api")
    for number in range(30):
        world.edge(world.pod("shop", f"web-{number}"), api, 8080, days=range(number % 5, DAYS))
    world.at_server(api, kind, caller, 9000, days=list(range(last + 1)))
    made = propose(world.observations()).proposals
    rules = next(one for one in made if one.subject.workloads == ("Deployment/api",)).rules
    return {
        rule.peer.title: rule.confidence
        for rule in rules
        if rule.direction == "ingress" and rule.ports[0].number == 9000
    }


def test_a_node_that_fell_silent_has_no_number_and_says_why():
    """Nine days of calls and five of silence: gone, or moved; what is wanted is known all the same."""
    found = confidences(8)
    assert set(found) == {EntityPeer("host").title, EntityPeer("remote-node").title}
    for one in found.values():
        assert (one.p_need, one.p_need_7d, one.confidence) == (None, None, None)
        assert one.p_legit is not None
        assert one.reason == "silent lately, as is whoever moved between the pod's own node and others"


@pytest.mark.parametrize("last", [DAYS - 1, DAYS - 2])
def test_a_node_that_still_calls_has_its_number(last):
    """One free day at the end is no silence that makes up anybody's mind."""
    assert all(one.p_need > 0.5 for one in confidences(last).values())


def test_an_address_that_fell_silent_keeps_its_number():
    """Outside it is the same wherever the pod runs, so that its silence is its own."""
    (one,) = confidences(8, "ip", "198.51.100.7").values()
    assert one.p_need < 0.5
