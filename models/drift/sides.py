"""
What was approved beside what is deployed, all parts of a policy together.

A policy that was split says what it says in several objects. Which of them holds a rule follows from what
else is in them, so a rule that moved from one part to another is no change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count, takewhile

from models.domain.policy import PolicyRef, PolicySet
from models.manifest.split import PART_ANNOTATION, part_name

Texts = frozenset[str]


@dataclass(frozen=True, slots=True)
class Sides:
    """
    Two versions of one policy.

    Parameters
    ----------
    wanted, found
        What its objects say (`models.drift.atoms.meaning`): as approved, and as deployed. ``found`` may
        tell of other policies, too.
    all_wanted, all_found
        The same of all objects of the policy together.
    """

    wanted: Mapping[PolicyRef, Texts]
    found: Mapping[PolicyRef, Texts]
    all_wanted: Texts
    all_found: Texts

    @classmethod
    def of(
        cls,
        wanted: Mapping[PolicyRef, Texts],
        found: Mapping[PolicyRef, Texts],
        rest: Iterable[PolicyRef] = (),
    ) -> "Sides":
        """Put the objects of one policy side by side, ``rest`` (`left_over`) among the deployed ones."""
        return cls(wanted, found, _together(wanted, wanted), _together(found, (*wanted, *rest)))

    def more(self, policy: PolicyRef) -> Texts:
        """What a deployed object says, and no part of the approved policy."""
        return self.found.get(policy, frozenset()) - self.all_wanted

    def less(self, policy: PolicyRef) -> Texts:
        """What an approved object says, and no deployed one of the policy."""
        return self.wanted.get(policy, frozenset()) - self.all_found

    def differ(self, policy: PolicyRef) -> bool:
        """Whether an object is not as approved, wherever its rules stand."""
        return bool(self.more(policy) or self.less(policy))


def _together(texts: Mapping[PolicyRef, Texts], policies: Iterable[PolicyRef]) -> Texts:
    return frozenset().union(*(texts.get(policy, frozenset()) for policy in policies))


def left_over(wanted: PolicySet, deployed: PolicySet) -> tuple[PolicyRef, ...]:
    """
    Parts that the approved policy had when it was larger, and that nobody deleted.

    Parameters
    ----------
    wanted
        The objects of one approved policy.
    deployed
        What is in force.
    """
    if not wanted.sources:
        return ()
    first = min(wanted.sources)
    numbers = count(len(wanted.sources) + 1)
    names = (PolicyRef(first.kind, first.namespace, part_name(first.name, number)) for number in numbers)
    return tuple(takewhile(lambda name: _is_part(deployed.sources.get(name, {})), names))


def _is_part(source: Mapping[str, object]) -> bool:
    """Whether an export wrote it as a part; a name alone may be anybody's."""
    metadata = source.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and PART_ANNOTATION in annotations
