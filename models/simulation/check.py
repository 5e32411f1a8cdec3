"""
What a reader of a policy set should know before it reaches a cluster: its own findings, with places.

Without observations the rules are compared with each other, and DNS is asked about the subjects that the
selectors describe and the resolvers that most clusters have. With a window of them, also: selectors that
select nobody, what every rule costs and opens, and the resolvers that each workload really asks.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.fqdn import FqdnSelector
from models.domain.labels import NAMESPACE_KEY, LabelSet
from models.domain.policy import Direction, Entry, PolicySet
from models.domain.selector import EndpointSelector
from models.simulation.comparison import shown_labels
from models.simulation.compiled import CompiledPolicies
from models.simulation.context import Side, resolve
from models.simulation.costs import MAP_SIZE, Breadth
from models.simulation.diff import example_pod
from models.simulation.dns_sanity import DNS_PORT, find_dns_problems
from models.simulation.findings import FindingKind, RuleFinding, Severity
from models.simulation.overlap import find_overlaps
from models.simulation.proxy import conflict
from models.simulation.seen import SeenWindow
from models.simulation.side_index import LabelIndex
from models.simulation.verdict import selects_subject
from models.synthesis.view import is_dns

#: Who answers DNS where nothing was observed: kube-dns and CoreDNS by their usual labels, a node's cache.
USUAL_RESOLVERS: Final = (
    Side(("k8s:io.kubernetes.pod.namespace=kube-system", "k8s:k8s-app=kube-dns"), named_ports=()),
    Side(
        ("k8s:io.kubernetes.pod.namespace=kube-system", "k8s:app.kubernetes.io/name=coredns"), named_ports=()
    ),
    Side(entity="host"),
    Side(ip="169.254.20.10", names=()),
)
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
        egress = [side for side in subjects if side.labels]
        found += find_dns_problems(policies, egress, USUAL_RESOLVERS, config)
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
    costs = tuple(
        SubjectCost(one.labels.namespace or "", shown_labels(one.labels), one.entries, str(one.rule))
        for one in costing.by_subject()[:MAX_COSTS]
    )
    return PolicyCheck(_ranked(found), costs, ())


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
    for subject in subjects if proxied else ():
        resolved = resolve(subject, config)
        for direction in Direction:
            mine = [e for e in proxied if e.direction is direction and selects_subject(e, resolved)]
            if because := conflict(mine):
                http = (
                    e for e in mine if any(rule.l7 is not None and rule.l7.http for rule in e.ports or ())
                )
                yield RuleFinding(FindingKind.UNCOMPUTABLE, next(http).ref(), because)


def _dns(policies: PolicySet, seen: SeenWindow, config: AgentConfig) -> Iterator[RuleFinding]:
    """Ask every workload about the resolvers that it asks, else about those that the others ask."""
    asked: dict[Side, dict[tuple[Side, int], None]] = defaultdict(dict)
    everyone: dict[tuple[Side, int], int] = defaultdict(int)
    for edge, question in zip(seen.edges, seen.questions, strict=True):
        if edge.direction == "egress" and is_dns(edge) and edge.port > 0:
            resolver = (question.destination, edge.port)
            asked[question.source][resolver] = None
            everyone[resolver] += 1
    subjects = dict.fromkeys(q.source for q in seen.questions if q.direction is Direction.EGRESS)
    usual = {(side, DNS_PORT): None for side in USUAL_RESOLVERS}
    for subject in subjects:
        if subject.labels is None:
            continue
        resolvers = asked.get(subject) or dict.fromkeys(everyone) or usual
        port = min({number for _, number in resolvers}, key=lambda n: (n != DNS_PORT, n))
        sides = [side for side, number in resolvers if number == port]
        yield from find_dns_problems(policies, [subject], sides, config, port=port)


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
