"""
Sides to classes: ends that no policy of the set can tell apart share one.

Label selectors are answered per distinct label set, prefixes per interval of the address space between
the borders of all prefixes (so a lookup is a binary search), DNS patterns once per distinct name with
one RE2 set. A peer class is a combination of the three.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import re2
from numpy.typing import NDArray

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector, Network
from models.domain.fqdn import FqdnSelector, canonical_name, pattern_expression
from models.domain.labels import ANY_SOURCE, CLUSTER_KEY, K8S, LabelSet
from models.domain.policy import EntitySelector
from models.domain.selector import EndpointSelector, Operator, Requirement
from models.simulation.bits import Bools
from models.simulation.context import ResolvedSide, Side, resolve
from models.simulation.matching import entity_matches

NO_ADDRESS: Final = -1
NO_NAMES: Final = -1

Ints = NDArray[np.int64]


class LabelIndex:
    """
    Selectors over all distinct label sets at once.

    Parameters
    ----------
    label_sets
        Distinct; an unknown identity is not among them.
    """

    def __init__(self, label_sets: Sequence[LabelSet]) -> None:
        self._sets = label_sets
        self._rows: dict[str, list[tuple[int, str, str]]] = {}
        for row, labels in enumerate(label_sets):
            for label in labels.labels:
                self._rows.setdefault(label.key, []).append((row, label.source, label.value))
        self._known: dict[Requirement, Bools] = {}

    def selected(self, selector: EndpointSelector, peer_cluster: str | None = None) -> Bools:
        """Which label sets a selector selects, shape (label sets,)."""
        answer = np.ones(len(self._sets), dtype=np.bool_)
        for requirement in selector.requirements:
            answer &= self._holds(requirement)
        if selector.cluster_by_default and peer_cluster is not None:
            answer &= self._holds(Requirement(K8S, CLUSTER_KEY, Operator.IN, (peer_cluster,)))
        return answer

    def entity(self, entity: str, cluster_name: str) -> Bools:
        """Which label sets belong to an entity, shape (label sets,)."""
        found = [entity_matches(entity, labels, cluster_name) for labels in self._sets]
        return np.array(found, dtype=np.bool_)

    def _holds(self, requirement: Requirement) -> Bools:
        known = self._known.get(requirement)
        if known is not None:
            return known
        positive = requirement.operator in (Operator.IN, Operator.EXISTS)
        by_value = requirement.operator in (Operator.IN, Operator.NOT_IN)
        rows = [
            row
            for row, source, value in self._rows.get(requirement.key, ())
            if requirement.source in (ANY_SOURCE, source) and (not by_value or value in requirement.values)
        ]
        answer = np.full(len(self._sets), not positive, dtype=np.bool_)
        answer[rows] = positive
        self._known[requirement] = answer
        return answer


class AddressIndex:
    """
    Prefixes over the intervals between all their borders.

    Parameters
    ----------
    prefixes
        Every prefix and exception of the policies, of either family.
    """

    def __init__(self, prefixes: Iterable[Network]) -> None:
        borders: dict[int, set[int]] = {4: {0}, 6: {0}}
        for prefix in prefixes:
            start = int(prefix.network_address)
            borders[prefix.version] |= {start, start + prefix.num_addresses}
        self._starts = {version: sorted(starts) for version, starts in borders.items()}
        self.count = sum(len(starts) for starts in self._starts.values())

    def interval(self, side: ResolvedSide) -> int:
        """Interval of a side's address; ``NO_ADDRESS`` when it is not known."""
        if side.address is None:
            return NO_ADDRESS
        place = bisect_right(self._starts[side.address.version], int(side.address)) - 1
        return place if side.address.version == 4 else len(self._starts[4]) + place

    def selected(self, selector: CidrSelector) -> Bools:
        """Which intervals a prefix minus its exceptions holds, shape (count,)."""
        answer = self._inside(selector.prefix)
        for hole in selector.excepted:
            answer &= ~self._inside(hole)
        return answer

    def _inside(self, prefix: Network) -> Bools:
        answer = np.zeros(self.count, dtype=np.bool_)
        starts = self._starts[prefix.version]
        offset = 0 if prefix.version == 4 else len(self._starts[4])
        first = int(prefix.network_address)
        low = bisect_right(starts, first) - 1
        high = bisect_right(starts, first + prefix.num_addresses - 1)
        answer[offset + low : offset + high] = True
        return answer


class NameIndex:
    """
    DNS names to the selectors that match them.

    Parameters
    ----------
    selectors
        Distinct ``toFQDNs`` elements.
    deep_wildcards
        The release knows ``**.``.
    """

    def __init__(self, selectors: Sequence[FqdnSelector], *, deep_wildcards: bool) -> None:
        self._exact: dict[str, list[FqdnSelector]] = {}
        self._patterns = [selector for selector in selectors if selector.pattern is not None]
        for selector in selectors:
            if selector.name is not None:
                self._exact.setdefault(canonical_name(selector.name), []).append(selector)
        self._set = re2.Set.FullMatchSet() if self._patterns else None
        if self._set is not None:
            for selector in self._patterns:
                self._set.Add(pattern_expression(selector.pattern or "", deep_wildcards=deep_wildcards))
            self._set.Compile()
        self._known: dict[str, frozenset[FqdnSelector]] = {}
        self._classes: dict[frozenset[FqdnSelector], int] = {}

    def class_of(self, names: tuple[str, ...] | None) -> int:
        """Class of a side's names; ``NO_NAMES`` when they are not known."""
        if names is None:
            return NO_NAMES
        matched = frozenset[FqdnSelector]().union(*(self._matched(name) for name in names))
        return self._classes.setdefault(matched, len(self._classes))

    def selected(self, selector: FqdnSelector) -> Bools:
        """Which name classes a selector selects, shape (classes,)."""
        return np.array([selector in matched for matched in self._classes], dtype=np.bool_)

    def _matched(self, name: str) -> frozenset[FqdnSelector]:
        canonical = canonical_name(name)
        if canonical not in self._known:
            found = set(self._exact.get(canonical, ()))
            if self._set is not None:
                found |= {self._patterns[index] for index in self._set.Match(canonical) or ()}
            self._known[canonical] = frozenset(found)
        return self._known[canonical]


@dataclass(frozen=True, slots=True)
class SideIndex:
    """
    All sides of an edge table, by class.

    Parameters
    ----------
    labels, addresses, names
        Answer selectors per label set, interval and name class.
    label_of, named_of
        Per side: its label set (the last number stands for an unknown identity) and its class of
        named ports (0: not known).
    class_of
        Per side: its peer class.
    class_label, class_interval, class_name, class_exact
        Per peer class: what it is made of.
    named_ports
        Per class of named ports: what is known; ``None`` for class 0.
    label_sets
        Distinct label sets.
    """

    labels: LabelIndex
    addresses: AddressIndex
    names: NameIndex
    label_of: Ints
    named_of: Ints
    class_of: Ints
    class_label: Ints
    class_interval: Ints
    class_name: Ints
    class_exact: Bools
    named_ports: tuple[tuple[tuple[str, int, str], ...] | None, ...]
    label_sets: tuple[LabelSet, ...]

    @property
    def unknown_label(self) -> int:
        """Number that stands for an unknown identity among the label sets."""
        return len(self.label_sets)

    @classmethod
    def of(
        cls,
        sides: Sequence[Side],
        prefixes: Iterable[Network],
        fqdns: Sequence[FqdnSelector],
        config: AgentConfig,
    ) -> "SideIndex":
        """Resolve every side once and number its class."""
        addresses = AddressIndex(prefixes)
        names = NameIndex(fqdns, deep_wildcards=config.release.deep_wildcards)
        label_sets: dict[LabelSet, int] = {}
        named: dict[tuple[tuple[str, int, str], ...] | None, int] = {None: 0}
        rows = np.empty((len(sides), 5), dtype=np.int64)
        for index, side in enumerate(sides):
            resolved = resolve(side, config)
            label = -1 if resolved.labels is None else label_sets.setdefault(resolved.labels, len(label_sets))
            rows[index] = (
                label,
                addresses.interval(resolved),
                names.class_of(resolved.names),
                resolved.exact,
                named.setdefault(resolved.named_ports, len(named)),
            )
        rows[rows[:, 0] < 0, 0] = len(label_sets)
        classes, class_of = np.unique(rows[:, :4], axis=0, return_inverse=True)
        return cls(
            LabelIndex(tuple(label_sets)),
            addresses,
            names,
            rows[:, 0],
            rows[:, 4],
            class_of.reshape(-1),
            classes[:, 0],
            classes[:, 1],
            classes[:, 2],
            classes[:, 3].astype(np.bool_),
            tuple(named),
            tuple(label_sets),
        )

    def by_label(self, answer: Bools, *, unknown: bool = False) -> Bools:
        """Spread an answer per label set over the peer classes; an unknown identity gets `unknown`."""
        return np.append(answer, unknown)[self.class_label]

    def entity(self, entity: EntitySelector, config: AgentConfig) -> Bools:
        """Which label sets belong to an entity."""
        return self.labels.entity(entity.entity, config.cluster_name)
