"""
What one night tells the next: what was held back, and what was learned.

A night is a stretch, not a run: whoever infers twice within one night gets the same answer twice, because
both runs are told what the night before said. Otherwise waiting a night would mean starting a second run.
What sees less than a run before it acquits nothing that it cannot see: within a night it is told what that
run held back, too, and is not remembered in its place; on another night it forgets nothing that was held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from models.domain.held_cell import HeldCell, held_cell_from_json
from models.domain.window import Window
from models.synthesis.learned import NOTHING_LEARNED, Learned, learned_from_json
from models.synthesis.view import POSTURES

#: Windows whose ends are at least this far apart belong to two nights; a nightly run may be a few hours late.
ANOTHER_NIGHT: Final = timedelta(hours=20)
_LOOSEST_FIRST: Final = ("", *POSTURES)

#: What is remembered of cells that are or were held back (see ``models.learning.remembered``).
Fates = Mapping[str, HeldCell]


@dataclass(frozen=True, slots=True)
class Night:
    """
    What is remembered of what was held back, and the roles and patterns that were found.

    ``since`` is the start of the window; ``None`` where an older release did not keep it.
    """

    fates: Fates
    learned: Learned = NOTHING_LEARNED
    since: datetime | None = None

    @property
    def held(self) -> Fates:
        """What nothing has acquitted."""
        return {cell: one for cell, one in self.fates.items() if one.held}

    def to_json(self) -> dict[str, Any]:
        """Form to be stored; keys sorted."""
        fates = {cell: one.to_json() for cell, one in sorted(self.fates.items())}
        since = "" if self.since is None else self.since.isoformat()
        return {"fates": fates, "learned": self.learned.to_json(), "since": since}


def night_from_json(form: Mapping[str, Any]) -> Night:
    """Inverse of `Night.to_json`."""
    fates = {str(cell): held_cell_from_json(one) for cell, one in form["fates"].items()}
    since = form.get("since", "")
    return Night(fates, learned_from_json(form["learned"]), datetime.fromisoformat(since) if since else None)


@dataclass(frozen=True, slots=True)
class Remembered:
    """
    The newest night of a cluster.

    ``until`` is the end of the window of its first run, ``before`` what that night itself was told.
    """

    until: datetime
    night: Night
    before: Night | None = None


def told(kept: Remembered | None, window: Window) -> Night | None:
    """What a run over a window is told; ``None`` on the first night."""
    if kept is None:
        return None
    if not _same_night(kept, window.end):
        return kept.night
    if not _sees_less(kept, window):
        return kept.before
    before = kept.before or Night({})
    return replace(before, fates={**kept.night.held, **before.fates})


def remember(
    kept: Remembered | None, window: Window, night: Night, *, namespace: str | None = None
) -> Remembered:
    """
    Memory after a run over a window; a look back into the past leaves it as it is.

    A run for one namespace screens the whole cluster all the same, so its fates are complete; of what it
    learned, only what it knows anew replaces what was known.
    """
    night = replace(night, since=window.start)
    if kept is None:
        return Remembered(window.end, night)
    if window.end < kept.until:
        return kept
    if namespace is not None:
        night = replace(night, learned=_over(night.learned, kept.night.learned))
    less = _sees_less(kept, window)
    if _same_night(kept, window.end):
        return kept if less else replace(kept, night=night)
    if less:
        night = replace(night, fates={**kept.night.held, **night.fates})
    return Remembered(window.end, night, kept.night)


def _same_night(kept: Remembered, until: datetime) -> bool:
    return timedelta() <= until - kept.until < ANOTHER_NIGHT


def _sees_less(kept: Remembered, window: Window) -> bool:
    """Whether a window is shorter than the one that is remembered by more than a night may be late."""
    since = kept.night.since
    return since is not None and window.end - window.start + ANOTHER_NIGHT <= kept.until - since


def _over(new: Learned, old: Learned) -> Learned:
    return Learned(
        {**old.roles, **new.roles},
        {**old.families, **new.families},
        {**old.patterns, **new.patterns},
        min(new.posture, old.posture, key=_LOOSEST_FIRST.index),
        new.apart | old.apart,
        new.whole,
    )
