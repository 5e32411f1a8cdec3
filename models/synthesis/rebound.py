"""
Names that lead to a metadata service.

``toFQDNs`` admits whatever a name resolves to: whoever owns the name of a destination can point it at the
address from which a node's credentials are to be had (DNS rebinding). The rule for the name may be needed
all the same; who approves it has to know, and it stands by itself.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from models.domain.fqdn import FqdnSelector
from models.domain.peer import FqdnPeer
from models.domain.rule import Port, rule_id
from models.synthesis.candidates import Candidate
from models.synthesis.let_in import holds

#: Addresses of metadata services with the names that they were called by, by port.
_Rebound = Mapping[Port, Mapping[str, Collection[str]]]


def with_metadata_told(
    key: str, candidates: Iterable[Candidate], rejected: Collection[str]
) -> list[Candidate]:
    """
    The candidates, with a flag and a sentence on names that a metadata service was called by on their port.

    Parameters
    ----------
    key
        Of the proposal.
    candidates
        Of its workload.
    rejected
        Ids of rejected rules.
    """
    every = list(candidates)
    found: dict[Port, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    turned_down: set[str] = set()
    for one in every:
        if one.direction == "egress" and "metadata" in one.target.flags:
            ids = {rule_id(key, "egress", peer, one.target.ports) for peer in one.target.peers}
            turned_down |= {edge.peer for edge in one.edges if ids & set(rejected)}
            for edge in one.edges:
                for port in one.target.ports:
                    found[port][edge.peer].update(edge.names)
    return [_told(one, found, turned_down) for one in every] if found else every


def _told(one: Candidate, found: _Rebound, turned_down: Collection[str]) -> Candidate:
    selectors = [
        FqdnSelector(member.name or None, member.pattern or None)
        for peer in one.target.peers
        if isinstance(peer, FqdnPeer)
        for member in peer.each
    ]
    addresses = _reached(one.target.ports, selectors, found)
    if not addresses:
        return one
    said = ", which a reviewer rejected" if any(one in turned_down for one in addresses) else ""
    why = (
        f"It also lets it call {', '.join(addresses)}{said}: a metadata or platform service that was called "
        "by this name. Whoever owns the name decides where it leads."
    )
    flags = tuple(sorted({*one.target.flags, "metadata", "needs_review"}))
    return replace(one, target=replace(one.target, flags=flags, reasons=(*one.target.reasons, why)))


def _reached(ports: Sequence[Port], selectors: Sequence[FqdnSelector], found: _Rebound) -> list[str]:
    """Addresses of metadata services that rules for these names and ports let through, sorted."""
    return sorted(
        {
            address
            for port, by_address in found.items()
            for address, names in by_address.items()
            if any(holds(mine, port) for mine in ports)
            and any(one.matches(name, deep_wildcards=True) for one in selectors for name in names)
        }
    )
