"""
Rules to the entries of a manifest: the fewest that open nothing more, in an order that reads well.

Peers with exactly the same ports share an entry, one peer with several ports is one entry. One kind of
peer per entry, ICMP and DNS inspection apart, because Cilium refuses or misreads any other mix. What a
reviewer must look at hard stands alone, so that it can be deleted alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.domain.cidr import parse_prefix
from models.domain.http import HttpTemplate
from models.domain.peer import CidrPeer, EndpointPeer, EntityPeer, FqdnPeer, Peer
from models.domain.rule import Direction, Port, Rule

#: Ports per ``toPorts`` element that the schema accepts.
MAX_PORTS: Final = 40
_ALONE: Final = frozenset({"metadata", "internet_exposed"})
#: Place of an entry in its list: class, then what is kept apart within it.
_Place = tuple[int, int, int, str]
_Proxied = tuple[tuple[str, ...], tuple[HttpTemplate, ...]]
_KINDS: Final = (EndpointPeer, EntityPeer, FqdnPeer, CidrPeer)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One element of ``ingress`` or ``egress``.

    Parameters
    ----------
    direction
        Which list.
    peers
        Of one kind, sorted.
    ports
        Sorted by protocol, then number; all ICMP or none.
    dns
        Question patterns for the DNS proxy.
    http
        Requests that the proxy lets pass, sorted; empty: no look at HTTP.
    rules
        The rules it holds, sorted.
    """

    direction: Direction
    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]
    dns: tuple[str, ...]
    http: tuple[HttpTemplate, ...]
    rules: tuple[Rule, ...]


def _class(rule: Rule, port: Port) -> _Place:
    """Place of an entry in its list: resolvers first, ICMP last, sensitive ones by themselves."""
    alone = rule.peer.key if _ALONE & set(rule.flags) else ""
    kind = _KINDS.index(type(rule.peer))
    review = int("needs_review" in rule.flags)
    if "resolver" in rule.flags:
        return (0, review, kind, alone)
    return (2 if port.icmp else 1, kind, review, alone)


def _peer_order(peer: Peer, namespace: str) -> tuple[bool, str, str, str]:
    """Own namespace first, then by namespace and name; addresses by number."""
    if isinstance(peer, EndpointPeer):
        return (peer.namespace != namespace, peer.cluster, peer.namespace, peer.selector.text())
    if isinstance(peer, CidrPeer) and (network := parse_prefix(peer.cidr)) is not None:
        return (False, str(network.version), f"{int(network.network_address):039d}", peer.cidr)
    return (False, "", "", peer.key)


def _proxied(rule: Rule) -> _Proxied:
    """What a proxy looks at; rules that differ in it share no entry."""
    return rule.dns, tuple(HttpTemplate(one.method, one.path) for one in rule.http)


def group_entries(rules: Iterable[Rule], direction: Direction, namespace: str) -> list[Entry]:
    """
    Entries of one direction.

    Parameters
    ----------
    rules
        Of any direction; the others are passed over.
    direction
        Which list.
    namespace
        Of the policy.
    """
    by_peer: dict[tuple[_Place, _Proxied, Peer], list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.direction == direction:
            by_peer[(_class(rule, rule.ports[0]), _proxied(rule), rule.peer)].append(rule)
    by_ports: dict[tuple[_Place, _Proxied, tuple[Port, ...]], list[tuple[Peer, list[Rule]]]] = defaultdict(
        list
    )
    for (place, proxied, peer), mine in by_peer.items():
        ports = tuple(sorted({port for rule in mine for port in rule.ports}))
        by_ports[(place, proxied, ports)].append((peer, mine))
    entries = []
    for (place, (dns, http), ports), members in by_ports.items():
        members.sort(key=lambda member: _peer_order(member[0], namespace))
        held = sorted((rule for _, mine in members for rule in mine), key=lambda rule: rule.sort_key)
        entry = Entry(direction, tuple(peer for peer, _ in members), ports, dns, http, tuple(held))
        order = (place, not dns, [_peer_order(peer, namespace) for peer in entry.peers], ports, http)
        entries.append((order, entry))
    return [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]


def port_lists(ports: Sequence[Port]) -> list[tuple[Port, ...]]:
    """Ports in lists that the schema accepts."""
    return [tuple(ports[start : start + MAX_PORTS]) for start in range(0, len(ports), MAX_PORTS)]


def with_paths(rules: Iterable[Rule], namespace: str) -> tuple[Rule, ...]:
    """The rules with the entry that holds each, sorted; those of crowded entries flagged."""
    ordered: list[Rule] = []
    everything = tuple(rules)
    directions: tuple[Direction, ...] = ("ingress", "egress")
    for direction in directions:
        for number, entry in enumerate(group_entries(everything, direction, namespace)):
            crowded = ("many_ports",) if len(entry.ports) > MAX_PORTS else ()
            ordered += [
                replace(rule, path=f"{direction}[{number}]", flags=tuple(sorted({*rule.flags, *crowded})))
                for rule in entry.rules
            ]
    return tuple(ordered)
