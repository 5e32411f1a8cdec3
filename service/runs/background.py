"""Runs that the API starts: on threads of their own, waited for at shutdown."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import structlog

from models.errors import PortolanError, TooLittleEvidenceError

#: Leases allow one inference and one writer of observations at a time; more threads would only wait.
_THREADS: Final = 2

log = structlog.get_logger()


class Background:
    """A small pool of threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="run")

    def submit(self, run_id: str, work: Callable[[], Any]) -> None:
        """Begin; the record of the run says how it ends."""

        def report(future: Future[Any]) -> None:
            error = future.exception()
            if isinstance(error, TooLittleEvidenceError):
                log.info("run.nothing", run=run_id, why=str(error))
            elif isinstance(error, PortolanError):
                log.error("run.failed", run=run_id, error=str(error))
            elif error is not None:
                log.error("run.failed", run=run_id, exc_info=error)

        self._pool.submit(work).add_done_callback(report)

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=False)
