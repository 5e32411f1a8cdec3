"""What policies open: identity and port pairs inside the cluster, predicates by price class outside."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.evaluation.judging import CONFIG, Judge
from jobs.evaluation.occurrences import occurrences
from jobs.evaluation.truth import UNSCORED
from jobs.evaluation.world import NO_LABELS, World
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.labels import LabelSet
from models.domain.policy import Direction, EntitySelector, Entry, PeerSelector
from models.learning.suffixes import is_shared, registrable
from models.simulation.context import ResolvedSide, Side, resolve
from models.simulation.matching import peer_matches

#: Classes of what a rule opens outside, from the price table of the method.
EXACT_NAME: Final = "exact name"
DEEPER: Final = "*.x.registrable"
REGISTRABLE: Final = "*.registrable"
ALL_LEVELS: Final = "**.registrable"
SHARED: Final = "shared-suffix wildcard"
ADDRESS: Final = "single address"
PREFIX: Final = "wider prefix"
WORLD: Final = "world"
PRICE_CLASSES: Final = (EXACT_NAME, DEEPER, REGISTRABLE, ALL_LEVELS, SHARED, ADDRESS, PREFIX, WORLD)

Pair = tuple[int, str, int, str, int]  # subject, direction, peer, protocol, port
_WAYS: Final = ("egress", "ingress")


@dataclass(frozen=True, slots=True)
class Openings:
    """
    What was opened against what is needed.

    Parameters
    ----------
    admitted, needed
        Pairs of identities inside the cluster at gates under default deny; an identity has the number of
        its first workload.
    enforced
        Gates of workloads under default deny, of `gates`.
    gates
        Workloads times two directions.
    outside
        Egress predicates by price class.
    addresses
        Addresses that egress prefixes open; the world's are not counted.
    """

    admitted: frozenset[Pair]
    needed: frozenset[Pair]
    enforced: frozenset[tuple[int, str]]
    gates: int
    outside: Counter[str]
    addresses: int


def openings(judge: Judge, learned: int, until: int) -> Openings:
    """
    Compare what policies open on the last learned day with what is ever needed until ``until``.

    Attacks need nothing. Workloads that arrive later are left out of both sides.
    """
    world = judge.world
    identity = _identities(world, learned - 1)
    sides = {n: _side(world, n, learned - 1) for n in sorted(set(identity.values()))}
    admitted: set[Pair] = set()
    enforced: set[tuple[int, str]] = set()
    outside: Counter[str] = Counter()
    opened = 0
    peers_of: dict[PeerSelector, tuple[int, ...]] = {}
    subjects_of: dict[object, list[int]] = {}
    for entry in judge.policies.entries:
        if entry.subject not in subjects_of:
            subjects_of[entry.subject] = _subjects(entry, sides)
        subjects = subjects_of[entry.subject]
        direction = entry.direction.value
        if entry.default_deny:
            enforced.update((n, direction) for n in subjects)
        for peer in entry.peers or ():
            if peer not in peers_of:
                peers_of[peer] = tuple(n for n, side in sides.items() if peer_matches(peer, side, CONFIG))
        ports = _ports(entry)
        found = list(sides) if entry.peers is None else sorted({n for p in entry.peers for n in peers_of[p]})
        admitted.update(
            (n, direction, other, protocol, port)
            for n in subjects
            for other in found
            for protocol, port in ports
        )
        if entry.direction is Direction.EGRESS:
            classes = [price_class(peer) for peer in entry.peers or ()]
            outside.update(name for name in classes if name)
            opened += sum(_size(peer) for peer in entry.peers or () if price_class(peer) in (ADDRESS, PREFIX))
    needed = {pair for pair in _needed(world, identity, until) if pair[:2] in enforced}
    kept = {pair for pair in admitted if pair[:2] in enforced}
    workloads = {(n, way) for n, one in identity.items() for way in _WAYS if (one, way) in enforced}
    return Openings(
        frozenset(kept),
        frozenset(needed),
        frozenset(workloads),
        len(_WAYS) * len(identity),
        outside,
        opened,
    )


def _identities(world: World, day: int) -> dict[int, int]:
    """
    Workloads that are there, with the first one that has the same labels.

    Equal labels are one identity to Cilium: no policy could tell such workloads apart.
    """
    first: dict[str, int] = {}
    found = {}
    for number in range(len(world.workloads)):
        label_set = int(world.label_set_of[number, day])
        if label_set != NO_LABELS:
            found[number] = first.setdefault(world.label_sets[label_set].key, number)
    return found


def _side(world: World, number: int, day: int) -> ResolvedSide:
    label_set = world.label_sets[int(world.label_set_of[number, day])]
    return resolve(Side(labels=label_set.texts), CONFIG)


def _subjects(entry: Entry, sides: dict[int, ResolvedSide]) -> list[int]:
    found = []
    for number, side in sides.items():
        labels = side.labels or LabelSet.of(())
        if labels.namespace == entry.policy.namespace and entry.subject.matches(labels):
            found.append(number)
    return found


def _ports(entry: Entry) -> list[tuple[str, int]]:
    """Protocol and port pairs of an entry; an entry without ports opens every one of TCP."""
    if entry.ports is None:
        return [("TCP", port) for port in range(65536)]
    return [
        (str(numbers.protocol.value), port)
        for rule in entry.ports
        for numbers in rule.ports
        for port in range(numbers.first, numbers.last + 1)
    ]


def _needed(world: World, identity: Mapping[int, int], until: int) -> Iterable[Pair]:
    """Pairs that anything legitimate uses; whoever asks a resolver needs it over both protocols."""
    used = world.flows[:, :until].any(axis=1)
    for number in np.flatnonzero(used).tolist():
        link = world.links[number]
        if link.attack or link.kind == UNSCORED or link.client not in identity or link.server not in identity:
            continue
        client, server = identity[link.client], identity[link.server]
        for protocol in ("UDP", "TCP") if link.kind == "dns" else (link.protocol,):
            yield (client, "egress", server, protocol, link.port)
            yield (server, "ingress", client, protocol, link.port)


def price_class(peer: PeerSelector) -> str:
    """Price class of an egress predicate; "" for one inside the cluster."""
    match peer:
        case FqdnSelector(name=str()):
            return EXACT_NAME
        case FqdnSelector(pattern=str() as pattern):
            return _pattern_class(pattern)
        case CidrSelector():
            if peer.prefix.prefixlen == 0:
                return WORLD
            return ADDRESS if peer.prefix.prefixlen == peer.prefix.max_prefixlen else PREFIX
        case EntitySelector():
            return WORLD if peer.entity in ("world", "all", "world-ipv4", "world-ipv6") else ""
        case _:
            return ""


def _pattern_class(pattern: str) -> str:
    text = pattern.rstrip(".")
    labels = text.split(".")
    fixed = ".".join(labels[next((n + 1 for n in reversed(range(len(labels))) if "*" in labels[n]), 0) :])
    if not fixed or is_shared(fixed):
        return SHARED
    if text.startswith("**."):
        return ALL_LEVELS
    return REGISTRABLE if registrable(fixed) == fixed else DEEPER


def _size(peer: PeerSelector) -> int:
    return int(peer.prefix.num_addresses) if isinstance(peer, CidrSelector) else 0


def strangers_admitted(judge: Judge) -> int:
    """Names of strangers that an egress predicate of any workload lets through."""
    names = {
        peer
        for entry in judge.policies.entries
        if entry.direction is Direction.EGRESS
        for peer in entry.peers or ()
        if isinstance(peer, FqdnSelector)
    }
    deep = CONFIG.release.deep_wildcards
    return sum(any(one.matches(name, deep_wildcards=deep) for one in names) for name in judge.world.strangers)


def raw_rule_counts(world: World, first: int, learned: int) -> tuple[int, int]:
    """
    Rules of two exact allow-lists without any generalisation.

    Returns
    -------
    tuple
        One rule per workload, direction, peer and port, names instead of addresses where they are known;
        and one per recorded edge between label sets and addresses. Probes of the node need no rule, and what
        is told as no edge can have none.
    """
    uses = occurrences(world, first, learned, observed=True)
    workload: defaultdict[str, set[object]] = defaultdict(set)
    recorded: set[object] = set()
    for row in uses.drop_duplicates(["link", "client_set", "server_set", "address"]).to_dict("records"):
        link = world.links[int(row["link"])]
        if link.kind == UNSCORED or link.untold:
            continue
        named = link.outside >= 0 and link.client >= 0 and bool(world.visible[link.client])
        name = world.outsides[link.outside].name if named else ""
        far = name or (row["address"] if link.outside >= 0 else link.entity)
        client: object = link.client if link.client >= 0 else far
        server: object = link.server if link.server >= 0 else far
        for way, pod in (("egress", link.client), ("ingress", link.server)):
            if pod >= 0:
                workload[way].add((client, server, link.protocol, link.port))
                recorded.add(
                    (
                        way,
                        row["client_set"],
                        row["server_set"],
                        row["address"],
                        link.entity,
                        link.protocol,
                        link.port,
                    )
                )
    return sum(len(keys) for keys in workload.values()), len(recorded)
