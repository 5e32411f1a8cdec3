"""What runs need from whoever keeps records and observations; ``service`` implements it, and tests do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from models.domain.window import Window
from models.frames import Observations


class RunLog(Protocol):
    """
    Record of runs.

    A run is ``running`` from ``start`` to ``finish``; one whose process died is closed as
    ``abandoned`` by whoever takes its lease over.
    """

    def start(
        self, *, run_id: str, kind: str, trigger: str, parameters: Mapping[str, Any], now: datetime
    ) -> None:
        """Record that a run began."""

    def finish(
        self, run_id: str, *, outcome: str, counts: Mapping[str, Any], error: str | None, now: datetime
    ) -> None:
        """Record how a run ended; does nothing for a run that is closed already."""

    def last_success(self, kind: str) -> datetime | None:
        """Start of the newest run of this kind that was done (or had nothing to do)."""


class Leases(Protocol):
    """
    Who may run a job now, agreed on between processes.

    A lease has one holder and a time at which it runs out unless renewed.
    """

    def acquire(self, name: str, holder: str, *, now: datetime, length: timedelta) -> "LeaseAnswer":
        """Take a lease that is free, ours, or run out; says who held or holds it otherwise."""

    def renew(self, name: str, holder: str, *, now: datetime, length: timedelta) -> bool:
        """Push the end of a lease back; False when another holder has it."""

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; does nothing when another holder has it."""


class LeaseAnswer(Protocol):
    """Outcome of asking for a lease."""

    @property
    def granted(self) -> bool:
        """The lease is ours now."""

    @property
    def other(self) -> str | None:
        """Holder that was displaced because its lease ran out, or that holds the lease still."""

    @property
    def since(self) -> datetime | None:
        """When that other holder took it."""


class Clock(Protocol):
    """Source of the time; passed in, so that a test can say what time it is."""

    def __call__(self) -> datetime:
        """Aware time in UTC."""


class ObservationReader(Protocol):
    """Whatever can give the observations of a window."""

    def observations(self, cluster: str, window: Window) -> Observations:
        """Frames of one cluster and window."""
