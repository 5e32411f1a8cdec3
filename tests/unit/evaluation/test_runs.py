"""Workloads that run: other pods and other labels each day, and judged by runs that nobody has seen."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.evaluation.measures import measure
from jobs.evaluation.proposers import Portolan
from jobs.evaluation.protocol import hints_of
from jobs.evaluation.render import observe
from jobs.evaluation.runs import TOOLS
from jobs.evaluation.truth import NEW_RUN, classified
from jobs.evaluation.world import NO_LABELS
from tests.unit.evaluation.small import SMALL, small_world

RUNNING = replace(SMALL, name="running", runs=2 * len(TOOLS))


@pytest.fixture(scope="module")
def world():
    return small_world(RUNNING)


def runs(world):
    return [(number, one) for number, one in enumerate(world.workloads) if one.run is not None]


def test_each_tool_runs_with_labels_and_pods_of_its_own(world):
    """No label set and no pod is of two days."""
    assert {one.run.tool for _, one in runs(world)} == set(TOOLS)
    pods = observe(world, 0, 14).pods
    for number, one in runs(world):
        sets = world.label_set_of[number]
        there = np.flatnonzero(sets != NO_LABELS)
        assert there.tolist() == list(one.run.days)
        assert len(set(sets[there])) == len(there)
        keys = {world.label_sets[int(n)].key for n in sets[there[there < 14]]}
        own = pods[pods["label_key"].isin(keys)]
        assert own["pod"].nunique() == len(keys) == len(own)
        assert (own["last_us"] - own["first_us"] < one.run.hours * 3600 * 1_000_000).all()


def test_owners_are_named_where_a_tool_makes_them(world):
    """A workflow, a task and a Job own their pods, new ones each time; the others are bare."""
    shown = observe(world, 0, 14).pods
    kinds = {}
    for number, one in runs(world):
        keys = {world.label_sets[int(n)].key for n in world.label_set_of[number] if n != NO_LABELS}
        own = shown[shown["label_key"].isin(keys)]
        if world.owned[number] and len(own):
            kinds[one.run.tool] = set(own["workload_kind"])
            assert own.loc[own["workload"] != "", "workload"].is_unique
    owners = {"argo": "Workflow", "tekton": "TaskRun", "job": "Job"}
    assert set(owners) & set(kinds)
    assert kinds == {tool: {owners.get(tool, "")} for tool in kinds}


def test_what_runs_again_is_a_new_run(world):
    """What was seen of earlier runs is no use with the labels of a later one; what was never seen stays rare."""
    later = classified(world, 0, 14, 28)
    links = {n for n, one in enumerate(world.links) if one.client >= 0 and world.workloads[one.client].run}
    own = later[later["link"].isin(links)]
    assert set(own.loc[own["known"], "truth"]) == {NEW_RUN}
    assert NEW_RUN not in set(own.loc[~own["known"], "truth"])
    assert not (later.loc[~later["link"].isin(links), "truth"] == NEW_RUN).any()


def test_policies_admit_the_runs_of_tools_that_are_known(world):
    """Their labels say what runs, so tomorrow's pods are selected by what today's had in common."""
    made = Portolan()(observe(world, 0, 14), "balanced", hints_of(world))
    counts = {
        (metric, part): (hits, total) for metric, part, hits, total in measure(world, made, 0, 14).counts
    }
    admitted, all_runs = counts["newcomers_admitted", "new run"]
    assert all_runs > 20
    assert admitted >= 0.95 * all_runs
