"""Night after night while the window slides: what was held back stays held back until something acquits it."""

import pytest

from service.proposals import repository as proposals
from service.proposals import views as proposal_views
from service.proposals.repository import ProposalFilter
from service.quarantine import repository, service, views
from service.quarantine.repository import QuarantineFilter
from service.quarantine.service import VerdictRequest
from service.quarantine.verdicts import Verdict
from tests.unit.service.nights import Call, night, observed, opened

FIRST, LAST = 10, 25
DAILY = tuple(range(0, 24, 2))
pytestmark = pytest.mark.slow

#: One replica of three reads the database from the eighth day on, for as long as anybody looks.
INTRUDER = Call("web", "db", 5432, tuple(range(8, LAST)), hours=DAILY, replica=1)
#: One of two begins it, and the other one follows when the beginning is long out of sight.
JOINED = 21
SHARED = (
    Call("api", "web", 9090, tuple(range(8, LAST)), hours=DAILY, replica=0),
    Call("api", "web", 9090, tuple(range(JOINED, LAST)), hours=DAILY, replica=1),
)
#: All three do it from the third day on; a reviewer puts it off for a week on the first night.
WEEK = 7
METRICS = (
    Call("web", "coredns", 9153, tuple(range(8, LAST)), hours=DAILY, replica=2),
    Call("web", "coredns", 9153, tuple(range(11, LAST)), hours=DAILY, replica=0),
    Call("web", "coredns", 9153, tuple(range(11, LAST)), hours=DAILY, replica=1),
)


def looked_at(portolan):
    """Entries by workload and title, and rules by workload and title, as they stand."""
    now = portolan.clock()
    with portolan.database.read() as session:
        rows = repository.list_entries(session, QuarantineFilter(), now=now)
        found = [views.entry(row, now) for row in rows]
        listed = proposals.list_proposals(session, ProposalFilter())
        details = [(row, proposal_views.detail(session, row)) for row in listed]
    rules = {
        (row.workloads.rpartition("/")[2], rule["title"]): set(rule["flags"])
        for row, one in details
        for rule in one["rules"]
    }
    return {(one["workload"], one["title"]): one for one in found}, rules


def put_off(portolan, entry):
    """Ana's word on an entry: ask again in a week."""
    with portolan.database.write() as session:
        request = VerdictRequest(Verdict.LATER, "ana", "", WEEK)
        service.decide(session, entry["id"], request, now=portolan.clock())


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Fifteen nights with a window of two weeks: entries and rules by the number of the night."""
    folder = observed(tmp_path_factory.mktemp("rolling"), [INTRUDER, *SHARED, *METRICS], days=LAST)
    found = {}
    with opened(folder) as portolan:
        for day in range(FIRST, LAST):
            night(portolan, day)
            if day == FIRST:
                put_off(portolan, looked_at(portolan)[0][("web", "coredns in kube-system on TCP/9153")])
            found[day] = looked_at(portolan)
    return found


def test_an_intruder_is_not_acquitted_by_staying(nights):
    """His beginning slides to the edge of the window and out of it, and he is held back all the same."""
    assert len(nights) >= 14
    for day, (entries, rules) in nights.items():
        for end in (("web", "db in data on TCP/5432"), ("db", "web in shop on TCP/5432")):
            assert entries[end]["state"] == "open", day
            assert entries[end]["reasons"] == ["one_replica_began"], day
        mine = [title for (name, title) in rules if "5432" in title and (name == "web" or "web" in title)]
        assert not mine, day


def test_what_its_mates_do_too_is_released_and_marked(nights):
    """After one more night, although the beginning is out of sight; a person looks at the rule."""
    call, rule = ("api", "web in shop on TCP/9090"), ("api", "egress to web in shop on TCP/9090")
    for day, (entries, rules) in nights.items():
        assert (rule in rules) == (day > JOINED + 1), day
        assert entries[call]["state"] == ("lapsed" if day > JOINED + 1 else "open"), day
        if rule in rules:
            assert {"was_held_back", "needs_review"} <= rules[rule]
    assert nights[JOINED + 1][0][call]["reasons"] == ["waits_one_night"]


def test_later_holds_until_its_day_whatever_the_screening_says(nights):
    """Its mates acquitted it on the second night; on its day it is asked again, for a night at least."""
    call, rule = ("web", "coredns in kube-system on TCP/9153"), "egress to coredns in kube-system on TCP/9153"
    due = FIRST + WEEK
    for day, (entries, rules) in nights.items():
        expected = "later" if day < due else "open" if day == due else "lapsed"
        assert entries[call]["state"] == expected, day
        assert (("web", rule) in rules) == (day > due), day
    assert nights[due - 1][0][call]["reasons"] == ["one_replica_began"]
    assert nights[due][0][call]["reasons"] == ["waits_one_night"]
