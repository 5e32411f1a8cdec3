"""
Where entries stand, and what a reviewer does to them.

Everything here works inside a transaction that the caller opened.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from models.errors import BadInputError, NotFoundError
from service.db.tables import QuarantineRow, QuarantineVerdictRow
from service.errors import PreconditionFailedError
from service.quarantine import repository, verdicts
from service.quarantine.repository import QuarantineFilter
from service.quarantine.verdicts import DECIDED, EntryState, Standing, Verdict

#: Key of an entry's form: whether the newest run saw a call on which people decided.
STILL_SEEN: Final = "still_seen"


@dataclass(frozen=True, slots=True)
class VerdictRequest:
    """A verdict as it arrives, from whichever door."""

    verdict: Verdict
    reviewer: str
    reason: str = ""
    days: int | None = None


def standing_of(row: QuarantineRow) -> Standing:
    """What was last said about an entry."""
    return Standing(EntryState(row.state), row.ask_again_at)


def state_of(row: QuarantineRow, now: datetime) -> EntryState:
    """Where an entry stands."""
    return standing_of(row).shown(held=row.held, now=now)


def still_seen(row: QuarantineRow) -> bool | None:
    """Whether the newest run saw it in its window; ``None`` where none has looked since."""
    return row.form.get(STILL_SEEN, True if row.held else None)


def etag(row: QuarantineRow) -> str:
    """Entity tag of an entry: changes with every run that looks at it and every verdict."""
    return f'"{row.id}-{row.revision}"'


def etags_of(session: Session, entries: Iterable[str]) -> dict[str, str]:
    """Entity tags by id, of those entries that are stored."""
    return {entry: etag(row) for entry, row in repository.entries_by_id(session, set(entries)).items()}


def get(session: Session, entry: str) -> QuarantineRow:
    """Entry by its full id."""
    row = session.get(QuarantineRow, entry)
    if row is None:
        raise NotFoundError(f"no entry of the quarantine with the id {entry!r}")
    return row


def resolve(session: Session, reference: str) -> QuarantineRow:
    """The one entry that a person means: an id or its beginning."""
    found = repository.find_entries(session, reference)
    if not found:
        raise NotFoundError(f"no entry {reference!r} in the quarantine: 'portolan quarantine' lists them")
    if len(found) > 1:
        choices = ", ".join(row.id for row in found[:5])
        raise BadInputError(f"{reference!r} fits {len(found)} entries: {choices}")
    return found[0]


def decided(session: Session, cluster: str) -> list[QuarantineRow]:
    """Entries of a cluster that were admitted or confirmed as unwanted, by id."""
    return [row for row in repository.decided_entries(session, cluster) if row.state in DECIDED]


def open_count(session: Session, *, now: datetime, cluster: str | None = None) -> int:
    """How many entries wait for somebody to decide."""
    return repository.count_entries(session, QuarantineFilter(cluster, state=EntryState.OPEN), now=now)


def stand(row: QuarantineRow, standing: Standing) -> None:
    """Let an entry stand so."""
    row.state, row.ask_again_at = standing.state, standing.ask_again_at


def decide(
    session: Session, entry: str, request: VerdictRequest, *, now: datetime, if_match: str | None = None
) -> QuarantineRow:
    """
    Take a verdict on a call, at whichever of its ends it was held back.

    The same request sent again changes nothing, whatever it says of the state it was made on.
    """
    if not request.reviewer.strip():
        raise BadInputError("a verdict needs the name of the reviewer")
    if "\x00" in request.reviewer + request.reason:
        raise BadInputError("a verdict cannot hold the character NUL")
    ends = repository.lock_call(session, entry)
    if not ends:
        raise NotFoundError(f"no entry of the quarantine with the id {entry!r}")
    row = ends[0]
    if _said_already(session, ends, request, now):
        return row
    _check_unchanged(row, if_match)
    standing = verdicts.decide(
        standing_of(row), request.verdict, reason=request.reason, days=request.days, now=now
    )
    for end in ends:
        stand(end, standing)
        # what is reopened waits for somebody at once; the next run says whether it is still there
        end.held = end.held or request.verdict is Verdict.REOPEN
        end.reviewer, end.reason, end.decided_at = request.reviewer, request.reason, now
        end.revision += 1
    days = standing.ask_again_at - now if standing.ask_again_at else None
    session.add(
        QuarantineVerdictRow(
            entry=row.id,
            verdict=request.verdict,
            reviewer=request.reviewer,
            reason=request.reason,
            days=days.days if days else None,
            decided_at=now,
        )
    )
    return row


def _said_already(
    session: Session, ends: list[QuarantineRow], request: VerdictRequest, now: datetime
) -> bool:
    """Whether the newest verdict is this one, and still holds."""
    said = repository.verdicts_of(session, {end.id for end in ends})
    if not said:
        return False
    last = said[-1]
    days = verdicts.DEFAULT_DAYS if request.days is None else request.days
    same = (last.verdict, last.reviewer, last.reason) == (request.verdict, request.reviewer, request.reason)
    if request.verdict is Verdict.LATER:
        same = same and last.days == days and standing_of(ends[0]).shown(held=True, now=now) != "open"
    elif request.days is not None:
        return False
    return same


def _check_unchanged(row: QuarantineRow, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    if etag(row) not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailedError(
            f"the entry changed since it was read: it is {etag(row)} now; read it again"
        )


def log_of(session: Session, row: QuarantineRow) -> list[QuarantineVerdictRow]:
    """Every verdict on the call of an entry, at either end, oldest first."""
    return repository.verdicts_of(session, {row.id, row.other_end})
