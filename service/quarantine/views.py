"""Rows of the quarantine as the contract forms that command line, API and pages show."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.db.tables import QuarantineRow, QuarantineVerdictRow
from service.quarantine import repository, service


def entry(row: QuarantineRow, now: datetime) -> dict[str, Any]:
    """An entry with its evidence, and where it stands."""
    return {
        **row.form,
        "cluster": row.cluster,
        "state": service.state_of(row, now),
        "etag": service.etag(row),
        "held": row.held,
        "still_seen": service.still_seen(row),
        "first_held_at": row.first_held_at,
        "last_held_at": row.last_held_at,
        "run": row.run_id,
        "verdict": standing(row),
    }


def detail(session: Session, row: QuarantineRow, now: datetime) -> dict[str, Any]:
    """The same with everything that was ever said about the call."""
    return {**entry(row, now), "verdicts": [verdict(item) for item in service.log_of(session, row)]}


def standing(row: QuarantineRow) -> dict[str, Any]:
    """What was last said: it holds until it is taken back, or until the day it asks to be asked again."""
    return {
        "state": row.state,
        "reviewer": row.reviewer,
        "reason": row.reason,
        "decided_at": row.decided_at,
        "ask_again_at": row.ask_again_at,
    }


def verdict(row: QuarantineVerdictRow) -> dict[str, Any]:
    """One verdict on record."""
    return {
        "id": row.id,
        "entry": row.entry,
        "verdict": row.verdict,
        "reviewer": row.reviewer,
        "reason": row.reason,
        "days": row.days,
        "decided_at": row.decided_at,
    }


def with_verdicts(session: Session, held: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a proposal with what was last said about each; ``None`` where it was never stored."""
    rows = repository.entries_by_id(session, {one["id"] for one in held})
    return [{**one, "verdict": standing(rows[one["id"]]) if one["id"] in rows else None} for one in held]
