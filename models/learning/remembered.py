"""
What a night remembers of cells that were held back, and what acquits them the night after.

A window slides. What began in the middle of it stands at its edge a week later, as if it had always been
there, and whatever compares a call with the time before it finds nothing odd any more. That is no evidence:
an intruder who lasts twelve days would acquit himself. So a night remembers when a held cell and its origin
were first seen, and that nothing fires counts only while the window still shows what fired: the beginning,
and the time before it. Two other things count whatever has slid away: mates that do it too by now, where it
was odd because one replica alone did it; and for reasons that compare with no "before", that they are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.domain.held_cell import FROM_MEMORY, HeldCell
from models.learning.carried import UNWANTED_NAME, renamed
from models.learning.oddities import SETTLED_US
from models.learning.quarantine import ADMITTED, QUARANTINED
from models.learning.second_channel import ADMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Bools = npt.NDArray[np.bool_]

DAY_US: Final = 24 * 3_600_000_000
#: Microseconds before a beginning that have to be in the window for it to look as it did: the longest that a
#: test asks for, four full days (`models.learning.unreleased`), and a day that the edge of a window cuts.
BEFORE_US: Final = 5 * DAY_US
#: Microseconds for which a rule says that its traffic was held back: a whole window of the default length.
SHOWN_RELEASED_US: Final = 14 * DAY_US

#: Reasons of what one replica did alone.
_ALONE: Final = frozenset({"one_replica_began", "lone_sighting", "beside_lone_sighting", "many_at_once"})
#: Reasons that compare with nothing before: they are judged anew every night, and gone when they do not fire.
_JUDGED_ANEW: Final = frozenset(
    {
        "ownerless_pod",
        "generated_name",
        "too_little_evidence",
        "never_answered",
        "only_dropped",
        UNWANTED_NAME,
    }
)
#: Reasons of the two channels: they weigh what a beginning looked like, if there was one to be seen.
_CHANNELS: Final = frozenset({"low_evidence", "looks_like_attack"})
_SCAN: Final = "scan"


@dataclass(frozen=True, slots=True)
class Recall:
    """
    What is known tonight of cells of the window.

    Parameters
    ----------
    cells
        What last night remembered, by cell of tonight.
    verdicts
        ``admit``, ``unwanted`` or ``later`` by cell, those that follow from names among them.
    until_us
        End of the window.
    """

    cells: Mapping[str, HeldCell]
    verdicts: Mapping[str, str]
    until_us: int

    def news(self, cells: pd.Index[Any]) -> Bools:
        """Which cells were news when they were held back, and stay so: nobody admitted them."""
        known = {
            cell
            for cell, one in self.cells.items()
            if one.held and self.verdicts.get(cell) != ADMIT and _was_news(one)
        }
        return np.asarray(cells.isin(list(known)), dtype=np.bool_)

    def frame(self) -> pd.DataFrame:
        """``fate``, ``wanted`` and ``reasons`` by cell (`models.learning.quarantine.decide_fates`)."""
        rows = {
            cell: (QUARANTINED if one.held else ADMITTED, one.wanted, one.reasons)
            for cell, one in self.cells.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["fate", "wanted", "reasons"])


#: The first night.
NOTHING_RECALLED: Final = Recall({}, {}, 0)


def recall(
    known: Mapping[str, HeldCell], verdicts: pd.Series[Any], cells: pd.DataFrame, until_us: int
) -> Recall:
    """
    What last night remembered, for the cells of tonight.

    Parameters
    ----------
    known
        By cell of last night. Where a destination got another name it is another cell, and held back like
        the one that it was (`models.learning.carried`); what is not seen any more is forgotten.
    verdicts
        That hold for cells of tonight.
    cells
        `DayIncidence.cells_` of tonight.
    until_us
        End of the window in microseconds.
    """
    found = {cell: one for cell, one in known.items() if cell in cells.index}
    held = [cell for cell, one in known.items() if one.held and cell not in found]
    found |= {new: known[old] for new, old in renamed(held, cells.index).items() if new not in found}
    said = {str(cell): str(verdict) for cell, verdict in verdicts.items() if cell in cells.index}
    return Recall(found, said, until_us)


def acquitted(known: Recall, facts: pd.DataFrame) -> pd.Series[Any]:
    """
    Cells for which it counts tonight that nothing fires.

    Parameters
    ----------
    known
        Of last night.
    facts
        `models.learning.screening_features.screening_features`: ``origin_us``, ``mates``, ``own_days``.

    Returns
    -------
    pandas.Series of bool
        Keyed as ``facts``; true for what was not held back.
    """
    found = pd.Series(data=True, index=facts.index)
    held = {cell: one for cell, one in known.cells.items() if one.held}
    rows = facts.loc[list(held), ["origin_us", "mates", "own_days"]]
    for cell, origin_us, mates, days in rows.itertuples(name=None):
        found[cell] = _counts(held[str(cell)], int(origin_us), mates=bool(mates), days=int(days))
    return found


def _counts(one: HeldCell, origin_us: int, *, mates: bool, days: int) -> bool:
    """Whether the silence of all tests acquits a cell."""
    anew = _JUDGED_ANEW if _was_news(one) else _JUDGED_ANEW | _CHANNELS
    if one.reasons and one.codes <= anew:
        return True
    if mates and one.codes & _ALONE and one.codes <= _ALONE | _JUDGED_ANEW | _CHANNELS:
        return True
    as_much_before = origin_us <= one.origin_us
    if _SCAN in one.codes and days <= 1:  # its other contacts may be as old as anything
        return as_much_before
    return as_much_before or origin_us <= one.first_us - BEFORE_US


def _was_news(one: HeldCell) -> bool:
    return one.first_us - one.origin_us >= SETTLED_US


def remember(
    known: Recall, fates: pd.DataFrame, cells: pd.DataFrame, facts: pd.DataFrame
) -> dict[str, HeldCell]:
    """
    What the next night is to know, by cell.

    Parameters
    ----------
    known
        What this night was told.
    fates
        `models.learning.quarantine.decide_fates`, after everything else that releases cells.
    cells
        `DayIncidence.cells_`.
    facts
        With ``origin_us``.
    """
    held = fates.index[fates["fate"] == QUARANTINED]
    told = fates.index.intersection(sorted({*held, *known.cells, *known.verdicts}))
    rows: Iterable[tuple[Any, ...]] = (
        fates.loc[told, ["fate", "wanted", "reasons"]]
        .join(cells["first_us"])
        .join(facts["origin_us"])
        .itertuples(name=None)
    )
    found = {}
    for cell, fate, wanted, reasons, first_us, origin_us in rows:
        before = known.cells.get(cell)
        fired = _own(reasons) if fate == QUARANTINED else ""
        first, origin = _sights(before, first_us, origin_us, fired=bool(fired))
        one = HeldCell(
            wanted=wanted if fate == QUARANTINED else QUARANTINED,
            reasons=fired or (before.reasons if before else ""),
            first_us=first,
            origin_us=origin,
            released_us=0 if cell in known.verdicts else _released(known, fate, before),
        )
        if one.held or known.until_us - one.released_us < SHOWN_RELEASED_US:
            found[str(cell)] = one
    return found


def _sights(before: HeldCell | None, first_us: int, origin_us: int, *, fired: bool) -> tuple[int, int]:
    """First sights of a cell and of its origin, as they were when it was first held back."""
    if before is None:
        return first_us, origin_us
    if before.first_us:
        return min(first_us, before.first_us), before.origin_us
    # nobody kept them: tonight shows them only if what it was held back for shows, too
    return first_us, origin_us if fired else 0


def _own(reasons: str) -> str:
    """What fired tonight."""
    return ";".join(code for code in reasons.split(";") if code and code not in FROM_MEMORY)


def _released(known: Recall, fate: str, before: HeldCell | None) -> int:
    """When a cell was acquitted that is held back neither by evidence nor by people."""
    if before is None or fate == QUARANTINED:
        return 0
    if not before.held:
        return before.released_us
    return known.until_us if fate == ADMITTED else 0
