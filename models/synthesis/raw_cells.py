"""
Cells of what was seen, before anything is generalised: the unit that is screened.

An edge is between label sets and addresses, which change with every rollout and every answer of a
resolver; a cell is between workloads and names, which do not.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import pandas as pd

from models.domain.workload import Workload
from models.frames import Observations
from models.learning.cells import CELL_KEY, cell_ids, group_codes, to_cells
from models.learning.days import ObservedDays, window_days
from models.learning.incidence import SUMS, DayIncidence
from models.synthesis.cell_pods import End, cell_pods
from models.synthesis.edges import EdgeTable
from models.synthesis.view import ClusterView

#: Columns of an edge-day that a cell sums up.
_MEASURES: Final = ("day", "hour_bits", *SUMS, "replies_visible", "first_us", "last_us")


@dataclass(frozen=True, slots=True)
class RawCells:
    """
    What was seen, by cell.

    Parameters
    ----------
    cells
        `DayIncidence.cells_`, with ``subject_pods`` and ``peer_pods``: distinct pods at either end,
        ``subject_pod`` and ``peer_pod``: the name of the only one, and ``visible_days`` and
        ``answered_days``: edge-days on which a reply would have been seen, and was.
    days
        Days of the window (`window_days`): a cell between workloads has many records a day, and whatever has
        one only is judged without its absence on any day.
    cell_of
        Cell by place of the edge.
    """

    cells: pd.DataFrame
    days: ObservedDays
    cell_of: tuple[str, ...]


def workload_id(workload: Workload) -> str:
    """Text that names a workload among all of the observed clusters: ``shop/Deployment/web``."""
    place = f"{workload.cluster}:" if workload.cluster else ""
    return f"{place}{workload.namespace}/{'+'.join(workload.members)}"


def raw_cells(observations: Observations, view: ClusterView, table: EdgeTable) -> RawCells:
    """
    Cells of a window.

    Parameters
    ----------
    observations
        Of one cluster.
    view
        Tells which workload a label set belongs to.
    table
        The distinct edges of the window.
    """
    edges = edge_cells(view, table)
    ids = cell_ids(edges)
    codes, keys = group_codes(edges, CELL_KEY)
    model = DayIncidence().fit_grouped(
        observations.edge_days[list(_MEASURES)],
        codes[table.row_edge],
        keys.set_index(cell_ids(keys)),
        window_days(observations),
    )
    cells = model.cells_.join(_pods(table, ids)).join(_answers(table, ids))
    return RawCells(cells, model.days_, tuple(ids.tolist()))


def edge_cells(view: ClusterView, table: EdgeTable) -> pd.DataFrame:
    """One row per edge, in the order of the table, with the columns of its cell (`cell_ids` names them)."""
    names = ("subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type")
    frame = pd.DataFrame(map(attrgetter(*names), table.edges), columns=names)
    frame["peer_names"] = [",".join(edge.names) for edge in table.edges]
    owners = {key: workload_id(workload) for key, workload in view.workloads.by_label_key.items()}
    entities = {("endpoint", key): ("entity", name) for key, name in view.workloads.entities.items()}
    return to_cells(frame, subjects=owners, peers=entities)


def _pods(table: EdgeTable, ids: "pd.Series[str]") -> pd.DataFrame:
    """Distinct pods at both ends of each cell, and the name of the only one."""
    edges = list(zip(ids.tolist(), table.edges, strict=True))
    subject = cell_pods(End(cell, e.subject, e.subject_pods, e.subject_pod_names) for cell, e in edges)
    peer = cell_pods(End(cell, e.peer, e.peer_pods, e.peer_pod_names) for cell, e in edges)
    return subject.add_prefix("subject_").join(peer.add_prefix("peer_"))


def _answers(table: EdgeTable, ids: "pd.Series[str]") -> pd.DataFrame:
    """Edge-days with visible replies, and those of them that were answered, by cell."""
    frame = pd.DataFrame(
        {
            "cell": ids.to_numpy(),
            "visible_days": [edge.visible_days for edge in table.edges],
            "answered_days": [edge.answered_days for edge in table.edges],
        }
    )
    return frame.groupby("cell", sort=True).sum()
