"""Two things at a time: the results of both, and a clear word when one of them is lost."""

import os
import signal
import time

import pytest

from jobs.beside import forked, in_turn
from models.errors import BadInputError, PortolanError


@pytest.mark.parametrize("both", [in_turn, forked])
def test_both_results_come_back(both) -> None:
    """In the order in which they were asked for, and whole however large."""
    big = "x" * 5_000_000
    assert both(lambda: big + "aside", lambda: "here") == (big + "aside", "here")


def test_one_of_them_works_elsewhere() -> None:
    """Or a second core would be of no use; what it changes in memory is not seen here."""
    seen: list[int] = []
    aside, here = forked(lambda: (seen.append(1), os.getpid())[1], os.getpid)
    assert aside != here == os.getpid()
    assert not seen


@pytest.mark.parametrize("both", [in_turn, forked])
def test_what_one_raises_is_raised(both) -> None:
    """As if there were one process only."""

    def wrong() -> None:
        raise BadInputError("the seventh proposal")

    with pytest.raises(BadInputError, match="the seventh proposal"):
        both(wrong, lambda: None)


def test_a_killed_process_is_said() -> None:
    """As the kernel kills it where memory is short; the run ends with a sentence and does not hang."""
    with pytest.raises(PortolanError, match="exit code -9"):
        forked(lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: None)


def test_what_cannot_come_back_is_said() -> None:
    """A result that cannot be pickled is a mistake of ours, and no reason to wait for ever."""
    with pytest.raises(PortolanError, match="exit code 1"):
        forked(lambda: lambda: None, lambda: None)


def test_nothing_is_left_running(tmp_path) -> None:
    """When this side fails, the other one is ended."""
    number = tmp_path / "pid"

    def endless() -> None:
        number.write_text(str(os.getpid()))
        time.sleep(600)

    def failing() -> None:
        while not number.exists() or not number.read_text():
            time.sleep(0.01)
        raise BadInputError("here")

    with pytest.raises(BadInputError, match="here"):
        forked(endless, failing)
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
