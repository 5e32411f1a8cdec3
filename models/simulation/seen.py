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
from models.domain.policy import PolicySet
from models.frames import Observations
from models.simulation.by_subject import BySubject
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.context import DnsQuestion, HttpRequest, L7Request, PolicyFlow
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable as QuestionTable
from models.simulation.held import HeldTraffic, held_traffic
from models.simulation.observed import ObservedFlows, agent_config
from models.synthesis.candidates import find_candidates
from models.synthesis.edges import EDGE_KEY, Edge, fold_edges
from models.synthesis.http_lists import FAILED, left_out_reasons
from models.synthesis.http_seen import HttpSeen
from models.synthesis.leftovers import peer_text, port_text, works
from models.synthesis.reasons import NEEDS_NO_RULE
from models.synthesis.view import cluster_view

#: ``legitimate``: passes today and is answered, as far as that shows; ``unanswered``: passes, and nothing
#: ever answered (a closed port, a scan), or an HTTP request that was answered with errors only;
#: ``suspicious``: works, and is held back or was confirmed as unwanted, or asks DNS for such a thing.
Legitimacy = Literal["legitimate", "unanswered", "suspicious"]

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
    failed
        Responses were recorded on the edge, and every one to this request was an error.
    """

    at: int
    text: str
    request: L7Request
    flows: int
    days: int
    failed: bool = False


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
    said
        What the quarantine says of cells (`models.simulation.held.held_traffic`).
    """

    def __init__(
        self,
        observations: Observations,
        *,
        hints: CapabilityHints | None = None,
        config: AgentConfig | None = None,
        said: Mapping[str, str] | None = None,
    ) -> None:
        self._observations = observations
        self._said = said or {}
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
        failed = _Failed(HttpSeen(self._observations.http_days, self._table))
        return tuple(
            SeenRequest(at, text, request, flows, days, failed(self.edges[at], kind, method, route))
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
        selected = BySubject(policies, self.config)
        requests = {}
        for number, seen in enumerate(self.requests):
            if judged.redirect[seen.at]:
                gate = selected.judge(self.questions[seen.at], seen.request)
                requests[number] = Answer(gate.verdict, str(gate.rules[0]) if gate.rules else "")
        return Verdicts(edges, requests)

    def ends(self, edge: Edge) -> tuple[str, str, str, str, str]:
        """Namespace, workload, direction, peer and port of an edge, for people."""
        workload = self.view.workload(edge.subject)
        named = ("", "unknown pod") if workload is None else (workload.namespace, workload.title)
        return (*named, edge.direction, peer_text(self.view, edge), port_text(edge))

    @cached_property
    def _held(self) -> HeldTraffic:
        return held_traffic(self.view, self._table, self._said)

    def legitimacy(self, edge: Edge) -> Legitimacy:
        """Whether what passes on an edge works, too, and whether it is held back."""
        if not works(edge):
            return "unanswered"
        return "suspicious" if self._held.has(edge) else "legitimate"

    def request_legitimacy(self, seen: SeenRequest) -> Legitimacy:
        """The same of one request."""
        edge = self.edges[seen.at]
        found = "unanswered" if seen.failed else self.legitimacy(edge)
        asked = seen.request
        if found == "legitimate" and isinstance(asked, DnsQuestion) and self._held.asks(edge, asked.name):
            return "suspicious"
        return found

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


class _Failed:
    """Whether an HTTP request only ever failed; `False` where no response of its edge was recorded."""

    def __init__(self, http: HttpSeen) -> None:
        self._http = http
        self._known: dict[int, frozenset[tuple[str, str]]] = {}

    def __call__(self, edge: Edge, kind: str, method: str, route: str) -> bool:
        if kind != "http":
            return False
        if edge.place not in self._known:
            reasons = left_out_reasons(self._http.requests([edge]))
            self._known[edge.place] = frozenset(key for key, why in reasons.items() if why == FAILED)
        return (method, route) in self._known[edge.place]


def _request(kind: str, method: str, route: str) -> tuple[str, L7Request] | None:
    """What was asked, or nothing where the record does not say it (the answering side of DNS)."""
    if kind == "dns" and route:
        return f"DNS {route}", DnsQuestion(route)
    if kind == "http":
        path = None if not route or _REDACTED in route else route
        return f"{method or '?'} {route or '?'}", HttpRequest(method or None, path)
    return None
