"""
From a window of observations to proposals: exact allow-lists, one per workload.

The whole of it is a function of its arguments: the same observations, capabilities and decisions give
the same draft. What the draft would deny is found out afterwards, by replay (`models.simulation.replay`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.domain.capabilities import Capabilities, CapabilityHints, resolve_capabilities
from models.domain.proposal import Assumption, DirectionDecision, LeftOut, Proposal, Rule, Subject
from models.domain.workload import Workload
from models.errors import BadInputError
from models.frames import Observations
from models.learning.workloads import learn_workloads
from models.synthesis.candidates import Candidate, Excluded, find_candidates
from models.synthesis.directions import decide
from models.synthesis.edges import EdgeTable, fold_edges
from models.synthesis.entries import with_paths
from models.synthesis.evidence import SECOND_US, DayIndex
from models.synthesis.leftovers import left_out
from models.synthesis.maturity import Observed, maturity, observed
from models.synthesis.naming import policy_name, proposal_key
from models.synthesis.resolvers import AssumedResolver, assumed_resolvers, is_resolver
from models.synthesis.rules import SubjectTime, assumed_rules, build_rules, with_dns_inspection
from models.synthesis.view import POSTURES, ClusterView, Posture, local_cluster, resolver_ports

_DAY_US = 24 * 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class Unproposed:
    """A workload without a proposal, and why."""

    namespace: str
    workloads: tuple[str, ...]
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Draft:
    """
    Everything a run found out before the replay.

    Parameters
    ----------
    proposals
        Sorted by namespace and name.
    unproposed
        Workloads that got none.
    left_out
        Traffic of subjects without a proposal, sorted.
    capabilities, observed, view, table
        What the proposals rest on.
    rules_of
        Rule ids by place of the edge.
    reason_of
        Reason by place of the edge, for edges without a rule: every edge is in exactly one of the two.
    subject_of
        Key of the proposal by label-set key of the subject.
    """

    proposals: tuple[Proposal, ...]
    unproposed: tuple[Unproposed, ...]
    left_out: tuple[LeftOut, ...]
    capabilities: Capabilities
    observed: Observed
    view: ClusterView
    table: EdgeTable
    rules_of: dict[int, tuple[str, ...]]
    reason_of: dict[int, str]
    subject_of: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What every proposal of a run shares."""

    cluster: str
    view: ClusterView
    index: DayIndex
    observed: Observed
    resolvers: Sequence[AssumedResolver]
    rejected: frozenset[str]


@dataclass(slots=True)
class _Outcome:
    proposal: Proposal | None
    rules_of: dict[int, tuple[str, ...]]
    excluded: list[Excluded]
    egress: DirectionDecision
    ingress: DirectionDecision


def draft(
    observations: Observations,
    *,
    hints: CapabilityHints | None = None,
    posture: Posture = "balanced",
    namespace: str | None = None,
    rejected_rules: frozenset[str] = frozenset(),
) -> Draft:
    """
    Propose an allow-list for every workload of a window.

    Parameters
    ----------
    observations
        Of one cluster.
    hints
        What the configuration says the cluster can enforce.
    posture
        ``generous``, ``balanced`` or ``strict``.
    namespace
        Propose for the workloads of this namespace only; the others are still looked at, because
        selectors must tell workloads apart.
    rejected_rules
        Ids of rules that a reviewer rejected; they do not come back.

    Raises
    ------
    BadInputError
        If the posture is none of the three.
    """
    if posture not in POSTURES:
        raise BadInputError(f"posture {posture!r} is none of {', '.join(POSTURES)}")
    table = fold_edges(observations)
    workloads = learn_workloads(observations)
    names_seen = bool(len(observations.lookups)) or any(edge.names or edge.dns for edge in table.edges)
    capabilities = resolve_capabilities(hints or CapabilityHints(), names_seen=names_seen)
    view = ClusterView(
        workloads=workloads,
        capabilities=capabilities,
        posture=posture,
        local_cluster=local_cluster(observations, workloads, table.edges),
        resolver_ports=resolver_ports(workloads, table.edges),
    )
    candidates = find_candidates(view, table.edges)
    seen = observed(observations)
    setting = _Setting(
        cluster=observations.cluster,
        view=view,
        index=DayIndex(table),
        observed=seen,
        resolvers=assumed_resolvers(view, candidates.found),
        rejected=rejected_rules,
    )
    found: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates.found:
        found[candidate.workload.label_keys].append(candidate)
    excluded: dict[tuple[str, ...], list[Excluded]] = defaultdict(list)
    for one in candidates.excluded:
        excluded[one.workload.label_keys if one.workload is not None else ()].append(one)

    result = Draft((), (), (), capabilities, seen, view, table, {}, {}, {})
    proposals: list[Proposal] = []
    unproposed: list[Unproposed] = []
    orphans: list[Excluded] = list(excluded[()])
    for workload in workloads.all:
        mine = excluded[workload.label_keys]
        reason = _no_proposal(view, workload, namespace)
        outcome = _Outcome(None, {}, mine, *_UNDECIDED)
        if not reason:
            outcome = _propose(setting, workload, found[workload.label_keys], mine)
        elif reason == "namespace_excluded":
            outcome.excluded = mine + [
                Excluded(edge, workload, reason) for c in found[workload.label_keys] for edge in c.edges
            ]
        if outcome.proposal is not None:
            proposals.append(outcome.proposal)
            result.subject_of.update(dict.fromkeys(workload.label_keys, outcome.proposal.key))
        else:
            orphans += outcome.excluded
            if reason != "namespace_excluded":
                unproposed.append(_unproposed(workload, reason, outcome))
        result.rules_of.update(outcome.rules_of)
        result.reason_of.update({one.edge.place: one.reason for one in outcome.excluded})
    result.reason_of.update({one.edge.place: one.reason for one in excluded[()]})
    return replace(
        result,
        proposals=tuple(sorted(proposals, key=lambda proposal: (proposal.namespace, proposal.name))),
        unproposed=tuple(sorted(unproposed, key=lambda one: (one.namespace, one.workloads))),
        left_out=left_out(view, orphans),
    )


_OPEN = DirectionDecision(False, "nothing_observed", "Stays open.")
_UNDECIDED = (_OPEN, _OPEN)


def _no_proposal(view: ClusterView, workload: Workload, namespace: str | None) -> str:
    """Reason code for a workload that cannot get a proposal; "" when it can."""
    if view.foreign(workload):
        return "subject_other_cluster"
    if namespace is not None and workload.namespace != namespace:
        return "namespace_excluded"
    if workload.gone:
        return "subject_gone"
    return "" if workload.selector is not None else "subject_no_selector"


def _unproposed(workload: Workload, reason: str, outcome: _Outcome) -> Unproposed:
    from models.synthesis.reasons import WHY  # noqa: PLC0415

    why = WHY[reason] if reason else f"{outcome.ingress.why} {outcome.egress.why}"
    return Unproposed(workload.namespace, workload.members, reason or "both_directions_open", why)


def _propose(
    setting: _Setting, workload: Workload, candidates: list[Candidate], excluded: list[Excluded]
) -> _Outcome:
    """Proposal for one workload; none when neither direction can be constrained."""
    view, seen = setting.view, setting.observed
    key = proposal_key(setting.cluster, workload)
    time = SubjectTime(seen.age_days(workload), seen.days_of(workload))
    everything, rules_of = build_rules(key, candidates, setting.index, time)
    rules = [rule for rule in everything if rule.id not in setting.rejected]
    kept = {rule.id for rule in rules}
    refused = [rule for rule in everything if rule.id in setting.rejected]
    posture = view.posture
    ingress, egress = (
        decide(
            direction,
            rules,
            excluded,
            sum(rule.direction == direction for rule in refused),
            time.days,
            posture,
        )
        for direction in ("ingress", "egress")
    )
    if egress.enforced and not is_resolver(view, workload) and not _resolves(rules):
        assumed = assumed_rules(key, setting.resolvers, time)
        rules += [rule for rule in assumed if rule.id not in setting.rejected]
    open_ways = {
        name for name, decision in (("ingress", ingress), ("egress", egress)) if not decision.enforced
    }
    rules = [rule for rule in rules if rule.direction not in open_ways]
    gone = list(excluded)
    rule_edges = {}
    for candidate in candidates:
        for edge in candidate.edges:
            ids = tuple(identifier for identifier in rules_of[edge.place] if identifier in kept)
            if candidate.direction in open_ways:
                gone.append(Excluded(edge, workload, "direction_open" if ids else "rejected"))
            elif ids:
                rule_edges[edge.place] = ids
            else:
                gone.append(Excluded(edge, workload, "rejected"))
    outcome = _Outcome(None, rule_edges, gone, egress, ingress)
    if rules:
        placed = with_paths(with_dns_inspection(rules, fqdn=view.capabilities.fqdn), workload.namespace)
        outcome.proposal = _proposal(setting, workload, key, placed, outcome, time)
    return outcome


def _resolves(rules: Sequence[Rule]) -> bool:
    return any("resolver" in rule.flags and rule.direction == "egress" for rule in rules)


def _description(workload: Workload, rules: Sequence[Rule]) -> str:
    """One sentence that changes only when the rules do."""
    peers = {
        way: len({rule.peer.key for rule in rules if rule.direction == way}) for way in ("ingress", "egress")
    }
    parts = [f"{way} with {n} peer{'' if n == 1 else 's'}" for way, n in peers.items() if n]
    what = " and ".join(member.replace("/", " ") for member in workload.members)
    return f"Allow-list of {what}, proposed from observed traffic: {' and '.join(parts)}."


def _proposal(
    setting: _Setting,
    workload: Workload,
    key: str,
    rules: tuple[Rule, ...],
    outcome: _Outcome,
    time: SubjectTime,
) -> Proposal:
    """Put one proposal together."""
    assumptions = [*setting.view.capabilities.assumptions, *setting.observed.assumptions]
    assumed = next((rule.reasons[0] for rule in rules if rule.evidence.assumed), "")
    if assumed:
        assumptions.append(Assumption("assumed_dns", assumed))
    selector = workload.selector
    if selector is None:  # callers propose only for workloads that have one
        raise BadInputError(f"{workload.title} has no selector")
    review = {"needs_review"} if any("needs_review" in rule.flags for rule in rules) else set()
    reasons = list(workload.notes)
    if any(rule.direction == "egress" for rule in rules):
        reasons.append("Apply the ingress of the servers it calls before, or together with, this egress.")
    return Proposal(
        key=key,
        cluster=setting.cluster,
        namespace=workload.namespace,
        name=policy_name(workload),
        subject=Subject(selector, workload.members, workload.service_account),
        description=_description(workload, rules),
        rules=rules,
        ingress=outcome.ingress,
        egress=outcome.egress,
        left_out=left_out(setting.view, outcome.excluded),
        maturity=maturity(time.effective_days),
        observed_from_us=max(workload.first_us, setting.observed.start_us) // _DAY_US * _DAY_US,
        effective_days=time.effective_days,
        assumptions=tuple(sorted(set(assumptions))),
        reasons=tuple(reasons),
        flags=tuple(sorted({*workload.flags, *review})),
    )
