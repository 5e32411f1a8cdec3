"""
Policies in their smallest parts: one subject, one peer, one port element each.

An entry of a manifest may hold twenty peers and five ports; "unused" and "changed" speak of one of them.
Peers and ports of an entry are ORed, so the parts of an allow entry say together exactly what it says.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from models.domain.fqdn import FqdnSelector, canonical_name
from models.domain.labels import ANY_SOURCE, K8S
from models.domain.policy import Entry, PeerSelector, PolicyRef, PolicySet, PortRule
from models.domain.portset import PortSet
from models.domain.selector import EndpointSelector, Operator, Requirement

_ANY_PEER: Final = "any peer"
_ANY_PORT: Final = "any port"


def parts(entry: Entry) -> list[Entry]:
    """Parts of one entry, in the order in which it lists them."""
    if entry.denies or entry.required_peer is not None:
        return [entry]
    peers: list[tuple[PeerSelector, ...] | None] = (
        [entry.peers] if not entry.peers else [(peer,) for peer in entry.peers]
    )
    ports: list[tuple[PortRule, ...] | None] = [entry.ports] if not entry.ports else _port_parts(entry.ports)
    return [replace(entry, peers=peer, ports=port) for peer in peers for port in ports]


def _port_parts(rules: Iterable[PortRule]) -> list[tuple[PortRule, ...] | None]:
    found: list[tuple[PortRule, ...] | None] = []
    for rule in rules:
        pieces = [replace(rule, ports=(one,), named=()) for one in rule.ports]
        pieces += [replace(rule, ports=(), named=(one,)) for one in rule.named]
        found += [(piece,) for piece in pieces or [rule]]
    return found


def selector_text(selector: EndpointSelector) -> str:
    """
    One spelling per meaning: Cilium stores ``app`` as ``any:app`` or ``k8s:app``, and the order moves.

    Examples
    --------
    >>> one = EndpointSelector((Requirement("any", "app", Operator.IN, ("web",)),))
    >>> two = EndpointSelector((Requirement("k8s", "app", Operator.IN, ("web",)),))
    >>> selector_text(one) == selector_text(two)
    True
    """
    texts = {_requirement(one) for one in selector.requirements}
    return ", ".join(sorted(texts)) or "(all)"


def _requirement(one: Requirement) -> str:
    source = K8S if one.source == ANY_SOURCE else one.source
    same = Requirement(source, one.key, one.operator, tuple(sorted(set(one.values))))
    if same.operator is Operator.NOT_IN and not same.values:
        return ""
    return str(same)


def peer_text(peer: PeerSelector) -> str:
    """One spelling per meaning of a peer."""
    if isinstance(peer, EndpointSelector):
        return f"pods {selector_text(peer)}" + (" of this cluster" if peer.cluster_by_default else "")
    if isinstance(peer, FqdnSelector):
        return f"name {canonical_name(peer.name or peer.pattern or '').rstrip('.')}"
    return str(peer)


def ports_text(rules: tuple[PortRule, ...] | None) -> str:
    """One spelling per meaning of ports, layer 7 included."""
    if rules is None:
        return _ANY_PORT
    texts = []
    for rule in rules:
        named = ", ".join(sorted(f"{'/'.join(one.protocols)} {one.name}" for one in rule.named))
        numbers = str(PortSet.of(rule.ports)) if rule.ports else ""
        layer7 = "" if rule.l7 is None else f" with {_layer7(rule.l7)}"
        texts.append(" and ".join(part for part in (numbers, named) if part) + layer7)
    return "; ".join(sorted(texts)) or "no port"


def _layer7(rules: Any) -> str:
    """Layer 7 rules in an order that does not depend on how they were written."""
    groups = {name: sorted(map(repr, getattr(rules, name))) for name in ("http", "dns", "server_names")} | {
        "other": [rules.other or ""]
    }
    return ", ".join(f"{name} {' | '.join(found)}" for name, found in groups.items() if any(found))


def part_text(entry: Entry, *, default_deny: bool = True) -> str:
    """
    What a part says, without where it stands: equal texts have equal meaning.

    Parameters
    ----------
    entry
        A part.
    default_deny
        Whether the text says if the part closes its direction.
    """
    peers = _ANY_PEER if entry.peers is None else ", ".join(sorted(map(peer_text, entry.peers))) or "nobody"
    verb = "denies" if entry.denies else "allows"
    way = "from" if entry.direction == "ingress" else "to"
    notes = [] if entry.default_deny or not default_deny else ["without default deny"]
    notes += [f"authentication {entry.authentication}"] if entry.authentication else []
    notes += [f"requires {selector_text(entry.required_peer)}"] if entry.required_peer is not None else []
    where = "nodes" if entry.node_subject else "pods"
    return (
        f"{entry.direction.value} of {where} {selector_text(entry.subject)} {verb} {way} {peers} "
        f"on {ports_text(entry.ports)}" + "".join(f" ({note})" for note in notes)
    )


def meaning(
    policies: PolicySet, *, default_deny: bool = True, wanted: Collection[PolicyRef] | None = None
) -> Mapping[PolicyRef, frozenset[str]]:
    """
    What each object says, as a set of texts that does not depend on spelling or order.

    Parameters
    ----------
    policies
        As parsed.
    wanted
        Objects that are asked about; all of them when absent.
    default_deny
        Whether a direction that is not closed makes a difference.
    """
    found: dict[PolicyRef, set[str]] = {}
    for entry in policies.entries:
        if wanted is not None and entry.policy not in wanted:
            continue
        texts = found.setdefault(entry.policy, set())
        texts.update(part_text(part, default_deny=default_deny) for part in parts(entry))
    return {policy: frozenset(texts) for policy, texts in found.items()}
