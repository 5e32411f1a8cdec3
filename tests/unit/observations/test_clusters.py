"""What is said of a cluster as a whole: who was heard, from when to when, and whose clock is wrong."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.maintain import run_maintain
from jobs.observations.clusters import ObservedCluster, observed_clusters
from jobs.observations.store import ObservationStore
from tests.unit.observations.builders import API, START, WEB, answer_to, at, flow, notice, tables_of

END = START + timedelta(days=3)
LATER = END + timedelta(days=40)


def steady() -> list[dict[str, Any]]:
    """Three days of a call in every hour, from two nodes, each answered."""
    calls = [
        flow(WEB, API, time=at(60 * hour + minute, days=day), node=f"node-{minute}")
        for day in range(3)
        for hour in range(-1, 23)
        for minute in (1, 2)
    ]
    return calls + [answer_to(call) for call in calls]


@pytest.fixture
def store(tmp_path: Path) -> ObservationStore:
    """A store with the three days."""
    made = ObservationStore(tmp_path)
    add(made, steady())
    return made


def add(store: ObservationStore, records: Iterable[dict[str, Any]], notices: Iterable[Any] = ()) -> None:
    """Commit one batch."""
    with store.writing() as writer:
        writer.commit(writer.next_batch(), tables_of(records, (), notices))


def only(store: ObservationStore, now: Any = LATER) -> ObservedCluster:
    """The one cluster of a store."""
    (cluster,) = observed_clusters(store, now)
    return cluster


def test_trap_A11_a_flow_of_another_year_ends_no_window(store: ObservationStore) -> None:
    """It is counted with its node and its time, and said in a sentence; all else is as without it."""
    before = only(store)
    assert (before.window_end, before.astray, before.notes()) == (END, (), [])
    add(store, [flow(WEB, API, time=at(days=1400), node="node-2"), flow(WEB, API, time=at(days=20))])
    after = only(store)
    assert (after.first_seen, after.last_seen, after.window_end) == (
        before.first_seen,
        before.last_seen,
        END,
    )
    assert [(one.node, one.flows) for one in after.astray] == [("node-1", 1), ("node-2", 1)]
    assert [one.first_seen for one in after.astray] == [
        START + timedelta(days=20, hours=1),
        START + timedelta(days=1400, hours=1),
    ]
    assert after.notes()[1] == (
        "1 flow of node-2 dated 2029-12-31 01:00 UTC, in the future or far from all others of cluster aks: "
        "its clock is wrong, and no window ends there"
    )


def test_while_flows_arrive_the_window_ends_now(store: ObservationStore) -> None:
    """The hour under way is not over."""
    assert only(store, END - timedelta(minutes=20)).window_end == END - timedelta(minutes=20)


def test_a_node_that_is_hours_ahead_is_told(store: ObservationStore) -> None:
    """What it sends is astray until its time has come."""
    add(store, [flow(WEB, API, time=at(60 * 4, days=3), node="node-2")])
    found = only(store, END)
    assert (found.window_end, [one.node for one in found.astray]) == (END, ["node-2"])
    assert only(store, END + timedelta(hours=6)).astray == ()


def test_a_slow_clock_of_our_own_is_told_and_not_believed(store: ObservationStore) -> None:
    """An archive is read to its end on a machine that believes to live before it."""
    found = only(store, START - timedelta(days=100))
    assert found.window_end == END
    assert "is its clock slow?" in found.notes()[0]


def test_nodes_and_flows_are_counted_once(store: ObservationStore) -> None:
    """What is no edge, and what was lost or refused, is counted beside the flows and is no node."""
    before = only(store)
    debugging = flow(WEB, API, time=at(days=1), event=2)
    add(store, [debugging], [notice("lost", 7, node="node-9", time=at(days=1))])
    after = only(store)
    assert (after.flows - before.flows, after.nodes, after.lost_events) == (1, before.nodes, 7)


def test_maintenance_keeps_an_archive_beside_a_flow_of_another_year(store: ObservationStore) -> None:
    """Days are counted back from the newest day that is believed."""
    add(store, [flow(WEB, API, time=at(days=1400))])
    run_maintain(store, now=LATER + timedelta(days=2000), keep_days=14, compaction=False)
    assert only(store).first_seen == START + timedelta(minutes=1)
