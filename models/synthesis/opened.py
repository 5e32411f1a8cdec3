"""
What the widest rules open beyond what was seen, counted where a person decides on them.

No search chose these: a port faces the internet, every pod has to reach a resolver, or no label tells
workloads apart. The rules of a role were weighed, all of them together. What any of them opens is counted
once the rules stand, so that it changes none.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from models.domain.peer import EVERY_NAMESPACE, EndpointPeer, FqdnPeer, Peer
from models.domain.rule import Rule, Widening, opens_world
from models.domain.workload import Workload
from models.learning.owners import owner_of_pod_name
from models.synthesis.candidates import Candidate
from models.synthesis.edges import Edge
from models.synthesis.exchange import Exchange
from models.synthesis.let_in import selects
from models.synthesis.view import ClusterView

#: Flags of rules whose peer is every pod of the cluster, or of a namespace.
_EVERY_POD: Final = frozenset({"every_pod", "wide_peer"})
#: Flag of workloads whose members are one and the same, only older and newer.
_ROLLOUT: Final = "rollout"

#: A member of a workload: the label sets of the workload, and ``Kind/name``.
_Member = tuple[tuple[str, ...], str]


@dataclass(slots=True)
class _Seen:
    """
    Who was seen behind a rule, as far as it opens more.

    Parameters
    ----------
    named
        Keys of what lies outside behind the rule, one each.
    wide
        Whether its peer is every pod of the cluster or of a namespace.
    users
        Members of the subject by key of the peer.
    peers, workloads
        Peers: members, and what they are members of. Of a wide rule all, else of peers of several members.
    """

    named: frozenset[str]
    wide: bool
    users: dict[str, set[_Member]] = field(default_factory=lambda: defaultdict(set))
    peers: set[_Member] = field(default_factory=set)
    workloads: set[Workload] = field(default_factory=set)

    @classmethod
    def of(cls, rule: Rule) -> "_Seen":
        """Nobody yet."""
        each = rule.peer.each if isinstance(rule.peer, FqdnPeer) else (rule.peer,)
        return cls(frozenset(one.key for one in each), bool(_EVERY_POD & set(rule.flags)))

    def use(self, peer: Peer, users: Collection[_Member]) -> None:
        """Note who used a peer, if the rule is the one for it: of several names each may have its own."""
        if isinstance(peer, EndpointPeer) or peer.key in self.named:
            self.users[peer.key].update(users)


def with_openings(
    rules: Sequence[Rule],
    candidates: Sequence[Candidate],
    ids_of: Mapping[int, Collection[str]],
    view: ClusterView,
    rates: Exchange,
) -> list[Rule]:
    """
    The rules, with a record on those that open more than was seen because nothing narrower can be written.

    Parameters
    ----------
    rules, candidates
        Of one workload.
    ids_of
        Ids of the rules behind each edge, by its place.
    view
        Who is who.
    rates
        Exchange rates of the posture.
    """
    if not candidates:
        return list(rules)
    subject = candidates[0].workload
    seen = {rule.id: _Seen.of(rule) for rule in rules}
    for candidate in candidates:
        for edge in candidate.edges:
            _note(candidate, edge, [seen[identifier] for identifier in ids_of[edge.place]], view)
    return [_recorded(rule, subject, seen[rule.id], view, rates) for rule in rules]


def _note(candidate: Candidate, edge: Edge, behind: Sequence[_Seen], view: ClusterView) -> None:
    """Note both ends of an edge with the rules that it stands behind."""
    if _joint(candidate.workload):
        users = _members(candidate.workload, edge.subject, edge.subject_pod_names, view)
        for mine in behind:
            for peer in candidate.target.peers:
                mine.use(peer, users)
    other = view.workload(edge.peer) if edge.peer_kind == "endpoint" else None
    if other is None:
        return
    for mine in behind:
        if mine.wide or _joint(other):
            mine.peers |= _members(other, edge.peer, edge.peer_pod_names, view)
            mine.workloads.add(other)


def _members(workload: Workload, key: str, pods: Sequence[str], view: ClusterView) -> set[_Member]:
    """
    Members of a workload that one end of an edge may have been.

    Known by the names of its pods where it had two at most, else by its labels. Of labels that several
    members carry each may have been the one: what is counted as opened is opened for certain.
    """
    labels, known = view.workloads.labels.get(key, {}), view.workloads.owners.get(key, frozenset())
    named = {owner_of_pod_name(pod, labels).text for pod in pods}
    owners = named if named and named.issubset(workload.members) else known.intersection(workload.members)
    return {(workload.label_keys, member) for member in owners or workload.members}


def _all(workload: Workload) -> set[_Member]:
    return {(workload.label_keys, member) for member in workload.members}


def _joint(workload: Workload) -> bool:
    """Whether several share a policy that are not the halves of one rollout."""
    return len(workload.members) > 1 and _ROLLOUT not in workload.flags


def _recorded(rule: Rule, subject: Workload, seen: _Seen, view: ClusterView, rates: Exchange) -> Rule:
    """
    The rule with what it opens, to whomever.

    It gets no flag `generalised`, which says that something chose a wider rule. Files say the flags of their
    rules, and would change where nobody could have chosen otherwise.
    """
    found = []
    if opens_world(rule):
        found.append((Widening("world", rule.peer.title, max(rule.evidence.address_count, 1)), ""))
    if to_peers := _to_peers(rule, seen, view, rates):
        found.append((to_peers, f"Today it opens {_pairs(to_peers)} with workloads that were not seen."))
    if _joint(subject) and (to_members := _to_members(rule, subject, seen, rates)):
        found.append((to_members, _why_members(subject, to_members)))
    if not found:
        return rule
    return replace(
        rule,
        widening=tuple(sorted({*rule.widening, *(record for record, _ in found)})),
        reasons=(*rule.reasons, *(why for _, why in found if why)),
    )


def _to_peers(rule: Rule, seen: _Seen, view: ClusterView, rates: Exchange) -> Widening | None:
    """What a rule opens to workloads that its selectors take in today and that were not seen there."""
    if not isinstance(rule.peer, EndpointPeer):
        return None
    admitted = _selected(rule.peer, view) if seen.wide else seen.workloads
    pairs = len({member for one in admitted for member in _all(one)} - seen.peers) * _ports(rule)
    if not pairs:
        return None
    what = rule.peer.title if seen.wide else ", ".join(sorted(one.title for one in admitted))
    return Widening("role", what, len(seen.peers), pairs=pairs, openings=rates.alpha * pairs)


def _selected(peer: EndpointPeer, view: ClusterView) -> list[Workload]:
    """Workloads that a peer takes in today."""
    places = {one.namespace for one in peer.each}
    return [
        one
        for one in view.workloads.all
        if not one.gone
        and (EVERY_NAMESPACE in places or one.namespace in places)
        and any(selects(peer, key, view) for key in one.current_keys)
    ]


def _to_members(rule: Rule, subject: Workload, seen: _Seen, rates: Exchange) -> Widening | None:
    """What a rule gives to members of its subject of which it was not seen, peer by peer."""
    members = _all(subject)
    pairs = sum(len(members - users) for users in seen.users.values()) * _ports(rule)
    if not pairs:
        return None
    using = set[_Member]().union(*seen.users.values())
    spared = sum(len(users) - 1 for users in seen.users.values()) if subject.role else 0
    return Widening(
        "role",
        subject.title,
        len(using),
        pairs=pairs,
        openings=rates.alpha * pairs,
        rules=rates.lam_roles * spared,
    )


def _why_members(subject: Workload, record: Widening) -> str:
    """What the reviewer is told where some members get what only others were seen with."""
    count, using = len(subject.members), record.covers
    seen = "all were seen with some of this" if using == count else f"{using} showed this"
    return (
        f"Of {count} workloads that share this policy {seen}, and every one gets it: today it opens "
        f"{_pairs(record)} beyond what was seen."
    )


def _pairs(record: Widening) -> str:
    return f"{record.pairs:,} pair{'' if record.pairs == 1 else 's'}"


def _ports(rule: Rule) -> int:
    """How many ports a rule opens to each peer."""
    return sum(max(port.end - port.number, 0) + 1 for port in rule.ports)
