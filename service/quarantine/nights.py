"""
What one night tells the next, kept per cluster.

Apart from the rest of the quarantine, because it needs the libraries of learning, and reading a proposal
does not.
"""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from jobs.memory import Night, Remembered, night_from_json, remember
from models.domain.held_cell import FROM_MEMORY, HeldCell
from models.domain.window import Window
from models.synthesis.memory import Memory
from service.db.tables import NightRow
from service.quarantine import repository
from service.quarantine.verdicts import EntryState

#: What a verdict that holds is called where the screening reads it.
_SAID: Final = {
    EntryState.ADMITTED: "admit",
    EntryState.UNWANTED: "unwanted",
    EntryState.LATER: "later",
}


def remembered(session: Session, cluster: str) -> Remembered | None:
    """What the newest night of a cluster left."""
    row = repository.night_of(session, cluster)
    if row is None:
        return None
    before = None if row.before is None else night_from_json(row.before)
    return Remembered(row.until, night_from_json(row.night), before)


def memory(session: Session, cluster: str, night: Night | None, now: datetime | None = None) -> Memory:
    """
    What people said about cells, and what the night before held back.

    A verdict holds at both ends of a call, and is one lesson: the other end is an echo. What was to be asked
    again by ``now`` holds no longer; without a time, every verdict does.
    """
    said: dict[str, str] = {}
    echoes: set[str] = set()
    for row in repository.decided_entries(session, cluster):
        if now is not None and row.ask_again_at is not None and row.ask_again_at <= now:
            continue
        verdict = _SAID[EntryState(row.state)]
        cell, mirror = row.form["cell"], row.form["mirror"]
        if cell not in said:
            said[cell] = verdict
            if mirror:
                said[mirror] = verdict
                echoes.add(mirror)
    fates = dict(night.fates) if night is not None else {}
    for row in repository.held_entries(session, cluster, None):
        # a verdict was taken back that was given before nights remembered what it is about
        if row.decided_at is not None and row.state == EntryState.OPEN and row.form["cell"] not in fates:
            fates[row.form["cell"]] = HeldCell(reasons=";".join(sorted({*row.form["reasons"]} - FROM_MEMORY)))
    return Memory(said, None if night is None and not fates else fates, frozenset(echoes))


def keep_night(
    session: Session, cluster: str, window: Window, night: Night, *, namespace: str | None, run_id: str
) -> None:
    """Keep what tomorrow's run is to be told."""
    kept = remembered(session, cluster)
    now = remember(kept, window, night, namespace=namespace)
    if now is kept:
        return
    row = repository.night_of(session, cluster)
    if row is None:
        row = NightRow(cluster=cluster)
        session.add(row)
    row.until, row.night, row.run_id = now.until, now.night.to_json(), run_id
    row.before = None if now.before is None else now.before.to_json()
