"""Which hours of a store are believed: one wrong clock moves nothing, a source that comes back is heard."""

from hypothesis import given
from hypothesis import strategies as st

from models.domain.extent import COMPARED_HOURS, HOLE_HOURS, extent

FIRST, DAYS = 480_000, 16
LAST = FIRST + 24 * DAYS - 1
STEADY = dict.fromkeys(range(FIRST, LAST + 1), 40)


@given(
    st.dictionaries(st.integers(LAST + 2 + HOLE_HOURS, LAST + 100_000), st.integers(1, 5), max_size=4),
    st.dictionaries(st.integers(FIRST - 90_000, FIRST - 2 - HOLE_HOURS), st.integers(1, 5), max_size=4),
    st.integers(LAST, LAST + 20_000),
)
def test_a_few_flows_far_from_all_others_move_neither_end(after, before, now_hour):
    """Before or after, ahead of our clock or not: they are counted, and nothing else."""
    found = extent(STEADY | after | before, now_hour)
    assert (found.first_hour, found.last_hour) == (FIRST, LAST)
    assert found.astray_flows == sum(after.values()) + sum(before.values())
    assert not found.clock_behind


def test_a_node_that_lives_in_the_future_moves_nothing_however_much_it_sends():
    """A third of all flows, hour by hour, dated a year ahead: our own clock says that it cannot be."""
    ahead = {hour + 8766: flows // 2 for hour, flows in STEADY.items()}
    found = extent(STEADY | ahead, LAST)
    assert (found.first_hour, found.last_hour, found.astray_flows) == (FIRST, LAST, sum(ahead.values()))


def test_a_clock_that_is_minutes_ahead_is_not_wrong():
    """The hour that has just begun elsewhere counts."""
    found = extent(STEADY | {LAST + 1: 4}, LAST)
    assert (found.last_hour, found.astray_flows) == (LAST + 1, 0)


def test_an_exporter_that_comes_back_counts_again_within_four_hours():
    """After ten days of silence the first hour is not yet believed, the fourth is."""
    back = LAST + 1 + 240
    assert extent(STEADY | {back: 40}, back).last_hour == LAST
    resumed = dict.fromkeys(range(back, back + 4), 40)
    assert extent(STEADY | resumed, back + 3).last_hour == back + 3
    # However much was stored before: two weeks are what it is compared with.
    long_ago = dict.fromkeys(range(FIRST - 4 * COMPARED_HOURS, FIRST), 40)
    assert extent(STEADY | long_ago | resumed, back + 3).last_hour == back + 3


def test_two_short_captures_days_apart_both_count():
    """Half an hour on Monday and ten minutes on Friday: there is too little for anything to be astray."""
    found = extent({FIRST: 300, FIRST + 96: 100}, FIRST + 500)
    assert (found.first_hour, found.last_hour, found.astray_flows) == (FIRST, FIRST + 96, 0)


def test_a_clock_of_our_own_that_is_slow_makes_nothing_astray():
    """Where most flows are dated ahead, the odd clock is ours."""
    found = extent(STEADY, FIRST + 24)
    assert (found.first_hour, found.last_hour, found.astray_flows) == (FIRST, LAST, 0)
    assert found.clock_behind
