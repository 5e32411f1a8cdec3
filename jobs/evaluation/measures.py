"""The figures of one proposer in one world: what it denies, admits, opens and writes."""

import json
from typing import Any, Final

import numpy as np
import pandas as pd

from jobs.evaluation.apart import measure_apart, measure_tunnels
from jobs.evaluation.counts import ALL, Measured
from jobs.evaluation.forecasts import measure_forecasts, measure_totals
from jobs.evaluation.judging import Judge, Verdicts
from jobs.evaluation.nouns import FAMILIES
from jobs.evaluation.occurrences import occurrences
from jobs.evaluation.pairs import PRICE_CLASSES, SHARED, openings, raw_rule_counts, strangers_admitted
from jobs.evaluation.proposers import Proposed
from jobs.evaluation.rulebook import NEEDS_REVIEW, RuleBook, places
from jobs.evaluation.truth import (
    LEGITIMATE,
    NEW_RELEASE,
    NEW_RUN,
    NEW_SHARD,
    NEW_TENANT,
    SECOND_TENANT,
    SEEN,
    UNSCORED,
    USE,
    classified,
)
from jobs.evaluation.world import World

#: Days after learning over which denials are counted.
HORIZONS: Final = (7, 14)


def measure(world: World, proposed: Proposed, first: int, learned: int) -> Measured:
    """
    Judge a proposer on the days after its window.

    Parameters
    ----------
    world
        With its truth.
    proposed
        Made from the days ``first`` to ``learned``.
    """
    measured = Measured()
    judge = Judge(world, proposed.manifests)
    uses = classified(world, first, learned, min(learned + max(HORIZONS), world.parameters.days))
    asked = uses.drop_duplicates(list(USE)).reset_index(drop=True)
    verdicts = judge.verdicts(asked)
    judged = uses.merge(_with(asked, verdicts), on=list(USE), how="left", validate="many_to_one")
    _later(measured, judged, learned)
    _attacks_later(measured, judged)
    book = RuleBook(world, proposed.forms)
    seen = _window(world, judge, first, learned)
    _held_back(measured, seen)
    _attacks_in_window(measured, seen, book)
    measure_apart(measured, world, seen, occurrences(world, first, learned, observed=True))
    _questions(measured, judge, book, first, learned)
    _size(measured, judge, proposed, first, learned)
    soon = judged[judged["period"] < learned + min(HORIZONS)]
    measure_forecasts(measured, book, seen, soon, _probes(world, learned))
    measure_totals(measured, book, proposed.forecast, soon)
    return measured


def _probes(world: World, learned: int) -> pd.DataFrame:
    """Probes of the node in the days of the nearer horizon."""
    uses = occurrences(world, learned, learned + min(HORIZONS), observed=False)
    probes = np.array([one.kind == UNSCORED for one in world.links], dtype=np.bool_)
    own: pd.DataFrame = uses[probes[uses["link"].to_numpy()]]
    return own


def _with(asked: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "allowed": verdicts.allowed,
        "egress_denied": verdicts.egress_denied,
        "ingress_denied": verdicts.ingress_denied,
        "undecided": verdicts.undecided,
        "guarded": verdicts.guarded,
    }
    return asked[list(USE)].assign(**columns)


def _cells(frame: pd.DataFrame) -> tuple[int, int]:
    """Cells of which a use was denied, and cells."""
    allowed = frame.groupby("cell")["allowed"].all()
    return int((~allowed).sum()), len(allowed)


def _later(measured: Measured, judged: pd.DataFrame, learned: int) -> None:
    """Legitimate traffic that would be denied, by horizon and truth class."""
    legit = judged[judged["truth"].isin(LEGITIMATE)]
    for horizon in HORIZONS:
        soon = legit[legit["period"] < learned + horizon]
        parts = {ALL: soon, "without new releases": soon[soon["truth"] != NEW_RELEASE]}
        parts["of known roles"] = soon[~soon["truth"].isin((NEW_RELEASE, SECOND_TENANT))]
        parts |= {truth: soon[soon["truth"] == truth] for truth in LEGITIMATE}
        for part, rows in parts.items():
            denied = int(rows.loc[~rows["allowed"], "flows"].sum())
            measured.add(f"flows_denied_{horizon}", denied, int(rows["flows"].sum()), part)
            measured.add(f"cells_denied_{horizon}", *_cells(rows), part)
    measured.add("undecided", int(legit["undecided"].sum()), len(legit))
    inside = legit[(legit["client_set"] >= 0) & (legit["server_set"] >= 0)]
    known = inside[inside["truth"].isin((SEEN, NEW_TENANT, SECOND_TENANT, NEW_SHARD, NEW_RUN))]
    denied_cells, cells = _cells(known)
    measured.add("internal_covered", cells - denied_cells, cells)
    for truth in (NEW_TENANT, SECOND_TENANT, NEW_SHARD, NEW_RUN):
        rows = legit[(legit["truth"] == truth) & legit["guarded"]]
        denied_cells, cells = _cells(rows)
        measured.add("newcomers_admitted", cells - denied_cells, cells, truth)


def _attacks_later(measured: Measured, judged: pd.DataFrame) -> None:
    """Attack cells begun after learning that would get through."""
    begun = judged[~judged["known"]]
    for family in FAMILIES:
        denied, cells = _cells(begun[begun["truth"] == family])
        measured.add("attack_later", cells - denied, cells, family)
        measured.add("attack_later", cells - denied, cells)


def _window(world: World, judge: Judge, first: int, learned: int) -> pd.DataFrame:
    """Links of the window as they are on its last day, judged; ``answered`` and ``truth`` beside them."""
    uses = occurrences(world, first, learned, observed=True)
    uses = uses[np.array([one.kind != "probe" for one in world.links])[uses["link"].to_numpy()]]
    newest = uses.drop_duplicates(["link", "address"], keep="last").reset_index(drop=True)
    family = np.array([one.kind if one.attack else "" for one in world.links])
    answered = np.array([one.answered for one in world.links])
    link = newest["link"].to_numpy()
    named = np.array([one.outside >= 0 and world.outsides[one.outside].name != "" for one in world.links])
    address = np.where(named[link], -1, newest["address"].to_numpy())
    cell = pd.factorize(pd.MultiIndex.from_arrays([link, address]), sort=True)[0]
    newest = newest.assign(family=family[link], answered=answered[link], cell=cell)
    judged: pd.DataFrame = newest.merge(_with(newest, judge.verdicts(newest)), on=list(USE), how="left")
    return judged


def _held_back(measured: Measured, seen: pd.DataFrame) -> None:
    """Legitimate cells of the window that the proposals do not admit."""
    legit = seen[seen["family"] == ""]
    measured.add("legit_held_back", *_cells(legit))


def _attacks_in_window(measured: Measured, seen: pd.DataFrame, book: RuleBook) -> None:
    """Attack cells of the window: admitted, and whether a reviewer is shown them."""
    for family in FAMILIES:
        rows = seen[seen["family"] == family]
        admitted = rows[rows["allowed"]]
        cells, passed = rows["cell"].nunique(), admitted["cell"].nunique()
        measured.add("attack_admitted", passed, cells, family)
        measured.add("attack_admitted", passed, cells)
        shown = rows.loc[~rows["allowed"], "cell"].nunique()
        for _, one in admitted.groupby("cell"):
            shown += int(any(_reviewed(book, row) for row in one.itertuples(index=False)))
        measured.add("attack_surfaced", shown, cells, family)
        measured.add("attack_surfaced", shown, cells)


def _reviewed(book: RuleBook, row: Any) -> bool:
    """Whether some gate of a use is opened only by rules that a person has to approve."""
    for place in places(row):
        rules = book.rules(place)
        if rules and all(NEEDS_REVIEW in rule["flags"] for rule in rules):
            return True
    return False


def _questions(measured: Measured, judge: Judge, book: RuleBook, first: int, learned: int) -> None:
    """DNS questions of intruders: a tunnel is nothing else."""
    tunnels = [
        one for one in judge.world.questions if one.family == "dns_tunnel" and first <= one.day < learned
    ]
    domains = {(one.client, one.day): one.name.partition(".")[2] for one in tunnels}
    for (client, day), domain in domains.items():
        label_set = int(judge.world.label_set_of[client, day])
        held = [book.forms[number]["quarantine"] for number in book.proposals(label_set)]
        for part in ("dns_tunnel", ALL):
            measured.add("attack_surfaced", domain in json.dumps(held), 1, part)
    asked = judge.questions(first, judge.world.parameters.days)
    measure_tunnels(measured, judge.world, asked[asked["day"] < learned])
    for family, rows in asked.groupby("family", sort=True):
        inside = rows[rows["day"] < learned]
        measured.add("questions_admitted", int(inside["admitted"].sum()), len(inside), str(family))
        if family == "dns_tunnel":
            later = rows[rows["day"] >= learned]
            for metric, those in (("attack_admitted", inside), ("attack_later", later)):
                for name in (str(family), ALL):
                    measured.add(metric, int(those["admitted"].sum()), len(those), name)


def _size(measured: Measured, judge: Judge, proposed: Proposed, first: int, learned: int) -> None:
    """What is opened, and how much there is to read."""
    world = judge.world
    until = min(learned + max(HORIZONS), world.parameters.days)
    opened = openings(judge, learned, until)
    measured.add("pairs_ratio", len(opened.admitted), len(opened.needed))
    measured.add("pairs_covered", len(opened.admitted & opened.needed), len(opened.needed))
    destinations, addresses = _needed_outside(world, first, until)
    for name in PRICE_CLASSES:
        measured.add("outside_predicates", opened.outside[name], destinations, name)
    measured.add("outside_addresses", opened.addresses, addresses)
    measured.add("shared_wildcards", opened.outside[SHARED], 1)
    measured.add("strangers_admitted", strangers_admitted(judge), len(world.strangers))
    workloads = opened.gates // 2
    per_workload, recorded = raw_rule_counts(world, first, learned)
    measured.add("rules_vs_exact", proposed.rule_count, per_workload)
    measured.add("rules_vs_naive", proposed.rule_count, recorded)
    measured.add("rules_per_workload", proposed.rule_count, workloads)
    measured.add("policies_per_workload", len(proposed.manifests), workloads)
    measured.add("default_deny", len(opened.enforced), opened.gates)
    for direction in ("egress", "ingress"):
        measured.add(
            "default_deny", sum(way == direction for _, way in opened.enforced), workloads, direction
        )
    inward, outward = ({n for n, way in opened.enforced if way == one} for one in ("ingress", "egress"))
    measured.add("workloads_denied", len(inward | outward), workloads, "any")
    measured.add("workloads_denied", len(inward & outward), workloads, "both")
    measured.add("refused_manifests", len(judge.policies.rejected), len(proposed.manifests))
    measured.add("replay_mismatches", sum("replay_mismatch" in form["flags"] for form in proposed.forms), 1)
    measured.add("seconds", proposed.seconds, 1)


def _needed_outside(world: World, first: int, until: int) -> tuple[int, int]:
    """Legitimate destinations outside per client: all, and the addresses of unnamed ones."""
    uses = occurrences(world, first, until, observed=False)
    links = [link.outside >= 0 and link.client >= 0 and not link.attack for link in world.links]
    mine = uses[np.array(links)[uses["link"].to_numpy()]]
    unnamed = np.array([one.outside >= 0 and world.outsides[one.outside].name == "" for one in world.links])
    bare = mine[unnamed[mine["link"].to_numpy()]]
    addresses = len(bare.drop_duplicates(["link", "address"]))
    return mine["link"].nunique(), addresses
