"""How wanted a rule looks: as its worst member, or as all the callers together whom nobody could list."""

import math

import pytest

from jobs.propose import propose
from models.confidence.attach import confident
from models.domain.capabilities import CapabilityHints
from models.domain.peer import EntityPeer
from models.synthesis.draft import draft
from models.synthesis.memory import Memory
from tests.unit.synthesis.world import World, proposal_for


def shop(visitors: int, flows: int = 0) -> World:
    """A port that faces the internet: each visitor comes on one day; one more fails on nine of ten."""
    world = World()
    web = world.pod("shop", "web")
    world.edge(web, world.pod("shop", "api"))
    for number in range(visitors):
        world.at_server(web, "ip", f"93.{number}.0.7", 443, days=[number % 14])
    for day in range(10 if flows else 0):
        world.at_server(web, "ip", "94.0.0.7", 443, days=[day], flows=flows, answered=int(day == 9))
    return world


def facing(world: World):
    """The rule that lets in the internet."""
    rules = proposal_for(propose(world.observations()), "web").rules
    return next(rule for rule in rules if rule.peer == EntityPeer("world"))


def test_more_visitors_do_not_make_an_open_port_less_wanted():
    """Each was there once; that somebody comes every day is what there is to know of the rule."""
    few, many = (facing(shop(number)).confidence for number in (28, 140))
    assert few.p_legit > 0.8
    assert many.p_legit >= few.p_legit
    (days,) = [one.because for one in many.ledger if one.name == "days"]
    assert days == "seen on 14 days, from 140 outside callers together"
    assert "named" not in {one.name for one in many.ledger}


def test_the_ledger_of_an_open_port_adds_up_to_its_number():
    """The sentences are about what the number was made from."""
    sure = facing(shop(28)).confidence
    bits = math.fsum(one.bits for one in sure.ledger if one.name != "recurrence")
    assert 1.0 / (1.0 + 2.0**-bits) == pytest.approx(sure.p_legit, abs=2e-3)


def test_callers_who_fail_lower_an_open_port_by_their_share():
    """One who hardly comes hardly counts; one who makes nearly all of the attempts does."""
    plain, one, most = (facing(shop(28, flows)).confidence for flows in (0, 1, 4000))
    assert plain.p_legit - 0.05 < one.p_legit < plain.p_legit
    assert most.p_legit < 0.2
    assert "89% of the attempts failed" in {found.because for found in most.ledger}


def test_one_doubtful_member_of_a_list_lowers_the_rule():
    """Members that are named are looked at one by one."""
    world = World()
    api = world.pod("shop", "api")
    for name in ("web", "mobile"):
        world.edge(world.pod("shop", name), api)
    sure = proposal_for(propose(world.observations()), "api").rules
    admin = world.pod("shop", "admin")
    world.edge(admin, api, days=[13])
    rules = proposal_for(propose(world.observations()), "api").rules
    assert [len(found) for found in (sure, rules)] == [1, 1]
    assert rules[0].confidence.p_legit < sure[0].confidence.p_legit - 0.01
    assert "seen on 1 day" in {one.because for one in rules[0].confidence.ledger}


def strangers() -> World:
    """A service that calls one name every day, and sixty addresses once each."""
    world = World()
    web = world.pod("shop", "web")
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", "20.9.9.9", 443, names="api.example.net")
    for number in range(64):
        world.to(web, "ip", f"45.{number}.9.9", 443, days=[number % 10], subject_pods=1)
    return world


def test_verdicts_count_in_the_forecast_and_are_named_only_where_they_speak():
    """What reviewers say of the quarantine is no longer divided by what its tests are worth."""
    observations, hints = strangers().observations(), CapabilityHints(fqdn=True)
    before = draft(observations, hints=hints)
    cells = [one.cell for one in before.quarantine if "45." in one.title]
    assert len(cells) > 60
    said = {cell: "admit" if number % 3 else "unwanted" for number, cell in enumerate(cells[:55])}
    after = draft(observations, hints=hints, memory=Memory(said))
    told = {one.provenance for one in after.quarantine}
    assert told == {"calibrated on this estate's verdicts"}
    done = [confident(one, one.proposals, observations).proposals for one in (before, after)]
    webs = [next(one for one in found if one.subject.workloads == ("Deployment/web",)) for found in done]
    held = [dict(one.egress.completeness.parts)["held_back"] for one in webs]
    assert held[0] / len(before.quarantine) < 0.001  # a prior, divided by what the test is worth
    assert held[1] / len(after.quarantine) > 0.01
    provenance = {rule.peer.title: rule.confidence.provenance for rule in webs[1].rules}
    assert provenance["api.example.net"].startswith("prior")
    assert {text for title, text in provenance.items() if "45." in title} == told
