"""
How wanted each cell of a drafted policy looks, with the arguments and where they come from.

A cell inside the cluster is as wanted as its most doubtful edge: its members are workloads that somebody
could allow one by one, and one bad one among them is what a reviewer has to see. The names under a pattern
and the addresses of a prefix are no such members, nor are the callers of a port that faces the internet:
each comes once, nobody could list them, and the rule would be the less wanted the more of them it serves.
There the evidence is that of all of them together (docs/decisions/0072).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from models.confidence.pooled import pooled_facts
from models.domain.confidence import CALIBRATED, PRIOR, shown_probability
from models.domain.rule import opens_world
from models.learning.evidence import Evidence, total_bits
from models.learning.screening_features import FEATURES

if TYPE_CHECKING:
    from models.confidence.policy_cells import PolicyCells
    from models.synthesis.draft import Draft

_COLUMNS: Final = ("p_legit", "place", "provenance", "doubted")
#: What of a raw cell tells it from others of its policy cell, in words.
_NAMED: Final = {"subject": "{}", "peer": "{}", "port": "port {}"}


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
        screened), ``place`` of the most doubtful edge, ``provenance``, and ``doubted``: which of several
        ends of the cell's calls the number is of, "" where it is of all.
    """

    def __init__(self, draft: Draft, cells: PolicyCells) -> None:
        self._screened = draft.screened
        self._together: dict[str, tuple[Evidence, ...]] = {}
        self.of_cell = _doubtful(draft, cells)
        if draft.screened.screening is not None:
            rate = draft.screened.screening.rate
            crowds = _crowds(draft, cells)
            self._put(rate(crowds).assign(doubted=""))
            pooled = pooled_facts(draft, cells)
            rated = rate(pooled).join(pooled[["cell", "subject"]]).sort_values(["cell", "p_legit", "subject"])
            several = rated["cell"].duplicated(keep=False)
            rated["doubted"] = rated["subject"].str.removeprefix(_home(draft)).where(several, "")
            self._put(rated.drop_duplicates("cell").set_index("cell"))

    def _put(self, rated: pd.DataFrame) -> None:
        """Say of cells what was found for all their edges together."""
        self._together |= dict(zip(rated.index, rated["ledger"], strict=True))
        self.of_cell.loc[rated.index, ["p_legit", "doubted"]] = rated[["p_legit", "doubted"]]
        self.of_cell.loc[rated.index, "provenance"] = PRIOR

    def ledgers(self, cells: pd.Index[str]) -> dict[str, tuple[Evidence, ...]]:
        """Arguments behind ``p_legit``, by cell; of cells that have one."""
        screening = self._screened.screening
        rows = self.of_cell.loc[cells.unique()].dropna(subset=["p_legit"])
        if screening is None:
            return {}
        raw = {
            cell: self._screened.raw.cell_of[int(place)]
            for cell, place in zip(rows.index.tolist(), rows["place"].tolist(), strict=True)
            if cell not in self._together
        }
        known = screening.ledgers(raw.values())
        return {
            cell: self._together.get(cell) or _calibrated(known[raw[cell]], legit, provenance)
            for cell, legit, provenance in zip(
                rows.index.tolist(), rows["p_legit"].tolist(), rows["provenance"].tolist(), strict=True
            )
        }


def _calibrated(ledger: tuple[Evidence, ...], legit: float, provenance: str) -> tuple[Evidence, ...]:
    """Arguments that add up to the number: what verdicts made of them is one of its own."""
    if provenance != CALIBRATED:
        return ledger
    shown = shown_probability(legit)
    gap = math.log2(shown / (1.0 - shown)) - total_bits(ledger)
    return (*ledger, Evidence("verdicts", gap, "what reviewers of this estate said of such traffic"))


def _doubtful(draft: Draft, cells: PolicyCells) -> pd.DataFrame:
    """The most doubtful edge of each cell; a cell with an edge that was not screened has no number."""
    screening, cell_of = draft.screened.screening, draft.screened.raw.cell_of
    legit = {}
    if screening is not None:
        legit = dict(zip(screening.p_legit_.index.tolist(), screening.p_legit_.tolist(), strict=True))
    places = cells.places["place"].tolist()
    told = cells.places.assign(p_legit=[legit.get(cell_of[place], np.nan) for place in places])
    told = told.sort_values(["cell", "p_legit", "place"], na_position="first").drop_duplicates("cell")
    judged = draft.screened.judged()
    told["provenance"] = [
        CALIBRATED if cell_of[place] in judged else PRIOR for place in told["place"].tolist()
    ]
    told["doubted"] = _ends(draft, cells.places, told)
    return told.set_index("cell").reindex(cells.cells.index)[list(_COLUMNS)]


def _home(draft: Draft) -> str:
    """How `workload_id` begins for workloads of the draft's own cluster, which goes without saying."""
    return f"{draft.proposals[0].cluster}:" if draft.proposals else ""


def _ends(draft: Draft, places: pd.DataFrame, told: pd.DataFrame) -> list[str]:
    """Of the ends in which the raw cells of each policy cell differ, those of the most doubtful one."""
    raw, cell_of = draft.screened.raw.cells[[*_NAMED]], draft.screened.raw.cell_of
    several = places.loc[places["cell"].duplicated(keep=False)]  # most cells are one edge, and differ in none
    every = raw.reindex([cell_of[place] for place in several["place"]]).reset_index(drop=True)
    every["cell"] = several["cell"].to_numpy()
    counts = [every[["cell", name]].drop_duplicates().groupby("cell").size() for name in _NAMED]
    differ = (pd.concat(counts, axis=1, keys=[*_NAMED]) > 1).to_dict("index")
    some = told.loc[told["cell"].isin(differ)]
    own = raw.reindex([cell_of[place] for place in some["place"]])
    home = _home(draft)
    texts = {
        cell: ", ".join(
            text.format(str(value).removeprefix(home))
            for (name, text), value in zip(_NAMED.items(), row, strict=True)
            if differ[cell][name]
        )
        for cell, row in zip(some["cell"], own.itertuples(index=False), strict=True)
    }
    return [texts.get(cell, "") for cell in told["cell"].tolist()]


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
