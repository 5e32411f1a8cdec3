"""Runs as the API speaks of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.durations import Duration

RunKind = Literal["infer", "pull", "maintain"]
NameText = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+$")]


class RunIn(BaseModel):
    """What to start."""

    model_config = ConfigDict(extra="forbid")

    kind: RunKind
    cluster: NameText | None = Field(default=None, description="infer: only this cluster")
    namespace: NameText | None = Field(default=None, description="infer: only this namespace")
    as_of: AwareDatetime | None = Field(default=None, description="infer: end of the window")
    window: Duration | None = Field(default=None, description="infer: how far back to look")
    posture: Literal["generous", "balanced", "strict"] | None = Field(default=None, description="infer")
    source: NameText | None = Field(default=None, description="pull: name of the source; required there")


class RunOut(BaseModel):
    """One run."""

    id: str
    kind: str
    trigger: Literal["cli", "api", "schedule"]
    outcome: Literal["running", "done", "nothing", "failed", "abandoned"]
    parameters: dict[str, Any]
    counts: dict[str, Any]
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None = Field(description="How long it took")


class RunPage(BaseModel):
    """Part of the list of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None
