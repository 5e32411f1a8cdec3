"""How the process of a command ends."""

import subprocess
import sys

MAIN = "import atexit, sys; from service import cli; cli.run = {run}; cli.main(['infer'])"


def _ended(run: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", MAIN.format(run=run)], capture_output=True, text=True, check=False
    )


def test_what_is_to_be_closed_at_the_end_is_closed_and_the_exit_code_stays():
    """Only the interpreter's own dismantling is left out."""
    ended = _ended("lambda _: atexit.register(print, 'closed') and 3")

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "closed\n", "")


def test_nothing_is_taken_apart_after_that():
    """An object that says so when it goes is not heard."""
    ended = _ended(
        "lambda _: setattr(sys, 'kept', type('Kept', (), {'__del__': lambda _: print('gone')})()) or 0"
    )

    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_mistake_of_our_own_ends_with_its_traceback():
    """Python's exit code of an exception is left as it is."""
    ended = _ended("lambda _: 1 / 0")

    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr
