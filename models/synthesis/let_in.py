"""
Rules that let in what is held back, said where a person decides on them.

Where no label tells the pods of a namespace from each other, a rule admits all of them, and with them
whoever in it is held back; where a port is open to anyone, or to the internet, it admits whoever is held back
on it. The rule may be needed all the same; who approves it has to know.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from models.domain.cidr import parse_address
from models.domain.peer import ANYONE, EVERY_NAMESPACE, WORLD, CidrPeer, EndpointPeer, Peer
from models.domain.rule import Port, Rule
from models.synthesis.view import ClusterView

#: Names that a sentence lists.
_SHOWN: Final = 3


def with_held_back_told(
    rules: Iterable[Rule],
    held: Mapping[tuple[str, Port], Collection[str]],
    view: ClusterView,
    what: str = "held back on this port (see the quarantine)",
) -> list[Rule]:
    """
    The rules, with a flag and a sentence on those that select a peer that is held back.

    A resolver that every pod has to reach is left as it is: what is asked there is looked at by name.

    Parameters
    ----------
    rules
        Of one proposal.
    held
        Label-set keys or addresses of the peers that are held back of its subject, by direction and port.
    view
        Who is who.
    what
        What a sentence says of them.
    """
    return [rule if "resolver" in rule.flags else _told(rule, held, view, what) for rule in rules]


def _told(rule: Rule, held: Mapping[tuple[str, Port], Collection[str]], view: ClusterView, what: str) -> Rule:
    if "every_pod" in rule.flags:
        return rule
    keys = {
        key
        for (direction, port), peers in held.items()
        for key in peers
        if lets_in((rule,), direction, port, key, view)
    }
    names = sorted({name for key in keys if (name := _name(key, view))})
    if not names:
        return rule
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    way = "lets in" if rule.direction == "ingress" else "lets it call"
    why = f"It also {way} {', '.join(names[:_SHOWN])}{more}, {what}."
    flags = tuple(sorted({*rule.flags, "admits_held_back", "needs_review"}))
    return replace(rule, flags=flags, reasons=(*rule.reasons, why))


def _name(key: str, view: ClusterView) -> str:
    """What a sentence calls a peer that is held back; "" for one of whom nothing is known."""
    one = view.workload(key)
    if one is not None:
        return f"{one.title} in {one.namespace}"
    return key if parse_address(key) else ""


def holds(mine: Port, port: Port) -> bool:
    """Whether a port, or a range, holds a port."""
    return mine.protocol == port.protocol and mine.number <= port.number <= max(mine.end, mine.number)


def lets_in(rules: Iterable[Rule], direction: str, port: Port, key: str, view: ClusterView) -> bool:
    """Whether some rule lets a peer pass on a port: a label-set key or an address."""
    return any(
        rule.direction == direction
        and any(holds(mine, port) for mine in rule.ports)
        and selects(rule.peer, key, view)
        for rule in rules
    )


def selects(peer: Peer, key: str, view: ClusterView) -> bool:
    """Whether a peer takes in an address or the pods of a label set; anyone takes in whatever the key is."""
    if peer == ANYONE:
        return True
    if address := parse_address(key):
        return peer == WORLD or (isinstance(peer, CidrPeer) and address in ipaddress.ip_network(peer.cidr))
    if not isinstance(peer, EndpointPeer):
        return False
    workload = view.workload(key)
    if workload is None:
        return False
    labels = view.workloads.labels.get(key, {})
    return any(
        one.cluster in ("", workload.cluster)
        and one.namespace in (EVERY_NAMESPACE, workload.namespace)
        and one.selector.matches(labels)
        for one in peer.each
    )
