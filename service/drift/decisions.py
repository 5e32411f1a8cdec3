"""What people say about findings: acknowledge, reopen, silence; an edit names the revision it is about."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.drift.life import State, acknowledge, reopen
from models.errors import BadInputError, ConflictError, NotFoundError
from service.db.tables_drift import DriftFindingRow, DriftMuteRow
from service.drift.repository import apply_life, life_of
from service.drift.schemas import AcknowledgeIn, MuteIn, ReopenIn
from service.errors import PreconditionFailedError


def etag(row: DriftFindingRow) -> str:
    """Revision of a finding, as ``If-Match`` wants it back."""
    return f'"{row.key}-{row.revision}"'


def get(session: Session, key: str) -> DriftFindingRow:
    """One finding."""
    row = session.get(DriftFindingRow, key)
    if row is None:
        raise NotFoundError(f"no finding {key!r}")
    return row


def _locked(session: Session, key: str, if_match: str) -> DriftFindingRow:
    row = session.scalar(select(DriftFindingRow).where(DriftFindingRow.key == key).with_for_update())
    if row is None:
        raise NotFoundError(f"no finding {key!r}")
    if if_match not in ("*", etag(row)):
        raise PreconditionFailedError(f"finding {key} changed meanwhile: read it again")
    return row


def acknowledge_finding(
    session: Session, key: str, said: AcknowledgeIn, *, now: datetime, if_match: str
) -> DriftFindingRow:
    """Note that somebody has seen it and will look at it by a date."""
    row = _locked(session, key, if_match)
    if row.state == State.RESOLVED:
        raise ConflictError(f"finding {key} is resolved: there is nothing to acknowledge")
    if said.until is not None and said.until <= now:
        raise BadInputError("until: lies in the past")
    apply_life(row, acknowledge(life_of(row), said.until))
    row.reviewer, row.reason = said.reviewer, said.reason
    return row


def reopen_finding(session: Session, key: str, said: ReopenIn, *, if_match: str) -> DriftFindingRow:
    """Take an acknowledgement back."""
    row = _locked(session, key, if_match)
    if row.state not in (State.ACKNOWLEDGED, State.MUTED):
        raise ConflictError(f"finding {key} is {row.state}: there is nothing to reopen")
    apply_life(row, reopen(life_of(row)))
    row.reviewer, row.reason = said.reviewer, said.reason
    return row


def add_mute(session: Session, said: MuteIn, now: datetime) -> DriftMuteRow:
    """Add a rule of silence; it counts from the next report on."""
    if not (said.kind or said.namespace or said.workload or said.peer):
        raise BadInputError("a rule of silence needs a kind, a namespace, a workload or a peer")
    row = DriftMuteRow(
        kind=said.kind or "",
        namespace=said.namespace,
        workload=said.workload,
        peer=said.peer,
        until=said.until,
        reviewer=said.reviewer,
        reason=said.reason,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def remove_mute(session: Session, number: int) -> None:
    """Take a rule of silence away; what it silenced is news in the next report that names it."""
    row = session.get(DriftMuteRow, number)
    if row is None:
        raise NotFoundError(f"no rule of silence {number}")
    session.delete(row)
