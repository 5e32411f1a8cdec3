"""What a rejected rule would admit is told with the decision, and nobody offers to allow it again."""

from datetime import UTC, datetime

import pytest

from jobs.propose import propose
from models.drift.rejected import RejectedRule, rejected_words
from models.manifest.render import cilium_manifest
from tests.unit.drift.nights import LAST, cluster, policies_of, report

WHEN = datetime(2026, 3, 16, 9, tzinfo=UTC)
MINER = "51.15.65.182"


def rejected(world, *wanted, direction="egress"):
    """Rules that a proposal of everything seen has in a direction on some ports, as a reviewer rejected them."""
    return tuple(
        RejectedRule(cilium_manifest(proposal, include={rule.id}), rule.title, "ana", "a miner", WHEN)
        for proposal in propose(world.observations()).proposals
        for rule in proposal.rules
        if rule.direction == direction and {port.number for port in rule.ports} & {*wanted}
    )


def attacked(**changes):
    """A world in which web calls an address outside for a week, and the policies of before."""
    world, pods = cluster()
    policies = policies_of(world)
    world.to(pods["web"], "ip", MINER, 3333, days=range(LAST - 6, LAST + 1), **changes)
    return world, policies, pods


def test_what_a_reviewer_rejected_is_told_with_his_words_and_without_a_patch():
    """Without the decision it is a rule to add; with it, who rejected which rule, when and why."""
    world, policies, _ = attacked()
    (before,) = report(world, policies).findings
    assert before.suggestion.patch
    (found,) = report(world, policies, rejected=rejected(world, 3333)).findings
    assert found.identity == before.identity
    assert (found.kind, found.severity) == (before.kind, before.severity)
    assert (found.suggestion.action, found.suggestion.patch, found.suggestion.policy) == (
        "investigate",
        (),
        "",
    )
    assert found.why.startswith(before.why)
    rule = f"A rule that admits it (egress to {MINER}/32 on TCP/3333) was rejected by ana on 16 March 2026"
    assert f'{rule}: "a miner".' in found.why


def test_what_the_policies_stop_is_not_opened_either():
    """That it is denied is what the reviewer wanted."""
    world, policies, _ = attacked()
    (rule,) = rejected(world, 3333)
    world, pods = cluster()
    stopped = {"flows": 0, "answered": 0, "denied": 90, "hour_bits": (1 << 20) - 1, "days": [LAST]}
    world.to(pods["web"], "ip", MINER, 3333, **stopped)
    (before,) = report(world, policies).findings
    (found,) = report(world, policies, rejected=[rule]).findings
    assert (before.kind.value, found.kind.value) == ("denied", "denied")
    assert before.suggestion.patch
    assert not found.suggestion.patch
    assert "was rejected by ana" in found.why


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_rule_that_was_rejected_at_one_end_is_offered_at_neither(direction):
    """A call needs both of its ends."""
    world, pods = cluster()
    policies = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, days=range(LAST - 6, LAST + 1))
    (found,) = report(world, policies, rejected=rejected(world, 9999, direction=direction)).findings
    assert (found.suggestion.action, found.suggestion.patch) == ("investigate", ())
    assert "The other end needs a change" not in found.suggestion.text
    assert "was rejected by ana" in found.why


def test_another_port_of_the_same_peer_is_offered_and_the_decision_told():
    """One finding speaks of both; its patch opens what nobody decided on."""
    world, policies, pods = attacked()
    world.to(pods["web"], "ip", MINER, 443, days=range(LAST - 6, LAST + 1))
    (found,) = report(world, policies, rejected=rejected(world, 3333)).findings
    assert found.ports == (("TCP", 443), ("TCP", 3333))
    assert "TCP/3333) was rejected by ana" in found.why
    assert '"443"' in str(found.suggestion.patch).replace("'", '"')
    assert "3333" not in str(found.suggestion.patch)


def test_what_a_deployed_rule_allows_is_nobodys_business():
    """Somebody put it into force in spite of the decision: the comparison with what was approved says so."""
    world, _, _ = attacked()
    assert report(world, policies_of(world), rejected=rejected(world, 3333)).findings == ()


def test_of_many_rejected_rules_a_finding_names_two():
    """The first to be rejected, in any order of rules."""
    world, _, _ = attacked()
    manifest = rejected(world, 3333)[0].manifest
    rules = [RejectedRule(manifest, f"rule {number}", "ana", "no", WHEN) for number in range(4)]
    words = rejected_words(rules)
    assert words == rejected_words(reversed(rules))
    assert words.endswith(" So were 2 more.")
    assert ("rule 1" in words, "rule 2" in words) == (True, False)
    assert not rejected_words(())
