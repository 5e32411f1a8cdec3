"""
Protocols and destination ports: what one rule covers, and sets of them.

A TCP, UDP or SCTP entry never covers ICMP; ``ANY`` means those three. In an ICMP range the number is
the type. Policy-map cost of a range is the number of masks it splits into (``pkg/policy/portrange``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

MAX_PORT: Final = 65535


class Protocol(StrEnum):
    """Layer 4 protocols of policies and flows; ``ANY`` is never the protocol of a flow."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMP = "ICMP"
    ICMPV6 = "ICMPv6"
    VRRP = "VRRP"
    IGMP = "IGMP"
    GRE = "GRE"
    IPIP = "IPIP"
    IPV6 = "IPV6"
    ESP = "ESP"
    AH = "AH"


ANY_PROTOCOL: Final = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """
    Ports ``first`` to ``last`` (both included) of one protocol; types, for ICMP.

    Parameters
    ----------
    protocol
        One protocol.
    first, last
        In [0, 65535]; ``0`` to ``65535`` is every port.
    """

    protocol: Protocol
    first: int
    last: int

    def contains(self, port: int) -> bool:
        """Whether a port (or ICMP type) is inside."""
        return self.first <= port <= self.last

    def covers(self, other: "PortRange") -> bool:
        """Whether every port of the other range is inside."""
        return self.protocol == other.protocol and self.first <= other.first and other.last <= self.last

    @property
    def every_port(self) -> bool:
        """Whether all ports of the protocol are covered."""
        return self.first == 0 and self.last == MAX_PORT

    @property
    def mask_count(self) -> int:
        """
        Policy-map entries the range needs: the prefixes that tile it exactly.

        Examples
        --------
        >>> PortRange(Protocol.TCP, 1, 65535).mask_count, PortRange(Protocol.TCP, 8080, 8090).mask_count
        (16, 3)
        """
        return sum(1 for _ in _aligned_blocks(self.first, self.last))

    @property
    def prefix_lengths(self) -> tuple[int, ...]:
        """Lengths (0 to 16 bits) of the prefixes that tile the range, in order of port."""
        return tuple(17 - size.bit_length() for _, size in _aligned_blocks(self.first, self.last))

    def prefix_length_at(self, port: int) -> int:
        """Length (0 to 16 bits) of the tile that holds a port inside the range."""
        for start, size in _aligned_blocks(self.first, self.last):
            if start <= port < start + size:
                return 17 - size.bit_length()
        raise ValueError(f"port {port} is outside {self}")

    def __str__(self) -> str:
        if self.every_port:
            return f"{self.protocol.value}/*"
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol.value}/{ports}"


def _aligned_blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    while first <= last:
        size = first & -first or MAX_PORT + 1
        while size > last - first + 1:
            size //= 2
        yield first, size
        first += size


@dataclass(frozen=True, slots=True)
class PortSet:
    """
    A set of ports in normal form: sorted, disjoint, touching ranges joined.

    Parameters
    ----------
    ranges
        In normal form; build it with `of`.
    """

    ranges: tuple[PortRange, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[PortRange]) -> "PortSet":
        """
        Join ranges in any order.

        Examples
        --------
        >>> str(PortSet.of([PortRange(Protocol.TCP, 81, 90), PortRange(Protocol.TCP, 80, 80)]))
        'TCP/80-90'
        """
        joined: list[PortRange] = []
        for protocol, group in groupby(sorted(ranges), key=lambda r: r.protocol):
            start: PortRange | None = None
            for piece in group:
                if start is not None and piece.first <= start.last + 1:
                    start = PortRange(protocol, start.first, max(start.last, piece.last))
                    joined[-1] = start
                else:
                    start = piece
                    joined.append(piece)
        return cls(tuple(joined))

    def union(self, other: "PortSet") -> "PortSet":
        """Ports in either set."""
        return PortSet.of((*self.ranges, *other.ranges))

    def intersection(self, other: "PortSet") -> "PortSet":
        """Ports in both sets."""
        return PortSet.of(
            PortRange(a.protocol, max(a.first, b.first), min(a.last, b.last))
            for a in self.ranges
            for b in other.ranges
            if a.protocol == b.protocol and max(a.first, b.first) <= min(a.last, b.last)
        )

    def covers(self, other: "PortSet") -> bool:
        """Whether every port of the other set is in this one."""
        return all(any(mine.covers(theirs) for mine in self.ranges) for theirs in other.ranges)

    @property
    def port_count(self) -> int:
        """How many (protocol, port) pairs are in the set."""
        return sum(r.last - r.first + 1 for r in self.ranges)

    def __str__(self) -> str:
        return ", ".join(str(r) for r in self.ranges) or "(no port)"
