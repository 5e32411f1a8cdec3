"""Drift as the API speaks of it; the forms are the contract of docs/api.md."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Pattern = Annotated[str, Field(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
KindText = Literal["uncovered", "denied", "suspicious", "unused", "changed", "unprotected", "unknown"]


class ReportLine(BaseModel):
    """A report without its findings."""

    id: str
    cluster: str
    window_start: datetime
    window_end: datetime
    generated_at: datetime
    coverage: dict[str, Any]
    summary: dict[str, Any]


class ReportPage(BaseModel):
    """Part of the list of reports, newest first."""

    items: list[ReportLine]
    next_cursor: str | None


class FindingOut(BaseModel):
    """Where a finding stands, with its newest wording."""

    key: str
    cluster: str
    state: Literal["open", "acknowledged", "muted", "resolved", "regressed"]
    news: str | None = Field(description="Why it is news: new, back, worse, due, unmuted")
    reports: int
    first_reported_at: datetime
    last_reported_at: datetime
    acknowledged_until: datetime | None
    resolved_at: datetime | None
    reviewer: str
    reason: str
    finding: dict[str, Any] = Field(description="As in the drift report")


class FindingPage(BaseModel):
    """Part of the list of findings."""

    items: list[FindingOut]
    next_cursor: str | None


class AcknowledgeIn(BaseModel):
    """Somebody has seen it."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name
    reason: Text = ""
    until: AwareDatetime | None = Field(default=None, description="When it is news again; else never")


class ReopenIn(BaseModel):
    """Somebody takes an acknowledgement back."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name
    reason: Text = ""


class MuteIn(BaseModel):
    """Findings that nobody wants to hear of; at least one pattern must be given."""

    model_config = ConfigDict(extra="forbid")

    kind: KindText | None = None
    namespace: Pattern = Field(default="", description="Shell pattern")
    workload: Pattern = Field(default="", description="Shell pattern of Kind/name")
    peer: Pattern = Field(default="", description="Shell pattern, such as fqdn:*.example.com")
    until: AwareDatetime | None = None
    reviewer: Name
    reason: Text


class MuteOut(BaseModel):
    """A rule of silence."""

    id: int
    kind: str
    namespace: str
    workload: str
    peer: str
    until: datetime | None
    reviewer: str
    reason: str
    created_at: datetime


class MuteList(BaseModel):
    """Rules of silence, oldest first."""

    items: list[MuteOut]


class TrendPoint(BaseModel):
    """One night."""

    window_end: datetime
    findings: int
    by_kind: dict[str, int]
    by_severity: dict[str, int]
    heard_share: float
    state: str


class TrendList(BaseModel):
    """Nights, oldest first."""

    items: list[TrendPoint]
