"""
Does one rule lie inside another? Decided on the rules themselves, without any traffic.

Every answer "yes" is certain. "No" means "not shown": two selectors may select the same pods today
without one implying the other.
"""

from collections.abc import Sequence

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector, canonical_name, matches_every_name
from models.domain.labels import ANY_SOURCE, CLUSTER_KEY
from models.domain.policy import EntitySelector, Entry, PeerSelector, PortRule
from models.domain.portset import PortSet
from models.domain.selector import EndpointSelector, Operator, Requirement
from models.simulation.matching import CLUSTER_ENTITIES, is_wildcard


def implies(one: Requirement, other: Requirement) -> bool:
    """
    Whether every identity that fulfils one requirement fulfils the other.

    Examples
    --------
    >>> web = Requirement("k8s", "app", Operator.IN, ("web",))
    >>> implies(web, Requirement("any", "app", Operator.EXISTS))
    True
    >>> implies(web, Requirement("any", "app", Operator.NOT_IN, ("api",)))
    True
    """
    positive = one.operator in (Operator.IN, Operator.EXISTS)
    # An identity has one label per key, so knowing it under one source settles "any source" too;
    # its absence under one source says nothing of the others.
    comparable = one.source == other.source or (other if positive else one).source == ANY_SOURCE
    if one.key != other.key or not comparable:
        return False
    mine, theirs = set(one.values), set(other.values)
    absent, listed = one.operator is Operator.DOES_NOT_EXIST, one.operator is Operator.IN
    excluded = one.operator is Operator.NOT_IN and mine >= theirs
    return {
        Operator.EXISTS: positive,
        Operator.IN: listed and mine <= theirs,
        Operator.DOES_NOT_EXIST: absent,
        Operator.NOT_IN: absent or excluded or (listed and not mine & theirs),
    }[other.operator]


def selector_within(inner: EndpointSelector, outer: EndpointSelector, peer_cluster: str | None) -> bool:
    """Whether every identity the inner selector selects is selected by the outer one."""
    if outer.cluster_by_default and peer_cluster is not None:
        own = Requirement("k8s", CLUSTER_KEY, Operator.IN, (peer_cluster,))
        bound = inner.cluster_by_default or any(implies(r, own) for r in inner.requirements)
        if not bound:
            return False
    return all(any(implies(mine, theirs) for mine in inner.requirements) for theirs in outer.requirements)


def cidr_within(inner: CidrSelector, outer: CidrSelector) -> bool:
    """Whether every address of the inner prefix is in the outer one and in none of its holes."""
    if inner.prefix.version != outer.prefix.version or not inner.prefix.subnet_of(outer.prefix):  # type: ignore[arg-type]
        return False
    return all(
        not hole.overlaps(inner.prefix)
        or any(mine.version == hole.version and hole.subnet_of(mine) for mine in inner.excepted)  # type: ignore[arg-type]
        for hole in outer.excepted
    )


def fqdn_within(inner: FqdnSelector, outer: FqdnSelector, *, deep_wildcards: bool) -> bool:
    """Whether every name the inner selector matches is matched by the outer one."""
    if outer.pattern is not None and matches_every_name(outer.pattern, deep_wildcards=deep_wildcards):
        return True
    if inner.name is not None:
        return outer.matches(inner.name, deep_wildcards=deep_wildcards)
    same = canonical_name(inner.pattern or "") == canonical_name(outer.pattern or "")
    return outer.pattern is not None and same


def peer_within(inner: PeerSelector, outer: PeerSelector, config: AgentConfig) -> bool:
    """Whether every peer the inner selector selects is selected by the outer one."""
    if is_wildcard(outer):
        return True
    if isinstance(outer, EntitySelector):
        return _within_entity(inner, outer.entity, config)
    if isinstance(inner, EndpointSelector) and isinstance(outer, EndpointSelector):
        return selector_within(inner, outer, config.peer_cluster)
    if isinstance(inner, CidrSelector) and isinstance(outer, CidrSelector):
        return cidr_within(inner, outer)
    if isinstance(inner, FqdnSelector) and isinstance(outer, FqdnSelector):
        return fqdn_within(inner, outer, deep_wildcards=config.release.deep_wildcards)
    return False


def _within_entity(inner: PeerSelector, entity: str, config: AgentConfig) -> bool:
    if isinstance(inner, EntitySelector):
        return inner.entity in (entity, "none") or (entity == "cluster" and inner.entity in CLUSTER_ENTITIES)
    if entity == "world":
        return isinstance(inner, FqdnSelector) or (
            isinstance(inner, CidrSelector) and not config.cidr_matches_nodes
        )
    if entity == "cluster" and isinstance(inner, EndpointSelector):
        own = EndpointSelector((Requirement("k8s", CLUSTER_KEY, Operator.IN, (config.cluster_name,)),))
        if inner.cluster_by_default and config.peer_cluster == config.cluster_name:
            return True
        return selector_within(inner, own, None)
    return False


def ports_within(inner: Sequence[PortRule] | None, outer: Sequence[PortRule] | None) -> bool:
    """Whether every port of the inner elements is in the outer ones; ``None`` is every port."""
    if outer is None:
        return True
    if inner is None:
        return False
    covered = PortSet.of(r for rule in outer for r in rule.ports)
    names = {name for rule in outer for name in rule.named}
    asked = PortSet.of(r for rule in inner for r in rule.ports)
    return covered.covers(asked) and all(name in names for rule in inner for name in rule.named)


def entry_within(inner: Entry, outer: Entry, config: AgentConfig) -> bool:
    """
    Whether the inner entry covers nothing (on layers 3 and 4) that the outer one does not cover.

    Subject, peer and port are compared one by one, so a rule split differently over several outer
    entries is not recognised.
    """
    if inner.direction is not outer.direction or inner.node_subject != outer.node_subject:
        return False
    if inner.required_peer is not None or outer.required_peer is not None:
        return False
    if not selector_within(inner.subject, outer.subject, None) or not ports_within(inner.ports, outer.ports):
        return False
    if outer.peers is None:
        return outer.ports is not None
    if inner.peers is None:
        return any(is_wildcard(peer) for peer in outer.peers)
    return all(any(peer_within(mine, theirs, config) for theirs in outer.peers) for mine in inner.peers)
