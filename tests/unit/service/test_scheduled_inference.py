"""The nightly inference in a process that serves: in one process, with the collector of garbage as it was."""

import gc

import pytest

from jobs import beside
from jobs.garbage import uncollected
from jobs.schedule import Scheduler
from models.errors import BadInputError
from service import scheduling
from service.runs import inference
from service.runs.inference import InferOptions, infer
from service.runs.service import Start
from tests.unit.service.nights import Clock, observed, opened


class Kept(Scheduler):
    """Keeps what is planned instead of waiting for the night."""

    def __init__(self):
        super().__init__(Clock())
        self.jobs = {}

    def add(self, job):
        self.jobs[job.name] = job


@pytest.fixture
def ways(monkeypatch):
    """In how many processes each inference was asked to work."""
    found = []

    def seen(portolan, options, config, cluster, cron_jobs, *, both):
        found.append((both, gc.isenabled()))
        return inferred(portolan, options, config, cluster, cron_jobs, both=both)

    inferred = inference._infer_cluster
    monkeypatch.setattr(inference, "_infer_cluster", seen)
    return found


def test_a_process_with_threads_does_not_fork(tmp_path, ways):
    """What another thread holds locked would stay locked in the fork; a command has no other thread."""
    data, scheduler = observed(tmp_path, days=2), Kept()
    with opened(data) as portolan:
        scheduling.plan_jobs(portolan, scheduler)
        scheduler.jobs["infer"].work(Clock().now)
        infer(portolan, InferOptions(), Start("cli"))
    assert ways == [(beside.in_turn, False), (beside.forked, False)]
    assert gc.isenabled()


def test_garbage_is_looked_for_again_whatever_happened():
    """A server lives on after a run that failed."""

    @uncollected()
    def failing():
        raise BadInputError(f"collected: {gc.isenabled()}")

    with pytest.raises(BadInputError, match="collected: False"):
        failing()
    assert gc.isenabled()


def test_who_looks_for_no_garbage_is_left_alone():
    """It was somebody's decision."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
