"""What a reader of a policy set should know: no effect, cost, breadth, DNS."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.policy import RuleRef


class FindingKind(StrEnum):
    """What is wrong with a rule, or worth a look."""

    EMPTY = "empty"  # matches nothing at all
    REDUNDANT = "redundant"  # another allow, or deny, covers it
    SHADOWED = "shadowed"  # an allow that a deny covers
    WEAKENED = "weakened"  # layer 7 rules that a plain rule lifts
    OVER_BROAD = "over-broad"  # opens much more than was seen
    COSTLY = "costly"  # fills the endpoint's policy map
    NO_DNS = "no-dns"  # a closed subject cannot resolve names
    NO_DNS_UNUSED = "no-dns-unused"  # the same, of a subject that was not seen to resolve any
    NO_LEARNING = "no-learning"  # toFQDNs without a DNS rule: names are never learned
    UNDECIDABLE = "undecidable"  # Portolan cannot say whom it selects
    UNCOMPUTABLE = "uncomputable"  # Cilium cannot compute the policy of an endpoint
    SELECTS_NOBODY = "selects-nobody"  # no pod seen in the window is its subject
    NO_SUCH_PEER = "no-such-peer"  # one of its peers selects nobody seen in the window


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # something does not work, or will not
    WARNING = "warning"  # it hardly means what its author wanted
    NOTE = "note"  # could be simpler or narrower


_SEVERITY: Final = {
    FindingKind.NO_DNS: Severity.ERROR,
    FindingKind.NO_LEARNING: Severity.ERROR,
    FindingKind.UNCOMPUTABLE: Severity.ERROR,
    FindingKind.REDUNDANT: Severity.NOTE,
    FindingKind.EMPTY: Severity.NOTE,
    FindingKind.OVER_BROAD: Severity.NOTE,
    FindingKind.NO_DNS_UNUSED: Severity.NOTE,
}  # the others are warnings


@dataclass(frozen=True, slots=True, order=True)
class RuleFinding:
    """
    One finding with the rule's place.

    Parameters
    ----------
    kind
        What it is.
    rule
        Where.
    because
        One sentence.
    other
        The rule that causes it, if any.
    count
        A number that goes with the kind (map entries, identities opened beyond those seen), or 0.
    """

    kind: FindingKind
    rule: RuleRef
    because: str
    other: RuleRef | None = None
    count: int = 0

    @property
    def severity(self) -> Severity:
        """Of its kind."""
        return _SEVERITY.get(self.kind, Severity.WARNING)
