"""
CIDR cover of unnamed outside addresses, with an explicit budget of addresses nobody was seen at.

Bottom-up on the binary trie of the observed addresses, ``cost(v) = min(price(v), cost(left) +
cost(right))``. Between two branchings of the trie only the tightest prefix can be cheapest, so there are
fewer nodes than twice the addresses. So that the budget is kept, a node has not one cover but one for every
number of unseen addresses at which more of them make it cheaper. The cover is the cheapest that there is
(``tests/oracle``); a surcharge per unseen address, raised until the budget was kept, missed it by up to half.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.domain.special import METADATA_ADDRESSES, holds_metadata, inner, is_reserved, reaches_reserved
from models.errors import BadInputError
from models.learning.base import Estimator, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.domain.cidr import Address, Network

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Widest prefix ever proposed, per address family (method, section 6.3).
WIDEST: Final = {4: 16, 6: 32}
#: Price of an entry, and per doubling of its unseen addresses, by whether the owner is known (section 7).
PRICE_KNOWN: Final = (5.0, 0.5)
PRICE_UNKNOWN: Final = (8.0, 1.0)
#: Unseen addresses a subject's cover may add (balanced posture).
BUDGET: Final = 256
#: Largest budget: nobody checks a million addresses, and covers are kept by their number.
MAX_BUDGET: Final = 2**20
_BLOCKS: Final = ["subject", "cidr", "owner", "addresses", "unseen", "price"]
_ASIDE: Final = ["subject", "address", "reason"]


@dataclass(frozen=True, slots=True)
class _Block:
    network: Network
    owner: str
    addresses: int

    @property
    def unseen(self) -> int:
        return int(self.network.num_addresses) - self.addresses

    @property
    def price(self) -> float:
        base, slope = PRICE_KNOWN if self.owner else PRICE_UNKNOWN
        return base + slope * math.log2(self.unseen + 1)


class CidrCover(Estimator):
    """
    Prefixes per subject.

    Parameters
    ----------
    budget
        Unseen addresses that a subject's prefixes may add in all, over both families.
    declared
        Private prefixes an operator declared as one network; private addresses outside them are not
        covered, because they stand for pods, services or nodes. No prefix holds a metadata service.

    Attributes
    ----------
    blocks_ : pandas.DataFrame
        ``subject``, ``cidr``, ``owner``, ``addresses`` (observed inside), ``unseen``, ``price``; sorted,
        disjoint per subject, and every covered address lies in exactly one.
    set_aside_ : pandas.DataFrame
        ``subject``, ``address``, ``reason`` for addresses that no prefix is proposed for.
    """

    def __init__(self, budget: int = BUDGET, declared: tuple[str, ...] = ()) -> None:
        self.budget = budget
        self.declared = declared

    def fit(
        self,
        addresses: pd.DataFrame,
        ranges: Mapping[str, str] | None = None,
        quarantined: pd.DataFrame | None = None,
    ) -> Self:
        """
        Cover what was seen.

        Parameters
        ----------
        addresses
            ``subject``, ``address``; repeated rows count once.
        ranges
            Published ranges: prefix to the owner's name. Further candidates, and cheaper ones.
        quarantined
            ``subject``, ``address`` that no prefix may hold.

        Raises
        ------
        BadInputError
            If a column is missing, the budget is below zero or above `MAX_BUDGET`, or a declared or published
            prefix is none.
        """
        require(addresses, ("subject", "address"), "addresses")
        if not 0 <= self.budget <= MAX_BUDGET:
            raise BadInputError(f"a budget of {self.budget} addresses: between 0 and {MAX_BUDGET}")
        declared = [_network(text) for text in self.declared]
        known = sorted(((_network(text), owner) for text, owner in (ranges or {}).items()), key=_range_order)
        blocked = _blocked(quarantined)
        blocks: list[tuple[str, _Block]] = []
        aside: list[tuple[str, str, str]] = []
        for subject, own in addresses.groupby("subject", sort=True)["address"]:
            usable: set[Address] = set()
            held = blocked.get(str(subject), frozenset())
            for text in sorted(set(own.astype(str))):
                address, reason = _classify(text, declared)
                if address is None or address in held:
                    aside.append((str(subject), text, reason or "quarantined"))
                else:
                    usable.add(address)
            cover = _Cover(known, declared, held)
            blocks += [
                (str(subject), block) for block in cover.within(sorted(usable, key=_order), self.budget)
            ]
        rows = [(s, str(b.network), b.owner, b.addresses, b.unseen, b.price) for s, b in blocks]
        self.blocks_ = pd.DataFrame(rows, columns=_BLOCKS)
        self.set_aside_ = pd.DataFrame(sorted(aside), columns=_ASIDE)
        return self


class _Covers:
    """
    Covers of some addresses of which none is both cheaper and narrower than another.

    Parameters
    ----------
    unseen, price
        Of each cover; the first rise, the second fall.
    made_of
        Of each cover: a block, or the places of its halves in `halves`.
    halves
        Covers of the two halves of the addresses.
    """

    def __init__(
        self,
        unseen: Ints,
        price: Floats,
        made_of: Sequence[_Block | tuple[int, int] | None],
        halves: tuple[_Covers, _Covers] | None = None,
    ) -> None:
        self.unseen = unseen
        self.price = price
        self.made_of = made_of
        self.halves = halves

    def blocks(self, at: int) -> list[_Block]:
        """Blocks of one cover, in the order of their addresses."""
        made = self.made_of[at]
        if isinstance(made, _Block):
            return [made]
        if made is None or self.halves is None:
            return []
        left, right = self.halves
        return left.blocks(made[0]) + right.blocks(made[1])

    def beside(self, other: _Covers, budget: int) -> _Covers:
        """Covers of both, within the budget: for every number of unseen addresses the cheapest pair."""
        size = min(budget, int(self.unseen[-1] + other.unseen[-1])) + 1
        price = np.full(size, np.inf)
        first, second = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        for at, (unseen, own) in enumerate(zip(self.unseen.tolist(), self.price.tolist(), strict=True)):
            fits = other.unseen <= budget - unseen
            places = other.unseen[fits] + unseen
            better = own + other.price[fits] < price[places]
            price[places[better]] = (own + other.price[fits])[better]
            first[places[better]], second[places[better]] = at, np.flatnonzero(fits)[better]
        unseen_of = np.flatnonzero(price < np.append(np.inf, np.minimum.accumulate(price)[:-1]))
        pairs = list(zip(first[unseen_of].tolist(), second[unseen_of].tolist(), strict=True))
        return _Covers(unseen_of, price[unseen_of], pairs, (self, other))

    def with_block(self, block: _Block) -> _Covers:
        """The same and one more, unless a cover that is as narrow is as cheap."""
        if (self.price[self.unseen <= block.unseen] <= block.price).any():
            return self
        kept = np.flatnonzero((self.unseen < block.unseen) | (self.price < block.price))
        at = int(np.searchsorted(self.unseen[kept], block.unseen))
        return _Covers(
            np.insert(self.unseen[kept], at, block.unseen),
            np.insert(self.price[kept], at, block.price),
            [*(self.made_of[i] for i in kept[:at]), block, *(self.made_of[i] for i in kept[at:])],
            self.halves,
        )


_NO_INTS: Final = np.zeros(0, dtype=np.int64)


class _Cover:
    """Cheapest cover of sorted addresses."""

    def __init__(
        self,
        known: Sequence[tuple[Network, str]],
        declared: Sequence[Network],
        blocked: frozenset[Address],
    ) -> None:
        self.known = known
        self.declared = declared
        self.blocked = sorted(blocked, key=_order)

    def within(self, addresses: list[Address], budget: int) -> list[_Block]:
        blocks: list[_Block] = []
        families = [[a for a in addresses if a.version == version] for version in (4, 6)]
        found = [self._covers(own, budget) for own in families if own]
        if len(found) > 1:
            found = [found[0].beside(found[1], budget)]
        for covers in found:
            blocks += covers.blocks(len(covers.unseen) - 1)  # the last is the widest, and the cheapest
        return blocks

    def _covers(self, addresses: list[Address], budget: int) -> _Covers:
        tight = _tightest(addresses)
        found = _Covers(_NO_INTS, _NO_INTS.astype(np.float64), [])
        if len(addresses) > 1:
            cut = _branching(addresses, tight)
            left, right = self._covers(addresses[:cut], budget), self._covers(addresses[cut:], budget)
            found = left.beside(right, budget)
        for network in self._candidates(tight):
            block = _Block(network, self._owner(network), len(addresses))
            if block.unseen <= budget:
                found = found.with_block(block)
        return found

    def _candidates(self, tight: Network) -> list[Network]:
        wider = [network for network, _ in self.known if _inside(tight, network)]
        return [network for network in (tight, *wider[:1]) if self._allowed(network)]

    def _allowed(self, network: Network) -> bool:
        if network.prefixlen < WIDEST[network.version] or any(a in network for a in self.blocked):
            return False
        if network.prefixlen == network.max_prefixlen:
            return True
        if holds_metadata(network):
            return False
        if not reaches_reserved(network):
            return True
        return any(_inside(network, declared) for declared in self.declared)

    def _owner(self, network: Network) -> str:
        return next((owner for published, owner in self.known if _inside(network, published)), "")


def _classify(text: str, declared: Sequence[Network]) -> tuple[Address | None, str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None, "no address"
    refusals = (
        (address.is_unspecified, "unresolved"),
        (address.is_loopback, "loopback"),
        (address.is_link_local, "link local: instance metadata or a node's resolver"),
        (address.is_multicast, "multicast"),
        (text == "255.255.255.255", "broadcast"),
        (str(inner(address)) in METADATA_ADDRESSES, "instance metadata or a platform service"),
    )
    reason = next((why for refused, why in refusals if refused), "")
    if reason:
        return None, reason
    if is_reserved(address) and not any(_holds(network, address) for network in declared):
        return None, "private and not in a declared network: select the endpoint or entity"
    return address, ""


def _blocked(quarantined: pd.DataFrame | None) -> dict[str, frozenset[Address]]:
    if quarantined is None:
        return {}
    require(quarantined, ("subject", "address"), "quarantined addresses")
    found: dict[str, set[Address]] = {}
    for subject, text in quarantined[["subject", "address"]].itertuples(index=False):
        try:
            found.setdefault(str(subject), set()).add(ipaddress.ip_address(str(text)))
        except ValueError:
            continue  # what is no address cannot be admitted by a prefix either
    return {subject: frozenset(own) for subject, own in found.items()}


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise BadInputError(f"{text!r} is no address range") from error


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def _range_order(item: tuple[Network, str]) -> tuple[int, int, int, str]:
    network, owner = item
    return network.version, -network.prefixlen, int(network.network_address), owner


def _tightest(addresses: Sequence[Address]) -> Network:
    """Longest prefix that holds sorted addresses of one family."""
    first, last = int(addresses[0]), int(addresses[-1])
    bits = addresses[0].max_prefixlen - (first ^ last).bit_length()
    network: Any = ipaddress.ip_network((addresses[0], bits), strict=False)
    return network  # type: ignore[no-any-return]


def _branching(addresses: Sequence[Address], tight: Network) -> int:
    """Index of the first address in the upper half of the tightest prefix."""
    middle = int(tight.network_address) + int(tight.num_addresses) // 2
    return next(index for index, address in enumerate(addresses) if int(address) >= middle)


def _inside(inner: Network, outer: Network) -> bool:
    if inner.version != outer.version or inner.prefixlen < outer.prefixlen:
        return False
    return inner.network_address in outer


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network
