"""How well a window was listened to: traps.md A2, A12, A15."""

import pytest

from tests.unit.observations.builders import API, WEB, WEB2, answer_to, at, flow, notice, observe, set_aside


def hour_rows(observed):
    """Coverage as dictionaries."""
    return observed.coverage.to_dict("records")


def test_trap_A12_lost_events_lower_the_hour_they_fell_into(tmp_path):
    """Loss is counted beside the flows, and is no flow."""
    row = hour_rows(observe(tmp_path, [flow(WEB, API)], notices=[notice("lost", 250_000)]))[0]
    assert (row["flows"], row["lost_events"]) == (1, 250_000)


def test_trap_A12_an_hour_that_only_lost_is_an_hour_without_nodes(tmp_path):
    """Nothing was delivered: nobody listened."""
    rows = hour_rows(observe(tmp_path, [flow(WEB, API)], notices=[notice("lost", 9, time=at(120))]))
    assert [(row["nodes"], row["expected_nodes"], row["seconds"]) for row in rows] == [
        (1, 1, 3600),
        (0, 1, 0),
    ]


@pytest.mark.parametrize(("records", "minutes"), [(60, 45), (59, 60), (1, 60)])
def test_trap_A15_a_hole_between_files_is_a_gap_and_not_quiet(tmp_path, records, minutes):
    """A quarter of an hour without a record, where a node has one every five seconds, was not listened to."""
    heard = [n for n in range(12) if n not in (4, 5, 6)]
    flows = [flow(WEB, API, flags="A", time=at(5 * n + m / 60)) for n in heard for m in range(records)]
    idle = flow(WEB2, API, node="node-2")
    (hour,) = hour_rows(observe(tmp_path, [*flows, idle]))
    assert (hour["nodes"], hour["seconds"]) == (2, 60 * minutes + 3600), "the idle node was heard all along"


def test_trap_A2_a_node_that_could_not_be_reached_is_a_gap_of_that_node_and_hour(tmp_path):
    """Said of a node that was heard in the rest of the hour, and of one that was never heard at all."""
    records = [flow(WEB, API, node=name, time=at(60 * n)) for n in (0, 1) for name in ("node-1", "node-2")]
    gone = [notice("node_unavailable", 1, node=name, time=at(90)) for name in ("node-2", "node-3")]
    rows = hour_rows(observe(tmp_path, records, notices=gone))
    assert [(row["nodes"], row["expected_nodes"]) for row in rows] == [(2, 3), (1, 3)]


def counted(tmp_path, hours):
    """Nodes that delivered and nodes that were expected, by hour, from the hours in which each delivered."""
    records = [flow(WEB, API, node=node, time=at(60 * hour)) for node, some in hours.items() for hour in some]
    rows = hour_rows(observe(tmp_path, records))
    return [(row["nodes"], row["expected_nodes"]) for row in rows]


def test_a_node_that_falls_silent_and_comes_back_is_a_gap(tmp_path):
    """In the middle of the day, and across midnight where it otherwise delivers all day."""
    short = counted(tmp_path / "day", {"node-1": range(4), "node-2": (0, 3)})
    assert short == [(2, 2), (1, 2), (1, 2), (2, 2)]
    night = [hour for hour in range(24 * 7) if not 68 <= hour < 76]
    long = counted(tmp_path / "night", {"node-1": range(24 * 7), "node-2": night})
    assert [hour for hour, (heard, there) in enumerate(long) if heard < there] == list(range(68, 76))


def test_a_node_that_comes_and_goes_is_no_gap(tmp_path):
    """An autoscaler's by day, one that was added, and one that was removed."""
    daily = [24 * day + hour for day in range(4) for hour in range(8, 18)]
    hours = {"node-1": range(96), "node-2": daily, "node-3": range(60, 96), "node-4": range(30)}
    assert all(heard == there for heard, there in counted(tmp_path, hours))


def test_two_sources_of_one_node_listen_once(tmp_path):
    """An overlap is no longer hour."""
    records = [flow(WEB, API), flow(WEB, API, source="relay:main")]
    assert hour_rows(observe(tmp_path, records))[0]["seconds"] == 3600


def test_rejects_skips_and_replies_are_counted(tmp_path):
    """By hour, whatever they were."""
    request = flow(WEB, API)
    notices = [notice("rejected", 3), notice("skipped", 4)]
    row = hour_rows(observe(tmp_path, [request, answer_to(request)], notices=notices))[0]
    assert (row["flows"], row["replies"], row["rejects"], row["skipped"]) == (2, 1, 3, 4)


def test_traffic_without_a_pod_at_either_end_is_counted(tmp_path):
    """No policy of a pod could say anything about it."""
    from tests.unit.observations.builders import HOST, OUTSIDE  # noqa: PLC0415

    observed = observe(tmp_path, [flow(HOST, OUTSIDE, 443)])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"no_pod": 1}
