"""
Label selectors as Cilium reads them: requirements that are all to hold.

A missing key fulfils ``NotIn`` and ``DoesNotExist``. The namespace that an object implies is added by
the reader; the *cluster* that a peer implies depends on the agent's settings, so the selector only
says whether the default applies (`cluster_by_default`) and the question brings the cluster's name.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.labels import ANY_SOURCE, CLUSTER_KEY, K8S, LabelSet


class Operator(StrEnum):
    """Operators of ``matchExpressions``; ``matchLabels`` is ``IN`` with one value."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """
    One condition on one key.

    Parameters
    ----------
    source
        ``any`` when the key was written without one.
    key
        Without its source.
    operator
        How the value is compared.
    values
        Sorted; empty for ``EXISTS`` and ``DOES_NOT_EXIST``.
    """

    source: str
    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: LabelSet) -> bool:
        """Whether an identity with these labels fulfils the condition."""
        value = labels.lookup(self.source, self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        key = self.key if self.source == ANY_SOURCE else f"{self.source}:{self.key}"
        if self.operator is Operator.IN and len(self.values) == 1:
            return f"{key}={self.values[0]}"
        listed = f" ({', '.join(self.values)})" if self.values else ""
        return f"{key} {self.operator.value}{listed}"


@dataclass(frozen=True, slots=True)
class EndpointSelector:
    """
    Endpoints, or nodes, by the labels of their identity.

    Parameters
    ----------
    requirements
        All must hold; none means every identity.
    cluster_by_default
        A peer selector that names no cluster: the own one is meant if the agent says so.
    """

    requirements: tuple[Requirement, ...] = ()
    cluster_by_default: bool = False

    def matches(self, labels: LabelSet, peer_cluster: str | None = None) -> bool:
        """
        Whether an identity is selected.

        Parameters
        ----------
        labels
            All identity labels of the endpoint.
        peer_cluster
            Cluster meant by default, from ``AgentConfig.peer_cluster``.
        """
        if not all(requirement.holds(labels) for requirement in self.requirements):
            return False
        if self.cluster_by_default and peer_cluster is not None:
            return labels.lookup(K8S, CLUSTER_KEY) == peer_cluster
        return True

    def has_key(self, key: str, *sources: str) -> bool:
        """Whether some requirement is on this key under one of the sources."""
        for requirement in self.requirements:
            if requirement.key == key and requirement.source in sources:
                return True
        return False

    def with_requirements(self, *more: Requirement) -> "EndpointSelector":
        """The same selector with further conditions."""
        return EndpointSelector((*self.requirements, *more), self.cluster_by_default)

    def __str__(self) -> str:
        return ", ".join(str(r) for r in sorted(self.requirements)) or "(all)"


EVERYTHING: Final = EndpointSelector()
