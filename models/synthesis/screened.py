"""
What is held back for a person to decide, and how wanted everything else looks.

The screening of `models.learning.screening` is asked about the cells of the window; its answer is kept by
edge, so that whoever builds rules can leave out what is held back and say why.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from models.domain.confidence import CALIBRATED, PRIOR
from models.domain.held_cell import FROM_MEMORY, HeldCell
from models.frames import Observations
from models.learning.carried import UNWANTED_NAME, carry_verdicts
from models.learning.days import MIN_HEARD
from models.learning.evidence import Evidence
from models.learning.quarantine import (
    ADMITTED,
    EXCLUDED,
    LATER,
    QUARANTINED,
    REVIEWED,
    decide_fates,
)
from models.learning.remembered import NOTHING_RECALLED, Recall, acquitted, recall, remember
from models.learning.screening import MIN_SCREENED_DAYS, TOO_LITTLE, Screening
from models.learning.screening_features import screening_features
from models.learning.second_channel import ADMIT
from models.learning.templates import used_templates
from models.synthesis.edges import EdgeTable
from models.synthesis.memory import NO_MEMORY, Memory
from models.synthesis.questions_asked import Tunnel, find_tunnels
from models.synthesis.raw_cells import RawCells, raw_cells
from models.synthesis.surroundings import surroundings
from models.synthesis.view import ClusterView, Posture, is_dns


@dataclass(frozen=True, slots=True)
class Screened:
    """
    The screened cells of a window.

    Parameters
    ----------
    raw
        The cells, and the cell of every edge.
    facts
        What the screening knows of each cell (`screening_features`).
    fates
        ``fate``, ``reasons`` (joined by ``;``) and ``wanted`` by cell.
    screening
        The fitted model; ``None`` where too little was seen to screen.
    tunnels
        Domains whose names carry data and that nobody admitted.
    deployed
        Workloads (`raw_cells.workload_id`) that got a new pod template in the window.
    recalled
        What the night before remembered, and people said, of these cells.
    """

    raw: RawCells
    facts: pd.DataFrame
    fates: pd.DataFrame
    screening: Screening | None
    tunnels: tuple[Tunnel, ...] = ()
    deployed: frozenset[str] = frozenset()
    recalled: Recall = NOTHING_RECALLED

    @property
    def unscreened(self) -> str:
        """Why nothing was screened, in words; empty where it was, and where there was nothing to screen."""
        if self.screening is not None or not len(self.facts):
            return ""
        heard, all_days = self.raw.days.heard_count, len(self.raw.days.exposure)
        return (
            f"nothing was screened: at least {MIN_HEARD:.0%} of the capture arrived on {heard} of {all_days} "
            f"days, {MIN_SCREENED_DAYS} such days are needed; what looks odd is allowed like everything else"
        )

    def held(self) -> dict[int, str]:
        """Reason code by place of the edge, of everything that gets no rule."""
        quarantined = self.fates["fate"] == QUARANTINED
        unwanted = (self.fates["fate"] == EXCLUDED) & (self.fates["reasons"] == REVIEWED)
        code_of = dict.fromkeys(self.fates.index[quarantined], "quarantined")
        code_of |= dict.fromkeys(self.fates.index[unwanted], REVIEWED)
        return {place: code_of[cell] for place, cell in enumerate(self.raw.cell_of) if cell in code_of}

    def release(self, places: Collection[int]) -> "Screened":
        """The same with the quarantined cells of some edges admitted, except those that people put off."""
        cells = {self.raw.cell_of[place] for place in places}
        cells -= {cell for cell, verdict in self.recalled.verdicts.items() if verdict == LATER}
        freed = self.fates.index.isin(cells) & (self.fates["fate"] == QUARANTINED).to_numpy()
        fates = self.fates.copy()
        fates.loc[freed, ["fate", "reasons"]] = [ADMITTED, ""]
        return replace(self, fates=fates)

    def held_back(self) -> frozenset[str]:
        """Cells that wait for a person."""
        return frozenset(self.fates.index[self.fates["fate"] == QUARANTINED])

    def remembered(self) -> dict[str, HeldCell]:
        """What tomorrow's run is to know of cells that are or were held back."""
        return remember(self.recalled, self.fates, self.raw.cells, self.facts)

    def released_places(self) -> frozenset[int]:
        """Places of the edges that were held back lately and that evidence, not a person, released."""
        cells = {cell for cell, one in self.remembered().items() if not one.held}
        return frozenset(place for place, cell in enumerate(self.raw.cell_of) if cell in cells)

    def admitted_places(self) -> frozenset[int]:
        """Places of the edges that were held back and that a person admitted."""
        cells = {cell for cell, verdict in self.recalled.verdicts.items() if verdict == ADMIT}
        return frozenset(place for place, cell in enumerate(self.raw.cell_of) if cell in cells)

    def review_places(self) -> frozenset[int]:
        """Places of the edges that a person should look at whatever their score."""
        if self.screening is None:
            return frozenset()
        cells = frozenset(self.screening.review_.index[self.screening.review_])
        return frozenset(place for place, cell in enumerate(self.raw.cell_of) if cell in cells)

    def reasons(self, cell: str) -> tuple[str, ...]:
        """Codes of what fired for a cell; empty where nothing did."""
        text = str(self.fates["reasons"].get(cell, ""))
        return tuple(part for part in text.split(";") if part)

    def fired(self, cell: str) -> float:
        """
        Tests that speak against a cell: at least one where it is held back for what fired before.

        A scan stands for as many as its run does. What was done beside a lone sighting has that test against
        it, too. That a posture asks for more evidence is no evidence.
        """
        codes = frozenset(self.reasons(cell)) - {TOO_LITTLE}
        own = codes - FROM_MEMORY
        more = max(float(self.facts["scan_tests"].get(cell, 0.0)) - 1.0, 0.0) if "scan" in own else 0.0
        return max(len(own), min(len(codes), 1)) + more + ("beside_lone_sighting" in own)

    def lacks_evidence(self, cell: str) -> bool:
        """Whether a cell is held back only because the posture asks for more than speaks for it."""
        return frozenset(self.reasons(cell)) == {TOO_LITTLE}

    def p_legit(self, cell: str) -> float | None:
        """Probability that a cell is wanted; ``None`` where too little was seen."""
        return None if self.screening is None else float(self.screening.p_legit_[cell])

    def evidence(self, cell: str) -> tuple[Evidence, ...]:
        """Ledger of a cell."""
        return () if self.screening is None else self.screening.evidence(cell)

    def calibrated(self, cell: str) -> bool:
        """Whether `p_legit` of a cell rests on verdicts."""
        return self.screening is not None and bool(self.screening.calibrated_.get(cell, default=False))

    def provenance(self, cell: str) -> str:
        """What `p_legit` of a cell rests on."""
        return CALIBRATED if self.calibrated(cell) else PRIOR

    def judged(self) -> frozenset[str]:
        """All cells of which `p_legit` rests on verdicts."""
        if self.screening is None:
            return frozenset()
        return frozenset(self.screening.calibrated_.index[self.screening.calibrated_])


def screen(
    observations: Observations,
    view: ClusterView,
    table: EdgeTable,
    posture: Posture = "balanced",
    memory: Memory = NO_MEMORY,
) -> Screened:
    """
    Screen a window.

    Parameters
    ----------
    observations
        Of one cluster.
    view
        Who is who.
    table
        The distinct edges of the window.
    posture
        ``strict`` demands two kinds of evidence for every outside destination.
    memory
        Verdicts, and last night's fates.
    """
    raw = raw_cells(observations, view, table)
    around = surroundings(observations, view)
    verdicts = pd.Series(dict(memory.verdicts), dtype="str")
    holding, doubtful = carry_verdicts(verdicts, raw.cells.index)
    until_us = int(observations.window.end.timestamp()) * 1_000_000
    recalled = recall(memory.fates or {}, holding, raw.cells, until_us)
    cells = raw.cells.join(_templates(observations, table, raw, around.rolled_out))
    facts = screening_features(cells.assign(news=recalled.news(cells.index)), around, raw.days)
    screening = None
    reasons = pd.Series("", index=facts.index, dtype="str", name="reasons")
    if raw.days.heard_count >= MIN_SCREENED_DAYS and len(facts):
        screening = Screening(lone_sighting=posture != "generous", two_evidence=posture == "strict")
        lessons = verdicts.loc[~verdicts.index.isin(memory.echoes)]
        spared = facts.index[_resolvers(view, table, raw, facts)]
        reasons = screening.fit(facts, raw.days.heard_count, lessons, spared).reasons_
    for cell in sorted(doubtful):
        reasons.loc[cell] = ";".join(filter(None, (reasons.loc[cell], UNWANTED_NAME)))
    # without screening nothing can be told, and that nothing fires says nothing
    clear = acquitted(recalled, facts) if screening else pd.Series(data=False, index=facts.index)
    fates = decide_fates(reasons, _unworkable(facts), holding, recalled.frame(), clear)
    tunnels = find_tunnels(observations, view, max(raw.days.count + len(raw.days.partial), 1))
    refused = tuple(one for one in tunnels if memory.verdicts.get(one.cell) != ADMIT)
    return Screened(raw, facts, fates, screening, refused, around.new_images, recalled)


def _templates(
    observations: Observations, table: EdgeTable, raw: RawCells, rolled_out: Mapping[str, tuple[int, ...]]
) -> pd.DataFrame:
    """Pod templates under which the origin of each cell made it (`models.learning.templates`)."""
    pods = [(edge.subject_pods, edge.peer_pods) for edge in table.edges]
    edges = pd.DataFrame(pods, columns=["subject_pods", "peer_pods"]).assign(cell=raw.cell_of)
    days = observations.edge_days[["first_us", "last_us"]].assign(edge=table.row_edge)
    return used_templates(raw.cells, edges, days, rolled_out)


def _resolvers(view: ClusterView, table: EdgeTable, raw: RawCells, facts: pd.DataFrame) -> "pd.Series[bool]":
    """
    Cells that ask the cluster's resolvers, of workloads with an owner.

    Holding back a way to ask would stop everything else the workload does; what it asks is looked at by
    name.
    """
    asks = {
        raw.cell_of[edge.place]
        for edge in table.edges
        if is_dns(edge) and (edge.peer if edge.direction == "egress" else edge.subject) in view.resolver_ports
    }
    return pd.Series(facts.index.isin(asks), index=facts.index) & (facts["owned"] != 0.0)


def _unworkable(facts: pd.DataFrame) -> "pd.Series[str]":
    """
    Cells of which nothing ever worked, with the code under which they are left out.

    Nobody would admit them, so nobody is asked about them.
    """
    codes = pd.Series("", index=facts.index, dtype="str")
    codes = codes.mask(facts["only_failed"], "unanswered").mask(facts["only_dropped"], "dropped")
    return codes.loc[codes != ""]
