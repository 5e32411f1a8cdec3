"""
Pods of a cell against the pod templates under which it was used.

A rollout replaces every pod, so one replica shows as many pods as there were templates while it did
something. What shows more pods than that, several replicas did, and this is seen best at a single edge: a
call on one day from three pods was made by three replicas, however many rollouts the window had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping


def used_templates(
    cells: pd.DataFrame, edges: pd.DataFrame, days: pd.DataFrame, rolled_out: Mapping[str, tuple[int, ...]]
) -> pd.DataFrame:
    """
    Count the pod templates of each cell's origin, and tell where several replicas were at work.

    Parameters
    ----------
    cells
        Keyed by cell: ``subject``, ``direction``, ``peer``.
    edges
        One row per edge: ``cell``, ``subject_pods`` and ``peer_pods`` (distinct ones in the window; 0 is
        unknown).
    days
        One row per edge and day on which it was used: ``edge`` (row number in ``edges``), ``first_us`` and
        ``last_us``.
    rolled_out
        Microseconds of the rollouts of each origin.

    Returns
    -------
    pandas.DataFrame
        Keyed as ``cells``: ``templates``, at least 1, and ``together``, whether some edge showed more pods
        than templates; where it did, ``templates`` is 1.
    """
    cell = cells.index.get_indexer(pd.Index(edges["cell"]))
    egress = (cells["direction"] == "egress").to_numpy()
    opens = cells["subject"].where(egress, cells["peer"])
    origin, origins = pd.factorize(opens.to_numpy()[cell])
    rollouts = [np.sort(np.array(rolled_out.get(name, ()), dtype=np.int64)) for name in origins]
    most = np.array([1 + len(times) for times in rollouts], dtype=np.int64)[origin]
    pods = edges["subject_pods"].where(egress[cell], edges["peer_pods"]).to_numpy(dtype=np.float64)
    together = np.zeros(len(cells), dtype=np.bool_)
    together[cell[pods > most]] = True
    # the days of what several replicas did anyway, which is nearly everything, need not be looked at
    asked = ~together[cell] & (most > 1)
    used = days[asked[days["edge"].to_numpy()]].reset_index(drop=True)
    pairs = []
    for number, rows in used.groupby(origin[used["edge"].to_numpy()]).indices.items():
        mine = used.iloc[rows]
        first, last = (
            np.searchsorted(rollouts[int(number)], mine[column].to_numpy(), side="right")
            for column in ("first_us", "last_us")
        )
        for later in range(int((last - first).max(initial=-1)) + 1):
            within = first + later <= last
            pairs.append(np.column_stack([mine["edge"].to_numpy()[within], first[within] + later]))
    seen = np.unique(np.concatenate(pairs), axis=0) if pairs else np.zeros((0, 2), dtype=np.int64)
    of_edge = np.maximum(np.bincount(seen[:, 0], minlength=len(edges)), 1)
    together[cell[asked & (pods > of_edge)]] = True
    of_cell = np.bincount(
        np.unique(np.column_stack([cell[seen[:, 0]], seen[:, 1]]), axis=0)[:, 0], minlength=len(cells)
    )
    templates = np.where(together, 1, np.maximum(of_cell, 1))
    return pd.DataFrame({"templates": templates, "together": together}, index=cells.index)
