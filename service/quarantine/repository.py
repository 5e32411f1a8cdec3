"""Entries of the quarantine, verdicts and nights as rows; no rule of the review lives here."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from service.db.tables import NightRow, QuarantineRow, QuarantineVerdictRow
from service.quarantine.verdicts import DECIDED, EntryState

#: Beginning of an id that a person may write instead of the id.
MIN_ID_CHARS: Final = 4
#: Values of one ``IN``; SQLite takes 32,766 parameters.
_MANY: Final = 10_000

#: Order of every list.
_ORDER: Final = (QuarantineRow.cluster, QuarantineRow.namespace, QuarantineRow.workload, QuarantineRow.id)


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which entries to list."""

    cluster: str | None = None
    namespace: str | None = None
    state: str | None = None
    reason: str | None = None  # code of what fired
    workload: str | None = None
    peer: str | None = None  # part of the title: the other side and the port

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        """Same as conditions on the table."""
        found: list[ColumnElement[bool]] = []
        if self.cluster is not None:
            found.append(QuarantineRow.cluster == self.cluster)
        if self.namespace is not None:
            found.append(QuarantineRow.namespace == self.namespace)
        if self.state is not None:
            found.append(_in_state(EntryState(self.state), now))
        if self.workload is not None:
            found.append(QuarantineRow.workload == self.workload)
        if self.reason is not None:
            found.append(QuarantineRow.reasons.contains(f";{self.reason};", autoescape=True))
        return found

    def names(self, row: QuarantineRow) -> bool:
        """Whether the other side of an entry is the one asked for; case does not count."""
        return self.peer is None or self.peer.casefold() in str(row.form["title"]).casefold()


def _in_state(state: EntryState, now: datetime) -> ColumnElement[bool]:
    """`service.quarantine.verdicts.Standing.shown` as a condition."""
    row = QuarantineRow
    if state in DECIDED:
        return row.state == state
    if state is EntryState.LAPSED:
        return and_(row.held.is_(False), row.state.not_in(sorted(DECIDED)))
    waits = and_(row.state == EntryState.LATER, row.ask_again_at > now)
    if state is EntryState.LATER:
        return and_(row.held.is_(True), waits)
    due = and_(row.state == EntryState.LATER, row.ask_again_at <= now)
    return and_(row.held.is_(True), or_(row.state == EntryState.OPEN, due))


def list_entries(
    session: Session,
    wanted: QuarantineFilter,
    *,
    now: datetime,
    after: QuarantineRow | None = None,
    limit: int | None = None,
) -> list[QuarantineRow]:
    """
    Entries by cluster, namespace and workload, from behind the given one.

    The other side is looked at here and not in the database: names out of flows may hold what a database
    refuses to take out of a JSON form.
    """
    query = select(QuarantineRow).where(*wanted.conditions(now)).order_by(*_ORDER)
    if after is not None:
        query = query.where(tuple_(*_ORDER) > (after.cluster, after.namespace, after.workload, after.id))
    if wanted.peer is None:
        return list(session.scalars(query if limit is None else query.limit(limit)))
    fitting = (row for row in session.scalars(query) if wanted.names(row))
    return list(islice(fitting, limit))


def count_entries(session: Session, wanted: QuarantineFilter, *, now: datetime) -> int:
    """How many entries there are."""
    query = select(func.count()).select_from(QuarantineRow).where(*wanted.conditions(now))
    return session.scalar(query) or 0


def namespaces(session: Session) -> list[str]:
    """Namespaces that have an entry."""
    return list(session.scalars(select(QuarantineRow.namespace).distinct().order_by(QuarantineRow.namespace)))


def codes(session: Session) -> list[str]:
    """Codes for which an entry is, or was, held back."""
    texts = session.scalars(select(QuarantineRow.reasons).distinct())
    return sorted({code for text in texts for code in text.split(";") if code})


def find_entries(session: Session, beginning: str) -> list[QuarantineRow]:
    """Entries whose id begins with a text."""
    exact = session.get(QuarantineRow, beginning)
    if exact is not None or len(beginning) < MIN_ID_CHARS:
        return [] if exact is None else [exact]
    query = select(QuarantineRow).where(QuarantineRow.id.startswith(beginning, autoescape=True))
    return list(session.scalars(query.order_by(QuarantineRow.id)))


def entries_by_id(session: Session, ids: Collection[str]) -> dict[str, QuarantineRow]:
    """Those of the entries that are stored."""
    ordered = sorted(ids)
    found: dict[str, QuarantineRow] = {}
    for start in range(0, len(ordered), _MANY):
        some = QuarantineRow.id.in_(ordered[start : start + _MANY])
        found |= {row.id: row for row in session.scalars(select(QuarantineRow).where(some))}
    return found


def held_entries(session: Session, cluster: str, namespace: str | None) -> list[QuarantineRow]:
    """Entries of the scope that the run before held back."""
    query = select(QuarantineRow).where(QuarantineRow.cluster == cluster, QuarantineRow.held.is_(True))
    if namespace is not None:
        query = query.where(QuarantineRow.namespace == namespace)
    return list(session.scalars(query.order_by(QuarantineRow.id)))


def decided_entries(session: Session, cluster: str) -> list[QuarantineRow]:
    """Entries with a verdict of any kind, by id."""
    query = select(QuarantineRow).where(
        QuarantineRow.cluster == cluster, QuarantineRow.state != EntryState.OPEN
    )
    return list(session.scalars(query.order_by(QuarantineRow.id)))


def lock_call(session: Session, entry: str) -> list[QuarantineRow]:
    """
    The entry and the one of the other end of its call, to be edited; empty where there is none.

    Rows are locked in the order of their ids, so that two reviewers at the two ends wait for each other.
    """
    row = session.get(QuarantineRow, entry)
    if row is None:
        return []
    same = QuarantineRow.id.in_([row.id, row.other_end])
    query = select(QuarantineRow).where(same).order_by(QuarantineRow.id).with_for_update()
    found = list(session.scalars(query.execution_options(populate_existing=True)))
    return sorted(found, key=lambda one: (one.id != entry, one.id))


def lock_calls(session: Session, entries: Collection[str]) -> list[QuarantineRow]:
    """
    Those of the entries that are stored, locked with the other ends of their calls, in the order of ids.

    Whoever decides on many takes every lock first and in one order, or two of them could wait for each other.
    """
    ends = {row.other_end for row in entries_by_id(session, entries).values() if row.other_end}
    found = select(QuarantineRow).where(QuarantineRow.id.in_(sorted({*entries, *ends})))
    locked = found.order_by(QuarantineRow.id).with_for_update().execution_options(populate_existing=True)
    return [row for row in session.scalars(locked) if row.id in entries]


def verdicts_of(session: Session, entries: Collection[str]) -> list[QuarantineVerdictRow]:
    """Every verdict that was given at these entries, oldest first."""
    row = QuarantineVerdictRow
    return list(session.scalars(select(row).where(row.entry.in_(sorted(entries))).order_by(row.id)))


def remove_lapsed_before(session: Session, moment: datetime) -> int:
    """Forget what nobody ever decided on and no run has held back since."""
    removed = session.execute(
        delete(QuarantineRow).where(
            QuarantineRow.held.is_(False),
            QuarantineRow.state == EntryState.OPEN,
            QuarantineRow.last_held_at < moment,
            QuarantineRow.id.not_in(select(QuarantineVerdictRow.entry)),
        )
    )
    return removed.rowcount if isinstance(removed, CursorResult) else 0


def night_of(session: Session, cluster: str) -> NightRow | None:
    """What the newest night of a cluster left."""
    return session.get(NightRow, cluster)
