"""
Verdicts on names, carried to the cells in which the same names are today.

A destination outside is named by everything that its addresses are known by. Whoever owns an address can
give it one more name, and what a person confirmed as unwanted would be another cell tomorrow. So a verdict on
names holds for any part of them, and what shares some of its names with something unwanted is asked about.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from models.learning.cells import cell_parts
from models.learning.second_channel import ADMIT, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Reason of what shares a name with something that a person confirmed as unwanted.
UNWANTED_NAME: Final = "unwanted_name"
_KIND: Final = 2  # places in the parts of a cell's id
_PEER: Final = 3

_Call = tuple[str, ...]


def carry_verdicts(verdicts: pd.Series[Any], cells: pd.Index[Any]) -> tuple[pd.Series[Any], frozenset[str]]:
    """
    What verdicts on other cells say of these.

    Parameters
    ----------
    verdicts
        ``admit``, ``unwanted`` or ``later`` by cell.
    cells
        Ids (`models.learning.cells.cell_ids`).

    Returns
    -------
    Series, frozenset of str
        The verdicts and, for cells that have none of their own, those that follow; and the cells that are to
        be asked about because only some of their names are unwanted.
    """
    said: dict[str, dict[_Call, set[str]]] = {ADMIT: defaultdict(set), UNWANTED: defaultdict(set)}
    for cell, verdict in verdicts.items():
        call, names = _call(str(cell))
        if names and verdict in said:
            said[str(verdict)][call] |= names
    if not any(said.values()):
        return verdicts, frozenset()
    found: dict[str, str] = {}
    doubtful: set[str] = set()
    for cell in _undecided(cells, verdicts):
        call, names = _call(cell)
        unwanted, admitted = said[UNWANTED].get(call, set()), said[ADMIT].get(call, set())
        if names and names <= unwanted:
            found[cell] = UNWANTED
        elif names & unwanted:
            doubtful.add(cell)
        elif names and names <= admitted:
            found[cell] = ADMIT
    return pd.concat([verdicts, pd.Series(found, dtype="str")]), frozenset(doubtful)


def renamed(gone: Iterable[str], cells: pd.Index[Any]) -> dict[str, str]:
    """
    Cells of tonight that call a name of a cell which is there no more, and that cell.

    Parameters
    ----------
    gone
        Ids of cells that are not among ``cells``; of several that share a name, the first by id is meant.
    cells
        Ids (`models.learning.cells.cell_ids`).
    """
    owners: dict[tuple[_Call, str], str] = {}
    for cell in sorted(gone):
        call, names = _call(cell)
        for name in names:
            owners.setdefault((call, name), cell)
    found: dict[str, str] = {}
    if not owners:
        return found
    for cell in map(str, cells):
        call, names = _call(cell)
        known = sorted(owners[(call, name)] for name in names if (call, name) in owners)
        if known:
            found[cell] = known[0]
    return found


def _undecided(cells: Iterable[str], verdicts: pd.Series[Any]) -> Iterable[str]:
    decided = {cell for cell, verdict in verdicts.items() if verdict in {ADMIT, UNWANTED}}
    return (cell for cell in cells if cell not in decided)


def _call(cell: str) -> tuple[_Call, frozenset[str]]:
    """Who calls on which port, and the names that are called; no names where the peer is none."""
    parts = cell_parts(cell)
    if parts[_KIND] != "fqdn":
        return (), frozenset()
    return (*parts[:_PEER], *parts[_PEER + 1 :]), frozenset(parts[_PEER].split(","))
