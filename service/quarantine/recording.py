"""
What a run does to the quarantine.

Everything here works inside a transaction that the caller opened.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from models.domain.quarantine import Quarantined, Sighting, quarantine_id
from service.db.tables import QuarantineRow
from service.quarantine import repository
from service.quarantine.service import STILL_SEEN, decided, stand, standing_of
from service.quarantine.verdicts import EntryState


@dataclass(frozen=True, slots=True)
class Held:
    """What a run found for people to decide on."""

    quarantined: int
    quarantined_new: int


def record(
    session: Session,
    entries: Iterable[Quarantined],
    sightings: Iterable[Sighting] = (),
    *,
    cluster: str,
    namespace: str | None,
    run_id: str | None,
    now: datetime,
) -> Held:
    """
    Keep what a run held back, and what it still saw of what people decided on.

    Of other namespaces than the one it was for, nothing is changed.
    """
    scope = [one for one in entries if namespace is None or one.namespace == namespace]
    known = repository.entries_by_id(session, {one.id for one in scope})
    other_end = {one.id: quarantine_id(cluster, one.mirror) if one.mirror else "" for one in scope}
    others = repository.entries_by_id(session, {other for other in other_end.values() if other})
    for entry in scope:
        row = known.get(entry.id)
        if row is None:
            row = _new(entry.id, cluster, others.get(other_end[entry.id]), now)
            session.add(row)
        row.other_end = other_end[entry.id]
        _update(row, entry, run_id, now)
    ids = {one.id for one in scope}
    for row in repository.held_entries(session, cluster, namespace):
        if row.id not in ids:
            row.held = False
            row.revision += 1
    seen = {quarantine_id(cluster, one.cell): one for one in sightings}
    for row in decided(session, cluster):
        if row.id not in ids and namespace in {None, row.namespace}:
            _see(row, seen.get(row.id))
    session.flush()
    return Held(len(scope), len(ids - known.keys()))


def _new(entry: str, cluster: str, other: QuarantineRow | None, now: datetime) -> QuarantineRow:
    """Row of what was never held back; what was said at the other end of the call holds here too."""
    row = QuarantineRow(
        id=entry,
        cluster=cluster,
        state=EntryState.OPEN,
        first_held_at=now,
        revision=0,
    )
    if other is not None:
        stand(row, standing_of(other))
        row.reviewer, row.reason, row.decided_at = other.reviewer, other.reason, other.decided_at
    return row


def _update(row: QuarantineRow, entry: Quarantined, run_id: str | None, now: datetime) -> None:
    row.namespace, row.workload = _storable(entry.namespace), _storable(entry.workload)
    row.reasons = "".join(f";{reason}" for reason in entry.reasons) + ";"
    row.form = entry.to_json()
    row.held, row.last_held_at, row.run_id = True, now, run_id
    row.revision += 1


def _see(row: QuarantineRow, sighting: Sighting | None) -> None:
    """Keep the evidence of a decided call up to date; why it was held back stays as it was."""
    form = row.form if sighting is None else sighting.over(row.form)
    form = {**form, STILL_SEEN: sighting is not None}
    if form != row.form:
        row.form = form
        row.revision += 1


def _storable(text: str) -> str:
    """Text out of flows without what a database refuses."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
