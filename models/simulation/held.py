"""What a quarantine holds back, found again among the edges of a window and the questions for names."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from models.learning.carried import carry_verdicts
from models.learning.cells import cell_ids
from models.learning.second_channel import UNWANTED
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.questions_asked import domain_of, expands, tunnel_cell
from models.synthesis.raw_cells import edge_cells, workload_id
from models.synthesis.view import ClusterView


@dataclass(frozen=True, slots=True)
class HeldTraffic:
    """
    What is held back of a window, or was confirmed as unwanted.

    Parameters
    ----------
    cells
        Ids of the cells that were said to be so, those of tunnels among them.
    places
        Places of the edges that fall into such a cell, or share a name with one.
    owners
        Workload (`workload_id`) by label-set key.
    names
        Names to which all calls of a workload are held back, by workload.
    """

    cells: frozenset[str] = frozenset()
    places: frozenset[int] = frozenset()
    owners: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has(self, edge: Edge) -> bool:
        """Whether an edge is held back."""
        return edge.place in self.places

    def asks(self, edge: Edge, name: str) -> bool:
        """Whether a question for a name leads to what is held back, or is part of a tunnel that is."""
        owner = self.owners.get(edge.subject)
        if owner is None:
            return False
        plain = name.rstrip(".").lower()
        if tunnel_cell(owner, domain_of(plain)) in self.cells:
            return True
        return expands(plain, self.names.get(owner, frozenset()))


def held_traffic(view: ClusterView, table: EdgeTable, said: Mapping[str, str]) -> HeldTraffic:
    """
    Find what is held back.

    Parameters
    ----------
    view
        Who is who in the window.
    table
        Its distinct edges.
    said
        ``unwanted`` by cell that is held back or was confirmed as unwanted, ``admit`` where it was admitted.
    """
    refused = frozenset(cell for cell, verdict in said.items() if verdict == UNWANTED)
    if not refused:
        return HeldTraffic()
    cells = cell_ids(edge_cells(view, table)).tolist()
    # a window of another length may know a destination by more or fewer names
    holding, doubtful = carry_verdicts(pd.Series(dict(said), dtype="str"), pd.Index(sorted(set(cells))))
    kept_out = {*holding.index[holding == UNWANTED], *doubtful}
    places = frozenset(place for place, cell in enumerate(cells) if cell in kept_out)
    owners = {key: workload_id(one) for key, one in view.workloads.by_label_key.items()}
    return HeldTraffic(refused, places, owners, _held_names(table, places, owners))


def _held_names(
    table: EdgeTable, places: frozenset[int], owners: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """Names behind held edges and behind no other one, by workload."""
    held: dict[str, set[str]] = defaultdict(set)
    open_: dict[str, set[str]] = defaultdict(set)
    for edge in table.edges:
        if edge.names and edge.subject in owners:
            (held if edge.place in places else open_)[owners[edge.subject]].update(edge.names)
    return {owner: frozenset(names - open_[owner]) for owner, names in held.items()}
