"""
The life of a proposal and of its rules, as pure functions.

A proposal has versions. At most one version is approved (in force), the newest is current. Its
standing is four facts, and its state is read off them:

=========  ==================================================================================
proposed   nobody decided on it
approved   the approved version is the current one, or what came after it was rejected
changed    an approved version is in force, and a newer one waits for a decision
rejected   a reviewer wants no such policy: later versions do not come back on their own
withdrawn  undecided, and the newest run proposes it no more
=========  ==================================================================================

A rule is undecided, approved or rejected; its decision belongs to its id, so it holds for every
later version that carries the same rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from models.errors import BadInputError, ConflictError


class Verb(StrEnum):
    """What a reviewer can say."""

    APPROVE = "approve"
    REJECT = "reject"
    REOPEN = "reopen"


class ProposalState(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    CHANGED = "changed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class VersionState(StrEnum):
    """Where one version stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class RuleState(StrEnum):
    """What was last decided on a rule."""

    UNDECIDED = "undecided"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about the decisions on one proposal; ``state`` follows from it."""

    current: int
    approved: int | None = None
    rejected: int | None = None  # the newest version when a reviewer last rejected
    withdrawn: bool = False

    @property
    def state(self) -> ProposalState:
        """State by the table of this module."""
        if self.approved is not None:
            settled = self.current in {self.approved, self.rejected}
            return ProposalState.APPROVED if settled else ProposalState.CHANGED
        if self.rejected is not None:
            return ProposalState.REJECTED
        return ProposalState.WITHDRAWN if self.withdrawn else ProposalState.PROPOSED

    def version_state(self, version: int) -> VersionState:
        """State of one of the versions."""
        if version == self.approved:
            return VersionState.APPROVED
        if version < self.current:
            return VersionState.SUPERSEDED
        rejected = self.rejected is not None and (version == self.rejected or self.approved is None)
        return VersionState.REJECTED if rejected else VersionState.PROPOSED


@dataclass(frozen=True, slots=True)
class RuleView:
    """As much of a rule as decisions need."""

    id: str
    needs_review: bool
    state: RuleState


def propose_again(standing: Standing | None, *, meaning_changed: bool) -> Standing:
    """Standing after a run proposed the policy: only a changed meaning makes a new version."""
    if standing is None:
        return Standing(current=1)
    current = standing.current + 1 if meaning_changed else standing.current
    return replace(standing, current=current, withdrawn=False)


def stay_approved(standing: Standing) -> Standing:
    """Standing after a run proposed, as its newest version, exactly what a reviewer put in force before."""
    return replace(standing, approved=standing.current, rejected=None)


def withdraw(standing: Standing) -> Standing:
    """Standing after a run that looked and did not propose the policy; decisions stay."""
    return replace(standing, withdrawn=True)


def decide(
    standing: Standing,
    verb: Verb,
    *,
    rules: Iterable[RuleView],
    reason: str,
    include_flagged: bool = False,
) -> tuple[Standing, tuple[str, ...]]:
    """
    Standing after a decision on the current version, and the rules that the decision puts in force.

    Approving does not approve what a person has to look at (the instance metadata address, the whole
    world, …): such rules need a decision of their own, or ``include_flagged`` together with a reason.
    """
    state = standing.state
    if verb is Verb.APPROVE:
        return _approve(standing, tuple(rules), reason, include_flagged)
    if include_flagged:
        raise BadInputError(f"include_flagged goes with approve, not with {verb}")
    if verb is Verb.REJECT:
        _need_reason(reason, "rejecting a proposal")
        if state is ProposalState.REJECTED:
            raise ConflictError("the proposal is rejected already")
        kept = standing.approved if state is ProposalState.CHANGED else None
        return replace(standing, approved=kept, rejected=standing.current), ()
    if state in {ProposalState.PROPOSED, ProposalState.WITHDRAWN}:
        raise ConflictError("the proposal is open already: there is no decision to take back")
    return replace(standing, approved=None, rejected=None), ()


def _approve(
    standing: Standing, rules: tuple[RuleView, ...], reason: str, include_flagged: bool
) -> tuple[Standing, tuple[str, ...]]:
    if standing.state is ProposalState.REJECTED:
        raise ConflictError("the proposal is rejected: reopen it before approving it")
    if standing.approved == standing.current:
        raise ConflictError(f"version {standing.current} is approved already")
    if standing.withdrawn:
        raise ConflictError("the newest run does not propose this policy any more: nothing to approve")
    flagged = [rule for rule in rules if rule.needs_review and rule.state is RuleState.UNDECIDED]
    if flagged and not include_flagged:
        raise ConflictError(
            "these rules need a decision of their own before the proposal can be approved: "
            + ", ".join(rule.id for rule in flagged)
        )
    if flagged:
        _need_reason(reason, "approving flagged rules along with the proposal")
    in_force = tuple(rule.id for rule in rules if rule.state is not RuleState.REJECTED)
    if not in_force:
        raise ConflictError("every rule of the proposal is rejected: there is nothing to approve")
    return replace(standing, approved=standing.current, rejected=None), in_force


def decide_rule(state: RuleState, verb: Verb, *, needs_review: bool, reason: str) -> RuleState:
    """State of a rule after a decision on it."""
    wanted = {
        Verb.APPROVE: RuleState.APPROVED,
        Verb.REJECT: RuleState.REJECTED,
        Verb.REOPEN: RuleState.UNDECIDED,
    }[verb]
    if state is wanted:
        raise ConflictError(f"the rule is {wanted} already")
    if verb is Verb.REJECT:
        _need_reason(reason, "rejecting a rule")
    if verb is Verb.APPROVE and needs_review:
        _need_reason(reason, "approving a rule that is marked for review")
    return wanted


def _need_reason(reason: str, act: str) -> None:
    if not reason.strip():
        raise BadInputError(f"{act} needs a reason: the next reviewer will ask for it")
