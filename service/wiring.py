"""
The one place that builds adapters from settings.

The observation store is imported when it is first used: its libraries take longer to load than a
reviewer's command takes to run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.config import FileSource, InferConfig
from jobs.interfaces import Clock
from jobs.runs import Runner
from models.domain.capabilities import CapabilityHints
from models.errors import BadInputError
from service.db.engine import database_url, make_engine
from service.db.migrate import upgrade
from service.db.sessions import Database
from service.runs.repository import DatabaseLeases, DatabaseRunLog
from service.settings import Settings

if TYPE_CHECKING:
    from jobs.observations.clusters import ObservedCluster
    from jobs.observations.store import ObservationStore


def utc_now() -> datetime:
    """Time of day, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Portolan:
    """Everything a command or a request works with."""

    settings: Settings
    database: Database
    clock: Clock = utc_now

    @cached_property
    def store(self) -> "ObservationStore":
        """Observation store of the data directory."""
        from jobs.observations.store import ObservationStore  # noqa: PLC0415 - see the top of this module

        return ObservationStore(self.settings.data_dir)

    def observed_clusters(self) -> "list[ObservedCluster]":
        """Clusters that flows came from, by name, as they are now."""
        from jobs.observations.clusters import observed_clusters  # noqa: PLC0415 - see the top of this module

        return observed_clusters(self.store, self.clock())

    @cached_property
    def leases(self) -> DatabaseLeases:
        """Leases of the jobs."""
        return DatabaseLeases(self.database)

    @cached_property
    def run_log(self) -> DatabaseRunLog:
        """Records of the runs."""
        return DatabaseRunLog(self.database)

    @cached_property
    def runner(self) -> Runner:
        """Runs work under a lease."""
        return Runner(self.run_log, self.leases, self.clock)

    def sources(self) -> list[FileSource]:
        """Configured sources."""
        return [
            FileSource(
                source.name,
                source.paths,
                source.cluster or self.settings.cluster,
                source.interval or self.settings.schedule.pull,
            )
            for source in self.settings.sources
        ]

    def infer_config(self) -> InferConfig:
        """How proposals are made unless a command says otherwise."""
        settings = self.settings
        capabilities = settings.capabilities
        return InferConfig(
            cluster=settings.cluster,
            window=settings.window,
            posture=settings.posture,
            capabilities=CapabilityHints(
                fqdn=capabilities.fqdn,
                l7=capabilities.l7,
                cilium_version=capabilities.cilium_version,
                distribution=capabilities.distribution,
            ),
        )


@contextmanager
def open_portolan(settings: Settings, clock: Clock = utc_now) -> Iterator[Portolan]:
    """Portolan on a data directory: made where it is missing, its database at the newest revision."""
    make_data_dir(settings.data_dir)
    database = Database(make_engine(database_url(settings.database, settings.data_dir)))
    try:
        upgrade(database.engine)
        yield Portolan(settings, database, clock)
    finally:
        database.close()


def make_data_dir(path: Path) -> None:
    """Make the folder; only its owner may look inside: flows tell who talks to whom."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"data directory {path}: {error.strerror}") from None
