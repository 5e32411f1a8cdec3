"""What all policies would deny within a week, for the cluster and for each namespace, in contract form."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.confidence.completeness import NAMESPACE_SHOCK, Completeness
from models.confidence.scheduled import unseen_key
from models.learning.recurrence import HORIZON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.confidence.report import CalibrationReport
    from models.domain.cron_job import CronJob
    from models.domain.proposal import Proposal

#: Digits of an expected number.
DIGITS: Final = 3


def totals(
    complete: Completeness,
    report: CalibrationReport,
    proposals: Sequence[Proposal],
    cron_jobs: Sequence[CronJob],
) -> dict[str, Any]:
    """
    Sums over policies, for the cluster and per namespace.

    Parameters
    ----------
    complete
        Fitted on the cells of the policies.
    report
        With the common shock and the ends of intervals that held-out weeks left.
    proposals, cron_jobs
        Tell which cells are of which namespace.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for one in cron_jobs:
        keys[one.namespace].add(unseen_key(one))
    for proposal in proposals:
        keys[proposal.namespace].add(proposal.key)
    return {
        "horizon_days": HORIZON,
        "reason": complete.reason_,
        "not_observed": list(complete.uncovered_),
        "cluster": _total(complete.total(report.shock, ends=report.ends)),
        "namespaces": [
            {"namespace": name, **_total(complete.total(NAMESPACE_SHOCK, frozenset(keys[name]), report.ends))}
            for name in sorted(keys)
        ],
    }


def _total(numbers: dict[str, float]) -> dict[str, Any]:
    if np.isnan(numbers["expected"]):
        return {"expected_denied_edges_7d": None, "interval": None}
    return {
        "expected_denied_edges_7d": round(numbers["expected"], DIGITS),
        "interval": [int(numbers["low"]), int(numbers["high"])],
    }
