"""Names under which new ones keep appearing, as the patterns that stand for them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from models.domain.fqdn import FqdnSelector
from models.domain.peer import FqdnPeer
from models.domain.rule import Widening
from models.frames import records
from models.learning.name_candidates import price_of, tidy_name
from models.learning.names import NamePatterns
from models.learning.suffixes import is_shared
from models.synthesis.candidates import Candidate
from models.synthesis.rotation import DAY_US, Seen
from models.synthesis.widened import Widened, subject_of

if TYPE_CHECKING:
    from models.synthesis.edges import Edge

#: Names that a pattern of last night must still cover to be kept without being found again.
MIN_KEPT: Final = 2
_NAME_COLUMNS: Final = ["subject", "name", "days_seen", "first_day"]


@dataclass(frozen=True, slots=True)
class Names:
    """The fitted estimator, the names it saw and those that are held back, both by subject."""

    estimator: NamePatterns
    seen: tuple[tuple[str, str], ...]
    held: frozenset[tuple[str, str]]

    def keep(self, found: dict[str, Widened], previous: Mapping[str, tuple[str, ...]], most: float) -> None:
        """
        Keep last night's patterns that still cover names: a pause in their growth is no reason to go.

        ``most`` is what one may cost tonight, in units of one rule, once all that it saves is taken off.
        """
        for subject, patterns in sorted(previous.items()):
            mine = found[subject]
            for pattern in patterns:
                wide = FqdnPeer(pattern=pattern)
                left = [n for n in self._matching(subject, pattern) if FqdnPeer(n) not in mine.peers]
                if wide in mine.records or len(left) < MIN_KEPT or self._blocked(subject, pattern):
                    continue
                record = self._record(subject, pattern, len(left))
                if record.change > most:
                    continue
                mine.peers |= {FqdnPeer(name): wide for name in left}
                mine.records[wide] = record
                mine.kept.add(wide)

    def ask(self, found: dict[str, Widened]) -> None:
        """Put patterns on shared suffixes before the reviewer."""
        for row in self.estimator.requests_.to_dict("records"):
            for name in self._matching(str(row["subject"]), str(row["pattern"])):
                found[str(row["subject"])].requests[FqdnPeer(name)] = (
                    f"{row['pattern']} would stand for {row['names']} names that keep growing, but everybody "
                    "may have names there: it is not proposed; add it by hand if the whole suffix is trusted."
                )

    def _record(self, subject: str, pattern: str, count: int) -> Widening:
        """What a pattern that was not chosen tonight costs and saves with so many names."""
        expected = self.estimator.expected_.get((subject, pattern), 0.0) * count
        return Widening(
            "pattern",
            pattern,
            count,
            openings=round(price_of(pattern), 3),
            rules=round(self.estimator.lam * (count - 1), 3),
            denials=round(self.estimator.mu * expected, 3),
        )

    def _matching(self, subject: str, pattern: str) -> list[str]:
        selector = FqdnSelector(pattern=pattern)
        return [n for s, n in self.seen if s == subject and selector.matches(n, deep_wildcards=True)]

    def _blocked(self, subject: str, pattern: str) -> bool:
        selector = FqdnSelector(pattern=pattern)
        held = (tidy_name(name)[0] for other, name in sorted(self.held) if other == subject)
        shared = is_shared(pattern.partition(".")[2])
        unknown = pattern.startswith("**") and not self.estimator.deep_wildcards
        return shared or unknown or any(selector.matches(name, deep_wildcards=True) for name in held)


def widen_names(
    found: dict[str, Widened],
    estimator: NamePatterns,
    candidates: Sequence[Candidate],
    held: pd.DataFrame,
    window: Seen,
) -> Names:
    """Let the estimator choose patterns, and enter them by the exact names they stand for."""
    edges_of: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for one in candidates:
        for peer in one.target.peers:
            if isinstance(peer, FqdnPeer):
                edges_of[(subject_of(one), peer.name)] += one.edges
    rows = [
        (*key, window.index.seen(edges)[0], min(edge.first_us for edge in edges) // DAY_US - window.first_day)
        for key, edges in sorted(edges_of.items())
    ]
    estimator.fit(pd.DataFrame(rows, columns=_NAME_COLUMNS), window.day_count, held)
    for row in records(estimator.selected_):
        if row["is_pattern"]:
            wide = FqdnPeer(pattern=str(row["selector"]))
            found[str(row["subject"])].peers[FqdnPeer(str(row["observed"]))] = wide
    for row in records(estimator.patterns_):
        wide = FqdnPeer(pattern=str(row["pattern"]))
        count = int(row["names"])
        found[str(row["subject"])].records[wide] = Widening(
            "pattern",
            wide.title,
            count,
            openings=round(float(row["price"]), 3),
            rules=round(estimator.lam * (count - 1), 3),
            denials=round(estimator.mu * float(row["expected_new"]), 3),
        )
    return Names(estimator, tuple(sorted(edges_of)), frozenset(held.itertuples(index=False, name=None)))
