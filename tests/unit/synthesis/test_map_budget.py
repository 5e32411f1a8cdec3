"""What a proposal needs of a pod's policy map, and what is said where that is much."""

from dataclasses import replace

import pytest

from jobs.propose import propose
from models.domain.peer import EVERY_NAMESPACE, EndpointPeer, LabelSelector
from models.domain.rule import Port
from models.manifest.parse import parse_objects
from models.simulation.context import Side
from models.simulation.costs import Breadth
from models.simulation.observed import agent_config
from models.synthesis import map_budget
from models.synthesis.draft import draft
from models.synthesis.map_budget import CROWDS_MAP, MapBudget
from tests.unit.synthesis.world import World, proposal_for


@pytest.fixture
def scraped():
    """A monitoring that scrapes twelve workloads of three namespaces, asks for names, and looks outside."""
    world = World()
    prometheus = world.pod("monitoring", "prometheus")
    for number in range(12):
        world.edge(prometheus, world.pod(f"team-{number % 3}", f"app-{number}"), 9090)
    for name in ("alerts.example.com", "mail.example.net"):
        world.to(prometheus, "ip", "52.1.2.4", 443, names=name)
    world.to(prometheus, "ip", "52.9.9.9", 8443)
    return world


def test_a_proposal_within_the_budget_is_left_as_it_is(scraped):
    proposal = proposal_for(propose(scraped.observations()), "prometheus")
    assert not any(CROWDS_MAP in rule.flags for rule in proposal.rules)


def test_the_costliest_rule_of_a_crowded_map_is_put_before_a_reviewer(scraped, monkeypatch):
    monkeypatch.setattr(map_budget, "MAP_BUDGET", 10)
    proposal = proposal_for(propose(scraped.observations()), "prometheus")
    crowding = [rule for rule in proposal.rules if CROWDS_MAP in rule.flags]
    assert [rule.ports for rule in crowding] == [(Port("TCP", 9090),)]
    assert "needs_review" in crowding[0].flags
    assert "needs_review" in proposal.flags
    assert "12 of them for this rule" in crowding[0].reasons[-1]
    assert "16,384 entries" in crowding[0].reasons[-1]


def test_the_count_is_that_of_the_check_of_policies(scraped):
    """Two ways to one number: from the rules, and from the manifest that a cluster would read."""
    result = propose(scraped.observations())
    view = draft(scraped.observations()).view
    budget = MapBudget(view.workloads)
    sides = [Side(tuple(labels)) for labels in sorted(set(view.workloads.texts.values()))]
    config = agent_config(view)
    parsed = parse_objects(list(result.manifests.values()), config=config)
    costs = {cost.rule.policy.name: cost.entries for cost in Breadth(parsed, sides, config).by_subject()}
    found = {one.name: sum(budget.entries(rule) for rule in one.rules) for one in result.proposals}
    assert found == costs
    assert max(found.values()) > 12


def test_ranges_cost_their_prefixes_and_a_namespace_its_label_sets(scraped):
    view = draft(scraped.observations()).view
    budget = MapBudget(view.workloads)
    rule = proposal_for(propose(scraped.observations()), "prometheus").rules[0]
    anybody = LabelSelector()
    team = EndpointPeer("", "team-1", (), anybody)
    assert budget.entries(_with(rule, team, Port("TCP", 8080, 8090))) == 4 * 3
    assert budget.entries(_with(rule, EndpointPeer("", EVERY_NAMESPACE, (), anybody), Port("TCP", 80))) == 13
    assert budget.entries(_with(rule, EndpointPeer("other", "team-1", (), anybody), Port("TCP", 80))) == 0


def _with(rule, peer, port):
    return replace(rule, peer=peer, ports=(port,))


def test_numbers_are_rounded_so_that_a_policy_does_not_change_with_every_pod():
    assert map_budget._rounded(13_449) == "13,000"
