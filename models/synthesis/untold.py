"""
Rules for what works although nobody can say who is at the other end, or which of the two called.

A direction in which such traffic has no place would have to stay open: on every port, to everybody. Where
the peer is known and only the roles are not, both readings are written; where the peer is not known, its port
is opened to anyone. Either is far less than an open direction. A person has to look at all of them, and
rejecting one constrains the direction without it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from models.domain.peer import ANYONE, EndpointPeer, FqdnPeer, Peer
from models.domain.rule import Direction, Port, Rule, RuleEvidence, Widening, rule_id
from models.synthesis.candidates import Excluded
from models.synthesis.directions import MIN_PERSISTENT_DAYS, persistent_days, working_days
from models.synthesis.edges import Edge
from models.synthesis.evidence import MAX_ADDRESSES, SECOND_US
from models.synthesis.leftovers import peer_text, works
from models.synthesis.maturity import maturity
from models.synthesis.rules import SubjectFacts
from models.synthesis.targets import edge_port, endpoint_peer
from models.synthesis.view import ClusterView

#: Flag of a rule for such traffic.
UNTOLD_FLAG: Final = "untold"
#: Rules of one direction above which the direction stays open: nobody checks a longer list.
MAX_UNTOLD: Final = 10

#: Nothing says what the other side is.
_NO_PEER: Final = frozenset({"unresolved"})
#: Both sides are known; not who called, or nothing but answers was caught.
_NO_ROLES: Final = frozenset({"ambiguous_direction", "no_request"})
_SHOWN: Final = 3

_Place = tuple[Direction, Peer, Port]


@dataclass(frozen=True, slots=True)
class Untold:
    """
    What of a workload's traffic without an ordinary rule is let through.

    Parameters
    ----------
    rules
        Its own rules, sorted as rules are.
    let_through
        Id of the rule by edge: one of these, or an ordinary one that lets it through anyway.
    """

    rules: tuple[Rule, ...]
    let_through: Mapping[Excluded, str]

    def others(self, excluded: Iterable[Excluded]) -> list[Excluded]:
        """Those that no rule lets through."""
        return [one for one in excluded if not self.let_through or one not in self.let_through]


def untold_rules(
    key: str, excluded: Iterable[Excluded], ordinary: Sequence[Rule], facts: SubjectFacts, view: ClusterView
) -> Untold:
    """
    Rules for the traffic of one workload that makes no ordinary rule although it worked again and again.

    What an unknown peer did is let through if one address did it on so many days that enforcing would break
    it (`persistent_days`); or if it takes all such addresses, and nobody known uses the port: where known
    peers do, unknown ones are those same peers, seen before their labels were. What two known ones did is let
    through from the second day on, in the posture ``strict`` from as many days as the former.

    Parameters
    ----------
    key
        Of the proposal.
    excluded
        Edges of the workload without a rule.
    ordinary
        Rules of the proposal; what one of them lets through anyway needs no other.
    facts, view
        Of the workload, and of the cluster.

    Returns
    -------
    Untold
        Without rules in a direction in which there would be more than `MAX_UNTOLD`.
    """
    contacts: dict[_Place, list[Excluded]] = defaultdict(list)
    for one, place in _places(excluded, view):
        contacts[place].append(one)
    found: dict[str, list[tuple[Rule, list[Excluded]]]] = defaultdict(list)
    let_through: dict[Excluded, str] = {}
    for (direction, peer, port), edges in contacts.items():
        on_port = [rule for rule in ordinary if _on_port(rule, direction, port)]
        anyway = next((rule.id for rule in on_port if _names(rule, peer)), "")
        if anyway:
            let_through |= dict.fromkeys(edges, anyway)
        elif _again_and_again(edges, known=bool(on_port), days=facts.days, view=view):
            rule = _rule(rule_id(key, direction, peer, (port,)), (direction, peer, port), edges, facts)
            found[direction].append((rule, edges))
    rules = []
    for mine in found.values():
        if len(mine) <= MAX_UNTOLD:
            rules += [rule for rule, _ in mine]
            let_through |= {edge: rule.id for rule, edges in mine for edge in edges}
    return Untold(tuple(sorted(rules, key=lambda rule: rule.sort_key)), let_through)


def _places(excluded: Iterable[Excluded], view: ClusterView) -> Iterator[tuple[Excluded, _Place]]:
    """Direction, peer and port of every edge that a rule could let through."""
    for one in excluded:
        port = edge_port(one.edge)
        if not works(one.edge) or isinstance(port, str):
            continue
        peer = _peer(one, view)
        if peer is not None:
            yield one, (cast("Direction", one.edge.direction), peer, port)


def _peer(one: Excluded, view: ClusterView) -> Peer | None:
    if one.reason in _NO_PEER:
        return ANYONE
    if one.reason not in _NO_ROLES or one.edge.peer_kind != "endpoint":
        return None
    workload = view.workload(one.edge.peer)
    if workload is None or workload.selector is None or workload.gone:
        return None
    return endpoint_peer(view, workload)


def _on_port(rule: Rule, direction: Direction, port: Port) -> bool:
    return rule.direction == direction and any(
        one.protocol == port.protocol and one.number <= port.number <= max(one.end, one.number)
        for one in rule.ports
    )


def _names(rule: Rule, peer: Peer) -> bool:
    each = rule.peer.each if isinstance(rule.peer, EndpointPeer | FqdnPeer) else (rule.peer,)
    return peer in each


def _again_and_again(edges: Sequence[Excluded], *, known: bool, days: int, view: ClusterView) -> bool:
    """Whether a contact worked on enough days for a rule; ``known``: known peers use the port, too."""
    needed = persistent_days(days)
    if edges[0].reason in _NO_ROLES:
        return _days(edges) >= (needed if view.posture == "strict" else MIN_PERSISTENT_DAYS)
    by_address: dict[str, list[Excluded]] = defaultdict(list)
    for one in edges:
        by_address[peer_text(view, one.edge)].append(one)
    alone = max(_days(same) for same in by_address.values())
    return alone >= needed or (not known and _days(edges) >= needed)


def _days(edges: Iterable[Excluded]) -> int:
    return working_days(one.edge for one in edges)


def _rule(identifier: str, place: _Place, edges: Sequence[Excluded], facts: SubjectFacts) -> Rule:
    direction, peer, port = place
    addresses = sorted({one.edge.peer for one in edges if one.edge.peer_kind != "endpoint" and one.edge.peer})
    flows = sum(one.edge.working for one in edges)
    days = _days(edges)
    evidence = RuleEvidence(
        days_seen=days,
        days_observed=max(days, facts.days),
        flows=flows,
        answered_share=_answered(one.edge for one in edges),
        verdicts=(("forwarded", flows),) if flows else (),
        first_us=min(one.edge.first_us for one in edges) // SECOND_US * SECOND_US,
        last_us=max(one.edge.last_us for one in edges) // SECOND_US * SECOND_US,
        addresses=tuple(addresses[:MAX_ADDRESSES]),
        address_count=len(addresses),
        own_end=any(one.edge.own_end for one in edges),
    )
    seen = f"Worked on {days} of {evidence.days_observed} days, as far as single edges prove it."
    widening = () if peer != ANYONE else (Widening("world", peer.title, covers=max(len(addresses), 1)),)
    return Rule(
        id=identifier,
        direction=direction,
        peer=peer,
        ports=(port,),
        evidence=evidence,
        maturity=maturity(facts.effective_days),
        reasons=(seen, _why(edges, addresses), "Rejecting it denies this traffic."),
        flags=tuple(sorted({UNTOLD_FLAG, "needs_review"} | ({"generalised"} if widening else set()))),
        widening=widening,
    )


def _answered(edges: Iterable[Edge]) -> float | None:
    """As in the evidence of any rule."""
    counted = [(edge.answered_days, edge.visible_days) for edge in edges]
    visible = sum(days for _, days in counted)
    return round(sum(days for days, _ in counted) / visible, 4) if visible else None


def _why(edges: Sequence[Excluded], addresses: Sequence[str]) -> str:
    """What is not known."""
    reasons = {one.reason for one in edges}
    if reasons <= _NO_PEER:
        shown = ", ".join(addresses[:_SHOWN]) or "an address that the records lack"
        more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
        return f"Nothing says what {shown}{more} is, so the port is open to anyone; name the peer if you can."
    if "ambiguous_direction" in reasons:
        return "The records do not say which of the two sides called, so both readings are allowed."
    return "Only the answers were caught, never the calls that they answer."
