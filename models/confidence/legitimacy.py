"""
How wanted each cell of a drafted policy looks, with the arguments and where they come from.

A cell is as wanted as its most doubtful edge: its members are workloads, names and networks that somebody
could allow one by one, and one bad one among them is what a reviewer has to see. The callers of a port that
faces the internet are no such members: each comes once, nobody could list them, and the rule would be the
less wanted the more visitors it serves. There the evidence is that of all callers together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.domain.confidence import PRIOR
from models.domain.rule import opens_world
from models.learning.screening_features import FEATURES

if TYPE_CHECKING:
    from models.confidence.policy_cells import PolicyCells
    from models.learning.evidence import Evidence
    from models.synthesis.draft import Draft

_COLUMNS: Final = ("p_legit", "place", "provenance")


class Legitimacy:
    """
    ``p_legit`` of the cells of a draft.

    Parameters
    ----------
    draft, cells
        The draft, and its cells.

    Attributes
    ----------
    of_cell : pandas.DataFrame
        Keyed by cell: ``p_legit`` (NaN where too little was seen to screen, or of an edge that was not
        screened), ``place`` of the most doubtful edge, ``provenance``.
    """

    def __init__(self, draft: Draft, cells: PolicyCells) -> None:
        self._screened = draft.screened
        self._crowds: dict[str, tuple[Evidence, ...]] = {}
        self.of_cell = _doubtful(draft, cells)
        if draft.screened.screening is not None:
            crowds = _crowds(draft, cells)
            rated = draft.screened.screening.rate(crowds)
            self._crowds = dict(zip(rated.index, rated["ledger"], strict=True))
            self.of_cell.loc[rated.index, "p_legit"] = rated["p_legit"]
            self.of_cell.loc[rated.index, "provenance"] = PRIOR

    def ledgers(self, cells: pd.Index[str]) -> dict[str, tuple[Evidence, ...]]:
        """Arguments behind ``p_legit``, by cell; of cells that have one."""
        screening = self._screened.screening
        rows = self.of_cell.loc[cells.unique()].dropna(subset=["p_legit"])
        if screening is None:
            return {}
        raw = {
            cell: self._screened.raw.cell_of[int(place)]
            for cell, place in rows["place"].items()
            if cell not in self._crowds
        }
        known = screening.ledgers(raw.values())
        return {str(cell): self._crowds.get(cell) or known[raw[cell]] for cell in rows.index}


def _doubtful(draft: Draft, cells: PolicyCells) -> pd.DataFrame:
    """The most doubtful edge of each cell; a cell with an edge that was not screened has no number."""
    screening, cell_of = draft.screened.screening, draft.screened.raw.cell_of
    legit = {} if screening is None else screening.p_legit_.to_dict()
    told = cells.places.assign(p_legit=[legit.get(cell_of[place], np.nan) for place in cells.places["place"]])
    told = told.sort_values(["cell", "p_legit", "place"], na_position="first").drop_duplicates("cell")
    told["provenance"] = [draft.screened.provenance(cell_of[place]) for place in told["place"]]
    return told.set_index("cell").reindex(cells.cells.index)[list(_COLUMNS)]


def _crowds(draft: Draft, cells: PolicyCells) -> pd.DataFrame:
    """Facts of all callers together, by cell that lets in the internet."""
    facing = [
        rule.id
        for proposal in draft.proposals
        for rule in proposal.rules
        if rule.direction == "ingress" and opens_world(rule)
    ]
    named = frozenset(cells.rules.loc[cells.rules["rule"].isin(facing), "cell"])
    facts, cell_of = draft.screened.facts, draft.screened.raw.cell_of
    pairs = cells.places.loc[cells.places["cell"].isin(named)]
    pairs = pairs.assign(raw=[cell_of[place] for place in pairs["place"]]).drop_duplicates(["cell", "raw"])
    pairs = pairs.loc[pairs["raw"].isin(facts.index)]
    rows = {cell: _together(facts.loc[own["raw"]]) for cell, own in pairs.groupby("cell", sort=True)}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=[*_FACTS])
    days = cells.cells.loc[found.index, "active_days"].astype(float)
    return found.assign(days=days, own_days=days)


_FACTS: Final = (*FEATURES, "own_days", "pods", "replicas", "pod", "callers")


def _together(facts: pd.DataFrame) -> dict[str, Any]:
    """Facts of callers as those of one: every attempt counts alike, and days are for the cell to say."""
    weights = facts["attempts"].clip(lower=1.0)
    known = facts[list(FEATURES)].astype(float)
    shares = known.notna().mul(weights, axis=0).sum()
    mean = known.mul(weights, axis=0).sum() / shares.where(shares > 0)
    # callers ask resolvers of their own: that no answer preceded could not have been otherwise
    nothing = {"named": np.nan, "own_days": np.nan, "pods": np.nan, "replicas": np.nan, "pod": ""}
    shared = {name: float(mean[name]) for name in FEATURES}
    return {**shared, **nothing, "callers": len(facts)}
