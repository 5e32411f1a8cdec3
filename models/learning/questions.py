"""
What a workload's DNS questions give away: tunnels carry bits in labels, generated domains miss.

Per (subject, registrable domain): the entropy of the leftmost labels, the share of questions without an
answer, and the information rate, the bits of all distinct labels per hour of the window, of a fortnight at
most.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Final

import pandas as pd

from models.learning.base import require
from models.learning.days import HOURS_PER_DAY
from models.learning.name_candidates import tidy_name
from models.learning.suffixes import registrable

#: Quantile of the estate above which an information rate is flagged (method, section 5). Among a few hundred
#: pairs it is the rate of the highest, and two tunnels would hide each other: so no more than a multiple of
#: what nine tenths of the pairs stay below, which no handful of tunnels can raise.
RATE_QUANTILE: Final = 0.999
COMMON_QUANTILE: Final = 0.9
MAX_OVER_COMMON: Final = 100.0
#: Bits an hour below which nothing is flagged: a quiet estate has a highest rate too. Forty hostnames a day
#: of 30 bits each make 50.
MIN_RATE: Final = 50.0
#: Days over which the bits of a longer window are spread at most: a tunnel of one weekend must not become
#: harmless because somebody watches for a quarter.
MAX_RATE_DAYS: Final = 14.0
#: Bits per character from which a label looks generated rather than named.
GENERATED_ENTROPY: Final = 3.0
#: Generated domains without an answer from which a subject is flagged.
MIN_GENERATED: Final = 10
_NXDOMAIN: Final = 3  # RFC 1035 rcode


@lru_cache(maxsize=65536)
def label_entropy(label: str) -> float:
    """
    Empirical entropy of a label's characters, in bits per character.

    Examples
    --------
    >>> label_entropy("aaaa"), label_entropy("abcd")
    (0.0, 2.0)
    """
    counts = Counter(label)
    return math.fsum(-n / len(label) * math.log2(n / len(label)) for _, n in sorted(counts.items())) + 0.0


def question_features(lookups: pd.DataFrame, day_count: float) -> pd.DataFrame:
    """
    DNS features per subject and registrable domain.

    Parameters
    ----------
    lookups
        LOOKUPS rows (`models.frames`). Names inside the cluster and search-list expansions are left out.
    day_count
        Length of the window in days.

    Returns
    -------
    pandas.DataFrame
        Keyed by (subject, domain), sorted: ``names``, ``entropy`` (mean bits per character of the
        leftmost labels), ``length`` (mean characters of these), ``nxdomain`` (share of lookups), ``rate``
        (bits per hour), ``flagged`` (rate), ``generated`` (a domain like those that its subject asked for in
        vain).
    """
    require(lookups, ("subject", "name", "rcode", "lookups"), "lookups")
    distinct = {text: tidy_name(text)[0] for text in sorted(lookups["name"].astype(str).unique())}
    rows = lookups.assign(tidy=lookups["name"].astype(str).map(distinct))
    rows = rows.loc[(rows["tidy"] != "").to_numpy()]
    facts = pd.DataFrame(
        [(name, registrable(name) or name, *_label_facts(name)) for name in sorted(rows["tidy"].unique())],
        columns=["tidy", "domain", "entropy", "length", "bits"],
    )
    rows = rows.merge(facts, on="tidy").assign(
        missed=lambda r: r["lookups"].where(r["rcode"] == _NXDOMAIN, 0)
    )
    asked = rows.groupby(["subject", "domain"], sort=True)[["lookups", "missed"]].sum()
    names = rows[["subject", "domain", "tidy", "entropy", "length", "bits"]].drop_duplicates()
    names = names.sort_values(["subject", "domain", "tidy"])
    grouped = names.groupby(["subject", "domain"], sort=True)
    means = grouped[["entropy", "length"]].mean()
    out = pd.DataFrame({"names": grouped.size(), "entropy": means["entropy"], "length": means["length"]})
    out["nxdomain"] = asked["missed"] / asked["lookups"].clip(lower=1)
    hours = max(min(day_count, MAX_RATE_DAYS) * HOURS_PER_DAY, 1.0)
    out["rate"] = grouped["bits"].sum() / hours
    out["flagged"] = out["rate"] >= _rate_limit(out["rate"])
    out["generated"] = _generated(out)
    return out


def _rate_limit(rates: pd.Series[float]) -> float:
    """Bits an hour from which a pair of subject and domain is flagged."""
    if rates.empty:
        return MIN_RATE
    common = MAX_OVER_COMMON * float(rates.quantile(COMMON_QUANTILE))
    return max(min(float(rates.quantile(RATE_QUANTILE)), common), MIN_RATE)


def _label_facts(name: str) -> tuple[float, int, float]:
    """Entropy per character and length of the leftmost label, and bits of all labels left of the domain."""
    own = registrable(name) or name
    left = name[: -len(own)].rstrip(".") if name != own else own.split(".", 1)[0]
    first = left.split(".", 1)[0]
    bits = math.fsum(len(label) * label_entropy(label) for label in left.split("."))
    return label_entropy(first), len(first), bits


def _generated(features: pd.DataFrame) -> pd.Series[bool]:
    """
    Domains like those that their subject asked for in vain: as random, or as long.

    Of many random labels some repeat a letter often enough to pass for a word, and a generator keeps to its
    length.
    """
    random = features["entropy"] >= GENERATED_ENTROPY
    missed = random & (features["nxdomain"] > 0.5)
    guesses = missed.groupby(level="subject").transform("sum") >= MIN_GENERATED
    shortest = features["length"].where(missed).groupby(level="subject").transform("min")
    return guesses & (random | (features["length"] >= shortest))
