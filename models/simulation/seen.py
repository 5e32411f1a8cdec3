"""
A window of observations as questions for any policy set: what passes today, at whose gate, on which days.

Layers 3 and 4 are asked edge by edge, in columns. Requests (HTTP methods and paths, DNS names) are asked
where a proxy recorded them and the policies would send the edge through one; the store keeps a path
without its query, so a rule about the query is judged by the path alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from models.domain.agent import AgentConfig
from models.domain.capabilities import CapabilityHints
from models.domain.policy import Direction, Entry, PolicySet
from models.frames import Observations
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.context import DnsQuestion, HttpRequest, L7Request, PolicyFlow, Side, resolve
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable as QuestionTable
from models.simulation.observed import ObservedFlows, agent_config
from models.simulation.subject_index import SubjectIndex
from models.simulation.verdict import judge
from models.synthesis.candidates import find_candidates
from models.synthesis.edges import EDGE_KEY, Edge, fold_edges
from models.synthesis.leftovers import peer_text, port_text, works
from models.synthesis.reasons import NEEDS_NO_RULE
from models.synthesis.view import cluster_view

#: ``legitimate``: passes today and is answered, as far as that shows; ``unanswered``: passes, and nothing
#: ever answered (a closed port, a scan).
Legitimacy = Literal["legitimate", "unanswered"]

#: Subjects that no pod policy of this cluster can close.
_NOT_ASKED: Final = frozenset({"subject_other_cluster", "subject_not_a_pod", *NEEDS_NO_RULE})
_REDACTED: Final = "REDACTED"  # part of a stored path that was taken out before storage
_ROUTE_KEY: Final = tuple(column for column in EDGE_KEY if column != "icmp_type")


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """
    A request that passed on an edge.

    Parameters
    ----------
    at
        Index of the edge among those asked.
    text
        For people: ``GET /orders``, ``DNS api.example.org``.
    request
        As the proxy would see it; what was not recorded is ``None``.
    flows, days
        Requests that passed, and days with any.
    """

    at: int
    text: str
    request: L7Request
    flows: int
    days: int


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a policy set says to one question.

    Parameters
    ----------
    verdict
        At the subject's gate.
    rule
        Place of the deciding rule; empty where none decides (default deny, no policy, unknown).
    """

    verdict: Verdict
    rule: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Answers of one policy set: to every edge asked, and to the requests on those it redirects."""

    edges: tuple[Answer, ...]
    requests: Mapping[int, Answer]


class SeenWindow:
    """
    What passes today in a window, ready to be asked of policy sets.

    Parameters
    ----------
    observations
        Of one cluster.
    hints
        What is known of the cluster.
    config
        Agent settings; by default what the observations and `hints` tell.
    """

    def __init__(
        self,
        observations: Observations,
        *,
        hints: CapabilityHints | None = None,
        config: AgentConfig | None = None,
    ) -> None:
        self._observations = observations
        self._table = fold_edges(observations)
        self.view = cluster_view(observations, self._table.edges, hints or CapabilityHints(), "balanced")
        self.config = config or agent_config(self.view)
        found = find_candidates(self.view, self._table.edges)
        reasons = {one.edge.place: one.reason for one in found.excluded}
        #: Edges that pass today at a gate that policies of this cluster may close.
        self.edges: tuple[Edge, ...] = tuple(
            edge for edge in self._table.edges if edge.working and reasons.get(edge.place) not in _NOT_ASKED
        )
        flows = ObservedFlows(self.view)
        self.questions: tuple[PolicyFlow, ...] = tuple(flows.question(edge) for edge in self.edges)

    @cached_property
    def table(self) -> QuestionTable:
        """The questions as columns."""
        return QuestionTable.of_flows(self.questions)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """DNS names that were looked up with an answer, or reached, sorted."""
        lookups = self._observations.lookups
        found = set(lookups.loc[lookups["addresses"] > 0, "name"].tolist())
        found |= {name for edge in self.edges for name in edge.names}
        return tuple(sorted(found))

    @cached_property
    def requests(self) -> tuple[SeenRequest, ...]:
        """Requests of the edges, in the order of the store."""
        places: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for at, edge in enumerate(self.edges):
            places[edge[1:7]].append(at)
        frame = self._observations.edge_routes
        columns = (*_ROUTE_KEY, "l7_kind", "l7_method", "l7_route", "flows", "days")
        rows = zip(*(frame[name].tolist() for name in columns), strict=True)
        return tuple(
            SeenRequest(at, text, request, flows, days)
            for *key, kind, method, route, flows, days in rows
            if flows and (told := _request(kind, method, route)) is not None
            for text, request in (told,)
            for at in places.get(tuple(key), ())
        )

    def ask(self, policies: PolicySet) -> Verdicts:
        """
        Judge every edge, and the requests on the edges that go through a proxy.

        Parameters
        ----------
        policies
            Parsed for the release of `config`.
        """
        judged = CompiledPolicies(policies, self.config).evaluate(self.table)
        edges = tuple(
            Answer(VERDICTS[code], "" if number < 0 else str(policies.entries[number].ref()))
            for code, number in zip(judged.verdict.tolist(), judged.entry.tolist(), strict=True)
        )
        selected = _BySubject(policies, self.config)
        requests = {}
        for number, seen in enumerate(self.requests):
            if judged.redirect[seen.at]:
                requests[number] = selected.judge(self.questions[seen.at], seen.request)
        return Verdicts(edges, requests)

    def ends(self, edge: Edge) -> tuple[str, str, str, str, str]:
        """Namespace, workload, direction, peer and port of an edge, for people."""
        workload = self.view.workload(edge.subject)
        named = ("", "unknown pod") if workload is None else (workload.namespace, workload.title)
        return (*named, edge.direction, peer_text(self.view, edge), port_text(edge))

    @staticmethod
    def legitimacy(edge: Edge) -> Legitimacy:
        """Whether what passes on an edge works, too."""
        return "legitimate" if works(edge) else "unanswered"

    def flows_by_day(self, wanted: Sequence[int]) -> dict[int, dict[str, int]]:
        """Flows that passed, by index of the edge and by day."""
        found: dict[int, dict[str, int]] = {at: {} for at in wanted}
        if not wanted:
            return found
        keys = {self.edges[at][1:8]: at for at in wanted}
        frame = self._observations.edge_days
        frame = frame[frame["subject"].isin({key[0] for key in keys})]
        columns = (*EDGE_KEY, "day", "flows", "audited")
        rows = zip(*(frame[name].tolist() for name in columns), strict=True)
        for *key, day, flows, audited in rows:
            at = keys.get(tuple(key))
            if at is not None and flows + audited:
                found[at][day] = found[at].get(day, 0) + flows + audited
        return found

    def edge_days(self) -> Iterator[tuple[str, int]]:
        """Every day on which an edge passed: the day, and the index of the edge; sorted by day."""
        index = {edge.place: at for at, edge in enumerate(self.edges)}
        pairs = np.unique(np.column_stack([self._table.day_number, self._table.day_edge]), axis=0)
        for number, place in pairs.tolist():
            if place in index:
                yield self._table.days[number], index[place]


def _request(kind: str, method: str, route: str) -> tuple[str, L7Request] | None:
    """What was asked, or nothing where the record does not say it (the answering side of DNS)."""
    if kind == "dns" and route:
        return f"DNS {route}", DnsQuestion(route)
    if kind == "http":
        path = None if not route or _REDACTED in route else route
        return f"{method or '?'} {route or '?'}", HttpRequest(method or None, path)
    return None


class _BySubject:
    """The reference evaluator over the entries that select a subject, found once per subject."""

    def __init__(self, policies: PolicySet, config: AgentConfig) -> None:
        self._index = SubjectIndex(policies.entries)
        self._config = config
        self._known: dict[tuple[Side, Direction], list[Entry]] = {}

    def judge(self, question: PolicyFlow, request: L7Request) -> Answer:
        """Verdict on one request at the gate that the question asks."""
        if question.direction is None:
            raise ValueError("a question about an edge asks one direction")
        subject = (question.subject(question.direction), question.direction)
        if subject not in self._known:
            self._known[subject] = self._index.selecting(
                resolve(subject[0], self._config), question.direction
            )
        asked = PolicyFlow(
            question.direction,
            question.source,
            question.destination,
            question.protocol,
            question.port,
            request,
        )
        gate = judge(self._known[subject], asked, question.direction, self._config)
        return Answer(gate.verdict, str(gate.rules[0]) if gate.rules else "")
