"""
Where silence tells nothing of a cell's next use, so that no number may rest on it.

A job that ran once has a period longer than its silence. And a process on the host network is ``remote-node``
to pods of other nodes, and ``host`` to those of its own: when it moves to the node of whom it calls, the rule
for the others falls silent, and is needed again with the next move (docs/decisions/0075).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.domain.peer import EntityPeer

if TYPE_CHECKING:
    from models.confidence.policy_cells import PolicyCells

#: Why a job's rule has no number: silence since its only run tells how long its period is at least.
ONE_RUN: Final = "one run seen, its period is unknown"
#: Why a rule for nodes has none.
MOVED: Final = "silent lately, as is whoever moved between the pod's own node and others"
#: Sides between which a process on the host network moves.
NODES: Final = tuple(EntityPeer(entity).key for entity in ("host", "remote-node"))
#: Probability of use within a week below which silence has made up the model's mind.
DOUBTED: Final = 0.5


def why_unknown(
    cells: PolicyCells, timed: pd.DataFrame, week: pd.Series[Any], told: pd.Series[bool]
) -> pd.Series[str]:
    """
    Why each cell has no probability of use; "" where it has one.

    Parameters
    ----------
    cells
        Of the policy.
    timed
        Its cells, with ``job_owned``.
    week
        Probability of use within seven days, as the model has it.
    told
        Cells of which a schedule is known.
    """
    once = timed["job_owned"] & ~told & (timed["active_days"] <= 1)
    last = cells.days.full[-1] if cells.days.full else ""
    moved = timed["peer"].isin(NODES) & (timed["last_date"] < last) & (week < DOUBTED)
    why = np.select([cells.held_back, once, moved], ["", ONE_RUN, MOVED], "")
    return pd.Series(why, index=timed.index, name="unknown", dtype="str")
