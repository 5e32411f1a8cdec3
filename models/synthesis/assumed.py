"""What one proposal takes for granted: of what holds for its cluster, that which touches its own rules."""

from collections.abc import Iterable, Sequence
from typing import Final

from models.domain.capabilities import FQDN_FROM_DATA, NO_FQDN_SEEN, Capabilities
from models.domain.peer import FqdnPeer
from models.domain.proposal import Assumption
from models.domain.rule import Rule
from models.synthesis.edges import Edge

_UNREAD: Final = Assumption(
    "deployed_policies_unread",
    "Policies that are deployed already were not read: what they allow is added to this, and what they "
    "deny stays denied.",
)
#: Flags of a rule for an address that a name could stand for.
_ADDRESSES: Final = frozenset({"address_only", "private_address"})
_NAMES_UNSEEN: Final = Assumption(
    "names_unseen",
    "None of this workload's DNS questions passed Cilium's DNS proxy, so the names behind the addresses it "
    "calls are not known. A policy that selects its pods, lets them ask the resolver under an L7 rule (dns, "
    "matchPattern *) and leaves enableDefaultDeny off shows them; later proposals then write names in place "
    "of addresses.",
)


def assumptions_of(
    capabilities: Capabilities,
    observed: Sequence[Assumption],
    rules: Sequence[Rule],
    edges: Iterable[Edge],
) -> tuple[Assumption, ...]:
    """
    Assumptions that a reader of one policy needs; sorted.

    Parameters
    ----------
    capabilities, observed
        Of the cluster and of the window, with what they assume.
    rules
        Of the proposal; where it writes no name and no outside address, how names were found says nothing.
    edges
        Of the workload, both directions.
    """
    outward = [rule for rule in rules if rule.direction == "egress"]
    named = any(isinstance(rule.peer, FqdnPeer) for rule in outward)
    nameless = any(_ADDRESSES & set(rule.flags) for rule in outward)
    relevant = {FQDN_FROM_DATA: named, NO_FQDN_SEEN: nameless}
    assumed = {_UNREAD, *observed}
    assumed |= {one for one in capabilities.assumptions if relevant.get(one.code, True)}
    assumed |= {Assumption("assumed_dns", rule.reasons[0]) for rule in outward if rule.evidence.assumed}
    asks = any(edge.names or edge.dns for edge in edges if edge.direction == "egress")
    if capabilities.fqdn and nameless and not asks:
        assumed.add(_NAMES_UNSEEN)
    return tuple(sorted(assumed))
