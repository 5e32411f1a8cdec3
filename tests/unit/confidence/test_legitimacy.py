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
    assert "admin in shop: seen on 1 day" in {one.because for one in rules[0].confidence.ledger}


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


def caller() -> tuple[World, object]:
    """A service of three replicas, which always calls something inside."""
    world = World()
    pods = [f"web-6d4b75cb6d-{letter * 5}" for letter in "abc"]
    web = world.pod("shop", "web", pod_names=pods)
    world.edge(web, world.pod("shop", "api"), subject_pods=3)
    return world, web


def one_pod(number: int) -> dict[str, object]:
    """Only one of the three replicas."""
    name = f"web-6d4b75cb6d-{'abc'[number % 3] * 5}"
    return {"subject_pods": 1, "subject_pod": (name, name)}


def two_pods(number: int) -> dict[str, object]:
    """Two of the three replicas."""
    names = sorted(f"web-6d4b75cb6d-{'abc'[(number + more) % 3] * 5}" for more in (0, 1))
    return {"subject_pods": 2, "subject_pod": tuple(names)}


def rule_to_title(world: World, title: str):
    """Rule of the service to a peer of this title."""
    made = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    return next(rule for rule in proposal_for(made, "web").rules if rule.peer.title == title)


def test_a_name_is_judged_by_all_its_days_and_not_by_a_day_of_two_names():
    """An address that two names had on one day makes a pair, which nobody allows or refuses."""
    world, web = caller()
    for day in range(14):
        world.to(web, "ip", f"20.5.0.{day}", 443, names="files.example.net", days=[day], **one_pod(day))
    alone = rule_to_title(world, "files.example.net").confidence.p_legit
    world.to(web, "ip", "20.5.1.1", 443, names="files.example.net,other.example.org", days=[3], **one_pod(0))
    sure = rule_to_title(world, "files.example.net").confidence
    assert sure.p_legit == pytest.approx(alone, abs=0.01)
    assert {"seen on 14 days", "seen from 3 of 3 replicas"} <= {one.because for one in sure.ledger}


def test_a_pattern_is_judged_by_all_its_names():
    """Each was called on one day, by two replicas; one of them is, every day, by every replica."""
    world, web = caller()
    for number in range(28):
        name = f"edge-{number:03d}.contentnet.net"
        world.to(web, "ip", f"23.5.0.{number}", 443, names=name, days=[number // 2], **two_pods(number))
    rule = rule_to_title(world, "edge-*.contentnet.net")
    sure = rule.confidence
    assert sure.p_legit > 0.9
    assert "seen on 14 days, 28 names together" in {one.because for one in sure.ledger}
    assert "needs_review" not in rule.flags
    bits = math.fsum(one.bits for one in sure.ledger if one.name != "recurrence")
    assert 1.0 / (1.0 + 2.0**-bits) == pytest.approx(sure.p_legit, abs=2e-3)


def test_of_several_peers_the_most_doubtful_is_named():
    """Its days and pods are not those in the header of the rule."""
    world = World()
    api = world.pod("shop", "api")
    world.edge(world.pod("shop", "web"), api)
    world.edge(world.pod("shop", "admin"), api, days=[13])
    (rule,) = proposal_for(propose(world.observations()), "api").rules
    said = [one.because for one in rule.confidence.ledger if one.name != "recurrence"]
    assert said[0] == "admin in shop, the most doubtful: the peer is inside the cluster"
    assert "admin in shop: seen on 1 day" in said


def test_a_rule_that_is_more_likely_unwanted_wants_a_person():
    """No automation approves what its evidence speaks against."""
    world, web = caller()
    world.to(web, "ip", "20.9.9.9", 443, names="api.example.net", days=[13], **two_pods(0))
    rule = rule_to_title(world, "api.example.net")
    assert rule.confidence.p_legit < 0.5
    assert "needs_review" in rule.flags
    assert rule.reasons[-1] == "By its evidence it is more likely unwanted than wanted."
    made = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    assert "needs_review" in proposal_for(made, "web").flags


def test_workloads_under_one_policy_are_not_taken_together():
    """What one of them did on one day stays to be seen, with its name."""
    world = World()
    for name in ("a", "b", "c"):
        client = world.pod("shop", name, {"app": "client", "part": name})
        world.edge(client, world.pod("shop", "api"))
        days = range(14) if name != "c" else [5]
        for day in days:
            world.to(client, "ip", f"20.5.0.{day}", 443, names="files.example.net", days=[day])
            if name == "c":
                world.to(client, "ip", "20.5.0.77", 443, names="files.example.net,x.example.org", days=[day])
    made = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    rules = [
        rule
        for one in made.proposals
        if len(one.subject.workloads) > 1
        for rule in one.rules
        if rule.peer.title.startswith("files.example.net")
    ]
    assert [len(rule.peer.members) for rule in rules] == [2]
    said = {one.because for one in rules[0].confidence.ledger}
    assert "files.example.net: shop/Deployment/c: seen on 1 day" in said


def test_what_strict_asks_for_is_no_evidence_against_what_lacks_it():
    """Its rare calls are denied, so the forecast counts them, and what they tell of others to come."""
    world = World()
    web = world.pod("shop", "web")
    world.edge(web, world.pod("shop", "api"))
    for number in range(14):
        name = f"api.partner{number}.com"
        world.to(web, "ip", f"20.{number}.9.9", 443, names=name, days=[number], subject_pods=1)
    observations, parts = world.observations(), {}
    for posture in ("balanced", "strict"):
        found = draft(observations, posture=posture, hints=CapabilityHints(fqdn=True))
        done = confident(found, found.proposals, observations).proposals
        web_policy = next(one for one in done if one.subject.workloads == ("Deployment/web",))
        parts[posture] = dict(web_policy.egress.completeness.parts)
        held = [one for one in found.quarantine if one.reasons == ("too_little_evidence",)]
        assert len(held) == (0 if posture == "balanced" else 14)
    assert parts["strict"]["rare"] == pytest.approx(parts["balanced"]["rare"], rel=0.2)
    assert parts["strict"]["held_back"] > 0.5 > parts["balanced"]["held_back"]
