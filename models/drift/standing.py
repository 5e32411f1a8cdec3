"""
How each cell stands: days seen, the chance that it is needed again, whether it looks wanted.

What is estimated here comes from the estimators of `models.learning`; this module only feeds them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from models.domain.quarantine import quarantine_id
from models.drift.night import RAW, Scene
from models.drift.rejected import RejectedRule, rejected_cells, rejected_words
from models.learning.cells import to_cells
from models.learning.days import HOURS_PER_DAY, MAX_DAY_LOSS, ObservedDays
from models.learning.incidence import DayIncidence
from models.learning.recurrence import CONFIDENCE_HORIZON, Recurrence
from models.learning.screening import MIN_SCREENED_DAYS, Screening
from models.learning.screening_features import screening_features
from models.learning.templates import used_templates
from models.synthesis.cell_pods import End, cell_pods, pod_names
from models.synthesis.surroundings import surroundings

#: Cells of the estate that others are compared with; more say nothing new and cost minutes.
MAX_ESTATE: Final = 40_000
#: Cells of the estate below which "the oddest one in a hundred" means nothing.
MIN_ESTATE: Final = 30
#: Code of screening for several first calls to other teams at once.
STRANGERS: Final = "strangers_at_once"
#: Workloads of other namespaces that a caller may have by its rules for whom strangers are everyday.
MANY_STRANGERS: Final = 12


@dataclass(frozen=True)
class Standing:
    """
    Cells of the history and of tonight.

    Parameters
    ----------
    cells
        `DayIncidence.cells_` over both, keyed by cell.
    days
        Which days were fully observed.
    need
        Probability that a cell is used again within 35 days, keyed by cell.
    new
        Cells that were never seen before tonight; empty without a history, for then everything is.
    legit
        Probability that a cell is wanted, keyed by cell; of those that no rule allows.
    odd
        Codes of what is odd about them, joined by ``;``; "" where nothing is.
    sociable
        Callers that rules let call many workloads of other namespaces.
    held
        Cells that inference holds back for a person to decide.
    confirmed
        Cells that a person confirmed as unwanted: `models.drift.confirmed` tells of them, and nobody else.
    rejected
        Cells that a rule would admit which a reviewer rejected, with that rule: told, and never offered.
    """

    cells: pd.DataFrame
    days: ObservedDays
    need: "pd.Series[Any]"
    new: frozenset[str]
    legit: "pd.Series[Any]"
    odd: "pd.Series[Any]"
    sociable: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    rejected: Mapping[str, RejectedRule] = field(default_factory=dict)

    def keeps_out(self, cell: str) -> bool:
        """Whether no change may be offered that admits a cell: somebody decided so, or has to decide."""
        return cell in self.held or cell in self.rejected

    def decisions(self, cells: Iterable[str]) -> str:
        """What is said besides of cells whose rule was rejected; "" where none was."""
        return rejected_words(self.rejected[cell] for cell in cells if cell in self.rejected)

    def looks(self, cells: frozenset[str], callers: frozenset[str]) -> tuple[float | None, tuple[str, ...]]:
        """
        The least legitimate of some cells, and everything odd about any of them.

        Who calls many teams every day (a scraper, an ingress) is not odd for calling a new one.
        """
        known = sorted(cell for cell in cells if cell in self.legit.index)
        if not known:
            return None, ()
        codes = {code for cell in known for code in str(self.odd[cell]).split(";") if code}
        if callers <= self.sociable:
            codes -= {STRANGERS}
        return float(self.legit[known].min()), tuple(sorted(codes))


def stand(
    scene: Scene,
    held: frozenset[str] = frozenset(),
    confirmed: frozenset[str] = frozenset(),
    rejected: Iterable[RejectedRule] = (),
) -> Standing:
    """
    Judge every cell by its days, and those by their looks that no rule allows.

    Parameters
    ----------
    scene
        The night, and the history where there is one.
    held
        Ids of what inference holds back.
    confirmed
        Cells that a person confirmed as unwanted.
    rejected
        Rules that reviewers rejected.
    """
    # What is new tonight and has its rule needs no judgement: on a large night that is nearly everything.
    known = scene.rows["cell"].isin(set(scene.past["cell"])) if scene.history is not None else True
    asked_for = scene.rows[known | (scene.rows["part"] < 0)]
    rows = pd.concat([scene.past[scene.rows.columns.intersection(scene.past.columns)], asked_for])
    rows = rows.reset_index(drop=True)
    cell_days = to_cells(rows, subjects=scene.owners, peers=scene.entities)
    incidence = DayIncidence(MAX_DAY_LOSS).fit(cell_days, covered(scene, rows))
    cells, days = incidence.cells_, incidence.days_
    need = Recurrence(horizon=CONFIDENCE_HORIZON).fit(cells, days).p_need_
    kept, closed = _kept_back(scene, held), rejected_cells(scene, rejected)
    passed = scene.rows["flows"] + scene.rows["stopped"] > 0
    new = frozenset[str]()
    if scene.history is not None:
        new = frozenset(scene.rows.loc[passed, "cell"]) - frozenset(scene.past["cell"])
    unruled = scene.rows["part"] < 0
    asked = sorted(set(scene.rows.loc[passed & unruled & ~_asks_resolver(scene), "cell"]))
    estate = cells.index.difference(asked)
    if not asked or len(cells) < MIN_ESTATE or days.heard_count < MIN_SCREENED_DAYS:
        nothing = pd.Series(dtype="float64"), pd.Series(dtype="str")
        return Standing(cells, days, need, new, *nothing, held=kept, confirmed=confirmed, rejected=closed)
    if len(estate) > MAX_ESTATE:
        estate = estate[:: -(-len(estate) // MAX_ESTATE)]
    around = surroundings(scene.everything, scene.view)
    chosen = _with_pods(cells.loc[estate.union(asked)].sort_index(), scene, rows, around.rolled_out)
    facts = screening_features(_without_refusals(chosen), around, days)
    screening = Screening().fit(facts, days.heard_count)
    odd = screening.reasons_.loc[asked].fillna("")
    legit = screening.p_legit_.loc[asked]
    return Standing(cells, days, need, new, legit, odd, _sociable(scene), kept, confirmed, closed)


def _kept_back(scene: Scene, held: frozenset[str]) -> frozenset[str]:
    """Cells without a rule that inference holds back."""
    if not held:
        return frozenset()
    cells = sorted(set(scene.rows.loc[scene.rows["part"] < 0, "cell"]))
    return frozenset(cell for cell in cells if quarantine_id(scene.night.cluster, cell) in held)


def _sociable(scene: Scene) -> frozenset[str]:
    """Callers with rules to many workloads of other namespaces, used before tonight."""
    used = scene.past[(scene.past["part"] >= 0) & (scene.past["peer_kind"] == "endpoint")]
    pairs = pd.DataFrame(
        {
            "caller": used["owner"].where(used["direction"] == "egress", used["far"]),
            "called": used["far"].where(used["direction"] == "egress", used["owner"]),
        }
    ).drop_duplicates()
    away = pairs["caller"].str.partition("/")[0] != pairs["called"].str.partition("/")[0]
    counts = pairs[away].groupby("caller").size()
    return frozenset(str(name) for name in counts.index[counts >= MANY_STRANGERS])


def covered(scene: Scene, rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage of both windows; days of traffic without any are taken as fully observed."""
    coverage = scene.everything.coverage
    bare = sorted(set(rows["day"].unique()) - set(coverage["day"].unique()))
    if not bare:
        return coverage
    flat = {"cluster": scene.night.cluster, "nodes": 1, "expected_nodes": 1, "seconds": 3600, "flows": 1}
    hours = [flat | {"day": day, "hour": hour} for day in bare for hour in range(HOURS_PER_DAY)]
    assumed = pd.DataFrame(hours).reindex(columns=coverage.columns, fill_value=0)
    return pd.concat([coverage, assumed.astype(coverage.dtypes.to_dict())], ignore_index=True)


def _asks_resolver(scene: Scene) -> "pd.Series[bool]":
    """Rows that ask the cluster's resolvers: what is asked is looked at by name, never held back whole."""
    ports = scene.view.resolver_ports
    server = scene.rows["peer"].where(scene.rows["direction"] == "egress", scene.rows["subject"])
    return server.map(ports).eq(scene.rows["port"])


def _with_pods(
    cells: pd.DataFrame, scene: Scene, rows: pd.DataFrame, rolled_out: Mapping[str, tuple[int, ...]]
) -> pd.DataFrame:
    """Cells with the distinct pods at either end, the name of the only one, and the templates of pods."""
    keys = [column for column in RAW if column != "peer_names"]
    distinct = rows[[*keys, "cell"]].drop_duplicates()
    distinct = distinct[distinct["cell"].isin(cells.index)]
    joined = distinct.merge(scene.everything.edge_pods, on=keys, how="inner")
    for side in ("subject", "peer"):
        seen = [joined[f"{side}_pod{end}"].tolist() for end in ("s", "_min", "_max")]
        ends = map(End, joined["cell"], joined[side], seen[0], map(pod_names, *seen))
        found = cell_pods(ends).add_prefix(f"{side}_").reindex(cells.index)
        cells = cells.join(found.astype({f"{side}_pods": "float64"}).fillna({f"{side}_pod": ""}))
    days = rows[[*keys, "first_us", "last_us"]].merge(joined[keys].assign(edge=joined.index), on=keys)
    return cells.join(used_templates(cells, joined, days, rolled_out))


def _without_refusals(cells: pd.DataFrame) -> pd.DataFrame:
    """
    Cells whose attempts policy refused, as attempts of unknown outcome.

    That a policy stopped a call says nothing about who made it: counted as failures, every new
    dependency would look like a scan.
    """
    refused = (cells["flows"] == 0) & (cells["denied"] > 0)
    changed = cells.copy()
    for column in ("denied", "connections"):
        changed[column] = changed[column].where(~refused, 0)
    return changed
