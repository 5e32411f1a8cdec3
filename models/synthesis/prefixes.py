"""Addresses without a name, as the prefixes that stand for them under an explicit budget."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from models.domain.peer import CidrPeer
from models.domain.rule import Widening
from models.learning.cidrs import PRICE_UNKNOWN, CidrCover
from models.synthesis.addresses import classify, exact_prefix
from models.synthesis.candidates import Candidate
from models.synthesis.exchange import Exchange
from models.synthesis.rotation import Seen, rotating
from models.synthesis.widened import Widened, subject_of

if TYPE_CHECKING:
    from models.synthesis.edges import Edge

#: Addresses of one port from which a prefix is looked for at all; a person checks three by eye.
MIN_PREFIX: Final = 4
#: Addresses that make a prefix worth its name.
MIN_BLOCK: Final = 2


def widen_addresses(
    found: dict[str, Widened],
    rates: Exchange,
    candidates: Sequence[Candidate],
    held: pd.DataFrame,
    window: Seen,
) -> None:
    """
    Enter prefixes by the exact addresses they stand for: networks that take turns, then dense ones.

    All networks of one workload and port share a budget of unseen addresses, all dense prefixes another.
    A network that does not fit stays exact and says so.
    """
    by_subject: dict[str, dict[str, list[Edge]]] = defaultdict(lambda: defaultdict(list))
    for one in candidates:
        for edge in one.edges if isinstance(one.target.peers[0], CidrPeer) else ():
            if edge.peer_kind == "ip" and classify(edge.peer) == "public":
                by_subject[subject_of(one)][edge.peer].append(edge)
    blocked: dict[str, set[str]] = defaultdict(set)
    for subject, address in held.itertuples(index=False, name=None):
        blocked[subject].add(address)
    for subject, edges_of in sorted(by_subject.items()):
        left = _take_turns(found[subject], edges_of, blocked[subject], window, rates)
        if len(left) < MIN_PREFIX:
            continue
        budget = min(rates.addresses, int(rates.unseen_addresses * len(left)))
        rows = [(subject, address) for address in left]
        cover = CidrCover(budget).fit(pd.DataFrame(rows, columns=["subject", "address"]), quarantined=held)
        for block in cover.blocks_.to_dict("records"):
            if int(block["addresses"]) >= MIN_BLOCK:
                _enter_prefix(found[subject], {str(key): value for key, value in block.items()}, left)


def _take_turns(
    mine: Widened,
    edges_of: Mapping[str, "Sequence[Edge]"],
    blocked: Collection[str],
    window: Seen,
    rates: Exchange,
) -> list[str]:
    """Enter the networks within which one destination moves; the addresses that are left, sorted."""
    left, budget = sorted(edges_of), rates.moving
    for row in rotating(edges_of, window, rates):
        network = ip_network(row["cidr"])
        if any(ip_address(address) in network for address in blocked):
            continue
        inside = [address for address in left if ip_address(address) in network]
        if row["counted"] > budget:
            remark = (
                f"{row['cidr']} would stand for {row['addresses']} addresses that take turns, but all such "
                f"networks of one port add {rates.moving:,} unseen addresses at most: it is not proposed."
            )
            mine.remarks |= {CidrPeer(exact_prefix(address)): remark for address in inside}
            continue
        budget -= int(row["counted"])
        _enter_prefix(mine, row, inside)
        left = [address for address in left if address not in inside]
    return left


def _enter_prefix(mine: Widened, row: Mapping[str, Any], addresses: Collection[str]) -> None:
    wide = CidrPeer(str(row["cidr"]))
    network = ip_network(wide.cidr)
    for address in addresses:
        if ip_address(address) in network:
            mine.peers[CidrPeer(exact_prefix(address))] = wide
    # What the cover weighs are prices of openings, also of exact addresses: a line has none in it.
    exact = PRICE_UNKNOWN[0] * int(row["addresses"])
    mine.records[wide] = Widening(
        "prefix",
        wide.title,
        int(row["addresses"]),
        unseen=int(row["unseen"]),
        openings=round(float(row["price"]) - exact, 3),
        denials=round(float(row.get("denials", 0.0)), 3),
    )
