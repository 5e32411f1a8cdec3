"""
FQDN patterns by expected novelty: a wildcard has to earn what it opens.

Exact names S under a node are replaced by a pattern only if ``price + lambda < lambda |S| + mu N``, with
N the new names expected within the horizon, and only if N is at least `MIN_EXPECTED`: thirty names that
came early and stayed are thirty entries, for a wildcard would open a domain to save lines. A pattern on a
shared suffix becomes a request to a person.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final, Self

import numpy as np
import pandas as pd

from models.domain.fqdn import FqdnSelector
from models.learning.base import Estimator, require
from models.learning.name_candidates import Candidate, candidates, tidy_name
from models.learning.pattern_search import PatternSearch
from models.learning.recurrence import HORIZON
from models.learning.suffixes import is_shared, registrable, shared_suffix
from models.learning.unseen import TERMS, expected_unseen

#: Price of one more rule entry, and of one denial expected outside the cluster (balanced, section 7).
NAME_LAMBDA: Final = 0.25
EXTERNAL_MU: Final = 8.0
#: New names expected within the horizon below which there is no pattern, as for route templates.
MIN_EXPECTED: Final = 0.5
#: First day (0-based) from which a name that shows is new and not just seldom (method, section 4: births),
#: and days on which new names must have come before more of them are expected: fewer where the names are
#: numbered through, for then the next number says what the next name will be.
MIN_START: Final = 4
MIN_BIRTH_DAYS: Final = 3
MIN_SERIES_BIRTH_DAYS: Final = 2
#: Upper ends of the size classes that share a mean novelty, and the weight of that mean in names.
SIZE_CLASSES: Final = (2, 6, 15)
CLASS_WEIGHT: Final = 4.0

_NUMBER: Final = re.compile(r"\d+")
_SELECTED: Final = ["subject", "name", "selector", "is_pattern", "observed"]
_PATTERNS: Final = ["subject", "pattern", "names", "expected_new", "price", "gain"]


class NamePatterns(Estimator):
    """
    Names and patterns per subject.

    Parameters
    ----------
    horizon
        Days ahead for which new names are expected.
    mu
        Price of one expected denial; the posture's exchange rate.
    lam
        Price of one rule entry.
    deep_wildcards
        Offer ``**.`` patterns: Cilium 1.19 and later only.
    cluster_domain
        Names under it are refused.

    Attributes
    ----------
    selected_ : pandas.DataFrame
        ``subject``, ``name`` (tidy), ``selector`` (name or pattern), ``is_pattern``, ``observed`` (as it
        came): every accepted input name once, sorted.
    patterns_ : pandas.DataFrame
        ``subject``, ``pattern``, ``names`` (count), ``expected_new``, ``price``, ``gain``.
    requests_ : pandas.DataFrame
        The same columns for patterns on shared suffixes that would pay: for a person to decide; their
        names stay exact in ``selected_``.
    expected_ : dict
        New names expected within the horizon for each name that is there, by subject and pattern, of every
        pattern that was looked at.
    rejected_ : pandas.DataFrame
        ``subject``, ``observed``, ``reason`` of names that no rule can hold.
    """

    def __init__(
        self,
        *,
        horizon: int = HORIZON,
        mu: float = EXTERNAL_MU,
        lam: float = NAME_LAMBDA,
        deep_wildcards: bool = False,
        cluster_domain: str = "cluster.local",
    ) -> None:
        self.horizon = horizon
        self.mu = mu
        self.lam = lam
        self.deep_wildcards = deep_wildcards
        self.cluster_domain = cluster_domain

    def fit(self, names: pd.DataFrame, day_count: int, quarantined: pd.DataFrame | None = None) -> Self:
        """
        Choose selectors.

        Parameters
        ----------
        names
            ``subject``, ``name``, ``days_seen`` (full days on which the name was connected to) and, where it
            is known, ``first_day`` (0-based day of the window on which it first was).
        day_count
            T. Below eight full days nothing is extrapolated and every name stays exact.
        quarantined
            ``subject``, ``name`` that must not be re-admitted: a pattern that matches one is dropped.

        Raises
        ------
        BadInputError
            If a column is missing.
        """
        require(names, ("subject", "name", "days_seen"), "names")
        tidy = self._tidy(names)
        self.rejected_ = _frame(tidy.loc[tidy["reason"] != ""], ["subject", "observed", "reason"])
        known = tidy.loc[tidy["reason"] == ""]
        seen = known.groupby(["subject", "name"], sort=True).agg(
            days_seen=("days_seen", "max"), first_day=("first_day", "min")
        )
        offers = self._offers(seen, day_count)
        self.expected_ = {
            (subject, candidate.pattern): new / len(candidate.names)
            for subject in sorted(offers)
            for candidate, new in offers[subject]
        }
        blocked = self._blocked(quarantined)
        search = PatternSearch(self.lam, self.mu)
        chosen: list[tuple[str, Candidate, float, float]] = []
        requests: list[tuple[str, Candidate, float, float]] = []
        for subject in sorted(offers):
            growing = [o for o in offers[subject] if o[1] >= MIN_EXPECTED]
            harmless = [o for o in growing if not self._readmits(o[0], blocked.get(subject, ()))]
            chosen += [(subject, *o) for o in search.choose([o for o in harmless if not o[0].shared])]
            requests += [(subject, *o) for o in search.choose([o for o in harmless if o[0].shared])]
        self.patterns_ = _pattern_frame(chosen)
        self.requests_ = _pattern_frame(requests)
        self.selected_ = _selected(known, chosen)
        return self

    def _tidy(self, names: pd.DataFrame) -> pd.DataFrame:
        distinct = {text: tidy_name(text, self.cluster_domain) for text in names["name"].astype(str).unique()}
        observed = names["name"].astype(str)
        return pd.DataFrame(
            {
                "subject": names["subject"].astype(str),
                "observed": observed,
                "name": observed.map({text: name for text, (name, _) in distinct.items()}),
                "reason": observed.map({text: reason for text, (_, reason) in distinct.items()}),
                "days_seen": names["days_seen"].astype("int64"),
                "first_day": names["first_day"].astype("int64") if "first_day" in names else 0,
            },
        )

    def _offers(self, seen: pd.DataFrame, day_count: int) -> dict[str, list[tuple[Candidate, float]]]:
        """Candidates per subject with the new names expected under each, shrunk to their size class."""
        raw: list[tuple[str, Candidate, float]] = []
        estate = _Estate(seen, day_count, self.horizon)
        rows = zip(seen.index.tolist(), seen["days_seen"].tolist(), seen["first_day"].tolist(), strict=True)
        for subject, mine in groupby(rows, key=lambda row: row[0][0]):  # sorted by subject and name
            own = list(mine)
            days = {name: x for (_, name), x, _ in own}
            born = {name: day for (_, name), _, day in own}
            for group in _by_party(days):
                for candidate in candidates(group, deep_wildcards=self.deep_wildcards):
                    x = np.array([days[name] for name in candidate.names], dtype=np.int64)
                    new = max(
                        expected_unseen(x, day_count, self.horizon),
                        _expected_births([born[name] for name in candidate.names], day_count, self.horizon),
                        estate.expected(candidate),
                    )
                    raw.append((subject, candidate, new))
        means = _class_means(raw)
        offers: dict[str, list[tuple[Candidate, float]]] = {}
        for subject, candidate, new in raw:
            size = len(candidate.names)
            shrunk = (size * new + CLASS_WEIGHT * means[_size_class(size)]) / (size + CLASS_WEIGHT)
            offers.setdefault(subject, []).append((candidate, shrunk))
        return offers

    def _blocked(self, quarantined: pd.DataFrame | None) -> dict[str, tuple[str, ...]]:
        if quarantined is None:
            return {}
        require(quarantined, ("subject", "name"), "quarantined names")
        grouped = quarantined.groupby("subject", sort=True)["name"]
        return {str(subject): tuple(sorted(set(own.astype(str)))) for subject, own in grouped}

    def _readmits(self, candidate: Candidate, names: tuple[str, ...]) -> bool:
        selector = FqdnSelector(pattern=candidate.pattern)
        return any(selector.matches(name, deep_wildcards=True) for name in names)


class _Estate:
    """
    Births of names as the whole estate saw them.

    A content network does not grow for one workload: what a second workload met last week, the first will
    meet. So births are counted over all subjects, by the first day that any of them saw a name, and a
    subject expects its share: the part of the pattern's names that it uses itself.
    """

    def __init__(self, seen: pd.DataFrame, day_count: int, horizon: int) -> None:
        self._born = {str(name): int(day) for name, day in seen.groupby("name")["first_day"].min().items()}
        self._names: dict[str, list[str]] = {}
        for name in sorted(self._born):
            self._names.setdefault(registrable(name) or name, []).append(name)
        self._days, self._horizon = day_count, horizon
        self._known: dict[str, tuple[float, int]] = {}

    def expected(self, candidate: Candidate) -> float:
        """New names of a pattern within the horizon, for a subject that uses the candidate's names."""
        if candidate.pattern not in self._known:
            party = registrable(candidate.names[0]) or candidate.names[0]
            selector = FqdnSelector(pattern=candidate.pattern)
            under = [n for n in self._names[party] if selector.matches(n, deep_wildcards=True)]
            least = MIN_SERIES_BIRTH_DAYS if _is_series(under) else MIN_BIRTH_DAYS
            births = _expected_births([self._born[n] for n in under], self._days, self._horizon, least)
            if _is_series(under):
                born = {name: self._born[name] for name in under}
                births = max(births, _expected_next(born, self._days, self._horizon))
            self._known[candidate.pattern] = births, len(under)
        births, known = self._known[candidate.pattern]
        return births * len(candidate.names) / max(known, 1)


def _is_series(names: list[str]) -> bool:
    """Whether names differ only in their numbers."""
    return len(names) > 1 and len({_NUMBER.sub("0", name) for name in names}) == 1


def _expected_births(
    first_days: list[int], day_count: int, horizon: int, birth_days: int = MIN_BIRTH_DAYS
) -> float:
    """
    New names within the horizon at the pace at which they appeared after the first third of the window.

    Names of a content network live for weeks and are used on most days, so none of them is rare and the
    Good-Toulmin series sees no growth; their first days do. Nothing when they came on fewer than
    ``birth_days`` days: a release that adds five names at once will not do so again next week.
    """
    start = max(MIN_START, day_count // 3)
    births = [day for day in first_days if day >= start]
    if day_count < TERMS or len(set(births)) < birth_days:
        return 0.0
    return len(births) * horizon / (day_count - start)


def _expected_next(born: dict[str, int], day_count: int, horizon: int) -> float:
    """
    New names of a series within the horizon, at the pace at which its highest number rose.

    A number above all that were seen on earlier days is a birth whenever it shows, and no old name that was
    met late; so these are counted from the second day on.
    """
    reached: tuple[int, ...] = ()
    births: list[int] = []
    days = sorted(set(born.values()))
    for day in days:
        new = [number for name, first in born.items() if first == day for number in [_numbers(name)]]
        births += [day for number in new if reached and number > reached]
        reached = max(reached, *new)
    if day_count < TERMS or len(set(births)) < MIN_SERIES_BIRTH_DAYS:
        return 0.0
    return len(births) * horizon / (day_count - 1)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in _NUMBER.findall(name))


def _by_party(days: dict[str, int]) -> list[tuple[str, ...]]:
    """Names grouped by who holds them; neighbours on a shared suffix are grouped once more by it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(days):
        groups.setdefault(("party", registrable(name) or name), []).append(name)
        if is_shared(shared_suffix(name)) and name.partition(".")[2] == shared_suffix(name):
            groups.setdefault(("suffix", shared_suffix(name)), []).append(name)
    return [tuple(groups[key]) for key in sorted(groups)]


def _size_class(size: int) -> int:
    return int(np.digitize(size, SIZE_CLASSES, right=True))


def _class_means(raw: list[tuple[str, Candidate, float]]) -> dict[int, float]:
    sums: dict[int, list[float]] = {}
    for _, candidate, new in raw:
        sums.setdefault(_size_class(len(candidate.names)), []).append(new)
    return {size: float(np.mean(sorted(values))) for size, values in sums.items()}


def _pattern_frame(chosen: list[tuple[str, Candidate, float, float]]) -> pd.DataFrame:
    rows = [(s, c.pattern, len(c.names), new, c.price, gain) for s, c, new, gain in chosen]
    return pd.DataFrame(sorted(rows), columns=_PATTERNS)


def _selected(known: pd.DataFrame, chosen: list[tuple[str, Candidate, float, float]]) -> pd.DataFrame:
    by_name = {(s, name): c.pattern for s, c, _, _ in reversed(chosen) for name in c.names}
    rows = known[["subject", "name", "observed"]].drop_duplicates()
    pairs = zip(rows["subject"].tolist(), rows["name"].tolist(), strict=True)
    selector = [by_name.get((subject, name), name) for subject, name in pairs]
    frame = rows.assign(selector=selector)
    frame["is_pattern"] = frame["selector"] != frame["name"]
    return _frame(frame, _SELECTED)


def _frame(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return frame[columns].drop_duplicates().sort_values(columns).reset_index(drop=True)
