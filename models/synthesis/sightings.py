"""
What is still seen of calls that people decided on.

Nothing of them is held back for anybody to decide, and whoever confirmed an attack wants to know whether it
goes on. Sightings are filed under the cell that the verdict was given on, also where a name of it is all that
is seen today.
"""

from collections import defaultdict
from typing import Any

import pandas as pd

from models.domain.quarantine import Sighting
from models.learning.carried import renamed
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.held_back import MAX_SAMPLES
from models.synthesis.memory import Memory
from models.synthesis.screened import Screened


def sightings(table: EdgeTable, screened: Screened, memory: Memory) -> tuple[Sighting, ...]:
    """
    Sightings of a window, sorted by cell.

    Parameters
    ----------
    table
        The distinct edges of the window.
    screened
        Its cells.
    memory
        What people said.
    """
    verdicts = screened.recalled.verdicts
    follows = renamed(memory.verdicts, pd.Index(sorted(verdicts)))
    decided = {cell: cell if cell in memory.verdicts else follows[cell] for cell in verdicts}
    edges: dict[str, list[Edge]] = defaultdict(list)
    for place, cell in enumerate(screened.raw.cell_of):
        if cell in decided:
            edges[decided[cell]].append(table.edges[place])
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in screened.raw.cells.loc[sorted(decided)].itertuples():
        rows[decided[str(row.Index)]].append(row)
    return tuple(_sighting(cell, rows[cell], edges[cell]) for cell in sorted(rows))


def _sighting(cell: str, rows: list[Any], edges: list[Edge]) -> Sighting:
    """Of one verdict; cells of several of its names are counted together, and their days not twice."""
    return Sighting(
        cell=cell,
        first_us=min(int(row.first_us) for row in rows),
        last_us=max(int(row.last_us) for row in rows),
        days_seen=max(int(row.active_days) for row in rows),
        flows=sum(int(row.flows + row.audited) for row in rows),
        pods=max(int(row.subject_pods) for row in rows),
        samples=tuple(sorted({sample for edge in edges for sample in edge.samples}))[:MAX_SAMPLES],
    )
