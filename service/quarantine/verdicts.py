"""
What people say about traffic that is held back, as pure functions (decision 0030).

========  =====================================================================================
open      it is held back, and nobody decided
later     somebody wants to be asked again; on that day it is open again
admitted  wanted: it becomes a rule with the next inference
unwanted  confirmed as unwanted: it stays out for good
lapsed    nobody decided, and the newest run holds it back no more
========  =====================================================================================

What is reopened is open at once, and lapses with the next run that does not see it any more.

A verdict speaks for one call, which is one cell at either end of it, and never for other cells.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from models.errors import BadInputError, ConflictError

#: Days after which ``later`` asks again: a week holds every rhythm of a working day.
DEFAULT_DAYS: Final = 7
#: Beyond this nobody meant to be asked again.
MAX_DAYS: Final = 365


class Verdict(StrEnum):
    """What a reviewer can say."""

    ADMIT = "admit"
    UNWANTED = "unwanted"
    LATER = "later"
    REOPEN = "reopen"


class EntryState(StrEnum):
    """Where an entry stands."""

    OPEN = "open"
    LATER = "later"
    ADMITTED = "admitted"
    UNWANTED = "unwanted"
    LAPSED = "lapsed"


#: States in which a verdict holds until it is taken back.
DECIDED: Final = frozenset({EntryState.ADMITTED, EntryState.UNWANTED})
_NEEDS_REASON: Final = {
    Verdict.ADMIT: "letting in what was held back",
    Verdict.UNWANTED: "confirming that traffic is unwanted",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What was last said; ``state`` is never ``lapsed``, which is no verdict."""

    state: EntryState = EntryState.OPEN
    ask_again_at: datetime | None = None

    def shown(self, *, held: bool, now: datetime) -> EntryState:
        """State by the table of this module."""
        if self.state in DECIDED:
            return self.state
        if not held:
            return EntryState.LAPSED
        due = self.ask_again_at is None or self.ask_again_at <= now
        return EntryState.OPEN if due else EntryState.LATER


def decide(standing: Standing, verdict: Verdict, *, reason: str, days: int | None, now: datetime) -> Standing:
    """Standing after a verdict; what was decided is reopened before it is decided otherwise."""
    if days is not None and verdict is not Verdict.LATER:
        raise BadInputError(f"days go with later, not with {verdict}")
    if verdict in _NEEDS_REASON and not reason.strip():
        raise BadInputError(f"{_NEEDS_REASON[verdict]} needs a reason: the next reviewer will ask for it")
    if verdict is Verdict.REOPEN:
        if standing.state is EntryState.OPEN:
            raise ConflictError("the entry is open already: there is no verdict to take back")
        return Standing()
    if standing.state in DECIDED:
        hint = "already" if _STATE[verdict] is standing.state else "reopen it before deciding otherwise"
        raise ConflictError(f"the entry is {standing.state}: {hint}")
    if verdict is not Verdict.LATER:
        return Standing(_STATE[verdict])
    wait = DEFAULT_DAYS if days is None else days
    if not 1 <= wait <= MAX_DAYS:
        raise BadInputError(f"days: between 1 and {MAX_DAYS}, not {wait}")
    return Standing(EntryState.LATER, now + timedelta(days=wait))


_STATE: Final = {
    Verdict.ADMIT: EntryState.ADMITTED,
    Verdict.UNWANTED: EntryState.UNWANTED,
    Verdict.LATER: EntryState.LATER,
}
