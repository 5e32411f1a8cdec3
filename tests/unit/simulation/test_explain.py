"""Explanations name the rule, and every change offered has been tried."""

import copy
import shlex
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.manifest.validate import problems
from models.simulation.changes import apply_patch
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.explain import explain
from models.simulation.verdict import evaluate
from tests.strategies_policy import flows, policy_objects
from tests.unit.simulation.test_unknown import API, CONFIG, WEB, egress

PAY = Side(("k8s:app=pay", "k8s:pod-template-hash=5f", "k8s:io.kubernetes.pod.namespace=pay"), named_ports=())


def explained(policy: dict[str, Any], destination: Side, protocol: str = "TCP", port: int = 443, l7=None):
    """Explain web's egress."""
    flow = PolicyFlow(Direction.EGRESS, WEB, destination, protocol, port, l7)
    return explain(parse_objects([policy], config=CONFIG), flow, CONFIG)


def test_a_default_deny_gets_one_rule_for_this_peer_and_port() -> None:
    """The smallest change is one entry, without labels that change at the next rollout."""
    found = explained(egress({"toEndpoints": [{"matchLabels": {"app": "api"}}]}), PAY)
    assert [str(ref) for ref in found.selecting[Direction.EGRESS]] == ["CiliumNetworkPolicy/shop/p"]
    change = found.changes[Direction.EGRESS]
    assert change is not None
    assert change.patch == (
        {
            "op": "add",
            "path": "/spec/egress/-",
            "value": {
                "toEndpoints": [
                    {"matchLabels": {"k8s:app": "pay", "k8s:io.kubernetes.pod.namespace": "pay"}}
                ],
                "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
            },
        },
    )


def test_the_rule_goes_to_the_narrowest_policy_that_closes_the_end() -> None:
    """One in a policy for everybody would open everybody, and one that closes nothing was not asked."""
    narrow = egress({"toEndpoints": [{"matchLabels": {"app": "api"}}]})
    everybody = copy.deepcopy(narrow)
    everybody["metadata"]["name"] = "a-default-deny"
    everybody["spec"]["endpointSelector"] = {}
    open_to_all = copy.deepcopy(narrow)
    open_to_all["metadata"]["name"] = "a-visibility"
    open_to_all["spec"]["enableDefaultDeny"] = {"egress": False}
    policies = parse_objects([everybody, open_to_all, narrow], config=CONFIG)
    flow = PolicyFlow(Direction.EGRESS, WEB, PAY, "TCP", 443)
    change = explain(policies, flow, CONFIG).changes[Direction.EGRESS]
    assert change is not None
    assert str(change.policy) == "CiliumNetworkPolicy/shop/p"


def test_an_explicit_deny_is_taken_out_only_as_such() -> None:
    """An allow cannot help against a deny, so the change names the deny."""
    policy = egress({"toEntities": ["all"]}, egressDeny=[{"toCIDR": ["10.0.0.0/8"]}])
    found = explained(policy, Side(ip="10.1.2.3", names=()))
    assert [rule.path for rule in found.decision.rules] == ["egressDeny[0]"]
    change = found.changes[Direction.EGRESS]
    assert change is not None
    assert change.patch == ({"op": "remove", "path": "/spec/egressDeny/0"},)
    assert "deny" in change.because


def test_a_refused_request_is_admitted_literally() -> None:
    """The path is escaped: a dot is a dot, and nothing else gets through."""
    rules = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"path": "/a"}]}}]}
    request = HttpRequest("GET", "/v1.0/x?a=b", "h", {})
    found = explained(
        egress({"toEndpoints": [{"matchLabels": {"app": "api"}}], **rules}), API, port=80, l7=request
    )
    change = found.changes[Direction.EGRESS]
    assert change is not None
    assert change.patch[0]["value"] == {"method": "GET", "path": "/v1\\.0/x\\?a=b"}


def test_a_refused_question_is_admitted_by_name() -> None:
    """One name, not a pattern."""
    rules = {
        "toPorts": [
            {"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchName": "a.com"}]}}
        ]
    }
    found = explained(
        egress({"toEndpoints": [{}], **rules}), API, protocol="UDP", port=53, l7=DnsQuestion("B.com.")
    )
    change = found.changes[Direction.EGRESS]
    assert change is not None
    assert change.patch[0]["value"] == {"matchName": "b.com"}


def test_hostile_labels_cannot_leave_their_argument() -> None:
    """A label is data: quoted for the shell and bound to its flag."""
    hostile = Side(
        ("k8s:app=x; rm -rf $HOME", "k8s:-o=json", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=()
    )
    flow = PolicyFlow(Direction.EGRESS, WEB, hostile, "TCP", 443)
    found = explain(parse_objects([egress({})], config=CONFIG), flow, CONFIG)
    for command in found.commands:
        words = shlex.split(command)
        assert words[0] in {"kubectl", "hubble"}
        assert not {"rm", "-rf", "-o", "-o=json"} & set(words)


def test_a_gap_in_the_flow_offers_no_change() -> None:
    """Unknown is not denied."""
    found = explained(egress({"toFQDNs": [{"matchName": "a.com"}]}), Side(ip="192.0.2.1"))
    assert found.decision.verdict is Verdict.UNKNOWN
    assert found.changes == {}


@settings(max_examples=60, deadline=None)
@given(policy_objects(3), flows(), st.sampled_from(["1.17", "1.19"]))
def test_every_change_offered_allows_the_flow_and_is_valid(objects, flow, version) -> None:
    """The patched manifest passes validation and the evaluator allows the flow."""
    config = AgentConfig(cilium_version=version)
    policies = parse_objects(objects, config=config)
    found = explain(policies, flow, config)
    if found.decision.verdict is not Verdict.DENY:
        assert found.changes == {}
    sources = dict(policies.sources)
    for direction, change in found.changes.items():
        if change is not None:
            sources[change.policy] = apply_patch(sources[change.policy], change.patch)
            assert not problems(sources[change.policy], config=config)
            patched = parse_objects(list(sources.values()), config=config)
            assert evaluate(patched, replace(flow, direction=direction), config).verdict is Verdict.ALLOW
    if found.changes and None not in found.changes.values():
        patched = parse_objects(list(sources.values()), config=config)
        assert evaluate(patched, flow, config).verdict is not Verdict.DENY
