"""
The rules that select a subject, found by namespace first: a question about one of a thousand policies.

Most subject selectors name one namespace, so a subject is compared with those of its own and with the
clusterwide ones, each distinct selector once.
"""

from collections import defaultdict
from collections.abc import Iterable

from models.domain.labels import K8S, NAMESPACE_KEY
from models.domain.policy import Direction, Entry
from models.domain.selector import EndpointSelector, Operator
from models.simulation.context import ResolvedSide
from models.simulation.verdict import selects_subject


class SubjectIndex:
    """
    Entries by whom they select.

    Parameters
    ----------
    entries
        Of a policy set, in any number.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        groups: dict[tuple[EndpointSelector, bool], list[tuple[int, Entry]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            groups[entry.subject, entry.node_subject].append((number, entry))
        self._homes: dict[str | None, list[list[tuple[int, Entry]]]] = defaultdict(list)
        for (selector, _), members in groups.items():
            self._homes[home_of(selector)].append(members)

    def selecting(self, subject: ResolvedSide, direction: Direction) -> list[Entry]:
        """
        Entries of a direction that select a subject, in the order they were given in.

        Parameters
        ----------
        subject
            Resolved; one whose identity is not known is selected by none.
        direction
            Ingress or egress.
        """
        if subject.labels is None:
            return []
        places = dict.fromkeys([subject.labels.lookup(K8S, NAMESPACE_KEY), None])
        found = [
            numbered
            for place in places
            for members in self._homes.get(place, ())
            if selects_subject(members[0][1], subject)
            for numbered in members
            if numbered[1].direction is direction
        ]
        return [entry for _, entry in sorted(found, key=lambda numbered: numbered[0])]


def home_of(selector: EndpointSelector) -> str | None:
    """
    The one namespace that a selector selects in; ``None`` for any other.

    Examples
    --------
    >>> home_of(EndpointSelector()) is None
    True
    """
    for r in selector.requirements:
        if (r.source, r.key, r.operator) == (K8S, NAMESPACE_KEY, Operator.IN) and len(r.values) == 1:
            return r.values[0]
    return None
