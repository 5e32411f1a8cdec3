"""From a store to people and back: what is held back, what verdicts change, what nights tell each other."""

import shutil
from datetime import timedelta

import pytest

from models.domain.window import Window
from models.synthesis.draft import draft
from service.checkup import examine
from service.db.tables import NightRow
from service.observed.folded import FoldedObservations
from service.proposals import repository as proposals
from service.proposals import views as proposal_views
from service.proposals.repository import ProposalFilter
from service.quarantine import nights, repository, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from tests.unit.service.nights import START, Call, night, observed, opened

DAY = timedelta(days=1)
#: One replica of the web tier reads the database all day long: nobody deployed that.
LATERAL = Call("web", "db", 5432, (8, 9, 10), hours=tuple(range(24)))
#: Strangers without a name, each called once from one replica, on two days; and one that comes back from
#: another replica on the next day.
LONE, EARLIER, TAMED = "198.51.100.7", "192.0.2.44", "203.0.113.8"
PLANTED = (
    LATERAL,
    Call("api", LONE, 443, (8,)),
    Call("api", EARLIER, 443, (6,)),
    Call("api", TAMED, 443, (8,), replica=0),
    Call("api", TAMED, 443, (9,), replica=1),
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Eleven days of the shop with what does not belong there; read only."""
    return observed(tmp_path_factory.mktemp("planted"), PLANTED, days=11)


@pytest.fixture
def portolan(planted, tmp_path):
    """A copy of it for one test."""
    shutil.copytree(planted, tmp_path / "data")
    with opened(tmp_path / "data") as made:
        yield made


def entries(portolan, state=None):
    """Entries as everybody sees them."""
    with portolan.database.read() as session:
        now = portolan.clock()
        found = repository.list_entries(session, QuarantineFilter(state=state), now=now)
        return [views.entry(row, now) for row in found]


def entry(portolan, text, direction="egress"):
    """The entry whose other side contains a text."""
    (found,) = [one for one in entries(portolan) if text in one["title"] and one["direction"] == direction]
    return found


def say(portolan, one, verdict, reason="asked the owner", days=None):
    """Ana's verdict on an entry."""
    with portolan.database.write() as session:
        request = VerdictRequest(Verdict(verdict), "ana", reason, days)
        service.decide(session, one["id"], request, now=portolan.clock())


def proposed(portolan):
    """Rule titles and left-out traffic, by workload."""
    with portolan.database.read() as session:
        rows = proposals.list_proposals(session, ProposalFilter())
        found = {row.workloads.rpartition("/")[2]: proposal_views.detail(session, row) for row in rows}
    return {
        name: (
            {rule["title"] for rule in one["rules"]},
            {(line["peer"], line["reason"]) for line in one["left_out"]},
        )
        for name, one in found.items()
    }


def test_trap_J6_an_attack_in_a_store_is_held_back_at_both_ends(portolan):
    """No rule, no silence: an entry for either end, with its proposal, and the counts of the run say so."""
    counts = night(portolan, 10)
    assert counts["quarantine_open"] == counts["quarantined"] == len(entries(portolan, "open"))
    client, server = entry(portolan, "db in data"), entry(portolan, "web in shop", "ingress")
    assert (client["mirror"], server["mirror"]) == (server["cell"], client["cell"])
    assert client["reasons"] == ["one_replica_began"]
    assert client["why"]
    assert client["question"].startswith("Does web have to reach db in data on TCP/5432?")
    found = proposed(portolan)
    assert ("db in data", "quarantined") in found["web"][1]
    assert ("web in shop", "quarantined") in found["db"][1]
    assert not [title for title in found["web"][0] if "5432" in title]


def test_what_is_admitted_is_a_rule_at_both_ends_with_the_next_inference(portolan):
    """In the same night already: a verdict waits for nothing."""
    night(portolan, 10)
    say(portolan, entry(portolan, "web in shop", "ingress"), "admit")
    assert {one["id"] for one in entries(portolan, "admitted")} == {
        entry(portolan, "web in shop", "ingress")["id"],
        entry(portolan, "db in data")["id"],
    }
    night(portolan, 10)
    found = proposed(portolan)
    assert "egress to db in data on TCP/5432" in found["web"][0]
    assert [title for title in found["db"][0] if "web in shop" in title and "5432" in title]
    assert ("198.51.100.7", "quarantined") in found["api"][1]  # a verdict speaks for no other cell
    assert not entry(portolan, "db in data")["held"]


def test_what_is_unwanted_stays_out_at_both_ends_and_is_not_asked_about_again(portolan):
    """Night after night, listed as left out for the reason that a reviewer gave; until it is reopened."""
    night(portolan, 9)
    say(portolan, entry(portolan, "db in data"), "unwanted")
    for day in (10, 11):
        night(portolan, day)
        found = proposed(portolan)
        assert ("db in data", "reviewed_unwanted") in found["web"][1]
        assert ("web in shop", "reviewed_unwanted") in found["db"][1]
        assert not [title for title in found["web"][0] if "5432" in title]
        assert entry(portolan, "db in data")["state"] == "unwanted"
        assert entry(portolan, "db in data")["id"] not in {one["id"] for one in entries(portolan, "open")}
    say(portolan, entry(portolan, "db in data"), "reopen")
    night(portolan, 11, hours=1)
    assert entry(portolan, "db in data")["state"] == "open"
    assert ("db in data", "quarantined") in proposed(portolan)["web"][1]


def test_later_asks_again_after_its_days(portolan):
    """Meanwhile it is held back all the same."""
    night(portolan, 10)
    one = entry(portolan, LONE)
    say(portolan, one, "later", reason="", days=2)
    assert entry(portolan, LONE)["state"] == "later"
    night(portolan, 11)
    assert (LONE, "quarantined") in proposed(portolan)["api"][1]
    assert entry(portolan, LONE)["state"] == "later"
    portolan.clock.now += 2 * DAY
    assert entry(portolan, LONE)["state"] == "open"
    assert one["id"] in {found["id"] for found in entries(portolan, "open")}


def test_what_the_last_night_alone_turned_waits_one_night(portolan):
    """Through the database, and a second run of the same night is no second night."""
    night(portolan, 9)
    assert entry(portolan, TAMED)["reasons"] == ["lone_sighting"]
    for hours in (0, 0, 5):
        night(portolan, 10, hours=hours)
        assert entry(portolan, TAMED)["reasons"] == ["waits_one_night"]
        assert (TAMED, "quarantined") in proposed(portolan)["api"][1]
    night(portolan, 11)
    assert entry(portolan, TAMED)["state"] == "lapsed"
    assert f"egress to {TAMED}/32 on TCP/443" in proposed(portolan)["api"][0]


def test_a_look_back_changes_nothing_of_what_nights_know(portolan):
    """Whoever asks about last week is told what is known, and tomorrow's run is not told about it."""
    night(portolan, 10)
    with portolan.database.read() as session:
        kept = session.get(NightRow, "default").night
    night(portolan, 9)
    with portolan.database.read() as session:
        assert session.get(NightRow, "default").night == kept


def test_a_run_for_one_namespace_forgets_nothing_of_the_others(portolan):
    """Neither their entries nor what was learned and held back there."""
    night(portolan, 10)
    before = {one["id"]: one for one in entries(portolan)}
    with portolan.database.read() as session:
        kept = session.get(NightRow, "default").night
    night(portolan, 10, namespace="data")
    after = {one["id"]: one for one in entries(portolan)}
    others = {key for key, one in before.items() if one["namespace"] != "data"}
    assert others
    assert {key: after[key] for key in others} == {key: before[key] for key in others}
    with portolan.database.read() as session:
        assert session.get(NightRow, "default").night == kept
    assert entry(portolan, "web in shop", "ingress")["held"]


@pytest.mark.parametrize("verdict", ["later", "admit", "unwanted"])
def test_every_edge_of_the_window_ends_in_exactly_one_place(portolan, verdict):
    """Admitted, left out or held back; and no flow is lost, whatever people said."""
    night(portolan, 9)
    say(portolan, entry(portolan, "db in data"), verdict)
    until = START + 10 * DAY
    with portolan.database.read() as session:
        memory = nights.memory(session, "default", nights.remembered(session, "default").night)
    window = Window.ending(until, 10 * DAY)
    observations = FoldedObservations(portolan.store).observations("default", window)
    made = draft(observations, memory=memory)
    assert made.table.edges
    for edge in made.table.edges:
        assert (edge.place in made.ledger.rules_of) != (edge.place in made.ledger.reason_of)
    assert made.records["admitted"] > 0
    assert (made.records["excluded"] > 0) == (verdict == "unwanted")
    assert made.records["set_aside"] == observations.set_aside["flows"].sum()
    held = {one.cell for one in made.quarantine}
    assert held == set(made.screened.held_back())


def test_the_doctor_says_where_nothing_could_be_screened(portolan):
    """An empty quarantine after five days does not mean that nothing was odd."""

    def said():
        return [one for one in examine(portolan) if one.subject == "screening of default"]

    night(portolan, 4)
    (found,) = said()
    assert found.status == "note"
    assert found.detail.startswith("nothing was screened: at least 25% of the capture arrived on ")
    night(portolan, 9)
    assert said() == []


@pytest.mark.parametrize(("days", "short"), [(13, True), (14, False)])
def test_two_weeks_are_two_weeks_for_the_doctor_too(tmp_path, days, short):
    """From the first flow to the last there are some minutes less, which an inference forgives."""
    with opened(observed(tmp_path, days=days)) as portolan:
        portolan.clock.now = START + days * DAY
        (found,) = [one for one in examine(portolan) if one.subject == "cluster default"]
    assert ("less than 14 days" in found.detail) == short


def test_fifty_verdicts_turn_the_prior_into_a_calibrated_probability(tmp_path):
    """Not forty-nine; and the other end of a call is no second lesson."""
    strange = [Call("api", f"198.51.100.{number}", 443, (8,), hours=(number % 24,)) for number in range(60)]
    with opened(observed(tmp_path, strange)) as portolan:
        night(portolan, 10)
        outside = [one for one in entries(portolan, "open") if "198.51.100." in one["title"]]
        assert len(outside) >= 51
        assert {one["provenance"] for one in outside} == {"prior, not calibrated on this estate"}
        for number, one in enumerate(outside[:49]):
            say(portolan, one, "admit" if number % 2 else "unwanted")
        night(portolan, 10)
        last = entry(portolan, outside[50]["title"])
        assert last["provenance"] == "prior, not calibrated on this estate"
        say(portolan, outside[49], "unwanted")
        night(portolan, 10)
        assert entry(portolan, last["title"])["provenance"] == "calibrated on this estate's verdicts"
