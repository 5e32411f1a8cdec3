"""Simulation and explanation as the API speaks of them; the contract is in docs/api.md."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.durations import Duration

#: Of one request; more is for the command line, which has the time.
MAX_POLICIES: Final = 2000
MAX_FLOWS: Final = 5000

Text = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+$")]
Objects = Annotated[
    list[dict[str, Any]],
    Field(
        max_length=MAX_POLICIES,
        description="CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, and the Services, "
        "EndpointSlices and CiliumCIDRGroups that they name; by default the stored proposals",
    ),
]
State = Literal["approved", "any"]
Protocol = Literal["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"]
_SUSPICIOUS: Final = "`suspicious`: works, and the quarantine holds it back or it was confirmed as unwanted"


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")

    policies: Objects | None = None
    state: State = Field(
        default="approved", description="Which stored proposals, where no policies are given"
    )
    cluster: Text | None = Field(default=None, description="Needed where several were observed")
    cilium_version: Text | None = Field(default=None, description="By default the configured one")


class SimulateIn(_In):
    """Policies, and what to ask them about."""

    flows: Annotated[list[dict[str, Any]], Field(max_length=MAX_FLOWS)] | None = Field(
        default=None, description="Hubble records; by default the stored observations of a window"
    )
    as_of: AwareDatetime | None = Field(default=None, description="End of the window")
    window: Duration | None = Field(default=None, description="How far back to look")


class Rejected(BaseModel):
    """An object that a cluster would refuse, or would not read whole."""

    policy: str
    reasons: list[str]


class FlowVerdict(BaseModel):
    """What the policies would do with one flow."""

    number: int
    about: str
    verdict: Literal["allow", "deny", "unknown", "skipped"]
    l4: str = Field(description="Verdict before layer 7")
    reason: str
    rules: list[str]
    redirect: bool
    hubble: Literal["allowed", "denied", "audited", "other"] = Field(description="What happened")
    breaks: bool = Field(description="Works today and would be denied")


class Totals(BaseModel):
    """Counts over the flows."""

    flows: int
    verdicts: dict[str, int]
    skipped: dict[str, int]
    breaks: int
    denied_as_observed: int
    denied_but_allowed_here: int


class DayOut(BaseModel):
    """Flows of one day."""

    day: str
    flows: int


class ReplayLineOut(BaseModel):
    """Observed traffic that the policies would not let pass."""

    namespace: str
    workload: str
    direction: Literal["ingress", "egress"]
    peer: str
    port: str
    request: str = Field(description="One request through the proxy; empty for the connection itself")
    verdict: Literal["deny", "unknown"]
    legitimacy: Literal["legitimate", "unanswered", "suspicious"] = Field(description=_SUSPICIOUS)
    rule: str = Field(description="The deny rule that decides; empty for the default deny")
    flows: int
    day_count: int
    days: list[DayOut] = Field(description="Empty for requests, which are not stored by day")


class DayOutcomeOut(BaseModel):
    """One day of a back-test, in edge-days."""

    day: str
    checked: int
    denied: int
    undecided: int
    denied_legitimate: int


class BacktestOut(BaseModel):
    """A window of stored observations against the policies; counts are of edge-days."""

    checked: int
    admitted: int
    denied: int
    undecided: int
    denied_legitimate: int
    requests: int = Field(description="Distinct requests that the policies send through a proxy")
    requests_denied: int
    requests_undecided: int
    requests_denied_legitimate: int
    days: list[DayOutcomeOut]
    lines: list[ReplayLineOut]
    lines_in_all: int


class SimulationOut(BaseModel):
    """The answer: flow by flow, or over the window."""

    cilium_version: str
    policies: int
    rejected: list[Rejected]
    totals: Totals | None
    flows: list[FlowVerdict]
    backtest: BacktestOut | None


class DiffIn(SimulateIn):
    """Two policy sets, and what to compare them over."""

    against: Objects = Field(description="The policies of today; an empty list is a cluster without any")


class ChangedLineOut(BaseModel):
    """Traffic that the two sets treat differently."""

    namespace: str
    workload: str
    direction: Literal["ingress", "egress"]
    peer: str
    port: str
    request: str
    legitimacy: Literal["legitimate", "unanswered", "suspicious", "denied", "other", "unseen"] = Field(
        description=f"{_SUSPICIOUS}; `denied`: policy stops it today; `unseen`: made from the rules, no "
        "traffic touched it"
    )
    before: Literal["allow", "deny", "unknown"]
    after: Literal["allow", "deny", "unknown"]
    rule_before: str
    rule_after: str
    flows: int
    days: list[DayOut]


class DiffOut(BaseModel):
    """What would change from `against` to `policies`; counts below `changed` are of lines."""

    cilium_version: str
    rejected: list[Rejected]
    rejected_against: list[Rejected]
    compared: int
    changed: int
    newly_denied: int
    newly_denied_legitimate: int
    newly_allowed: int
    no_longer_decidable: int
    lines: list[ChangedLineOut]
    lines_in_all: int
    unseen: list[ChangedLineOut]
    unseen_in_all: int
    probes_left_out: int


class CheckRequest(_In):
    """Policies to look at; observations of the window are used where there are any."""

    as_of: AwareDatetime | None = Field(default=None, description="End of the window")
    window: Duration | None = Field(default=None, description="How far back to look")


class FindingOut(BaseModel):
    """What is wrong with a rule, or worth a look."""

    severity: Literal["error", "warning", "note"]
    kind: Literal[
        "empty", "redundant", "shadowed", "weakened", "over-broad", "costly", "no-dns",
        "no-dns-unused", "no-learning",
        "undecidable", "uncomputable", "selects-nobody", "no-such-peer",
    ]  # fmt: skip
    policy: str
    path: str = Field(description="Place in the manifest, as in `egress[3].toPorts[0]`")
    because: str
    other: str | None = Field(description="The rule that causes it")
    count: int


class CostOut(BaseModel):
    """What the policies cost the endpoints of one identity."""

    namespace: str
    labels: str
    entries: int = Field(description="Policy-map entries, both directions, at most")
    rule: str = Field(description="The costliest rule")


class CheckOut(BaseModel):
    """Findings of a policy set."""

    cilium_version: str
    policies: int
    rejected: list[Rejected]
    errors: int
    warnings: int
    notes: int
    findings: list[FindingOut]
    findings_in_all: int
    map_size: int
    costs: list[CostOut]
    not_checked: list[str] = Field(description="What could not be looked at for want of observations")


class ExplanationIn(_In):
    """Who cannot reach whom: two ends, or one Hubble record."""

    source: Text | None = Field(default=None, examples=["shop/web"])
    destination: Text | None = Field(
        default=None, examples=["shop/api", "192.0.2.7", "api.example.org", "world"]
    )
    flow: dict[str, Any] | None = Field(
        default=None, description="A Hubble record in place of the two ends; its HTTP or DNS request counts"
    )
    protocol: Protocol | None = None
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(default=None, description="For ICMP the type")
    direction: Literal["ingress", "egress"] | None = Field(default=None, description="By default both ends")


class GateOut(BaseModel):
    """The decision at one end."""

    direction: Literal["ingress", "egress"]
    verdict: Literal["allow", "deny", "unknown"]
    reason: str
    enforcing: bool | None
    default_deny: bool | None
    rules: list[str]
    policies: list[str] = Field(description="Objects that close this end")


class ChangeOut(BaseModel):
    """The smallest change found for one end; it was tried."""

    direction: Literal["ingress", "egress"]
    policy: str
    patch: list[dict[str, Any]] = Field(description="JSON Patch (RFC 6902)")
    because: str
    yaml: str = Field(description="What the patch adds, as it stands in the manifest; empty for a removal")
    command: str = Field(description="Has the API server try the patch without storing it")


class HeldBackOut(BaseModel):
    """An entry of the quarantine that is this call."""

    id: str
    state: Literal["open", "later", "admitted", "unwanted"]
    namespace: str
    workload: str
    direction: Literal["ingress", "egress"]
    title: str
    why: list[str] = Field(description="What screening found odd")
    reviewer: str | None
    reason: str | None
    decided_at: datetime | None
    ask_again_at: datetime | None


class RejectedRuleOut(BaseModel):
    """A rule that would have allowed the call, and that a reviewer rejected."""

    id: str
    proposal: str
    title: str
    reviewer: str
    reason: str
    decided_at: datetime


class HubbleOut(BaseModel):
    """What Hubble recorded of the flow."""

    outcome: Literal["allowed", "denied", "audited", "other"]
    drop_reason: str
    named: list[str] = Field(description="Policies that it names, where the cluster records them")


class SeenOut(BaseModel):
    """What was observed between the two ends."""

    protocol: str
    port: int
    verdict: str
    flows: int = Field(description="Requests; 0 where only replies were recorded")
    answered: int = Field(description="Replies")
    first_seen: datetime | None = Field(description="First request; null where only replies were recorded")
    last_seen: datetime | None = Field(description="Last request; null where only replies were recorded")


class ExplanationOut(BaseModel):
    """Why a connection passes or not."""

    cluster: str
    cilium_version: str
    source: str
    destination: str
    protocol: str | None
    port: int | None
    request: str = Field(description="The HTTP or DNS request asked about; empty for the connection")
    verdict: Literal["allow", "deny", "unknown"]
    reason: str
    gates: list[GateOut]
    changes: list[ChangeOut] = Field(
        description="One per end that denies; together they allow it. None for what is held back and not "
        "admitted, and for what a reviewer rejected as a rule"
    )
    held_back: list[HeldBackOut] = Field(description="What the quarantine knows of the call")
    rejected_rules: list[RejectedRuleOut]
    commands: list[str] = Field(description="Read-only, to check on the cluster")
    observed: list[SeenOut]
    notes: list[str] = Field(description="Where an end, or a workload of its name, is in another cluster")
    hubble: HubbleOut | None = Field(description="Where the question was a Hubble record")
    policies: int
    rejected: list[Rejected]
