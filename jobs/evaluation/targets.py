"""Floors and targets that every figure is shown beside, from section 11 of the method and its aims."""

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from jobs.evaluation.apart import APART, DNS_SEEN, DNS_UNSEEN, GUARDED, REFUSED, SCANS
from jobs.evaluation.nouns import FAMILIES

Sense = Literal["most", "least", "within"]
Limit = float | tuple[float, float] | None
Unit = Literal["share", "count", "ratio", "seconds"]

#: Name of the proposer that carries numbers, and of the one to compare it with.
PORTOLAN: Final = "portolan"
EXACT: Final = "exact allow-list"

TARGET: Final = "target met"
FLOOR: Final = "floor met"
MISSED: Final = "not met"
PLAIN: Final = ""
NO_CASES: Final = "nothing to count"
NOT_GIVEN: Final = "not calibrated yet"
NONE_CARRIED: Final = "carries none"
NO_RUN: Final = "not run"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One figure with what it has to reach.

    Parameters
    ----------
    title
        For people.
    metric, part
        Where it stands in the summary.
    sense
        Whether the limits are upper or lower bounds, or ends of a range.
    floor, target
        By days learned (14, 28); ``None``: the figure is only shown.
    unit
        How it is written; a count is the number of hits.
    forecast
        It needs numbers that proposals may not carry yet.
    """

    title: str
    metric: str
    part: str = "all"
    sense: Sense = "most"
    floor: tuple[Limit, Limit] = (None, None)
    target: tuple[Limit, Limit] = (None, None)
    unit: Unit = "share"
    forecast: bool = False

    def limits(self, learned: int) -> tuple[Limit, Limit]:
        """Floor and target for a length of learning."""
        place = 0 if learned < 28 else 1  # noqa: PLR2004  # the two lengths that the method knows
        return self.floor[place], self.target[place]

    def reaches(self, value: float, limit: Limit) -> bool:
        """Whether a figure is good enough."""
        if isinstance(limit, tuple):
            return limit[0] <= value <= limit[1]
        if limit is None:
            return False
        return value <= limit if self.sense == "most" else value >= limit


def _both(limit: Limit) -> tuple[Limit, Limit]:
    return (limit, limit)


def _attack(family: str) -> Row:
    """Row of an attack family; the method asks more of what is plain to see."""
    title = f"Attack cells of the window admitted: {family.replace('_', ' ')}"
    if family in ("horizontal_scan", "slow_scan", "dns_tunnel", "generated_domains", "exec_debug"):
        return Row(title, "attack_admitted", family, floor=_both(0.02), target=_both(0.0))
    if family == "trojaned_image":
        return Row(title, "attack_admitted", family)
    return Row(title, "attack_admitted", family, floor=_both(0.35), target=_both(0.15))


def _apart(family: str) -> Row:
    """Row of a scan without the ways that a policy has to admit for others."""
    title = (
        f"Attack cells of the window admitted: {family.replace('_', ' ')}, wanted ways of the labels aside"
    )
    return Row(title, APART, family, floor=_both(0.02), target=_both(0.0))


def _guarded(family: str, title: str) -> Row:
    """Row of what must be refused without what no policy stands in the way of."""
    title = f"Attack cells of the window admitted: {title}, at gates under default deny"
    return Row(title, GUARDED, family, floor=_both(0.02), target=_both(0.0))


ROWS: Final = (
    Row(
        "Legitimate flows denied in the following 7 days",
        "flows_denied_7",
        floor=(1e-3, 5e-4),
        target=(3e-4, 1e-4),
    ),
    Row(
        "Legitimate flows denied in the following 7 days, new releases aside",
        "flows_denied_7",
        "without new releases",
        floor=(1e-3, 5e-4),
        target=(3e-4, 1e-4),
    ),
    Row(
        "Legitimate flows denied in 14 days, new releases aside",
        "flows_denied_14",
        "without new releases",
        floor=_both(1e-3),
    ),
    Row(
        "Legitimate flows denied in 14 days, new releases and second tenants aside",
        "flows_denied_14",
        "of known roles",
        floor=_both(1e-3),
    ),
    Row("Legitimate cells denied in 14 days", "cells_denied_14"),
    Row(
        "Cells seen while learning, denied in 14 days",
        "cells_denied_14",
        "seen",
        floor=_both(0.0),
        target=_both(0.0),
    ),
    Row("Cells told only as no edge, denied in 14 days", "cells_denied_14", "untold"),
    Row(
        "Needed internal cells covered (seen, new tenants, shards and runs)",
        "internal_covered",
        sense="least",
        floor=_both(0.985),
        target=_both(0.996),
    ),
    Row("New tenants of a known role admitted", "newcomers_admitted", "new tenant", "least", _both(0.95)),
    Row("Second tenants admitted", "newcomers_admitted", "second tenant", "least"),
    Row("New shards of a known role admitted", "newcomers_admitted", "new shard", "least", _both(0.95)),
    Row("New runs of what ran admitted", "newcomers_admitted", "new run", "least", _both(0.95)),
    *(_attack(family) for family in FAMILIES),
    *(_apart(family) for family in SCANS),
    Row(
        "Attack cells of the window admitted: dns tunnel, where DNS is seen",
        APART,
        DNS_SEEN,
        floor=_both(0.02),
        target=_both(0.0),
    ),
    Row("Attack cells of the window admitted: dns tunnel, where DNS is not seen", APART, DNS_UNSEEN),
    *(_guarded(family, family.replace("_", " ")) for family in REFUSED),
    _guarded(DNS_SEEN, "dns tunnel where DNS is seen"),
    Row(
        "Trojaned image: put before a reviewer",
        "attack_surfaced",
        "trojaned_image",
        "least",
        _both(1.0),
        _both(1.0),
    ),
    Row("Attack cells of the window admitted, all", "attack_admitted", floor=_both(0.10)),
    Row("Attack cells admitted, mean over families", "attack_admitted", "mean over families"),
    Row("Attack cells put before a reviewer", "attack_surfaced", sense="least"),
    Row("Attack cells after learning admitted", "attack_later"),
    Row("Legitimate cells of the window held back", "legit_held_back", floor=_both(0.05), target=_both(0.02)),
    Row(
        "Permissiveness: internal pairs opened per needed pair",
        "pairs_ratio",
        floor=_both(1.5),
        target=_both(1.2),
        unit="ratio",
    ),
    Row(
        "Shared-suffix wildcards proposed without approval",
        "shared_wildcards",
        floor=_both(0.0),
        target=_both(0.0),
        unit="count",
    ),
    Row(
        "Names of strangers admitted by a pattern", "strangers_admitted", floor=_both(0.0), target=_both(0.0)
    ),
    Row("Unnamed addresses opened per needed one", "outside_addresses", unit="ratio"),
    Row(
        "Rules relative to exact rules per workload", "rules_vs_exact", floor=_both(0.40), target=_both(0.25)
    ),
    Row("Rules relative to the exact allow-list", "rules_vs_naive", floor=_both(0.25)),
    Row("Rules per workload", "rules_per_workload", unit="ratio"),
    Row("Policies per workload", "policies_per_workload", unit="ratio"),
    Row("Gates of workloads under default deny", "default_deny", sense="least"),
    Row("Workloads under default deny in some direction", "workloads_denied", "any", sense="least"),
    Row("Workloads under default deny in both directions", "workloads_denied", "both", sense="least"),
    Row("p_need: rules that carry it", "p_need_given", sense="least", forecast=True),
    Row("p_need: ECE", "p_need_ece", floor=(0.04, 0.03), target=(0.02, 0.01), unit="ratio", forecast=True),
    Row("p_need: Brier", "p_need_brier", target=_both(0.045), unit="ratio", forecast=True),
    Row(
        "p_need: Brier skill against climatology", "p_need_skill", sense="least", unit="ratio", forecast=True
    ),
    Row("p_legit: ECE", "p_legit_ece", unit="ratio", forecast=True),
    Row("p_legit: Brier", "p_legit_brier", unit="ratio", forecast=True),
    Row(
        "P(any denial) per gate: ECE",
        "no_denial_ece",
        floor=_both(0.06),
        target=_both(0.03),
        unit="ratio",
        forecast=True,
    ),
    Row(
        "Expected denials of a namespace or cluster: coverage of the 90 % interval",
        "interval_coverage",
        sense="within",
        floor=_both((0.85, 0.97)),
        forecast=True,
    ),
    Row(
        "Expected denials of a namespace or cluster: coverage of the 95 % upper bound",
        "upper_coverage",
        sense="within",
        floor=_both((0.92, 1.0)),
        target=_both((0.94, 0.99)),
        forecast=True,
    ),
    Row(
        "Expected denials at one gate: coverage of the 90 % interval of whole numbers",
        "interval_coverage",
        "gate",
        sense="within",
        forecast=True,
    ),
    Row(
        "Expected denials at one gate: coverage of the 95 % upper bound",
        "upper_coverage",
        "gate",
        sense="within",
        forecast=True,
    ),
    Row(
        "Expected denials in total: absolute bias",
        "total_bias",
        floor=_both(0.25),
        target=_both(0.10),
        forecast=True,
    ),
    Row(
        "Readiness: realised rate as a multiple of the risk promised",
        "ready_realised",
        floor=_both(1.3),
        target=_both(1.0),
        unit="ratio",
        forecast=True,
    ),
    Row("Quiet nights: rules that change", "rule_changes", floor=_both(0.03), target=_both(0.01)),
    Row("Quiet nights: unchanged rules that flip", "unchanged_flips", floor=_both(0.01)),
    Row("Quiet nights: role pairs that flip", "pair_flips", floor=_both(0.03), target=_both(0.015)),
    Row("Time to stable: rules that change in the night after 14 days", "settling", "14", target=_both(0.01)),
    Row("Time to stable: rules that change in the night after 21 days", "settling", "21", floor=_both(0.01)),
    Row("Edges the evaluator could not decide", "undecided"),
    Row(
        "Manifests that Cilium would refuse",
        "refused_manifests",
        floor=_both(0.0),
        target=_both(0.0),
        unit="count",
    ),
    Row(
        "Proposals whose replay disagrees",
        "replay_mismatches",
        floor=_both(0.0),
        target=_both(0.0),
        unit="count",
    ),
    Row(
        "Reruns from shuffled rows that differ",
        "reruns_differ",
        floor=_both(0.0),
        target=_both(0.0),
        unit="count",
    ),
    Row("Seconds per run", "seconds", unit="seconds"),
)

#: Rows of the method's table that this command does not produce, and why.
ELSEWHERE: Final = (
    ("Drift precision, alerts and recall", "measured with the drift report"),
    ("Wrong removals among tightening recommendations", "measured with the drift report"),
    ("Nightly run at 10^6 cells", "measured by portolan bench"),
    (
        "Leave-one-family-out",
        "the second channel is scored so by its own tests; here all families act in every world",
    ),
)


def by_place(summary: pd.DataFrame) -> dict[tuple[str, str, int, str, str], dict[str, Any]]:
    """Rows of a summary by method, posture, days learned, metric and part."""
    return {
        (row["method"], row["posture"], int(row["learned"]), row["metric"], row["part"]): {
            str(key): value for key, value in row.items()
        }
        for row in summary.to_dict("records")
    }


def scorecard(summary: pd.DataFrame) -> pd.DataFrame:
    """
    Every row of the table for every trial.

    Returns
    -------
    pandas.DataFrame
        ``title method posture learned value floor target verdict low low_world high high_world unit hits``;
        ``verdict`` is one of the constants of this module, PLAIN where there is no limit.
    """
    figures = by_place(summary)
    trials = summary[["method", "posture", "learned"]].drop_duplicates()
    rows = []
    for row in ROWS:
        for trial in trials.itertuples(index=False):
            method, posture, learned = str(trial.method), str(trial.posture), int(str(trial.learned))
            floor, target = row.limits(learned)
            place = (method, posture, learned, row.metric, row.part)
            found = figures.get(place)
            value = (
                float("nan") if found is None else float(found["hits" if row.unit == "count" else "value"])
            )
            rows.append(
                {
                    "title": row.title,
                    "method": method,
                    "posture": posture,
                    "learned": learned,
                    "value": value,
                    "floor": floor,
                    "target": target,
                    "verdict": _verdict(
                        row, value, floor, target, carries=method == PORTOLAN, ran=found is not None
                    ),
                    "unit": row.unit,
                    "sense": row.sense,
                    **{name: None if found is None else found[name] for name in _ENDS},
                }
            )
    return pd.DataFrame(rows)


_ENDS: Final = ("hits", "total", "low", "low_world", "high", "high_world")


def _verdict(row: Row, value: float, floor: Limit, target: Limit, *, carries: bool, ran: bool) -> str:
    if math.isnan(value):
        if row.forecast:
            return NOT_GIVEN if carries else NONE_CARRIED
        return NO_CASES if ran else NO_RUN
    if floor is None and target is None:
        return PLAIN
    if target is not None and row.reaches(value, target):
        return TARGET
    # Where only a target is stated, missing it is missing the row.
    return FLOOR if floor is not None and row.reaches(value, floor) else MISSED
