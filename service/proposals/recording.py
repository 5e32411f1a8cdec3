"""
What a run does to proposals: new ones, new versions where the meaning changed, newer evidence elsewhere.

Everything here works inside a transaction that the caller opened.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy.orm import Session

from models.domain.proposal import Proposal
from models.domain.proposal_json import proposal_from_json, proposal_to_json
from service.db.tables import DecisionRow, ProposalRow, ProposalVersionRow
from service.proposals import repository
from service.proposals.service import NEEDS_REVIEW, apply, exported_body, no_version, standing_of
from service.review import transitions
from service.review.transitions import RuleState, Verb

#: Proposals that are read and written together: few statements, and few bodies in memory.
AT_ONCE: Final = 100


#: Who decided where a run proposed what a reviewer had put in force, after another version in between.
ITSELF: Final = "portolan"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a run changed."""

    proposals: int
    new: int
    changed: int
    unchanged: int
    withdrawn: int


def record(
    session: Session,
    proposals: Iterable[Proposal],
    *,
    cluster: str,
    namespace: str | None,
    run_id: str | None,
    now: datetime,
) -> Recorded:
    """Keep what a run proposed: new versions only where the meaning changed."""
    seen: list[str] = []
    tally = {"new": 0, "changed": 0, "unchanged": 0}
    for some in _batches(proposals):
        keys = [proposal.key for proposal in some]
        rows = repository.lock_proposals(session, keys)
        versions = repository.current_versions(session, keys)
        made: list[ProposalVersionRow] = []
        with session.no_autoflush:  # what a batch changes goes to the database in one go
            for proposal in some:
                stored = _Stored(rows.get(proposal.key), versions.get(proposal.key))
                outcome, version = _record_one(session, proposal, stored, run_id, now)
                tally[outcome] += 1
                made += [] if version is None else [version]
        session.flush()  # a version refers to its proposal
        session.add_all(made)
        session.flush()
        seen += keys
    withdrawn = repository.withdraw_others(session, cluster=cluster, namespace=namespace, proposed=seen)
    for row in withdrawn:
        apply(row, transitions.withdraw(standing_of(row)))
    return Recorded(proposals=len(seen), withdrawn=len(withdrawn), **tally)


def _batches(proposals: Iterable[Proposal]) -> Iterator[tuple[Proposal, ...]]:
    waiting = iter(proposals)
    while some := tuple(islice(waiting, AT_ONCE)):
        yield some


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is kept of a proposal before a run: nothing, or its row and the version that it stands at."""

    row: ProposalRow | None
    version: ProposalVersionRow | None


def _record_one(
    session: Session, proposal: Proposal, before: _Stored, run_id: str | None, now: datetime
) -> tuple[str, ProposalVersionRow | None]:
    """What became of one proposal, and its new version where there is one."""
    body = proposal_to_json(proposal)
    row, stored = before.row, before.version
    if row is None:
        standing = transitions.propose_again(None, meaning_changed=True)
        row = ProposalRow(
            key=proposal.key,
            cluster=proposal.cluster,
            namespace=proposal.namespace,
            name=proposal.name,
            current_version=0,
            approved_rules=[],
            withdrawn=False,
            revision=0,
            first_proposed_at=now,
        )
        outcome = "new"
    else:
        if stored is None:
            raise no_version(row.key, row.current_version)
        same = stored.body["fingerprint"] == body["fingerprint"] or _same_but_rejected(
            session, stored, proposal
        )
        standing = transitions.propose_again(standing_of(row), meaning_changed=not same)
        outcome = "unchanged" if same else "changed"
        if not same and _is_in_force(session, row, proposal):
            session.add(_approved_again(row, standing.current, now))
            standing = transitions.stay_approved(standing)
    apply(row, standing)
    row.name, row.workloads = proposal.name, ", ".join(proposal.subject.workloads)
    row.maturity = proposal.maturity
    row.rule_count = len(proposal.rules)
    row.flagged_count = sum(NEEDS_REVIEW in rule.flags for rule in proposal.rules)
    row.last_proposed_at = now
    session.add(row)
    if outcome == "unchanged" and stored is not None:
        # Newer evidence, same meaning: reviewers see it at once, files when it says something new.
        exported = exported_body(stored)
        said = exported["maturity"], exported.get("maturity_reason", "")
        same_age = said == (proposal.maturity, proposal.why_not_stable)
        stored.exported_body = exported if same_age else None
        stored.body, stored.last_proposed_at, stored.run_id = body, now, run_id
        return outcome, None
    version = ProposalVersionRow(
        key=row.key,
        version=standing.current,
        fingerprint=body["fingerprint"],
        body=body,
        created_at=now,
        last_proposed_at=now,
        run_id=run_id,
    )
    return outcome, version


def _same_but_rejected(session: Session, stored: ProposalVersionRow, proposed: Proposal) -> bool:
    """Whether a reviewer would read the same policy; what he rejected himself is no news to him."""
    rejected = _rejected(session, stored.key)
    return _meaning(proposal_from_json(stored.body), rejected) == _meaning(proposed, rejected)


def _is_in_force(session: Session, row: ProposalRow, proposed: Proposal) -> bool:
    """
    Whether what is proposed is what a reviewer approved, rule by rule, and has not taken back since.

    A rule that is marked for review now and was not when it was approved needs a person again.
    """
    if row.approved_body is None:
        return False
    states = {rule_id: one.state for rule_id, one in repository.standings_of(session, row.key).items()}
    rejected = {rule_id for rule_id, state in states.items() if state == RuleState.REJECTED}
    seen = {rule_id for rule_id, state in states.items() if state == RuleState.APPROVED}
    approved = proposal_from_json(row.approved_body)
    others = {rule.id for rule in approved.rules} - set(row.approved_rules) - seen
    marked = _marked(proposed) - _marked(approved) - seen - rejected
    return not marked and _meaning(approved, rejected | others) == _meaning(proposed, rejected)


def _marked(proposal: Proposal) -> set[str]:
    return {rule.id for rule in proposal.rules if NEEDS_REVIEW in rule.flags}


def _approved_again(row: ProposalRow, version: int, now: datetime) -> DecisionRow:
    """The record of an approval that goes on under the number of a new version."""
    return DecisionRow(
        key=row.key,
        version=version,
        rule_id=None,
        verb=Verb.APPROVE,
        reviewer=ITSELF,
        reason=f"the same policy as version {row.approved_version}, which is in force",
        decided_at=now,
    )


def _meaning(proposal: Proposal, without: Collection[str]) -> str:
    """Fingerprint without some rules."""
    kept = tuple(rule for rule in proposal.rules if rule.id not in without)
    return replace(proposal, rules=kept).fingerprint


def _rejected(session: Session, key: str) -> frozenset[str]:
    standings = repository.standings_of(session, key)
    return frozenset(rule_id for rule_id, row in standings.items() if row.state == RuleState.REJECTED)
