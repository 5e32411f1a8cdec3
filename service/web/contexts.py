"""One frozen value per page: everything its template may use, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ClusterLine:
    """How well a cluster was listened to."""

    name: str
    days: float
    flows: int
    nodes: int
    lost_events: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class ProposalsPage:
    """``proposals.html``: the list with its filters."""

    clusters: Sequence[ClusterLine]
    items: Sequence[Mapping[str, Any]]  # service.proposals.views.summary
    counts: Mapping[str, int]  # proposals by state
    namespaces: Sequence[str]
    in_namespace: str  # not "namespace": Jinja has a function of that name
    state: str
    maturity: str
    q: str
    next_query: str  # query of the next page, "" on the last
    waiting: int  # entries of the quarantine that nobody decided on
    page: str = "proposals"


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """``proposal.html``: one policy, its evidence, its doubts, its decisions."""

    proposal: Mapping[str, Any]  # service.proposals.views.detail
    manifest: str  # YAML of the policy, "" when no rule is left
    posture: str  # that it was made with, and its exchange rates, "" for an old one
    objective: str  # what the proposal weighs against each other, "" for an old one
    evidence: Mapping[str, str]  # one line per rule id
    confidence: Mapping[str, str]  # one line per rule id
    arguments: Mapping[str, Sequence[str]]  # by rule id
    http: Mapping[str, Sequence[str]]  # requests that pass, by rule id
    widening: Mapping[str, Sequence[str]]  # what is opened beyond what was seen, by rule id
    forecasts: Mapping[str, Sequence[str]]  # by direction
    decisions: Sequence[Mapping[str, Any]]
    versions: Sequence[tuple[int, str]]  # number and state
    etag: str
    etags: Mapping[str, str]  # of what is held back, by id
    page: str = "proposal"


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """``quarantine.html``: what is held back, and three ways to decide."""

    items: Sequence[Mapping[str, Any]]  # service.quarantine.views.entry
    etags: Mapping[str, str]  # by id
    waiting: int  # entries that nobody decided on
    namespaces: Sequence[str]
    in_namespace: str
    state: str
    reason: str  # code of what fired, "" for any
    peer: str  # part of the other side's title
    codes: Sequence[str]  # of what may have fired
    next_query: str
    page: str = "quarantine"


@dataclass(frozen=True, slots=True)
class RunsPage:
    """``runs.html``: what ran, and how it ended."""

    runs: Sequence[Mapping[str, Any]]  # service.runs.views.run_view
    upcoming: Sequence[tuple[str, datetime]]  # job and its next time
    next_query: str
    page: str = "runs"


@dataclass(frozen=True, slots=True)
class CalibrationPage:
    """``calibration.html``: what the numbers of each cluster are worth."""

    clusters: Sequence[Mapping[str, Any]]  # cluster, generated_at, lines, points, rows, forecast
    side: int  # of the square that probabilities are drawn in
    page: str = "calibration"


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """``error.html``: what went wrong, for people."""

    status: int
    title: str
    detail: str
    page: str = "error"
