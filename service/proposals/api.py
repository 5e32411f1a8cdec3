"""REST: proposals, their manifests, and decisions on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response

from models.errors import NotFoundError
from service.dependencies import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NameQuery,
    PortolanDep,
    ReadSession,
    WriteSession,
)
from service.errors import PreconditionRequiredError
from service.export.manifests import Kind, Mode, Target, render
from service.paging import decode_cursor, encode_cursor
from service.problems import PROBLEM_RESPONSES
from service.proposals import repository, schemas, service, views
from service.proposals.repository import ProposalFilter
from service.proposals.service import DecisionRequest
from service.review.transitions import ProposalState

router = APIRouter(prefix="/proposals", tags=["proposals"], responses=PROBLEM_RESPONSES)

KeyPath = Annotated[schemas.Key, Path(description="Key of the proposal")]
RulePath = Annotated[schemas.Key, Path(description="Id of the rule")]
IfMatch = Annotated[
    str | None,
    Header(
        description="`ETag` of the proposal as it was read; required. `*` decides whatever it is now.",
        max_length=1000,
    ),
]
VersionQuery = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="A former version")]
ETAG_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "For If-Match", "schema": {"type": "string"}}}}
}
YAML_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/yaml": {"schema": {"type": "object"}}}, "description": "The manifest"}
}


@router.get("", summary="List proposals")
def list_proposals(
    *,
    session: ReadSession,
    cluster: NameQuery = None,
    namespace: NameQuery = None,
    state: ProposalState | None = None,
    maturity: Literal["learning", "maturing", "stable"] | None = None,
    q: Annotated[NameQuery, Query(description="Part of a namespace or name")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> schemas.ProposalPage:
    """Proposals by cluster, namespace and name."""
    after = None if cursor is None else decode_cursor(cursor, str, str, str, str)
    wanted = ProposalFilter(cluster, namespace, state, maturity, q)
    rows = repository.list_proposals(
        session,
        wanted,
        after=None if after is None else (after[0], after[1], after[2], after[3]),
        limit=limit + 1,
    )
    more = len(rows) > limit
    return schemas.ProposalPage(
        items=[schemas.ProposalSummary(**views.summary(row)) for row in rows[:limit]],
        next_cursor=encode_cursor(*repository.sort_key(rows[limit - 1])) if more else None,
    )


@router.get("/{key}", summary="Show a proposal", responses=ETAG_RESPONSE)
def show_proposal(
    key: KeyPath, session: ReadSession, response: Response, version: VersionQuery = None
) -> schemas.ProposalOut:
    """The policy, its evidence per rule, its doubts, what was left out, and what was decided."""
    row = service.get(session, key)
    response.headers["ETag"] = service.etag(row)
    return schemas.ProposalOut(**views.detail(session, row, version))


@router.get("/{key}/versions", summary="List versions")
def list_versions(key: KeyPath, session: ReadSession) -> schemas.VersionList:
    """Every version of a proposal, newest first."""
    standing = service.standing_of(service.get(session, key))
    return schemas.VersionList(
        items=[
            schemas.VersionOut(
                version=version,
                state=standing.version_state(version),
                fingerprint=fingerprint,
                created_at=created_at,
                last_proposed_at=last_proposed_at,
            )
            for version, fingerprint, created_at, last_proposed_at in repository.versions_of(session, key)
        ]
    )


@router.get("/{key}/manifest", summary="Render a manifest", responses=YAML_RESPONSE, response_class=Response)
def get_manifest(
    *,
    key: KeyPath,
    session: ReadSession,
    portolan: PortolanDep,
    state: Literal["approved", "any"] = "any",
    kind: Kind = "cilium",
    mode: Mode = "enforce",
) -> Response:
    """Manifest of the version in force, otherwise (with `state=any`) of the newest one."""
    row = service.get(session, key)
    found = service.exportable(session, row, approved_only=state == "approved")
    if found is None:
        raise NotFoundError(f"proposal {key} is {row.state}: it has no manifest to export")
    target = Target(kind, mode, portolan.settings.capabilities.cilium_version)
    _, text = render(found.proposal, found.include, target)
    return Response(text, media_type="application/yaml", headers={"ETag": service.etag(row)})


@router.get("/{key}/decisions", summary="List decisions")
def list_decisions(key: KeyPath, session: ReadSession) -> schemas.DecisionList:
    """Every decision on the proposal and its rules, oldest first."""
    service.get(session, key)
    found = repository.decisions_of(session, key)
    return schemas.DecisionList(items=[schemas.DecisionOut(**views.decision(row)) for row in found])


@router.post("/{key}/decisions", summary="Decide on a proposal", responses=ETAG_RESPONSE)
def decide_proposal(
    *,
    key: KeyPath,
    body: schemas.ProposalDecisionIn,
    session: WriteSession,
    portolan: PortolanDep,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.ProposalOut:
    """Approve, reject or reopen the newest version."""
    row = service.decide_proposal(
        session,
        key,
        DecisionRequest(body.decision, body.reviewer, body.reason, body.include_flagged),
        now=portolan.clock(),
        if_match=required(if_match),
    )
    session.flush()
    response.headers["ETag"] = service.etag(row)
    return schemas.ProposalOut(**views.detail(session, row))


@router.post("/{key}/rules/{rule_id}/decisions", summary="Decide on a rule", responses=ETAG_RESPONSE)
def decide_rule(
    *,
    key: KeyPath,
    rule_id: RulePath,
    body: schemas.DecisionIn,
    session: WriteSession,
    portolan: PortolanDep,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.ProposalOut:
    """Approve, reject or reopen one rule, for this version and all later ones."""
    row = service.decide_rule(
        session,
        key,
        rule_id,
        DecisionRequest(body.decision, body.reviewer, body.reason),
        now=portolan.clock(),
        if_match=required(if_match),
    )
    session.flush()
    response.headers["ETag"] = service.etag(row)
    return schemas.ProposalOut(**views.detail(session, row))


def required(if_match: str | None) -> str:
    """State that an edit was decided on; refuses one that does not say."""
    if if_match is None:
        raise PreconditionRequiredError(
            "send the ETag that you read as If-Match: somebody may have decided since"
        )
    return if_match
