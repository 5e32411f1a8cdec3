"""Rows as the contract forms that command line, API and pages show."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from models.domain.proposal import Proposal
from models.domain.proposal_json import proposal_from_json
from models.manifest.edited import edited
from models.manifest.render import chosen_rules
from service.db.tables import DecisionRow, ProposalRow, RuleStandingRow
from service.export.manifests import Target, render
from service.proposals import repository, service
from service.proposals.edited import as_decided
from service.quarantine.views import with_verdicts
from service.review.transitions import RuleState


def summary(row: ProposalRow) -> dict[str, Any]:
    """One line of a list."""
    return {
        "key": row.key,
        "version": row.current_version,
        "state": row.state,
        "maturity": row.maturity,
        "cluster": row.cluster,
        "namespace": row.namespace,
        "name": row.name,
        "workloads": row.workloads.split(", ") if row.workloads else [],
        "rule_count": row.rule_count,
        "flagged_count": row.flagged_count,
        "approved_version": row.approved_version,
        "withdrawn": row.withdrawn,
        "first_proposed_at": row.first_proposed_at,
        "last_proposed_at": row.last_proposed_at,
    }


def detail(session: Session, row: ProposalRow, version: int | None = None) -> dict[str, Any]:
    """A proposal with evidence, decisions and the manifest that the decisions leave."""
    number = row.current_version if version is None else version
    stored = service.version_body(session, row, number)
    standings = repository.standings_of(session, row.key)
    standing = service.standing_of(row)
    proposal = proposal_from_json(stored)
    include = service.not_rejected(proposal.rules, standings)
    body = as_decided(stored, proposal, include)
    return {
        **body,
        "version": number,
        "state": row.state,
        "version_state": standing.version_state(number),
        "maturity_reason": body.get("maturity_reason", ""),
        "posture": body.get("posture") or None,
        "rules": [{**rule, "decision": _decision(standings.get(rule["id"]))} for rule in body["rules"]],
        "rejected_rules": _rejected(standings),
        "quarantine": with_verdicts(session, body["quarantine"]),
        "approved_version": row.approved_version,
        "withdrawn": row.withdrawn,
        "manifest": _manifest(proposal, include),
    }


def _manifest(proposal: Proposal, include: frozenset[str]) -> dict[str, Any] | None:
    if not chosen_rules(proposal, include):
        return None
    return dict(render(edited(proposal, include), include, Target())[0])


def _decision(standing: RuleStandingRow | None) -> dict[str, Any]:
    if standing is None:
        return {"state": RuleState.UNDECIDED, "reviewer": None, "reason": None, "decided_at": None}
    return {
        "state": standing.state,
        "reviewer": standing.reviewer,
        "reason": standing.reason,
        "decided_at": standing.decided_at,
    }


def _rejected(standings: Mapping[str, RuleStandingRow]) -> list[dict[str, Any]]:
    return [
        {
            "id": rule_id,
            "title": row.title,
            "reviewer": row.reviewer,
            "reason": row.reason,
            "decided_at": row.decided_at,
        }
        for rule_id, row in standings.items()
        if row.state == RuleState.REJECTED
    ]


def decision(row: DecisionRow) -> dict[str, Any]:
    """One decision on record."""
    return {
        "id": row.id,
        "version": row.version,
        "rule_id": row.rule_id,
        "decision": row.verb,
        "reviewer": row.reviewer,
        "reason": row.reason,
        "decided_at": row.decided_at,
    }
