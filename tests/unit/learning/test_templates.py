"""Pods against the pod templates under which a cell was used."""

import numpy as np
import pandas as pd
import pytest

from models.learning.templates import used_templates

DAY = 24 * 3_600_000_000
ROLLOUTS = {"web": (3 * DAY, 6 * DAY, 9 * DAY)}


def one_cell(pods: list[int], days: list[tuple[int, int]], direction: str = "egress") -> tuple[int, bool]:
    """Templates and togetherness of one cell with an edge per number of pods, used on (edge, day)."""
    ends = ("web", "db") if direction == "egress" else ("db", "web")
    cells = pd.DataFrame(
        {"subject": [ends[0]], "direction": [direction], "peer": [ends[1]]}, index=pd.Index(["cell"])
    )
    own, far = ("subject_pods", "peer_pods") if direction == "egress" else ("peer_pods", "subject_pods")
    edges = pd.DataFrame({"cell": "cell", own: pods, far: 40})
    used = pd.DataFrame(days, columns=["edge", "day"])
    used["first_us"] = used["day"] * DAY + DAY // 4
    used["last_us"] = used["first_us"] + DAY // 4
    found = used_templates(cells, edges, used, ROLLOUTS).loc["cell"]
    return int(found["templates"]), bool(found["together"])


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_replaced_pod_is_the_same_replica(direction: str) -> None:
    """Four templates, a pod of each: one replica may have done all of it."""
    assert one_cell([4], [(0, day) for day in range(12)], direction) == (4, False)
    assert one_cell([5], [(0, day) for day in range(12)], direction) == (1, True)


def test_a_rollout_between_two_uses_counts_only_where_something_was_used() -> None:
    """Used before the first rollout and after the last: two templates, whatever lies between."""
    assert one_cell([2], [(0, 1), (0, 10)]) == (2, False)
    assert one_cell([3], [(0, 1), (0, 10)]) == (1, True)


def test_two_pods_at_one_edge_of_a_day_are_two_replicas() -> None:
    """Addresses take turns: each edge lives for a day, the cell through all rollouts."""
    days = [(0, 1), (1, 4), (2, 7), (3, 10)]
    assert one_cell([1, 1, 1, 1], days) == (4, False)
    assert one_cell([1, 2, 1, 1], days) == (1, True)


def test_who_never_rolled_out_shows_one_pod_or_several() -> None:
    """Without rollouts two pods are two replicas, and nobody counts pods that nobody recorded."""
    cells = pd.DataFrame(
        {"subject": "job", "direction": "egress", "peer": "db"}, index=pd.Index(["one", "two", "none"])
    )
    edges = pd.DataFrame({"cell": ["two", "one", "none"], "subject_pods": [2, 1, 0], "peer_pods": 1})
    used = pd.DataFrame({"edge": [0, 1, 2], "first_us": DAY, "last_us": 9 * DAY})
    found = used_templates(cells, edges, used, ROLLOUTS)
    assert found["templates"].tolist() == [1, 1, 1]
    assert found["together"].tolist() == [False, True, False]


def test_the_order_of_rows_changes_nothing() -> None:
    """Counts are of sets."""
    rng = np.random.default_rng(4)
    names = [f"c{place}" for place in range(30)]
    cells = pd.DataFrame(
        {"subject": "web", "direction": rng.choice(["egress", "ingress"], 30), "peer": "web"}, index=names
    )
    edges = pd.DataFrame(
        {
            "cell": rng.choice(names, 90),
            "subject_pods": rng.integers(0, 5, 90),
            "peer_pods": rng.integers(0, 5, 90),
        }
    )
    used = pd.DataFrame({"edge": rng.integers(0, 90, 600), "day": rng.integers(0, 12, 600)})
    used["first_us"] = used["day"] * DAY
    used["last_us"] = used["first_us"] + rng.integers(0, DAY, 600)
    there = used_templates(cells, edges, used, ROLLOUTS)
    again = used_templates(cells, edges, used.sample(frac=1, random_state=1), ROLLOUTS)
    pd.testing.assert_frame_equal(there, again)
