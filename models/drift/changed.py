"""
Deployed against approved: policies that were edited, deleted, or are refused.

Compared is what the objects say, never their text: Cilium adds sources to labels, and whoever applies a
file may order it as he likes. A policy rolled out without default deny on purpose is a stage, no change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.policy import PolicyRef, PolicySet
from models.drift.atoms import meaning
from models.drift.finding import Finding, Kind, Severity, SubjectRef, Suggestion
from models.drift.sides import Sides, left_over
from models.drift.timeline import NotInForce, Timeline
from models.manifest.lists import opened
from models.manifest.parse import parse_objects

_SHOWN: Final = 3
_LISTED: Final = 40


@dataclass(frozen=True, slots=True)
class Approved:
    """
    A policy as a person approved it.

    Parameters
    ----------
    manifest
        Rendered, as an export writes it: a policy, or a list of its parts.
    workloads
        ``Kind/name`` of what it is for, sorted.
    approved_us
        When; microseconds since the epoch, 0 when that is not known.
    reviewer
        Who; "" when that is not known.
    proposal
        Key of the proposal.
    """

    manifest: Mapping[str, Any]
    workloads: tuple[str, ...] = ()
    approved_us: int = 0
    reviewer: str = ""
    proposal: str = ""

    @property
    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The policy, or its parts where it was split."""
        return tuple(opened(self.manifest))


@dataclass(frozen=True, slots=True)
class Compared:
    """
    Approved and deployed side by side.

    Parameters
    ----------
    findings
        What differs.
    staged
        Objects deployed as approved, but without default deny yet.
    same
        Objects that say what was approved.
    """

    findings: tuple[Finding, ...]
    staged: frozenset[PolicyRef]
    same: frozenset[PolicyRef]


def compare(
    approved: Sequence[Approved], deployed: PolicySet, line: Timeline | None, config: AgentConfig
) -> Compared:
    """
    Compare every approved policy with the object of its name, a split one with all of its parts.

    Parameters
    ----------
    approved
        In any order.
    deployed
        What is in force now.
    line
        The timeline it comes from; says what is refused, and when a deleted object was last seen.
    config
        Agent settings, the same for both.
    """
    refused = {one.policy: one for one in (() if line is None else line.not_in_force)}
    gone = {} if line is None else line.last_seen
    findings: list[Finding] = []
    staged: set[PolicyRef] = set()
    same: set[PolicyRef] = set()
    owners: dict[PolicyRef, Approved] = {}
    parsed: dict[PolicyRef, PolicySet] = {}
    for one in approved:
        wanted = parse_objects([one.manifest], config=config, linted=True)
        owners.update(dict.fromkeys(wanted.sources, one))
        parsed.update(dict.fromkeys(wanted.sources, wanted))
    rest = {policy: left_over(wanted, deployed) for policy, wanted in parsed.items()}
    differ = {
        other
        for policy, wanted in parsed.items()
        if rest[policy] or not _verbatim(wanted.sources[policy], deployed.sources.get(policy, {}))
        for other in (*wanted.sources, *rest[policy])
    }
    full, soft = (meaning(deployed, default_deny=closed, wanted=differ) for closed in (True, False))
    same.update(owners.keys() - differ - refused.keys())
    told = dict.fromkeys(min(parsed[policy].sources) for policy in sorted(owners.keys() & differ))
    for first in told:
        one, wanted = owners[first], parsed[first]
        closing = Sides.of(meaning(wanted), full, rest[first])
        allowing = Sides.of(meaning(wanted, default_deny=False), soft, rest[first])
        for policy in wanted.sources:
            if policy in refused:
                continue
            if policy not in deployed.sources and allowing.less(policy):
                findings.append(_missing(one, wanted, policy, gone.get(policy)))
            elif not closing.differ(policy):
                same.add(policy)
            elif not allowing.differ(policy):
                staged.add(policy)
            else:
                findings.append(_edited(one, wanted, policy, closing))
        findings += [_left_over(one, policy, closing) for policy in rest[first] if closing.more(policy)]
    findings += [_refused(one, owners.get(policy)) for policy, one in sorted(refused.items())]
    return Compared(tuple(findings), frozenset(staged), frozenset(same))


def _verbatim(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two objects have the same specification word for word."""
    return all(one.get(key) == other.get(key) for key in ("spec", "specs"))


def _subject(one: Approved | None, policy: PolicyRef) -> SubjectRef:
    workloads = () if one is None else one.workloads
    return SubjectRef(policy.namespace, " + ".join(workloads))


def _restore(wanted: PolicySet, policy: PolicyRef, text: str) -> Suggestion:
    return Suggestion("restore", text, str(policy), manifest=wanted.sources[policy])


def _missing(one: Approved, wanted: PolicySet, policy: PolicyRef, last_seen_us: int | None) -> Finding:
    """An approved policy that is not there."""
    if last_seen_us is None:
        why = f"{policy} was approved and is not deployed: it was deleted or never applied."
        severity, detector = Severity.MEDIUM, "not_deployed"
    else:
        why = f"{policy} was approved and deployed, and somebody deleted it."
        severity, detector = Severity.HIGH, "deleted"
    return Finding(
        kind=Kind.CHANGED,
        detector=detector,
        severity=severity,
        confidence=1.0,
        subject=_subject(one, policy),
        why=why,
        last_us=last_seen_us or 0,
        policy=(str(policy),),
        about=str(policy),
        suggestion=_restore(wanted, policy, f"Apply {policy} again, or withdraw its approval."),
    )


def _edited(one: Approved, wanted: PolicySet, policy: PolicyRef, sides: Sides) -> Finding:
    """An object that says something else than what was approved."""
    more, less = sorted(sides.more(policy)), sorted(sides.less(policy))
    opens = [text for text in more if " allows " in text] + [text for text in less if " denies " in text]
    mine, theirs = _subjects(sides.found.get(policy, ())), _subjects(sides.wanted[policy])
    subjects = mine != theirs
    if subjects:
        what = f"it selects {'; '.join(sorted(mine)) or 'nobody'} instead of {'; '.join(sorted(theirs))}"
    else:
        parts = [f"has {_count(more)} that nobody approved"] if more else []
        parts += [f"lacks {_count(less)} that {'were' if len(less) > 1 else 'was'} approved"] if less else []
        what = f"it {' and '.join(parts)}: {_short((*more, *less)[0])}"
    return Finding(
        kind=Kind.CHANGED,
        detector="selector_changed" if subjects else "edited",
        severity=Severity.CRITICAL if opens and not subjects else Severity.HIGH,
        confidence=1.0,
        subject=_subject(one, policy),
        why=f"{policy} was changed by hand: {what}.",
        merged=tuple([*(f"+ {text}" for text in more), *(f"- {text}" for text in less)][:_LISTED]),
        policy=(str(policy),),
        about=str(policy),
        suggestion=_restore(wanted, policy, f"Put the approved {policy} back, or review the change."),
    )


def _left_over(one: Approved, policy: PolicyRef, sides: Sides) -> Finding:
    """A part of an earlier version that still allows what nobody approves any more."""
    more = sorted(sides.more(policy))
    return Finding(
        kind=Kind.CHANGED,
        detector="part_left_over",
        severity=Severity.CRITICAL,
        confidence=1.0,
        subject=_subject(one, policy),
        why=f"{policy} is left from when the approved policy had more parts, and has {_count(more)} that "
        f"nobody approves any more: {_short(more[0])}.",
        merged=tuple([f"+ {text}" for text in more][:_LISTED]),
        policy=(str(policy),),
        about=str(policy),
        suggestion=Suggestion(
            "remove_policy", f"Delete {policy}: the parts before it are all of the policy.", str(policy)
        ),
    )


def _count(texts: Collection[str]) -> str:
    return f"{len(texts)} rule{'s' if len(texts) > 1 else ''}"


def _short(text: str) -> str:
    """What a part says, without whom it is about."""
    for verb in (" allows ", " denies "):
        before, found, rest = text.partition(verb)
        if found:
            return f"{before.partition(' ')[0]} {verb.strip()} {rest}"
    return text


def _subjects(texts: Collection[str]) -> set[str]:
    """Subjects that texts of parts speak of."""
    return {text.partition(" allows ")[0].partition(" denies ")[0].partition(" of ")[2] for text in texts}


def _refused(one: NotInForce, approved: Approved | None) -> Finding:
    """An object that is there and that nobody enforces."""
    return Finding(
        kind=Kind.CHANGED,
        detector="not_enforced",
        severity=Severity.HIGH,
        confidence=1.0,
        subject=_subject(approved, one.policy),
        why=f"{one.policy} is deployed and not in force: {'; '.join(one.reasons[:_SHOWN])}.",
        policy=(str(one.policy),),
        about=str(one.policy),
        suggestion=Suggestion(
            "mend_policy", "Mend what the cluster refuses; until then it protects nothing."
        ),
    )
