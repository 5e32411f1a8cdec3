"""Rules that reviewers rejected, each as the only one of a policy, for an evaluator to be asked about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session

from models.domain.proposal_json import proposal_from_json
from models.errors import UnsupportedError
from service.db.tables import RuleStandingRow
from service.export.manifests import Target, render
from service.proposals import repository

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RejectedPolicy:
    """A rejected rule with what was said of it, and the policy of it alone."""

    standing: RuleStandingRow
    manifest: Mapping[str, Any]


def rejected_policies(session: Session, cluster: str, cilium_version: str) -> list[RejectedPolicy]:
    """
    Rejected rules of a cluster by proposal and rule; but for those that no policy can say by themselves.

    A rule that a release from before migration 0006 forgot is not among them.
    """
    standings = [one for one in repository.rejected_standings(session, cluster) if one.body is not None]
    versions = repository.current_versions(session, {one.key for one in standings})
    found = []
    for one in standings:
        proposal = proposal_from_json({**versions[one.key].body, "rules": [one.body]})
        try:
            manifest, _ = render(proposal, {one.rule_id}, Target(cilium_version=cilium_version))
        except UnsupportedError as error:
            log.warning("rejected.unrenderable", proposal=one.key, rule=one.rule_id, error=str(error))
            continue
        found.append(RejectedPolicy(one, manifest))
    return found
