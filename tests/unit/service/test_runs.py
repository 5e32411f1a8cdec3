"""Runs: one at a time across processes, recorded whatever happens, caught up once."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.runs import Runner, RunRequest
from jobs.schedule import Job, Scheduler, previous_due
from models.errors import BadInputError, ConflictError, TooLittleEvidenceError
from service.db.engine import database_url, make_engine
from service.db.migrate import upgrade
from service.db.sessions import Database
from service.db.tables import LeaseRow, RunRow
from service.runs.repository import DatabaseLeases, DatabaseRunLog, list_runs, remove_runs_before
from service.settings import DatabaseSettings

NOW = datetime(2026, 3, 15, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """Says what it is told to say."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def database(tmp_path):
    """A new database."""
    made = Database(make_engine(database_url(DatabaseSettings(), tmp_path)))
    upgrade(made.engine)
    yield made
    made.close()


def runner(database, clock=None, lease_length=timedelta(minutes=3)):
    """A runner such as every process has one."""
    return Runner(
        DatabaseRunLog(database), DatabaseLeases(database), clock or Clock(), lease_length=lease_length
    )


def runs(database):
    """Every run on record, oldest first."""
    with database.read() as session:
        return list(session.scalars(select(RunRow).order_by(RunRow.started_at, RunRow.id)))


def request(**changes):
    """What a command asks for."""
    return RunRequest(**({"kind": "infer", "lease": "infer", "trigger": "cli"} | changes))


def test_a_run_is_recorded_with_its_counts(database):
    """Start, end, outcome, counts, parameters."""
    result = runner(database).run(request(parameters={"namespace": "shop"}), lambda run_id: {"rules": 3})
    (row,) = runs(database)
    assert (row.id, row.outcome, row.counts, row.error) == (result.run_id, "done", {"rules": 3}, None)
    assert row.parameters == {"namespace": "shop"}
    assert row.finished_at == NOW
    with database.read() as session:
        assert session.scalars(select(LeaseRow)).all() == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BadInputError("no such cluster"), "failed"),
        (TooLittleEvidenceError("nothing yet"), "nothing"),
        (ZeroDivisionError("a bug"), "failed"),
        (KeyboardInterrupt(), "failed"),
    ],
)
def test_a_run_that_fails_is_recorded_and_gives_its_lease_back(database, error, outcome):
    """Whatever the work raises comes out again."""

    def work(_):
        raise error

    with pytest.raises(type(error)):
        runner(database).run(request(), work)
    (row,) = runs(database)
    assert row.outcome == outcome
    assert str(error) in row.error or row.error == "interrupted"
    assert runner(database).run(request(), lambda _: {}).outcome == "done"


def test_a_run_never_overlaps_itself(database):
    """A second process is turned away, and told who holds the lease since when."""
    claim = runner(database).claim(request())
    with pytest.raises(ConflictError, match=claim.run_id):
        runner(database).claim(request())
    runner(database).run(request(lease="other"), lambda _: {})
    claim.perform(lambda _: {})
    runner(database).run(request(), lambda _: {})
    assert [row.outcome for row in runs(database)] == ["done", "done", "done"]


def test_only_one_of_many_gets_the_lease(database):
    """Taking a lease is one step, however many try."""
    leases = DatabaseLeases(database)
    barrier = threading.Barrier(6)
    granted = []

    def take(name):
        barrier.wait()
        if leases.acquire("x", name, now=NOW, length=MINUTE).granted:
            granted.append(name)

    threads = [threading.Thread(target=take, args=(f"run{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 1


def test_a_run_waits_for_another_when_it_may(database):
    """A person at a terminal is not turned away because a pull is under way."""
    claim = runner(database).claim(request())
    timer = threading.Timer(0.3, lambda: claim.perform(lambda _: {}))
    timer.start()
    assert runner(database).run(request(wait=timedelta(seconds=20)), lambda _: {}).outcome == "done"
    timer.join()


def test_a_dead_run_does_not_block_for_ever(database):
    """Its lease runs out, and its record is closed by the one who takes over."""
    DatabaseLeases(database).acquire("infer", "dead", now=NOW, length=MINUTE)
    DatabaseRunLog(database).start(run_id="dead", kind="infer", trigger="cli", parameters={}, now=NOW)
    with pytest.raises(ConflictError):
        runner(database, Clock(NOW + MINUTE / 2)).claim(request())
    runner(database, Clock(NOW + 2 * MINUTE)).run(request(), lambda _: {})
    outcomes = {row.id: row.outcome for row in runs(database)}
    assert outcomes.pop("dead") == "abandoned"
    assert list(outcomes.values()) == ["done"]


def test_a_slow_run_keeps_its_lease(database):
    """The heartbeat renews it for as long as the work takes."""

    def now():
        return datetime.now(UTC)

    short = timedelta(seconds=1)
    slow = runner(database, now, lease_length=short)
    other = runner(database, now, lease_length=short)

    def work(_):
        for _ in range(5):
            time.sleep(0.5)
            with pytest.raises(ConflictError):
                other.claim(request())
        return {}

    assert slow.run(request(), work).outcome == "done"


def test_a_schedule_that_another_process_served_is_not_served_again(database):
    """Two servers fire at the same minute; the second finds the work done."""
    runner(database, Clock(NOW + timedelta(seconds=1))).run(request(), lambda _: {})
    late = runner(database, Clock(NOW + timedelta(seconds=30)))
    with pytest.raises(ConflictError, match="already"):
        late.claim(request(not_if_done_since=NOW))
    assert late.run(request(), lambda _: {}).outcome == "done"
    assert late.run(request(not_if_done_since=NOW + timedelta(days=1)), lambda _: {}).outcome == "done"


def test_old_records_of_runs_are_forgotten(database):
    """Newest first, page by page, and no further back than asked."""
    for day in range(5):
        runner(database, Clock(NOW + timedelta(days=day))).run(request(), lambda _: {})
    with database.write() as session:
        assert remove_runs_before(session, NOW + timedelta(days=2)) == 2
        rows = list_runs(session, limit=2)
        assert [row.started_at.day for row in rows] == [19, 18]
        rest = list_runs(session, before=(rows[-1].started_at, rows[-1].id))
        assert [row.started_at.day for row in rest] == [17]


NIGHTLY = "15 2 * * *"


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-03-15T10:00", "2026-03-15T10:00"),
        ("2026-03-15T02:15", "2026-03-15T23:00", None),
        ("2026-03-15T02:20", "2026-03-16T02:14", None),
        ("2026-03-15T02:20", "2026-03-16T02:15", "2026-03-16T02:15"),
        ("2026-03-01T02:15", "2026-03-15T10:00", "2026-03-15T02:15"),
    ],
)
def test_missed_nights_are_found_by_the_newest_success(last, now, due):
    """However many nights were missed, one run makes up for them."""

    def moment(text):
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert previous_due(NIGHTLY, moment(last), moment(now)) == moment(due)


def planned(cron, last):
    """How often a job ran within a second of starting."""
    ran = []
    scheduler = Scheduler(lambda: datetime.now(UTC))
    scheduler.add(Job("infer", cron, ran.append, lambda: last))
    scheduler.start()
    time.sleep(1)
    upcoming = scheduler.upcoming()
    scheduler.stop()
    return ran, upcoming


def test_a_missed_run_is_caught_up_once_at_start():
    """And the next one is planned for its usual time."""
    ran, upcoming = planned("0 0 1 1 *", datetime.now(UTC) - timedelta(days=800))
    assert len(ran) == 1
    assert [name for name, _ in upcoming] == ["infer"]
    ran, _ = planned("0 0 1 1 *", datetime.now(UTC))
    assert ran == []


def test_a_job_that_is_still_running_is_not_started_again():
    """What is due meanwhile is skipped, and stopping waits for what is under way."""
    ran = []

    def work(_):
        ran.append("begin")
        time.sleep(2.5)
        ran.append("end")

    scheduler = Scheduler(lambda: datetime.now(UTC))
    scheduler.add(Job("pull", timedelta(seconds=1), work, lambda: None))
    scheduler.start()
    time.sleep(1.5)
    scheduler.stop()
    assert ran == ["begin", "end"]


def test_a_job_that_fails_runs_again_next_time():
    """One bad night is not the last."""
    ran = []

    def work(_):
        ran.append(1)
        raise ZeroDivisionError

    scheduler = Scheduler(lambda: datetime.now(UTC))
    scheduler.add(Job("pull", timedelta(seconds=1), work, lambda: None))
    scheduler.start()
    time.sleep(2.5)
    scheduler.stop()
    assert len(ran) >= 2
