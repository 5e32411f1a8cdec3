"""Bring the database to the newest revision, one process at a time."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from models.errors import PortolanError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: Any number that nothing else on the server uses: "portolan" in ASCII, cut to 63 bits.
_ADVISORY_LOCK: Final = 0x706F72746F6C616E & (2**63 - 1)


def alembic_config(connection: Connection) -> Config:
    """Alembic settings that work on an open connection and read no file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Apply what is missing; does nothing, and takes no lock, when nothing is."""
    try:
        with engine.connect() as connection:
            if _is_current(connection):
                return
        with _one_at_a_time(engine), engine.begin() as connection:
            command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise PortolanError(
            f"the database was made by a newer Portolan, or is not one of Portolan's: {error}"
        ) from None
    except SQLAlchemyError as error:
        raise PortolanError(f"the database cannot be opened: {str(error).splitlines()[0]}") from None


def revision(engine: Engine) -> str | None:
    """Revision that the database is at."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _is_current(connection: Connection) -> bool:
    heads = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads


@contextlib.contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    """Hold off other processes that start at the same moment."""
    if engine.dialect.name == "sqlite":
        if not engine.url.database:
            yield  # in memory: nobody else can see it
            return
        with Path(f"{engine.url.database}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _ADVISORY_LOCK})
