"""Where proposals and rules may move, and what a reviewer can rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInputError, ConflictError
from service.review.transitions import (
    ProposalState,
    RuleState,
    RuleView,
    Standing,
    Verb,
    VersionState,
    decide,
    decide_rule,
    propose_again,
    stay_approved,
    withdraw,
)

PLAIN = RuleView("r1", needs_review=False, state=RuleState.UNDECIDED)
FLAGGED = RuleView("r2", needs_review=True, state=RuleState.UNDECIDED)


def approve(standing, rules=(PLAIN,), **extra):
    return decide(standing, Verb.APPROVE, rules=rules, reason=extra.pop("reason", ""), **extra)


def reject(standing):
    return decide(standing, Verb.REJECT, rules=(PLAIN,), reason="not wanted")


def test_a_first_proposal_is_version_one_and_undecided():
    """The life begins here."""
    standing = propose_again(None, meaning_changed=True)
    assert (standing.current, standing.state) == (1, ProposalState.PROPOSED)


def test_the_same_meaning_tomorrow_makes_no_new_version():
    """A nightly run that learned nothing new leaves the review alone."""
    approved, _ = approve(Standing(1))
    assert propose_again(approved, meaning_changed=False) == approved


def test_an_approved_version_stays_in_force_while_a_newer_one_waits():
    """New evidence never changes what a reviewer put in force."""
    approved, _ = approve(Standing(1))
    changed = propose_again(approved, meaning_changed=True)
    assert changed.state is ProposalState.CHANGED
    assert (changed.approved, changed.current) == (1, 2)
    assert changed.version_state(1) is VersionState.APPROVED
    assert changed.version_state(2) is VersionState.PROPOSED


def test_approving_the_newer_version_supersedes_the_former():
    """One version is in force at a time."""
    changed = propose_again(approve(Standing(1))[0], meaning_changed=True)
    final, _ = approve(changed)
    assert final.state is ProposalState.APPROVED
    assert final.version_state(1) is VersionState.SUPERSEDED


def test_rejecting_the_newer_version_keeps_the_approved_one():
    """Saying no to a change is not saying no to the policy."""
    changed = propose_again(approve(Standing(1))[0], meaning_changed=True)
    kept, _ = reject(changed)
    assert (kept.state, kept.approved) == (ProposalState.APPROVED, 1)
    assert kept.version_state(2) is VersionState.REJECTED
    assert propose_again(kept, meaning_changed=True).state is ProposalState.CHANGED


def test_a_rejected_proposal_does_not_come_back_with_new_versions():
    """What a reviewer rejected stays rejected until a person reopens it."""
    rejected, _ = reject(Standing(1))
    again = propose_again(rejected, meaning_changed=True)
    assert again.state is ProposalState.REJECTED
    with pytest.raises(ConflictError, match="reopen"):
        approve(again)
    reopened, _ = decide(again, Verb.REOPEN, rules=(), reason="")
    assert reopened.state is ProposalState.PROPOSED


def test_approving_names_the_flagged_rules_that_nobody_decided_on():
    """Rules for review are never approved in passing."""
    with pytest.raises(ConflictError, match="r2"):
        approve(Standing(1), (PLAIN, FLAGGED))


def test_flagged_rules_can_be_included_with_a_reason_only():
    """The exception is on record."""
    with pytest.raises(BadInputError, match="reason"):
        approve(Standing(1), (PLAIN, FLAGGED), include_flagged=True)
    _, in_force = approve(Standing(1), (PLAIN, FLAGGED), include_flagged=True, reason="checked")
    assert in_force == ("r1", "r2")


def test_a_rejected_rule_is_not_put_in_force():
    """Approving a proposal respects what was decided on its rules."""
    out = RuleView("r3", needs_review=True, state=RuleState.REJECTED)
    assert approve(Standing(1), (PLAIN, out))[1] == ("r1",)
    with pytest.raises(ConflictError, match="every rule"):
        approve(Standing(1), (out,))


def test_a_withdrawn_proposal_cannot_be_approved():
    """Nobody approves a policy for a workload that the newest run did not see."""
    gone = withdraw(Standing(1))
    assert gone.state is ProposalState.WITHDRAWN
    with pytest.raises(ConflictError, match="newest run"):
        approve(gone)
    assert propose_again(gone, meaning_changed=False).state is ProposalState.PROPOSED


def test_rejecting_needs_a_reason():
    """The next reviewer will ask."""
    with pytest.raises(BadInputError, match="reason"):
        decide(Standing(1), Verb.REJECT, rules=(), reason="  ")
    with pytest.raises(BadInputError, match="reason"):
        decide_rule(RuleState.UNDECIDED, Verb.REJECT, needs_review=False, reason="")
    with pytest.raises(BadInputError, match="reason"):
        decide_rule(RuleState.UNDECIDED, Verb.APPROVE, needs_review=True, reason="")


def test_deciding_the_same_again_is_a_conflict():
    """Two reviewers who press the same button are told."""
    approved, _ = approve(Standing(1))
    for standing, verb in ((approved, Verb.APPROVE), (reject(Standing(1))[0], Verb.REJECT)):
        with pytest.raises(ConflictError, match="already"):
            decide(standing, verb, rules=(PLAIN,), reason="x")
    with pytest.raises(ConflictError, match="open already"):
        decide(Standing(1), Verb.REOPEN, rules=(), reason="")
    with pytest.raises(ConflictError, match="already"):
        decide_rule(RuleState.REJECTED, Verb.REJECT, needs_review=False, reason="x")


STEPS = st.lists(
    st.sampled_from(["same", "new", "back", "gone", Verb.APPROVE, Verb.REJECT, Verb.REOPEN]),
    min_size=1,
    max_size=30,
)


@given(STEPS)
def test_no_run_ever_changes_what_is_in_force(steps):
    """Only a reviewer moves what is approved; where it is proposed anew, the newest version says the same."""
    standing = Standing(1)
    for step in steps:
        before = standing
        if step == "gone":
            standing = withdraw(standing)
        elif step == "back" and standing.approved is not None:
            standing = stay_approved(propose_again(standing, meaning_changed=True))
            assert standing.state is ProposalState.APPROVED
        elif step in {"same", "new", "back"}:
            standing = propose_again(standing, meaning_changed=step == "new")
        else:
            try:
                standing, _ = decide(standing, step, rules=(PLAIN,), reason="because")
            except ConflictError:
                assert standing == before
        if isinstance(step, str) and step in {"gone", "same", "new"}:
            assert standing.approved == before.approved
        assert standing.current >= before.current
        assert standing.approved is None or 1 <= standing.approved <= standing.current
        versions = [standing.version_state(number) for number in range(1, standing.current + 1)]
        assert versions.count(VersionState.APPROVED) == (standing.approved is not None)
        if standing.state is ProposalState.APPROVED:
            assert VersionState.APPROVED in versions
