"""Whether the numbers that proposals carry came true; a number that is not given is counted as missing."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from jobs.evaluation.counts import Measured
from jobs.evaluation.rulebook import RuleBook, places
from jobs.evaluation.truth import LEGITIMATE

DIRECTIONS = ("egress", "ingress")
#: What an interval speaks of: one gate, or the sum over the policies of a namespace or of the cluster.
GATE = "gate"
TOTAL = "total"


def measure_forecasts(
    measured: Measured, book: RuleBook, seen: pd.DataFrame, later: pd.DataFrame, probes: pd.DataFrame
) -> None:
    """
    Compare forecasts with the seven days after learning.

    ``p_need_7d`` speaks of those seven days; ``p_need`` speaks of 35, which no world has after learning. A
    rule is needed by a use that it admits at its own gate, whatever the policy of the other end says.

    Parameters
    ----------
    book
        Proposals with their numbers.
    seen
        Uses of the window, with ``family``.
    later
        Judged uses of the seven days after it.
    probes
        Probes of the node on these days: no policy stops them, but a rule for the node is used by them.
    """
    used = _rule_ids(book, later) | _rule_ids(book, probes)
    hostile = _rule_ids(book, seen[seen["family"] != ""])
    denied = _denied_cells(book, later)
    expected_total = actual_total = 0.0
    complete = bool(book.forms)
    for number, form in enumerate(book.forms):
        for rule in form["rules"]:
            place = (number, str(rule["id"]))
            measured.forecast("p_need", rule["p_need_7d"], place in used)
            measured.forecast("p_legit", rule["p_legit"], place not in hostile)
        for direction in DIRECTIONS:
            numbers = form["completeness"][direction]
            if not numbers["enforced"]:
                continue
            actual = denied.get((number, direction), 0)
            given = numbers["probability_no_denial_7d"]
            measured.forecast("no_denial", given, actual == 0)
            interval = numbers["interval"]
            if interval is not None:
                measured.intervals.append((GATE, float(interval[0]), float(interval[1]), float(actual)))
            measured.add("interval_given", interval is not None, 1)
            expected = numbers["expected_denied_edges_7d"]
            complete = complete and expected is not None
            expected_total += float(expected or 0.0)
            actual_total += actual
    if complete:
        measured.add("expected_vs_actual", expected_total, actual_total)


def measure_totals(
    measured: Measured, book: RuleBook, forecast: Mapping[str, Any], later: pd.DataFrame
) -> None:
    """
    Compare the forecast totals of the cluster and of each namespace with the seven days after learning.

    The method states the coverage of totals. At a single gate most counts are 0, and an interval of whole
    numbers that holds at least nine in ten then holds nearly all; that is shown beside it.
    """
    if not forecast or forecast["cluster"]["interval"] is None:
        return
    actual: Counter[str] = Counter()
    for (number, _), cells in _denied_cells(book, later).items():
        actual[str(book.forms[number]["namespace"])] += cells
    named = [(one["interval"], actual[one["namespace"]]) for one in forecast["namespaces"]]
    for (low, high), count in [*named, (forecast["cluster"]["interval"], actual.total())]:
        measured.intervals.append((TOTAL, float(low), float(high), float(count)))


def _rule_ids(book: RuleBook, uses: pd.DataFrame) -> set[tuple[int, str]]:
    """Rules that admit at least one of the uses, with the number of their proposal."""
    found: set[tuple[int, str]] = set()
    for row in uses.drop_duplicates(["link", "client_set", "server_set", "address"]).itertuples(index=False):
        for place in places(row):
            ids = {str(rule["id"]) for rule in book.rules(place)}
            found |= {(number, one) for number in book.proposals(place.own_set) for one in ids}
    return found


def _denied_cells(book: RuleBook, later: pd.DataFrame) -> dict[tuple[int, str], int]:
    """Legitimate cells that a gate denies, by proposal and direction."""
    cells: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
    legit: Any = later[later["truth"].isin(LEGITIMATE) & ~later["allowed"]]
    for row in legit.itertuples(index=False):
        for direction, gone, own in (
            ("egress", row.egress_denied, row.client_set),
            ("ingress", row.ingress_denied, row.server_set),
        ):
            if gone:
                for number in book.proposals(int(own)):
                    cells[(number, direction)].add(int(row.cell))
    return {place: len(found) for place, found in cells.items()}
