"""
Whether every subject that a policy set closes can still resolve names, and whether they are learned.

The most frequent way to break a workload with a policy is to forget DNS; the second is ``toFQDNs``
without a DNS rule on the way to the resolver, which then never learns a name and allows nothing.
"""

from collections.abc import Sequence
from typing import Final

from models.domain.agent import AgentConfig
from models.domain.fqdn import FqdnSelector
from models.domain.policy import Direction, Entry, PolicySet
from models.simulation.context import PolicyFlow, Side, resolve
from models.simulation.decision import Gate, Verdict
from models.simulation.findings import FindingKind, RuleFinding
from models.simulation.verdict import judge, selects_subject

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
        Sorted and distinct, each at a rule that closes egress or that uses names.
    """
    settings = config or AgentConfig()
    found: set[RuleFinding] = set()
    for subject in subjects:
        resolved = resolve(subject, settings)
        mine = [
            entry
            for entry in policies.entries
            if entry.direction is Direction.EGRESS and selects_subject(entry, resolved)
        ]
        closing = [entry for entry in mine if entry.default_deny]
        gates = {
            protocol: [
                _asked(mine, PolicyFlow(Direction.EGRESS, subject, resolver, protocol, port), settings)
                for resolver in resolvers
            ]
            for protocol in DNS_PROTOCOLS
        }
        for protocol, answers in gates.items():
            if closing and not any(gate.verdict is Verdict.ALLOW for gate in answers):
                because = (
                    f"closes egress of {_name(subject)}, which can ask no resolver over {protocol} {port}"
                )
                found.add(RuleFinding(FindingKind.NO_DNS, closing[0].ref(), because))
        learns = any(gate.redirect for answers in gates.values() for gate in answers)
        found |= {
            RuleFinding(
                FindingKind.NO_LEARNING,
                entry.ref(),
                f"names are never learned for {_name(subject)}: no DNS rule covers its way to a resolver",
            )
            for entry in mine
            if not learns and any(isinstance(peer, FqdnSelector) for peer in entry.peers or ())
        }
    return tuple(sorted(found, key=lambda f: (f.rule, f.kind, f.because)))


def _asked(entries: Sequence[Entry], flow: PolicyFlow, config: AgentConfig) -> Gate:
    return judge(entries, flow, Direction.EGRESS, config)


def _name(subject: Side) -> str:
    shown = [
        label
        for label in subject.labels or ()
        if not label.startswith(("k8s:io.cilium", "k8s:io.kubernetes.pod.namespace"))
    ]
    return ", ".join(sorted(shown)[:3]) or (subject.entity or subject.ip or "an endpoint without labels")
