"""Concept drift: names that moved, roles that split or merge, calibration that is off; and what is none of it."""

import copy

import pytest

from models.drift.changed import Approved
from models.drift.distrust import MIN_LABELS, distrust
from models.drift.finding import Kind
from models.drift.regrouped import ProposedGroup, regrouped
from tests.unit.drift.nights import LAST, cluster, kinds, policies_of, policy, report

NAME = "api.partner.example.com"


def by_address(policies, *addresses, port="443"):
    """The policies with a rule by address in the one of web."""
    changed = copy.deepcopy(policies)
    entry = {
        "toCIDR": [f"{address}/32" for address in addresses],
        "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}]}],
    }
    policy(changed, "web")["spec"]["egress"].append(entry)
    return changed


def named_call(address, *, days=None, port=443, names=NAME):
    """A cluster whose web calls a name at an address every day until the last, and elsewhere on the last."""
    world, pods = cluster()
    policies = policies_of(world)
    world.to(pods["web"], "ip", "192.0.2.7", 443, names=NAME, days=range(LAST))
    world.to(pods["web"], "ip", address, port, names=names, days=[LAST] if days is None else days)
    return world, policies


def moved(made):
    """Findings that say that a name moved."""
    return [one for one in made.findings if "other addresses now" in one.why]


def test_a_name_whose_address_moved_is_told_with_the_rule_that_was_enough():
    """The call to the new address is uncovered; why, and that a rule by name follows, stand with it."""
    world, policies = named_call("198.51.100.9")
    made = report(world, by_address(policies, "192.0.2.7"))
    assert kinds(made) == ["uncovered"]
    (found,) = moved(made)
    assert "192.0.2.7/32" in found.why
    assert NAME in found.why
    assert "toFQDNs" in found.suggestion.text
    assert found.suggestion.patch[0]["value"]["toFQDNs"] == [{"matchName": NAME}]
    assert "portolan-web-" in found.rule


def test_the_key_of_a_finding_does_not_depend_on_why_it_is_uncovered():
    """A reviewer's decision stays attached when the explanation comes."""
    world, policies = named_call("198.51.100.9")
    keys = {
        report(world, deployed).findings[0].key("prod")
        for deployed in (by_address(policies, "192.0.2.7"), policies)
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("address", "port", "names", "rules"),
    [
        pytest.param("198.51.100.9", 443, NAME, (), id="there never was a rule"),
        pytest.param("198.51.100.9", 443, "other.example.org", ("192.0.2.7",), id="another name"),
        pytest.param("198.51.100.9", 443, "", ("192.0.2.7",), id="no name was seen"),
        pytest.param("192.0.2.7", 8443, NAME, ("192.0.2.7",), id="the same address on another port"),
    ],
)
def test_a_call_that_no_moved_name_explains_is_told_as_it_is(address, port, names, rules):
    """Uncovered and nothing more."""
    world, policies = named_call(address, port=port, names=names)
    made = report(world, by_address(policies, *rules) if rules else policies)
    assert "uncovered" in kinds(made)
    assert moved(made) == []


def test_a_rule_by_name_is_immune():
    """The address changed and nothing is to be said."""
    world, policies = named_call("198.51.100.9")
    changed = copy.deepcopy(policies)
    entry = {"toFQDNs": [{"matchName": NAME}], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
    policy(changed, "web")["spec"]["egress"].append(entry)
    assert report(world, changed).findings == ()


def approved(name, *workloads):
    """An approved policy of namespace shop."""
    manifest = {"kind": "CiliumNetworkPolicy", "metadata": {"namespace": "shop", "name": name}, "spec": {}}
    return Approved(manifest, tuple(f"Deployment/{one}" for one in workloads))


def group(name, *workloads, namespace="shop"):
    """Workloads of one newest proposal."""
    return ProposedGroup(namespace, name, tuple(f"Deployment/{one}" for one in workloads))


def test_a_role_that_splits_is_told_with_its_parts():
    """Approved as one, proposed apart."""
    (found,) = regrouped([approved("p", "a", "b", "c")], [group("ab", "a", "b"), group("c", "c")])
    assert (found.kind, found.detector) == (Kind.CHANGED, "role_split")
    assert found.merged == ("shop/ab", "shop/c")
    assert "Deployment/a, Deployment/b; Deployment/c" in found.why


def test_roles_that_merge_are_told_once():
    """Approved apart, proposed as one."""
    (found,) = regrouped([approved("p", "a"), approved("q", "b")], [group("ab", "a", "b")])
    assert found.detector == "role_merged"
    assert found.policy == ("CiliumNetworkPolicy/shop/p", "CiliumNetworkPolicy/shop/q")


@pytest.mark.parametrize(
    "proposed",
    [
        pytest.param([group("abc", "a", "b", "c")], id="as approved"),
        pytest.param([group("abcd", "a", "b", "c", "d")], id="a newcomer joined"),
        pytest.param([group("ab", "a", "b")], id="one is silent or gone"),
        pytest.param([], id="no inference"),
        pytest.param([group("ab", "a", "b"), group("c", "c", namespace="other")], id="of another namespace"),
    ],
)
def test_workloads_that_come_and_go_split_nothing(proposed):
    """Only two proposals that part what was approved as one say that it fell apart."""
    assert regrouped([approved("p", "a", "b", "c")], proposed) == []


def test_the_order_of_approvals_and_proposals_changes_nothing():
    """Splits and merges in the same words."""
    policies = [approved("p", "a", "b"), approved("q", "c"), approved("r", "d")]
    groups = [group("a", "a"), group("b", "b"), group("cd", "c", "d")]
    assert regrouped(policies, groups) == regrouped(policies[::-1], groups[::-1])
    assert len(regrouped(policies, groups)) == 2


def panel(**changes):
    """A calibration as the newest inference leaves it."""
    form = {
        "trustworthy": False,
        "labels": 2000,
        "p_need": {"ece": 0.2},
        "completeness": {"interval_coverage": 0.9},
    }
    return form | changes


@pytest.mark.parametrize(
    ("form", "said"),
    [
        pytest.param(panel(), "off by 20%", id="error"),
        pytest.param(
            panel(p_need={"ece": 0.01}, completeness={"interval_coverage": 0.6}), "only 60%", id="intervals"
        ),
    ],
)
def test_calibration_that_is_off_is_an_alarm(form, said):
    """One finding about the cluster, of a kind that says that too little is known."""
    (found,) = distrust(form)
    assert (found.kind, found.detector) == (Kind.UNKNOWN, "calibration_off")
    assert said in found.why


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(None, id="never inferred"),
        pytest.param(panel(trustworthy=None), id="nothing held out"),
        pytest.param(panel(trustworthy=True), id="within its limits"),
        pytest.param(panel(labels=MIN_LABELS - 1), id="too few forecasts"),
        pytest.param(panel(labels=400, p_need={"ece": 0.1}), id="within its noise"),
        pytest.param(
            panel(p_need={"ece": None}, completeness={"interval_coverage": None}), id="no figures at all"
        ),
    ],
)
def test_calibration_that_may_be_right_is_no_alarm(form):
    """A figure within its own noise says nothing."""
    assert distrust(form) == []


def test_a_report_holds_what_the_newest_inference_says():
    """Both ways into the report, beside a night on which nothing else happened."""
    world, _ = cluster()
    policies = policies_of(world)
    made = report(world, policies, calibration=panel())
    assert [one.detector for one in made.findings] == ["calibration_off"]
