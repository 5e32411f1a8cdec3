"""What is remembered of cells from one night to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.domain.held_cell import HeldCell


@dataclass(frozen=True, slots=True)
class Memory:
    """
    What people and last night's run said about cells.

    Parameters
    ----------
    verdicts
        ``admit``, ``unwanted`` or ``later`` by cell; a ``later`` whose day has come is none.
    fates
        What last night remembered, by cell; ``None`` on the first night.
    echoes
        Cells of ``verdicts`` that only follow from the other end of the same call: a verdict holds for
        them, and teaches nothing twice.
    """

    verdicts: Mapping[str, str]
    fates: Mapping[str, HeldCell] | None = None
    echoes: frozenset[str] = frozenset()


#: Nothing was ever said.
NO_MEMORY: Final = Memory({})
