"""What a command loads before it does anything: the libraries of learning take seconds."""

import subprocess
import sys

import pytest

from service.cli import COMMANDS

#: Commands that learn, or read a window as who learns does, from their first step on.
LEARNING = {"check", "demo", "drift", "evaluate", "explain", "serve", "simulate"}


@pytest.mark.parametrize("module", sorted({COMMANDS[name][0] for name in COMMANDS.keys() - LEARNING}))
def test_nobody_waits_for_libraries_of_learning(module):
    """Inference loads them while it folds; who reads flows or proposals never does."""
    code = f"import sys, service.commands.{module}; print(sorted({{'sklearn', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
