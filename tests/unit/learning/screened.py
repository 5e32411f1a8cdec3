"""An ordinary estate with planted edges, and what screening says of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.learning.cells import to_cells
from models.learning.days import MAX_DAY_LOSS
from models.learning.incidence import DayIncidence
from models.learning.screening import Screening
from models.learning.screening_features import Surroundings, screening_features
from tests.unit.learning.worlds import coverage, day_names, estate

DAYS = day_names(14)
WORKLOADS = [f"w{i:03d}" for i in range(60)]
HOUR_US = 3_600_000_000
DAY_US = 24 * 3_600_000_000
TEAMS = {name: f"team{i % 6}" for i, name in enumerate(WORKLOADS)}


def screened(extra: list[dict[str, object]], seed: int = 0, **options: object) -> pd.DataFrame:
    """Cells of an ordinary estate with planted edges, their facts and what screening said."""
    around = options.pop("around", Surroundings(replicas=dict.fromkeys(WORKLOADS, 5), teams=TEAMS))
    rows = estate(seed, 14, workloads=60).assign(pods=5, pod="")
    edges = pd.concat([rows, pd.DataFrame(extra)], ignore_index=True) if extra else rows
    edges["pod"] = edges["pod"].fillna("")
    found = DayIncidence(MAX_DAY_LOSS).fit(to_cells(edges), options.pop("hours", coverage(DAYS)))
    cells = found.cells_
    pods = to_cells(edges).groupby(["subject", "peer", "port"])[["pods", "pod"]].max()
    keys = pd.MultiIndex.from_frame(cells[["subject", "peer", "port"]])
    seen, names = pods["pods"].reindex(keys).to_numpy(), pods["pod"].reindex(keys).to_numpy()
    rare = (cells["days_seen"] <= 1).to_numpy() & (seen == 5)
    cells = cells.assign(
        subject_pods=np.where(rare, 3, seen), peer_pods=1, subject_pod=names.astype(str), peer_pod=""
    )
    facts = screening_features(cells, around, found.days_)
    said = Screening(**options).fit(facts, 14)
    return (
        cells.drop(columns="days")
        .join(facts)
        .assign(reasons=said.reasons_, p_legit=said.p_legit_, review=said.review_, said=[said] * len(cells))
    )
