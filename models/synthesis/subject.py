"""One workload's proposal: rules, directions, resolvers and the words around them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from models.domain.peer import LabelSelector
from models.domain.proposal import DirectionDecision, Proposal, Subject
from models.domain.rule import Port, Rule
from models.domain.workload import Workload
from models.synthesis.assumed import assumptions_of
from models.synthesis.candidates import Candidate, Excluded
from models.synthesis.description import SERVERS_FIRST, describe
from models.synthesis.directions import Evidence, decide
from models.synthesis.edges import Edge
from models.synthesis.entries import with_paths
from models.synthesis.evidence import SECOND_US, DayIndex
from models.synthesis.exchange import Exchange
from models.synthesis.families import Families
from models.synthesis.http_lists import HttpLists
from models.synthesis.leftovers import left_out, peer_text
from models.synthesis.let_in import lets_in, with_held_back_told
from models.synthesis.lines import Grouping
from models.synthesis.map_budget import MapBudget
from models.synthesis.maturity import Observed
from models.synthesis.naming import policy_name, proposal_key
from models.synthesis.opened import with_openings
from models.synthesis.questions_asked import QuestionsAsked
from models.synthesis.reasons import HELD_BACK, UNTOLD
from models.synthesis.rebound import with_metadata_told
from models.synthesis.refusals import Refusals
from models.synthesis.resolvers import AssumedResolver, is_resolver
from models.synthesis.rules import SubjectFacts, assumed_rules, build_rules, with_dns_inspection
from models.synthesis.targets import edge_port
from models.synthesis.untold import Known, Untold, untold_rules
from models.synthesis.view import ClusterView

_DAY_US = 24 * 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class Setting:
    """What every proposal of a run shares."""

    refusals: Refusals
    view: ClusterView
    index: DayIndex
    observed: Observed
    resolvers: Sequence[AssumedResolver]
    families: Families
    rates: Exchange
    questions: QuestionsAsked
    http: HttpLists | None
    budget: MapBudget
    held: Mapping[int, str]
    apart: frozenset[str]
    admitted: Collection[int]


@dataclass(slots=True)
class Outcome:
    """
    What became of a workload and its edges.

    Parameters
    ----------
    proposal
        ``None`` when neither direction can be constrained.
    ingress, egress
        What was decided about each direction.
    rules_of
        Rule ids by place of the edge.
    partly_rejected
        Places of edges that lost one of several rules to a rejection.
    excluded
        Edges without a rule.
    """

    proposal: Proposal | None
    ingress: DirectionDecision
    egress: DirectionDecision
    rules_of: dict[int, tuple[str, ...]]
    partly_rejected: set[int]
    excluded: list[Excluded]

    @property
    def _open_ways(self) -> set[str]:
        ways = (("ingress", self.ingress), ("egress", self.egress))
        return {way for way, decision in ways if not decision.enforced}

    def leave_out(self, excluded: Iterable[Excluded], untold: Untold, rejected: Collection[str]) -> None:
        """Keep edges that make no ordinary rule, with what became of them otherwise."""
        open_ways = self._open_ways
        for one in excluded:
            if untold.holds(one) and one.edge.direction not in open_ways:
                turned_down = untold.let_through.get(one, "") in {"", *rejected}
                self.excluded.append(replace(one, reason="rejected" if turned_down else UNTOLD))
            else:
                self.excluded.append(one)

    def settle(
        self, candidates: Sequence[Candidate], ids_of: dict[int, tuple[str, ...]], kept: set[str]
    ) -> None:
        """Give every edge of the candidates its rules, or the reason why it has none."""
        open_ways = self._open_ways
        for candidate in candidates:
            for edge in candidate.edges:
                ids = tuple(identifier for identifier in ids_of[edge.place] if identifier in kept)
                if not ids:
                    self.excluded.append(Excluded(edge, candidate.workload, "rejected"))
                elif candidate.direction in open_ways:
                    self.excluded.append(Excluded(edge, candidate.workload, "direction_open"))
                else:
                    self.rules_of[edge.place] = ids
                    if len(ids) < len(ids_of[edge.place]):
                        self.partly_rejected.add(edge.place)


def propose_for(
    setting: Setting,
    workload: Workload,
    selector: LabelSelector,
    candidates: Sequence[Candidate],
    excluded: Sequence[Excluded],
) -> Outcome:
    """
    Proposal for one workload.

    Parameters
    ----------
    setting
        Of the run.
    workload, selector
        Whom it is for.
    candidates, excluded
        All edges of the workload.
    """
    view = setting.view
    key = proposal_key(setting.refusals.cluster, workload)
    facts = SubjectFacts(
        effective_days=setting.observed.age_days(workload),
        days=setting.observed.days_of(workload),
        pods=max((edge.subject_pods for one in candidates for edge in one.edges), default=0),
        admitted=setting.admitted,
    )
    rejected = setting.refusals.ids
    candidates = with_metadata_told(key, candidates, rejected)
    _, refused = setting.refusals.apart(candidates)
    held, turned_down = _held_peers(excluded), _held_peers(refused)
    unfit = {gate: {*held.get(gate, ()), *turned_down.get(gate, ())} for gate in (*held, *turned_down)}
    grouping = Grouping(
        key,
        workload.namespace,
        setting.families,
        view.workloads.by_label_key,
        unfit,
        setting.rates,
        setting.apart,
    )
    everything, ids_of = build_rules(grouping, candidates, setting.index, facts, rejected, http=setting.http)
    everything = with_openings(everything, candidates, ids_of, view, setting.rates)
    kept = [rule for rule in everything if rule.id not in rejected]
    rules = with_held_back_told(kept, held, view)
    untold = untold_rules(key, excluded, Known(everything, rejected, held, turned_down), facts, view)
    let_in = with_held_back_told((rule for rule in untold.rules if rule.id not in rejected), held, view)
    let_in = with_held_back_told(let_in, turned_down, view, "which was rejected on this port")
    evidence = Evidence(
        rules or let_in,
        untold.others(excluded),
        rejected={rule.direction for rule in everything if rule.id in rejected},
        days=facts.days,
        posture=view.posture,
        peer_of=partial(_called, view),
        held=setting.held,
    )
    ingress, egress = decide("ingress", evidence), decide("egress", evidence)
    outcome = Outcome(None, ingress, egress, {}, set(), [])
    outcome.settle(candidates, ids_of, {rule.id for rule in rules})
    outcome.leave_out(excluded, untold, rejected)
    rules += let_in
    if egress.enforced and not is_resolver(view, workload) and not _resolves(everything):
        assumed = assumed_rules(key, setting.resolvers, facts)
        rules += [rule for rule in assumed if rule.id not in setting.refusals.ids]
    constrained = {"ingress": ingress.enforced, "egress": egress.enforced}
    rules = [rule for rule in rules if constrained[rule.direction]]
    if rules:
        questions = setting.questions.patterns(workload.label_keys, _held_names(candidates, excluded))
        inspected = with_dns_inspection(rules, fqdn=view.capabilities.fqdn, questions=questions)
        placed = with_paths(setting.budget.marked(inspected), workload.namespace)
        edges = tuple(edge for candidate in candidates for edge in candidate.edges)
        about = _About(key, workload, selector, facts, edges)
        outcome.proposal = _proposal(setting, about, placed, outcome)
    return outcome


def _called(view: ClusterView, edge: Edge) -> str:
    """What tells the other side of an edge from others; pods without labels in the records are not one."""
    unknown = edge.peer_kind == "endpoint" and view.workload(edge.peer) is None
    return edge.peer if unknown else peer_text(view, edge)


def _held_peers(excluded: Iterable[Excluded]) -> dict[tuple[str, Port], set[str]]:
    """Label-set keys of the peers that are held back, by direction and port."""
    found: dict[tuple[str, Port], set[str]] = defaultdict(set)
    for one in excluded:
        port = edge_port(one.edge)
        if one.reason in HELD_BACK and isinstance(port, Port):
            found[(one.edge.direction, port)].add(one.edge.peer)
    return found


def _lets_in(rules: Sequence[Rule], view: ClusterView, edge: Edge) -> bool:
    """Whether some rule lets an edge pass."""
    port = edge_port(edge)
    return isinstance(port, Port) and lets_in(rules, edge.direction, port, edge.peer, view)


def _held_names(candidates: Iterable[Candidate], excluded: Iterable[Excluded]) -> frozenset[str]:
    """Names that are held back, but those that something admitted has, too."""
    held = {name for one in excluded if one.reason in HELD_BACK for name in one.edge.names}
    return frozenset(held.difference(*(edge.names for one in candidates for edge in one.edges)))


@dataclass(frozen=True, slots=True)
class _About:
    """Whom a proposal is for."""

    key: str
    workload: Workload
    selector: LabelSelector
    facts: SubjectFacts
    edges: tuple[Edge, ...]


def _resolves(rules: Sequence[Rule]) -> bool:
    """Whether a resolver of the cluster is among the peers; one outside does not know the cluster's names."""
    return any(
        "resolver" in rule.flags and "external_resolver" not in rule.flags and rule.direction == "egress"
        for rule in rules
    )


def _proposal(setting: Setting, about: _About, rules: tuple[Rule, ...], outcome: Outcome) -> Proposal:
    """Put one proposal together."""
    workload, facts = about.workload, about.facts
    doubtful = workload.ownerless or "indistinguishable" in workload.flags
    review = {"needs_review"} if doubtful or any("needs_review" in rule.flags for rule in rules) else set()
    reasons = list(workload.notes)
    if wish := setting.families.nameless.get(workload.label_keys):
        reasons.append(wish)
    if workload.ownerless:
        reasons.append("These are bare pods without an owner: nothing starts them again.")
    if any(rule.direction == "egress" for rule in rules):
        reasons.append(SERVERS_FIRST)
    matured, why_not_stable = setting.observed.matured(facts.effective_days)
    return Proposal(
        key=about.key,
        cluster=setting.refusals.cluster,
        namespace=workload.namespace,
        name=policy_name(workload),
        subject=Subject(about.selector, workload.members, workload.service_account),
        description=describe(workload.members, rules),
        rules=rules,
        ingress=outcome.ingress,
        egress=outcome.egress,
        left_out=left_out(
            setting.view,
            (one for one in outcome.excluded if one.reason != UNTOLD),
            partial(_lets_in, rules, setting.view),
        ),
        maturity=matured,
        why_not_stable=why_not_stable,
        posture=setting.view.posture,
        observed_from_us=max(workload.first_us, setting.observed.start_us) // _DAY_US * _DAY_US,
        effective_days=facts.effective_days,
        assumptions=assumptions_of(
            setting.view.capabilities, setting.observed.assumptions, rules, about.edges
        ),
        reasons=tuple(reasons),
        flags=tuple(sorted({*workload.flags, *review})),
    )
