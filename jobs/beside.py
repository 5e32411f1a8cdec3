"""
Two things at a time on two cores: one in a process of its own, made from this one as it is.

A forked process sees all that this one holds without a copy, and copies only what it touches. But it has
one thread, and whatever another thread held locked stays locked in it. So it is for the command line,
where nothing else goes on, and for work that only computes: no database, no file, no library with threads.
"""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final, Protocol, TypeVar

from models.errors import PortolanError

#: Longest wait for the other process once this one has done its part.
PATIENCE_SECONDS: Final = 900

A = TypeVar("A")
B = TypeVar("B")


class Both(Protocol):
    """A way to do two things: `in_turn` or `forked`."""

    def __call__(self, aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
        """Results of both."""


def in_turn(aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
    """Do both in this process."""
    return aside(), here()


def forked(aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
    """
    Do one thing in a forked process while this process does the other.

    Parameters
    ----------
    aside
        Only computes; its result can be pickled. What it raises is raised here.
    here
        Done meanwhile. When it fails, the other one is ended.

    Raises
    ------
    PortolanError
        If the forked process was killed, or gives no answer.
    """
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1:
        return in_turn(aside, here)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sending, aside), daemon=True)
    process.start()
    sending.close()
    try:
        mine = here()
        if not receiving.poll(PATIENCE_SECONDS):
            raise PortolanError(f"a part of the run gave no answer within {PATIENCE_SECONDS} s")
        error, theirs = receiving.recv()
    except EOFError:
        process.join()
        raise PortolanError(
            f"a part of the run ended with exit code {process.exitcode} and no answer; -9 is what the kernel "
            "does where memory is short"
        ) from None
    finally:
        receiving.close()
        process.kill()
        process.join()
    if error is not None:
        raise error
    return theirs, mine


def _answer(sending: Connection, work: Callable[[], object]) -> None:
    """Body of the forked process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent hears it, too, and ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()  # a collection would touch, and so copy, everything that the parent holds
    try:
        answer = (None, work())
    except Exception as error:  # noqa: BLE001 - raised again where it is heard
        sending.send((error, None))
    else:
        sending.send(answer)
