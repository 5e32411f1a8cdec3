"""
Whether every subject that a policy set closes can still resolve names, and whether they are learned.

The most frequent way to break a workload with a policy is to forget DNS; the second is ``toFQDNs``
without a DNS rule on the way to the resolver, which then never learns a name and allows nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from models.domain.agent import AgentConfig
from models.domain.fqdn import FqdnSelector
from models.domain.labels import LabelSet
from models.domain.policy import Direction, PolicySet, RuleRef
from models.simulation.context import PolicyFlow, Side, resolve
from models.simulation.decision import Verdict
from models.simulation.findings import FindingKind, RuleFinding
from models.simulation.shown import shown_labels
from models.simulation.subject_index import SubjectIndex
from models.simulation.verdict import judge

DNS_PORT: Final = 53
DNS_PROTOCOLS: Final = ("UDP", "TCP")  # TCP is the fallback for long answers


def find_dns_problems(
    policies: PolicySet,
    subjects: Sequence[Side],
    resolvers: Sequence[Side],
    config: AgentConfig | None = None,
    *,
    port: int = DNS_PORT,
) -> tuple[RuleFinding, ...]:
    """
    Closed subjects that cannot ask any resolver, and name rules that never take effect.

    Parameters
    ----------
    policies
        Parsed.
    subjects
        Workloads to check, one side each.
    resolvers
        Who answers DNS here: the pods of CoreDNS, a node-local cache, the host. One reachable
        resolver is enough.
    config
        Agent settings.
    port
        Port of the resolver's backend.

    Returns
    -------
    tuple of RuleFinding
        Sorted, each at a rule that closes egress or that uses names; subjects that share the rule and
        the problem share the finding.
    """
    settings = config or AgentConfig()
    found: dict[tuple[FindingKind, RuleRef, str], list[str]] = defaultdict(list)
    index = SubjectIndex(policies.entries)
    for subject in subjects:
        mine = index.selecting(resolve(subject, settings), Direction.EGRESS)
        closing = [entry for entry in mine if entry.default_deny]
        named = [e for e in mine if any(isinstance(peer, FqdnSelector) for peer in e.peers or ())]
        if not closing and not named:
            continue
        gates = {
            protocol: [
                judge(
                    mine,
                    PolicyFlow(Direction.EGRESS, subject, resolver, protocol, port),
                    Direction.EGRESS,
                    settings,
                )
                for resolver in resolvers
            ]
            for protocol in DNS_PROTOCOLS
        }
        shut = [
            protocol
            for protocol, answers in gates.items()
            if not any(gate.verdict is Verdict.ALLOW for gate in answers)
        ]
        if closing and shut:
            found[FindingKind.NO_DNS, closing[0].ref(), f"{' and '.join(shut)} {port}"].append(_name(subject))
        if not any(gate.redirect for answers in gates.values() for gate in answers):
            for entry in named:
                found[FindingKind.NO_LEARNING, entry.ref(), ""].append(_name(subject))
    return tuple(
        sorted(
            RuleFinding(kind, rule, _because(kind, names, what))
            for (kind, rule, what), names in found.items()
        )
    )


def _because(kind: FindingKind, names: Sequence[str], what: str) -> str:
    distinct = sorted(set(names))
    who = distinct[0] + (f" and {len(distinct) - 1} more" if len(distinct) > 1 else "")
    if kind is FindingKind.NO_DNS:
        return f"closes egress of {who}, which can ask no resolver over {what}"
    return f"names are never learned for {who}: no DNS rule covers its way to a resolver"


def _name(subject: Side) -> str:
    if subject.labels is None:
        return subject.entity or subject.ip or "an endpoint without labels"
    return shown_labels(LabelSet.of(subject.labels))
