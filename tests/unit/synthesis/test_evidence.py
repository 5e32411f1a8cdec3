"""What is told of a rule's edges together: days and hours are united, records add up, texts are said once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.synthesis import evidence
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.evidence import DayIndex, rule_evidence

EDGES = 7
DAYS = 20
HOURS = st.integers(0, 2**24 - 1)
ROWS = st.lists(st.tuples(st.integers(0, EDGES - 1), st.integers(0, DAYS - 1), HOURS), max_size=60)
GROUP = st.lists(st.integers(0, EDGES - 1), min_size=1, unique=True)


def edge(place: int, **told: object) -> Edge:
    """An edge that passed on one day, once."""
    plain: dict[str, object] = {
        **dict.fromkeys(Edge._fields, 0),
        **dict.fromkeys(("peer_kind", "peer", "protocol", "subject", "direction"), ""),
        **dict.fromkeys(("names", "names_from", "drop_reasons", "samples", "policies"), ()),
        **dict.fromkeys(("subject_pod_names", "peer_pod_names"), ()),
        "place": place,
    }
    return Edge(**(plain | told))


def table(rows: list[tuple[int, int, int]]) -> EdgeTable:
    places, days, hours = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    names = tuple(f"2026-03-{day + 1:02d}" for day in range(DAYS))
    return EdgeTable([edge(place) for place in range(EDGES)], places, places, days, hours, names)


@settings(deadline=None)
@given(ROWS, GROUP)
def test_days_and_hours_of_edges_are_united(rows: list[tuple[int, int, int]], group: list[int]) -> None:
    """Whatever part of the table is laid out at a time; a row that occurs twice counts once."""
    united: dict[int, int] = {}
    for place, day, hours in rows:
        if place in group:
            united[day] = united.get(day, 0) | hours
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_EDGES_AT_ONCE", 3)
        seen = DayIndex(table(rows)).seen([edge(place) for place in group])
    assert seen == (len(united), sum(hours.bit_count() for hours in united.values()))


def test_several_edges_of_a_rule_are_told_together() -> None:
    """The oldest and the newest give the samples, all of them the rest."""
    index = DayIndex(table([(0, 0, 1), (1, 0, 2), (1, 3, 1)]))
    newer = edge(
        1, first_us=9_000_000, last_us=9_500_000, flows=5, denied=1, visible_days=2, answered_days=1,
        peer_kind="ip", peer="192.0.2.1", names=("b", "c"), samples=("s3", "s1"), policies=("p",),
        subject="key", subject_pods=1, subject_pod_names=("x",),
    )  # fmt: skip
    older = edge(
        0, first_us=2_500_000, last_us=20_000_000, flows=3, connections=2, visible_days=2, answered_days=2,
        peer_kind="ip", peer="192.0.2.0", names=("a", "b"), samples=("s1", "s2"), own_end=True,
        subject="key", subject_pods=1, subject_pod_names=("y",),
    )  # fmt: skip
    found = rule_evidence([newer, older], index, "egress", days_observed=1)
    assert (found.days_seen, found.days_observed, found.hours_seen) == (2, 2, 3)
    assert (found.flows, found.connections, found.answered_share) == (8, 2, 0.75)
    assert found.verdicts == (("denied", 1), ("forwarded", 8))
    assert (found.first_us, found.last_us) == (2_000_000, 20_000_000)
    assert (found.names, found.addresses) == (("a", "b", "c"), ("192.0.2.0", "192.0.2.1"))
    assert (found.samples, found.policies, found.own_end) == (("s1", "s2", "s3"), ("p",), True)
    assert found.client_pods == 2
    alone = rule_evidence([newer], index, "egress", days_observed=1)
    assert (alone.days_seen, alone.flows, alone.samples, alone.own_end) == (2, 5, ("s3", "s1"), False)
