"""Which rule of which proposal speaks about a use of a link, by the contract form of the proposals."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.evaluation.judging import CONFIG
from jobs.evaluation.occurrences import address_text
from jobs.evaluation.world import World
from models.domain.fqdn import FqdnSelector
from models.domain.peer import (
    ANYONE,
    EVERY_NAMESPACE,
    EndpointPeer,
    EntityPeer,
    FqdnPeer,
    LabelSelector,
    peer_from_json,
)
from models.learning.label_choice import kubernetes_labels

#: Flag of a rule that no automation may approve.
NEEDS_REVIEW: Final = "needs_review"


@dataclass(frozen=True, slots=True)
class Place:
    """One gate of one use."""

    link: int
    direction: str
    own_set: int
    far_set: int
    address: int


class RuleBook:
    """
    Rules by the label sets that their proposals select.

    Parameters
    ----------
    world
        Whose links are looked up.
    forms
        Proposals in their contract form.
    """

    def __init__(self, world: World, forms: Iterable[Mapping[str, Any]]) -> None:
        self._world = world
        self._labels = [kubernetes_labels(one.texts) for one in world.label_sets]
        self._namespaces = [world.workloads[one.workload].namespace for one in world.label_sets]
        self.forms = tuple(forms)
        self._of_set: dict[int, list[int]] = {}
        for number, form in enumerate(self.forms):
            selector = _selector(form["subject"]["selector"])
            for place, labels in enumerate(self._labels):
                if self._namespaces[place] == form["namespace"] and selector.matches(labels):
                    self._of_set.setdefault(place, []).append(number)
        self._by_port: dict[tuple[int, str, str, int], list[Mapping[str, Any]]] = {}
        for number, form in enumerate(self.forms):
            for rule in form["rules"]:
                for port in rule["ports"]:
                    low = int(port.get("port", port.get("type", -1)))
                    for value in range(low, int(port.get("end_port", low)) + 1):
                        key = (number, str(rule["direction"]), str(port["protocol"]), value)
                        self._by_port.setdefault(key, []).append(rule)

    def proposals(self, label_set: int) -> list[int]:
        """Numbers of the proposals that select a label set."""
        return self._of_set.get(label_set, [])

    def rules(self, place: Place) -> list[Mapping[str, Any]]:
        """Rules that admit a use at one gate."""
        link = self._world.links[place.link]
        return [
            rule
            for number in self.proposals(place.own_set)
            for rule in self._by_port.get((number, place.direction, link.protocol, link.port), [])
            if self._covers(rule, place)
        ]

    def _covers(self, rule: Mapping[str, Any], place: Place) -> bool:
        link = self._world.links[place.link]
        match peer_from_json(rule["peer"]):
            case EndpointPeer() as peer:
                return place.far_set >= 0 and any(self._selects(one, place.far_set) for one in peer.each)
            case EntityPeer() as peer:
                outside = place.address >= 0 and peer.entity == "world"
                return peer == ANYONE or peer.entity == link.entity or outside
            case FqdnPeer() as peer:
                name = self._world.outsides[link.outside].name if link.outside >= 0 else ""
                return bool(name) and any(_names(one, name) for one in peer.each)
            case peer:
                return place.address >= 0 and ipaddress.ip_address(
                    address_text(self._world, place.address)
                ) in ipaddress.ip_network(peer.cidr)

    def _selects(self, peer: EndpointPeer, label_set: int) -> bool:
        namespace = peer.namespace in (EVERY_NAMESPACE, self._namespaces[label_set])
        return namespace and peer.selector.matches(self._labels[label_set])


def _names(peer: FqdnPeer, name: str) -> bool:
    selector = FqdnSelector(peer.name or None, peer.pattern or None)
    return selector.matches(name, deep_wildcards=CONFIG.release.deep_wildcards)


def _selector(form: Mapping[str, Any]) -> LabelSelector:
    absent = tuple(sorted(str(one["key"]) for one in form.get("matchExpressions", ())))
    return LabelSelector(tuple(sorted(form["matchLabels"].items())), absent)


def places(row: Any) -> list[Place]:
    """The gates of a use: egress of its client, ingress of its server."""
    found = []
    link, client, server, address = int(row.link), int(row.client_set), int(row.server_set), int(row.address)
    if client >= 0:
        found.append(Place(link, "egress", client, server, address))
    if server >= 0:
        found.append(Place(link, "ingress", server, client, address))
    return found
