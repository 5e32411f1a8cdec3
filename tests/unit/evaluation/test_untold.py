"""Wanted traffic that is told as no edge: rendered beside the edges, and judged by what it is."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.evaluation.measures import measure
from jobs.evaluation.pairs import raw_rule_counts
from jobs.evaluation.proposers import Portolan, exact_allow_list
from jobs.evaluation.protocol import hints_of, shuffled
from jobs.evaluation.render import observe
from jobs.evaluation.truth import UNTOLD, classified
from jobs.evaluation.untold import AMBIGUOUS, REPLY_ONLY, SERVICE, UNRESOLVED
from models import frames
from tests.unit.evaluation.small import SMALL, small_world

QUIETLY = replace(SMALL, name="untold", untold=0.15, churn=0.0)


@pytest.fixture(scope="module")
def world():
    return small_world(QUIETLY)


def test_a_share_of_the_links_is_told_in_each_of_four_ways(world):
    """The share is that of the parameter, of links between workloads of teams."""
    reasons = [link.untold for link in world.links if link.untold]
    assert set(reasons) == {AMBIGUOUS, REPLY_ONLY, SERVICE, UNRESOLVED}
    told = {link.untold for link in small_world().links}
    assert told == {""}


def test_it_is_in_no_edge_and_stands_beside_them(world):
    """The frame has the contract's columns, unique keys in order, and no link of it is an edge."""
    observed = observe(world, 0, 14)
    aside = observed.aside_edges
    assert {name: str(kind) for name, kind in aside.dtypes.items()} == frames.ASIDE_EDGES
    key = ["reason", "subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type"]
    assert aside[key].equals(aside[key].sort_values(key, kind="stable").reset_index(drop=True))
    assert not aside.duplicated(key).any()
    links = {int(text[24:32]) for text in observed.edge_days["samples"]}
    assert not [n for n in links if world.links[n].untold]
    assert set(aside["reason"]) <= set(observed.set_aside["reason"])
    assert shuffled(observed).aside_edges["flows"].sum() == aside["flows"].sum()


def test_it_has_a_truth_of_its_own_and_no_rule(world):
    """Seen, but not as an edge; an exact list has no rule for it."""
    later = classified(world, 0, 14, 28)
    badly = np.array([link.untold != "" for link in world.links])[later["link"].to_numpy()]
    assert ((later["truth"] == UNTOLD) == (badly & later["known"])).all()
    told = replace(world, links=tuple(replace(link, untold="") for link in world.links))
    assert raw_rule_counts(world, 0, 14) < raw_rule_counts(told, 0, 14)


def test_policies_leave_room_for_what_is_used_every_day(world):
    """It is judged by the truth, so a policy that closed its direction would be found out."""
    made = Portolan()(observe(world, 0, 14), "balanced", hints_of(world))
    counts = {(one, part): (hits, total) for one, part, hits, total in measure(world, made, 0, 14).counts}
    _, cells = counts["cells_denied_14", UNTOLD]
    denied, flows = counts["flows_denied_14", UNTOLD]
    assert cells > 5
    assert denied < 0.01 * flows
    exact = exact_allow_list(observe(world, 0, 14), "balanced", hints_of(world))
    closed = {(one, part): (hits, total) for one, part, hits, total in measure(world, exact, 0, 14).counts}
    assert closed["flows_denied_14", UNTOLD][0] > 0.5 * flows
