"""Which policies are deployed: from files, from a cluster, and as they were on earlier nights."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.drift_cluster import read_cluster
from jobs.policy_files import read_objects
from models.domain.policy import POLICY_KINDS
from models.drift.timeline import Snapshot
from models.errors import BadInputError
from models.manifest.parse_inventory import INVENTORY_KINDS
from service.db.tables_drift import PolicySnapshotRow

#: How long earlier states of the policies are kept: a baseline and a week.
KEEP: Final = timedelta(days=35)
_KINDS: Final = frozenset((*POLICY_KINDS, *INVENTORY_KINDS))
#: Parts of metadata that say when an object was made and edited, and whose it is.
_METADATA: Final = ("name", "namespace", "labels", "annotations", "creationTimestamp", "managedFields")


@dataclass(frozen=True, slots=True)
class Deployed:
    """Objects as they were found, and where."""

    objects: tuple[dict[str, Any], ...]
    source: str
    complete: bool


def read_deployed(paths: Sequence[Path], *, from_cluster: bool) -> Deployed:
    """Read policies from files, or from the cluster; exactly one of both."""
    if bool(paths) == from_cluster:
        raise BadInputError("name --policies or --from-cluster (or drift.policies in the configuration)")
    if from_cluster:
        objects, complete = read_cluster()
        return Deployed(tuple(objects), "cluster", complete)
    # However a place is spelled, its earlier nights are those of the same place.
    source = ", ".join(str(path.resolve()) for path in paths)
    return Deployed(tuple(read_objects(paths)), source, complete=False)


def record(session: Session, cluster: str, deployed: Deployed, now: datetime) -> None:
    """Keep a snapshot, or note that nothing changed since the one before."""
    objects = [kept for item in deployed.objects if (kept := _kept(item)) is not None]
    digest = hashlib.sha256(orjson.dumps(objects, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()
    newest = session.scalar(
        select(PolicySnapshotRow)
        .where(PolicySnapshotRow.cluster == cluster, PolicySnapshotRow.source == deployed.source)
        .order_by(PolicySnapshotRow.taken_at.desc())
        .limit(1)
    )
    if newest is not None and newest.digest == digest:
        newest.seen_at = now
    else:
        session.add(
            PolicySnapshotRow(
                cluster=cluster,
                source=deployed.source,
                taken_at=now,
                seen_at=now,
                digest=digest,
                complete=deployed.complete,
                objects=orjson.loads(orjson.dumps(objects, default=str)),
            )
        )
    session.execute(
        delete(PolicySnapshotRow).where(
            PolicySnapshotRow.cluster == cluster, PolicySnapshotRow.seen_at < now - KEEP
        )
    )


def earlier(session: Session, cluster: str, source: str, before: datetime) -> list[Snapshot]:
    """Snapshots of the same place from before a moment, oldest first; two if it was unchanged for long."""
    rows = session.scalars(
        select(PolicySnapshotRow)
        .where(
            PolicySnapshotRow.cluster == cluster,
            PolicySnapshotRow.source == source,
            PolicySnapshotRow.taken_at < before,
        )
        .order_by(PolicySnapshotRow.taken_at)
    )
    return [
        Snapshot(_us(moment), tuple(row.objects), row.complete)
        for row in rows
        for moment in sorted({row.taken_at, min(row.seen_at, before)})
    ]


def current(deployed: Deployed, taken: datetime) -> Snapshot:
    """The objects as a snapshot of a moment."""
    return Snapshot(_us(taken), deployed.objects, deployed.complete)


def _kept(item: dict[str, Any]) -> dict[str, Any] | None:
    """What a later night needs of an object; lists are kept as they are."""
    kind = item.get("kind")
    if isinstance(kind, str) and kind.endswith("List"):
        return item
    if kind not in _KINDS:
        return None
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    slim = {name: metadata[name] for name in _METADATA if name in metadata}
    return {**item, "metadata": slim}


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
