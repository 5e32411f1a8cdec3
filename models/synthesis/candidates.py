"""
Edges to candidate rules: every edge ends in exactly one candidate, or is left out with one reason.

Whether traffic deserves a rule is decided on all edges that would share it: one replica's lost SYN does
not take a rule away, and a scan of ports that never answered never makes one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from models.domain.peer import WORLD, CidrPeer
from models.domain.rule import Port
from models.domain.workload import Workload
from models.synthesis.addresses import classify
from models.synthesis.edges import Edge
from models.synthesis.targets import ADDRESS_UNKNOWN, Target, edge_target
from models.synthesis.view import ClusterView

#: Distinct public clients of one answered port that make it a port for the world; fewer are listed.
WORLD_MIN_ADDRESSES: Final = 10
#: Unnamed outside addresses of one port above which a reviewer should ask for names or a prefix.
ADDRESS_BUDGET: Final = 20


_NEW_WITH_RELEASE: Final = "It began within a day after a release: part of it, or of what came with it."
_WAS_HELD_BACK: Final = (
    "It was held back, and no person let it in: what was seen since speaks for it. Look before you approve."
)


@dataclass(slots=True)
class Candidate:
    """A rule to be, with the edges it comes from."""

    workload: Workload
    direction: str
    target: Target
    edges: list[Edge] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Excluded:
    """An edge that makes no rule, with the reason code."""

    edge: Edge
    workload: Workload | None
    reason: str


@dataclass(frozen=True, slots=True)
class Marks:
    """
    Places of edges whose rules a person looks at.

    Parameters
    ----------
    new_with_release
        They came with a new image.
    was_held_back
        They were held back lately, and evidence released them.
    admitted
        They were held back, and a person admitted them: nobody has to look again at how odd they are.
    """

    new_with_release: Collection[int] = ()
    was_held_back: Collection[int] = ()
    admitted: Collection[int] = ()

    def on(self, edge: Edge, target: Target) -> Target:
        """The target with the flags and reasons of an edge."""
        for flag, places, reason in (
            ("new_with_release", self.new_with_release, _NEW_WITH_RELEASE),
            ("was_held_back", self.was_held_back, _WAS_HELD_BACK),
        ):
            if edge.place in places:
                look = set() if edge.place in self.admitted else {"needs_review"}
                flags = tuple(sorted({*target.flags, flag, *look}))
                target = replace(target, flags=flags, reasons=(*target.reasons, reason))
        return target


#: No edge is marked.
NO_MARKS: Final = Marks()


@dataclass(frozen=True, slots=True)
class Candidates:
    """What became of every edge: ``len(excluded) + sum(len(c.edges) for c in found)`` is their number."""

    found: list[Candidate]
    excluded: list[Excluded]


def _subject_reason(view: ClusterView, edge: Edge, workload: Workload | None) -> str:
    """Why no policy can be written for the edge's subject; "" when one can."""
    if workload is None:
        return "subject_not_a_pod" if edge.subject in view.workloads.entities else "subject_unknown"
    if view.foreign(workload):
        return "subject_other_cluster"
    if workload.gone:
        return "subject_gone"
    return "" if workload.selector is not None else "subject_no_selector"


def refused(edge: Edge) -> str:
    """Why an edge of which nothing passed is no evidence; "" when something passed."""
    if edge.working:
        return ""
    if edge.denied:
        return "denied"
    if edge.l7_denied:
        return "l7_refused"
    return "dropped" if edge.dropped else "no_request"


def never_answered(edge: Edge) -> bool:
    """
    Whether nothing ever answered although every reply would have been seen.

    TCP and SCTP only: one-way UDP (statsd, syslog) is legitimate, and questions over UDP vouch for the TCP
    port of a resolver, which shares their rule. Attempts on TCP port 53 alone are no questions.
    """
    return edge.unanswered and edge.protocol.upper() in ("TCP", "SCTP")


def _widen_to_world(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Excluded]]:
    """
    Replace the many outside clients of one exposed port by the entity world.

    Clients whose address is not known join such a rule, and are excluded where there is none.
    """
    kept: list[Candidate] = []
    excluded: list[Excluded] = []
    by_port: dict[tuple[tuple[str, ...], tuple[Port, ...]], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.direction == "ingress" and candidate.target.outside:
            by_port[(candidate.workload.label_keys, candidate.target.ports)].append(candidate)
        else:
            kept.append(candidate)
    for clients in by_port.values():
        listed = [client for client in clients if ADDRESS_UNKNOWN not in client.target.flags]
        public = sum(classify(client.edges[0].peer) == "public" for client in listed)
        if public < WORLD_MIN_ADDRESSES:
            kept += listed
            unknown = [client for client in clients if ADDRESS_UNKNOWN in client.target.flags]
            excluded += [
                Excluded(edge, one.workload, ADDRESS_UNKNOWN) for one in unknown for edge in one.edges
            ]
            continue
        target = Target(
            (WORLD,),
            clients[0].target.ports,
            outside=True,
            flags=("internet_exposed", "needs_review"),
            reasons=(
                f"{public} public addresses connected to this port and were served: it faces the internet.",
            ),
        )
        edges = [edge for client in clients for edge in client.edges]
        kept.append(Candidate(clients[0].workload, "ingress", target, edges))
    return kept, excluded


def _mark_many_addresses(candidates: list[Candidate]) -> list[Candidate]:
    """Warn where a list of unnamed outside addresses grows beyond what a person can check."""
    count: dict[tuple[tuple[str, ...], str, tuple[Port, ...]], int] = defaultdict(int)

    def group(candidate: Candidate) -> tuple[tuple[str, ...], str, tuple[Port, ...]]:
        return (candidate.workload.label_keys, candidate.direction, candidate.target.ports)

    listed = [c for c in candidates if c.target.outside and isinstance(c.target.peers[0], CidrPeer)]
    for candidate in listed:
        count[group(candidate)] += 1
    for candidate in listed:
        if (many := count[group(candidate)]) > ADDRESS_BUDGET:
            flags = tuple(sorted({*candidate.target.flags, "many_addresses", "needs_review"}))
            why = f"One of {many} unnamed addresses on this port: names or a known prefix would be better."
            candidate.target = replace(
                candidate.target, flags=flags, reasons=(*candidate.target.reasons, why)
            )
    return candidates


def find_candidates(
    view: ClusterView,
    edges: Sequence[Edge],
    held: Mapping[int, str] = MappingProxyType({}),
    marks: Marks = NO_MARKS,
) -> Candidates:
    """
    Sort every edge into a candidate rule or leave it out with a reason.

    Parameters
    ----------
    view
        The cluster.
    edges
        All of the window.
    held
        Reason code by place of the edges that the screening holds back.
    marks
        Edges whose rules a person looks at.
    """
    excluded: list[Excluded] = []
    groups: dict[tuple[object, ...], Candidate] = {}
    for edge in edges:
        workload = view.workload(edge.subject)
        reason = _subject_reason(view, edge, workload) or refused(edge)
        target = reason or edge_target(view, edge)
        if workload is None or isinstance(target, str):
            excluded.append(Excluded(edge, workload, str(target)))
            continue
        if edge.place in held:
            excluded.append(Excluded(edge, workload, held[edge.place]))
            continue
        if target.outside and never_answered(edge):
            excluded.append(Excluded(edge, workload, "unanswered"))
            continue
        target = marks.on(edge, target)
        key = (workload.label_keys, edge.direction, target.peers, target.ports)
        candidate = groups.setdefault(key, Candidate(workload, edge.direction, target))
        if candidate.target != target:
            candidate.target = _joined(candidate.target, target)
        candidate.edges.append(edge)
    found: list[Candidate] = []
    for candidate in groups.values():
        if all(map(never_answered, candidate.edges)):
            excluded += [Excluded(edge, candidate.workload, "unanswered") for edge in candidate.edges]
        else:
            found.append(candidate)
    found, nameless = _widen_to_world(found)
    excluded += nameless
    found = _mark_many_addresses(found)
    excluded.sort(key=lambda one: one.edge.place)
    return Candidates(found, excluded)


def _joined(one: Target, other: Target) -> Target:
    """Two targets with one meaning and different remarks."""
    return replace(
        one,
        dns=one.dns or other.dns,
        flags=tuple(sorted({*one.flags, *other.flags})),
        reasons=tuple(sorted({*one.reasons, *other.reasons})),
    )
