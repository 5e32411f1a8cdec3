"""Kubernetes NetworkPolicy to entries, as Cilium translates it (``pkg/k8s/network_policy.go``)."""

from collections.abc import Mapping
from typing import Any

from models.domain.cidr import CidrSelector, parse_prefix
from models.domain.labels import CLUSTER_KEY, K8S, NAMESPACE_LABELS_PREFIX
from models.domain.policy import Direction, Entry, NamedPort, PeerSelector, PolicyRef, PortRule
from models.domain.portset import PortRange, Protocol
from models.domain.selector import EVERYTHING, EndpointSelector, Requirement
from models.manifest.parse_ports import numeric_range
from models.manifest.parse_selectors import HAS_NAMESPACE, in_namespace, raw_selector


def kubernetes_entries(manifest: Mapping[str, Any], policy: PolicyRef) -> list[Entry]:
    """Entries of a valid NetworkPolicy; sections with entries count even when their type is not listed."""
    spec = manifest["spec"]
    types = spec.get("policyTypes") or ()
    subject = _pods(spec.get("podSelector") or {}, policy.namespace)
    entries: list[Entry] = []
    for direction, side, section in (
        (Direction.INGRESS, "from", "ingress"),
        (Direction.EGRESS, "to", "egress"),
    ):
        rules = spec.get(section) or ()
        listed = direction.value.capitalize() in types
        implied = direction is Direction.INGRESS and "Egress" not in types
        if not rules and (listed or implied):
            # No rule: the direction is closed and nothing is let in; there is no place to point at but this.
            entries.append(Entry(policy, section, direction, False, subject, False, (), None))
        for index, rule in enumerate(rules):
            path = f"{section}[{index}]"
            peers: tuple[PeerSelector, ...] = (EVERYTHING,)
            if rule.get(side):
                peers = tuple(_peer(item, policy.namespace) for item in rule[side])
            ports = _ports(rule, path)
            entries.append(Entry(policy, path, direction, False, subject, False, peers, ports))
    return entries


def _pods(selector: Mapping[str, Any], namespace: str) -> EndpointSelector:
    return EndpointSelector(
        tuple(sorted((*raw_selector(selector, K8S).requirements, in_namespace(namespace))))
    )


def _peer(item: Mapping[str, Any], namespace: str) -> PeerSelector:
    if "ipBlock" in item:
        prefix = parse_prefix(item["ipBlock"]["cidr"])
        holes = [parse_prefix(text) for text in item["ipBlock"].get("except", ())]
        if prefix is None:  # validated before: a prefix that is none never gets here
            return EndpointSelector((in_namespace(""),))
        return CidrSelector(prefix, tuple(hole for hole in holes if hole is not None))
    pods = raw_selector(item.get("podSelector") or {}, K8S)
    own_cluster = not pods.has_key(CLUSTER_KEY, K8S)
    if "namespaceSelector" not in item:
        requirements: tuple[Requirement, ...] = (*pods.requirements, in_namespace(namespace))
    else:
        wanted = raw_selector(item["namespaceSelector"], K8S).requirements
        labels = tuple(
            Requirement(K8S, NAMESPACE_LABELS_PREFIX + r.key, r.operator, r.values) for r in wanted
        )
        requirements = (*pods.requirements, *(labels or (HAS_NAMESPACE,)))
    return EndpointSelector(tuple(sorted(requirements)), cluster_by_default=own_cluster)


def _ports(rule: Mapping[str, Any], path: str) -> tuple[PortRule, ...] | None:
    found = []
    for index, item in enumerate(rule.get("ports") or ()):
        protocol = Protocol(item.get("protocol", "TCP"))
        port = item.get("port", 0)
        ranges: tuple[PortRange, ...] = ()
        named: tuple[NamedPort, ...] = ()
        if isinstance(port, int) or port.isdigit():
            ranges = (numeric_range(protocol, int(port), item.get("endPort", 0)),)
        else:
            named = (NamedPort(port.lower(), (protocol.value,)),)
        found.append(PortRule(f"{path}.ports[{index}]", ranges, named))
    return tuple(found) or None
