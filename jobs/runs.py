"""
One run at a time, recorded.

A run holds a lease while it works and renews it from a second thread. A process that dies keeps
nobody waiting for longer than the lease; a process that is merely slow keeps its lease. The record
of a run is written when it begins and when it ends, never from the work itself.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from jobs.interfaces import Clock, Leases, RunLog
from models.errors import ConflictError, PortolanError, TooLittleEvidenceError

#: Long enough to outlive a stalled disk, short enough that a crash does not cost the night.
LEASE_LENGTH: Final = timedelta(minutes=1)
RENEWALS_PER_LEASE: Final = 6
_POLL: Final = timedelta(seconds=1)
#: An error is a sentence; what is longer came from a library and is cut.
_MAX_ERROR_CHARS: Final = 2000
log = structlog.get_logger()
_DIED: Final = "the process ended without a word"

#: Everything that writes observations shares one lease: two writers would only wait for each other.
OBSERVATIONS_LEASE: Final = "observations"


@dataclass(frozen=True)
class RunRequest:
    """What is to run, and under whose name it may not overlap."""

    kind: str  # ingest | pull | infer | maintain
    lease: str
    trigger: str  # cli | api | schedule
    parameters: Mapping[str, Any] = field(default_factory=dict)
    wait: timedelta = timedelta()  # how long to wait for another holder
    not_if_done_since: datetime | None = None  # when a schedule fired: another process may have served it


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    run_id: str
    outcome: str  # done | nothing | failed
    counts: Mapping[str, Any]


class Runner:
    """Runs work under a lease and records it."""

    def __init__(
        self, log: RunLog, leases: Leases, clock: Clock, *, lease_length: timedelta = LEASE_LENGTH
    ) -> None:
        self._log = log
        self._leases = leases
        self._clock = clock
        self._lease_length = lease_length

    def claim(self, request: RunRequest) -> "Claim":
        """Take the lease and record the start; ConflictError when another run keeps the lease."""
        run_id = uuid.uuid4().hex
        deadline = time.monotonic() + request.wait.total_seconds()
        waiting = False
        while True:
            answer = self._leases.acquire(request.lease, run_id, now=self._clock(), length=self._lease_length)
            if answer.granted:
                break
            if time.monotonic() >= deadline:
                since = f" since {answer.since:%Y-%m-%d %H:%M:%S} UTC" if answer.since else ""
                raise ConflictError(f"another run holds {request.lease!r}{since}: {answer.other}")
            if not waiting:
                log.info("run.waiting", lease=request.lease, other=answer.other)
                waiting = True
            time.sleep(_POLL.total_seconds())
        now = self._clock()
        if answer.other is not None:
            self._log.finish(answer.other, outcome="abandoned", counts={}, error=_DIED, now=now)
        due = request.not_if_done_since
        last = self._log.last_success(request.kind) if due else None
        if due is not None and last is not None and last >= due:
            self._leases.release(request.lease, run_id)
            raise ConflictError(f"another process has run {request.kind!r} already, at {last:%H:%M:%S} UTC")
        try:
            self._log.start(
                run_id=run_id,
                kind=request.kind,
                trigger=request.trigger,
                parameters=request.parameters,
                now=now,
            )
        except BaseException:
            self._leases.release(request.lease, run_id)
            raise
        return Claim(self, request, run_id)

    def run(self, request: RunRequest, work: Callable[[str], Mapping[str, Any]]) -> RunResult:
        """Claim and perform in one go; what the work raises is recorded and raised again."""
        return self.claim(request).perform(work)


class Claim:
    """A run that has its lease and its record, and may be performed on another thread."""

    def __init__(self, runner: Runner, request: RunRequest, run_id: str) -> None:
        self._runner = runner
        self._request = request
        self.run_id = run_id
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease-{request.lease}", daemon=True)
        self._keeper.start()

    def perform(self, work: Callable[[str], Mapping[str, Any]]) -> RunResult:
        """Do the work and record how it ended."""
        outcome, error = "failed", "interrupted"
        counts: Mapping[str, Any] = {}
        try:
            counts = work(self.run_id)
            outcome, error = "done", ""
        except TooLittleEvidenceError as nothing:
            outcome, error = "nothing", str(nothing)
            raise
        except PortolanError as failure:
            error = str(failure)
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            self._end(outcome, counts, error)
        return RunResult(self.run_id, outcome, counts)

    def _end(self, outcome: str, counts: Mapping[str, Any], error: str) -> None:
        self._over.set()
        self._keeper.join()
        try:
            self._runner._log.finish(  # noqa: SLF001 - a claim is the second half of its runner
                self.run_id,
                outcome=outcome,
                counts=counts,
                error=error[:_MAX_ERROR_CHARS] or None,
                now=self._runner._clock(),  # noqa: SLF001
            )
        finally:
            self._runner._leases.release(self._request.lease, self.run_id)  # noqa: SLF001

    def _keep(self) -> None:
        length = self._runner._lease_length  # noqa: SLF001
        while not self._over.wait(length.total_seconds() / RENEWALS_PER_LEASE):
            try:
                self._runner._leases.renew(  # noqa: SLF001
                    self._request.lease,
                    self.run_id,
                    now=self._runner._clock(),  # noqa: SLF001
                    length=length,
                )
            except Exception:  # noqa: BLE001, S112 - a busy database now; the next renewal is in time
                continue
