"""Confidence beside rules and directions: counted on what a rule admits, never on how often it was recorded."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from jobs.propose import propose
from models.confidence.policy_cells import policy_cells
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.learning.days import window_days
from models.learning.evidence import probability
from models.manifest.render import cilium_manifest
from models.synthesis.draft import draft
from tests.unit.synthesis.world import Pods, World


def estate(days: int = 14, last: int | None = None) -> World:
    """A client that calls one server every day and another until it stopped; somebody else still does."""
    world = World(days=days)
    web, api, legacy = (world.pod("shop", name) for name in ("web", "api", "legacy"))
    world.edge(web, api)
    world.edge(web, legacy, 9090, days=range(days // 2 if last is None else last))
    world.edge(world.pod("back", "other"), legacy, 9090)
    return world


def rule_of(world: World, server: str):
    """Rule of the client's egress to a server."""
    made = next(one for one in propose(world.observations()).proposals if one.name.startswith("portolan-web"))
    return next(rule for rule in made.rules if server in rule.peer.title)


def test_every_rule_has_its_numbers_and_its_arguments():
    """Confidence is the product; every argument is a sentence with a weight."""
    rule = rule_of(estate(), "api")
    sure = rule.confidence
    assert 0.9 < sure.p_need_7d <= sure.p_need < 1.0
    assert sure.confidence == pytest.approx(sure.p_need * sure.p_legit, abs=2e-4)
    assert sure.provenance == "prior, not calibrated on this estate"
    assert {one.name for one in sure.ledger} >= {"recurrence", "external", "days"}
    assert sure.ledger[0].because.startswith("seen on 14 of 14 full days since first sight")


def test_the_ledger_of_a_rule_of_several_peers_adds_up_to_any_of_them():
    """Five clients on two days each: hardly one is needed, and one of them nearly certainly."""
    world = World()
    server = world.pod("shop", "server")
    for number in range(5):
        world.edge(world.pod("shop", f"r{number}"), server, days=[number, number + 6])
    (made,) = [one for one in propose(world.observations()).proposals if "server" in one.name]
    (rule,) = made.rules
    assert len(rule.peer.members) == 5
    said = rule.confidence.ledger[0]
    assert probability(said.bits) == pytest.approx(rule.confidence.p_need, abs=2e-3)
    assert said.because.startswith("any of 5 peers returns within 35 days with probability ")
    alone = re.search(
        r"; the best one alone, r\d in shop: 0\.\d\d \(seen on 2 of \d+ full days", said.because
    )
    assert alone


def test_ports_of_a_rule_are_told_as_ports():
    """Which of them is the best one is said by its number."""
    world = World()
    web, resolver = world.pod("shop", "web"), world.kube_dns()
    world.edge(web, world.pod("shop", "api"))
    world.edge(web, resolver, 53, "UDP")
    world.edge(web, resolver, 53, "TCP", days=[2, 9])
    said = rule_of(world, "coredns").confidence.ledger[0].because
    assert said.startswith("any of 2 ports returns within 35 days with probability above 0.99; ")
    assert "the best one alone, UDP/53: above 0.99 (seen on 14 of 14 full days" in said


def test_trap_J9_what_stopped_is_needed_less_than_what_goes_on():
    """Seven days of silence after seven days of use."""
    world = estate()
    stopped, goes_on = (rule_of(world, name).confidence.p_need_7d for name in ("legacy", "api"))
    assert stopped < goes_on - 0.3


def test_what_a_policy_refuses_since_is_still_needed():
    """It worked for a week and is tried ever since: applying the rule is what it needs."""
    world = estate()
    web, legacy = (
        next(one for one in world.identities if one["workload"] == name) for name in ("web", "legacy")
    )
    pods = [Pods(one["label_key"], "shop", {}) for one in (web, legacy)]
    world.edge(*pods, 9090, days=range(7, 14), flows=0, answered=0, denied=5)
    rule = rule_of(world, "legacy")
    assert rule.confidence.p_need_7d > 0.95
    assert rule.confidence.ledger[0].because.startswith("seen or refused on 14 of 14 full days")
    assert rule.evidence.days_seen == 7
    assert "denied_today" in rule.flags


def test_trap_J11_a_week_is_too_little_for_a_number():
    """Words in place of numbers, for rules and for directions."""
    made = propose(estate(days=7).observations()).proposals
    proposal = next(one for one in made if one.name.startswith("portolan-api"))
    for rule in proposal.rules:
        assert (rule.confidence.confidence, rule.confidence.p_need_7d) == (None, None)
        assert rule.confidence.reason == "too little seen: 7 fully observed days, 10 are needed"
    assert proposal.ingress.completeness.no_denial is None
    assert proposal.ingress.completeness.reason.startswith("too little seen: 7 fully observed days")


def test_assumed_rules_say_that_nothing_was_seen():
    """DNS that nobody was seen asking for has no probability."""
    world = estate()
    for number in range(4):
        client = world.pod(f"team-{number}", "client")
        world.edge(client, world.pod("kube-system", "coredns", {"k8s-app": "kube-dns"}), 53, "UDP")
    found = [rule for one in propose(world.observations()).proposals for rule in one.rules]
    assumed = [rule for rule in found if rule.evidence.assumed]
    assert assumed
    assert {rule.confidence.reason for rule in assumed} == {"assumed: nothing of it was seen"}
    assert {rule.confidence.confidence for rule in assumed} == {None}


def test_trap_J7_J10_records_of_replicas_change_no_number():
    """Scaled from two pods to fifty, with as many times the records: the same workload on the same days."""
    one = estate().observations()
    many = replace(
        one,
        edge_days=one.edge_days.assign(flows=one.edge_days["flows"] * 25),
        edge_pods=one.edge_pods.assign(subject_pods=50, peer_pods=50),
    )
    numbers = [
        [
            (rule.id, rule.confidence.p_need_7d, rule.confidence.p_need)
            for p in propose(o).proposals
            for rule in p.rules
        ]
        for o in (one, many)
    ]
    assert numbers[0] == numbers[1]


def test_another_day_of_use_never_lowers_the_need():
    """The call that stopped, had it gone on one day longer."""
    needs = [rule_of(estate(last=last), "legacy").confidence.p_need_7d for last in (7, 8, 9, 10)]
    assert needs == sorted(needs)


def test_an_edge_under_a_rule_is_counted_once():
    """Cells of the draft: one per rule with traffic, with the days and the records of its edges."""
    world = estate()
    observations = world.observations()
    made = draft(observations)
    cells = policy_cells(made, observations)
    every = [rule for proposal in made.proposals for rule in proposal.rules]
    rules = {rule.id: rule for rule in every if not rule.evidence.assumed}
    assert set(cells.rules["rule"]) == set(rules)
    flows = cells.rules.join(cells.cells["flows"], on="cell").groupby("rule")["flows"].sum()
    assert {name: int(count) for name, count in flows.items()} == {
        rule.id: rule.evidence.flows for rule in rules.values()
    }


def test_members_of_a_list_are_cells_of_their_own():
    """A list admits nobody but its members, so a new one would be denied."""
    world = World()
    api = world.pod("shop", "api")
    for name in ("web", "mobile", "admin"):
        world.edge(world.pod("shop", name), api)
    observations = world.observations()
    made = draft(observations)
    cells = policy_cells(made, observations)
    key = next(one.key for one in made.proposals if one.name.startswith("portolan-api"))
    assert (cells.admitted["subject"] == key).sum() == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"app": "web"}, {"app": "shop-web"}),
        ({"k8s-app": "web"}, {"app.kubernetes.io/name": "web"}),
        ({"app": "shop", "tier": "a"}, {"app": "shop", "tier": "b"}),
    ],
)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_trap_F12_a_member_of_a_list_that_got_other_labels_is_still_itself(old, new, direction):
    """Its selector is that of its new labels; what it did under the old ones counts for it."""
    world = World()
    store = world.pod("back", "store")
    ends = [(world.pod("shop", "web", old, days=range(12)), range(12))]
    ends += [(world.pod("shop", "web", new, days=range(12, 14)), range(12, 14))]
    cart = world.pod("shop", "cart", {"app": "shop", "tier": "z"})
    for port in (5432, 6379):  # of another role
        world.edge(cart, world.pod("back", "pg"), port)
    ends.append((cart, range(1, 14, 3)))
    for pods, days in ends:
        world.edge(*((pods, store) if direction == "ingress" else (store, pods)), days=days)
    (made,) = [one for one in propose(world.observations()).proposals if "store" in one.name]
    (rule,) = [one for one in made.rules if one.direction == direction and not one.evidence.assumed]
    assert len(rule.peer.members) == 2
    said = rule.confidence.ledger[0].because
    assert said.startswith("any of 2 peers returns")
    assert "the best one alone, web in shop: above 0.99 (seen on 14 of 14 full days" in said


def test_ports_of_a_list_are_cells_of_their_own():
    """A data port that was not drawn yet would be denied, however many were listed."""
    world = World()
    ftp, web = world.pod("shop", "ftp"), world.pod("shop", "web")
    for number in range(5):
        world.edge(web, ftp, 50000 + 7 * number, days=[number, number + 7])
    observations = world.observations()
    made = draft(observations)
    cells = policy_cells(made, observations)
    key = next(one.key for one in made.proposals if one.name.startswith("portolan-ftp"))
    assert (cells.admitted["subject"] == key).sum() == 5


def test_trap_J11_days_without_coverage_prove_presence_only():
    """An edge on a day that nobody listened on is kept, and the day counts for no absence."""
    observations = estate().observations()
    first = str(observations.edge_days["day"].min())
    partly = replace(observations, coverage=observations.coverage[observations.coverage["day"] != first])
    days = window_days(partly)
    assert days.count == 13
    assert first in days.partial
    blind = replace(observations, coverage=observations.coverage.iloc[:0])
    assert window_days(blind).count == 14


def test_numbers_do_not_depend_on_the_order_of_rows():
    """Byte for byte."""
    one = estate().observations()
    other = replace(one, edge_days=one.edge_days.sample(frac=1, random_state=3))
    assert propose(one).to_json() == propose(other).to_json()


def test_a_proposal_survives_the_store():
    """Numbers, ledger and forecast come back as they were."""
    for proposal in propose(estate(days=28).observations()).proposals:
        assert proposal_from_json(proposal_to_json(proposal)) == proposal


def test_three_weeks_are_checked_and_two_are_not():
    """The panel has a reliability table as soon as one week can be held out."""
    short, long = (propose(estate(days).observations()).calibration for days in (14, 28))
    assert short["p_need"]["reliability"] == []
    assert "two weeks allow no valid recalibration" in short["recalibration_reason"]
    assert long["origins"] == [14, 21]
    assert sum(row["count"] for row in long["p_need"]["reliability"]) == long["labels"] > 0


def test_totals_of_namespaces_add_up_to_the_cluster():
    """Expected numbers are sums; only their ranges know of common shocks."""
    found = propose(estate().observations()).forecast
    parts = [one["expected_denied_edges_7d"] for one in found["namespaces"]]
    assert sum(parts) == pytest.approx(found["cluster"]["expected_denied_edges_7d"], abs=0.01)


def test_a_window_that_cannot_be_forecast_is_never_stable():
    """Two weeks of hours, of which a third of the nodes is missing on five days."""
    observations = estate().observations()
    coverage = observations.coverage.copy()
    days = sorted(coverage["day"].unique())[:5]
    coverage.loc[coverage["day"].isin(days), "expected_nodes"] = coverage["nodes"] * 3
    made = propose(replace(observations, coverage=coverage)).proposals
    assert made
    for proposal in made:
        assert proposal.effective_days >= 14
        assert proposal.maturity == "maturing"
        assert proposal.why_not_stable == "fewer than 10 days were heard well enough for a forecast"
    assert {(one.maturity, one.why_not_stable) for one in propose(observations).proposals} == {("stable", "")}


def test_what_is_likely_to_deny_something_next_week_is_not_stable():
    """Two weeks in which a client met somebody new every day: it will on the next days, too."""
    world = estate()
    crawler = world.pod("shop", "crawler")
    for day in range(14):
        for number in range(3):
            world.edge(crawler, world.pod("shop", f"target-{day}-{number}"), 8080, days=[day])
    made = {one.subject.workloads[0]: one for one in propose(world.observations()).proposals}
    doubtful = made["Deployment/crawler"]
    assert dict(doubtful.egress.completeness.ready)[0.2] is False
    assert (doubtful.maturity, doubtful.effective_days) == ("maturing", 14.0)
    assert doubtful.why_not_stable == (
        "not ready at a risk of 20 % that egress denies something legitimate within 7 days"
    )
    assert (
        doubtful.why_not_stable
        in cilium_manifest(doubtful)["metadata"]["annotations"]["portolan.dev/evidence"]
    )
    for one in made.values():
        ready = [dict(way.completeness.ready).get(0.2, True) for way in (one.ingress, one.egress)]
        assert (one.maturity == "stable") == all(ready)


def test_no_edges_at_all_make_no_numbers_and_no_error():
    """An empty window."""
    observations = World().observations()
    found = propose(observations)
    assert found.proposals == ()
    assert isinstance(found.calibration["reason"], str)
    assert isinstance(policy_cells(draft(observations), observations).cells, pd.DataFrame)
