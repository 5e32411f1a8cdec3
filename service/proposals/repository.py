"""Proposals, versions and decisions as rows; no rule of the review lives here."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from service.db.tables import DecisionRow, InferenceRow, ProposalRow, ProposalVersionRow, RuleStandingRow
from service.review.transitions import RuleState

#: Beginning of a key that a person may write instead of the key.
MIN_KEY_CHARS: Final = 4


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Which proposals to list."""

    cluster: str | None = None
    namespace: str | None = None
    state: str | None = None
    maturity: str | None = None
    text: str | None = None  # part of a namespace, name or workload

    def conditions(self) -> list[ColumnElement[bool]]:
        """Same as conditions on the table."""
        found: list[ColumnElement[bool]] = []
        if self.cluster is not None:
            found.append(ProposalRow.cluster == self.cluster)
        if self.namespace is not None:
            found.append(ProposalRow.namespace == self.namespace)
        if self.state is not None:
            found.append(ProposalRow.state == self.state)
        if self.maturity is not None:
            found.append(ProposalRow.maturity == self.maturity)
        if self.text:
            found.append(
                or_(
                    ProposalRow.namespace.icontains(self.text, autoescape=True),
                    ProposalRow.name.icontains(self.text, autoescape=True),
                    ProposalRow.workloads.icontains(self.text, autoescape=True),
                )
            )
        return found


#: Order of every list of proposals, and what a cursor holds.
SortKey = tuple[str, str, str, str]


def sort_key(row: ProposalRow) -> SortKey:
    """Place of a proposal in every list."""
    return row.cluster, row.namespace, row.name, row.key


def list_proposals(
    session: Session, wanted: ProposalFilter, *, after: SortKey | None = None, limit: int | None = None
) -> list[ProposalRow]:
    """Proposals by cluster, namespace and name, from behind the given one."""
    columns = (ProposalRow.cluster, ProposalRow.namespace, ProposalRow.name, ProposalRow.key)
    query = select(ProposalRow).where(*wanted.conditions()).order_by(*columns)
    if after is not None:
        query = query.where(tuple_(*columns) > after)
    return list(session.scalars(query if limit is None else query.limit(limit)))


def count_by_state(session: Session, cluster: str | None = None) -> dict[str, int]:
    """How many proposals stand where."""
    query = select(ProposalRow.state, func.count()).group_by(ProposalRow.state).order_by(ProposalRow.state)
    if cluster is not None:
        query = query.where(ProposalRow.cluster == cluster)
    return {row[0]: row[1] for row in session.execute(query)}


def namespaces(session: Session) -> list[str]:
    """Namespaces that have a proposal."""
    query = select(ProposalRow.namespace).distinct().order_by(ProposalRow.namespace)
    return list(session.scalars(query))


def find_proposals(session: Session, reference: str) -> list[ProposalRow]:
    """Proposals that a person means: a key or its beginning, ``namespace/name``, or a name."""
    exact = session.get(ProposalRow, reference)
    if exact is not None:
        return [exact]
    namespace, _, name = reference.rpartition("/")
    found = list_proposals(session, ProposalFilter(namespace=namespace or None))
    named = [row for row in found if name in {row.name, *_workload_names(row)}]
    if named or namespace or len(reference) < MIN_KEY_CHARS:
        return named
    return [row for row in found if row.key.startswith(reference)]


def _workload_names(row: ProposalRow) -> list[str]:
    return [workload.rpartition("/")[2] for workload in row.workloads.split(", ")]


def lock_proposal(session: Session, key: str) -> ProposalRow | None:
    """Row to be edited: on PostgreSQL nobody else may edit it meanwhile, on SQLite nobody else writes."""
    return session.scalar(select(ProposalRow).where(ProposalRow.key == key).with_for_update())


def lock_proposals(session: Session, keys: Collection[str]) -> dict[str, ProposalRow]:
    """Rows to be edited, as `lock_proposal` gives them, of those keys that have one."""
    query = select(ProposalRow).where(ProposalRow.key.in_(keys)).order_by(ProposalRow.key).with_for_update()
    return {row.key: row for row in session.scalars(query)}


def current_versions(session: Session, keys: Collection[str]) -> dict[str, ProposalVersionRow]:
    """The version that each of the proposals stands at, with its body."""
    current = and_(
        ProposalRow.key == ProposalVersionRow.key, ProposalRow.current_version == ProposalVersionRow.version
    )
    query = select(ProposalVersionRow).join(ProposalRow, current).where(ProposalVersionRow.key.in_(keys))
    return {version.key: version for version in session.scalars(query)}


def version_of(session: Session, key: str, version: int) -> ProposalVersionRow | None:
    """One version with its body."""
    return session.get(ProposalVersionRow, (key, version))


def versions_of(session: Session, key: str) -> list[tuple[int, str, datetime, datetime]]:
    """Number, fingerprint and times of every version, newest first."""
    row = ProposalVersionRow
    query = (
        select(row.version, row.fingerprint, row.created_at, row.last_proposed_at)
        .where(row.key == key)
        .order_by(row.version.desc())
    )
    return [(found[0], found[1], found[2], found[3]) for found in session.execute(query)]


def standings_of(session: Session, key: str) -> dict[str, RuleStandingRow]:
    """What was decided on the rules of a proposal, by rule id."""
    query = select(RuleStandingRow).where(RuleStandingRow.key == key).order_by(RuleStandingRow.rule_id)
    return {row.rule_id: row for row in session.scalars(query)}


def rejected_rules(session: Session, cluster: str | None = None) -> frozenset[str]:
    """Ids of all rules that reviewers rejected; an id names its policy too, so one set serves all."""
    query = select(RuleStandingRow.rule_id).where(RuleStandingRow.state == RuleState.REJECTED)
    if cluster is not None:
        query = query.join(ProposalRow, ProposalRow.key == RuleStandingRow.key).where(
            ProposalRow.cluster == cluster
        )
    return frozenset(session.scalars(query))


def rejections(session: Session, cluster: str) -> list[tuple[ProposalRow, RuleStandingRow]]:
    """Rules of a cluster that reviewers rejected, each with its proposal, by key and rule id."""
    query = (
        select(ProposalRow, RuleStandingRow)
        .join(RuleStandingRow, ProposalRow.key == RuleStandingRow.key)
        .where(ProposalRow.cluster == cluster, RuleStandingRow.state == RuleState.REJECTED)
        .order_by(RuleStandingRow.key, RuleStandingRow.rule_id)
    )
    return [(found[0], found[1]) for found in session.execute(query)]


def decisions_of(session: Session, key: str) -> list[DecisionRow]:
    """Every decision on a proposal and its rules, oldest first."""
    return list(session.scalars(select(DecisionRow).where(DecisionRow.key == key).order_by(DecisionRow.id)))


def withdraw_others(
    session: Session, *, cluster: str, namespace: str | None, proposed: Iterable[str]
) -> list[ProposalRow]:
    """Proposals of the scope that this run did not make again."""
    kept = set(proposed)
    query = select(ProposalRow).where(ProposalRow.cluster == cluster, ProposalRow.withdrawn.is_(False))
    if namespace is not None:
        query = query.where(ProposalRow.namespace == namespace)
    return [row for row in session.scalars(query.order_by(ProposalRow.key)) if row.key not in kept]


def save_inference(
    session: Session, *, cluster: str, run_id: str | None, body: Mapping[str, Any], now: datetime
) -> None:
    """Keep what the newest inference of a cluster said beyond its proposals."""
    values = {"run_id": run_id, "generated_at": now, "body": dict(body)}
    updated = session.execute(update(InferenceRow).where(InferenceRow.cluster == cluster).values(**values))
    if getattr(updated, "rowcount", 0) == 0:
        session.add(InferenceRow(cluster=cluster, **values))


def newest_inferences(session: Session, cluster: str | None = None) -> list[InferenceRow]:
    """What was last inferred, per cluster."""
    query = select(InferenceRow).order_by(InferenceRow.cluster)
    return list(session.scalars(query if cluster is None else query.where(InferenceRow.cluster == cluster)))
