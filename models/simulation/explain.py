"""
"Pod A cannot reach B": which policy, which rule, the smallest change that would let it, how to check.

The commands only read. The change comes from `models.simulation.changes`, which tries it first.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models.domain.agent import AgentConfig
from models.domain.labels import LabelSet
from models.domain.policy import Direction, PolicyRef, PolicySet
from models.simulation.changes import Change, smallest_change, stable_labels
from models.simulation.context import (
    PolicyFlow,
    Side,
    resolve,
)
from models.simulation.decision import Decision, Verdict
from models.simulation.verdict import evaluate, selects_subject

#: Resource names of the kinds, for ``kubectl``.
PLURAL: Final = {
    "CiliumNetworkPolicy": "ciliumnetworkpolicies",
    "CiliumClusterwideNetworkPolicy": "ciliumclusterwidenetworkpolicies",
    "NetworkPolicy": "networkpolicies",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why a flow passes or not.

    Parameters
    ----------
    decision
        The verdict with its rules.
    selecting
        Per direction asked: the objects that close this end.
    changes
        Per end that denies: the smallest change found, ``None`` when none can be offered. All of them
        together allow the flow.
    commands
        To check on the cluster, read-only, ready to paste.
    """

    decision: Decision
    selecting: Mapping[Direction, tuple[PolicyRef, ...]]
    changes: Mapping[Direction, Change | None]
    commands: tuple[str, ...]


def explain(policies: PolicySet, flow: PolicyFlow, config: AgentConfig | None = None) -> Explanation:
    """
    Explain one flow.

    Parameters
    ----------
    policies
        Parsed, with their manifests (`PolicySet.sources`).
    flow
        The question.
    config
        Agent settings.
    """
    settings = config or AgentConfig()
    decision = evaluate(policies, flow, settings)
    selecting = {
        gate.direction: _selecting(policies, flow, gate.direction, settings) for gate in decision.gates
    }
    changes = {
        gate.direction: smallest_change(policies, flow, gate, selecting[gate.direction], settings)
        for gate in decision.gates
        if gate.verdict is Verdict.DENY
    }
    return Explanation(decision, selecting, changes, tuple(_commands(flow, selecting, decision)))


def _selecting(
    policies: PolicySet, flow: PolicyFlow, direction: Direction, config: AgentConfig
) -> tuple[PolicyRef, ...]:
    subject = resolve(flow.subject(direction), config)
    found = {
        entry.policy
        for entry in policies.entries
        if entry.direction is direction and selects_subject(entry, subject)
    }
    return tuple(sorted(found))


def _commands(
    flow: PolicyFlow, selecting: Mapping[Direction, Sequence[PolicyRef]], decision: Decision
) -> Iterator[str]:
    """Read-only commands; values are bound to their flag and quoted, for labels may hold anything."""
    for policy in sorted({policy for found in selecting.values() for policy in found}):
        place = [f"--namespace={policy.namespace}"] if policy.namespace else []
        yield shlex.join(["kubectl", "get", *place, "--output=yaml", f"{PLURAL[policy.kind]}/{policy.name}"])
    for gate in decision.gates:
        if found := _kubectl_selector(flow.subject(gate.direction)):
            where = [f"--namespace={found[0]}", f"--selector={found[1]}"]
            yield shlex.join(["kubectl", "get", "ciliumendpoints", *where, "--output=wide"])
    yield shlex.join(["hubble", "observe", "--last=50", *_hubble_filters(flow, decision)])
    if any(gate.enforcing for gate in decision.gates):
        # On the node of the pod that is asked: what its agent made of the policies.
        agent = ["kubectl", "--namespace=kube-system", "exec", "ds/cilium", "--container=cilium-agent", "--"]
        yield shlex.join([*agent, "cilium-dbg", "policy", "selectors"])
        yield shlex.join([*agent, "cilium-dbg", "bpf", "policy", "get", "--all"])


def _hubble_filters(flow: PolicyFlow, decision: Decision) -> Iterator[str]:
    """What narrows Hubble to this connection; ICMP has no port."""
    if decision.verdict is Verdict.DENY:
        yield "--verdict=DROPPED"
    icmp = flow.protocol in ("ICMP", "ICMPv6")
    if flow.protocol is not None:
        yield f"--protocol={'icmpv4' if flow.protocol == 'ICMP' else flow.protocol.lower()}"
    if flow.port is not None and not icmp:
        yield f"--to-port={flow.port}"
    for end, side in (("from", flow.source), ("to", flow.destination)):
        found = _kubectl_selector(side)
        if found:
            yield f"--{end}-namespace={found[0]}"
            yield f"--{end}-label={found[1]}"
        elif side.entity is not None:
            yield f"--{end}-label=reserved:{side.entity}"
        elif side.ip is not None:
            yield f"--{end}-ip={side.ip}"


def _kubectl_selector(side: Side) -> tuple[str, str] | None:
    labels = LabelSet.of(side.labels or ())
    stable = stable_labels(labels)
    if labels.namespace is None or not stable:
        return None
    return labels.namespace, ",".join(f"{key}={value}" for key, value in stable.items())
