"""Simulation of cases and of Hubble captures with hand-written policies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.simulate import Totals, simulate_cases, simulate_flows
from models.domain.agent import AgentConfig
from models.errors import BadInputError
from models.manifest.parse import parse_objects
from models.simulation.hubble import flow_to_policyflow
from tests.support import shared_path


def cnp(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A CiliumNetworkPolicy."""
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def capture(name: str) -> Iterator[dict[str, Any]]:
    """Records of a capture, one JSON object per line."""
    with shared_path(f"data/hubble-captures/{name}").open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def simulated(policies: list[dict[str, Any]], name: str, version: str = "1.18", cluster: str = "default"):
    """Answers and totals for a capture."""
    config = AgentConfig(cilium_version=version, cluster_name=cluster)
    parsed = parse_objects(policies, config=config)
    assert parsed.rejected == ()
    answers = list(simulate_flows(parsed, capture(name), config))
    totals = Totals()
    for answer in answers:
        totals.add(answer)
    return answers, totals


def test_every_oracle_case_has_an_answer() -> None:
    """The case format in, id and verdict out, in order."""
    path = shared_path("reference/oracle-cases.jsonl")
    expected = [json.loads(line) for line in path.read_text().splitlines()]
    answers = list(simulate_cases(path, "1.19"))
    assert [(a.id, a.verdict) for a in answers] == [(c["id"], c["expect"]) for c in expected]


def test_an_explicit_deny_is_denied_as_hubble_says() -> None:
    """The capture names the deny policy that decided; so do we."""
    deny = cnp(
        "net-lab",
        "deny-tg-to-echo",
        endpointSelector={},
        egress=[{"toEntities": ["all"]}],
        egressDeny=[{"toEndpoints": [{}]}],
    )
    answers, totals = simulated([deny], "cilium-1.18.3-egress-deny/dropped-egress-denied-by.jsonl")
    assert [answer.verdict for answer in answers] == ["deny"]
    assert answers[0].rules == ("CiliumNetworkPolicy/net-lab/deny-tg-to-echo egressDeny[0]",)
    assert totals.denied_as_observed == 1


@pytest.mark.parametrize("shape", ["observer", "export", "loki"])
def test_a_default_deny_is_denied_as_hubble_says(shape: str) -> None:
    """The same drop in three pipelines' shapes."""
    name = f"ephico2real2-cilium-implementation-poc/26-flow-stranger-to-shop.{shape}.json"
    closed = cnp("cf2cnp-lab", "closed", endpointSelector={}, ingress=[{}])
    answers, totals = simulated([closed], name)
    assert [answer.verdict for answer in answers] == ["deny"]
    assert totals.denied_as_observed == 1
    open_ = cnp("cf2cnp-lab", "open", endpointSelector={}, ingress=[{"fromEntities": ["cluster"]}])
    assert simulated([open_], name, cluster="poc1")[1].denied_but_allowed_here == 1
    own_cluster_inferred = next(simulate_flows(parse_objects([open_]), capture(name)))
    assert own_cluster_inferred.verdict == "allow"


def test_audited_traffic_would_break() -> None:
    """AUDIT works today; enforcing the policy would deny it, and that is counted."""
    name = "ephico2real2-cilium-implementation-poc/35-flows-audit.first9.ndjson"
    closed = cnp("shop-edge", "closed", endpointSelector={}, ingress=[{}])
    answers, totals = simulated([closed], name, "1.20")
    assert {answer.hubble for answer in answers} == {"audited"}
    assert totals.breaks == len(answers) == 9


def test_replies_and_translated_records_ask_nothing() -> None:
    """DNS of a benchmark pod: requests are judged, replies, socket records and loss are skipped."""
    name = "daithang59-NT531_EKS-Cilium-Kubeproxy-Benchmark/S3-L2-off-R1-hubble_flows.jsonl"
    dns = {
        "toEndpoints": [
            {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}
        ],
        "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}]}],
    }
    answers, totals = simulated([cnp("benchmark", "dns", endpointSelector={}, egress=[dns])], name)
    assert totals.verdicts == {"allow": 160, "skipped": 321}
    assert totals.skipped == {
        "a reply": 160,
        "neither forwarded nor dropped by policy": 160,
        "no flow record": 1,
    }
    closed = cnp("benchmark", "closed", endpointSelector={}, egress=[{}])
    assert simulated([closed], name)[1].breaks == 160
    assert answers[0].verdict == "skipped"


def test_redirected_flows_are_redirected_by_the_policy_that_did_it() -> None:
    """HTTP visibility of bookinfo: what Hubble calls REDIRECTED goes through the proxy here."""
    http = {"toPorts": [{"ports": [{"port": "9080", "protocol": "TCP"}], "rules": {"http": [{}]}}]}
    dns = {
        "toPorts": [
            {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}
        ],
    }
    policy = cnp("bookinfo", "visibility", endpointSelector={}, egress=[http, dns])
    answers, totals = simulated([policy], "cilium-hubble-otel/basic-sample-400-l7-redirected-flows.json")
    assert totals.verdicts == {"allow": 400}
    assert all(answer.redirect for answer in answers)


def test_every_capture_is_judged_without_an_exception() -> None:
    """Old, masked, edited and broken records: an answer or a reason, never a traceback."""
    policies = parse_objects([cnp("shop", "p", endpointSelector={}, ingress=[{}])])
    count = 0
    for path in sorted(shared_path("data/hubble-captures").rglob("*.json*")):
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            whole = json.loads(text)
            records = whole if isinstance(whole, list) else [whole]
        except ValueError:
            records = []
            for line in text.splitlines():
                try:
                    records.append(json.loads(line))
                except ValueError:
                    continue
        for answer in simulate_flows(policies, [r for r in records if isinstance(r, dict)]):
            assert answer.verdict in {"allow", "deny", "unknown", "skipped"}
            assert answer.reason
            count += 1
    assert count > 1000


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"flow": None},
        {"flow": {"source": 3, "destination": [], "IP": "x", "l4": {"TCP": None}, "verdict": 1}},
        {"l4": {"TCP": {"destination_port": True}}, "verdict": "FORWARDED", "is_reply": False},
        {
            "l4": {"TCP": {"destinationPort": "80"}},
            "verdict": "FORWARDED",
            "isReply": False,
            "source": {"labels": [1]},
        },
        {"l7": {"http": {"url": "http://[bad", "headers": 3}}, "verdict": "DROPPED", "source": {}, "IP": {}},
    ],
)
def test_odd_records_never_raise(record: dict[str, Any]) -> None:
    """A record of any shape becomes a question or a reason."""
    observed = flow_to_policyflow(record)
    assert observed.question is not None or observed.skipped


def test_trap_A4_a_missing_reply_flag_is_not_a_request() -> None:
    """Without is_reply, and without anything else that tells, nothing is asked."""
    flow = {
        "verdict": "FORWARDED",
        "l4": {"UDP": {"destination_port": 43000}},
        "source": {},
        "destination": {},
    }
    assert "is_reply is missing" in flow_to_policyflow(flow).skipped
    assert flow_to_policyflow(flow | {"is_reply": False}).question is not None


def test_trap_D3_icmp_answers_ask_nothing() -> None:
    """Only echo requests are requests."""
    base = {"verdict": "FORWARDED", "is_reply": False, "source": {}, "destination": {}}
    assert flow_to_policyflow(base | {"l4": {"ICMPv4": {"type": 3}}}).skipped == "an ICMP answer or error"
    assert flow_to_policyflow(base | {"l4": {"ICMPv4": {"type": 8}}}).question.port == 8


def test_an_address_without_labels_is_not_the_world() -> None:
    """An exporter's field mask hides the labels; the address may be a pod's."""
    flow = {
        "verdict": "FORWARDED",
        "is_reply": False,
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"},
    }
    question = flow_to_policyflow(
        flow | {"source": {"identity": 2}, "destination": {"identity": 4711}}
    ).question
    assert question.source.labels == ("reserved:world",)
    assert question.destination.labels is None
    assert question.destination.ip is None


def test_a_broken_case_is_named(tmp_path: Path) -> None:
    """The file and the number of the case are in the error."""
    (tmp_path / "c.jsonl").write_text('{"id": "x", "flow": {}}\n')
    with pytest.raises(BadInputError, match=r"c\.jsonl: case 1: the flow's direction"):
        list(simulate_cases(tmp_path / "c.jsonl"))
