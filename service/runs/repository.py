"""Runs and leases in the database: the record side of ``jobs.runs``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.db.sessions import Database
from service.db.tables import LeaseRow, RunRow

#: Outcomes after which the same run is not due again.
SUCCESSES: Final = ("done", "nothing")


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of asking for a lease (see ``jobs.interfaces.LeaseAnswer``)."""

    granted: bool
    other: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class DatabaseLeases:
    """Leases as rows: taking one is a single conditional statement, so two processes cannot both win."""

    database: Database

    def acquire(self, name: str, holder: str, *, now: datetime, length: timedelta) -> Answer:
        """Take the lease if it is free or has run out."""
        values = {"holder": holder, "acquired_at": now, "expires_at": now + length}
        try:
            with self.database.write() as session:
                row = session.scalar(select(LeaseRow).where(LeaseRow.name == name))
                if row is None:
                    session.execute(insert(LeaseRow).values(name=name, **values))
                    return Answer(granted=True)
                previous, since = row.holder, row.acquired_at
                taken = session.execute(
                    update(LeaseRow)
                    .where(LeaseRow.name == name, LeaseRow.holder == previous, LeaseRow.expires_at <= now)
                    .values(**values)
                )
                if isinstance(taken, CursorResult) and taken.rowcount == 1:
                    return Answer(granted=True, other=previous, since=since)
                return Answer(granted=False, other=previous, since=since)
        except IntegrityError:
            return Answer(granted=False)  # another process inserted the row between our two statements

    def renew(self, name: str, holder: str, *, now: datetime, length: timedelta) -> bool:
        """Push the end back while the lease is still ours."""
        with self.database.write() as session:
            renewed = session.execute(
                update(LeaseRow)
                .where(LeaseRow.name == name, LeaseRow.holder == holder)
                .values(expires_at=now + length)
            )
            return isinstance(renewed, CursorResult) and renewed.rowcount == 1

    def release(self, name: str, holder: str) -> None:
        """Give the lease back."""
        with self.database.write() as session:
            session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder))


@dataclass(frozen=True)
class DatabaseRunLog:
    """Run records as rows, each written in a transaction of its own."""

    database: Database

    def start(
        self, *, run_id: str, kind: str, trigger: str, parameters: Mapping[str, Any], now: datetime
    ) -> None:
        """Record that a run began."""
        with self.database.write() as session:
            session.add(
                RunRow(
                    id=run_id,
                    kind=kind,
                    trigger=trigger,
                    outcome="running",
                    parameters=dict(parameters),
                    counts={},
                    started_at=now,
                )
            )

    def finish(
        self, run_id: str, *, outcome: str, counts: Mapping[str, Any], error: str | None, now: datetime
    ) -> None:
        """Record how a run ended, once."""
        with self.database.write() as session:
            session.execute(
                update(RunRow)
                .where(RunRow.id == run_id, RunRow.outcome == "running")
                .values(outcome=outcome, counts=dict(counts), error=error, finished_at=now)
            )

    def last_success(self, kind: str, outcomes: Collection[str] = SUCCESSES) -> datetime | None:
        """Start of the newest run of this kind that was done or, unless left out, had nothing to do."""
        with self.database.read() as session:
            return session.scalar(
                select(RunRow.started_at)
                .where(RunRow.kind == kind, RunRow.outcome.in_(outcomes))
                .order_by(RunRow.started_at.desc())
                .limit(1)
            )


def list_runs(
    session: Session,
    *,
    kind: str | None = None,
    outcome: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[RunRow]:
    """Runs, newest first, from behind the given one."""
    query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(RunRow.kind == kind)
    if outcome is not None:
        query = query.where(RunRow.outcome == outcome)
    if before is not None:
        query = query.where(tuple_(RunRow.started_at, RunRow.id) < before)
    return list(session.scalars(query))


def remove_runs_before(session: Session, moment: datetime) -> int:
    """Forget the records of old runs; what they proposed and what was decided stays."""
    removed = session.execute(delete(RunRow).where(RunRow.started_at < moment, RunRow.outcome != "running"))
    return removed.rowcount if isinstance(removed, CursorResult) else 0
