"""
p_legit and quarantine: two independent channels and a few hard rules.

The first channel adds up evidence a person can read; the second is a boosted model with monotone
constraints, trained on the estate's cells against injected attacks and reviewers' verdicts. A cell is held
back when either channel finds it among the estate's oddest *and* more likely unwanted than wanted, or when
a hard rule fires. Until fifty verdicts exist, p_legit is an ordering for review and says so; from then on it
is a probability of what is held back, because nobody was asked about anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.domain.confidence import CALIBRATED, PRIOR
from models.frames import records
from models.learning.attacks import FAMILIES, inject
from models.learning.base import Estimator, require, series
from models.learning.ledger import contributions, evidence_of
from models.learning.screening_features import FEATURES, passing
from models.learning.second_channel import (
    ADMIT,
    MIN_TRAINING_CELLS,
    UNWANTED,
    VERDICT_WEIGHT,
    SecondChannel,
)
from models.learning.sigmoid import Sigmoid

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.learning.evidence import Evidence

Floats = npt.NDArray[np.float64]

#: Days of which enough was heard (`ObservedDays.heard_count`) below which nothing can be told from anything:
#: everything was seen on a day or two. They need not be whole: no rule asks for one cell's absence on a day,
#: but for that of a holder over days, which counts by what was heard of them (docs/decisions/0068).
MIN_SCREENED_DAYS: Final = 7
#: Reason of what the strict posture holds back without any sign against it.
TOO_LITTLE: Final = "too_little_evidence"
#: Share of the estate's cells that a channel may call its oddest (method, section 5).
ODD_SHARE: Final = 0.01
#: Chance of attack up to which the second channel takes a cell for wanted, so that what the first one finds
#: among the oddest is a rare call, and goes before a reviewer with its rule.
AGREED: Final = 0.5
#: Verdicts from which p_legit of what is held back is a probability of this estate rather than a prior.
MIN_VERDICTS: Final = 50
#: Verdicts of either kind without which the others tell what reviewers chose to answer, and no share: ten
#: bring the error of log odds down to a third.
MIN_OF_A_KIND: Final = 10
#: Slope that verdicts cannot push p_legit below, so that it still orders: four units of evidence stay one.
MIN_SLOPE: Final = 0.25


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
        Probability, keyed by cell; see ``calibrated_``.
    calibrated_ : pandas.Series
        Whether ``p_legit_`` rests on verdicts, keyed by cell: true only of what is or was held back.
    provenance_ : str
        `PRIOR`, or `CALIBRATED` if there are verdicts enough for any cell.
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

    def fit(
        self,
        facts: pd.DataFrame,
        day_count: int,
        verdicts: pd.Series[Any] | None = None,
        spared: Collection[str] = (),
    ) -> Self:
        """
        Screen an estate.

        Parameters
        ----------
        facts
            `models.learning.screening_features.screening_features`, keyed by cell.
        day_count
            T: days of the window of which enough was heard.
        verdicts
            `ADMIT` or `UNWANTED` by cell, as reviewers decided. Verdicts on cells that are not in
            ``facts`` are ignored; other values ("ask again") teach nothing.
        spared
            Cells that are not held back whatever fires.

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
        odds = score.to_numpy(dtype=np.float64)
        attack = self._attack(ordered, injected, said)
        reasons = self._reasons(ordered, odds, attack).mask(ordered.index.isin(list(spared)), "")
        self._sigmoid, self.provenance_ = _calibrate(score, said)
        taught = self._asked(ordered, reasons, said) & (self.provenance_ == CALIBRATED)
        legit = np.where(taught, self._sigmoid.probability(odds), Sigmoid().probability(odds))
        self.score_ = score.reindex(facts.index).rename("score")
        self.p_legit_ = series(legit, ordered.index, "p_legit").reindex(facts.index)
        self.calibrated_ = pd.Series(taught, ordered.index, name="calibrated").reindex(facts.index)
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

    def ledgers(self, cells: Collection[str]) -> dict[str, tuple[Evidence, ...]]:
        """
        Ledgers of many cells, much faster than one by one.

        Raises
        ------
        KeyError
            If a cell was not in ``fit``.
        """
        self.check_fitted("score_")
        wanted = sorted(set(cells))
        facts, terms = (records(frame.loc[wanted]) for frame in (self._facts, self._terms))
        return {
            cell: evidence_of(known, weights)
            for cell, known, weights in zip(wanted, facts, terms, strict=True)
        }

    @staticmethod
    def rate(facts: pd.DataFrame) -> pd.DataFrame:
        """
        Judge what is no cell of the window, such as all that a rule admits, by its evidence alone.

        Parameters
        ----------
        facts
            `FEATURES` and what their sentences need (`models.learning.ledger`), keyed by anything.

        Returns
        -------
        pandas.DataFrame
            Keyed as ``facts``: ``p_legit``, a prior, and ``ledger``, a tuple of `Evidence`.
        """
        terms = contributions(facts)
        legit = Sigmoid().probability(terms.sum(axis=1).to_numpy(dtype=np.float64))
        rows = zip(records(facts), records(terms), strict=True)
        ledgers = pd.Series([evidence_of(*row) for row in rows], index=facts.index, dtype="object")
        return pd.DataFrame({"p_legit": legit, "ledger": ledgers}, index=facts.index)

    @staticmethod
    def _asked(facts: pd.DataFrame, reasons: pd.Series[Any], said: pd.Series[Any]) -> npt.NDArray[np.bool_]:
        """Cells that reviewers are or were asked about: nobody is shown what never worked."""
        worked = ~(facts["only_failed"] | facts["only_dropped"])
        return np.asarray(((reasons != "") & worked) | facts.index.isin(said.index), dtype=np.bool_)

    def _attack(self, facts: pd.DataFrame, injected: pd.DataFrame, said: pd.Series[Any]) -> Floats:
        # what never worked is no example of wanted traffic, and adding it must not move the others
        worked = facts.loc[~(facts["only_failed"] | facts["only_dropped"]).to_numpy(dtype=np.bool_)]
        if not self.second_channel or len(worked) < MIN_TRAINING_CELLS:
            return np.full(len(facts), np.nan)
        known = said.loc[said.index.isin(worked.index)]
        return SecondChannel.fit(worked, injected, known, self.seed).chance(facts)

    def _reasons(self, facts: pd.DataFrame, score: Floats, attack: Floats) -> pd.Series[Any]:
        # another name of a holder that is called again and again is no stranger
        lone = facts["stranger"] & ~facts["brief"]
        # a rare call is made by itself; what has no name where others do, or is not the only one, is none
        nameless = (facts["named"] != 1.0) & (facts["names_seen"] | (facts["strange_days"] >= 2))
        supports = (facts["pods"] >= 2).astype(int) + (facts["days"] >= 3) + (facts["popularity"] >= 1)
        hard = {
            "debug_or_exec": facts["debug"] == 1.0,
            "ownerless_pod": passing(facts),
            "never_answered": facts["only_failed"],
            "only_dropped": facts["only_dropped"],
            "dns_information": facts["tunnel"],
            "generated_name": facts["generated"] & (facts["days"] <= 1),
            "scan": facts["scan"],
            "one_replica_began": facts["one_replica"],
            "began_without_release": facts["unreleased"],
            "strangers_at_once": facts["strangers"],
            "many_at_once": facts["many"],
            "lone_sighting": lone & (facts["accompanied"] | nameless) & self.lone_sighting,
            "beside_lone_sighting": facts["company"] & self.lone_sighting,
            # whoever comes in from the internet comes once: the callers of a port are judged together
            TOO_LITTLE: facts["destination"] & (supports < 2) & self.two_evidence,
        }
        # ranks are taken among what no hard rule caught: a scan of a thousand ports would fill them alone
        rest = ~pd.DataFrame(hard, index=facts.index).any(axis=1).to_numpy(dtype=np.bool_)
        low, high = _odd_limits(score[rest], attack[rest], self.odd_share)
        fired = {
            "low_evidence": (score < low) & (score < 0.0) & ~(attack <= AGREED),
            "looks_like_attack": (attack > high) & (attack > 0.5),
            **hard,
        }
        return _joined(pd.DataFrame(fired, index=facts.index).astype(bool))


_FLAGS: Final = (
    "scan",
    "tunnel",
    "generated",
    "new_image",
    "one_replica",
    "unreleased",
    "strangers",
    "many",
    "company",
    "accompanied",
    "names_seen",
    "brief",
    "strange_days",
    "stranger",
    "pods",
    "only_failed",
    "only_dropped",
    "destination",
)


def _joined(fired: pd.DataFrame) -> pd.Series[Any]:
    """Names of the columns that are true, joined; each combination is spelt out once."""
    codes = fired.to_numpy() @ (1 << np.arange(fired.shape[1]))
    combinations, which = np.unique(codes, return_inverse=True)
    names = fired.columns.tolist()
    texts = [
        ";".join(name for bit, name in enumerate(names) if code >> bit & 1) for code in combinations.tolist()
    ]
    return pd.Series(np.array(texts, dtype=object)[which], index=fired.index, name="reasons", dtype="str")


def _odd_limits(score: Floats, attack: Floats, share: float) -> tuple[float, float]:
    """Limits beyond which a cell is among the oddest share; of few cells, that share is none."""
    if len(score) * share < 1.0:
        return -np.inf, np.inf
    low = float(np.quantile(score, share))
    high = float(np.nanquantile(attack, 1.0 - share)) if np.isfinite(attack).any() else 1.0
    return low, high


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
        channel = SecondChannel.fit(ordered, learned.loc[learned["family"] != family], none, seed)
        high = float(np.quantile(channel.chance(ordered), 1.0 - held_back / 2.0))
        rows = tested.loc[tested["family"] == family]
        odd = contributions(rows).sum(axis=1).to_numpy() < low
        odd |= channel.chance(rows) > high
        recall[family] = float(odd.mean())
    return pd.DataFrame({"recall": recall}).rename_axis("family")


def _known(verdicts: pd.Series[Any] | None, cells: pd.Index[Any]) -> pd.Series[Any]:
    if verdicts is None:
        return pd.Series(dtype="str")
    return verdicts.loc[verdicts.index.isin(cells) & verdicts.isin([ADMIT, UNWANTED])].sort_index()


def _calibrate(score: pd.Series[Any], said: pd.Series[Any]) -> tuple[Sigmoid, str]:
    """What verdicts make of the score, if there are enough of both kinds; injected attacks have no share."""
    admitted = np.asarray(said == ADMIT, dtype=np.float64)
    wanted = int(admitted.sum())
    if len(said) < MIN_VERDICTS or min(wanted, len(said) - wanted) < MIN_OF_A_KIND:
        return Sigmoid(), PRIOR
    scores = score.loc[said.index].to_numpy(dtype=np.float64)
    weights = np.full(len(said), VERDICT_WEIGHT)
    return Sigmoid.fit(scores, admitted, weights, MIN_SLOPE), CALIBRATED
