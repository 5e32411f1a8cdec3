"""What one night remembers of a cell that was held back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

#: Fate that the evidence of a night asks for, of a cell that it does not acquit.
_QUARANTINED: Final = "quarantined"

#: Reason while a flip to admitted waits for a second night.
WAITING: Final = "waits_one_night"
#: Reason beside the old ones where nothing fires any more, and nothing acquits it either.
HELD_BEFORE: Final = "held_before"
#: Reason while a reviewer wants to be asked again, and nothing else is known.
PUT_OFF: Final = "put_off"
#: Reasons that no test of the screening gives.
FROM_MEMORY: Final = frozenset({WAITING, HELD_BEFORE, PUT_OFF})


@dataclass(frozen=True, slots=True)
class HeldCell:
    """
    One cell that is held back, has a verdict, or was held back lately.

    Parameters
    ----------
    wanted
        The fate that the evidence asked for: ``quarantined``, or ``admitted`` while a release waits a night.
    reasons
        Codes for which it was held back, joined by ``;``; "" if they are not known.
    first_us
        First sight of it, in microseconds since the epoch; 0 is unknown.
    origin_us
        How far back its origin was seen when it was first held back, likewise; 0 is unknown.
    released_us
        End of the window that acquitted it; 0 while it is held back or has a verdict.
    """

    wanted: str = _QUARANTINED
    reasons: str = ""
    first_us: int = 0
    origin_us: int = 0
    released_us: int = 0

    @property
    def held(self) -> bool:
        """Whether nothing has acquitted it."""
        return not self.released_us

    @property
    def codes(self) -> frozenset[str]:
        """Codes of ``reasons``."""
        return frozenset(self.reasons.split(";")) - {""}

    def to_json(self) -> dict[str, Any]:
        """Form to be stored."""
        return asdict(self)


def held_cell_from_json(form: Any) -> HeldCell:
    """
    Inverse of `HeldCell.to_json`.

    Nights of before 0070 (docs/decisions) kept a pair: ``fate`` and ``wanted``.
    """
    return HeldCell(**form) if isinstance(form, Mapping) else HeldCell(wanted=str(form[1]))
