"""
Replay of the window against the policies that were proposed from it: breakage is found before anyone looks.

What is replayed is the rendered manifest, read back by the parser and judged by the reference evaluator:
an error in any step between an edge and its YAML shows here as a denied edge.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from models.domain.agent import LOCAL_CLUSTER, AgentConfig, release
from models.domain.capabilities import LOCAL_DNS_IS_HOST_SINCE
from models.domain.labels import LabelSet
from models.domain.policy import Direction, Entry, PolicySet
from models.domain.proposal import Backtest, BacktestDenial, Proposal
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.verdict import evaluate
from models.synthesis.addresses import canonical, local_dns
from models.synthesis.draft import Draft
from models.synthesis.edges import Edge
from models.synthesis.leftovers import peer_text, port_text, works
from models.synthesis.reasons import NEEDS_NO_RULE, WHY

#: Reason code of a denial that no left-out line announced: a defect, shown and never hidden.
NOT_ADMITTED: Final = "not_admitted"
#: Version whose meaning is taken when the cluster's is unknown; peers mean any cluster there.
DEFAULT_VERSION: Final = "1.18"
MAX_DENIALS: Final = 200  # listed per proposal; the counts are exact whatever is listed
_PROTOCOLS: Final = {"ICMPV4": "ICMP", "ICMPV6": "ICMPv6", "ICMP": "ICMP"}


def agent_config(draft: Draft) -> AgentConfig:
    """Settings of the cluster as far as they are known."""
    cluster = draft.view.local_cluster
    version = draft.capabilities.version_text or DEFAULT_VERSION
    return AgentConfig(
        cilium_version=version,
        cluster_name=cluster or LOCAL_CLUSTER,
        # Pods without the cluster label, as in old records, would match no peer selector at all.
        default_local_cluster=bool(cluster) and release(version).local_cluster_default,
    )


class Replay:
    """
    The proposed set, ready to be asked about edges of the draft.

    Parameters
    ----------
    draft
        Whose edges and labels are used.
    policies
        The rendered manifests of all proposals, parsed.
    """

    def __init__(self, draft: Draft, policies: PolicySet) -> None:
        self._draft = draft
        self._config = agent_config(draft)
        self._entries: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in policies.entries:
            self._entries[(entry.policy.namespace, entry.direction.value)].append(entry)
        self._selected: dict[tuple[str, str], PolicySet] = {}

    def _labels(self, label_key: str) -> tuple[str, ...]:
        """Labels of a pod as it is today: of the current set if this one was replaced."""
        workload = self._draft.view.workload(label_key)
        if workload is not None and label_key not in workload.current_keys:
            label_key = workload.current_keys[0]
        return self._draft.view.workloads.texts.get(label_key, ())

    def _policies(self, edge: Edge) -> PolicySet:
        """What the policies that select the subject of an edge say about its direction."""
        asked = (edge.subject, edge.direction)
        if asked not in self._selected:
            labels = LabelSet.of(self._labels(edge.subject))
            workload = self._draft.view.workload(edge.subject)
            entries = self._entries[(workload.namespace, edge.direction)] if workload is not None else []
            mine = tuple(entry for entry in entries if entry.subject.matches(labels))
            self._selected[asked] = PolicySet(mine, (), {})
        return self._selected[asked]

    def _peer(self, edge: Edge) -> Side:
        """The other end, by what the records say of it."""
        view = self._draft.view
        names = tuple(sorted({canonical(name) for name in edge.names}))
        if edge.peer_kind == "endpoint":
            entity = view.workloads.entities.get(edge.peer)
            return Side(entity=entity) if entity is not None else Side(labels=self._labels(edge.peer))
        if edge.peer_kind == "entity":
            return Side(entity=edge.peer, names=names)
        version = view.capabilities.cilium_version
        if local_dns(edge.peer) and version is not None and version >= LOCAL_DNS_IS_HOST_SINCE:
            return Side(entity="host")
        return Side(ip=edge.peer or None, names=names)

    def verdict(self, edge: Edge) -> tuple[Verdict, str]:
        """What the proposed set would do with an edge at its subject's gate, and why."""
        subject = Side(labels=self._labels(edge.subject))
        peer = self._peer(edge)
        direction = Direction(edge.direction)
        egress = direction is Direction.EGRESS
        protocol = _PROTOCOLS.get(edge.protocol.upper(), edge.protocol.upper())
        flow = PolicyFlow(
            direction=direction,
            source=subject if egress else peer,
            destination=peer if egress else subject,
            protocol=protocol or None,
            port=edge.icmp_type if protocol.startswith("ICMP") else (edge.port if edge.port > 0 else None),
        )
        decision = evaluate(self._policies(edge), flow, self._config)
        return decision.verdict, decision.reason


def replay(draft: Draft, policies: PolicySet) -> tuple[Proposal, ...]:
    """
    The proposals with their back-test.

    Parameters
    ----------
    draft
        As made.
    policies
        Its manifests, rendered and parsed.

    Returns
    -------
    tuple of Proposal
        In the order of the draft. What would be denied is listed with the reason it was left out;
        a denial without such a reason carries `NOT_ADMITTED`, and the proposal the flag
        ``replay_mismatch``.
    """
    tester = Replay(draft, policies)
    by_proposal: dict[str, list[Edge]] = defaultdict(list)
    for edge in draft.table.edges:
        key = draft.ledger.proposal_of.get(edge.subject)
        if key is not None and works(edge):
            by_proposal[key].append(edge)
    return tuple(_tested(draft, tester, one, by_proposal[one.key]) for one in draft.proposals)


def _tested(draft: Draft, tester: Replay, proposal: Proposal, edges: Sequence[Edge]) -> Proposal:
    """One proposal with its back-test."""
    checked = admitted = undecided = 0
    denied: dict[tuple[str, str, str, str, str], int] = defaultdict(int)
    for edge in edges:
        reason = draft.ledger.reason_of.get(edge.place, "")
        if reason in NEEDS_NO_RULE:
            continue
        checked += edge.working_days
        verdict, why = tester.verdict(edge)
        if verdict is Verdict.ALLOW:
            admitted += edge.working_days
            continue
        if verdict is Verdict.UNKNOWN and not reason:
            undecided += edge.working_days
        if not reason and edge.place in draft.ledger.partly_rejected:
            reason = "rejected"
        sentence = WHY[reason] if reason else f"A rule was made for it, but the replay says: {why}."
        key = (edge.direction, peer_text(draft.view, edge), port_text(edge), reason or NOT_ADMITTED, sentence)
        denied[key] += edge.working_days
    backtest = Backtest(checked, admitted, undecided, _denials(denied))
    mismatch = any(denial.reason == NOT_ADMITTED for denial in backtest.denied)
    flags = (
        tuple(sorted({*proposal.flags, "replay_mismatch", "needs_review"})) if mismatch else proposal.flags
    )
    return replace(proposal, backtest=backtest, flags=flags)


def _denials(denied: Mapping[tuple[str, str, str, str, str], int]) -> tuple[BacktestDenial, ...]:
    """The denials, unexplained ones first, then by days."""
    ranked = sorted(denied.items(), key=lambda item: (item[0][3] != NOT_ADMITTED, -item[1], item[0]))
    return tuple(
        BacktestDenial(direction, peer, port, days, reason, why)
        for (direction, peer, port, reason, why), days in ranked[:MAX_DENIALS]
    )
