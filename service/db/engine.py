"""
The database engine: SQLite in the data directory by default, PostgreSQL where it is named.

SQLite gets WAL (readers do not wait for the writer), foreign keys, and a wait instead of an error
when another process writes. Its transactions begin with ``BEGIN IMMEDIATE``: a transaction that
reads first and writes later would otherwise fail with "database is locked" when two do so at once.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from models.errors import BadInputError
from service.db.json_text import to_text
from service.settings import DatabaseSettings

FILE_NAME: Final = "portolan.db"
#: Longest wait for another writer; a run's transaction takes well under a second.
BUSY_SECONDS: Final = 30
_MAX_SECRET_BYTES: Final = 4096
#: Execution option of connections that only read: they do not queue behind writers.
READ_ONLY: Final = "portolan_read_only"


def database_url(settings: DatabaseSettings, data_dir: Path) -> URL:
    """Address of the database, with its password read from the file that holds it."""
    if settings.url is None:
        return URL.create("sqlite+pysqlite", database=str((data_dir / FILE_NAME).absolute()))
    url = make_url(settings.url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if settings.password_file is not None:
        url = url.set(password=_read_secret(settings.password_file))
    return url


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            secret = stream.read(_MAX_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"database.password_file {path}: {type(error).__name__}") from None
    if not secret:
        raise BadInputError(f"database.password_file {path} is empty")
    return secret


def make_engine(url: URL) -> Engine:
    """Engine for the address, with what each database needs to be safe under two processes."""
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True, json_serializer=to_text)
        except ModuleNotFoundError:
            raise BadInputError("database.url names PostgreSQL: install the 'postgres' extra") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, json_serializer=to_text)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin on its own, and too late
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = "DEFERRED" if connection.get_execution_options().get(READ_ONLY) else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")
