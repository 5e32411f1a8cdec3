"""Screening where no day was heard as a whole: nodes that come and go, quiet hours, losses."""

from dataclasses import replace

import pytest

from jobs.propose import propose
from models.learning.days import window_days
from models.synthesis.draft import draft
from models.synthesis.maturity import NOT_SCREENED
from tests.unit.synthesis.world import World


def estate(silent: int = 0) -> World:
    """Replicas of which one begins to call home, in two weeks with so many silent hours in every night."""
    world = World(silent_hours={24 * day + hour for day in range(14) for hour in range(silent)})
    web = world.pod("shop", "web", pod_names=[f"web-7d9c5f8b4-{suffix * 5}" for suffix in "abc"])
    world.edge(web, world.pod("shop", "api"), subject_pods=3)
    world.to(web, "ip", "203.0.113.9", 443, days=range(5, 14), subject_pods=1, hour_bits=0xFFFFF, flows=200)
    return world


def thinned(world: World, share: float):
    """Observations of a world to which in every hour that share of its nodes delivered."""
    seen = world.observations()
    return replace(seen, coverage=seen.coverage.assign(expected_nodes=round(2 / share)))


@pytest.mark.parametrize("silent", [0, 1, 6, 14])
def test_a_quiet_hour_a_day_does_not_switch_screening_off(silent):
    """Nothing that fires here rests on a whole day."""
    found = draft(estate(silent).observations())
    assert [one.reasons for one in found.quarantine] == [("one_replica_began",)]
    assert found.screened.unscreened == ""


def test_what_cannot_be_screened_is_said_wherever_it_is_read():
    """An empty quarantine, an unknown p_legit and a proposal that matures all look alike without it."""
    result = propose(thinned(estate(), 0.2))
    assert result.quarantine == ()
    assert result.not_screened.startswith(
        "nothing was screened: at least 25% of the capture arrived on 0 of 14"
    )
    assert result.about_json()["coverage"]["not_screened"] == result.not_screened
    for one in result.proposals:
        assert one.effective_days >= 14
        assert (one.maturity, one.why_not_stable) == ("maturing", NOT_SCREENED)
        assert "not_screened" in {assumption.code for assumption in one.assumptions}
        reasons = {rule.confidence.reason for rule in one.rules if not rule.evidence.assumed}
        assert all(reason.startswith("too little seen: 0 fully observed days") for reason in reasons)
        assert all("of 14 more, over 25% of the capture is missing" in reason for reason in reasons)
    assert propose(estate().observations()).not_screened == ""


def test_days_without_any_coverage_are_taken_as_heard_here_too():
    """As the rest of the proposal does, and says."""
    seen = estate().observations()
    blind = replace(seen, coverage=seen.coverage.iloc[:0])
    assert window_days(blind).heard_count == 14
    assert draft(blind).quarantine
