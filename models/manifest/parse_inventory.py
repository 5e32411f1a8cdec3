"""
What policies refer to by name: Services, EndpointSlices, CIDR groups.

Whether an unknown name means "does not exist" or "was not given to us" is the caller's knowledge
(`complete`); without it a rule that refers to an unknown name is undecidable, never empty.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.domain.cidr import CidrSelector, Network, parse_address, parse_prefix
from models.domain.labels import K8S, LabelSet
from models.domain.policy import PeerSelector, UndecidablePeer
from models.domain.selector import EndpointSelector, Operator, Requirement
from models.manifest.parse_selectors import in_namespace, raw_selector, with_default_cluster

INVENTORY_KINDS: Final = ("Service", "EndpointSlice", "Endpoints", "CiliumCIDRGroup")

_SLICE_SERVICE: Final = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Service:
    """
    A Kubernetes Service.

    Parameters
    ----------
    namespace, name
        Its key.
    labels
        Labels of the object, under the source ``k8s``.
    selector
        Pod selector; empty for a Service whose addresses are listed.
    addresses
        Of its EndpointSlices, when it has no selector.
    """

    namespace: str
    name: str
    labels: LabelSet
    selector: tuple[tuple[str, str], ...]
    addresses: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """
    Everything policies may refer to.

    Parameters
    ----------
    services
        Sorted by namespace and name.
    groups
        CIDR groups: name, labels (source ``k8s``) and prefixes, sorted by name.
    complete
        The cluster has no further Services and CIDR groups.
    """

    services: tuple[Service, ...] = ()
    groups: tuple[tuple[str, LabelSet, tuple[Network, ...]], ...] = ()
    complete: bool = False

    @classmethod
    def of(cls, objects: Iterable[Mapping[str, Any]], *, complete: bool) -> "Inventory":
        """Read the objects of ``INVENTORY_KINDS`` among others; malformed parts are left out."""
        kinds: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in INVENTORY_KINDS}
        for item in objects:
            if item.get("kind") in kinds:
                kinds[item["kind"]].append(item)
        backends = _backends(kinds["EndpointSlice"], kinds["Endpoints"])
        services = [_service(item, backends) for item in kinds["Service"]]
        groups = [
            (
                _text(_map(item, "metadata").get("name")),
                _labels(item),
                _prefixes(_map(item, "spec").get("externalCIDRs")),
            )
            for item in kinds["CiliumCIDRGroup"]
        ]
        return cls(
            tuple(sorted(services, key=lambda s: (s.namespace, s.name))),
            tuple(sorted(groups, key=lambda g: g[0])),
            complete,
        )

    def group_prefixes(self, name: str) -> tuple[tuple[str, Network], ...] | UndecidablePeer:
        """Prefixes of one CIDR group, each with the group's name."""
        found = [(name, prefix) for known, _, prefixes in self.groups if known == name for prefix in prefixes]
        if found or self.complete or any(known == name for known, _, _ in self.groups):
            return tuple(found)
        return UndecidablePeer(f"cidrGroupRef {name!r}: the CiliumCIDRGroup is not known here")

    def selected_prefixes(
        self, selector: Mapping[str, Any]
    ) -> tuple[tuple[str, Network], ...] | UndecidablePeer:
        """Prefixes of the CIDR groups whose labels match."""
        if not self.complete and not self.groups:
            return UndecidablePeer("cidrGroupSelector: no CiliumCIDRGroup is known here")
        wanted = raw_selector(selector, K8S)
        return tuple(
            (name, prefix)
            for name, labels, prefixes in self.groups
            if wanted.matches(labels)
            for prefix in prefixes
        )

    def service_peers(self, reference: Mapping[str, Any]) -> tuple[PeerSelector, ...]:
        """Backends that one ``toServices`` element stands for; empty when no Service matches."""
        chosen = [service for service in self.services if _refers_to(reference, service)]
        if not chosen and not self.complete:
            return (UndecidablePeer("toServices: the Service it names is not known here"),)
        peers: list[PeerSelector] = []
        for service in chosen:
            if service.selector:
                requirements = [
                    Requirement("any", key, Operator.IN, (value,)) for key, value in service.selector
                ]
                selector = EndpointSelector((*requirements, in_namespace(service.namespace)))
                peers.append(with_default_cluster(selector))
            else:
                peers += [CidrSelector(address) for address in service.addresses]
        return tuple(peers)


def _refers_to(reference: Mapping[str, Any], service: Service) -> bool:
    by_labels = reference.get("k8sServiceSelector")
    if by_labels is not None:
        in_place = by_labels.get("namespace", "") in ("", service.namespace)
        return in_place and raw_selector(by_labels["selector"], "any").matches(service.labels)
    by_name = reference.get("k8sService")
    if by_name is None:
        return False
    in_place = by_name.get("namespace", "") in ("", service.namespace)
    return in_place and by_name.get("serviceName", "") == service.name


def _service(item: Mapping[str, Any], backends: Mapping[tuple[str, str], list[Network]]) -> Service:
    metadata = _map(item, "metadata")
    key = (_text(metadata.get("namespace")) or "default", _text(metadata.get("name")))
    selector = _map(_map(item, "spec"), "selector")
    pairs = sorted((k, v) for k, v in selector.items() if isinstance(k, str) and isinstance(v, str))
    return Service(*key, _labels(item), tuple(pairs), tuple(sorted(set(backends.get(key, ())), key=str)))


def _backends(
    slices: Iterable[Mapping[str, Any]], endpoints: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str], list[Network]]:
    found: dict[tuple[str, str], list[Network]] = {}
    for item in slices:
        metadata = _map(item, "metadata")
        service = _text(_map(metadata, "labels").get(_SLICE_SERVICE))
        key = (_text(metadata.get("namespace")) or "default", service)
        for endpoint in _list(item.get("endpoints")):
            found.setdefault(key, []).extend(_hosts(_list(_map({"e": endpoint}, "e").get("addresses"))))
    for item in endpoints:
        metadata = _map(item, "metadata")
        key = (_text(metadata.get("namespace")) or "default", _text(metadata.get("name")))
        for subset in _list(item.get("subsets")):
            addresses = _list(_map({"s": subset}, "s").get("addresses"))
            found.setdefault(key, []).extend(_hosts([_map({"a": a}, "a").get("ip") for a in addresses]))
    return found


def _hosts(texts: Iterable[object]) -> list[Network]:
    addresses = [parse_address(text) for text in texts if isinstance(text, str)]
    prefixes = [parse_prefix(f"{a}/{a.max_prefixlen}") for a in addresses if a is not None]
    return [prefix for prefix in prefixes if prefix is not None]


def _prefixes(texts: object) -> tuple[Network, ...]:
    found = [parse_prefix(text) for text in _list(texts) if isinstance(text, str)]
    return tuple(prefix for prefix in found if prefix is not None)


def _labels(item: Mapping[str, Any]) -> LabelSet:
    labels = _map(_map(item, "metadata"), "labels")
    return LabelSet.of(f"{K8S}:{key}={value}" for key, value in labels.items())


def _map(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
