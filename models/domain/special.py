"""
Addresses that are no place on the internet: private, reserved, or a service of the machine itself.

A private address stands for somebody known here, whom its neighbours are not; a platform service hands out
credentials. So neither is ever covered by a prefix. The list is ours because that of the standard library
changes with its release and leaves out what carriers and clouds use inside (RFC 6598, RFC 8215).
"""

import ipaddress
from functools import lru_cache
from typing import Final

from models.domain.cidr import Address, Network

#: Instance metadata and platform services of clouds: credentials for the whole machine behind one GET.
METADATA_ADDRESSES: Final = frozenset(
    {"169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"}
)
#: RFC 6890 and the IANA registries of special-purpose addresses, without those whose traffic is public.
RESERVED: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/3",
            "::/127", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001:2::/48", "2001:db8::/32",
            "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
        ),
    )
)  # fmt: skip
#: An IPv4 address in the last 32 bits, for clusters that have IPv6 only (RFC 6052).
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA: Final = tuple(map(ipaddress.ip_address, sorted(METADATA_ADDRESSES)))


def inner(address: Address) -> Address:
    """
    The IPv4 address that a NAT64 address stands for; any other as it is.

    Examples
    --------
    >>> inner(ipaddress.ip_address("64:ff9b::a00:1"))
    IPv4Address('10.0.0.1')
    """
    if isinstance(address, ipaddress.IPv6Address) and address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@lru_cache(maxsize=65536)
def is_reserved(address: Address) -> bool:
    """
    Whether an address, or the one that it stands for, is nobody's on the internet.

    Examples
    --------
    >>> is_reserved(ipaddress.ip_address("100.64.3.4")), is_reserved(ipaddress.ip_address("64:ff9b::a00:1"))
    (True, True)
    >>> is_reserved(ipaddress.ip_address("52.1.2.3"))
    False
    """
    meant = inner(address)
    return any(meant.version == network.version and meant in network for network in RESERVED)


def reaches_reserved(network: Network) -> bool:
    """
    Whether a prefix holds an address that `is_reserved`.

    Examples
    --------
    >>> reaches_reserved(ipaddress.ip_network("192.0.0.0/16"))
    True
    >>> reaches_reserved(ipaddress.ip_network("64:ff9b::3400:0/104"))
    False
    """
    meant = _inner_network(network)
    return any(meant.version == other.version and meant.overlaps(other) for other in RESERVED)


def holds_metadata(network: Network) -> bool:
    """
    Whether a prefix holds a metadata or platform service.

    Examples
    --------
    >>> holds_metadata(ipaddress.ip_network("168.63.129.0/24"))
    True
    """
    meant = _inner_network(network)
    return any(meant.version == address.version and address in meant for address in _METADATA)


def _inner_network(network: Network) -> Network:
    """IPv4 prefix that one of NAT64 addresses stands for, all of IPv4 for a wider one; any other as it is."""
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(NAT64):
        first = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((first, max(network.prefixlen - NAT64.prefixlen, 0)))
    return network
