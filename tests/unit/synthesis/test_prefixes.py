"""Prefixes of one port: what they may hold, and one budget for all of them."""

from math import log2

import pytest

from jobs.propose import propose
from models.domain.peer import CidrPeer
from models.domain.rule import Rule
from tests.unit.synthesis.world import World, proposal_for


def rules_to(addresses, days=lambda number: range(14), **options) -> list[Rule]:
    """Rules of the one workload that calls these addresses, each on days of its own."""
    world = World()
    pod = world.pod("shop", "web")
    for number, address in enumerate(addresses):
        world.to(pod, "ip", address, 443, days=days(number))
    proposal = proposal_for(propose(world.observations(), **options), "web")
    return [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]


def unseen(rules: list[Rule]) -> int:
    """Addresses that all prefixes add."""
    return sum(record.unseen for rule in rules for record in rule.widening)


def turns(number: int) -> list[int]:
    """Two days for each of seven addresses."""
    return [2 * (number % 7), 2 * (number % 7) + 1]


@pytest.mark.parametrize("start", ["100.64.3.{}", "64:ff9b::a00:{}"])
def test_trap_E16_carriers_and_translated_private_addresses_stay_exact(start):
    """They stand for pods and machines of somebody near, whose neighbours are others'."""
    rules = rules_to([start.format(number) for number in range(1, 9)])
    assert len(rules) == 8
    assert not [rule for rule in rules if rule.widening]
    assert all(rule.flags == ("private_address",) for rule in rules)


@pytest.mark.parametrize("days", [turns, lambda number: range(14)])
def test_trap_E17_no_prefix_takes_a_platform_service_along(days):
    """Neither the network of those that take turns nor the cover of dense ones."""
    rules = rules_to([f"168.63.129.{number}" for number in range(17, 24)], days)
    held = [rule for rule in rules if rule.peer.cidr.startswith("168.63.129.16/") or "/24" in rule.peer.cidr]
    assert held == []


@pytest.mark.parametrize(("posture", "whole"), [("strict", 0), ("balanced", 4), ("generous", 6)])
def test_networks_that_take_turns_share_one_budget(posture, whole):
    """Six of 249 unseen addresses each are 1,494: balanced pays for 1,024, generous for 4,096."""
    rules = rules_to([f"52.7.{n}.{10 + k}" for n in range(6) for k in range(7)], turns, posture=posture)
    assert sum(rule.peer.cidr.endswith("/24") for rule in rules) == whole
    assert unseen(rules) <= {"strict": 64, "balanced": 1280, "generous": 5120}[posture]
    said = [rule for rule in rules if any("it is not proposed" in reason for reason in rule.reasons)]
    assert bool(said) == (posture == "balanced")
    assert not [rule for rule in said if rule.peer.cidr.endswith("/24")]


def test_the_network_that_pays_most_comes_first():
    """Not those whose numbers are lowest."""
    few = [f"52.7.{n}.{10 + number}" for n in range(1, 5) for number in range(4)]
    many = [f"52.7.9.{10 + number}" for number in range(7)]
    days = 4 * [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(4)] + [turns(k) for k in range(7)]
    rules = rules_to([*few, *many], lambda number: days[number])
    found = [rule.peer.cidr for rule in rules if rule.peer.cidr.endswith("/24")]
    assert found == ["52.7.1.0/24", "52.7.2.0/24", "52.7.3.0/24", "52.7.9.0/24"]


def test_dense_addresses_have_a_budget_of_their_own():
    """A destination that moves, and beside it a list of neighbours that adds 256 at most."""
    moving = [f"52.7.9.{10 + number}" for number in range(7)]
    dense = [f"52.8.0.{4 * number}" for number in range(16)]
    rules = rules_to([*moving, *dense], lambda number: turns(number) if number < 7 else range(14))
    assert "52.7.9.0/24" in {rule.peer.cidr for rule in rules}
    assert unseen([rule for rule in rules if rule.peer.cidr != "52.7.9.0/24"]) <= 256


@pytest.mark.parametrize("days", [turns, lambda number: range(14)])
def test_a_prefix_costs_less_than_its_addresses_and_its_lines_have_no_price(days):
    """Seven exact addresses cost eight each; what the search decided by is the sum of the terms."""
    (rule,) = rules_to([f"52.7.9.{16 + number}" for number in range(7)], days)
    (record,) = rule.widening
    price = 8 + log2(record.unseen + 1)
    assert (record.openings, record.rules) == (round(price - 7 * 8, 3), 0.0)
    assert record.change == round(price - 7 * 8 - record.denials, 3)
