"""Sessions on the review state: one request or run is one transaction, committed at its edge."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from models.errors import PortolanError
from service.db.engine import READ_ONLY


@dataclass(frozen=True)
class Database:
    """The engine, and the two ways to use it."""

    engine: Engine
    _make: sessionmaker[Session] = field(init=False)

    def __post_init__(self) -> None:
        """Make the session factory once."""
        object.__setattr__(self, "_make", sessionmaker(self.engine, expire_on_commit=False))

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """Session that commits when the block ends well, and rolls back otherwise."""
        with _said(self.engine), self._make() as session, session.begin():
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Session that sees one state throughout, waits for nobody and keeps nothing."""
        with _said(self.engine), self._make() as session:
            session.connection(execution_options={READ_ONLY: True})
            yield session
            session.expunge_all()  # what was read stays readable; the rollback would expire it
            session.rollback()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


@contextlib.contextmanager
def _said(engine: Engine) -> Iterator[None]:
    """A full disk, or a server that is gone, is nobody's mistake in here: it is said in one line."""
    try:
        yield
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise PortolanError(f"the database failed: {error.orig} ({where})") from error
