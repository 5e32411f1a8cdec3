"""
p_legit and quarantine: two independent channels and a few hard rules.

The first channel adds up evidence a person can read; the second is a boosted model with monotone
constraints, trained on the estate's cells against injected attacks and reviewers' verdicts. A cell is held
back when either channel finds it among the estate's oddest *and* more likely unwanted than wanted, or when
a hard rule fires. Until fifty verdicts exist, p_legit is an ordering for review and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from models.learning.attacks import FAMILIES, inject
from models.learning.base import Estimator, require, series
from models.learning.ledger import contributions, evidence_of
from models.learning.screening_features import FEATURES
from models.learning.sigmoid import Sigmoid

if TYPE_CHECKING:
    from models.learning.evidence import Evidence

Floats = npt.NDArray[np.float64]

#: Share of the estate's cells that a channel may call its oddest (method, section 5).
ODD_SHARE: Final = 0.01
#: Weights of labels: a person's verdict, an injected attack.
VERDICT_WEIGHT: Final = 1.0
INJECTION_WEIGHT: Final = 0.2
#: Verdicts from which p_legit is a probability of this estate rather than a prior.
MIN_VERDICTS: Final = 50
#: Rows of the estate the model learns from: beyond, more of the same costs time and teaches nothing.
MAX_TRAINING_CELLS: Final = 50_000
#: Cells below which the second channel would learn single cells by heart.
MIN_TRAINING_CELLS: Final = 100

PRIOR: Final = "prior, not calibrated on this estate"
CALIBRATED: Final = "calibrated on this estate's verdicts"

ADMIT: Final = "admit"
UNWANTED: Final = "unwanted"

#: Direction in which each fact may move the model's odds of an attack.
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


class Screening(Estimator):
    """
    Probability that cells are wanted, and which of them to hold back.

    Parameters
    ----------
    odd_share
        Share of the estate each channel may hold back by rank.
    second_channel
        Whether the boosted model is used.
    lone_sighting
        Whether one day, one replica, outside is a hard rule; it holds back rare legitimate calls too.
    two_evidence
        Strict posture: outside, demand two of two replicas, three days, popularity.
    seed
        Of injections, sampling and the model.

    Attributes
    ----------
    p_legit_ : pandas.Series
        Probability, keyed by cell; see ``provenance_``.
    provenance_ : str
        `PRIOR` or `CALIBRATED`.
    score_ : pandas.Series
        Sum of the evidence in natural log odds, keyed by cell.
    attack_ : pandas.Series
        Odds of the second channel as a probability of attack, keyed by cell; NaN where it was not used.
    reasons_ : pandas.Series
        Why each cell is held back, joined by ``;``; empty where it is not.
    review_ : pandas.Series
        Cells that a person should look at whatever their score: outside, and new with a new image.
    """

    def __init__(
        self,
        *,
        odd_share: float = ODD_SHARE,
        second_channel: bool = True,
        lone_sighting: bool = True,
        two_evidence: bool = False,
        seed: int = 0,
    ) -> None:
        self.odd_share = odd_share
        self.second_channel = second_channel
        self.lone_sighting = lone_sighting
        self.two_evidence = two_evidence
        self.seed = seed

    def fit(self, facts: pd.DataFrame, day_count: int, verdicts: pd.Series[Any] | None = None) -> Self:
        """
        Screen an estate.

        Parameters
        ----------
        facts
            `models.learning.screening_features.screening_features`, keyed by cell.
        day_count
            T: full days of the window.
        verdicts
            `ADMIT` or `UNWANTED` by cell, as reviewers decided. Verdicts on cells that are not in
            ``facts`` are ignored; other values ("ask again") teach nothing.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(facts, (*FEATURES, *_FLAGS), "facts")
        ordered = facts.sort_index()
        said = _known(verdicts, ordered.index)
        injected = inject(ordered, day_count, self.seed)
        self._facts = ordered
        self._terms = contributions(ordered)
        score = self._terms.sum(axis=1)
        self._sigmoid, self.provenance_ = _calibrate(score, contributions(injected).sum(axis=1), said)
        legit = self._sigmoid.probability(score.to_numpy(dtype=np.float64))
        attack = self._attack(ordered, injected, said)
        reasons = self._reasons(ordered, score.to_numpy(dtype=np.float64), attack)
        self.score_ = score.reindex(facts.index).rename("score")
        self.p_legit_ = series(legit, ordered.index, "p_legit").reindex(facts.index)
        self.attack_ = series(attack, ordered.index, "attack").reindex(facts.index)
        self.reasons_ = reasons.reindex(facts.index)
        self.review_ = (facts["new_image"] & (facts["external"] == 1.0)).rename("review")
        return self

    def evidence(self, cell: str) -> tuple[Evidence, ...]:
        """
        Ledger of one cell.

        Raises
        ------
        KeyError
            If the cell was not in ``fit``.
        """
        self.check_fitted("score_")
        facts: Any = self._facts.loc[cell]
        terms: Any = self._terms.loc[cell]
        return evidence_of(facts, terms)

    def _attack(self, facts: pd.DataFrame, injected: pd.DataFrame, said: pd.Series[Any]) -> Floats:
        if not self.second_channel or len(facts) < MIN_TRAINING_CELLS:
            return np.full(len(facts), np.nan)
        model = fit_second_channel(facts, injected, said, self.seed)
        return np.asarray(model.predict_proba(facts[list(FEATURES)].to_numpy(dtype=np.float64))[:, 1])

    def _reasons(self, facts: pd.DataFrame, score: Floats, attack: Floats) -> pd.Series[Any]:
        low = float(np.quantile(score, self.odd_share)) if len(score) else 0.0
        high = float(np.nanquantile(attack, 1.0 - self.odd_share)) if np.isfinite(attack).any() else 1.0
        outside = facts["external"] == 1.0
        lone = outside & (facts["days"] <= 1) & facts["single_replica"]
        supports = (facts["pods"] >= 2).astype(int) + (facts["days"] >= 3) + (facts["popularity"] >= 1)
        fired = {
            "low_evidence": (score <= low) & (score < 0.0),
            "looks_like_attack": (attack >= high) & (attack > 0.5),
            "debug_or_exec": facts["debug"] == 1.0,
            "ownerless_pod": facts["owned"] == 0.0,
            "never_answered": facts["only_failed"],
            "only_dropped": facts["only_dropped"],
            "dns_information": facts["tunnel"],
            "generated_name": facts["generated"] & (facts["days"] <= 1),
            "scan": facts["scan"],
            "lone_sighting": lone & self.lone_sighting,
            "too_little_evidence": outside & (supports < 2) & self.two_evidence,
        }
        table = pd.DataFrame(fired, index=facts.index).astype(bool)
        names = np.array(table.columns)
        texts = [";".join(names[row]) for row in table.to_numpy()]
        return pd.Series(texts, index=facts.index, name="reasons", dtype="str")


_FLAGS: Final = (
    "scan",
    "tunnel",
    "generated",
    "new_image",
    "pods",
    "single_replica",
    "only_failed",
    "only_dropped",
)


def fit_second_channel(
    facts: pd.DataFrame,
    injected: pd.DataFrame,
    said: pd.Series[Any],
    seed: int,
) -> HistGradientBoostingClassifier:
    """
    Boosted model of attack against estate.

    Parameters
    ----------
    facts
        The estate's cells, sorted by cell; negatives, unless a verdict says otherwise.
    injected
        `models.learning.attacks.inject`.
    said
        Verdicts by cell.
    seed
        Of the sample and the model.
    """
    label = pd.Series(0.0, index=facts.index)
    weight = pd.Series(1.0, index=facts.index)
    label.loc[said.index] = (said == UNWANTED).astype(float)
    weight.loc[said.index] = VERDICT_WEIGHT
    rows = np.arange(len(facts))
    if len(rows) > MAX_TRAINING_CELLS:
        drawn = np.random.default_rng(seed).choice(len(facts), MAX_TRAINING_CELLS, replace=False)
        rows = np.union1d(drawn, np.flatnonzero(facts.index.isin(said.index)))
    x = np.vstack(
        [frame[list(FEATURES)].to_numpy(dtype=np.float64) for frame in (facts.iloc[rows], injected)]
    )
    y = np.concatenate([label.to_numpy()[rows], np.ones(len(injected))])
    # injected cells weigh a fifth, and together at most as much as the estate
    share = min(INJECTION_WEIGHT, len(rows) / max(len(injected), 1))
    w = np.concatenate([weight.to_numpy()[rows], np.full(len(injected), share)])
    model = HistGradientBoostingClassifier(
        max_iter=100,
        max_depth=4,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        monotonic_cst=[_MONOTONE[name] for name in FEATURES],
        random_state=seed,
    )
    return model.fit(x, y, sample_weight=w)


def leave_one_family_out(
    facts: pd.DataFrame, day_count: int, held_back: float = 0.02, seed: int = 0
) -> pd.DataFrame:
    """
    Recall of the two channels on each attack family, the model not having seen that family.

    Parameters
    ----------
    facts
        The estate's facts.
    day_count
        T.
    held_back
        Share of the estate that may be held back to reach the recall, half by each channel.
    seed
        Of injections and models; what is tested is drawn with another seed than what is learned from.

    Returns
    -------
    pandas.DataFrame
        Keyed by family: ``recall`` in [0, 1].
    """
    ordered = facts.sort_index()
    learned, tested = inject(ordered, day_count, seed), inject(ordered, day_count, seed + 1)
    none = pd.Series(dtype="str")
    own = contributions(ordered).sum(axis=1).to_numpy()
    low = float(np.quantile(own, held_back / 2.0))
    recall = {}
    for family in FAMILIES:
        model = fit_second_channel(ordered, learned.loc[learned["family"] != family], none, seed)
        chance = model.predict_proba(ordered[list(FEATURES)].to_numpy(dtype=np.float64))[:, 1]
        high = float(np.quantile(chance, 1.0 - held_back / 2.0))
        rows = tested.loc[tested["family"] == family]
        odd = contributions(rows).sum(axis=1).to_numpy() <= low
        odd |= model.predict_proba(rows[list(FEATURES)].to_numpy(dtype=np.float64))[:, 1] >= high
        recall[family] = float(odd.mean())
    return pd.DataFrame({"recall": recall}).rename_axis("family")


def _known(verdicts: pd.Series[Any] | None, cells: pd.Index[Any]) -> pd.Series[Any]:
    if verdicts is None:
        return pd.Series(dtype="str")
    return verdicts.loc[verdicts.index.isin(cells) & verdicts.isin([ADMIT, UNWANTED])].sort_index()


def _calibrate(score: pd.Series[Any], injected: pd.Series[Any], said: pd.Series[Any]) -> tuple[Sigmoid, str]:
    if len(said) < MIN_VERDICTS:
        return Sigmoid(), PRIOR
    scores = np.concatenate(
        [score.loc[said.index].to_numpy(dtype=np.float64), injected.to_numpy(dtype=np.float64)]
    )
    labels = np.concatenate([(said == ADMIT).to_numpy(dtype=np.float64), np.zeros(len(injected))])
    share = min(INJECTION_WEIGHT, len(said) / len(injected))
    weights = np.concatenate([np.full(len(said), VERDICT_WEIGHT), np.full(len(injected), share)])
    return Sigmoid.fit(scores, labels, weights), CALIBRATED
