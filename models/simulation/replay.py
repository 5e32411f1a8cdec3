"""
Replay of the window against the policies that were proposed from it: breakage is found before anyone looks.

What is replayed is the rendered manifest, read back by the parser and judged on layers 3 and 4, and on
layer 7 where it has lists of requests: an error in any step between an edge and its YAML shows here.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from models.domain.policy import PolicySet
from models.domain.proposal import Backtest, BacktestDenial, Proposal
from models.simulation.decision import Verdict
from models.simulation.observed import ObservedFlows, agent_config, judge_edges
from models.simulation.replay_http import RequestReplay, RequestReplays
from models.simulation.verdict import evaluate
from models.synthesis.draft import Draft
from models.synthesis.edges import Edge, EdgeTable
from models.synthesis.leftovers import peer_text, port_text, works
from models.synthesis.reasons import NEEDS_NO_RULE, WHY

#: Reason code of a denial that no left-out line announced: a defect, shown and never hidden.
NOT_ADMITTED: Final = "not_admitted"
MAX_DENIALS: Final = 50  # listed per proposal, a few kilobytes; the counts are exact whatever is listed
#: Left-out lines that screening made: working traffic that no rule should open without a person.
SUSPICIOUS: Final = frozenset({"quarantined", "reviewed_unwanted"})


class Replay:
    """
    The proposed set, asked about every edge of the draft at once.

    Parameters
    ----------
    draft
        Whose edges and labels are used.
    policies
        The rendered manifests of all proposals, parsed.
    edges
        Edges to ask about.
    """

    def __init__(self, draft: Draft, policies: PolicySet, edges: Sequence[Edge]) -> None:
        #: Places of the edges that are held back or were confirmed as unwanted, whatever else keeps them out.
        self.held = frozenset(draft.screened.held())
        self._policies = policies
        self._config = agent_config(draft.view)
        flows = ObservedFlows(draft.view)
        self._questions = {edge.place: flows.question(edge) for edge in edges}
        judged = judge_edges(list(self._questions.values()), policies, self._config)
        self._verdicts = {place: verdict for place, (verdict, _) in zip(self._questions, judged, strict=True)}

    def verdict(self, edge: Edge) -> Verdict:
        """What the proposed set would do with an edge at its subject's gate."""
        return self._verdicts[edge.place]

    def why(self, edge: Edge) -> str:
        """Sentence of the reference evaluator on one edge."""
        return evaluate(self._policies, self._questions[edge.place], self._config).reason


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the replay found of one proposal; ``mismatch``: it denies what the proposal says it allows."""

    backtest: Backtest
    mismatch: bool


def replay(draft: Draft, policies: PolicySet) -> dict[str, Replayed]:
    """
    Back-tests of the proposals.

    Parameters
    ----------
    draft
        As made.
    policies
        Its manifests, rendered and parsed.

    Returns
    -------
    dict of str to Replayed
        By key of the proposal. What would be denied is listed with the reason it was left out; a denial
        without such a reason carries `NOT_ADMITTED`, and is a mismatch.
    """
    by_proposal: dict[str, list[Edge]] = defaultdict(list)
    for edge in draft.table.edges:
        key = draft.ledger.proposal_of.get(edge.subject)
        if key is not None and works(edge):
            by_proposal[key].append(edge)
    asked = [edge for edges in by_proposal.values() for edge in edges]
    tester = Replay(draft, policies, asked)
    days_of = _Days(draft.table)
    requests = RequestReplays(draft, policies, NOT_ADMITTED)
    return {
        one.key: _concluded(_tested(draft, tester, by_proposal[one.key], days_of), requests.of(one))
        for one in draft.proposals
    }


def replayed(proposal: Proposal, found: Replayed) -> Proposal:
    """The proposal with its back-test, flagged ``replay_mismatch`` where the two contradict each other."""
    done = replace(proposal, backtest=found.backtest)
    if not found.mismatch:
        return done
    return replace(done, flags=tuple(sorted({*proposal.flags, "replay_mismatch", "needs_review"})))


_Group = tuple[str, str, str, str, str, str, str]


@dataclass(slots=True)
class _Denied:
    """Edges that read the same, of one workload."""

    edge_days: int = 0
    flows: int = 0
    days: Counter[str] = field(default_factory=Counter)


def _concluded(edges: Backtest, requests: RequestReplay) -> Replayed:
    """Back-test of one proposal: what its edges came to, and its lists of requests."""
    refused = requests.refused
    backtest = replace(
        edges,
        denied=(*edges.denied, *refused[: MAX_DENIALS - len(edges.denied)]),
        denied_in_all=edges.denied_in_all + len(refused),
        requests=requests.asked,
        requests_undecided=requests.undecided,
        requests_refused=len(refused),
    )
    mismatch = any(denial.reason == NOT_ADMITTED for denial in (*edges.denied, *refused))
    return Replayed(backtest, mismatch)


def _tested(draft: Draft, tester: Replay, edges: Sequence[Edge], days_of: "_Days") -> Backtest:
    """Back-test of the edges of one proposal."""
    checked = admitted = undecided = 0
    denied: dict[_Group, _Denied] = defaultdict(_Denied)
    for edge in edges:
        reason = draft.ledger.reason_of.get(edge.place, "")
        if reason in NEEDS_NO_RULE:
            continue
        checked += edge.working_days
        verdict = tester.verdict(edge)
        if verdict is Verdict.ALLOW:
            admitted += edge.working_days
            continue
        if verdict is Verdict.UNKNOWN and not reason:
            undecided += edge.working_days
        if not reason and edge.place in draft.ledger.partly_rejected:
            reason = "rejected"
        why = WHY.get(reason) or f"A rule was made for it, but the replay says: {tester.why(edge)}."
        workload = draft.view.workload(edge.subject)
        peer, port = peer_text(draft.view, edge), port_text(edge)
        odd = reason in SUSPICIOUS or edge.place in tester.held
        legitimacy = "suspicious" if odd else "legitimate"
        title = "" if workload is None else workload.title
        group = denied[edge.direction, peer, port, reason or NOT_ADMITTED, why, title, legitimacy]
        group.edge_days += edge.working_days
        group.flows += edge.working
        group.days.update(days_of(edge))
    return Backtest(checked, admitted, undecided, *_denials(denied))


def _denials(
    denied: Mapping[_Group, _Denied],
) -> tuple[tuple[BacktestDenial, ...], int, int, int, tuple[tuple[str, int], ...]]:
    """The first denials, unexplained ones first, then by days; and the totals of all, also by day."""
    ranked = sorted(
        denied.items(), key=lambda item: (item[0][3] != NOT_ADMITTED, -item[1].edge_days, item[0])
    )
    listed = tuple(
        BacktestDenial(
            direction, peer, port, found.edge_days, reason, why,
            workload, legitimacy, found.flows, tuple(sorted(found.days.items())),
        )
        for (direction, peer, port, reason, why, workload, legitimacy), found in ranked[:MAX_DENIALS]
    )  # fmt: skip
    by_day = Counter[str]()
    for found in denied.values():
        by_day.update(found.days)
    legitimate = sum(found.edge_days for group, found in denied.items() if group[6] == "legitimate")
    total = sum(found.edge_days for found in denied.values())
    return listed, total, legitimate, len(denied), tuple(sorted(by_day.items()))


class _Days:
    """The days on which each edge of a table passed."""

    def __init__(self, table: EdgeTable) -> None:
        self._order = np.argsort(table.day_edge, kind="stable")
        self._edges = table.day_edge[self._order]
        self._table = table

    def __call__(self, edge: Edge) -> list[str]:
        """Days of an edge, each once."""
        first, last = np.searchsorted(self._edges, [edge.place, edge.place + 1])
        numbers = np.unique(self._table.day_number[self._order[first:last]])
        return [self._table.days[number] for number in numbers.tolist()]
