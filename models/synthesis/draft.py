"""
From a window of observations to proposals: one allow-list per role of a namespace.

The whole of it is a function of its arguments: the same observations, capabilities and decisions give
the same draft. What the draft would deny is found out afterwards, by replay (`models.simulation.replay`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from models.domain.capabilities import Capabilities, CapabilityHints
from models.domain.peer import EndpointPeer
from models.domain.proposal import LeftOut, Proposal
from models.domain.quarantine import Quarantined
from models.domain.rule import rule_id
from models.domain.workload import Workload
from models.errors import BadInputError
from models.frames import Observations
from models.synthesis.aside import aside_edges
from models.synthesis.candidates import Candidate, Excluded, Marks, find_candidates
from models.synthesis.conservation import conserved
from models.synthesis.edges import EdgeTable, fold_edges
from models.synthesis.evidence import DayIndex
from models.synthesis.exchange import exchange
from models.synthesis.families import find_families
from models.synthesis.generalise import generalise
from models.synthesis.held_back import quarantine, settle
from models.synthesis.http_lists import HttpLists
from models.synthesis.http_seen import HttpSeen
from models.synthesis.learned import NOTHING_LEARNED, Learned
from models.synthesis.ledger import Ledger
from models.synthesis.leftovers import left_out
from models.synthesis.map_budget import MapBudget
from models.synthesis.maturity import Observed, observed
from models.synthesis.memory import NO_MEMORY, Memory
from models.synthesis.population import find_population
from models.synthesis.questions_asked import questions_asked
from models.synthesis.reasons import WHY
from models.synthesis.refusals import Refusals
from models.synthesis.resolvers import assumed_resolvers
from models.synthesis.rotation import when_seen
from models.synthesis.screened import Screened, screen
from models.synthesis.subject import Setting, propose_for
from models.synthesis.view import POSTURES, ClusterView, Posture, cluster_view


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
    ledger
        What became of every edge.
    screened
        What was held back, and how wanted each cell looks.
    quarantine
        What a person has to decide on, sorted; also part of the proposals that leave it out.
    records
        Records of the window by where they ended (`conserved`).
    learned
        Roles and patterns, for tomorrow night.
    http
        HTTP requests of the window, where lists of them were asked for.
    """

    proposals: tuple[Proposal, ...]
    unproposed: tuple[Unproposed, ...]
    left_out: tuple[LeftOut, ...]
    capabilities: Capabilities
    observed: Observed
    view: ClusterView
    table: EdgeTable
    ledger: Ledger
    screened: Screened
    quarantine: tuple[Quarantined, ...]
    records: dict[str, int]
    learned: Learned
    http: HttpSeen | None = None


def draft(
    observations: Observations,
    *,
    hints: CapabilityHints | None = None,
    posture: Posture = "balanced",
    namespace: str | None = None,
    rejected_rules: frozenset[str] = frozenset(),
    memory: Memory = NO_MEMORY,
    previous: Learned = NOTHING_LEARNED,
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
    memory
        Verdicts on what was held back, and last night's fates.
    previous
        Last night's roles and patterns.

    Raises
    ------
    BadInputError
        If the posture is none of the three.
    DefectError
        If something of the window ended nowhere, or in two places.
    """
    if posture not in POSTURES:
        raise BadInputError(f"posture {posture!r} is none of {', '.join(POSTURES)}")
    table = fold_edges(observations)
    view = cluster_view(observations, table.edges, hints or CapabilityHints(), posture)
    screened = screen(observations, view, table, posture, memory)
    rates = exchange(posture)
    population = find_population(view, table.edges, screened.held(), rates, previous)
    screened = screened.release(population.vouched)
    odd = quarantine(observations.cluster, view, table, screened)
    held, view = screened.held(), population.view
    families = find_families(view, table.edges, held, rates, previous.families)
    marks = Marks(screened.review_places(), screened.released_places(), screened.admitted_places())
    candidates = find_candidates(view, table.edges, held, marks)
    index = DayIndex(table)
    seen = observed(observations)
    refusals = Refusals(observations.cluster, rejected_rules)
    candidates, patterns = generalise(
        view,
        candidates,
        window=when_seen(table, index),
        rates=rates,
        previous=previous.patterns,
        refusals=refusals,
        stricter=previous.looser_than(posture),
    )
    http = HttpSeen(observations.http_days, table) if view.capabilities.l7 else None
    setting = Setting(
        refusals=refusals,
        view=view,
        index=index,
        observed=seen.unscreened() if screened.unscreened else seen,
        resolvers=assumed_resolvers(view, candidates.found),
        families=families,
        rates=rates,
        questions=questions_asked(observations, screened.tunnels),
        http=None if http is None else HttpLists(http, len(table.days), rates),
        budget=MapBudget(view.workloads),
        held=held,
        apart=previous.apart,
        admitted=marks.admitted,
    )
    found: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates.found:
        found[candidate.workload.label_keys].append(candidate)
    excluded: dict[tuple[str, ...], list[Excluded]] = defaultdict(list)
    for one in (*candidates.excluded, *aside_edges(observations, view)):
        excluded[one.workload.label_keys if one.workload is not None else ()].append(one)

    ledger = Ledger()
    ledger.exclude(excluded[()])
    proposals: list[Proposal] = []
    unproposed: list[Unproposed] = []
    orphans: list[Excluded] = list(excluded[()])
    for workload in view.workloads.all:
        mine, candidates_of = excluded[workload.label_keys], found[workload.label_keys]
        reason = _no_proposal(view, workload, namespace)
        if reason or workload.selector is None:
            lost = [Excluded(edge, workload, reason) for one in candidates_of for edge in one.edges]
            ledger.exclude([*mine, *lost])
            orphans += [*mine, *lost]
            if reason != "namespace_excluded":
                unproposed.append(Unproposed(workload.namespace, workload.members, reason, WHY[reason]))
            continue
        outcome = propose_for(setting, workload, workload.selector, candidates_of, mine)
        ledger.enter(workload, outcome)
        if outcome.proposal is not None:
            proposals.append(outcome.proposal)
            continue
        orphans += outcome.excluded
        why = f"{outcome.ingress.why} {outcome.egress.why}"
        unproposed.append(Unproposed(workload.namespace, workload.members, "both_directions_open", why))
    records = conserved(observations, table, screened, ledger)
    settled, proposals_held = settle(odd, proposals, ledger.proposal_of)
    return Draft(
        proposals=tuple(sorted(proposals_held, key=lambda proposal: (proposal.namespace, proposal.name))),
        unproposed=tuple(sorted(unproposed, key=lambda one: (one.namespace, one.workloads))),
        left_out=left_out(view, orphans, lambda _: False),
        capabilities=view.capabilities,
        observed=setting.observed,
        view=view,
        table=table,
        ledger=ledger,
        screened=screened,
        quarantine=settled,
        records=records,
        learned=Learned(
            population.role_of, families.role_of, patterns, posture, _apart(proposals), population.whole
        ),
        http=http,
    )


def _apart(proposals: Iterable[Proposal]) -> frozenset[str]:
    """Ids of the rules for one peer inside the cluster that are no list; a resolver is on none."""
    return frozenset(
        rule.id
        for proposal in proposals
        for rule in proposal.rules
        if isinstance(rule.peer, EndpointPeer)
        and "resolver" not in rule.flags
        and rule.id == rule_id(proposal.key, rule.direction, rule.peer, rule.ports)
    )


def _no_proposal(view: ClusterView, workload: Workload, namespace: str | None) -> str:
    """Reason code for a workload that cannot get a proposal; "" when it can."""
    if view.foreign(workload):
        return "subject_other_cluster"
    if namespace is not None and workload.namespace != namespace:
        return "namespace_excluded"
    if workload.gone:
        return "subject_gone"
    return "" if workload.selector is not None else "subject_no_selector"
