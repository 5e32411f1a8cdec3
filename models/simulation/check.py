"""
What a reader of a policy set should know before it reaches a cluster: its own findings, with places.

Without observations the rules are compared with each other, and DNS is asked about the subjects that the
selectors describe and the resolvers that most clusters have. With a window of them, also: selectors that
select nobody, what every rule costs and opens, and the resolvers that each workload really asks.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from models.domain.agent import MAP_SIZE, AgentConfig
from models.domain.fqdn import FqdnSelector
from models.domain.labels import CLUSTER_KEY, K8S, NAMESPACE_KEY, LabelSet
from models.domain.policy import Direction, Entry, PolicySet
from models.domain.selector import EndpointSelector
from models.simulation.compiled import CompiledPolicies
from models.simulation.context import Side, resolve
from models.simulation.costs import Breadth
from models.simulation.diff import example_pod
from models.simulation.dns_sanity import DNS_PORT, find_dns_problems
from models.simulation.findings import FindingKind, RuleFinding, Severity
from models.simulation.overlap import find_overlaps
from models.simulation.proxy import conflict
from models.simulation.seen import SeenWindow
from models.simulation.shown import shown_labels
from models.simulation.side_index import LabelIndex
from models.simulation.subject_index import SubjectIndex
from models.synthesis.view import RESOLVER_LABELS, is_dns

WITHOUT_OBSERVATIONS: Final = (
    "selectors that select nobody",
    "what rules cost in the policy map",
    "what rules open beyond what was seen",
    "the resolvers that are really asked",
)
#: Subjects whose cost is listed.
MAX_COSTS: Final = 20


@dataclass(frozen=True, slots=True)
class SubjectCost:
    """
    What the policies cost one identity.

    Parameters
    ----------
    namespace, labels
        Of the identity; the labels that people chose.
    entries
        Policy-map entries its endpoints need at most, of `MAP_SIZE`.
    rule
        The costliest rule.
    """

    namespace: str
    labels: str
    entries: int
    rule: str


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """
    Findings of a policy set.

    Parameters
    ----------
    findings
        Errors first, then warnings, then notes; each with its rule's place.
    costs
        The costliest identities first; empty without observations.
    not_checked
        What could not be looked at for want of observations.
    """

    findings: tuple[RuleFinding, ...]
    costs: tuple[SubjectCost, ...]
    not_checked: tuple[str, ...]

    def count(self, severity: Severity) -> int:
        """Findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Form of the API, without the places in files."""
        return {
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "notes": self.count(Severity.NOTE),
            "findings": [finding_to_json(finding) for finding in self.findings],
            "map_size": MAP_SIZE,
            "costs": [
                {"namespace": c.namespace, "labels": c.labels, "entries": c.entries, "rule": c.rule}
                for c in self.costs
            ],
            "not_checked": list(self.not_checked),
        }


def finding_to_json(finding: RuleFinding) -> dict[str, Any]:
    """One finding as the API tells it."""
    return {
        "severity": finding.severity.value,
        "kind": finding.kind.value,
        "policy": str(finding.rule.policy),
        "path": finding.rule.path,
        "because": finding.because,
        "other": None if finding.other is None else str(finding.other),
        "count": finding.count,
    }


def check_policies(policies: PolicySet, config: AgentConfig, seen: SeenWindow | None = None) -> PolicyCheck:
    """
    Look for what is wrong with a policy set, or worth a look.

    Parameters
    ----------
    policies
        Parsed for the release of `config`.
    config
        Agent settings.
    seen
        A window of observations of the cluster the policies are for.

    Returns
    -------
    PolicyCheck
        The same whatever the order of objects.
    """
    found = [*find_overlaps(policies, config)]
    if seen is None:
        subjects = _described(policies)
        found += _conflicts(policies, subjects, config)
        clients = [side for side in subjects if not _resolver(side)]
        found += find_dns_problems(policies, clients, usual_resolvers(config), config)
        return PolicyCheck(_ranked(found), (), WITHOUT_OBSERVATIONS)
    label_sets = sorted(set(seen.view.workloads.texts.values()))
    sides = [Side(tuple(labels), named_ports=None) for labels in label_sets]
    found += _conflicts(policies, sides, config)
    found += _dns(policies, seen, config)
    found += _nobody(policies, [LabelSet.of(labels) for labels in label_sets], seen, config)
    judged = CompiledPolicies(policies, config).evaluate(seen.table)
    breadth = Breadth(policies, seen.table.sides, config)
    found += breadth.over_broad(seen.table, judged.entry.tolist())
    costing = Breadth(policies, sides, config)
    found += costing.costs()
    costs: dict[tuple[str, str], SubjectCost] = {}
    for one in costing.by_subject():
        namespace, labels = one.labels.namespace or "", shown_labels(one.labels)
        # Label sets that read the same (a rollout, a failover) cost about the same: the costliest is told.
        costs.setdefault((namespace, labels), SubjectCost(namespace, labels, one.entries, str(one.rule)))
    return PolicyCheck(_ranked(found), tuple(costs.values())[:MAX_COSTS], ())


_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def _ranked(found: Sequence[RuleFinding]) -> tuple[RuleFinding, ...]:
    distinct = sorted(set(found), key=lambda f: (f.rule, f.kind, f.because))
    return tuple(sorted(distinct, key=lambda f: _ORDER.index(f.severity)))


def _described(policies: PolicySet) -> list[Side]:
    """One endpoint for every distinct subject selector."""
    selectors = {entry.subject: None for entry in policies.entries if not entry.node_subject}
    return [example_pod(selector) for selector in selectors]


def _conflicts(policies: PolicySet, subjects: Sequence[Side], config: AgentConfig) -> Iterator[RuleFinding]:
    """Endpoints whose policy Cilium could not compute, by the rule that comes first in them."""
    proxied = [e for e in policies.entries if any(rule.l7 is not None for rule in e.ports or ())]
    index = SubjectIndex(proxied)
    for subject in subjects if proxied else ():
        resolved = resolve(subject, config)
        for direction in Direction:
            mine = index.selecting(resolved, direction)
            if because := conflict(mine):
                http = (
                    e for e in mine if any(rule.l7 is not None and rule.l7.http for rule in e.ports or ())
                )
                yield RuleFinding(FindingKind.UNCOMPUTABLE, next(http).ref(), because)


def _resolver(side: Side) -> bool:
    """Whether it answers names itself, and so need not ask."""
    labels = LabelSet.of(side.labels or ()).labels
    return any((label.key, label.value) in RESOLVER_LABELS for label in labels)


def usual_resolvers(config: AgentConfig) -> tuple[Side, ...]:
    """Who answers DNS where nothing was observed: CoreDNS by its usual labels, a cache on the node."""
    common = ("k8s:io.kubernetes.pod.namespace=kube-system", f"{K8S}:{CLUSTER_KEY}={config.cluster_name}")
    pods = ("k8s:k8s-app=kube-dns", "k8s:app.kubernetes.io/name=coredns")
    return (
        *(Side((label, *common), named_ports=()) for label in pods),
        Side(entity="host"),  # a cache on the node, whatever its address
    )


def _dns(policies: PolicySet, seen: SeenWindow, config: AgentConfig) -> Iterator[RuleFinding]:
    """Ask every workload about the resolvers that it asks; one that asks none, about all of them."""
    asked: dict[Side, dict[tuple[Side, int], None]] = defaultdict(dict)
    for edge, question in zip(seen.edges, seen.questions, strict=True):
        if edge.direction == "egress" and is_dns(edge) and edge.port > 0:
            asked[question.source][question.destination, edge.port] = None
    everyone = {resolver: None for found in asked.values() for resolver in found}
    groups: dict[tuple[bool, tuple[Side, ...], int], list[Side]] = defaultdict(list)
    for subject in dict.fromkeys(q.source for q in seen.questions if q.direction is Direction.EGRESS):
        if subject.labels is None:
            continue
        resolvers = asked.get(subject) or everyone
        port = min((number for _, number in resolvers), key=lambda n: (n != DNS_PORT, n), default=DNS_PORT)
        sides = tuple(side for side, number in resolvers if number == port) or usual_resolvers(config)
        groups[subject in asked, sides, port].append(subject)
    for (resolves, sides, port), subjects in groups.items():
        for finding in find_dns_problems(policies, subjects, sides, config, port=port):
            if resolves or finding.kind is not FindingKind.NO_DNS:
                yield finding
            else:
                because = f"{finding.because}; it was not seen to ask any"
                yield replace(finding, kind=FindingKind.NO_DNS_UNUSED, because=because)


def _nobody(
    policies: PolicySet, label_sets: Sequence[LabelSet], seen: SeenWindow, config: AgentConfig
) -> Iterator[RuleFinding]:
    """Rules whose subject, or one of whose peers, selects nobody of the window."""
    index = LabelIndex(label_sets)
    told: set[tuple[object, EndpointSelector]] = set()
    for entry in policies.entries:
        if entry.node_subject:
            continue
        if not index.selected(entry.subject).any():
            if (entry.policy, entry.subject) not in told:
                told.add((entry.policy, entry.subject))
                because = f"no pod that was seen has the labels {entry.subject}"
                yield RuleFinding(
                    FindingKind.SELECTS_NOBODY,
                    entry.ref(),
                    because + _elsewhere(entry.subject, index, label_sets),
                )
            continue
        yield from _no_peer(entry, index, label_sets, seen, config)


def _no_peer(
    entry: Entry, index: LabelIndex, label_sets: Sequence[LabelSet], seen: SeenWindow, config: AgentConfig
) -> Iterator[RuleFinding]:
    for peer in entry.peers or ():
        if isinstance(peer, EndpointSelector) and not index.selected(peer, config.peer_cluster).any():
            because = f"no pod that was seen has the labels {peer}"
            yield RuleFinding(
                FindingKind.NO_SUCH_PEER, entry.ref(), because + _elsewhere(peer, index, label_sets)
            )
        elif isinstance(peer, FqdnSelector) and seen.names and not _resolved(peer, seen, config):
            because = f"no DNS name that was looked up, or reached, matches {peer}"
            yield RuleFinding(FindingKind.NO_SUCH_PEER, entry.ref(), because)


def _resolved(peer: FqdnSelector, seen: SeenWindow, config: AgentConfig) -> bool:
    deep = config.release.deep_wildcards
    return any(peer.matches(name, deep_wildcards=deep) for name in seen.names)


def _elsewhere(selector: EndpointSelector, index: LabelIndex, label_sets: Sequence[LabelSet]) -> str:
    """Where pods with these labels are, if the namespace is the only thing that keeps them out."""
    free = EndpointSelector(tuple(r for r in selector.requirements if r.key != NAMESPACE_KEY))
    if not free.requirements or len(free.requirements) == len(selector.requirements):
        return ""
    places = sorted(
        {labels.namespace or "" for labels, hit in zip(label_sets, index.selected(free), strict=True) if hit}
    )
    if not places:
        return ""
    named = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    return f"; pods with these labels are in {named}: without a namespace label a selector means its own"
