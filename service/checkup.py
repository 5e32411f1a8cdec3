"""What is configured, reachable, recorded and missing: the questions behind ``portolan doctor``."""

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from jobs.observations.kept_days import kept
from jobs.observations.schema import TABLES, VERSION
from models.domain.window import MAX_GAP_SHARE, STABLE_FROM_DAYS
from models.errors import PortolanError
from service.db.migrate import revision
from service.db.tables import LeaseRow
from service.durations import format_duration
from service.proposals.repository import count_by_state, newest_inferences
from service.quarantine.service import open_count
from service.wiring import Portolan

Status = Literal["ok", "note", "bad"]

#: A cluster that talks to nobody for this long is not being listened to.
STALE_AFTER: Final = timedelta(hours=24)
#: Below this the next nights would fill the disk.
LITTLE_SPACE: Final = 1 << 30  # bytes
#: Days below which no proposal is called stable, less what an inference forgives at their ends.
ENOUGH_DAYS: Final = STABLE_FROM_DAYS * (1.0 - MAX_GAP_SHARE)
#: Share of lost events above which silence says nothing.
MUCH_LOST: Final = 0.01
#: Nightly jobs may be an hour late before anybody should wonder.
NIGHT: Final = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer."""

    subject: str
    status: Status
    detail: str


def examine(portolan: Portolan) -> list[Finding]:
    """Ask everything; a question that cannot be answered is an answer too."""
    questions: tuple[Callable[[Portolan], Iterator[Finding]], ...] = (
        _data_dir,
        _database,
        _store,
        _clusters,
        _sources,
        _objects,
        _runs,
        _proposals,
        _screening,
        _quarantine,
    )
    findings: list[Finding] = []
    for question in questions:
        try:
            findings.extend(question(portolan))
        except (PortolanError, SQLAlchemyError, OSError) as error:
            subject = question.__name__.strip("_").replace("_", " ")
            findings.append(Finding(subject, "bad", str(error).splitlines()[0]))
    return findings


def _data_dir(portolan: Portolan) -> Iterator[Finding]:
    path = portolan.settings.data_dir
    free = shutil.disk_usage(path).free
    writable = os.access(path, os.W_OK | os.X_OK)
    status: Status = "ok" if free > LITTLE_SPACE and writable else "bad"
    detail = f"{path.absolute()}, {free / 2**30:.1f} GiB free"
    yield Finding("data directory", status, detail if writable else f"{detail}; not writable")
    rejects = sorted((path / "rejects").glob("*")) if (path / "rejects").is_dir() else []
    if rejects:
        size = sum(file.stat().st_size for file in rejects)
        yield Finding("rejects", "note", f"{len(rejects)} files, {size:,} bytes in {path / 'rejects'}")


def _database(portolan: Portolan) -> Iterator[Finding]:
    engine = portolan.database.engine
    with portolan.database.read() as session:
        session.execute(text("SELECT 1"))
    yield Finding("database", "ok", f"{engine.dialect.name}, revision {revision(engine)}")


def _store(portolan: Portolan) -> Iterator[Finding]:
    files = {table.name: portolan.store.table(table.name).files_by_day() for table in TABLES}
    days = files["edges"]
    if not days:
        yield Finding("observations", "note", "nothing was ingested yet: 'portolan ingest' or 'sources'")
        return
    spread = sum(len(names) for table in files.values() for names in table.values())
    detail = f"layout {VERSION}, {len(days)} days from {min(days)} to {max(days)}, {spread} files"
    yield Finding("observations", "ok", detail)
    folded = kept(portolan.store.data_dir)
    if folded.files:
        detail = f"{folded.files} files, {folded.size / 2**20:.1f} MiB kept for the next inference"
        yield Finding("folded days", "ok", detail)


def _clusters(portolan: Portolan) -> Iterator[Finding]:
    now = portolan.clock()
    for cluster in portolan.observed_clusters():
        days = (cluster.last_seen - cluster.first_seen) / timedelta(days=1)
        parts = [
            f"{cluster.flows:,} flows from {cluster.nodes} nodes over {days:.1f} days",
            f"last {_age(now - cluster.last_seen)}",
            f"{cluster.lost_events:,} events lost, {cluster.rejects:,} records rejected",
        ]
        stale = now - cluster.last_seen > STALE_AFTER
        lossy = cluster.lost_events > MUCH_LOST * max(1, cluster.flows)
        if stale:
            parts.append("nothing new: is the exporter still writing?")
        if lossy:
            parts.append("much was lost: silence proves little")
        if days < ENOUGH_DAYS:
            parts.append(f"less than {STABLE_FROM_DAYS:.0f} days: nothing can be called stable yet")
        status: Status = "note" if stale or lossy or days < ENOUGH_DAYS else "ok"
        yield Finding(f"cluster {cluster.name}", status, "; ".join(parts))
        for note in cluster.notes():
            yield Finding(f"clocks of {cluster.name}", "note", note)


def _sources(portolan: Portolan) -> Iterator[Finding]:
    sources = portolan.sources()
    if not sources:
        yield Finding("sources", "note", "none configured: flows come by 'portolan ingest' only")
    for source in sources:
        missing = [path for path in source.paths if not _exists(path)]
        last = portolan.run_log.last_success(f"pull:{source.name}")
        pulled = f"pulled {_age(portolan.clock() - last)}" if last else "never pulled"
        detail = f"every {format_duration(source.interval)}, {pulled}"
        if missing:
            detail += f"; nothing at {', '.join(missing)}"
        late = last is not None and portolan.clock() - last > 10 * source.interval + timedelta(minutes=5)
        status: Status = "bad" if missing else "note" if last is None or late else "ok"
        yield Finding(f"source {source.name}", status, detail)


def _objects(portolan: Portolan) -> Iterator[Finding]:
    settings = portolan.settings
    for name, paths in (
        ("drift.policies", settings.drift.policies),
        ("cron_jobs.paths", settings.cron_jobs.paths),
    ):
        missing = [path for path in paths if not Path(path).exists()]
        if missing:
            yield Finding(name, "bad", f"nothing at {', '.join(missing)}")
        elif paths:
            yield Finding(name, "ok", ", ".join(paths))


def _exists(path: str) -> bool:
    return Path(path).exists() or bool(glob.glob(path, recursive=True))  # noqa: PTH207 - as ingest reads it: absolute or not


def _runs(portolan: Portolan) -> Iterator[Finding]:
    now = portolan.clock()
    for kind, title in (("infer", "last inference"), ("maintain", "last maintenance")):
        last = portolan.run_log.last_success(kind, ("done",))
        if last is None:
            yield Finding(title, "note", f"never: 'portolan {kind}', or 'portolan serve' at night")
        else:
            yield Finding(title, "ok" if now - last < NIGHT else "note", _age(now - last))
    with portolan.database.read() as session:
        for lease in session.query(LeaseRow).order_by(LeaseRow.name):
            status: Status = "ok" if lease.expires_at > now else "note"
            detail = f"run {lease.holder} for {_length(now - lease.acquired_at)}"
            yield Finding(f"under way: {lease.name}", status, detail)


def _proposals(portolan: Portolan) -> Iterator[Finding]:
    with portolan.database.read() as session:
        counts = count_by_state(session)
    if not counts:
        yield Finding("proposals", "note", "none yet: 'portolan infer'")
        return
    yield Finding("proposals", "ok", ", ".join(f"{count} {state}" for state, count in counts.items()))


def _screening(portolan: Portolan) -> Iterator[Finding]:
    """Where the newest inference could not tell what looks odd; an empty quarantine does not say so."""
    with portolan.database.read() as session:
        said = {row.cluster: row.body.get("coverage", {}) for row in newest_inferences(session, None)}
    for cluster, coverage in said.items():
        if why := coverage.get("not_screened"):
            yield Finding(f"screening of {cluster}", "note", why)


def _quarantine(portolan: Portolan) -> Iterator[Finding]:
    with portolan.database.read() as session:
        count = open_count(session, now=portolan.clock())
    detail = (
        f"{count} held back until somebody decides: 'portolan quarantine'" if count else "nothing to decide"
    )
    yield Finding("quarantine", "note" if count else "ok", detail)


def _age(length: timedelta) -> str:
    return f"{_length(length)} ago" if length >= timedelta() else f"{_length(-length)} ahead of this clock"


def _length(length: timedelta) -> str:
    """Length of time in its largest two units."""
    minutes = int(length.total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    return f"{days} d {hours} h" if days else f"{hours} h {rest} min" if hours else f"{rest} min"
