"""
The evidence score: what each fact adds to the log odds that traffic is wanted, and the sentence for it.

The weights are the method's first guess (section 5). They order cells for review; what they are worth as
probability is for the calibration on verdicts to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.concentration import MIN_REPLICAS, UNKNOWN_CONCENTRATION
from models.learning.evidence import Evidence
from models.learning.screening_features import FEATURES, passing

Floats = npt.NDArray[np.float64]
#: One row of a frame, by column.
Row = Mapping[Any, Any]

LONGEST_NAME: Final = 253  # of a Kubernetes object; what a record calls a pod may be anything
ZONE: Final = (2.0, 3.0)  # inside, and what being outside takes away
OWNED: Final = (0.6, 0.3)  # a controller speaks for it, none against it
DEBUG: Final = -4.0  # of a debug container, an exec session, and of a bare pod that passes
DECLARED: Final = 1.5
DEPLOY_ADJACENT: Final = 1.0
UNNAMED: Final = 0.8
#: How a share of replicas that says nothing is weighed: as one half, where the weight is above zero.
_UNTOLD: Final = "which is weighed as a middling share of them"
FAIL: Final = (6.0, 5.0)  # per share failed, and the most it takes


def contributions(facts: pd.DataFrame) -> pd.DataFrame:
    """
    Log odds that each fact adds; unknown facts add nothing.

    Parameters
    ----------
    facts
        `models.learning.screening_features.screening_features`.

    Returns
    -------
    pandas.DataFrame
        Keyed by cell, one column per feature, natural log odds.
    """
    f = {name: facts[name].to_numpy(dtype=np.float64) for name in FEATURES}
    owned = np.where(passing(facts) & (f["debug"] != 1.0), DEBUG, OWNED[0] * f["owned"] - OWNED[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = {
            "external": ZONE[0] - ZONE[1] * f["external"],
            "concentration": np.clip(2.2 * np.log(1.5 - f["concentration"]) + 0.5, -2.5, 1.5),
            "days": np.clip(0.8 * (np.log2(np.maximum(f["days"], 1.0)) - 1.0), -0.8, 2.2),
            "fail": -np.clip(FAIL[0] * f["fail"], 0.0, FAIL[1]),
            "breadth": -1.2 * np.clip(np.log1p(f["breadth"]) - 1.2, 0.0, 4.0),
            "popularity": np.clip(1.2 * np.log1p(f["popularity"]), 0.0, 2.0),
            "declared": DECLARED * f["declared"],
            "named": UNNAMED * (f["named"] - 1.0),
            "entropy": -np.clip(3.0 * (f["entropy"] - 3.2), 0.0, 4.0),
            "nxdomain": -np.clip(8.0 * f["nxdomain"], 0.0, 4.0),
            "regularity": -np.clip(2.5 * (f["regularity"] - 0.6), 0.0, 1.2),
            "upload": -np.clip(f["upload"] - 0.8, 0.0, 2.0),
            "debug": DEBUG * f["debug"],
            "deploy_adjacent": DEPLOY_ADJACENT * f["deploy_adjacent"],
            "owned": owned,
        }
    return pd.DataFrame(terms, index=facts.index).fillna(0.0)[list(FEATURES)]


def evidence_of(facts: Row, terms: Row) -> tuple[Evidence, ...]:
    """
    Ledger of one cell: every fact that is known and weighs something, in the order of `FEATURES`.

    Parameters
    ----------
    facts, terms
        One row of the features and of `contributions`.
    """
    rows = []
    for name in FEATURES:
        weight = float(terms[name])
        if weight != 0.0 and not math.isnan(facts[name]):
            rows.append(Evidence.from_log_odds(name, weight, _sentence(name, facts)))
    return tuple(rows)


def _sentence(name: str, facts: Row) -> str:
    if name == "concentration":
        return _replicas(facts)
    if name == "owned" and passing(facts):
        return "the pod has no controller and was there for a few days at most"
    return _days(facts) if name == "days" else _SENTENCES[name](float(facts[name]))


_SENTENCES: Final[Mapping[str, Callable[[float], str]]] = {
    "external": lambda value: (
        "the peer is outside the cluster" if value else "the peer is inside the cluster"
    ),
    "fail": lambda value: f"{value:.0%} of the attempts failed",
    "breadth": lambda value: f"{value:.0f} other peers or ports were new in the same hour",
    "popularity": lambda value: f"{value:.0f} other teams with other images call the same peer",
    "declared": lambda _: "the port is declared or commonly known",
    "named": lambda _: "no DNS answer preceded the connection",
    "entropy": lambda value: f"names look random: {value:.1f} bits per character",
    "nxdomain": lambda value: f"{value:.0%} of the questions under this domain had no answer",
    "regularity": lambda _: "the gaps between connections are very even",
    "upload": lambda value: f"sends 10^{value:.1f} times what it receives",
    "debug": lambda _: "comes from a debug container or an exec session",
    "deploy_adjacent": lambda _: "first seen within a day after a rollout",
    "owned": lambda value: "the pod has a controller" if value else "the pod has no controller",
}


def _days(facts: Row) -> str:
    days, callers = float(facts["days"]), int(facts.get("callers", 1))
    text = f"seen on {days:.0f} {'day' if days == 1 else 'days'}"
    if callers > 1:
        return f"{text}, from {callers:,} outside callers together"
    if facts.get("together"):
        return f"{text}, {facts['together']} together"
    return text if days <= facts["own_days"] else f"{text}, with other addresses of the same network"


def _replicas(facts: Row) -> str:
    pods, replicas = facts["pods"], facts["replicas"]
    if math.isnan(pods) or math.isnan(replicas):
        return f"how many replicas show it is unknown, {_UNTOLD}"
    if pods > replicas:
        return f"seen from {pods:.0f} pods of a workload that runs {replicas:.0f} at a time"
    named = f" ({facts['pod'][:LONGEST_NAME]})" if facts["pod"] else ""
    text = f"seen from {pods:.0f} of {replicas:.0f} replicas{named}"
    if facts["concentration"] != UNKNOWN_CONCENTRATION:
        return text
    if facts["leader"]:
        return f"{text}; the workload is taken to elect a leader, so this says nothing, {_UNTOLD}"
    why = "of so few" if replicas < MIN_REPLICAS else "of so few calls"
    return f"{text}; {why} this says nothing, {_UNTOLD}"
