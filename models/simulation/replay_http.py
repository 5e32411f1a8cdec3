"""
Replay of recorded HTTP requests against the lists that were proposed from them.

Layers 3 and 4 let an edge through to the proxy; here the proxy is asked about every method and path that
was recorded on it. A path that held a secret is not known any more, so it cannot be decided.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.domain.policy import PolicySet
from models.domain.proposal import BacktestDenial, Proposal
from models.domain.rule import Rule
from models.learning.routes import REDACTED
from models.simulation.by_subject import BySubject
from models.simulation.context import HttpRequest
from models.simulation.decision import Verdict
from models.simulation.observed import ObservedFlows, agent_config
from models.synthesis.draft import Draft
from models.synthesis.edges import Edge
from models.synthesis.http_lists import FAILED, left_out_reasons
from models.synthesis.http_seen import HttpSeen, Requests
from models.synthesis.leftovers import peer_text, port_text
from models.synthesis.reasons import WHY


@dataclass(frozen=True, slots=True)
class RequestReplay:
    """
    What the lists of one proposal do with the requests of the window that succeeded.

    Parameters
    ----------
    asked
        Kinds of request: method and path, by rule.
    undecided
        Those of them whose path was redacted.
    refused
        The others that a list refuses, with the reason it leaves them out.
    """

    asked: int
    undecided: int
    refused: tuple[BacktestDenial, ...]


class RequestReplays:
    """
    Lists of a draft, asked about its requests.

    Parameters
    ----------
    draft
        As made.
    policies
        Its manifests, rendered and parsed.
    unexplained
        Reason code of a refusal that no left-out reason announced.
    """

    def __init__(self, draft: Draft, policies: PolicySet, unexplained: str) -> None:
        self._draft = draft
        self._flows = ObservedFlows(draft.view)
        self._unexplained = unexplained
        self._policies = BySubject(policies, agent_config(draft.view))
        self._edges: dict[str, list[Edge]] = defaultdict(list)
        if draft.http is not None:
            for place, rules in sorted(draft.ledger.rules_of.items()):
                for rule in rules:
                    self._edges[rule].append(draft.table.edges[place])

    def of(self, proposal: Proposal) -> RequestReplay:
        """Replay for one proposal; nothing was asked where it has no list."""
        listed = [rule for rule in proposal.rules if rule.http]
        seen = self._draft.http
        if seen is None or not listed:
            return RequestReplay(0, 0, ())
        asked = undecided = 0
        refused: list[BacktestDenial] = []
        for rule in listed:
            edges = self._edges[rule.id]
            requests = seen.requests(edges)
            reasons = left_out_reasons(requests)
            for (method, route), one in requests.items():
                reason = reasons[method, route]
                if reason == FAILED:
                    continue
                asked += 1
                verdicts = set(self._verdicts(edges, seen, method, route))
                if Verdict.DENY in verdicts:
                    refused.append(self._denial(rule, edges[0], f"{method} {route}", one, reason))
                elif Verdict.UNKNOWN in verdicts:
                    undecided += 1
        return RequestReplay(asked, undecided, tuple(refused))

    def _verdicts(self, edges: Sequence[Edge], seen: HttpSeen, method: str, route: str) -> Iterator[Verdict]:
        """What the proxy says to a request on each of the edges that it was seen on."""
        path = None if REDACTED in route else route
        for edge in edges:
            if (method, route) in seen.requests([edge]):
                yield self._policies.judge(
                    self._flows.question(edge), HttpRequest(method or None, path)
                ).verdict

    def _denial(self, rule: Rule, edge: Edge, text: str, one: Requests, reason: str) -> BacktestDenial:
        workload = self._draft.view.workload(edge.subject)
        return BacktestDenial(
            rule.direction,
            peer_text(self._draft.view, edge),
            f"{port_text(edge)} {text}",
            len(one.days),
            reason or self._unexplained,
            WHY.get(reason, "A template was made for it, but the replay says that the list refuses it."),
            "" if workload is None else workload.title,
            flows=one.flows,
            days=tuple((day, 1) for day in sorted(one.days)),
        )
