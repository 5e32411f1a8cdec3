"""
The tables of the review state.

Decisions are never changed or removed: a decision that no longer holds is followed by another one,
so that who decided what, when and why can always be read. What holds now is kept beside the log,
in the row of the proposal, because lists filter by it.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: Names of constraints are fixed, so that a migration can name what it changes on every database.
_NAMES: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python on every database; SQLite would hand back naive times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody can say which instant they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite does not keep."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    """Base of all rows."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class ProposalRow(Row):
    """A policy that was proposed at least once, and where it stands."""

    __tablename__ = "proposals"
    __table_args__ = (Index("ix_proposals_cluster_namespace_name", "cluster", "namespace", "name", "key"),)

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    cluster: Mapped[str] = mapped_column(String(253))
    namespace: Mapped[str] = mapped_column(String(253))
    name: Mapped[str] = mapped_column(String(253))
    workloads: Mapped[str] = mapped_column(Text)  # "Kind/name", joined by ", ": what people search for
    state: Mapped[str] = mapped_column(String(16), index=True)
    maturity: Mapped[str] = mapped_column(String(16))
    rule_count: Mapped[int] = mapped_column(Integer)
    flagged_count: Mapped[int] = mapped_column(Integer)
    current_version: Mapped[int] = mapped_column(Integer)
    approved_version: Mapped[int | None] = mapped_column(Integer)
    rejected_version: Mapped[int | None] = mapped_column(Integer)
    withdrawn: Mapped[bool]
    approved_rules: Mapped[list[str]]
    # As it was when it was approved: newer evidence must not change what is deployed.
    approved_body: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    revision: Mapped[int] = mapped_column(Integer)
    first_proposed_at: Mapped[datetime]
    last_proposed_at: Mapped[datetime]


class ProposalVersionRow(Row):
    """One meaning of a proposal, with the newest evidence for it."""

    __tablename__ = "proposal_versions"
    __table_args__ = (ForeignKeyConstraint(["key"], ["proposals.key"], ondelete="CASCADE"),)

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    # As it was when the meaning or the maturity last changed: a file in Git must not move every night.
    # None while that is what ``body`` says.
    exported_body: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    last_proposed_at: Mapped[datetime]
    run_id: Mapped[str | None] = mapped_column(String(32))


class RuleStandingRow(Row):
    """What was last decided on a rule; its id and its form outlive the versions that carry it."""

    __tablename__ = "rule_standings"
    __table_args__ = (ForeignKeyConstraint(["key"], ["proposals.key"], ondelete="CASCADE"),)

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    rule_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    title: Mapped[str] = mapped_column(Text)  # a rejected rule is in no later version, and is still listed
    # In the contract form, when it was last decided on; nothing where that was before it was kept.
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


class DecisionRow(Row):
    """One decision, on a proposal or on one of its rules; never changed."""

    __tablename__ = "decisions"
    __table_args__ = (
        ForeignKeyConstraint(["key"], ["proposals.key"], ondelete="CASCADE"),
        Index("ix_decisions_key_id", "key", "id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(300))
    version: Mapped[int] = mapped_column(Integer)
    rule_id: Mapped[str | None] = mapped_column(String(128))
    verb: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


class RunRow(Row):
    """One run of a job: when, how it ended, what it counted."""

    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_kind_started_at", "kind", "started_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    trigger: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class LeaseRow(Row):
    """Who may run a job now; renewed while the run lives, so that a dead one does not block for ever."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    acquired_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class InferenceRow(Row):
    """What the newest inference of a cluster said beyond its proposals."""

    __tablename__ = "inferences"

    cluster: Mapped[str] = mapped_column(String(253), primary_key=True)
    run_id: Mapped[str | None] = mapped_column(String(32))
    generated_at: Mapped[datetime]
    body: Mapped[dict[str, Any]]


class QuarantineRow(Row):
    """
    One cell that was held back at least once, and what was last said about it.

    Names come out of flows and may be of any length; they are text here.
    """

    __tablename__ = "quarantine"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    other_end: Mapped[str] = mapped_column(String(64))  # id at the call's other end; "" where that is no pod
    cluster: Mapped[str] = mapped_column(String(253))
    namespace: Mapped[str] = mapped_column(Text)
    workload: Mapped[str] = mapped_column(Text)
    reasons: Mapped[str] = mapped_column(Text)  # codes, each between two semicolons: what lists filter by
    form: Mapped[dict[str, Any]]  # models.domain.quarantine.Quarantined
    held: Mapped[bool]  # by the newest run, or reopened since
    first_held_at: Mapped[datetime]
    last_held_at: Mapped[datetime]
    run_id: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), index=True)
    ask_again_at: Mapped[datetime | None]
    reviewer: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(Integer)


class QuarantineVerdictRow(Row):
    """One verdict on a call that was held back, at the end where it was given; never changed."""

    __tablename__ = "quarantine_verdicts"
    __table_args__ = (
        ForeignKeyConstraint(["entry"], ["quarantine.id"]),
        Index("ix_quarantine_verdicts_entry_id", "entry", "id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    entry: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    reviewer: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    days: Mapped[int | None] = mapped_column(Integer)  # of ``later``
    decided_at: Mapped[datetime]


class NightRow(Row):
    """What the newest night of a cluster tells the next (see ``jobs.memory``)."""

    __tablename__ = "nights"

    cluster: Mapped[str] = mapped_column(String(253), primary_key=True)
    until: Mapped[datetime]
    night: Mapped[dict[str, Any]]
    # What that night itself was told: a second run of the same night is told the same.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    run_id: Mapped[str | None] = mapped_column(String(32))
