"""Rollouts from the names of pods: when a template changed, and when there were merely two of them."""

import pandas as pd
import pytest

from models.domain.capabilities import CapabilityHints
from models.frames import PODS
from models.learning.screening_features import Surroundings
from models.synthesis.edges import fold_edges
from models.synthesis.rollouts import rollouts
from models.synthesis.surroundings import surroundings
from models.synthesis.view import cluster_view
from tests.unit.synthesis.world import World

HOUR_US = 3_600_000_000
DAY = 24
#: Templates; hashes of Kubernetes have no vowels.
OLD, NEW, NEXT = "6d4cf56db6", "7bcd94fd89", "8f9dgh24b7"


def pods(*spans, kind="Deployment", owner="shop/Deployment/web") -> pd.DataFrame:
    """Pods of one workload from (name, first hour, last hour)."""
    rows = [
        {
            "cluster": "prod",
            "namespace": "shop",
            "pod": name,
            "label_key": "0011",
            "workload": "web",
            "workload_kind": kind,
            "first_us": int(first * HOUR_US),
            "last_us": int(last * HOUR_US),
        }
        for name, first, last in spans
    ]
    return pd.DataFrame(rows).astype(PODS).assign(owner=owner)


def hours(frame: pd.DataFrame) -> list[float]:
    """Hours of the rollouts of the only workload."""
    ((_, times),) = rollouts(frame).items()
    return [time / HOUR_US for time in times]


def test_a_template_that_replaced_another_is_a_rollout():
    """The new pods come before the last old one is gone."""
    found = pods(
        (f"web-{OLD}-aaaaa", 0, 100.1),
        (f"web-{OLD}-bbbbb", 2, 100.2),
        (f"web-{NEW}-ccccc", 100, 300),
        (f"web-{NEW}-ddddd", 100.2, 300),
    )
    assert hours(found) == [100]


def test_a_rollout_on_the_first_day_shows_because_the_old_template_is_gone():
    """Nobody had watched for a day."""
    assert hours(pods((f"web-{OLD}-aaaaa", 0, 9.2), (f"web-{NEW}-bbbbb", 9, 300))) == [9]


def test_new_pods_of_one_template_are_no_rollout():
    """Nodes are drained and replicas added."""
    assert hours(pods((f"web-{OLD}-aaaaa", 0, 100), (f"web-{OLD}-bbbbb", 101, 300))) == []


def test_two_deployments_under_one_label_set_have_two_templates_and_no_rollout():
    """Nor where the second is first heard of days later: it may be quiet."""
    merged = "legacy/Deployment/exporter+Deployment/importer"
    assert hours(
        pods((f"exporter-{OLD}-aaaaa", 0, 300), (f"importer-{NEW}-bbbbb", 0.4, 300), owner=merged)
    ) == []  # fmt: skip
    assert hours(
        pods((f"exporter-{OLD}-aaaaa", 0, 300), (f"importer-{NEW}-bbbbb", 70, 300), owner=merged)
    ) == []  # fmt: skip


def test_a_rollout_of_one_of_two_merged_deployments_is_one():
    """Whose it was, no policy can tell."""
    found = pods(
        (f"exporter-{OLD}-aaaaa", 0, 300),
        (f"importer-{NEW}-bbbbb", 0.4, 150),
        (f"importer-{NEXT}-ccccc", 150, 300),
    )
    assert hours(found) == [150]


@pytest.mark.parametrize("second", ["web", "web-canary"])
def test_trap_F13_a_canary_from_the_start_is_no_rollout(second):
    """Two templates for good, of one Rollout or of two Deployments; new pods of either change nothing."""
    found = pods(
        (f"web-{OLD}-aaaaa", 0, 100),
        (f"web-{OLD}-bbbbb", 100.5, 300),
        (f"{second}-{NEW}-ccccc", 6, 200),
        (f"{second}-{NEW}-ddddd", 201, 300),
    )
    assert hours(found) == []


@pytest.mark.parametrize("second", ["web", "web-canary"])
def test_trap_F13_a_canary_that_begins_in_the_window_is_a_rollout(second):
    """The old template stays beside it."""
    assert hours(pods((f"web-{OLD}-aaaaa", 0, 300), (f"{second}-{NEW}-bbbbb", 2 * DAY, 300))) == [2 * DAY]


@pytest.mark.parametrize("names", [("web", "web"), ("web-blue", "web-green")])
def test_trap_F13_a_flip_from_blue_to_green_is_a_rollout(names):
    """The old half is kept for hours, for the way back."""
    blue, green = names
    found = pods((f"{blue}-{OLD}-aaaaa", 0, 105), (f"{green}-{NEW}-bbbbb", 100, 300))
    assert hours(found) == [100]


def test_trap_F13_blue_and_green_side_by_side_are_no_rollout_until_one_gets_a_template():
    """Both are there from the start; then blue is deployed anew and green stays."""
    still = [(f"web-blue-{OLD}-aaaaa", 0, 150), (f"web-green-{NEW}-bbbbb", 0.5, 300)]
    assert hours(pods(*still)) == []
    assert hours(pods(*still, (f"web-blue-{NEXT}-ccccc", 150, 300))) == [150]


def test_a_rollback_to_an_old_template_is_a_rollout():
    """New pods of the template that was there before, and the ones that had replaced it are gone."""
    found = pods(
        (f"web-{OLD}-aaaaa", 0, 100.1),
        (f"web-{NEW}-bbbbb", 100, 150.1),
        (f"web-{OLD}-ccccc", 150, 300),
    )
    assert hours(found) == [100, 150]


def test_an_old_template_beside_the_new_one_is_no_rollback():
    """As a canary that ended and is tried again would be; nothing gave way."""
    found = pods(
        (f"web-{OLD}-aaaaa", 0, 100.1),
        (f"web-{NEW}-bbbbb", 100, 300),
        (f"web-{OLD}-ccccc", 150, 300),
    )
    assert hours(found) == [100]


def test_pods_whose_names_tell_no_template_are_of_workloads_without_known_rollouts():
    """Not known is another answer than none; a CronJob's minute may look like a hash."""
    assert rollouts(pods(("db-0", 0, 100), ("db-0", 101, 300), kind="StatefulSet")) == {}
    assert rollouts(pods(("agent-x2xvz", 0, 100), ("agent-b2xvz", 101, 300), kind="DaemonSet")) == {}
    assert rollouts(pods((f"log-{OLD}-x2xvz", 0, 9), (f"log-{NEW}-b2xvz", 9, 300), kind="DaemonSet")) == {}
    runs = [("report-29456785-x2xvz", 0, 1), ("report-29458225-b2xvz", 24, 25)]
    assert rollouts(pods(*runs, kind="CronJob")) == rollouts(pods(*runs, kind="")) == {}
    assert rollouts(pods((f"web-{OLD}-aaaaa", 0, 300))) == {"shop/Deployment/web": ()}


def test_the_order_of_pods_changes_nothing():
    """Late batches come in any order."""
    found = pods(
        (f"web-{OLD}-aaaaa", 0, 100.1), (f"web-{NEW}-bbbbb", 100, 150.1), (f"web-{OLD}-ccccc", 150, 300)
    )
    for seed in range(5):
        assert rollouts(found.sample(frac=1, random_state=seed)) == rollouts(found)


def seen(world: World) -> Surroundings:
    """Surroundings of a world."""
    observations = world.observations()
    view = cluster_view(observations, fold_edges(observations).edges, CapabilityHints(), "balanced")
    return surroundings(observations, view)


def test_two_deployments_that_cannot_be_told_apart_bring_no_new_image():
    """The evidence of a release is not given for what was there all along."""
    world = World()
    labels = {"app": "batch"}
    world.pod("legacy", "exporter", labels, pod_names=[f"exporter-{OLD}-aaaaa"])
    world.pod("legacy", "importer", labels, pod_names=[f"importer-{NEW}-bbbbb"], days=range(1, world.days))
    web = world.pod("shop", "web", pod_names=[f"web-{OLD}-aaaaa"], days=range(5))
    world.pod("shop", "web", pod_names=[f"web-{NEW}-bbbbb"], days=range(5, world.days))
    world.edge(web, world.pod("shop", "api"))
    around = seen(world)
    (rolled,) = around.new_images
    assert rolled.endswith("shop/Deployment/web")
    assert around.rolled_out[rolled] == (world.at(5),)
    assert len(around.rolled_out) == 2
