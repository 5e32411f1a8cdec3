"""Peer keys of CNP and CCNP entries to peer selectors."""

from collections.abc import Mapping
from typing import Any, Final

from models.domain.cidr import CidrSelector, parse_prefix
from models.domain.policy import EntitySelector, PeerSelector, UndecidablePeer
from models.manifest.parse_inventory import Inventory
from models.manifest.parse_ports import fqdn_selector
from models.manifest.parse_selectors import node_selector, peer_selector

# Keys whose empty list selects nobody; toFQDNs and toServices count as absent when they stay empty.
_CLOSING: Final = ("Endpoints", "Nodes", "Entities", "CIDR", "CIDRSet")


def entry_peers(
    entry: Mapping[str, Any],
    side: str,
    namespace: str | None,
    inventory: Inventory,
    *,
    subject_is_init: bool,
    denies: bool,
) -> tuple[PeerSelector, ...] | None:
    """
    Peers of one entry.

    Parameters
    ----------
    entry
        Schema-valid.
    side
        ``from`` or ``to``.
    namespace
        Of a CNP; ``None`` for a CCNP.
    inventory
        Services and CIDR groups.
    subject_is_init
        The subject selects ``reserved:init``.
    denies
        Services are never resolved in deny entries.

    Returns
    -------
    tuple of PeerSelector or None
        ``None``: no peer key, every peer. ``()``: nobody.
    """
    if any(f"{side}{key}" in entry and not entry[f"{side}{key}"] for key in _CLOSING):
        return ()
    peers: list[PeerSelector] = [
        peer_selector(item, namespace, subject_is_init=subject_is_init)
        for item in entry.get(f"{side}Endpoints", ())
    ]
    peers += [node_selector(item) for item in entry.get(f"{side}Nodes", ())]
    peers += [EntitySelector(item) for item in entry.get(f"{side}Entities", ())]
    peers += [CidrSelector(p) for p in map(parse_prefix, entry.get(f"{side}CIDR", ())) if p is not None]
    named = any(f"{side}{key}" in entry for key in _CLOSING)
    for item in entry.get(f"{side}CIDRSet", ()):
        peers += _cidr_peers(item, inventory)
    if entry.get(f"{side}Groups"):
        peers.append(UndecidablePeer(f"{side}Groups: members of cloud security groups are not known here"))
    if side == "to":
        peers += [fqdn_selector(item) for item in entry.get("toFQDNs", ())]
        if not denies:
            for item in entry.get("toServices", ()):
                peers += inventory.service_peers(item)
    return tuple(peers) if peers or named else None


def _cidr_peers(item: Mapping[str, Any], inventory: Inventory) -> list[PeerSelector]:
    holes = tuple(p for p in map(parse_prefix, item.get("except", ())) if p is not None)
    if "cidrGroupRef" in item:
        members = inventory.group_prefixes(item["cidrGroupRef"])
    elif "cidrGroupSelector" in item:
        members = inventory.selected_prefixes(item["cidrGroupSelector"])
    else:
        prefix = parse_prefix(item.get("cidr", ""))
        return [] if prefix is None else [CidrSelector(prefix, holes)]
    if isinstance(members, UndecidablePeer):
        return [members]
    return [CidrSelector(prefix, holes, group) for group, prefix in members]
