"""
The second channel: a boosted model of attack against estate, which may bend each fact one way only.

Monotone constraints keep it readable in one respect: more failures never look better, more days never
look worse. It knows nothing of the weights of the ledger, so the two channels fail apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from models.learning.screening_features import FEATURES

Floats = npt.NDArray[np.float64]

#: A reviewer's words for a cell.
ADMIT: Final = "admit"
UNWANTED: Final = "unwanted"
#: Weights of labels: a person's verdict, an injected attack.
VERDICT_WEIGHT: Final = 1.0
INJECTION_WEIGHT: Final = 0.2
#: Rows of the estate the model learns from: beyond, more of the same costs time and teaches nothing.
MAX_TRAINING_CELLS: Final = 50_000
#: Cells below which the model would learn single cells by heart.
MIN_TRAINING_CELLS: Final = 100
#: Steps of a fact that the model tells apart: trees of depth four need no more, and finding the quantiles of
#: weighted rows takes as long as the learning.
MAX_BINS: Final = 64

#: Direction in which each fact may move the odds of an attack.
_MONOTONE: Final = {
    "external": 1,
    "concentration": 1,
    "days": -1,
    "fail": 1,
    "breadth": 1,
    "popularity": -1,
    "declared": -1,
    "named": -1,
    "entropy": 1,
    "nxdomain": 1,
    "regularity": 1,
    "upload": 1,
    "debug": 1,
    "deploy_adjacent": -1,
    "owned": -1,
}


@dataclass(frozen=True)
class SecondChannel:
    """
    A fitted model and the facts it reads: those that the estate knows at least once.

    Parameters
    ----------
    model
        Fitted on ``columns``; class 1 is attack.
    columns
        Facts, in order.
    """

    model: HistGradientBoostingClassifier
    columns: tuple[str, ...]

    @classmethod
    def fit(
        cls, facts: pd.DataFrame, injected: pd.DataFrame, said: pd.Series[Any], seed: int
    ) -> SecondChannel:
        """
        Learn attack against estate.

        Parameters
        ----------
        facts
            The estate's cells, sorted by cell; negatives, unless a verdict says otherwise.
        injected
            `models.learning.attacks.inject`.
        said
            `ADMIT` or `UNWANTED` by cell.
        seed
            Of the sample and the model.
        """
        label, weight = pd.Series(0.0, index=facts.index), pd.Series(1.0, index=facts.index)
        label.loc[said.index] = (said == UNWANTED).astype(float)
        weight.loc[said.index] = VERDICT_WEIGHT
        rows = np.arange(len(facts))
        if len(rows) > MAX_TRAINING_CELLS:
            drawn = np.random.default_rng(seed).choice(len(facts), MAX_TRAINING_CELLS, replace=False)
            rows = np.union1d(drawn, np.flatnonzero(facts.index.isin(said.index)))
        columns = tuple(name for name in FEATURES if facts[name].notna().any())
        x = np.vstack([_matrix(facts.iloc[rows], columns), _matrix(injected, columns)])
        y = np.concatenate([label.to_numpy()[rows], np.ones(len(injected))])
        # an injected cell weighs a fifth, and all of them together at most as much as the estate
        share = min(INJECTION_WEIGHT, len(rows) / max(len(injected), 1))
        w = np.concatenate([weight.to_numpy()[rows], np.full(len(injected), share)])
        # one thread: OpenMP teams on a shared machine wait for each other longer than they work
        with threadpool_limits(limits=1):
            return cls(_classifier(columns, seed).fit(x, y, sample_weight=w), columns)

    def chance(self, facts: pd.DataFrame) -> Floats:
        """Probability of attack per row, as far as injected attacks resemble real ones."""
        with threadpool_limits(limits=1):
            chance = self.model.predict_proba(_matrix(facts, self.columns))[:, 1]
        return np.asarray(chance, dtype=np.float64)


def _classifier(columns: tuple[str, ...], seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=100,
        max_depth=4,
        max_bins=MAX_BINS,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        monotonic_cst=[_MONOTONE[name] for name in columns],
        random_state=seed,
    )


def _matrix(facts: pd.DataFrame, columns: tuple[str, ...]) -> Floats:
    return facts[list(columns)].to_numpy(dtype=np.float64)
