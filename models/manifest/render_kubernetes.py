"""
Proposals to Kubernetes NetworkPolicy, for clusters that want it, with what it cannot say.

It has no names, no entities, no ICMP, no DNS inspection and no other cluster. A direction that needs one
of these stays open instead of denying what was seen to work; the caller gets the list.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from models.domain.labels import SERVICE_ACCOUNT_KEY
from models.domain.peer import (
    ANYONE,
    EVERY_NAMESPACE,
    CidrPeer,
    EndpointPeer,
    EntityPeer,
    LabelSelector,
    Peer,
)
from models.domain.proposal import Proposal
from models.domain.rule import Direction, Rule
from models.errors import UnsupportedError
from models.manifest.render import chosen_rules, comments, metadata
from models.manifest.split import Sections, Shape, written
from models.synthesis.entries import Entry, group_entries

#: Label that Kubernetes puts on every namespace since 1.21.
_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_WORLD: Final = ("0.0.0.0/0", "::/0")
_DIRECTIONS: Final[tuple[Direction, ...]] = ("ingress", "egress")


def _selector(selector: LabelSelector) -> dict[str, Any]:
    form: dict[str, Any] = {}
    if selector.labels:
        form["matchLabels"] = dict(selector.labels)
    if selector.absent:
        form["matchExpressions"] = [{"key": key, "operator": "DoesNotExist"} for key in selector.absent]
    return form


def _by_account(selector: LabelSelector) -> bool:
    """Whether the selector needs the service account, which is no label of the pod."""
    return any(key == SERVICE_ACCOUNT_KEY for key, _ in selector.labels)


def _obstacle(rule: Rule) -> str:
    """Why a NetworkPolicy cannot say a rule; "" when it can."""
    if rule.ports[0].icmp:
        return "ICMP cannot be selected"
    match rule.peer:
        case EndpointPeer() as peer:
            if any(one.cluster for one in peer.each):
                return "a pod of another cluster cannot be selected"
            by_account = any(_by_account(one.selector) for one in peer.each)
            return "a service account cannot be selected" if by_account else ""
        case EntityPeer(entity="world" | "all") | CidrPeer():
            return ""
        case EntityPeer(entity=entity):
            return f"the entity {entity} cannot be selected"
        case _:
            return "DNS names cannot be selected"


def _endpoints(peer: EndpointPeer, namespace: str) -> dict[str, Any]:
    pods = {"podSelector": _selector(peer.selector)}
    if peer.namespace == namespace:
        return pods
    if peer.namespace == EVERY_NAMESPACE:
        return {"namespaceSelector": {}} | (pods if peer.selector != LabelSelector() else {})
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: peer.namespace}}, **pods}


def _peers(peer: Peer, namespace: str) -> list[dict[str, Any]]:
    match peer:
        case EndpointPeer():
            return [_endpoints(one, namespace) for one in peer.each]
        case CidrPeer(cidr=cidr):
            return [{"ipBlock": {"cidr": cidr}}]
        case _:
            return [{"ipBlock": {"cidr": cidr}} for cidr in _WORLD]


def _entry(entry: Entry, namespace: str) -> dict[str, Any]:
    way = "from" if entry.direction == "ingress" else "to"
    peers = [form for peer in entry.peers for form in _peers(peer, namespace)]
    return {
        # No list of peers is everybody.
        **({} if ANYONE in entry.peers else {way: peers}),
        "ports": [
            {"port": port.number, **({"endPort": port.end} if port.end else {}), "protocol": port.protocol}
            for port in entry.ports
        ],
    }


def _sayable(rules: Sequence[Rule], direction: Direction, said: list[str]) -> list[Rule]:
    """Rules of a direction; none, with the reasons noted, when one of them cannot be said."""
    mine = [rule for rule in rules if rule.direction == direction]
    obstacles = [(rule, why) for rule in mine if (why := _obstacle(rule))]
    # The local node is let in without a rule, so its line may go missing on the way in.
    obstacles = [
        (rule, why)
        for rule, why in obstacles
        if not (direction == "ingress" and rule.peer == EntityPeer("host"))
    ]
    if not obstacles:
        return [rule for rule in mine if not _obstacle(rule)]
    said += [f"{rule.title}: {why}." for rule, why in obstacles]
    said.append(f"{direction} stays open, because a section without these rules would deny them.")
    return []


def _sections(
    proposal: Proposal, include: Collection[str] | None
) -> tuple[dict[Direction, list[Entry]], tuple[str, ...]]:
    """Entries by direction, and what could not be said."""
    rules = chosen_rules(proposal, include)
    said: list[str] = []
    if any(rule.dns for rule in rules):
        said.append("DNS questions are allowed but not inspected, so no names are learned.")
    if any(rule.http for rule in rules):
        said.append("HTTP methods and paths are not checked: any request passes.")
    sections = {
        direction: group_entries(_sayable(rules, direction, said), direction, proposal.namespace)
        for direction in _DIRECTIONS
    }
    return sections, tuple(said)


def cannot_say(proposal: Proposal, *, include: Collection[str] | None = None) -> tuple[str, ...]:
    """Which rules a NetworkPolicy cannot express, and what that does to their direction."""
    return _sections(proposal, include)[1]


def kubernetes_comments(proposal: Proposal, *, include: Collection[str] | None = None) -> tuple[str, ...]:
    """Lines to put above the manifest, the limits of a NetworkPolicy among them."""
    limits = [f"Not expressible here: {sentence}" for sentence in cannot_say(proposal, include=include)]
    return (*comments(proposal, include=include), *limits)


def kubernetes_manifest(proposal: Proposal, *, include: Collection[str] | None = None) -> dict[str, Any]:
    """
    NetworkPolicy of a proposal.

    Parameters
    ----------
    proposal
        What to write.
    include
        Ids of the rules to write; all when ``None``.

    Returns
    -------
    dict
        Keys in the order to be written; `cannot_say` tells what is missing in it. A ``v1`` ``List`` of
        policies where a single one would be too large (`models.manifest.split`).

    Raises
    ------
    UnsupportedError
        If the subject cannot be selected, or no direction is left that can be said.
    """
    if _by_account(proposal.subject.selector):
        raise UnsupportedError(
            f"{proposal.name}: its pods are told apart by service account only, "
            "which a Kubernetes NetworkPolicy cannot select"
        )
    sections, said = _sections(proposal, include)
    present = [direction for direction in _DIRECTIONS if sections[direction]]
    if not present:
        reasons = " ".join(said) or "no rule is chosen"
        raise UnsupportedError(f"{proposal.name}: no NetworkPolicy can say any of it: {reasons}")
    said_rules = [rule for direction in present for entry in sections[direction] for rule in entry.rules]

    def form(entry: Entry) -> dict[str, Any]:
        return _entry(entry, proposal.namespace)

    def policy(held: Sections) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "podSelector": _selector(proposal.subject.selector),
            "policyTypes": [direction.capitalize() for direction in held],
        }
        spec |= {direction: [form(entry) for entry in entries] for direction, entries in held.items()}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(proposal, said_rules, "enforce"),
            "spec": spec,
        }

    return written(Shape({direction: sections[direction] for direction in present}, form, policy))
