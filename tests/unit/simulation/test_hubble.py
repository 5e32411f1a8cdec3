"""Hubble records as questions, in the spellings of log stores too."""

import pytest

from jobs.policy_files import MAX_DEPTH, check_objects
from models.domain.policy import Direction
from models.errors import BadInputError
from models.simulation.context import PolicyFlow, Side, config_for
from models.simulation.hubble import flow_to_policyflow

FLOW = {
    "verdict": "FORWARDED",
    "is_reply": False,
    "traffic_direction": "EGRESS",
    "l4": {"TCP": {"destination_port": 443}},
    "source": {"labels": ["k8s:app=a"]},
    "destination": {"labels": ["reserved:world"]},
}


@pytest.mark.parametrize(("said", "asked"), [("false", True), (False, True), ("True", False), (True, False)])
def test_truth_values_that_a_log_store_turned_into_words_still_count(said, asked):
    """Azure Monitor writes is_reply as text; a reply is never asked."""
    found = flow_to_policyflow(FLOW | {"is_reply": said})
    assert (found.question is not None) is asked


@pytest.mark.parametrize(("said", "meant"), [(1, Direction.INGRESS), (2, Direction.EGRESS), (0, None)])
def test_a_direction_may_be_a_number(said, meant):
    """Protobuf enums come as numbers from some pipelines."""
    question = flow_to_policyflow(FLOW | {"traffic_direction": said}).question
    assert question is not None
    assert question.direction is meant


@pytest.mark.parametrize("key", ["verdict", "traffic_direction", "drop_reason_desc", "drop_reason"])
@pytest.mark.parametrize("value", [[], {}, [1], {"a": []}])
def test_a_wrong_type_is_no_traceback(key, value):
    """Whatever stands there, there is an answer."""
    assert flow_to_policyflow(FLOW | {"verdict": "DROPPED"} | {key: value}).hubble in {"other", "denied"}


def test_without_cluster_labels_peers_mean_any_cluster():
    """Pipelines that cut the label must not make every allow look like a denial."""
    bare = PolicyFlow(Direction.INGRESS, Side(("k8s:app=a",)), Side(("k8s:app=b",)))
    assert config_for(bare, "1.20").peer_cluster is None
    named = PolicyFlow(
        Direction.INGRESS, Side(("k8s:app=a",)), Side(("k8s:io.cilium.k8s.policy.cluster=blue",))
    )
    assert config_for(named, "1.20").peer_cluster == "blue"
    assert config_for(named, "1.18").peer_cluster is None


def test_decoded_objects_are_held_to_the_limits_of_files():
    """Depth that no policy needs is refused before anything walks it."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadInputError, match=str(MAX_DEPTH)):
        check_objects([deep])
    check_objects([{"a": [1, {"b": "c"}]}])
