"""Sessions on the review state: one request or run is one transaction, committed at its edge."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

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
        with self._make() as session, session.begin():
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Session that sees one state throughout, waits for nobody and keeps nothing."""
        with self._make() as session:
            session.connection(execution_options={READ_ONLY: True})
            yield session
            session.expunge_all()  # what was read stays readable; the rollback would expire it
            session.rollback()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
