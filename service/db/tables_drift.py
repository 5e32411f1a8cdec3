"""The tables of nightly drift: reports, findings and their life, rules of silence, snapshots of policies."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.tables import Row


class DriftReportRow(Row):
    """One report, as it was told."""

    __tablename__ = "drift_reports"
    __table_args__ = (Index("ix_drift_reports_cluster_window_end", "cluster", "window_end"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # of the run that made it
    cluster: Mapped[str] = mapped_column(String(253))
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    generated_at: Mapped[datetime]
    summary: Mapped[dict[str, Any]]
    coverage: Mapped[dict[str, Any]]
    body: Mapped[dict[str, Any]] = mapped_column(JSON, deferred=True)


class DriftFindingRow(Row):
    """Where a finding stands, with the newest wording of it."""

    __tablename__ = "drift_findings"
    __table_args__ = (Index("ix_drift_findings_cluster_state", "cluster", "state"),)

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    cluster: Mapped[str] = mapped_column(String(253))
    kind: Mapped[str] = mapped_column(String(16))
    severity: Mapped[str] = mapped_column(String(16))
    namespace: Mapped[str] = mapped_column(String(253))
    workload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    news: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int] = mapped_column(Integer)  # place in the newest report that named it
    reports: Mapped[int] = mapped_column(Integer)
    first_reported_at: Mapped[datetime]
    last_reported_at: Mapped[datetime]
    acknowledged_until: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    reviewer: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)
    body: Mapped[dict[str, Any]]


class DriftMuteRow(Row):
    """A rule of silence; every field that is not empty must match."""

    __tablename__ = "drift_mutes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    namespace: Mapped[str] = mapped_column(String(253))
    workload: Mapped[str] = mapped_column(Text)
    peer: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime | None]
    reviewer: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class PolicySnapshotRow(Row):
    """Deployed policies at a moment; kept only when they differ from the one before."""

    __tablename__ = "policy_snapshots"
    __table_args__ = (Index("ix_policy_snapshots_cluster_taken_at", "cluster", "taken_at"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    cluster: Mapped[str] = mapped_column(String(253))
    source: Mapped[str] = mapped_column(Text)  # "cluster", or the paths it was read from
    taken_at: Mapped[datetime]
    seen_at: Mapped[datetime]  # when it was last found unchanged
    digest: Mapped[str] = mapped_column(String(64))
    complete: Mapped[bool]
    objects: Mapped[list[Any]] = mapped_column(JSON, deferred=True)
