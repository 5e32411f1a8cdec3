"""What a person confirmed as unwanted is told as suspicious while it goes on, and nobody offers to allow it."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from models.drift.confirmed import Word, unwanted_cells
from tests.unit.drift.nights import LAST, cluster, kinds, policies_of, policy, report

ANA = Word("unwanted", "ana", datetime(2026, 3, 16, 9, tzinfo=UTC))
CLIENT = "prod:shop/Deployment/web|egress|endpoint|prod:shop/Deployment/db|TCP|9999"
SERVER = "prod:shop/Deployment/db|ingress|endpoint|prod:shop/Deployment/web|TCP|9999"
BOTH = {CLIENT: ANA, SERVER: ANA}


def attacked(**changes):
    """A world in which web calls db on a port of its own for a week, and the policies of before."""
    world, pods = cluster()
    policies = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, days=range(LAST - 6, LAST + 1), **changes)
    return world, policies


def test_confirmed_traffic_is_suspicious_and_no_patch_is_offered():
    """Without the verdict it is a new dependency; with it, it is what somebody has to stop, told once."""
    world, policies = attacked()
    (before,) = report(world, policies).findings
    assert (before.kind.value, before.suggestion.action) == ("uncovered", "add_rule")
    (found,) = report(world, policies, said=BOTH).findings
    assert (found.kind.value, found.detector, found.severity.value) == ("suspicious", "confirmed", "critical")
    assert (found.subject.workload, found.direction, found.confidence) == ("Deployment/web", "egress", 1.0)
    assert (found.suggestion.action, found.suggestion.patch, found.suggestion.policy) == (
        "investigate",
        (),
        "",
    )
    assert "confirmed as unwanted by ana on 16 March 2026" in found.why
    assert f"still running, {found.flows} calls tonight" in found.why
    assert found.merged == ("also seen at shop/db",)


def test_what_the_policies_stop_is_told_too_and_nobody_offers_to_open_them():
    """It is still tried: whoever does it is still there."""
    world, policies = attacked(answered=0, denied=10)
    for one in (found for found in report(world, policies).findings if found.suggestion is not None):
        assert one.kind.value == "denied"
    (found,) = report(world, policies, said=BOTH).findings
    assert (found.kind.value, found.detector) == ("suspicious", "confirmed")
    assert found.suggestion.action == "investigate"


def test_what_only_audit_mode_lets_pass_at_one_end_heads_the_report():
    """Both ends are one finding: that enforcing would stop it must not get lost with the server's end."""
    world, pods = cluster()
    policies = policies_of(world)
    passed = {"flows": 0, "audited": 9, "answered": 9, "days": [LAST]}
    world.half(pods["web"], "egress", "endpoint", pods["db"].key, 9999, days=[LAST])
    world.half(pods["db"], "ingress", "endpoint", pods["web"].key, 9999, **passed)
    (found,) = report(world, policies, said=BOTH).findings
    assert (found.detector, found.direction, found.audited) == ("confirmed", "egress", True)
    assert "At shop/db only audit mode lets it pass" in found.why
    world, pods = cluster()
    world.half(pods["db"], "ingress", "endpoint", pods["web"].key, 9999, **passed)
    (found,) = report(world, policies, said=BOTH).findings
    assert "9 calls tonight, 9 of them let pass by audit mode only" in found.why


def test_what_a_rule_allows_is_told_with_the_rule():
    """A policy of before the verdict lets it through: no other finding would say a word."""
    world, _ = attacked()
    policies = policies_of(world)
    assert report(world, policies).findings == ()
    (found,) = report(world, policies, said=BOTH).findings
    assert found.rule
    assert found.rule in found.why
    assert found.rule in found.suggestion.text
    assert any("portolan-web-" in name for name in found.policy)


def test_another_port_of_the_same_peer_is_another_matter():
    """It is told beside it, with its rule to add."""
    world, policies = attacked()
    named = policy(policies, "web")["metadata"]["name"]
    pods = cluster()[1]
    world.edge(pods["web"], pods["db"], 7777, days=range(LAST - 6, LAST + 1))
    found = report(world, policies, said=BOTH).findings
    assert sorted(one.kind.value for one in found) == ["suspicious", "uncovered"]
    other = next(one for one in found if one.kind.value == "uncovered")
    assert other.ports == (("TCP", 7777),)
    assert named in other.suggestion.policy


def test_a_night_without_it_says_nothing():
    """Who stopped it is left in peace; so is what was admitted."""
    world, pods = cluster()
    policies = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, days=range(LAST - 6, LAST))
    assert "suspicious" not in kinds(report(world, policies, said=BOTH))
    world, policies = attacked()
    admitted = dict.fromkeys(BOTH, Word("admit", "ana"))
    assert kinds(report(world, policies, said=admitted)) == ["uncovered"]


@pytest.mark.parametrize(
    ("tonight", "told"),
    [("c2.net", True), ("c2.net,more.net", True), ("more.net", False), ("cdn.net,c2.net", False)],
)
def test_a_verdict_on_a_name_holds_for_whatever_shares_it(tonight, told):
    """Not for what was admitted by itself."""
    cell = "shop/Deployment/web|egress|fqdn|{}|TCP|443"
    said = {cell.format("c2.net"): ANA, cell.format("cdn.net,c2.net"): Word("admit", "ben")}
    night = pd.Series([cell.format(tonight)] * 2)
    assert unwanted_cells(night, said) == ({cell.format(tonight): ANA} if told else {})
    assert unwanted_cells(night, {}) == {}


def test_a_name_is_told_with_the_date_or_without():
    """Rows of before the date was kept have none."""
    assert ANA.text == "by ana on 16 March 2026"
    assert Word("unwanted", "ana").text == "by ana"
