"""
The identities that prefixes have: an agent makes one of each prefix that any policy names.

Addresses outside of the cluster have no identity of their own. They have that of the longest named prefix
which holds them, and a rule for a prefix selects the identities of all named prefixes within it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from models.domain.cidr import CidrSelector, Network


class NamedPrefixes:
    """
    The prefixes that a policy set names.

    Parameters
    ----------
    selectors
        Of all its entries; exceptions are named, too.
    """

    def __init__(self, selectors: Iterable[CidrSelector]) -> None:
        named = {prefix for one in selectors for prefix in (one.prefix, *one.excepted)}
        self._sorted: Final = sorted(named, key=_place)
        self._places: Final = [_place(one) for one in self._sorted]

    def selected(self, selectors: Iterable[CidrSelector]) -> int:
        """How many identities some selectors select together."""
        found: set[int] = set()
        for one in selectors:
            found |= set(self._within(one.prefix)).difference(*map(self._within, one.excepted))
        return len(found)

    def _within(self, prefix: Network) -> range:
        """Places of the named prefixes inside a prefix, itself included."""
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        start = bisect_left(self._places, (prefix.version, first, prefix.prefixlen))
        return range(start, bisect_right(self._places, (prefix.version, last, prefix.max_prefixlen)))


def _place(prefix: Network) -> tuple[int, int, int]:
    return prefix.version, int(prefix.network_address), prefix.prefixlen
