"""
Kubernetes objects to one `PolicySet`: validated, with Cilium's implicit parts added.

An object that Cilium would refuse contributes nothing and is kept among the rejected ones. A field
that Portolan does not know makes the object *undecidable*: the flows it might touch are answered
"unknown", for a cluster may drop the field or may know it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.agent import NEWEST, AgentConfig
from models.domain.labels import RESERVED
from models.domain.policy import (
    CILIUM_POLICY,
    KUBERNETES_POLICY,
    POLICY_KINDS,
    Direction,
    Entry,
    PolicyRef,
    PolicySet,
    Rejected,
    UndecidablePeer,
)
from models.domain.selector import EVERYTHING, EndpointSelector
from models.manifest.lists import opened
from models.manifest.parse_inventory import Inventory
from models.manifest.parse_kubernetes import kubernetes_entries
from models.manifest.parse_peers import entry_peers
from models.manifest.parse_ports import port_rules
from models.manifest.parse_selectors import peer_selector, raw_selector, subject_selector
from models.manifest.validate import problems
from models.manifest.validate_nodes import shown

DEFAULT_NAMESPACE: Final = "default"

_SECTIONS: Final = (
    ("ingress", Direction.INGRESS, "from", False),
    ("ingressDeny", Direction.INGRESS, "from", True),
    ("egress", Direction.EGRESS, "to", False),
    ("egressDeny", Direction.EGRESS, "to", True),
)


def parse_objects(
    objects: Sequence[Mapping[str, Any]],
    *,
    cilium_version: str = NEWEST,
    config: AgentConfig | None = None,
    inventory_complete: bool = False,
    linted: bool = False,
) -> PolicySet:
    """
    Read policies and what they refer to.

    Parameters
    ----------
    objects
        Decoded objects in any order: CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy,
        NetworkPolicy, and the Services, EndpointSlices and CiliumCIDRGroups they name. Lists
        (``kind: List`` and the typed ones) are opened. Other kinds are ignored.
    cilium_version
        Release whose schema and meaning count.
    config
        Agent settings; replaces `cilium_version`.
    inventory_complete
        The objects hold every Service and CIDR group of the cluster, so an unknown name means
        that it does not exist. Otherwise rules with unknown names are undecidable.

    linted
        ``problems`` found none in any of them, so they are not searched again.

    Returns
    -------
    PolicySet
        Entries sorted by object and path, and the rejected objects with every reason.

    Examples
    --------
    >>> policies = parse_objects([{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
    ...     "metadata": {"name": "a", "namespace": "shop"},
    ...     "spec": {"endpointSelector": {}, "ingress": [{}]}}])
    >>> [str(entry.ref()) for entry in policies.entries]
    ['CiliumNetworkPolicy/shop/a ingress[0]']
    """
    settings = config or AgentConfig(cilium_version=cilium_version)
    items = [item for given in objects for item in opened(given)]
    inventory = Inventory.of(items, complete=inventory_complete)
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    sources: dict[PolicyRef, Mapping[str, object]] = {}
    for item in items:
        if item.get("kind") not in POLICY_KINDS:
            continue
        policy = policy_ref(item)
        found = [] if linted else problems(item, config=settings)
        refused = [str(problem) for problem in found if problem.kind != "unknown field"]
        unknown = [problem.path for problem in found if problem.kind == "unknown field"]
        if refused or unknown:
            rejected.append(
                Rejected(policy, tuple(refused or (f"{path}: unknown field" for path in unknown)))
            )
        if refused:
            continue
        sources[policy] = item
        entries += _undecidable(item, policy, unknown) if unknown else _entries(item, policy, inventory)
    return PolicySet(
        tuple(sorted(entries, key=lambda e: (e.policy, e.path))),
        tuple(sorted(rejected, key=lambda r: (r.policy, r.reasons))),
        dict(sorted(sources.items())),
    )


def policy_ref(item: Mapping[str, Any]) -> PolicyRef:
    """Which object this is; a missing namespace is the default one, as for ``kubectl apply``."""
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    namespaced = item["kind"] in (CILIUM_POLICY, KUBERNETES_POLICY)
    place = (namespace if isinstance(namespace, str) else "") or (DEFAULT_NAMESPACE if namespaced else "")
    return PolicyRef(item["kind"], place, name if isinstance(name, str) else shown(name))


def _rules(item: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "spec" in item:
        yield "", item["spec"]
    for index, rule in enumerate(item.get("specs", ())):
        yield f"specs[{index}].", rule


def _entries(item: Mapping[str, Any], policy: PolicyRef, inventory: Inventory) -> list[Entry]:
    if policy.kind == KUBERNETES_POLICY:
        return kubernetes_entries(item, policy)
    return [
        _entry(rule, entry, _Place(policy, f"{prefix}{section}[{index}]", direction, side, denies), inventory)
        for prefix, rule in _rules(item)
        for section, direction, side, denies in _SECTIONS
        for index, entry in enumerate(rule.get(section, ()))
    ]


def _subject(rule: Mapping[str, Any], policy: PolicyRef) -> EndpointSelector:
    namespace = policy.namespace if policy.kind == CILIUM_POLICY else None
    if "nodeSelector" in rule:
        return raw_selector(rule["nodeSelector"])
    return subject_selector(rule["endpointSelector"], namespace)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry stands, and what its section says of it."""

    policy: PolicyRef
    path: str
    direction: Direction
    side: str
    denies: bool


def _entry(rule: Mapping[str, Any], entry: Mapping[str, Any], place: _Place, inventory: Inventory) -> Entry:
    namespace = place.policy.namespace if place.policy.kind == CILIUM_POLICY else None
    subject = _subject(rule, place.policy)
    is_init = subject.has_key("init", RESERVED)
    required = [
        peer_selector(selector, namespace, subject_is_init=is_init)
        for selector in entry.get(f"{place.side}Requires") or ()
    ]
    peers = entry_peers(entry, place.side, namespace, inventory, subject_is_init=is_init, denies=place.denies)
    return Entry(
        place.policy,
        place.path,
        place.direction,
        place.denies,
        subject,
        "nodeSelector" in rule,
        peers,
        port_rules(entry, place.path, denies=place.denies),
        rule.get("enableDefaultDeny", {}).get(place.direction.value, True),
        entry.get("authentication", {}).get("mode"),
        _all_of(required),
    )


def _all_of(selectors: Sequence[EndpointSelector]) -> EndpointSelector | None:
    if not selectors:
        return None
    return EndpointSelector(tuple(sorted({r for s in selectors for r in s.requirements})))


def _undecidable(item: Mapping[str, Any], policy: PolicyRef, fields: Sequence[str]) -> list[Entry]:
    """Stand-ins that may allow and may deny everything for the subject, in both directions."""
    reason = f"{policy} has the unknown field {fields[0]}"
    subjects = [EVERYTHING]
    if policy.kind != KUBERNETES_POLICY and not any("Selector" in field for field in fields):
        subjects = [_subject(rule, policy) for _, rule in _rules(item)]
    return [
        Entry(policy, fields[0], direction, denies, subject, False, (UndecidablePeer(reason),), None, True)
        for subject in subjects
        for direction in Direction
        for denies in (False, True)
    ]
