"""A window without a proposal says why, whatever the reason was."""

from datetime import timedelta

import pytest

from jobs.infer import run_infer
from jobs.propose import propose
from models.errors import TooLittleEvidenceError
from models.synthesis.nothing import why_nothing
from tests.unit.synthesis.world import START, World


def test_nothing_is_said_where_something_is_proposed():
    """The reason belongs to an empty answer only."""
    world = World()
    world.edge(world.pod("shop", "web"), world.pod("shop", "api"))
    assert propose(world.observations()).why_nothing(None) == ""


def test_what_was_never_answered_is_told():
    """Everything went to a closed port."""
    world = World()
    world.edge(world.pod("shop", "web"), world.pod("shop", "api"), answered=0)
    why = propose(world.observations()).why_nothing(None)
    assert "none of its 2 workloads gets a policy: nothing that was forwarded was answered" in why
    assert "Nothing ever answered" in why


def test_another_namespace_is_not_spoken_of():
    """Who asked about one namespace hears of its workloads only."""
    world = World()
    world.edge(world.pod("shop", "web"), world.pod("shop", "api"))
    world.edge(world.pod("idle", "a"), world.pod("idle", "b"), answered=0)
    observations = world.observations()
    why = propose(observations, namespace="idle").why_nothing("idle")
    assert why.startswith("none of its 2 workloads gets a policy. 2 of them: No traffic that deserves a rule")
    assert propose(observations, namespace="gone").why_nothing("gone") == (
        "no flow of a workload in namespace gone lies in the window"
    )


def test_flows_without_labels_are_told_with_what_was_set_aside():
    """The commonest reasons come first, three of them."""
    why = why_nothing([], [], {"traced": 2, "multicast": 9, "error": 1, "debug": 5})
    assert why.endswith("policies select by labels; set aside: 9 multicast, 5 debug, 2 traced")


def test_an_empty_window_is_too_little():
    """It is no reason to withdraw anything."""

    class Silent:
        def observations(self, cluster, window):
            return World().observations()

    with pytest.raises(
        TooLittleEvidenceError, match=r"no flow of cluster prod lies between 2026-03-01 00:00"
    ):
        run_infer(Silent(), cluster="prod", as_of=START, window_length=timedelta(days=14))
