"""What a flow does not say leads to "unknown" where it matters, and only there."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.manifest.parse import parse_objects
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow, Side, TlsHello
from models.simulation.decision import Verdict
from models.simulation.verdict import evaluate
from tests.strategies_policy import flows, policy_objects

WEB = Side(("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=())
API = Side(("k8s:app=api", "k8s:io.kubernetes.pod.namespace=shop"), named_ports=())
CONFIG = AgentConfig(cilium_version="1.18")


def cnp(name: str = "p", **spec: Any) -> dict[str, Any]:
    """A CiliumNetworkPolicy of namespace shop."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}} | spec,
    }


def egress(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A policy for web with egress entries."""
    return cnp(egress=list(entries), **more)


def ask(
    policy: dict[str, Any], destination: Side, protocol: str | None = "TCP", port: int | None = 443, l7=None
):
    """Decide web's egress to a destination."""
    flow = PolicyFlow(Direction.EGRESS, WEB, destination, protocol, port, l7)
    return evaluate(parse_objects([policy], config=CONFIG), flow, CONFIG)


PORT = {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}


@pytest.mark.parametrize(
    ("policy", "destination", "protocol", "port", "says"),
    [
        (
            egress({"toEndpoints": [{"matchLabels": {"app": "api"}}]}),
            Side(),
            "TCP",
            443,
            "identity of the peer",
        ),
        (egress({"toCIDR": ["10.0.0.0/8"]}), Side(("reserved:world",)), "TCP", 443, "address of the peer"),
        (egress({"toFQDNs": [{"matchName": "a.com"}]}), Side(ip="192.0.2.1"), "TCP", 443, "DNS names"),
        (egress({"toEntities": ["world"], **PORT}), Side(ip="192.0.2.1"), None, 443, "the port"),
        (egress({"toEntities": ["world"], **PORT}), Side(ip="192.0.2.1"), "TCP", None, "the port"),
        (
            egress({"toEndpoints": [{}], "toPorts": [{"ports": [{"port": "http", "protocol": "TCP"}]}]}),
            Side(API.labels),
            "TCP",
            80,
            "named ports",
        ),
        (
            egress({"toGroups": [{"aws": {"region": "eu"}}]}),
            Side(ip="192.0.2.1"),
            "TCP",
            443,
            "security groups",
        ),
        (egress({"toServices": [{"k8sService": {"serviceName": "x"}}]}), API, "TCP", 443, "not known here"),
        (
            egress({"toCIDRSet": [{"cidrGroupRef": "corp"}]}),
            Side(ip="192.0.2.1"),
            "TCP",
            443,
            "CiliumCIDRGroup",
        ),
    ],
)
def test_a_missing_part_that_matters_is_named(policy, destination, protocol, port, says) -> None:
    """The answer is unknown and the reason names what would have to be known."""
    decision = ask(policy, destination, protocol, port)
    assert decision.verdict is Verdict.UNKNOWN
    assert says in decision.reason
    assert "CiliumNetworkPolicy/shop/p" in decision.reason


def test_a_missing_part_that_cannot_matter_is_no_doubt() -> None:
    """Another rule decides, whatever the missing name is."""
    policy = egress({"toFQDNs": [{"matchName": "a.com"}]}, {"toEntities": ["world"]})
    assert ask(policy, Side(ip="192.0.2.1")).verdict is Verdict.ALLOW


def test_a_deny_that_may_match_makes_an_allow_unknown() -> None:
    """An allow is only sure when no deny may apply."""
    policy = egress({"toEntities": ["world"]}, egressDeny=[{"toCIDR": ["10.0.0.0/8"]}])
    assert ask(policy, Side(("reserved:world",))).verdict is Verdict.UNKNOWN
    assert ask(policy, Side(ip="192.0.2.1")).verdict is Verdict.ALLOW


def test_an_unknown_subject_is_only_open_without_policies() -> None:
    """Without labels nobody can say which policies select the subject."""
    flow = PolicyFlow(Direction.EGRESS, Side(), API, "TCP", 443)
    assert evaluate(parse_objects([]), flow).verdict is Verdict.ALLOW
    assert evaluate(parse_objects([egress({})]), flow).verdict is Verdict.UNKNOWN


def test_an_unknown_field_is_named_and_never_guessed() -> None:
    """A field of a newer Cilium may mean anything, for the subjects of that rule."""
    policy = cnp(ingress=[{"fromEndpoints": [{}]}], priority=3)
    parsed = parse_objects([policy], config=CONFIG)
    assert parsed.rejected[0].reasons == ("spec.priority: unknown field",)
    asked = evaluate(parsed, PolicyFlow(Direction.INGRESS, API, WEB, "TCP", 80), CONFIG)
    other = evaluate(parsed, PolicyFlow(Direction.INGRESS, WEB, API, "TCP", 80), CONFIG)
    assert asked.verdict is Verdict.UNKNOWN
    assert "spec.priority" in asked.reason
    assert other.verdict is Verdict.ALLOW


@pytest.mark.parametrize("request_", [DnsQuestion("a.com"), TlsHello("a.com"), HttpRequest("GET", None)])
def test_layer_seven_of_another_kind_or_half_recorded_is_unknown(request_) -> None:
    """A rule about paths says nothing of a question, and nothing of a request without a path."""
    rules = {"http": [{"path": "/a"}]}
    policy = egress({"toEntities": ["world"], "toPorts": [PORT["toPorts"][0] | {"rules": rules}]})
    assert ask(policy, Side(ip="192.0.2.1", names=()), l7=request_).verdict is Verdict.UNKNOWN


def test_an_unreadable_layer_seven_parser_is_unknown() -> None:
    """Kafka rules exist up to 1.19 and are not read."""
    rules = {"kafka": [{"topic": "a"}]}
    policy = egress({"toEntities": ["world"], "toPorts": [PORT["toPorts"][0] | {"rules": rules}]})
    decision = ask(policy, Side(ip="192.0.2.1", names=()), l7=HttpRequest("GET", "/"))
    assert decision.verdict is Verdict.UNKNOWN
    assert ask(policy, Side(ip="192.0.2.1", names=())).redirect


@settings(max_examples=50, deadline=None)
@given(
    policy_objects(), flows(), st.sampled_from(["1.16", "1.18", "1.20"]), st.randoms(use_true_random=False)
)
def test_the_order_of_objects_changes_nothing(objects, flow, version, rng) -> None:
    """There is no first match; the same set in any order gives the same decision."""
    config = AgentConfig(cilium_version=version)
    shuffled = list(objects)
    rng.shuffle(shuffled)
    one = evaluate(parse_objects(objects, config=config), flow, config)
    other = evaluate(parse_objects(shuffled, config=config), flow, config)
    assert one.verdict == other.verdict
    assert sorted(map(str, one.rules)) == sorted(map(str, other.rules))


@settings(max_examples=60, deadline=None)
@given(policy_objects(), flows(known=False), st.sampled_from(["1.17", "1.19"]))
def test_a_decision_names_rules_that_exist(objects, flow, version) -> None:
    """Every deciding rule is the place of an entry, or one of the implicit ones."""
    config = AgentConfig(cilium_version=version)
    policies = parse_objects(objects, config=config)
    decision = evaluate(policies, flow, config)
    known = {(entry.policy, entry.path) for entry in policies.entries}
    for rule in decision.rules:
        if rule.policy.kind != "implicit":
            path = rule.path.rpartition(".toPorts")[0] or rule.path.rpartition(".icmps")[0]
            places = {
                (rule.policy, rule.path),
                (rule.policy, path),
                (rule.policy, rule.path.rpartition(".ports")[0]),
            }
            assert places & known


@settings(max_examples=50, deadline=None)
@given(policy_objects(), flows(known=False), st.sampled_from(["1.18", "1.19"]))
def test_knowing_more_never_turns_a_sure_answer_around(objects, flow, version) -> None:
    """If the answer with gaps is sure, filling the gaps with anything keeps it."""
    config = AgentConfig(cilium_version=version)
    policies = parse_objects(objects, config=config)
    before = evaluate(policies, flow, config)
    if before.verdict is Verdict.UNKNOWN:
        return

    def filled(side: Side) -> Side:
        ports = side.named_ports if side.named_ports is not None else (("http", 80, "TCP"),)
        outside = side.labels is None and side.entity is None
        ip = side.ip or ("10.1.2.3" if outside or side.labels == ("reserved:world",) else None)
        names = side.names if side.names is not None else ("api.example.com",)
        return Side(side.labels, ip, names, side.entity, ports)

    fuller = PolicyFlow(
        flow.direction,
        filled(flow.source),
        filled(flow.destination),
        flow.protocol or "TCP",
        80 if flow.port is None else flow.port,
    )
    subject = flow.subject(flow.direction)
    if subject.labels is None and subject.entity is None and subject.ip is None:
        return
    assert evaluate(policies, fuller, config).verdict is before.verdict
