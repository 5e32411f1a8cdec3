"""The review database: migrations, two processes at once, times, transactions."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from models.errors import BadInputError, PortolanError
from service.db.engine import database_url, make_engine
from service.db.json_text import to_text
from service.db.migrate import revision, upgrade
from service.db.sessions import Database
from service.db.tables import (
    DecisionRow,
    LeaseRow,
    ProposalRow,
    ProposalVersionRow,
    Row,
    RuleStandingRow,
)
from service.proposals.recording import record
from service.settings import DatabaseSettings
from tests.unit.service.proposals import KEY, proposal, rule

NOW = datetime(2026, 3, 15, 2, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    """A new SQLite database at the newest revision."""
    made = Database(make_engine(database_url(DatabaseSettings(), tmp_path)))
    upgrade(made.engine)
    yield made
    made.close()


def lease(name="a", at=NOW):
    """Any row."""
    return LeaseRow(name=name, holder="h", acquired_at=at, expires_at=at)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "\u00e9t\u00e9", "share": 0.1, "none": None, "list": [1, True, {"deep": ""}]},
        {"half a pair": "\ud800"},
        {"identity": 2**64, "below": -(2**63) - 1},
    ],
)
def test_json_comes_back_as_it_was(value):
    """Also what the quick library cannot write."""
    assert json.loads(to_text(value)) == value


def test_migrations_make_exactly_the_tables_of_the_models(database):
    """A column that only one of the two knows would fail in production, not here."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []


def test_upgrading_again_does_nothing(database):
    """Every start upgrades."""
    before = revision(database.engine)
    upgrade(database.engine)
    assert revision(database.engine) == before


def test_decisions_of_before_get_the_rule_that_they_are_about(database):
    """From whichever kept body still holds it; where none does, they stay without."""
    rules = {name: {"id": name, "title": name} for name in ("newest", "exported", "approved", "gone")}

    def body(*names):
        return {"rules": [rules[name] for name in names]}

    with database.write() as session:
        record(session, [proposal(rule())], cluster="c", namespace=None, run_id=None, now=NOW)
        session.get(ProposalRow, KEY).approved_body = body("approved")
        version = session.get(ProposalVersionRow, (KEY, 1))
        version.body, version.exported_body = body("newest"), body("exported")
        said = {"state": "rejected", "reviewer": "ana", "reason": "no", "decided_at": NOW}
        session.add_all([RuleStandingRow(key=KEY, rule_id=name, title=name, **said) for name in rules])
    with database.write() as session:
        session.execute(text("ALTER TABLE rule_standings DROP COLUMN body"))
        session.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    upgrade(database.engine)
    with database.read() as session:
        found = {row.rule_id: row.body for row in session.scalars(select(RuleStandingRow))}
    assert found == rules | {"gone": None}


def test_a_database_of_a_newer_version_is_refused(database):
    """An older Portolan must not write into tables it does not know."""
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(PortolanError, match="newer"):
        upgrade(database.engine)


def test_what_is_no_database_is_an_error_in_words(tmp_path):
    """A file of somebody else is not overwritten."""
    (tmp_path / "portolan.db").write_bytes(b"not a database" * 100)
    engine = make_engine(database_url(DatabaseSettings(), tmp_path))
    with pytest.raises(PortolanError, match="cannot be opened"):
        upgrade(engine)
    engine.dispose()


def test_two_processes_that_start_at_once_migrate_once(tmp_path):
    """Whoever comes second waits and finds the work done."""
    code = (
        "from pathlib import Path; from service.db.engine import *; from service.db.migrate import upgrade\n"
        "from service.settings import DatabaseSettings\n"
        f"upgrade(make_engine(database_url(DatabaseSettings(), Path({str(tmp_path)!r}))))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    outcomes = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
    assert outcomes == [(b"", 0)] * 3


def test_sqlite_is_opened_for_two_processes(database, tmp_path):
    """Write-ahead log, a wait instead of an error, foreign keys."""
    with database.engine.connect() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        ]
    assert found == ["wal", 30000, 1]
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(
            DecisionRow(key="gone", version=1, verb="approve", reviewer="a", reason="", decided_at=NOW)
        )


def test_a_full_disk_is_said_in_one_line(database):
    """It is nobody's mistake in here, and no traceback tells what to do about it."""

    def fill() -> None:
        with database.write() as session:
            pages = session.execute(text("PRAGMA page_count")).scalar()
            session.execute(text(f"PRAGMA max_page_count = {pages}"))
            session.execute(text("CREATE TABLE filler AS SELECT randomblob(1000000) AS blob"))

    with pytest.raises(PortolanError, match="the database failed: database or disk is full"):
        fill()


def test_times_come_back_aware_and_in_utc(database):
    """SQLite keeps no zone, and a naive time names no instant."""
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    with database.write() as session:
        session.add(lease(at=NOW.astimezone(elsewhere)))
    with database.read() as session:
        row = session.get(LeaseRow, "a")
    assert row.expires_at == NOW
    assert row.expires_at.utcoffset() == timedelta()
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        session.add(lease("b", at=NOW.replace(tzinfo=None)))


def test_a_block_that_fails_leaves_nothing(database):
    """One request is one transaction."""

    def fail():
        with database.write() as session:
            session.add(lease())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as session:
        assert session.get(LeaseRow, "a") is None


def test_reading_keeps_nothing(database):
    """A change made by mistake in a reading block is gone."""
    with database.read() as session:
        session.add(lease())
        session.flush()
    with database.read() as session:
        assert session.get(LeaseRow, "a") is None


def test_a_reader_does_not_wait_for_a_writer(database, tmp_path):
    """Pages stay quick while a run writes."""
    other = sqlite3.connect(tmp_path / "portolan.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with database.read() as session:
        assert session.get(LeaseRow, "a") is None
    other.execute("ROLLBACK")
    other.close()


def test_the_password_comes_from_its_file(tmp_path):
    """And never shows in an error."""
    (tmp_path / "secret").write_text("hunter2\n", encoding="utf-8")
    settings = DatabaseSettings(url="postgresql://me@db.example/portolan", password_file=tmp_path / "secret")
    url = database_url(settings, tmp_path)
    assert (url.password, url.drivername) == ("hunter2", "postgresql+psycopg")
    assert "hunter2" not in str(url)
    with pytest.raises(BadInputError, match="password_file"):
        database_url(settings.model_copy(update={"password_file": tmp_path / "gone"}), tmp_path)
    (tmp_path / "secret").write_text("", encoding="utf-8")
    with pytest.raises(BadInputError, match="empty"):
        database_url(settings, tmp_path)
