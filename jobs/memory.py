"""
What one night tells the next: what was held back, and what was learned.

A night is a stretch, not a run: whoever infers twice within one night gets the same answer twice, because
both runs are told what the night before said. Otherwise waiting a night would mean starting a second run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from models.domain.held_cell import HeldCell, held_cell_from_json
from models.synthesis.learned import NOTHING_LEARNED, Learned, learned_from_json
from models.synthesis.view import POSTURES

#: Windows whose ends are at least this far apart belong to two nights; a nightly run may be a few hours late.
ANOTHER_NIGHT: Final = timedelta(hours=20)
_LOOSEST_FIRST: Final = ("", *POSTURES)

#: What is remembered of cells that are or were held back (see ``models.learning.remembered``).
Fates = Mapping[str, HeldCell]


@dataclass(frozen=True, slots=True)
class Night:
    """What is remembered of what was held back, and the roles and patterns that were found."""

    fates: Fates
    learned: Learned = NOTHING_LEARNED

    def to_json(self) -> dict[str, Any]:
        """Form to be stored; keys sorted."""
        fates = {cell: one.to_json() for cell, one in sorted(self.fates.items())}
        return {"fates": fates, "learned": self.learned.to_json()}


def night_from_json(form: Mapping[str, Any]) -> Night:
    """Inverse of `Night.to_json`."""
    fates = {str(cell): held_cell_from_json(one) for cell, one in form["fates"].items()}
    return Night(fates, learned_from_json(form["learned"]))


@dataclass(frozen=True, slots=True)
class Remembered:
    """
    The newest night of a cluster.

    ``until`` is the end of the window of its first run, ``before`` what that night itself was told.
    """

    until: datetime
    night: Night
    before: Night | None = None


def told(kept: Remembered | None, until: datetime) -> Night | None:
    """What a run whose window ends at ``until`` is told; ``None`` on the first night."""
    if kept is None:
        return None
    return kept.before if _same_night(kept, until) else kept.night


def remember(
    kept: Remembered | None, until: datetime, night: Night, *, namespace: str | None = None
) -> Remembered:
    """
    Memory after a run; a look back into the past leaves it as it is.

    A run for one namespace screens the whole cluster all the same, so its fates are complete; of what it
    learned, only what it knows anew replaces what was known.
    """
    if kept is None:
        return Remembered(until, night)
    if until < kept.until:
        return kept
    if namespace is not None:
        night = replace(night, learned=_over(night.learned, kept.night.learned))
    if _same_night(kept, until):
        return replace(kept, night=night)
    return Remembered(until, night, kept.night)


def _same_night(kept: Remembered, until: datetime) -> bool:
    return timedelta() <= until - kept.until < ANOTHER_NIGHT


def _over(new: Learned, old: Learned) -> Learned:
    return Learned(
        {**old.roles, **new.roles},
        {**old.families, **new.families},
        {**old.patterns, **new.patterns},
        min(new.posture, old.posture, key=_LOOSEST_FIRST.index),
        new.apart | old.apart,
        new.whole,
    )
