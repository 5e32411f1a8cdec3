"""A run over worlds ends with a clear message, whatever happens in a worker."""

import os
from dataclasses import replace

import pytest

from jobs.evaluation.drift_tables import WorldFailedError, run_worlds
from jobs.evaluation.parameters import world_list


class Deadly:
    """A world whose worker is gone before it begins, as one that ran out of memory."""

    name = "deadly"

    def __getstate__(self):
        return {"armed": True}

    def __setstate__(self, state):
        os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_world_that_fails_is_named(workers):
    """In this process and from another one."""
    (world,) = world_list("quick")
    broken = replace(world, name="broken", seed=-1)
    with pytest.raises(WorldFailedError, match="'broken'"):
        run_worlds([broken], workers)


def test_a_worker_that_dies_is_said():
    """No traceback, no silence: what happened, and what to try."""
    with pytest.raises(WorldFailedError, match="--workers 1"):
        run_worlds([Deadly(), Deadly()], 2)
