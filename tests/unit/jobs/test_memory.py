"""What one night tells the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from jobs.memory import Night, Remembered, night_from_json, remember, told
from models.domain.held_cell import HeldCell
from models.domain.window import Window
from models.synthesis.learned import Learned

UNTIL = datetime(2026, 3, 15, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def window(until=UNTIL, days=14):
    """What a run looks at."""
    return Window.ending(until, timedelta(days=days))


def night(name, until=None):
    """Something to tell apart; as it is remembered after a run until then."""
    return Night(
        {name: HeldCell(reasons="scan")},
        Learned({name: name}, {name: name}, {name: (name,)}, apart=frozenset({name})),
        None if until is None else window(until).start,
    )


def test_the_first_night_is_told_nothing():
    """However often it is run."""
    assert told(None, window()) is None
    kept = remember(None, window(), night("a"))
    assert told(kept, window()) is None
    assert told(remember(kept, window(UNTIL + HOUR), night("b")), window(UNTIL + 2 * HOUR)) is None


def test_a_second_run_of_a_night_is_told_what_the_first_was_told():
    """Runs are no nights: waiting one is not waiting for a second run."""
    kept = remember(remember(None, window(), night("a")), window(UNTIL + 24 * HOUR), night("b"))
    assert told(kept, window(UNTIL + 24 * HOUR)) == night("a", UNTIL)
    kept = remember(kept, window(UNTIL + 30 * HOUR), night("c"))
    newest = night("c", UNTIL + 30 * HOUR)
    assert kept == Remembered(UNTIL + 24 * HOUR, newest, night("a", UNTIL))
    assert told(kept, window(UNTIL + 47 * HOUR)) == newest


def test_runs_through_the_day_do_not_put_the_next_night_off():
    """A night is counted from its first run."""
    kept = None
    for hours in range(0, 72, 6):
        kept = remember(kept, window(UNTIL + hours * HOUR), night(str(hours)))
    assert kept.until == UNTIL + 48 * HOUR
    assert kept.before == night("42", UNTIL + 42 * HOUR)


def test_a_look_back_is_told_the_newest_and_tells_nothing():
    """The past is over."""
    kept = remember(None, window(), night("a"))
    assert told(kept, window(UNTIL - HOUR)) == night("a", UNTIL)
    assert remember(kept, window(UNTIL - HOUR), night("b")) is kept


def test_a_shorter_run_of_a_night_is_told_what_that_night_holds_back():
    """What it cannot see any more is not acquitted by that; what the night before knew of a cell comes first."""
    again = Night({"a": HeldCell(reasons="beacon"), "new": HeldCell(), "free": HeldCell(released_us=1)})
    kept = remember(None, window(), again)
    assert told(kept, window(days=6)).fates == {"a": HeldCell(reasons="beacon"), "new": HeldCell()}
    kept = remember(remember(None, window(), night("a")), window(UNTIL + 24 * HOUR), again)
    shorter = window(UNTIL + 25 * HOUR, days=6)
    assert told(kept, shorter) == replace(
        night("a", UNTIL), fates={"a": HeldCell(reasons="scan"), "new": HeldCell()}
    )
    assert remember(kept, shorter, night("b")) is kept


def test_a_shorter_run_on_another_night_forgets_nothing_that_was_held_back():
    """The one after it may see the beginning again, and not the time before; if it is as short, it cannot."""
    first = Night({"old": HeldCell(reasons="scan"), "free": HeldCell(released_us=1)})
    kept = remember(None, window(), first)
    for days, cells in ((6, {"old", "b"}), (14, {"b"})):
        after = remember(kept, window(UNTIL + 24 * HOUR, days), night("b"))
        assert set(after.night.fates) == cells
    kept = remember(kept, window(UNTIL + 24 * HOUR, 6), night("b"))
    assert set(remember(kept, window(UNTIL + 48 * HOUR, 6), night("c")).night.fates) == {"c"}


def test_a_run_for_one_namespace_keeps_what_was_learned_of_the_others():
    """What it knows anew counts, what it does not know stays."""
    kept = remember(None, window(), night("a"))
    again = remember(kept, window(UNTIL + 24 * HOUR), night("b"), namespace="shop")
    assert again.night.fates == night("b").fates
    assert again.night.learned == Learned(
        {"a": "a", "b": "b"}, {"a": "a", "b": "b"}, {"a": ("a",), "b": ("b",)}, apart=frozenset("ab")
    )
    assert remember(kept, window(UNTIL + 24 * HOUR), night("b")).night.learned == night("b").learned


def test_a_run_for_one_namespace_leaves_the_looser_posture():
    """What it does not know anew may have been chosen by it."""
    loose, strict = (Night({}, Learned(posture=posture)) for posture in ("generous", "strict"))
    for first, second in ((loose, strict), (strict, loose)):
        kept = remember(None, window(), first)
        again = remember(kept, window(UNTIL + 24 * HOUR), second, namespace="shop").night.learned
        assert again.posture == "generous"
        assert again.looser_than("balanced")
        assert not again.looser_than("generous")
    assert not night("a").learned.looser_than("strict")


def test_a_night_survives_its_stored_form():
    """And is written in one order."""
    both = Night({"b": HeldCell("admitted", "scan", 3, 2, 1), "a": HeldCell()}, night("c").learned)
    both = replace(both, learned=replace(both.learned, posture="strict"), since=UNTIL)
    assert night_from_json(both.to_json()) == both
    assert list(both.to_json()["fates"]) == ["a", "b"]


def test_a_night_that_an_older_release_left_is_understood():
    """It knew of a cell only what was wanted of it."""
    form = {"fates": {"a": ["quarantined", "admitted"]}, "learned": night("c").learned.to_json()}
    assert night_from_json(form) == Night({"a": HeldCell("admitted")}, night("c").learned)
