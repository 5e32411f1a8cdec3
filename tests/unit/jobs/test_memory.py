"""What one night tells the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.memory import Night, Remembered, night_from_json, remember, told
from models.domain.held_cell import HeldCell
from models.synthesis.learned import Learned

UNTIL = datetime(2026, 3, 15, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def night(name):
    """Something to tell apart."""
    return Night(
        {name: HeldCell(reasons="scan")},
        Learned({name: name}, {name: name}, {name: (name,)}, apart=frozenset({name})),
    )


def test_the_first_night_is_told_nothing():
    """However often it is run."""
    assert told(None, UNTIL) is None
    kept = remember(None, UNTIL, night("a"))
    assert told(kept, UNTIL) is None
    assert told(remember(kept, UNTIL + HOUR, night("b")), UNTIL + 2 * HOUR) is None


def test_a_second_run_of_a_night_is_told_what_the_first_was_told():
    """Runs are no nights: waiting one is not waiting for a second run."""
    kept = remember(remember(None, UNTIL, night("a")), UNTIL + 24 * HOUR, night("b"))
    assert told(kept, UNTIL + 24 * HOUR) == night("a")
    kept = remember(kept, UNTIL + 30 * HOUR, night("c"))
    assert kept == Remembered(UNTIL + 24 * HOUR, night("c"), night("a"))
    assert told(kept, UNTIL + 47 * HOUR) == night("c")


def test_runs_through_the_day_do_not_put_the_next_night_off():
    """A night is counted from its first run."""
    kept = None
    for hours in range(0, 72, 6):
        kept = remember(kept, UNTIL + hours * HOUR, night(str(hours)))
    assert kept.until == UNTIL + 48 * HOUR
    assert kept.before == night("42")


def test_a_look_back_is_told_the_newest_and_tells_nothing():
    """The past is over."""
    kept = remember(None, UNTIL, night("a"))
    assert told(kept, UNTIL - HOUR) == night("a")
    assert remember(kept, UNTIL - HOUR, night("b")) is kept


def test_a_run_for_one_namespace_keeps_what_was_learned_of_the_others():
    """What it knows anew counts, what it does not know stays."""
    kept = remember(None, UNTIL, night("a"))
    again = remember(kept, UNTIL + 24 * HOUR, night("b"), namespace="shop")
    assert again.night.fates == night("b").fates
    assert again.night.learned == Learned(
        {"a": "a", "b": "b"}, {"a": "a", "b": "b"}, {"a": ("a",), "b": ("b",)}, apart=frozenset("ab")
    )
    assert remember(kept, UNTIL + 24 * HOUR, night("b")).night.learned == night("b").learned


def test_a_run_for_one_namespace_leaves_the_looser_posture():
    """What it does not know anew may have been chosen by it."""
    loose, strict = (Night({}, Learned(posture=posture)) for posture in ("generous", "strict"))
    for first, second in ((loose, strict), (strict, loose)):
        kept = remember(None, UNTIL, first)
        again = remember(kept, UNTIL + 24 * HOUR, second, namespace="shop").night.learned
        assert again.posture == "generous"
        assert again.looser_than("balanced")
        assert not again.looser_than("generous")
    assert not night("a").learned.looser_than("strict")


def test_a_night_survives_its_stored_form():
    """And is written in one order."""
    both = Night({"b": HeldCell("admitted", "scan", 3, 2, 1), "a": HeldCell()}, night("c").learned)
    both = replace(both, learned=replace(both.learned, posture="strict"))
    assert night_from_json(both.to_json()) == both
    assert list(both.to_json()["fates"]) == ["a", "b"]


def test_a_night_that_an_older_release_left_is_understood():
    """It knew of a cell only what was wanted of it."""
    form = {"fates": {"a": ["quarantined", "admitted"]}, "learned": night("c").learned.to_json()}
    assert night_from_json(form) == Night({"a": HeldCell("admitted")}, night("c").learned)
