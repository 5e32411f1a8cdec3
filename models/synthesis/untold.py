"""
Rules for what works although nobody can say who is at the other end, or which of the two called.

A direction in which such traffic has no place would have to stay open: on every port, to everybody. Where
the peer is known and only the roles are not, both readings are written; where the peer is not known, its port
is opened to anyone. Either is far less than an open direction. A person has to look at all of them, and
rejecting one constrains the direction without it. Nothing of it was screened, so nobody who is held back or
was rejected gets a rule this way.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from models.domain.peer import ANYONE, EndpointPeer, Peer
from models.domain.rule import Direction, Port, Rule, RuleEvidence, Widening, rule_id
from models.synthesis.candidates import Excluded
from models.synthesis.directions import MIN_PERSISTENT_DAYS, persistent_days, working_days
from models.synthesis.edges import Edge
from models.synthesis.evidence import MAX_ADDRESSES, SECOND_US
from models.synthesis.leftovers import works
from models.synthesis.let_in import holds, selects
from models.synthesis.maturity import maturity
from models.synthesis.rules import SubjectFacts
from models.synthesis.targets import Target, edge_port, edge_target
from models.synthesis.view import DNS_PORT, ClusterView

#: Flag of a rule for such traffic.
UNTOLD_FLAG: Final = "untold"
#: Rules of one direction above which nobody checks the list.
MAX_UNTOLD: Final = 10

#: Nothing says what the other side is.
_NO_PEER: Final = frozenset({"unresolved"})
#: Both sides are known; not who called, or nothing but answers was caught.
_NO_ROLES: Final = frozenset({"ambiguous_direction", "no_request"})
_TOLD: Final = _NO_PEER | _NO_ROLES
#: Flags of peers that get no rule unscreened.
_DOUBTFUL: Final = frozenset({"every_pod", "ownerless_peer", "stale_peer", "wide_peer"})
_SHOWN: Final = 3

#: Label-set keys and addresses of peers by direction and port.
Peers = Mapping[tuple[str, Port], Collection[str]]
_Gate = tuple[Direction, Port]
_Place = tuple[Direction, Peer, Port]
_Wanted = dict[str, list[tuple[Rule, list[Excluded]]]]


@dataclass(frozen=True, slots=True)
class Known:
    """
    What a proposal holds beside such traffic.

    Parameters
    ----------
    rules
        Ordinary ones, those included that a reviewer rejected.
    rejected
        Ids of rejected rules.
    held, refused
        Peers that are held back, and peers of rules that were rejected.
    """

    rules: Sequence[Rule]
    rejected: Collection[str]
    held: Peers
    refused: Peers

    def on(self, direction: str, port: Port) -> list[Rule]:
        """Rules of a direction that hold a port."""
        return [
            rule
            for rule in self.rules
            if rule.direction == direction and any(holds(one, port) for one in rule.ports)
        ]


@dataclass(slots=True)
class Untold:
    """
    What becomes of a workload's traffic without an ordinary rule.

    Parameters
    ----------
    rules
        Its own rules, sorted as rules are.
    let_through
        Id of the rule by edge: one of these, or an ordinary one that lets it through anyway.
    refused
        Edges of peers that were rejected on their port.
    """

    rules: tuple[Rule, ...] = ()
    let_through: dict[Excluded, str] = field(default_factory=dict)
    refused: set[Excluded] = field(default_factory=set)

    def others(self, excluded: Iterable[Excluded]) -> list[Excluded]:
        """Those that stay without a rule and were not rejected."""
        return [one for one in excluded if not self.holds(one)]

    def holds(self, one: Excluded) -> bool:
        """Whether anything is said of an edge."""
        # an edge has many fields to hash
        return one.reason in _TOLD and (one in self.let_through or one in self.refused)


def untold_rules(
    key: str, excluded: Iterable[Excluded], known: Known, facts: SubjectFacts, view: ClusterView
) -> Untold:
    """
    Rules for the traffic of one workload that makes no ordinary rule although it worked again and again.

    What an unknown peer did is let through if one address did it on so many days that enforcing would break
    it (`persistent_days`); or if it takes all such addresses, and nobody known uses the port: where known
    peers do, unknown ones are those same peers, seen before their labels were. What two known ones did is let
    through from the second day on, in the posture ``strict`` from as many days as the former. No port is
    opened to anyone on which a proxy looks at requests or at questions of DNS.

    Parameters
    ----------
    key
        Of the proposal.
    excluded
        Edges of the workload without a rule.
    known
        What else the proposal holds; in a direction without a rule nothing is let through.
    facts, view
        Of the workload, and of the cluster.

    Returns
    -------
    Untold
        At most `MAX_UNTOLD` rules of a direction, those first without which enforcing would break something
        for certain; none if these alone are more.
    """
    found = Untold()
    anyone, readings = _sorted_out(excluded, known, view, found)
    wanted: _Wanted = defaultdict(list)
    for (direction, port), edges in anyone.items():
        if _may_open(known, direction, port) and _comes_again(edges, known, (direction, port), facts.days):
            rule = _rule(key, (direction, ANYONE, port), edges, facts, None)
            wanted[direction].append((rule, edges))
    needed = persistent_days(facts.days) if view.posture == "strict" else MIN_PERSISTENT_DAYS
    for (direction, peer, port), told in readings.items():
        edges = [one for one, _ in told]
        wider = _wider(edges[0].edge, known.on(direction, port), known, view)
        opened = [one for one in wanted[direction] if one[0].peer == ANYONE and one[0].ports == (port,)]
        if wider:
            found.let_through |= dict.fromkeys(edges, wider)
        elif opened:
            opened[0][1].extend(edges)
        elif _days(edges) >= needed:
            wanted[direction].append((_rule(key, (direction, peer, port), edges, facts, told[0][1]), edges))
    return _affordable(found, wanted, facts.days)


def _sorted_out(
    excluded: Iterable[Excluded], known: Known, view: ClusterView, found: Untold
) -> tuple[dict[_Gate, list[Excluded]], dict[_Place, list[tuple[Excluded, Target]]]]:
    """Contacts of unknown peers by gate, and of known ones by what a rule for them would name."""
    ways = {rule.direction for rule in known.rules}
    held = frozenset(key for keys in known.held.values() for key in keys)
    anyone: dict[_Gate, list[Excluded]] = defaultdict(list)
    readings: dict[_Place, list[tuple[Excluded, Target]]] = defaultdict(list)
    for one in excluded:
        edge, direction = one.edge, one.edge.direction
        if one.reason not in _TOLD or direction not in ways or not works(edge):
            continue
        port = edge_port(edge)
        if isinstance(port, str):
            continue
        if one.reason in _NO_PEER:
            anyone[direction, port].append(one)
        elif edge.peer_kind != "endpoint":
            continue
        elif _among(edge, known.refused.get((direction, port), ()), view):
            found.refused.add(one)
        elif not _among(edge, held, view) and (target := _reading(edge, view)) is not None:
            readings[direction, target.peers[0], port].append((one, target))
    return anyone, readings


def _wider(edge: Edge, rules: Iterable[Rule], known: Known, view: ClusterView) -> str:
    """Id of an ordinary rule that lets an edge through anyway; "" for none."""
    kept = (rule for rule in rules if rule.id not in known.rejected)
    return next((rule.id for rule in kept if selects(rule.peer, edge.peer, view)), "")


def _affordable(found: Untold, wanted: _Wanted, days: int) -> Untold:
    """The rules that somebody checks."""
    kept: list[Rule] = []
    for mine in wanted.values():
        certain = sum(rule.evidence.days_seen >= persistent_days(days) for rule, _ in mine)
        ranked = sorted(mine, key=lambda one: (-one[0].evidence.days_seen, one[0].sort_key))
        chosen = ranked[:MAX_UNTOLD] if certain <= MAX_UNTOLD else []
        kept += [rule for rule, _ in chosen]
        found.let_through |= {edge: rule.id for rule, edges in chosen for edge in edges}
    found.rules = tuple(sorted(kept, key=lambda rule: rule.sort_key))
    return found


def _among(edge: Edge, keys: Collection[str], view: ClusterView) -> bool:
    """Whether the peer of an edge is one of some, under whatever labels."""
    workload = view.workload(edge.peer)
    mine = {edge.peer} if workload is None else {edge.peer, *workload.label_keys}
    return not mine.isdisjoint(keys)


def _reading(edge: Edge, view: ClusterView) -> Target | None:
    """What a rule for one reading of a contact of two known ends would name; ``None`` for none unscreened."""
    target = edge_target(view, edge)
    if isinstance(target, str) or len(target.peers) > 1 or _DOUBTFUL & set(target.flags):
        return None
    return target if isinstance(target.peers[0], EndpointPeer) else None


def _may_open(known: Known, direction: Direction, port: Port) -> bool:
    """Whether a port may be opened to anyone: it would lift what a proxy refuses there."""
    dns = direction == "egress" and not port.icmp and port.number == DNS_PORT
    proxied = any(rule.http or "resolver" in rule.flags for rule in known.on(direction, port))
    return not dns and not proxied


def _comes_again(edges: Sequence[Excluded], known: Known, gate: _Gate, days: int) -> bool:
    """Whether unknown peers worked on so many days that a default deny would break it for certain."""
    needed = persistent_days(days)
    by_peer: dict[tuple[str, str], list[Excluded]] = defaultdict(list)
    for one in edges:
        by_peer[one.edge.peer_kind, one.edge.peer].append(one)
    if max((_days(same) for (_, peer), same in by_peer.items() if peer), default=0) >= needed:
        return True
    used = known.on(*gate) or known.held.get(gate) or known.refused.get(gate)
    return not used and _days(edges) >= needed


def _days(edges: Iterable[Excluded]) -> int:
    return working_days(one.edge for one in edges)


def _rule(
    key: str, place: _Place, edges: Sequence[Excluded], facts: SubjectFacts, target: Target | None
) -> Rule:
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
    why = _unknown(addresses) if target is None else _unclear(edges)
    flags = {UNTOLD_FLAG, "needs_review"} | ({"generalised"} if target is None else set(target.flags))
    widening = Widening("world", peer.title, covers=max(len(addresses), 1))
    return Rule(
        id=rule_id(key, direction, peer, (port,)),
        direction=direction,
        peer=peer,
        ports=(port,),
        evidence=evidence,
        maturity=maturity(facts.effective_days),
        reasons=(seen, why, *(() if target is None else target.reasons), "Rejecting it denies this traffic."),
        flags=tuple(sorted(flags)),
        widening=(widening,) if target is None else (),
    )


def _answered(edges: Iterable[Edge]) -> float | None:
    """As in the evidence of any rule."""
    counted = [(edge.answered_days, edge.visible_days) for edge in edges]
    visible = sum(days for _, days in counted)
    return round(sum(days for days, _ in counted) / visible, 4) if visible else None


def _unknown(addresses: Sequence[str]) -> str:
    """Who is not known."""
    who = ", ".join(addresses[:_SHOWN])
    if len(addresses) > _SHOWN:
        who += f" and {len(addresses) - _SHOWN} more"
    said = f"what {who} is" if addresses else "who is at the other end"
    return f"Nothing says {said}, so the port is open to anyone; name the peer if you can."


def _unclear(edges: Sequence[Excluded]) -> str:
    """What is not known of two ends that are."""
    if any(one.reason == "ambiguous_direction" for one in edges):
        return "The records do not say which of the two sides called, so both readings are allowed."
    return "Only the answers were caught, never the calls that they answer."
