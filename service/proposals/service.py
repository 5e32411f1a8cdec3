"""
What a reviewer does to proposals, and what is read of them; what a run does is in ``recording``.

Everything here works inside a transaction that the caller opened.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from jobs.observations.store import ObservationStore
from models.domain.capabilities import VERSION_UNKNOWN
from models.domain.proposal import Assumption, Proposal
from models.domain.proposal_json import proposal_from_json, rule_to_json
from models.domain.rule import Rule
from models.errors import BadInputError, NotFoundError
from models.manifest.edited import edited
from service.db.tables import DecisionRow, ProposalRow, ProposalVersionRow, RuleStandingRow
from service.errors import PreconditionFailedError
from service.observed.unselected import why_unknown, why_unselected
from service.proposals import repository
from service.review import transitions
from service.review.transitions import RuleState, RuleView, Standing, Verb

#: Flag of a rule that no automation may approve (see ``models.domain.rule.Rule.flags``).
NEEDS_REVIEW: Final = "needs_review"
#: Assumptions that are the same for every policy of a cluster, whatever its rules.
OF_ANY_POLICY: Final = frozenset(
    {
        VERSION_UNKNOWN,
        "coverage_unknown",
        "deployed_policies_unread",
        "l7_not_asked",
        "not_screened",
    }
)


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A decision as it arrives, from whichever door."""

    verb: Verb
    reviewer: str
    reason: str = ""
    include_flagged: bool = False


def standing_of(row: ProposalRow) -> Standing:
    """Facts of a row that its state follows from."""
    return Standing(row.current_version, row.approved_version, row.rejected_version, row.withdrawn)


def apply(row: ProposalRow, standing: Standing) -> None:
    """Let a proposal stand where it stands now."""
    row.current_version = standing.current
    row.approved_version = standing.approved
    row.rejected_version = standing.rejected
    row.withdrawn = standing.withdrawn
    row.state = standing.state
    row.revision += 1


def exported_body(version: ProposalVersionRow) -> dict[str, Any]:
    """The body that an export writes: as it was when the meaning or the maturity last changed."""
    return version.body if version.exported_body is None else version.exported_body


def _current(session: Session, row: ProposalRow, version: int | None = None) -> ProposalVersionRow:
    wanted = row.current_version if version is None else version
    found = repository.version_of(session, row.key, wanted)
    if found is None:
        raise no_version(row.key, wanted)
    return found


def no_version(key: str, version: int) -> NotFoundError:
    """What to raise where a version is asked for that is not there."""
    return NotFoundError(f"proposal {key} has no version {version}")


def get(session: Session, key: str) -> ProposalRow:
    """Proposal by its full key."""
    row = session.get(ProposalRow, key)
    if row is None:
        raise NotFoundError(f"no proposal with the key {key!r}")
    return row


def resolve(session: Session, reference: str, store: ObservationStore | None = None) -> ProposalRow:
    """The one proposal that a person means (see ``repository.find_proposals``); `store` knows why none."""
    found = repository.find_proposals(session, reference)
    if not found:
        if why := _why_none(session, reference) or (why_unselected(store, reference) if store else ""):
            raise NotFoundError(f"no policy is proposed for {reference}: {why}")
        unknown = why_unknown(store, reference) if store else ""
        raise NotFoundError(
            f"no proposal {reference!r}: 'portolan proposals' lists them{unknown and '; ' + unknown}"
        )
    if len(found) > 1:
        several = len({row.cluster for row in found}) > 1
        choices = ", ".join(
            f"{row.key} ({row.namespace}/{row.name}{f' of cluster {row.cluster}' if several else ''})"
            for row in found[:5]
        )
        raise BadInputError(f"{reference!r} fits {len(found)} proposals, name one by its key: {choices}")
    return found[0]


def _why_none(session: Session, reference: str) -> str:
    """Why the newest inference gave a workload (``namespace/name``) no policy; "" where it says nothing."""
    for row in repository.newest_inferences(session):
        for one in row.body.get("without_proposal", []):
            names = {name.rpartition("/")[2] for name in one["workloads"]}
            if reference in {f"{one['namespace']}/{name}" for name in names}:
                return str(one["why"])
    return ""


def version_body(session: Session, row: ProposalRow, version: int | None = None) -> dict[str, Any]:
    """Contract form of a version, as the run proposed it."""
    return _current(session, row, version).body


def etag(row: ProposalRow) -> str:
    """Entity tag of a proposal: changes with every run and every decision."""
    return f'"{row.key}-{row.revision}"'


def _check_unchanged(row: ProposalRow, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    if etag(row) not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailedError(
            f"the proposal changed since it was read: it is {etag(row)} now; read it again"
        )


def _rule_views(rules: Iterable[Rule], standings: Mapping[str, RuleStandingRow]) -> tuple[RuleView, ...]:
    return tuple(
        RuleView(
            rule.id,
            NEEDS_REVIEW in rule.flags,
            RuleState(standings[rule.id].state) if rule.id in standings else RuleState.UNDECIDED,
        )
        for rule in rules
    )


def not_rejected(rules: Iterable[Rule], standings: Mapping[str, RuleStandingRow]) -> frozenset[str]:
    """Ids of the rules that no reviewer rejected."""
    return frozenset(
        view.id for view in _rule_views(rules, standings) if view.state is not RuleState.REJECTED
    )


def decide_proposal(
    session: Session, key: str, request: DecisionRequest, *, now: datetime, if_match: str | None = None
) -> ProposalRow:
    """Decide on the current version of a proposal."""
    _check_request(request)
    row = _locked(session, key)
    _check_unchanged(row, if_match)
    body = version_body(session, row)
    rules = proposal_from_json(body).rules
    standings = repository.standings_of(session, key)
    standing, in_force = transitions.decide(
        standing_of(row),
        request.verb,
        rules=_rule_views(rules, standings),
        reason=request.reason,
        include_flagged=request.include_flagged,
    )
    version = row.current_version
    apply(row, standing)
    if standing.approved is None:
        row.approved_rules, row.approved_body = [], None
    elif request.verb is Verb.APPROVE:
        row.approved_rules, row.approved_body = sorted(in_force), dict(body)
    _log(session, row, request, version=version, rule_id=None, now=now)
    return row


def decide_rule(
    session: Session,
    key: str,
    rule_id: str,
    request: DecisionRequest,
    *,
    now: datetime,
    if_match: str | None = None,
) -> ProposalRow:
    """Decide on one rule; the decision holds for every later version with the same rule."""
    _check_request(request)
    if request.include_flagged:
        raise BadInputError("include_flagged goes with the approval of a proposal, not of a rule")
    row = _locked(session, key)
    _check_unchanged(row, if_match)
    rule = _find_rule(session, row, rule_id)
    standing = session.get(RuleStandingRow, (key, rule_id))
    if rule is None and standing is None:
        raise NotFoundError(f"proposal {key} has no rule {rule_id!r}")
    state = transitions.decide_rule(
        RuleState.UNDECIDED if standing is None else RuleState(standing.state),
        request.verb,
        needs_review=rule is not None and NEEDS_REVIEW in rule.flags,
        reason=request.reason,
    )
    if standing is None:
        standing = RuleStandingRow(key=key, rule_id=rule_id, title=rule.title if rule else rule_id)
        session.add(standing)
    if rule is not None:
        standing.body = rule_to_json(rule)
    standing.state, standing.reviewer = state, request.reviewer
    standing.reason, standing.decided_at = request.reason, now
    current = proposal_from_json(version_body(session, row))
    standings = repository.standings_of(session, key)
    row.maturity = edited(current, not_rejected(current.rules, standings)).maturity
    row.revision += 1
    _log(session, row, request, version=row.current_version, rule_id=rule_id, now=now)
    return row


def _find_rule(session: Session, row: ProposalRow, rule_id: str) -> Rule | None:
    """Rule of the current version, or of the one in force."""
    for version in (row.current_version, row.approved_version):
        if version is not None:
            rules = proposal_from_json(version_body(session, row, version)).rules
            found = next((rule for rule in rules if rule.id == rule_id), None)
            if found is not None:
                return found
    return None


def _locked(session: Session, key: str) -> ProposalRow:
    row = repository.lock_proposal(session, key)
    if row is None:
        raise NotFoundError(f"no proposal with the key {key!r}")
    return row


def _check_request(request: DecisionRequest) -> None:
    if not request.reviewer.strip():
        raise BadInputError("a decision needs the name of the reviewer")
    if "\x00" in request.reviewer + request.reason:
        raise BadInputError("a decision cannot hold the character NUL")


def _log(
    session: Session,
    row: ProposalRow,
    request: DecisionRequest,
    *,
    version: int,
    rule_id: str | None,
    now: datetime,
) -> None:
    session.add(
        DecisionRow(
            key=row.key,
            version=version,
            rule_id=rule_id,
            verb=request.verb,
            reviewer=request.reviewer,
            reason=request.reason,
            decided_at=now,
        )
    )


@dataclass(frozen=True, slots=True)
class Exportable:
    """A version to export, the rules of it that may be written, and those of them to be looked at first."""

    row: ProposalRow
    version: int
    proposal: Proposal
    include: frozenset[str]
    unreviewed: frozenset[str]


def with_assumptions(proposal: Proposal, today: tuple[Assumption, ...], *, same: bool) -> Proposal:
    """A kept proposal with what is assumed today; of an older version only what no rule decides."""
    if not same:
        own = [one for one in proposal.assumptions if one.code not in OF_ANY_POLICY]
        today = tuple(sorted([*own, *(one for one in today if one.code in OF_ANY_POLICY)]))
    return replace(proposal, assumptions=today)


def exportable(session: Session, row: ProposalRow, *, approved_only: bool) -> Exportable | None:
    """
    What an export of this proposal may hold; None when there is nothing.

    Approved: the version in force with the rules that were approved, less what was rejected since and
    with what was approved one by one since. Any: the version in force, otherwise the current one with
    every rule that is not rejected; a proposal that was rejected or withdrawn is never exported.

    The evidence is that of the approval, or of the night on which the meaning or the maturity last
    changed, so that an unchanged policy gives the same bytes every night. What the policy says of itself is
    said of the rules that are written. What was assumed is what
    the newest run assumed: it speaks of the configuration, and whoever configured something must not read
    that he did not. A release that was configured since is known to ``service.export.manifests.render``.
    """
    if row.approved_version is not None and row.approved_body is not None:
        version, body = row.approved_version, row.approved_body
    elif approved_only or row.state != transitions.ProposalState.PROPOSED:
        return None
    else:
        current = _current(session, row)
        version, body = current.version, exported_body(current)
    # Not the whole body: an export of a thousand proposals would read each of them twice.
    today = tuple(Assumption(**one) for one in _current(session, row).body["assumptions"])
    proposal = with_assumptions(proposal_from_json(body), today, same=version == row.current_version)
    standings = repository.standings_of(session, row.key)
    approved = frozenset(row.approved_rules)
    include, unreviewed = set(), set()
    for view in _rule_views(proposal.rules, standings):
        if view.state is RuleState.REJECTED:
            continue
        if row.approved_version is None or view.id in approved or view.state is RuleState.APPROVED:
            include.add(view.id)
        if row.approved_version is None and view.needs_review and view.state is RuleState.UNDECIDED:
            unreviewed.add(view.id)
    if not include:
        return None
    return Exportable(row, version, edited(proposal, include), frozenset(include), frozenset(unreviewed))
