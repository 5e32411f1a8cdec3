"""The quarantine as the API speaks of it; the contract is in docs/api.md."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.proposals.schemas import Key, PersonText
from service.quarantine.bulk import MAX_ENTRIES
from service.quarantine.verdicts import DEFAULT_DAYS, MAX_DAYS, EntryState, Verdict


class StandingOut(BaseModel):
    """What was last said about the call."""

    state: Literal["open", "later", "admitted", "unwanted"]
    reviewer: str | None
    reason: str | None
    decided_at: datetime | None
    ask_again_at: datetime | None


class EntryOut(BaseModel):
    """One cell that is, or was, held back."""

    model_config = ConfigDict(extra="allow")

    id: str
    cluster: str
    namespace: str
    workload: str
    direction: Literal["ingress", "egress"]
    peer: dict[str, Any] | None
    title: str = Field(description="The other side and the port")
    state: EntryState
    etag: str = Field(description="Entity tag: which state of the entry this is")
    held: bool = Field(description="The newest run holds it back")
    still_seen: bool | None = Field(
        description="The newest run saw it in its window, whatever was decided; null where it has not looked"
    )
    first_seen: str = Field(description="First sight, as far back as any night knew it")
    last_seen: str = Field(description="Last sight, of the newest window that showed it")
    days_seen: int = Field(description="Days of that window on which it was seen")
    flows: int = Field(description="Request records of that window")
    reasons: list[str] = Field(description="Codes of what fired")
    why: list[str] = Field(description="A sentence for each")
    question: str = Field(description="What to ask the owner")
    ledger: list[dict[str, Any]] = Field(description="Evidence of the screening, for and against")
    p_legit: float | None
    provenance: str = Field(description="What `p_legit` rests on")
    proposal: str = Field(description="Key of the proposal that leaves it out; empty where there is none")
    first_held_at: datetime
    last_held_at: datetime
    verdict: StandingOut


class EntryPage(BaseModel):
    """Part of the quarantine."""

    items: list[EntryOut]
    next_cursor: str | None = Field(description="Hand back as `cursor` for the next page")


class VerdictOut(BaseModel):
    """One verdict on record."""

    id: int
    entry: str = Field(description="Where it was given; it holds for both ends of the call")
    verdict: Verdict
    reviewer: str
    reason: str
    days: int | None
    decided_at: datetime


class EntryDetail(EntryOut):
    """The same with everything that was ever said about the call."""

    verdicts: list[VerdictOut]


class VerdictIn(BaseModel):
    """A verdict: what, who, why."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    reviewer: Annotated[PersonText, Field(min_length=1, max_length=200)]
    reason: PersonText = Field(default="", description="Required to admit and to confirm as unwanted")
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = Field(
        default=None, description=f"later: days after which it asks again, otherwise {DEFAULT_DAYS}"
    )


class SeenEntry(BaseModel):
    """An entry, and the state in which it was seen."""

    model_config = ConfigDict(extra="forbid")

    id: Key
    etag: Annotated[str, Field(max_length=128)] = Field(
        description="As listed; `*` decides whatever its state is"
    )


class ManyVerdictsIn(VerdictIn):
    """One verdict on many entries: all of them, or none."""

    entries: Annotated[list[SeenEntry], Field(min_length=1, max_length=MAX_ENTRIES)]


class DecidedEntry(BaseModel):
    """An entry after the verdict."""

    id: str
    state: EntryState
    etag: str
    changed: bool = Field(description="This request decided on it; otherwise it had this verdict already")


class ManyDecided(BaseModel):
    """What became of the entries of a request, in its order."""

    changed: int = Field(description="Entries that this request decided on")
    items: list[DecidedEntry]
