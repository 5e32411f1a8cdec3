"""
Roles that split or merge: workloads under one approved policy that behave alike no more, or the reverse.

What a night learns holds on to the night before (`models.learning.roles`), so a policy whose workloads the
newest proposals part has lost its reason: one allow-list for all of them gives each what the others need.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from models.drift.changed import Approved
from models.drift.finding import Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.reach import name_of


@dataclass(frozen=True, slots=True)
class ProposedGroup:
    """Workloads (``Kind/name``) of one namespace that the newest inference gives one policy."""

    namespace: str
    name: str
    workloads: tuple[str, ...]


def regrouped(approved: Sequence[Approved], proposed: Sequence[ProposedGroup]) -> list[Finding]:
    """
    Compare whom approved policies are for with whom the newest proposals are for.

    Parameters
    ----------
    approved
        As a person approved them.
    proposed
        Of the newest inference; workloads that it says nothing about are gone, silent or held back, and
        nothing is concluded from that.
    """
    group_of = {(one.namespace, workload): one for one in proposed for workload in one.workloads}
    findings = []
    joined: dict[ProposedGroup, list[Approved]] = defaultdict(list)
    for one in sorted(approved, key=lambda each: name_of(each.policies[0])):
        namespace, _ = name_of(one.policies[0])
        found = {
            workload: group_of[namespace, workload]
            for workload in one.workloads
            if (namespace, workload) in group_of
        }
        groups = sorted(set(found.values()), key=lambda group: group.name)
        if len(groups) > 1:
            findings.append(_split(one, namespace, groups, found))
        elif groups and len(found) == len(one.workloads):
            joined[groups[0]].append(one)
    merged = [_merged(group, each) for group, each in joined.items() if len(each) > 1]
    return [*findings, *merged]


def _split(
    one: Approved, namespace: str, groups: Sequence[ProposedGroup], found: dict[str, ProposedGroup]
) -> Finding:
    policy = _object(one)
    parts = "; ".join(", ".join(w for w in sorted(found) if found[w] == group) for group in groups)
    return Finding(
        kind=Kind.CHANGED,
        detector="role_split",
        severity=Severity.LOW,
        confidence=0.9,
        subject=SubjectRef(namespace, " + ".join(one.workloads)),
        why=f"{policy} was approved for {', '.join(one.workloads)} as one, and they do not behave alike any "
        f"more: it gives each what only the others need. Apart they are {parts}.",
        policy=(policy,),
        about=policy,
        merged=tuple(f"{namespace}/{group.name}" for group in groups),
        suggestion=Suggestion(
            "propose", f"Review the proposals that part them: portolan show {namespace}/{groups[0].name}"
        ),
    )


def _merged(group: ProposedGroup, each: Sequence[Approved]) -> Finding:
    policies = tuple(map(_object, each))
    return Finding(
        kind=Kind.CHANGED,
        detector="role_merged",
        severity=Severity.LOW,
        confidence=0.9,
        subject=SubjectRef(group.namespace, " + ".join(group.workloads)),
        why=f"{', '.join(group.workloads)} behave alike now, and have {len(policies)} approved policies: one "
        "would say the same and stay the same for the next of their kind.",
        policy=policies,
        about=f"{group.namespace}/{group.name}",
        suggestion=Suggestion(
            "propose", f"Review the proposal for all of them: portolan show {group.namespace}/{group.name}"
        ),
    )


def _object(one: Approved) -> str:
    """The policy of an approval; the first part of it speaks for all."""
    first = one.policies[0]
    namespace, name = name_of(first)
    return f"{first.get('kind', '')}/{namespace}/{name}"
