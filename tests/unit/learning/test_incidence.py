"""Cells and the days they were seen on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInputError
from models.learning import bitmaps
from models.learning.cells import CELL_KEY, cell_ids, to_cells, zones
from models.learning.days import ObservedDays, observed_days
from models.learning.incidence import DayIncidence, as_of
from tests.unit.learning.worlds import coverage, day_names, edge

DAYS = day_names(20)


def cells_of(rows: list[dict[str, object]], days: list[str] = DAYS, **options: object) -> pd.DataFrame:
    """Cells of some edge days."""
    return DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(days, **options)).cells_


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, object]], tuple[str, ...]]:
    """Edge days of a few cells, and which days were lossy."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b"]),
                st.sampled_from(["p", "q|r", "s"]),
                st.sampled_from(DAYS),
                st.integers(0, 5),
                st.integers(1, 2**24 - 1),
                st.booleans(),
            ),
            min_size=1,
            max_size=40,
        ),
    )
    lossy = draw(st.sets(st.sampled_from(DAYS), max_size=5))
    made = [
        edge(s, p, d, flows=n, hour_bits=h, denied=0 if n else 3, replies_visible=v)
        for s, p, d, n, h, v in rows
    ]
    return made, tuple(sorted(lossy))


def test_trap_J3_bits_count_days_not_packets() -> None:
    """A thousand flows on one day are one bit."""
    cells = cells_of([edge("w", "p", DAYS[3], flows=1000), edge("w", "q", DAYS[3]), edge("w", "q", DAYS[5])])
    assert cells["days_seen"].tolist() == [1, 2]
    assert cells["first_day"].tolist() == [3, 3]
    assert cells["last_day"].tolist() == [3, 5]
    assert cells["returns"].tolist() == [0, 1]
    assert cells["last_return"].tolist() == [0, 2]
    assert cells["opportunities"].tolist() == [16, 16]


def test_even_days_of_four_weeks_make_the_known_bitmap() -> None:
    """The vector that every engine path must give."""
    days = day_names(28)
    cells = cells_of([edge("w", "p", day) for day in days[::2]], days)
    assert int(cells["days"].iloc[0]) == 89_478_485


def test_trap_J11_a_lossy_day_proves_presence_but_not_absence() -> None:
    """T leaves the day out; a cell first seen on it has its first opportunity on the next full day."""
    rows = [edge("w", "p", DAYS[4]), edge("w", "p", DAYS[6]), edge("w", "only", DAYS[4])]
    fitted = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(DAYS, lossy=(DAYS[4],)))
    assert fitted.days_.count == 19
    assert fitted.days_.partial == (DAYS[4],)
    cells = fitted.cells_.set_index("peer")
    assert cells.loc[
        "p", ["days_seen", "active_days", "returns", "last_return", "opportunities"]
    ].tolist() == [
        1,
        2,
        1,
        2,
        15,
    ]
    assert cells.loc["only", ["days_seen", "active_days", "returns", "opportunities"]].tolist() == [
        0,
        1,
        0,
        15,
    ]


def test_trap_A12_a_missing_hour_makes_a_day_partial() -> None:
    """Twenty-three hours are not a day."""
    hours = coverage(DAYS[:2])
    assert observed_days(hours.iloc[1:]).full == (DAYS[1],)
    assert observed_days(hours.assign(nodes=[2, *[3] * 47])).full == tuple(DAYS[:2])
    assert observed_days(hours.assign(nodes=[*[2] * 24, *[3] * 24])).full == (DAYS[1],)


def test_trap_A1_a_day_of_unreadable_records_is_partial() -> None:
    """Three of a hundred could not be read: that nothing else happened is not known."""
    hours = coverage(DAYS[:2])
    assert observed_days(hours.assign(rejects=[31] * 24 + [19] * 24)).full == (DAYS[1],)


def test_trap_A15_minutes_of_every_hour_are_no_day() -> None:
    """What rotated away between two pulls."""
    hours = coverage(DAYS[:2]).assign(seconds=3 * 600)
    assert observed_days(hours).full == ()
    assert observed_days(hours).exposure[DAYS[0]] == pytest.approx(1 / 6)


def test_days_without_coverage_are_refused() -> None:
    """Nobody can say what silence on such a day means."""
    with pytest.raises(BadInputError, match=DAYS[5]):
        cells_of([edge("w", "p", DAYS[5])], DAYS[:3])


def test_denied_traffic_is_a_cell_without_presence() -> None:
    """It is accounted for and shows on no day."""
    cells = cells_of([edge("w", "p", DAYS[0], flows=0, denied=4)])
    assert cells[["days_seen", "active_days", "denied"]].iloc[0].tolist() == [0, 0, 4]


@settings(max_examples=15, deadline=None)
@given(histories())
def test_hours_and_days_of_a_cell_are_distinct_ones(
    history: tuple[list[dict[str, object]], tuple[str, ...]],
) -> None:
    """Two callers in one hour are one hour, and two callers in an hour each are two."""
    rows, lossy = history
    hours: dict[tuple[object, object], set[tuple[object, int]]] = {}
    days: dict[tuple[object, object], set[object]] = {}
    for row in rows:
        bits = int(str(row["hour_bits"]))
        own = hours.setdefault((row["subject"], row["peer"]), set())
        own |= {(row["day"], hour) for hour in range(24) if bits >> hour & 1}
        if row["flows"]:
            days.setdefault((row["subject"], row["peer"]), set()).add(row["day"])
    cells = DayIncidence().fit(to_cells(pd.DataFrame(rows)), coverage(DAYS, lossy)).cells_
    found = {(row["subject"], row["peer"]): row for row in cells.to_dict("records")}
    assert {key: row["hours"] for key, row in found.items()} == {key: len(own) for key, own in hours.items()}
    assert {key: row["active_days"] for key, row in found.items()} == {
        key: len(days.get(key, ())) for key in found
    }


@settings(max_examples=15, deadline=None)
@given(histories(), st.integers(1, 17))
def test_folding_day_by_day_equals_one_fit(
    history: tuple[list[dict[str, object]], tuple[str, ...]],
    cut: int,
) -> None:
    """One night costs one day's work and gives the same frame, byte for byte."""
    rows, lossy = history
    edges, hours = to_cells(pd.DataFrame(rows)), coverage(DAYS, lossy)
    whole = DayIncidence().fit(edges, hours)
    folded = DayIncidence()
    for part in (DAYS[:cut], [DAYS[cut]], [DAYS[cut + 1]], DAYS[cut + 2 :]):
        folded.partial_fit(edges.loc[edges["day"].isin(part)], hours.loc[hours["day"].isin(part)])
    assert folded.days_ == whole.days_
    pd.testing.assert_frame_equal(folded.cells_, whole.cells_, check_exact=True)


def test_windows_beyond_the_bitmap_keep_the_newest_days() -> None:
    """After 70 days the first seven are forgotten by bit, not by first sight."""
    days = day_names(70)
    edges = to_cells(
        pd.DataFrame([edge("w", "p", days[0]), edge("w", "p", days[69]), edge("w", "q", days[10])])
    )
    hours = coverage(days)
    whole = DayIncidence().fit(edges, hours)
    folded = DayIncidence()
    for part in (days[:60], days[60:65], days[65:]):
        folded.partial_fit(edges.loc[edges["day"].isin(part)], hours.loc[hours["day"].isin(part)])
    pd.testing.assert_frame_equal(folded.cells_, whole.cells_, check_exact=True)
    assert whole.days_.count == 63
    old = whole.cells_.set_index("peer").loc["p"]
    assert old[["days_seen", "last_day", "opportunities", "returns"]].tolist() == [1, 62, 63, 1]


def test_a_day_cannot_be_folded_twice() -> None:
    """Late data re-opens a day, and that takes a refit."""
    edges = to_cells(pd.DataFrame([edge("w", "p", DAYS[0])]))
    fitted = DayIncidence().fit(edges, coverage(DAYS[:1]))
    with pytest.raises(BadInputError, match="folded already"):
        fitted.partial_fit(edges, coverage(DAYS[:1]))


@settings(max_examples=20, deadline=None)
@given(histories(), st.integers(1, 20))
def test_as_of_is_what_a_shorter_window_would_have_said(
    history: tuple[list[dict[str, object]], tuple[str, ...]],
    count: int,
) -> None:
    """A back-test sees nothing of the future in what the forecasts read."""
    rows, lossy = history
    edges = to_cells(pd.DataFrame(rows))
    whole = DayIncidence().fit(edges, coverage(DAYS, lossy))
    if not whole.days_.full[:count]:
        return
    end = whole.days_.full[:count][-1]
    before = edges.loc[edges["day"] <= end]
    then = as_of(whole.cells_, whole.days_, count)
    assert sorted(then.index) == sorted(set(cell_ids(before)))
    if len(before):
        kept = [day for day in DAYS if day <= end]
        hours = coverage(kept, tuple(day for day in lossy if day <= end))
        short = DayIncidence().fit(before, hours).cells_
        columns = ["days", "days_seen", "first_day", "last_day", "opportunities", "returns", "last_return"]
        pd.testing.assert_frame_equal(then[columns], short[columns], check_exact=True)


@settings(max_examples=20, deadline=None)
@given(histories())
def test_every_edge_is_in_one_cell_and_no_flow_is_lost(
    history: tuple[list[dict[str, object]], tuple[str, ...]],
) -> None:
    """Conservation begins here, and equal rows of two edges both count."""
    rows, lossy = history
    doubled = pd.DataFrame([*rows, *rows])
    cells = DayIncidence().fit(to_cells(doubled), coverage(DAYS, lossy)).cells_
    assert cells.index.is_unique
    assert cells["flows"].sum() == doubled["flows"].sum()
    assert cells["denied"].sum() == doubled["denied"].sum()


@given(st.lists(st.integers(0, 62), max_size=20))
def test_bit_positions_are_exact(positions: list[int]) -> None:
    """No float ever touches a bitmap: bit 62 is bit 62."""
    bits = bitmaps.bits_of(np.zeros(len(positions), dtype=np.int64), np.array(positions, dtype=np.int64), 1)
    assert int(bitmaps.count_bits(bits)[0]) == len(set(positions))
    assert int(bitmaps.lowest_bit(bits)[0]) == min(positions, default=-1)
    assert int(bitmaps.highest_bit(bits)[0]) == max(positions, default=-1)


def test_maps_send_edges_to_roles_patterns_and_ranges() -> None:
    """The cell is what the proposed policy would admit; names take the place of addresses."""
    rows = [
        edge("k1", "1.2.3.4", DAYS[0], peer_kind="ip", peer_names="s1.example.com"),
        edge("k2", "1.2.3.5", DAYS[0], peer_kind="ip", peer_names="s2.example.com"),
        edge("k1", "k2", DAYS[0], port=30005),
        edge("k1", "8.8.8.8", DAYS[0], peer_kind="ip"),
    ]
    ranges = pd.DataFrame(
        [("role", "egress", "endpoint", "role", "TCP", 30000, 30010)],
        columns=["subject", "direction", "peer_kind", "peer", "protocol", "port", "port_end"],
    )
    cells = to_cells(
        pd.DataFrame(rows),
        subjects={"k1": "role", "k2": "role"},
        peers={("fqdn", "s1.example.com"): ("fqdn", "*.example.com")},
        peers_of_subject={("role", "fqdn", "s2.example.com"): ("fqdn", "*.example.com")},
        ranges=ranges,
    )
    assert cell_ids(cells).tolist() == [
        "role|egress|fqdn|*.example.com|TCP|443",
        "role|egress|fqdn|*.example.com|TCP|443",
        "role|egress|endpoint|role|TCP|30000-30010",
        "role|egress|ip|8.8.8.8|TCP|443",
    ]
    assert zones(cells).tolist() == ["external", "external", "internal", "external"]


def test_trap_A14_a_hostile_name_cannot_forge_another_cell() -> None:
    """A bar in a name is encoded, so two different cells never share an id."""
    rows = [edge("a", "b|endpoint", DAYS[0]), edge("a|egress", "b", DAYS[0])]
    frame = to_cells(pd.DataFrame(rows))
    assert cell_ids(frame).nunique() == len(frame.drop_duplicates(list(CELL_KEY)))


def test_the_window_remembers_only_what_came_before() -> None:
    """The head of a window has no later partial days."""
    days = ObservedDays(tuple(DAYS[:2] + DAYS[3:]), (DAYS[2],), {})
    assert days.head(2).partial == ()
    assert days.head(3).partial == (DAYS[2],)
    assert days.head(0) == ObservedDays((), (), {})
