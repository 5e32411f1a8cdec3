"""A node that was silent for hours: said where it came back, and never where nodes come and go."""

from dataclasses import replace

import pandas as pd
import pytest

from models.drift.find import DriftInput, find_drift
from models.drift.node_gaps import NodeGap, node_gap
from models.drift.timeline import Snapshot
from tests.unit.drift.nights import NOW, cluster, kinds, parts, policies_of


def hours(nodes, expected=3, day="2026-03-28", first=0):
    """Coverage rows of one day with these nodes per hour; ``None`` is an hour without any record."""
    rows = [
        {"day": day, "hour": first + hour, "nodes": count, "expected_nodes": expected}
        for hour, count in enumerate(nodes)
        if count is not None
    ]
    return pd.DataFrame(rows, columns=["day", "hour", "nodes", "expected_nodes"])


FULL = [3] * 24
GAP = [3] * 12 + [2] * 6 + [3] * 6


def test_a_node_that_was_silent_and_came_back_is_a_gap():
    """With its first and last hour."""
    assert node_gap(hours(GAP), hours(FULL)) == NodeGap(1, 3, 12, 17)
    assert node_gap(hours(GAP), None).hours == 6


def test_the_longest_of_several_gaps_is_told():
    """One sentence per night is enough."""
    night = [3, 2, 2, 3, *[3] * 8, 1, 1, 1, 1, 3, *[3] * 7]
    assert node_gap(hours(night), hours(FULL)) == NodeGap(2, 3, 12, 15)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param(FULL, 3, id="nobody was silent"),
        pytest.param([3] * 12 + [2] + [3] * 11, 3, id="one hour is a restart"),
        pytest.param([3] * 12 + [2] * 12, 3, id="scaled down for good"),
        pytest.param([2] * 12 + [3] * 12, 3, id="scaled up"),
        pytest.param(GAP, 4, id="replaced by a node of another name"),
        pytest.param([3] * 12 + [None] * 6 + [3] * 6, 3, id="all of them at once"),
        pytest.param([], 3, id="nothing at all"),
    ],
)
def test_nodes_that_come_and_go_are_no_gap(nodes, expected):
    """Autoscaling, upgrades and restarts are everyday."""
    assert node_gap(hours(nodes, expected), hours(FULL)) is None


def test_a_node_that_falls_silent_every_night_is_no_news():
    """Few pods, or a node that is stopped for the night."""
    history = pd.concat([hours(GAP, day=f"2026-03-{day:02d}", first=24 * day) for day in range(1, 8)])
    assert node_gap(hours(GAP), history) is None


def test_a_gap_is_told_and_silences_no_other_finding():
    """The report is partial; what a whole policy says is still judged."""
    world, _ = cluster()
    policies = policies_of(world)
    history, night = parts(world)
    assert kinds(find_drift(DriftInput(night, history, (Snapshot(0, tuple(policies)),)), NOW)) == []
    coverage = night.coverage.sort_values("hour").reset_index(drop=True)
    level = int(coverage["nodes"].max())
    shown = [level + 1] * 10 + [level] * 4 + [level + 1] * (len(coverage) - 14)
    gap = replace(night, coverage=coverage.assign(nodes=shown, expected_nodes=level + 1))
    made = find_drift(DriftInput(gap, history, (Snapshot(0, tuple(policies)),)), NOW)
    assert [one.detector for one in made.findings] == ["node_gap"]
    assert made.coverage.heard
    assert made.coverage.to_json()["state"] == "partial"
    assert f"1 of {level + 1} nodes" in made.findings[0].why
