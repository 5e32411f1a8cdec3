"""What a night remembers, and what acquits: evidence, and never that a beginning slid out of sight."""

import pandas as pd
import pytest

from models.domain.held_cell import HeldCell, held_cell_from_json
from models.learning.oddities import new_in_one_replica, settled
from models.learning.quarantine import ADMITTED, EXCLUDED, QUARANTINED, decide_fates
from models.learning.remembered import (
    BEFORE_US,
    DAY_US,
    SHOWN_RELEASED_US,
    Recall,
    acquitted,
    recall,
    remember,
)

#: A cell that began ten days after its origin.
BEGAN = 10 * DAY_US
UNTIL = 30 * DAY_US


def facts(origin_us: int, *, mates: bool = False, days: int = 5) -> pd.DataFrame:
    """What the screening knows of the cell tonight."""
    return pd.DataFrame({"origin_us": [origin_us], "mates": [mates], "own_days": [days]}, index=["a"])


def held(reasons: str = "one_replica_began", first_us: int = BEGAN, origin_us: int = 0) -> HeldCell:
    """As last night left it."""
    return HeldCell(QUARANTINED, reasons, first_us, origin_us)


def counts(one: HeldCell, tonight: pd.DataFrame) -> bool:
    """Whether it counts that nothing fires."""
    return bool(acquitted(Recall({"a": one}, {}, UNTIL), tonight)["a"])


@pytest.mark.parametrize(
    "reason", ["one_replica_began", "began_without_release", "strangers_at_once", "low_evidence"]
)
def test_silence_counts_while_the_beginning_and_what_was_before_it_is_in_the_window(reason: str) -> None:
    """Five days before, or as much as there was when it was held back."""
    assert counts(held(reason), facts(BEGAN - BEFORE_US))
    assert not counts(held(reason), facts(BEGAN - BEFORE_US + 1))
    late = held(reason, origin_us=BEGAN - 3 * DAY_US)
    assert counts(late, facts(BEGAN - 3 * DAY_US))
    assert not counts(late, facts(BEGAN - 3 * DAY_US + 1))


def test_mates_count_whatever_slid_away_where_one_replica_was_the_reason() -> None:
    """A sweep that several replicas made was held back for something else."""
    tonight = facts(BEGAN, mates=True)
    assert counts(held("one_replica_began;looks_like_attack"), tonight)
    assert counts(held("lone_sighting"), tonight)
    assert not counts(held("strangers_at_once"), tonight)
    assert not counts(held("lone_sighting;scan"), tonight)
    assert not counts(held("low_evidence"), tonight)


def test_reasons_that_compare_with_nothing_before_are_judged_anew() -> None:
    """The channels too, where there was no before: what was always there did not begin."""
    tonight = facts(BEGAN)
    assert counts(held("generated_name;unwanted_name"), tonight)
    assert not counts(held("generated_name;one_replica_began"), tonight)
    assert counts(held("low_evidence", first_us=DAY_US), facts(20 * DAY_US))
    assert not counts(held("", first_us=DAY_US), facts(20 * DAY_US))


def test_one_contact_of_a_scan_is_acquitted_only_while_all_of_the_scan_may_be_seen() -> None:
    """Its other contacts may be as old as anything; one that is met again is judged like everything else."""
    once, again = facts(BEGAN - BEFORE_US, days=1), facts(BEGAN - BEFORE_US, days=2)
    assert not counts(held("scan"), once)
    assert counts(held("scan"), again)
    assert counts(held("scan"), facts(0, days=1))


def test_what_was_news_stays_news() -> None:
    """However early in the window it stands today."""
    cells = pd.DataFrame({"first_us": [0, 0], "hours": [50, 50]}, index=["a", "b"])
    origin = pd.Series(["web", "web"], index=cells.index)
    assert not settled(cells, origin).any()
    known = Recall({"a": held()}, {}, UNTIL)
    remembered = cells.assign(news=known.news(cells.index))
    assert settled(remembered, origin).tolist() == [True, False]
    seen = pd.DataFrame({"pods": [1, 1], "replicas": [3, 3], "attempts": [99.0, 99.0]}, index=cells.index)
    assert new_in_one_replica(remembered, seen, origin).tolist() == [True, False]
    admitted = Recall({"a": held()}, {"a": "admit"}, UNTIL)
    assert not admitted.news(cells.index).any()
    assert not Recall({"a": HeldCell(released_us=1, first_us=BEGAN)}, {}, UNTIL).news(cells.index).any()


def night(
    known: Recall, reasons: str, *, clear: bool, excluded: str = ""
) -> tuple[pd.DataFrame, dict[str, HeldCell]]:
    """Fates of a night, and what it leaves."""
    cells = pd.DataFrame({"first_us": [12 * DAY_US]}, index=["a"])
    none = pd.Series({"a": excluded} if excluded else {}, dtype="str")
    fates = decide_fates(
        pd.Series({"a": reasons}),
        none,
        pd.Series(dict(known.verdicts), dtype="str"),
        known.frame(),
        pd.Series({"a": clear}),
    )
    return fates, remember(known, fates, cells, facts(11 * DAY_US))


def test_held_stuck_waiting_released_and_forgotten() -> None:
    """The way of a cell; first sight and reasons stay as they were."""
    fates, left = night(Recall({"a": held()}, {}, UNTIL), "", clear=False)
    assert fates.loc["a"].tolist() == [QUARANTINED, "one_replica_began;held_before", QUARANTINED]
    assert left == {"a": held()}
    fates, left = night(Recall(left, {}, UNTIL), "", clear=True)
    assert fates.loc["a"].tolist() == [QUARANTINED, "waits_one_night", ADMITTED]
    fates, left = night(Recall(left, {}, UNTIL), "", clear=False)
    assert fates.loc["a", "fate"] == ADMITTED
    assert left == {"a": HeldCell(QUARANTINED, "one_replica_began", BEGAN, 0, UNTIL)}
    _, kept = night(Recall(left, {}, UNTIL + SHOWN_RELEASED_US - 1), "", clear=True)
    assert kept == left
    assert night(Recall(left, {}, UNTIL + SHOWN_RELEASED_US), "", clear=True)[1] == {}
    _, again = night(Recall(left, {}, UNTIL + DAY_US), "scan", clear=True)
    assert again == {"a": held("scan")}


@pytest.mark.parametrize(
    ("verdict", "fate", "reasons"),
    [
        ("later", QUARANTINED, "one_replica_began"),
        ("admit", ADMITTED, ""),
        ("unwanted", EXCLUDED, "reviewed_unwanted"),
    ],
)
def test_a_verdict_holds_and_what_it_is_about_is_remembered(verdict: str, fate: str, reasons: str) -> None:
    """Whoever takes it back finds the cell held back as it was."""
    known = Recall({"a": HeldCell(ADMITTED, "one_replica_began", BEGAN, 0)}, {"a": verdict}, UNTIL)
    fates, left = night(known, "", clear=True)
    assert fates.loc["a", ["fate", "reasons"]].tolist() == [fate, reasons]
    assert left == {"a": held()}
    fates, _ = night(Recall(left, {}, UNTIL), "", clear=False)
    assert fates.loc["a", "fate"] == QUARANTINED


def test_later_needs_no_memory() -> None:
    """A person's word is enough."""
    fates, left = night(Recall({}, {"a": "later"}, UNTIL), "", clear=True)
    assert fates.loc["a"].tolist() == [QUARANTINED, "put_off", QUARANTINED]
    assert left == {"a": HeldCell(QUARANTINED, "", 12 * DAY_US, 11 * DAY_US)}


def test_what_worked_no_more_is_remembered_while_it_is_seen() -> None:
    """Failing for a while is no way out."""
    fates, left = night(Recall({"a": held()}, {}, UNTIL), "", clear=True, excluded="unanswered")
    assert fates.loc["a", "fate"] == EXCLUDED
    assert left == {"a": held()}


def test_another_name_inherits_and_what_is_gone_is_forgotten() -> None:
    """A destination that got one more name is another cell; one that both nights have is its own."""
    old, more, twin = (f"w|egress|fqdn|{names}|TCP|443" for names in ("x.io", "x.io,y.io", "x.io,z.io"))
    gone = "w|egress|ip|192.0.2.1|TCP|443"
    verdicts = pd.Series(dtype="str")
    tonight = pd.DataFrame({"first_us": [1]}, index=[more])
    assert recall({old: held(), gone: held()}, verdicts, tonight, UNTIL).cells == {more: held()}
    both = pd.DataFrame({"first_us": [1, 1]}, index=[old, twin])
    assert recall({old: held()}, verdicts, both, UNTIL).cells == {old: held()}


def test_a_night_of_an_older_release_is_read() -> None:
    """What it did not know is unknown, and held back strictly; what fires tonight is seen tonight."""
    one = held_cell_from_json(["quarantined", "admitted"])
    assert one == HeldCell(wanted=ADMITTED)
    assert held_cell_from_json(held().to_json()) == held()
    assert not counts(HeldCell(), facts(20 * DAY_US))
    _, silent = night(Recall({"a": HeldCell()}, {}, UNTIL), "", clear=False)
    assert silent == {"a": HeldCell(QUARANTINED, "", 12 * DAY_US, 0)}
    _, fired = night(Recall({"a": HeldCell()}, {}, UNTIL), "scan", clear=False)
    assert fired == {"a": HeldCell(QUARANTINED, "scan", 12 * DAY_US, 11 * DAY_US)}
