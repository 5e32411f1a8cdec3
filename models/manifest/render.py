"""
Proposals to CiliumNetworkPolicy objects, byte for byte stable.

Labels that Cilium adds to a pod are written with their source (``k8s:io.kubernetes.pod.namespace``),
labels that the owner wrote as the owner wrote them (see docs/decisions). Only what every supported
release reads the same way is written: no empty lists, one kind of peer per entry, ports as text.
"""

from collections.abc import Collection, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal

from models.domain.capabilities import DEFAULT_DENY_SWITCH_SINCE, parse_version
from models.domain.labels import CLUSTER_KEY, NAMESPACE_KEY, SERVICE_ACCOUNT_KEY
from models.domain.peer import (
    EVERY_NAMESPACE,
    CidrPeer,
    EndpointPeer,
    EntityPeer,
    FqdnPeer,
    LabelSelector,
    Peer,
)
from models.domain.proposal import Proposal
from models.domain.proposal_json import iso
from models.domain.rule import Direction, Port, Rule
from models.errors import UnsupportedError
from models.manifest.split import Sections, Shape, in_parts, rule_paths, split_comments, written
from models.manifest.yaml_text import to_yaml
from models.synthesis.entries import Entry, group_entries, port_lists

__all__ = ["cilium_manifest", "comments", "manifest_yaml", "paths_in_parts", "remarks", "to_yaml"]

Mode = Literal["enforce", "shadow"]
ANNOTATION_PREFIX: Final = "portolan.dev"
_SOURCED: Final = frozenset({NAMESPACE_KEY, CLUSTER_KEY, SERVICE_ACCOUNT_KEY})
MAX_PEERS_NAMED: Final = 6  # in the comment above an entry
MAX_WORKLOADS_NAMED: Final = 50  # in the annotation: the API server takes 256 KiB of all of them
#: Said by the entry itself or by its place.
_SILENT_FLAGS: Final = frozenset({"icmp", "resolver", "assumed_dns"})
#: Why a direction that the proposal constrains has no section.
LEFT_OPEN: Final = "Left open: none of its rules was chosen, or none but the resolver's."
_DIRECTIONS: Final[tuple[Direction, ...]] = ("ingress", "egress")
_NO_LISTS_IN_SHADOW: Final = (
    "Its lists of HTTP requests are left out: shadow mode cannot show what they would refuse, and lifts such "
    "lists of other policies on the same ports as long as it is applied."
)


@cache
def generator() -> str:
    """Name and version of what wrote the manifest."""
    try:
        return f"portolan {version('portolan')}"
    except PackageNotFoundError:
        return "portolan"


def _key(key: str) -> str:
    return f"k8s:{key}" if key in _SOURCED else key


def selector_form(selector: LabelSelector, namespace: str = "", cluster: str = "") -> dict[str, Any]:
    """Selector as Cilium reads it, with the namespace and cluster where the peer is elsewhere."""
    labels = [(_key(key), value) for key, value in selector.labels]
    expressions: list[dict[str, Any]] = []
    if namespace == EVERY_NAMESPACE:
        expressions.append({"key": f"k8s:{NAMESPACE_KEY}", "operator": "Exists"})
    elif namespace:
        labels.append((f"k8s:{NAMESPACE_KEY}", namespace))
    if cluster:
        labels.append((f"k8s:{CLUSTER_KEY}", cluster))
    expressions += [{"key": _key(key), "operator": "DoesNotExist"} for key in selector.absent]
    form: dict[str, Any] = {}
    if labels:
        form["matchLabels"] = dict(sorted(labels))
    if expressions:
        form["matchExpressions"] = expressions
    return form


def _peers(entry: Entry, namespace: str) -> dict[str, Any]:
    """The one peer key of an entry."""
    way = "from" if entry.direction == "ingress" else "to"
    first: Peer = entry.peers[0]
    match first:
        case EndpointPeer():
            endpoints = [one for peer in entry.peers if isinstance(peer, EndpointPeer) for one in peer.each]
            return {
                f"{way}Endpoints": [
                    selector_form(
                        peer.selector,
                        "" if peer.namespace == namespace and not peer.cluster else peer.namespace,
                        peer.cluster,
                    )
                    for peer in endpoints
                ]
            }
        case EntityPeer():
            return {f"{way}Entities": [peer.entity for peer in entry.peers if isinstance(peer, EntityPeer)]}
        case FqdnPeer():
            names = [one for peer in entry.peers if isinstance(peer, FqdnPeer) for one in peer.each]
            return {
                f"{way}FQDNs": [
                    {"matchName": one.name} if one.name else {"matchPattern": one.pattern}
                    for one in sorted(names, key=lambda one: one.key)
                ]
            }
        case CidrPeer():
            return {f"{way}CIDR": [peer.cidr for peer in entry.peers if isinstance(peer, CidrPeer)]}


def _icmp(ports: Sequence[Port]) -> list[dict[str, Any]]:
    fields = [
        {"family": port.protocol.removeprefix("ICMP").replace("v", "IPv"), "type": port.number}
        for port in ports
    ]
    return [{"fields": fields}]


def _port(port: Port) -> dict[str, Any]:
    """One port, or a range of them."""
    end = {"endPort": port.end} if port.end else {}
    return {"port": str(port.number), **end, "protocol": port.protocol}


def _to_ports(entry: Entry, *, http: bool) -> list[dict[str, Any]]:
    """Port elements; DNS inspection and lists of HTTP requests where they are asked for."""
    elements = []
    for ports in port_lists(entry.ports):
        element: dict[str, Any] = {"ports": [_port(port) for port in ports]}
        if entry.dns:
            element["rules"] = {"dns": [{"matchPattern": pattern} for pattern in entry.dns]}
        elif entry.http and http:
            element["rules"] = {"http": [one.form() for one in entry.http]}
        elements.append(element)
    return elements


def entry_form(entry: Entry, namespace: str, *, http: bool = True) -> dict[str, Any]:
    """One element of ``ingress`` or ``egress``, with its list of HTTP requests or without it."""
    form = _peers(entry, namespace)
    if entry.ports[0].icmp:
        form["icmps"] = _icmp(entry.ports)
    else:
        form["toPorts"] = _to_ports(entry, http=http)
    return form


def chosen_rules(proposal: Proposal, include: Collection[str] | None) -> tuple[Rule, ...]:
    """
    Rules of the proposal that are wanted; all when nothing is said.

    Egress of which only the resolver is left is dropped: as a section it would allow the questions and
    deny every connection that follows them.
    """
    wanted = tuple(rule for rule in proposal.rules if include is None or rule.id in include)
    egress = [rule for rule in wanted if rule.direction == "egress"]
    if include is not None and egress and all("resolver" in rule.flags for rule in egress):
        return tuple(rule for rule in wanted if rule.direction == "ingress")
    return wanted


def _listed(workloads: Sequence[str]) -> str:
    """Workloads in one line, which a crowd that cannot be told apart must not make endless."""
    text = ", ".join(workloads[:MAX_WORKLOADS_NAMED])
    left = len(workloads) - MAX_WORKLOADS_NAMED
    return f"{text} and {left} more" if left > 0 else text


def matured(proposal: Proposal) -> str:
    """Maturity, with what keeps it from ``stable``."""
    return f"{proposal.maturity}: {proposal.why_not_stable}" if proposal.why_not_stable else proposal.maturity


def metadata(proposal: Proposal, rules: Sequence[Rule], mode: Mode) -> dict[str, Any]:
    """Name, labels and the annotations that say where the object comes from."""
    annotations = {
        "cluster": proposal.cluster,
        "evidence": f"{len(rules)} rule{'' if len(rules) == 1 else 's'}; "
        f"{proposal.effective_days} effective days; {matured(proposal)}",
        "fingerprint": proposal.fingerprint,
        "generator": generator(),
        "mode": mode,
        "observed-since": (iso(proposal.observed_from_us) or "")[:10],
        "proposal": proposal.key,
        "workloads": _listed(proposal.subject.workloads),
    }
    return {
        "name": proposal.name,
        "namespace": proposal.namespace,
        "labels": {
            "app.kubernetes.io/component": "network-policy",
            "app.kubernetes.io/managed-by": "portolan",
        },
        "annotations": {f"{ANNOTATION_PREFIX}/{key}": text for key, text in annotations.items() if text},
    }


def cilium_manifest(
    proposal: Proposal,
    *,
    include: Collection[str] | None = None,
    mode: Mode = "enforce",
    cilium_version: str | None = None,
) -> dict[str, Any]:
    """
    CiliumNetworkPolicy of a proposal.

    Parameters
    ----------
    proposal
        What to write.
    include
        Ids of the rules to write; all when ``None``. A direction of which no rule is wanted has no
        section and stays open, whatever the proposal decided.
    mode
        ``shadow`` switches the default deny off: entries match and are reported, nothing is dropped. Lists of
        HTTP requests are left out there: without a default deny they let everything pass, through a proxy.
    cilium_version
        Release of the target cluster; needed for ``shadow``.

    Returns
    -------
    dict
        Keys in the order to be written. A ``v1`` ``List`` of policies with one selector where a single one
        would be larger than a cluster takes (`models.manifest.split`).

    Raises
    ------
    UnsupportedError
        If no rule is wanted, or if ``shadow`` is asked for a cluster that is not known to have the
        switch: an older one ignores it and would enforce.
    """
    if not chosen_rules(proposal, include):
        raise UnsupportedError(f"{proposal.name}: no rule is chosen, and a policy without rules is refused")
    if mode == "shadow":
        known = None if cilium_version is None else parse_version(cilium_version)
        if known is None or known < DEFAULT_DENY_SWITCH_SINCE:
            raise UnsupportedError(
                "shadow mode needs Cilium 1.16 or later (set capabilities.cilium_version): "
                "an older one ignores enableDefaultDeny and would enforce the policy"
            )
    return written(_shape(proposal, include, mode))


def _shape(proposal: Proposal, include: Collection[str] | None, mode: Mode) -> Shape:
    """Entries of the wanted rules, and how they are written."""
    rules = chosen_rules(proposal, include)
    entries = {direction: group_entries(rules, direction, proposal.namespace) for direction in _DIRECTIONS}

    def form(entry: Entry) -> dict[str, Any]:
        return entry_form(entry, proposal.namespace, http=mode == "enforce")

    def policy(sections: Sections) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "description": proposal.description,
            "endpointSelector": selector_form(proposal.subject.selector),
        }
        if mode == "shadow":
            spec["enableDefaultDeny"] = dict.fromkeys(sections, False)
        spec |= {direction: [form(entry) for entry in entries] for direction, entries in sections.items()}
        return {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": metadata(proposal, rules, mode),
            "spec": spec,
        }

    return Shape({direction: found for direction, found in entries.items() if found}, form, policy)


def paths_in_parts(proposal: Proposal) -> dict[str, str]:
    """Places of the rules by id, ``items[1].spec.egress[0]``; empty where the manifest is one object."""
    return rule_paths(_shape(proposal, None, "enforce"))


def comments(
    proposal: Proposal, *, include: Collection[str] | None = None, mode: Mode = "enforce"
) -> tuple[str, ...]:
    """Lines to put above a manifest: what it is, which directions stay open, what was assumed."""
    lines = [proposal.description, *proposal.reasons]
    rules = chosen_rules(proposal, include)
    if mode == "shadow" and any(rule.http for rule in rules):
        lines.append(_NO_LISTS_IN_SHADOW)
    chosen = len(rules)
    if chosen < len(proposal.rules):
        lines.append(f"Holds {chosen} of the {len(proposal.rules)} rules that were proposed.")
    held = {rule.direction for rule in rules}
    for direction in _DIRECTIONS:
        decision = proposal.decision(direction)
        if decision.enforced and direction not in held:
            lines.append(f"{direction}: {LEFT_OPEN}")
        elif not decision.enforced:
            lines.append(f"{direction}: {decision.why}")
    lines += [f"Assumed: {assumption.text}" for assumption in proposal.assumptions]
    return tuple(lines)


def _entry_comment(entry: Entry) -> str:
    """Why an entry is there: its peers, how often they were seen, and what to look at."""
    peers = "; ".join(peer.title for peer in entry.peers[:MAX_PEERS_NAMED])
    if len(entry.peers) > MAX_PEERS_NAMED:
        peers += f" and {len(entry.peers) - MAX_PEERS_NAMED} more"
    seen = [rule.evidence for rule in entry.rules if not rule.evidence.assumed]
    text = f"{peers}: assumed"
    if seen:
        low, high = min(e.days_seen for e in seen), max(e.days_seen for e in seen)
        days = str(low) if low == high else f"{low} to {high}"
        text = f"{peers}: seen on {days} of {max(e.days_observed for e in seen)} days"
    flags = sorted({flag for rule in entry.rules for flag in rule.flags} - _SILENT_FLAGS)
    return text + (f" [{', '.join(flags)}]" if flags else "")


def remarks(
    proposal: Proposal, *, include: Collection[str] | None = None, mode: Mode = "enforce"
) -> list[dict[str, list[str]]]:
    """For each object of a manifest, one comment per entry of each section, in the order of the manifest."""
    return [
        {direction: [_entry_comment(entry) for entry in entries] for direction, entries in sections.items()}
        for sections in in_parts(_shape(proposal, include, mode))
    ]


def manifest_yaml(
    proposal: Proposal,
    *,
    include: Collection[str] | None = None,
    mode: Mode = "enforce",
    cilium_version: str | None = None,
) -> str:
    """The manifest as text, with a reason above every entry, ready to be reviewed and applied."""
    manifest = cilium_manifest(proposal, include=include, mode=mode, cilium_version=cilium_version)
    above = (*comments(proposal, include=include, mode=mode), *split_comments(manifest))
    return to_yaml(manifest, above, remarks(proposal, include=include, mode=mode))
