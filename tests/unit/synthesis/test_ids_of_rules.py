"""Ids of rules from night to night: what means the same is called the same."""

import pytest

from jobs.propose import propose
from models.synthesis.learned import NOTHING_LEARNED, learned_from_json
from tests.unit.synthesis.world import World, proposal_for


def ways(web_days, jobs_days=()):
    """What calls the API of a shop: its web on some days, and its jobs."""
    made = World()
    web, jobs, api = (made.pod("shop", name) for name in ("web", "jobs", "api"))
    for caller, days in ((web, web_days), (jobs, jobs_days)):
        if days:
            made.edge(caller, api, days=days, subject_pods=1, peer_pods=1)
    cache = made.pod("shop", "cache")
    for caller in (web, api, jobs):
        made.edge(caller, cache, 6379)
    return made.observations()


def ids(result, title):
    """Id of each rule of the API for callers whose title this is in."""
    return [
        rule.id
        for rule in proposal_for(result, "api").rules
        if rule.direction == "ingress" and title in rule.peer.title
    ]


def test_a_rule_keeps_its_id_when_a_rare_call_becomes_ordinary():
    """It means what it meant, so what was decided on it holds; and the night after knows it, too."""
    first = propose(ways([5]))
    (rare,) = ids(first, "web")
    second = propose(ways([5, 9]), previous=first.learned)
    assert ids(second, "web") == [rare]
    assert ids(propose(ways([5, 9, 11]), previous=second.learned), "web") == [rare]
    assert ids(propose(ways([5, 9])), "web") != [rare]


def test_it_joins_the_list_as_soon_as_another_is_on_it():
    """Whoever reads the policy decides on a port once; the list is called what it is without a memory."""
    first = propose(ways([5]))
    (rare,) = ids(first, "web")
    joint = propose(ways([5, 9], range(14)), previous=first.learned)
    assert ids(joint, "web") == ids(joint, "jobs") == ids(propose(ways([5, 9], range(14))), "web")
    assert ids(joint, "web") != [rare]


@pytest.mark.parametrize("rejected", [True, False])
def test_what_was_rejected_by_itself_stays_out_when_it_becomes_ordinary(rejected):
    """Its id is the one that was rejected."""
    first = propose(ways([5]))
    gone = frozenset(ids(first, "web") if rejected else ())
    second = propose(ways([5, 9]), previous=first.learned, rejected_rules=gone)
    assert bool(proposal_for(second, "api") and ids(second, "web")) != rejected


def test_a_night_tells_the_next_which_rules_stood_apart():
    """Both ends of the rare call, and no list."""
    result = propose(ways([5], range(14)))
    rare = {rule.id for name in ("api", "web") for rule in proposal_for(result, name).rules if once(rule)}
    assert len(rare) == 2
    assert result.learned.apart == rare
    assert learned_from_json(result.learned.to_json()) == result.learned
    assert NOTHING_LEARNED.apart == learned_from_json({}).apart == frozenset()


def once(rule):
    """Whether it was seen on one day."""
    return rule.evidence.days_seen == 1
