"""What became of every edge of a window: its rules, or the reason why it has none."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from models.domain.workload import Workload
from models.synthesis.candidates import Excluded
from models.synthesis.edges import NO_PLACE
from models.synthesis.subject import Outcome


@dataclass(slots=True)
class Ledger:
    """
    What became of every edge, by its place in the table: exactly one of the first two.

    Parameters
    ----------
    rules_of
        Rule ids.
    reason_of
        Reason code, for edges without a rule.
    partly_rejected
        Edges that lost one of several rules to a rejection.
    proposal_of
        Key of the proposal by label-set key of its subject.
    """

    rules_of: dict[int, tuple[str, ...]] = field(default_factory=dict)
    reason_of: dict[int, str] = field(default_factory=dict)
    partly_rejected: set[int] = field(default_factory=set)
    proposal_of: dict[str, str] = field(default_factory=dict)

    def exclude(self, excluded: Iterable[Excluded]) -> None:
        """Enter edges without a rule."""
        placed = (one for one in excluded if one.edge.place != NO_PLACE)
        self.reason_of.update({one.edge.place: one.reason for one in placed})

    def enter(self, workload: Workload, outcome: Outcome) -> None:
        """Enter the edges of one workload."""
        self.rules_of.update(outcome.rules_of)
        self.partly_rejected |= outcome.partly_rejected
        self.exclude(outcome.excluded)
        if outcome.proposal is not None:
            self.proposal_of.update(dict.fromkeys(workload.label_keys, outcome.proposal.key))
