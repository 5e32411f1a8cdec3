"""The quarantine, its verdicts and its memory: the same on SQLite and on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.memory import Night
from models.domain.held_cell import HeldCell
from models.domain.quarantine import Sighting
from models.domain.window import Window
from models.errors import BadInputError, ConflictError, NotFoundError
from models.synthesis.learned import Learned
from service.errors import PreconditionFailedError
from service.quarantine import bulk, nights, repository, service, views
from service.quarantine.recording import record
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from tests.contracts.test_review_state import DAY, NOW, database
from tests.unit.service.held import both_ends, held

__all__ = ["database"]

HOUR = timedelta(hours=1)


def keep(database, *entries, day=0, namespace=None, cluster="c", seen=()):
    """What a run of this day held back, and saw of what was decided."""
    about = {"cluster": cluster, "namespace": namespace, "run_id": f"run{day}", "now": NOW + day * DAY}
    with database.write() as session:
        return record(session, entries, seen, **about)


def say(database, entry, verdict, *, reviewer="ana", reason="because", days=None, day=0, if_match=None):
    """A verdict; gives the entity tag that it leaves."""
    request = VerdictRequest(Verdict(verdict), reviewer, reason, days)
    with database.write() as session:
        row = service.decide(session, entry.id, request, now=NOW + day * DAY, if_match=if_match)
        return service.etag(row)


def listed(database, day=0, **wanted):
    """Ids and states of a list."""
    now = NOW + day * DAY
    with database.read() as session:
        rows = repository.list_entries(session, QuarantineFilter(**wanted), now=now)
        return {row.id: service.state_of(row, now).value for row in rows}


def memory(database, night=None):
    """What the next run is told."""
    with database.read() as session:
        return nights.memory(session, "c", night)


def log(database, entry):
    """Verdicts on the call of an entry."""
    with database.read() as session:
        found = views.detail(session, service.get(session, entry.id), NOW)["verdicts"]
        return [(one["verdict"], one["reviewer"], one["reason"]) for one in found]


def test_an_entry_keeps_its_first_night_and_lapses_when_it_is_held_back_no_more(database):
    """It is the same entry tomorrow; undecided, it is nobody's question once it is gone."""
    assert keep(database, held()).quarantined_new == 1
    assert keep(database, replace(held(), flows=8), day=1).quarantined_new == 0
    with database.read() as session:
        found = views.entry(service.get(session, held().id), NOW)
    assert (found["first_held_at"], found["last_held_at"], found["flows"]) == (NOW, NOW + DAY, 8)
    assert found["run"] == "run1"
    keep(database, day=2)
    assert listed(database) == {held().id: "lapsed"}
    assert listed(database, state="open") == {}
    assert listed(database, state="lapsed") == {held().id: "lapsed"}
    keep(database, held(), day=3)
    assert listed(database) == {held().id: "open"}


def test_lists_are_filtered_by_cluster_namespace_state_and_reason(database):
    """A code is a whole word: an attacker names no codes, but codes contain each other."""
    keep(database, held(), held("other", namespace="data", reasons=("scan",)))
    keep(database, held(cluster="d"), cluster="d")
    assert set(listed(database, cluster="d")) == {held(cluster="d").id}
    assert set(listed(database, namespace="data")) == {held("other", namespace="data").id}
    assert len(listed(database, reason="lone_sighting")) == 2
    assert listed(database, reason="sighting") == {}
    assert listed(database, reason="%") == {}
    say(database, held(), "admit")
    assert len(listed(database, state="open")) == 2
    assert set(listed(database, state="admitted")) == {held().id}


def test_pages_follow_each_other_in_one_order(database):
    """From behind an entry, whatever its names hold."""
    odd = [held(f"n{number}", namespace=text) for number, text in enumerate(("b", "a", "\u202e", "a'b", "Ä"))]
    keep(database, *odd)
    with database.read() as session:
        wanted, found, last = QuarantineFilter(), [], None
        whole = [row.id for row in repository.list_entries(session, wanted, now=NOW)]
        while page := repository.list_entries(session, wanted, now=NOW, after=last, limit=2):
            found += [row.id for row in page]
            last = page[-1]
    assert found == whole
    assert len(found) == 5


def test_a_verdict_holds_at_both_ends_and_is_one_lesson(database):
    """Whoever is asked first answers for the call; the memory says which end only follows."""
    client, server = both_ends()
    keep(database, client, server, held())
    say(database, server, "admit")
    assert listed(database, state="admitted") == {client.id: "admitted", server.id: "admitted"}
    told = memory(database)
    assert told.verdicts == {"client": "admit", "server": "admit"}
    assert len(told.echoes) == 1
    assert log(database, client) == log(database, server) == [("admit", "ana", "because")]
    say(database, client, "reopen")
    assert memory(database).verdicts == {}
    assert [verdict for verdict, *_ in log(database, server)] == ["admit", "reopen"]


def test_an_end_that_shows_up_later_takes_the_verdict_of_the_other(database):
    """Nobody is asked twice about one call."""
    client, server = both_ends()
    keep(database, client)
    say(database, client, "unwanted")
    keep(database, client, server, day=1)
    assert listed(database) == {client.id: "unwanted", server.id: "unwanted"}


@pytest.mark.parametrize("verdict", ["unwanted", "admit"])
def test_what_was_decided_is_still_watched(database, verdict):
    """Why it was held back stays as it was; how long it goes on is told, and when it is gone."""
    one = held()
    keep(database, one)
    say(database, one, verdict)
    day_us = DAY // timedelta(microseconds=1)
    again = Sighting(one.cell, one.first_us + day_us, one.last_us + 9 * day_us, 9, 96, 2, ("u-9",))

    def shown():
        with database.read() as session:
            row = service.get(session, one.id)
            return views.entry(row, NOW), service.etag(row)

    before, tag = shown()
    keep(database, day=1, seen=[again])
    entry, newer = shown()
    assert (entry["flows"], entry["days_seen"], entry["pods"], entry["samples"]) == (96, 9, 2, ["u-9"])
    assert (entry["first_seen"], entry["last_seen"]) == ("2026-03-02T00:00:00Z", "2026-03-11T00:01:00Z")
    assert (entry["reasons"], entry["question"]) == (before["reasons"], before["question"])
    assert (entry["still_seen"], entry["held"], newer != tag) == (True, False, True)
    keep(database, day=2, namespace="data")
    assert shown()[0]["still_seen"]
    keep(database, day=3)
    entry, _ = shown()
    assert (entry["still_seen"], entry["flows"], entry["last_seen"]) == (False, 96, "2026-03-11T00:01:00Z")


@pytest.mark.parametrize("verdict", ["unwanted", "admit"])
def test_what_is_reopened_is_open_at_once(database, verdict):
    """At both ends, in lists and counts, and the next run is told to hold it back; gone, it lapses."""
    client, server = both_ends()
    keep(database, client, server)
    say(database, client, verdict)
    keep(database, day=1)
    say(database, server, "reopen", day=1)
    assert listed(database, day=1, state="open") == {client.id: "open", server.id: "open"}
    with database.read() as session:
        assert service.open_count(session, now=NOW + DAY) == 2
    known = HeldCell(reasons="lone_sighting;low_evidence")
    assert memory(database).fates == {client.cell: known, server.cell: known}
    better = HeldCell("quarantined", "scan", 2, 1)
    assert memory(database, Night({client.cell: better})).fates == {client.cell: better, server.cell: known}
    keep(database, day=2)
    assert listed(database, day=2) == {client.id: "lapsed", server.id: "lapsed"}
    assert memory(database).fates is None


def test_later_holds_until_its_day(database):
    """On that day it holds no more; it is asked about."""
    keep(database, held())
    say(database, held(), "later", days=7)
    with database.read() as session:
        told = [nights.memory(session, "c", None, NOW + day * DAY).verdicts for day in (6, 7)]
    assert told == [{held().cell: "later"}, {}]


def test_the_same_request_again_changes_nothing(database):
    """A client that never saw the answer may ask again, with the tag it has."""
    keep(database, held())
    with database.read() as session:
        tag = service.etag(service.get(session, held().id))
    after = say(database, held(), "admit", if_match=tag)
    assert after != tag
    assert say(database, held(), "admit", if_match=tag) == after
    assert len(log(database, held())) == 1
    with pytest.raises(PreconditionFailedError):
        say(database, held(), "reopen", if_match=tag)
    with pytest.raises(ConflictError, match="admitted: already"):
        say(database, held(), "admit", reviewer="ben")


def test_what_was_decided_is_reopened_before_it_is_decided_otherwise(database):
    """And the log keeps everything that was ever said."""
    keep(database, held())
    for verdict in ("admit", "unwanted"):
        other = "unwanted" if verdict == "admit" else "admit"
        say(database, held(), verdict)
        for refused in (other, "later"):
            with pytest.raises(ConflictError, match="reopen it"):
                say(database, held(), refused)
        say(database, held(), "reopen")
        with pytest.raises(ConflictError, match="open already"):
            say(database, held(), "reopen", reviewer="ben")
    assert [verdict for verdict, *_ in log(database, held())] == ["admit", "reopen", "unwanted", "reopen"]


def test_later_waits_for_its_days_and_may_be_put_off_again(database):
    """Seven unless it says otherwise; the verdict of that day is no repetition."""
    keep(database, held())
    say(database, held(), "later", reason="")
    say(database, held(), "later", reason="")
    assert len(log(database, held())) == 1
    assert listed(database, day=6, state="later") == {held().id: "later"}
    assert listed(database, day=7, state="open") == {held().id: "open"}
    assert memory(database).verdicts == {held().cell: "later"}
    say(database, held(), "later", reason="", day=7)
    assert listed(database, day=8) == {held().id: "later"}
    say(database, held(), "later", reason="", days=30, day=8)
    assert listed(database, day=37) == {held().id: "later"}
    with database.read() as session:
        assert service.open_count(session, now=NOW + 37 * DAY) == 0
        assert service.open_count(session, now=NOW + 38 * DAY) == 1


@pytest.mark.parametrize(
    ("verdict", "more", "match"),
    [
        ("admit", {"reason": " "}, "needs a reason"),
        ("unwanted", {"reason": ""}, "needs a reason"),
        ("admit", {"reviewer": " "}, "name of the reviewer"),
        ("admit", {"reason": "a\x00b"}, "NUL"),
        ("admit", {"days": 3}, "days go with later"),
        ("later", {"days": 0}, "between 1 and"),
        ("later", {"days": 10_000}, "between 1 and"),
    ],
)
def test_a_verdict_is_checked(database, verdict, more, match):
    """Nothing of it is kept."""
    keep(database, held())
    with pytest.raises(BadInputError, match=match):
        say(database, held(), verdict, **more)
    assert log(database, held()) == []
    assert listed(database) == {held().id: "open"}


def test_an_entry_is_found_by_the_beginning_of_its_id(database):
    """Unless it fits several, or is no beginning of any."""
    keep(database, held())
    with database.read() as session:
        assert service.resolve(session, held().id[:6]).id == held().id
        for unknown in ("0000", held().id[:2], "%"):
            with pytest.raises(NotFoundError):
                service.resolve(session, unknown)
    with pytest.raises(NotFoundError):
        say(database, held("never"), "admit")


def test_hostile_names_are_kept_and_found(database):
    """Of any length, with whatever a flow can hold."""
    for number, text in enumerate(
        ("'; DROP TABLE quarantine; --", "a\x00b", "\ud800", "w" * 4000, "\u202e%_\\")
    ):
        one = held(cell=f"{text}|{number}", mirror=f"other {text}", title=text, question=text, namespace=text)
        keep(database, one)
        say(database, one, "unwanted")
        with database.read() as session:
            found = views.detail(session, service.get(session, one.id), NOW)
        assert found["title"] == found["question"] == text
        told = memory(database).verdicts
        assert (told[one.cell], told[one.mirror]) == ("unwanted", "unwanted")


def test_nights_are_kept_and_told(database):
    """Fates and roles come back as they went; the night before stays until the next one."""
    first = Night({"cell": HeldCell("quarantined", "scan", 2, 1)}, Learned({"shop/web": "shop/web"}, {}, {}))
    second = Night({}, Learned({}, {"shop/web": "web"}, {"shop/web": ("*.example.com",)}))

    def told():
        with database.read() as session:
            return nights.remembered(session, "c")

    def leave(night, until):
        window = Window.ending(until, timedelta(days=14))
        with database.write() as session:
            nights.keep_night(session, "c", window, night, namespace=None, run_id="r")
        return replace(night, since=window.start)

    assert told() is None
    kept = leave(first, NOW)
    assert (told().night, told().before) == (kept, None)
    second = leave(second, NOW + HOUR)
    assert (told().night, told().before) == (second, None)
    kept = leave(first, NOW + DAY)
    assert (told().night, told().before) == (kept, second)
    assert memory(database, told().night).fates == first.fates


def test_what_lapsed_long_ago_and_was_never_decided_is_forgotten(database):
    """A flood of odd calls does not fill the database; what people said stays."""
    keep(database, held("gone"), held("said"), held("stays"))
    say(database, held("said"), "admit")
    say(database, held("said"), "reopen")
    keep(database, held("stays"), day=1)
    with database.write() as session:
        assert repository.remove_lapsed_before(session, NOW) == 0
        assert repository.remove_lapsed_before(session, NOW + HOUR) == 1
    assert set(listed(database)) == {held("said").id, held("stays").id}


def many(database, tags, verdict="unwanted", *, reviewer="ana", reason="because", day=0):
    """One verdict on many; gives the ids that it changed."""
    request = VerdictRequest(Verdict(verdict), reviewer, reason)
    with database.write() as session:
        return bulk.decide_many(session, tags, request, now=NOW + day * DAY).changed


def tags_of(database, *entries):
    """Entity tags as a list shows them."""
    with database.read() as session:
        return service.etags_of(session, [one.id for one in entries])


def test_one_verdict_decides_many_entries_and_says_so_once_per_call(database):
    """Both ends of a call may be on the list: one verdict, and sent again it changes nothing."""
    ends, others = both_ends(), [held(f"n{number}") for number in range(3)]
    keep(database, *ends, *others)
    tags = tags_of(database, *ends, *others)
    assert many(database, tags) == tags.keys()
    assert set(listed(database).values()) == {"unwanted"}
    assert log(database, ends[0]) == log(database, ends[1]) == [("unwanted", "ana", "because")]
    assert many(database, tags) == frozenset()
    assert len(log(database, others[0])) == 1


def test_many_are_decided_together_or_not_at_all(database):
    """An entry that changed, was decided otherwise or is not there: nothing is decided."""
    one, other = held("one"), held("other")
    keep(database, one, other)
    tags = tags_of(database, one, other)
    say(database, other, "admit")
    for refused, wanted in (
        (PreconditionFailedError, tags),
        (ConflictError, tags | {other.id: "*"}),
        (NotFoundError, tags | {held("never").id: "*"}),
        (BadInputError, {}),
        (BadInputError, dict.fromkeys(map(str, range(bulk.MAX_ENTRIES + 1)), "*")),
    ):
        with pytest.raises(refused):
            many(database, wanted)
        assert listed(database) == {one.id: "open", other.id: "admitted"}
    with pytest.raises(BadInputError, match="needs a reason"):
        many(database, tags_of(database, one), reason=" ")
    assert log(database, one) == []


def test_lists_are_narrowed_by_workload_and_by_the_other_side(database):
    """Part of the title, whatever its case; names out of flows may hold anything."""
    hostile = held("nul", title="a\x00%_\\ on TCP/443")
    keep(database, held("Cdn.Example.net"), held("db", workload="batch"), hostile)
    assert set(listed(database, peer="cdn.example")) == {held("Cdn.Example.net").id}
    assert set(listed(database, peer="%_\\")) == {hostile.id}
    assert set(listed(database, workload="batch")) == {held("db").id}
    with database.read() as session:
        rows = repository.list_entries(session, QuarantineFilter(peer="TCP/443"), now=NOW, limit=2)
        rest = repository.list_entries(session, QuarantineFilter(peer="TCP/443"), now=NOW, after=rows[-1])
    assert len({row.id for row in [*rows, *rest]}) == 3
