"""Properties of a drift report: nothing to say about what was proposed, and the order of input is nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.propose import propose
from models.drift.find import DriftInput, find_drift
from models.drift.timeline import Snapshot
from tests.strategies import worlds
from tests.unit.synthesis.world import shuffled

quick = settings(max_examples=8, deadline=None)
NOW = datetime(2026, 3, 15, tzinfo=UTC)


def exempt_of(result) -> frozenset[tuple[str, str]]:
    """Workloads for which inference said why they get no policy."""
    return frozenset((one.namespace, member) for one in result.unproposed for member in one.workloads)


@quick
@given(worlds())
def test_property_M8_a_proposal_deployed_as_it_is_gives_an_empty_report_over_its_own_window(world):
    """What was proposed from a window has nothing to say about that window."""
    observations = world.observations()
    result = propose(observations)
    policies = tuple(result.manifests.values())
    held = frozenset(one.id for one in result.quarantine)
    given_ = DriftInput(observations, None, (Snapshot(0, policies),), exempt=exempt_of(result), held=held)
    report = find_drift(given_, NOW)
    assert [finding.why for finding in report.findings if policies] == []


@quick
@given(worlds(), st.integers(0, 99))
def test_property_M1_the_order_of_rows_and_objects_changes_no_byte_of_the_report(world, seed):
    """Shuffled frames and reversed policies give the same report."""
    observations = world.observations()
    policies = list(propose(observations).manifests.values())[1:]
    before = DriftInput(observations, None, (Snapshot(0, tuple(policies)),))
    after = replace(
        before,
        night=shuffled(observations, seed),
        snapshots=(Snapshot(0, tuple(reversed(policies))),),
    )
    first, second = find_drift(before, NOW), find_drift(after, NOW)
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())
