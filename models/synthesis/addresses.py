"""Addresses and names outside the cluster: what they are, and which of them a policy may carry."""

import ipaddress
import re
from typing import Final

from models.domain.cidr import Address, parse_address
from models.domain.fqdn import MAX_NAME_LENGTH
from models.domain.special import METADATA_ADDRESSES, inner, is_reserved

#: LocalDNS of AKS listens on .10 and .11 of this prefix, on every node.
LOCAL_DNS: Final = ipaddress.ip_network("169.254.10.0/24")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_][-a-z0-9_]{0,62}(\.[a-z0-9_][-a-z0-9_]{0,62})+")
_CLUSTER_SUFFIXES: Final = (".cluster.local", ".svc", ".arpa", ".local")


def classify(text: str) -> str:
    """
    What kind of address a text is.

    Returns
    -------
    str
        ``unresolved``, ``multicast``, ``metadata``, ``link_local``, ``private`` or ``public``.

    Examples
    --------
    >>> classify("169.254.169.254"), classify("10.1.2.3"), classify("224.0.0.251"), classify("0.0.0.0")
    ('metadata', 'private', 'multicast', 'unresolved')
    >>> classify("100.64.0.7"), classify("64:ff9b::a00:1"), classify("64:ff9b::3401:203")
    ('private', 'private', 'public')
    """
    address = parse_address(text)
    if address is None or address.is_unspecified:
        return "unresolved"
    if str(inner(address)) in METADATA_ADDRESSES:
        return "metadata"
    if address.is_multicast or str(address) == "255.255.255.255":
        return "multicast"
    if address.is_link_local or address.is_loopback:
        return "link_local"
    return "private" if is_reserved(address) else "public"


def exact_prefix(text: str) -> str:
    """
    The prefix that holds one address and nothing else.

    Examples
    --------
    >>> exact_prefix("192.0.2.7"), exact_prefix("2001:db8::7")
    ('192.0.2.7/32', '2001:db8::7/128')
    """
    address: Address = parse_address(text) or ipaddress.ip_address(text)
    return f"{address}/{address.max_prefixlen}"


def local_dns(text: str) -> bool:
    """Whether the address is LocalDNS of AKS."""
    address = parse_address(text)
    return address is not None and address.version == LOCAL_DNS.version and address in LOCAL_DNS


def canonical(name: str) -> str:
    """Lower case, no trailing dot: one name, one rule."""
    return name.strip().lower().rstrip(".")


def well_formed(name: str) -> bool:
    """Whether a policy may carry a canonical name, wherever it is answered."""
    return len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None


def writable_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """
    Names that ``matchName`` may carry and that mean something outside the cluster, sorted.

    Names of the cluster's own DNS select no pods; illegal or over-long ones are a sign of tunnelling
    and never reach a policy.

    Examples
    --------
    >>> writable_names(("API.example.com.", "db.shop.svc.cluster.local", "*.example.com", "a b.com"))
    ('api.example.com',)
    """
    return tuple(
        sorted(
            {
                name
                for name in map(canonical, names)
                if well_formed(name) and not name.endswith(_CLUSTER_SUFFIXES)
            }
        )
    )
