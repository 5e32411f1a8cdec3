"""
Conservation, checked in every inference: whatever came in ends in exactly one place, and the counts add up.

The counts on one side are those of the input, EDGE_DAYS as the fold made them; those on the other side went
through the table of edges, the cells and the ledger. A defect on the way would turn traffic into silence, and
silence into a policy that breaks it: then there is no draft (method, section 1).
"""

from typing import Final

import numpy as np

from models.errors import DefectError
from models.frames import Observations
from models.learning.quarantine import check_conservation
from models.synthesis.edges import EdgeTable
from models.synthesis.ledger import Ledger
from models.synthesis.screened import Screened

#: What became of a request, in EDGE_DAYS: every record is counted in one of these.
OUTCOMES: Final = ("flows", "audited", "denied", "l7_denied", "dropped")


def conserved(
    observations: Observations, table: EdgeTable, screened: Screened, ledger: Ledger
) -> dict[str, int]:
    """
    Records of the window by where they ended.

    Parameters
    ----------
    observations
        The input.
    table, screened, ledger
        What became of it.

    Returns
    -------
    dict
        Records by fate of their cell (`models.learning.quarantine.FATES`), and ``set_aside``: those that the
        fold could make no edge of, which are listed with their reasons.

    Raises
    ------
    DefectError
        If an edge has no place or two, a cell no fate or two, or if the records do not add up.
    """
    came = int(observations.edge_days[list(OUTCOMES)].to_numpy(dtype=np.int64).sum())
    places = {edge.place for edge in table.edges}
    if places != ledger.rules_of.keys() | ledger.reason_of.keys():
        raise DefectError("an edge of the window is in no rule and left out for no reason")
    if ledger.rules_of.keys() & ledger.reason_of.keys():
        raise DefectError("an edge of the window is in a rule and left out, too")
    placed = sum(getattr(edge, name) for edge in table.edges for name in OUTCOMES)
    if placed != came:
        raise DefectError(f"{came} records came in, edges hold {placed}")
    cells = screened.raw.cells
    records = cells[list(OUTCOMES)].sum(axis=1).astype("int64").to_frame("flows")
    sums = check_conservation(records, screened.fates, came)
    return {**sums, "set_aside": int(observations.set_aside["flows"].sum())}
