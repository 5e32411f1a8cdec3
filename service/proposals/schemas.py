"""Proposals as the API speaks of them; the contract is in docs/api.md."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.review.transitions import ProposalState, RuleState, Verb, VersionState

#: Text of a person: no control characters that a later reader's terminal would obey.
PersonText = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class _Out(BaseModel):
    """An answer: fields that later versions add are passed on."""

    model_config = ConfigDict(extra="allow")


class ProposalSummary(BaseModel):
    """One line of the list of proposals."""

    key: str
    version: int
    state: ProposalState
    maturity: Literal["learning", "maturing", "stable"]
    cluster: str
    namespace: str
    name: str
    workloads: list[str] = Field(description="`Kind/name` of what the policy selects")
    rule_count: int
    flagged_count: int = Field(description="Rules that a person must decide on one by one")
    approved_version: int | None = Field(description="Version in force")
    withdrawn: bool = Field(description="The newest run proposes it no more")
    first_proposed_at: datetime
    last_proposed_at: datetime


class ProposalPage(BaseModel):
    """Part of the list of proposals."""

    items: list[ProposalSummary]
    next_cursor: str | None = Field(description="Hand back as `cursor` for the next page")


class RuleDecision(BaseModel):
    """What was last decided on a rule."""

    state: RuleState
    reviewer: str | None = None
    reason: str | None = None
    decided_at: datetime | None = None


class RuleOut(_Out):
    """One rule: what it allows, why, and what was decided."""

    id: str
    path: str = Field(description="Entry of the manifest that holds it")
    direction: Literal["ingress", "egress"]
    title: str
    peer: dict[str, Any]
    ports: list[dict[str, Any]]
    http: list[dict[str, Any]] = Field(
        default=[],
        description="HTTP requests that pass (`method`, `path` as RE2); empty: HTTP is not looked at",
    )
    widening: list[dict[str, Any]] = Field(
        default=[], description="What it opens beyond what was seen, with the terms of the objective"
    )
    p_need: float | None = Field(description="Probability of use within 35 days")
    p_need_7d: float | None = Field(default=None, description="Within 7 days, as back-tests check it")
    p_legit: float | None = Field(description="Probability that what it admits is wanted")
    confidence: float | None = Field(
        description="`p_need` times `p_legit`; `confidence_reason` if there is none"
    )
    evidence: dict[str, Any]
    reasons: list[str]
    flags: list[str]
    decision: RuleDecision


class RejectedRule(BaseModel):
    """A rule that reviewers rejected: it is in no manifest and does not come back."""

    id: str
    title: str
    reviewer: str
    reason: str
    decided_at: datetime


class ProposalOut(_Out):
    """A proposal with its evidence and what was decided."""

    key: str
    version: int
    state: ProposalState
    version_state: VersionState
    maturity: Literal["learning", "maturing", "stable"]
    maturity_reason: str = Field(default="", description="What keeps it from being stable")
    posture: Literal["generous", "balanced", "strict"] | None = Field(
        default=None, description="What it was made with (docs/confidence.md); null: an older version made it"
    )
    cluster: str
    namespace: str
    name: str
    subject: dict[str, Any]
    rules: list[RuleOut]
    objective: dict[str, float | int | None] | None = Field(
        default=None, description="What the proposal weighs: openings, rules, expected denials, doubts"
    )
    rejected_rules: list[RejectedRule]
    quarantine: list[Any]
    left_out: list[dict[str, Any]]
    completeness: dict[str, Any]
    backtest: dict[str, Any] | None
    manifest: dict[str, Any] | None
    approved_version: int | None
    withdrawn: bool


class VersionOut(BaseModel):
    """One version of a proposal."""

    version: int
    state: VersionState
    fingerprint: str
    created_at: datetime
    last_proposed_at: datetime


class VersionList(BaseModel):
    """Every version of a proposal, newest first."""

    items: list[VersionOut]


class DecisionIn(BaseModel):
    """A decision: what, who, why."""

    model_config = ConfigDict(extra="forbid")

    decision: Verb
    reviewer: Annotated[PersonText, Field(min_length=1, max_length=200)]
    reason: PersonText = Field(default="", description="Required to reject, and to approve what is flagged")


class ProposalDecisionIn(DecisionIn):
    """A decision on a proposal."""

    include_flagged: bool = Field(
        default=False, description="Approve rules marked for review along with the rest; needs a reason"
    )


class DecisionOut(BaseModel):
    """One decision on record."""

    id: int
    version: int
    rule_id: str | None
    decision: Verb
    reviewer: str
    reason: str
    decided_at: datetime


class DecisionList(BaseModel):
    """Every decision on a proposal and its rules, oldest first."""

    items: list[DecisionOut]
