"""Properties M: what must hold for proposals whatever was observed."""

import json
from dataclasses import replace
from datetime import timedelta

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.propose import propose
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from models.manifest.render import manifest_yaml
from models.manifest.validate import problems
from models.simulation.replay import NOT_ADMITTED
from models.synthesis.draft import draft
from tests.strategies import worlds
from tests.unit.synthesis.world import START, World, shuffled

quick = settings(max_examples=12, deadline=None)
FORWARD = ("answered", "unseen", "audited")


def text(result) -> str:
    """Everything a run says, as bytes that can be compared."""
    return json.dumps(result.to_json(), sort_keys=True)


def rules(result) -> set[str]:
    """Meaning of every rule of every proposal."""
    return {
        json.dumps([one.namespace, one.subject.workloads, rule.meaning()], default=list)
        for one in result.proposals
        for rule in one.rules
    }


@quick
@given(worlds(), st.integers(0, 99))
def test_property_M1_the_order_of_rows_changes_nothing(world, seed):
    """Shuffled frames give the same bytes."""
    observations = world.observations()
    first, second = propose(observations), propose(shuffled(observations, seed))
    assert text(first) == text(second)
    assert [manifest_yaml(one) for one in first.proposals] == [manifest_yaml(one) for one in second.proposals]


@quick
@given(worlds())
def test_property_M2_refused_traffic_adds_no_rule(world):
    """
    Denied attempts on every edge and on a new port add nothing.

    They may take a rule away: whoever is refused everywhere is scanning, and what it reached while at it
    is held back for a person, not dropped.
    """
    before = propose(world.observations())
    refused = [
        row | {"port": 31337, "flows": 0, "answered": 0, "audited": 0, "denied": 9} for row in world.rows
    ]
    world.rows += [row for row in refused if row["protocol"] in ("TCP", "UDP", "SCTP")]
    after = propose(world.observations())
    added = set(map(str, rules(after))) - set(map(str, rules(before)))
    assert not added
    if rules(after) != rules(before):
        lines = [line for one in after.proposals for line in one.left_out] + list(after.left_out)
        assert "quarantined" in {line.reason for line in lines}


@quick
@given(worlds())
def test_property_M2_more_replies_change_no_rule(world):
    """Replies are evidence of an answer and never of a peer."""
    before = rules(propose(world.observations()))
    for row in world.rows:
        row["answered"] *= 3
        row["reset"] *= 3
    assert rules(propose(world.observations())) == before


@quick
@given(worlds())
def test_property_M3_an_unanswered_scan_changes_no_proposal(world):
    """A sweep over every workload is listed and never proposed, whatever the ports are usually for."""
    # Without coverage the scan itself would be the only sign that somebody listened that day, and a
    # workload that was silent since would rightly count as gone.
    world.coverage = True
    before = propose(world.observations())
    scanner = world.pod("zz-scan", "scanner")
    targets = [row["label_key"] for row in world.identities if row["namespace"] != "zz-scan"]
    for target in targets:
        for port in (21, 22, 53):
            scanned = type(scanner)(target, "", {})
            world.edge(scanner, scanned, port, days=[1], flows=1, answered=0)
    assert rules(propose(world.observations())) == rules(before)


@quick
@given(worlds(outcomes=("answered", "unseen", "audited", "denied")))
def test_property_M4_the_same_traffic_twice_a_day_changes_no_rule(world):
    """More of the same on the same days is not new."""
    before = rules(propose(world.observations()))
    world.rows += [row | {"flows": row["flows"] * 5} for row in world.rows]
    assert rules(propose(world.observations())) == before


def daily(world: World, days: int) -> World:
    """The same edges, one row each, on every day of so many."""
    first = {
        (row["subject"], row["direction"], row["peer"], row["protocol"], row["port"]): row
        for row in world.rows
    }
    made = replace(world, days=days, coverage=True, rows=[], routes=[])
    for row in first.values():
        made.rows += [
            row
            | {"day": (START + timedelta(days=day)).strftime("%Y-%m-%d")}
            | {"first_us": made.at(day, 1), "last_us": made.at(day, 22)}
            for day in range(days)
        ]
    lives = {"first_us": made.at(0), "last_us": made.at(days - 1, 23)}
    made.identities = [row | lives for row in world.identities]
    return made


@settings(max_examples=6, deadline=None)
@given(worlds(outcomes=FORWARD), st.sampled_from((7, 13, 20)))
def test_property_M4_another_day_of_the_same_traffic_changes_no_rule_and_lowers_no_confidence(world, days):
    """Tomorrow is like today, so nobody gets less sure."""
    before = propose(daily(world, days).observations())
    after = propose(daily(world, days + 1).observations())
    assert rules(after) == rules(before)
    sure = {rule.id: rule.confidence.p_need for one in after.proposals for rule in one.rules}
    for one in before.proposals:
        for rule in one.rules:
            if rule.confidence.p_need is not None:
                assert sure[rule.id] >= rule.confidence.p_need - 1e-9, rule.title


@quick
@given(worlds())
def test_property_M5_every_forward_edge_is_admitted_or_listed_with_its_reason(world):
    """The replay finds no denial that was not announced, and its counts add up."""
    for proposal in propose(world.observations()).proposals:
        backtest = proposal.backtest
        assert NOT_ADMITTED not in {denial.reason for denial in backtest.denied}
        assert backtest.undecided == 0
        assert backtest.checked == backtest.admitted + sum(denial.edge_days for denial in backtest.denied)
        listed = {line.reason for line in proposal.left_out}
        assert {denial.reason for denial in backtest.denied} <= listed


@quick
@given(worlds())
def test_every_edge_ends_in_exactly_one_rule_or_reason(world):
    """Conservation: nothing vanishes and nothing is counted twice."""
    made = draft(world.observations())
    places = {edge.place for edge in made.table.edges}
    assert set(made.ledger.rules_of) | set(made.ledger.reason_of) == places
    assert not set(made.ledger.rules_of) & set(made.ledger.reason_of)
    listed = sum(line.edges for one in made.proposals for line in one.left_out)
    assert listed + sum(line.edges for line in made.left_out) == len(made.ledger.reason_of)
    ids = {rule.id for one in made.proposals for rule in one.rules}
    assert all(set(kept) <= ids for kept in made.ledger.rules_of.values())


@quick
@given(worlds(outcomes=FORWARD), st.data())
def test_property_M6_a_rule_without_its_edges_is_gone(world, data):
    """Every observed rule is traced to edges; taking them away takes the rule away."""
    observations = world.observations()
    made = draft(observations)
    behind: dict[str, set[int]] = {}
    for place, ids in made.ledger.rules_of.items():
        for identifier in ids:
            behind.setdefault(identifier, set()).add(place)
    observed = {rule.id for one in made.proposals for rule in one.rules if not rule.evidence.assumed}
    assert observed == set(behind)
    if not observed:
        return
    chosen = data.draw(st.sampled_from(sorted(observed)))
    lost = pd.DataFrame([made.table.edges[place]._asdict() for place in behind[chosen]])
    key = ["subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type"]
    marked = observations.edge_days.merge(
        lost[key].astype(observations.edge_days[key].dtypes), how="left", indicator=True
    )
    kept = observations.edge_days[(marked["_merge"] == "left_only").to_numpy()]
    again = draft(replace(observations, edge_days=kept))
    assert chosen not in {
        rule.id for one in again.proposals for rule in one.rules if not rule.evidence.assumed
    }


@quick
@given(worlds())
def test_property_M7_every_manifest_passes_the_linter_of_every_release(world):
    """Offline, with the API server's schema and the agent's checks."""
    for manifest in propose(world.observations()).manifests.values():
        for release in ("1.16", "1.17", "1.18", "1.19", "1.20"):
            assert problems(manifest, cilium_version=release) == []


@quick
@given(worlds())
def test_property_M9_renaming_pods_and_label_set_keys_changes_no_policy(world):
    """Pods, addresses and hashes come and go; only what lasts is in a policy."""
    before = propose(world.observations())
    named = {row["label_key"]: f"renamed-{row['label_key'][::-1]}" for row in world.identities}
    for table in (world.rows, world.identities, world.pods, world.routes):
        for row in table:
            for column in ("label_key", "subject", "peer"):
                if column in row:
                    row[column] = named.get(row[column], row[column])
    world.counts = {
        tuple(named.get(part, part) for part in key): {
            column: named.get(value, value) for column, value in row.items()
        }
        for key, row in world.counts.items()
    }
    after = propose(world.observations())
    assert [one.fingerprint for one in after.proposals] == [one.fingerprint for one in before.proposals]
    assert {one.key: [rule.id for rule in one.rules] for one in after.proposals} == {
        one.key: [rule.id for rule in one.rules] for one in before.proposals
    }


@quick
@given(worlds())
def test_a_stored_proposal_renders_the_same_manifest(world):
    """What the database keeps is enough to write the policy again."""
    for proposal in propose(world.observations()).proposals:
        stored = json.loads(json.dumps(proposal_to_json(proposal)))
        assert proposal_from_json(stored) == proposal
        assert manifest_yaml(proposal_from_json(stored)) == manifest_yaml(proposal)


def test_ids_and_keys_are_the_same_in_another_window():
    """A decision stays attached to tomorrow's proposal."""
    found = []
    for days in (14, 10):
        world = World(days=days)
        world.edge(world.pod("shop", "web"), world.pod("shop", "api"))
        world.neighbours()
        found.append(propose(world.observations()).proposals)
    first, second = found
    assert [one.key for one in first] == [one.key for one in second]
    assert [one.fingerprint for one in first] == [one.fingerprint for one in second]
    assert [one.maturity for one in first] != [one.maturity for one in second]
