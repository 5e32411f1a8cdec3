"""Drift of a policy that is deployed in parts: compared as the whole that it is."""

import copy

import pytest

from models.drift.changed import Approved
from models.drift.finding import Severity
from models.manifest import validate
from models.manifest.lists import opened
from tests.unit.drift.nights import DAYS, cluster, policies_of, report

LIMIT = 5_000
EXTRA = {"toEntities": ["world"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}


@pytest.fixture(scope="module")
def world():
    """The small cluster, in which ``web`` calls sixty more workloads every day."""
    world, pods = cluster(DAYS)
    for number in range(60):
        world.edge(pods["web"], world.pod("billing", f"service-{number:02}"))
    return world


@pytest.fixture(scope="module")
def manifests(world):
    """What is proposed where objects must be small; one of them in parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "MAX_OBJECT_BYTES", LIMIT)
        return policies_of(world)


def parts_of(manifests):
    """The parts of the policy that has any."""
    (split,) = [one for one in manifests if one["kind"] == "List"]
    return split["items"]


def told(world, manifests, deployed):
    """What a report says of policies, the manifests being approved."""
    workloads = {one["kind"]: ("Deployment/web",) for one in manifests if one["kind"] == "List"}
    approved = [Approved(one, workloads.get(one["kind"], ())) for one in manifests]
    return report(world, deployed, approved=approved)


def changes(made):
    """Detector and policy of the findings."""
    return [(one.detector, one.about.rpartition("/")[2]) for one in made.findings]


def test_trap_L5_a_policy_deployed_in_parts_is_as_approved(world, manifests):
    """Applied as the list or as its members, nothing has drifted, and the traffic is covered."""
    members = [copy.deepcopy(dict(one)) for manifest in manifests for one in opened(manifest)]
    assert len(parts_of(manifests)) > 1
    for deployed in (manifests, members):
        made = told(world, manifests, deployed)
        assert changes(made) == []
        assert made.counts["as_approved"] == len(members)


def test_trap_L5_a_rule_that_stands_in_another_part_is_no_change(world, manifests):
    """Nor is a part that its rules have left."""
    deployed = copy.deepcopy(manifests)
    first, *others = parts_of(deployed)
    for part in others:
        first["spec"].setdefault("egress", []).extend(part["spec"].pop("egress", []))
        first["spec"].setdefault("ingress", []).extend(part["spec"].pop("ingress", []))
    first["spec"] = {key: found for key, found in first["spec"].items() if found != []}
    parts_of(deployed)[:] = [first]
    assert changes(told(world, manifests, deployed)) == []


def test_trap_L5_a_part_that_is_edited_or_gone_is_told_by_its_name(world, manifests):
    """With what is wrong in it alone, and with it alone to put back."""
    approved = parts_of(manifests)
    last = approved[-1]["metadata"]["name"]
    edited = copy.deepcopy(manifests)
    parts_of(edited)[-1]["spec"]["egress"].append(EXTRA)
    (finding,) = told(world, manifests, edited).findings
    assert (finding.detector, finding.about.rpartition("/")[2]) == ("edited", last)
    assert [text[0] for text in finding.merged] == ["+"]
    assert finding.suggestion.manifest == approved[-1]
    gone = copy.deepcopy(manifests)
    parts_of(gone).pop()
    found = {one.detector: one for one in told(world, manifests, gone).findings}
    assert found["not_deployed"].about.endswith(last)
    assert found["not_deployed"].suggestion.manifest == approved[-1]


def test_trap_L5_a_part_of_an_earlier_version_is_told_where_it_still_allows_something(world, manifests):
    """Applying fewer parts deletes none; a part with nothing of its own is no news, nor is another's policy."""
    deployed = copy.deepcopy(manifests)
    parts = parts_of(deployed)
    left = copy.deepcopy(parts[-1])
    base = parts[0]["metadata"]["name"]
    left["metadata"]["name"] = f"{base}-{len(parts) + 1}"
    parts.append(left)
    assert changes(told(world, manifests, deployed)) == []
    left["spec"]["egress"] = [EXTRA]
    (finding,) = [one for one in told(world, manifests, deployed).findings if one.kind.value == "changed"]
    assert (finding.detector, finding.severity) == ("part_left_over", Severity.CRITICAL)
    assert finding.about.endswith(left["metadata"]["name"])
    assert finding.suggestion.action == "remove_policy"
    left["metadata"]["annotations"] = {}
    assert "part_left_over" not in [name for name, _ in changes(told(world, manifests, deployed))]


def test_trap_L5_parts_without_default_deny_are_staged(world, manifests):
    """A shadow export before the enforcing one."""
    deployed = copy.deepcopy(manifests)
    for policy in (one for manifest in deployed for one in opened(manifest)):
        ways = [way for way in ("ingress", "egress") if way in policy["spec"]]
        policy["spec"]["enableDefaultDeny"] = dict.fromkeys(ways, False)
    made = told(world, manifests, deployed)
    assert "edited" not in [name for name, _ in changes(made)]
    assert made.counts["staged"] == sum(1 for manifest in manifests for _ in opened(manifest))
