"""
Whom policies reach: nobody any more, others than were approved; and whom none of them reaches.

Only workloads that were seen count as being there; one that is silent for a weekend is not gone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.labels import NAMESPACE_KEY, LabelSet
from models.domain.policy import Direction, PolicyRef
from models.domain.selector import EndpointSelector, Operator
from models.domain.workload import Workload
from models.drift.changed import Approved
from models.drift.coverage import NightCoverage
from models.drift.finding import Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.night import Scene
from models.drift.places import subject_of
from models.drift.standing import Standing
from models.learning.owners import RUN_KINDS

#: Full days of watching after which a selector that matches nobody is wrong rather than early.
MIN_WATCHED_DAYS: Final = 7
#: Workloads of one namespace without any policy from which they are told as one.
MERGE_FROM: Final = 3
_LISTED: Final = 20


@dataclass(frozen=True)
class Reach:
    """
    Workloads by policy and direction.

    Parameters
    ----------
    selected
        Workloads that each object selects now.
    closed
        (workload place, direction) with a default deny, and those that are merely staged.
    """

    selected: Mapping[PolicyRef, tuple[int, ...]]
    closed: frozenset[tuple[int, Direction]]
    staged: frozenset[tuple[int, Direction]]


def reach(scene: Scene) -> Reach:
    """Match every subject selector with the current label sets of every workload."""
    labels = [
        [LabelSet.of(scene.view.workloads.texts.get(key, ())) for key in one.current_keys]
        for one in scene.view.workloads.all
    ]
    by_value: dict[tuple[str, str], set[int]] = defaultdict(set)
    for place, sets in enumerate(labels):
        for found in sets:
            for label in found.labels:
                by_value[(label.key, label.value)].add(place)
    answers: dict[EndpointSelector, tuple[int, ...]] = {}
    selected: dict[PolicyRef, set[int]] = {policy: set() for policy in scene.timeline.current.sources}
    closed: set[tuple[int, Direction]] = set()
    staged: set[tuple[int, Direction]] = set()
    for entry in scene.timeline.current.entries:
        if entry.node_subject:
            selected[entry.policy].add(-1)  # nodes are never seen as workloads
            continue
        if entry.subject not in answers:
            answers[entry.subject] = _matching(entry.subject, labels, by_value)
        for place in answers[entry.subject]:
            selected[entry.policy].add(place)
            (closed if entry.default_deny else staged).add((place, entry.direction))
    return Reach(
        {policy: tuple(sorted(places)) for policy, places in selected.items()},
        frozenset(closed),
        frozenset(staged),
    )


def _matching(
    selector: EndpointSelector,
    labels: Sequence[Sequence[LabelSet]],
    by_value: Mapping[tuple[str, str], set[int]],
) -> tuple[int, ...]:
    """Workloads a selector selects; equalities narrow the search first."""
    candidates: set[int] | None = None
    for one in selector.requirements:
        if one.operator is Operator.IN:
            found = set().union(*(by_value.get((one.key, value), set()) for value in one.values))
            candidates = found if candidates is None else candidates & found
    places = range(len(labels)) if candidates is None else sorted(candidates)
    return tuple(place for place in places if any(selector.matches(found) for found in labels[place]))


def idle_policies(
    scene: Scene, standing: Standing, found: Reach, approved: Sequence[Approved], told: frozenset[PolicyRef]
) -> list[Finding]:
    """
    Find policies that select nobody who was seen, and approved ones that select somebody else now.

    Parameters
    ----------
    scene, standing
        The night and the history.
    found
        Who is selected.
    approved
        Approved policies with the workloads they were approved for.
    told
        Objects that another finding speaks of already.
    """
    findings = []
    meant = {name_of(policy): one for one in approved for policy in one.policies}
    names = [member for one in scene.view.workloads.all for member in one.members]
    for policy in sorted(found.selected):
        places = found.selected[policy]
        one = meant.get((policy.namespace, policy.name))
        if policy in told:
            continue
        workloads = [scene.view.workloads.all[place] for place in places if place >= 0]
        here = {member for workload in workloads for member in workload.members}
        if all(workload.gone for workload in workloads) and -1 not in places:
            if standing.days.count < MIN_WATCHED_DAYS or _for_jobs(one):
                continue
            findings.append(_selects_nobody(scene, standing, policy, one, names))
        elif one is not None and one.workloads and (extra := sorted(here - set(one.workloads))):
            findings.append(_selects_more(policy, one, extra))
    return findings


def _for_jobs(one: Approved | None) -> bool:
    """Whether all that a policy was approved for are jobs, which are away most of the time."""
    return (
        one is not None
        and bool(one.workloads)
        and all(name.partition("/")[0] in RUN_KINDS for name in one.workloads)
    )


def name_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name of an object."""
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _selects_nobody(
    scene: Scene, standing: Standing, policy: PolicyRef, one: Approved | None, names: Sequence[str]
) -> Finding:
    selectors = sorted(
        {str(entry.subject) for entry in scene.timeline.current.entries if entry.policy == policy}
    )
    near = _nearest(scene, policy)
    gone = one is not None and one.workloads and not set(one.workloads) & set(names)
    if gone:
        text, action = f"Remove {policy}: what it was for is gone.", "remove_policy"
    elif near is not None:
        text, action = (
            f"Perhaps {subject_of(near).title} is meant: it carries {_labels(near)}.",
            "fix_selector",
        )
    else:
        text, action = f"Mend the selector of {policy}, or remove it.", "fix_selector"
    return Finding(
        kind=Kind.UNUSED,
        detector="selects_nothing",
        severity=Severity.MEDIUM,
        confidence=round(1.0 - 0.5 ** (standing.days.count / MIN_WATCHED_DAYS), 4),
        subject=SubjectRef(policy.namespace, "" if one is None else " + ".join(one.workloads)),
        why=f"{policy} selects nobody that was seen in {standing.days.count} days "
        f"({'; '.join(selectors[:2]) or 'no rule'}): it protects nothing.",
        policy=(str(policy),),
        about=str(policy),
        suggestion=Suggestion(action, text, str(policy)),
    )


def _selects_more(policy: PolicyRef, one: Approved, extra: Sequence[str]) -> Finding:
    return Finding(
        kind=Kind.CHANGED,
        detector="selects_more",
        severity=Severity.MEDIUM,
        confidence=0.9,
        subject=SubjectRef(policy.namespace, " + ".join(one.workloads)),
        why=f"{policy} was approved for {', '.join(one.workloads[:_LISTED])} and selects "
        f"{', '.join(extra[:_LISTED])} too: their traffic was never looked at.",
        policy=(str(policy),),
        about=str(policy),
        merged=tuple(extra[:_LISTED]),
        suggestion=Suggestion("investigate", "Narrow the selector, or review what it opens for them."),
    )


def _nearest(scene: Scene, policy: PolicyRef) -> Workload | None:
    """The workload of the namespace that fulfils most of the selector's equalities."""
    entries = [entry for entry in scene.timeline.current.entries if entry.policy == policy]
    if not entries:
        return None
    wanted = [
        one
        for one in entries[0].subject.requirements
        if one.operator is Operator.IN and one.key != NAMESPACE_KEY
    ]
    best: tuple[float, str, Workload] | None = None
    for one in scene.view.workloads.all:
        if one.namespace != policy.namespace or one.selector is None:
            continue
        labels = scene.view.workloads.labels.get(one.current_keys[0], {})
        score = sum(_alike(labels.get(need.key, ""), need.values) for need in wanted)
        if score > 0 and (best is None or (-score, one.title) < (-best[0], best[1])):
            best = (score, one.title, one)
    return None if best is None else best[2]


def _alike(value: str, wanted: Sequence[str]) -> float:
    """Share of letters in common with the nearest wanted value, by pairs of letters."""
    pairs = {value[at : at + 2] for at in range(len(value) - 1)}
    best = 0.0
    for text in wanted:
        theirs = {text[at : at + 2] for at in range(len(text) - 1)}
        if pairs | theirs:
            best = max(best, len(pairs & theirs) / len(pairs | theirs))
    return best


def _labels(workload: Workload) -> str:
    return "no stable label" if workload.selector is None else workload.selector.text()


def unprotected(
    scene: Scene, found: Reach, coverage: NightCoverage, exempt: frozenset[tuple[str, str]]
) -> list[Finding]:
    """
    Find workloads of tonight that no policy closes in either direction.

    Parameters
    ----------
    scene
        The night.
    found
        Who is selected.
    coverage
        Of the night.
    exempt
        (namespace, ``Kind/name``) for which inference said why they get no policy.
    """
    if coverage.silent:
        return []
    active = set(scene.rows["owner"])
    bare: dict[str, list[tuple[Workload, bool]]] = defaultdict(list)
    covered: dict[str, int] = defaultdict(int)
    for place, one in enumerate(scene.view.workloads.all):
        seen = any(scene.owners[key] in active for key in one.label_keys)
        if not seen or one.gone or one.ownerless or scene.view.foreign(one):
            continue
        if any((place, way) in found.closed for way in Direction):
            covered[one.namespace] += 1
        elif not all((one.namespace, member) in exempt for member in one.members):
            bare[one.namespace].append((one, any((place, way) in found.staged for way in Direction)))
    findings: list[Finding] = []
    for namespace, listed in sorted(bare.items()):
        if len(listed) >= MERGE_FROM and not covered[namespace]:
            findings.append(_whole_namespace(namespace, [one for one, _ in listed]))
        else:
            findings += [_alone(one, staged) for one, staged in listed]
    return findings


def _whole_namespace(namespace: str, workloads: Sequence[Workload]) -> Finding:
    names = sorted(member for one in workloads for member in one.members)
    return Finding(
        kind=Kind.UNPROTECTED,
        detector="namespace_open",
        severity=Severity.MEDIUM,
        confidence=0.99,
        subject=SubjectRef(namespace),
        why=f"No policy selects any of the {len(names)} workloads of namespace {namespace}: everything may "
        "call them and they may call everything.",
        merged=tuple(names[:_LISTED]),
        suggestion=Suggestion("propose", f"portolan infer --namespace {namespace}"),
    )


def _alone(one: Workload, staged: bool) -> Finding:
    subject = subject_of(one)
    why = f"{subject.title} has only policies without default deny: they allow and close nothing."
    if not staged:
        why = f"No policy selects {subject.title}: everything may call it and it may call everything."
    return Finding(
        kind=Kind.UNPROTECTED,
        detector="staged_only" if staged else "workload_open",
        severity=Severity.LOW if staged else Severity.MEDIUM,
        confidence=0.99,
        subject=subject,
        why=why,
        # what came since the last inference has no proposal to be shown yet
        suggestion=Suggestion(
            "propose",
            f"portolan infer --namespace {one.namespace} && portolan show {one.namespace}/{one.name}",
        ),
    )
