"""Patterns of last night: kept at a price that is said, and not by a stricter posture at any price."""

import pytest

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.peer import FqdnPeer
from models.synthesis.learned import learned_from_json
from tests.unit.synthesis.world import World, proposal_for

NAMES = CapabilityHints(fqdn=True, cilium_version="1.18")
DEEP = CapabilityHints(fqdn=True, cilium_version="1.19")


def world(first_days):
    """A pod and the names it calls, each from its first day on."""
    made = World()
    web = made.pod("shop", "web")
    for number, day in first_days.items():
        name = f"edge-{number:03d}.contentnet.net"
        made.to(web, "ip", f"52.7.{number}.9", 443, names=name, days=range(day, 14))
    return made.observations()


GROWING = {number: 2 * number for number in range(7)}
SLOWER = {0: 0, 1: 0, 2: 0, 3: 0, 4: 6, 5: 8}
STILL = {5: 0, 6: 0}


def outside(result):
    """Rules of names."""
    return [one for one in proposal_for(result, "web").rules if isinstance(one.peer, FqdnPeer)]


def test_a_kept_pattern_says_that_it_is_kept_and_what_it_costs():
    """Two names of seven are left, both on every day: nothing keeps appearing."""
    learned = propose(world(GROWING), capabilities=NAMES).learned
    (rule,) = outside(propose(world(STILL), capabilities=NAMES, previous=learned))
    (record,) = rule.widening
    assert (record.what, record.covers) == ("edge-*.contentnet.net", 2)
    assert (record.openings, record.rules, record.denials) == (5.0, 0.25, 0.0)
    (said,) = [reason for reason in rule.reasons if record.what in reason]
    assert "kept from the night before" in said
    assert "would not be proposed anew (+4.75 in the objective)" in said
    assert "keep appearing" not in said


def test_a_pattern_that_is_found_again_is_not_kept_but_proposed():
    """Its growth goes on."""
    learned = propose(world(GROWING), capabilities=NAMES).learned
    (rule,) = outside(propose(world(GROWING), capabilities=NAMES, previous=learned))
    assert any("new ones keep appearing under it" in reason for reason in rule.reasons)
    assert rule.widening[0].change < 0


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("generous", "generous", True),
        ("generous", "balanced", False),
        ("balanced", "strict", False),
        ("balanced", "generous", True),
        ("strict", "balanced", True),
    ],
)
def test_a_stricter_posture_keeps_no_pattern_that_it_would_not_pay_for(before, after, kept):
    """What another posture chose has to be worth it at tonight's rates, as a role has."""
    learned = propose(world(GROWING), capabilities=NAMES, posture="balanced").learned
    learned = learned_from_json({**learned.to_json(), "posture": before})
    found = propose(world(STILL), capabilities=NAMES, posture=after, previous=learned)
    assert [one.pattern for rule in outside(found) for one in rule.peer.each if one.pattern] == (
        ["edge-*.contentnet.net"] if kept else []
    )
    assert found.learned.posture == after


def test_a_stricter_posture_keeps_what_still_grows():
    """Within the margin of two rules nothing changes its form."""
    learned = propose(world(GROWING), capabilities=NAMES).learned
    alone = outside(propose(world(SLOWER), capabilities=NAMES, posture="strict"))
    (rule,) = outside(propose(world(SLOWER), capabilities=NAMES, posture="strict", previous=learned))
    (record,) = rule.widening
    assert all(not one.pattern for other in alone for one in other.peer.each)
    assert 0 < record.change <= 2
    assert record.denials > 0


def test_a_deep_wildcard_is_not_kept_for_a_cluster_that_has_none():
    """After a downgrade ``**.`` would match what ``*`` does."""
    learned = propose(world(GROWING), capabilities=DEEP).learned
    deep = dict.fromkeys(learned.patterns, ("**.contentnet.net",))
    learned = learned_from_json({**learned.to_json(), "patterns": deep})
    for capabilities, kept in ((DEEP, True), (NAMES, False)):
        rules = outside(propose(world(STILL), capabilities=capabilities, previous=learned))
        assert any(one.pattern for rule in rules for one in rule.peer.each) == kept
