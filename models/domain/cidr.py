"""Prefixes as policies write them: which text is one, and which addresses it holds."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=65536)
def parse_prefix(text: str) -> Network | None:
    """
    Read ``address/length``; host bits are masked off, as Cilium does.

    Returns
    -------
    Network or None
        ``None`` when the text is no prefix: a bare address, a netmask, a zone, leading zeros.

    Examples
    --------
    >>> parse_prefix("10.1.2.3/8")
    IPv4Network('10.0.0.0/8')
    >>> parse_prefix("10.1.2.3") is None
    True
    """
    address, slash, length = text.partition("/")
    digits = length.isascii() and length.isdigit() and (length == "0" or length[0] != "0")
    if not slash or not digits or "%" in address:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def parse_address(text: str) -> Address | None:
    """An address without zone, or ``None``; an IPv4 address written in IPv6 is the IPv4 one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


@dataclass(frozen=True, slots=True)
class CidrSelector:
    """
    A prefix minus its exceptions, as ``toCIDRSet`` writes it.

    Parameters
    ----------
    prefix
        What is selected.
    excepted
        Holes in this element only: another element or policy may select them.
    group
        Name of the CiliumCIDRGroup the prefix was taken from, if any.
    """

    prefix: Network
    excepted: tuple[Network, ...] = ()
    group: str | None = None

    def contains(self, address: Address) -> bool:
        """Whether the address is in the prefix and in none of its exceptions."""
        return holds(self.prefix, address) and not any(holds(hole, address) for hole in self.excepted)


def holds(prefix: Network, address: Address) -> bool:
    """Whether an address of either family lies in the prefix."""
    return prefix.version == address.version and address in prefix
