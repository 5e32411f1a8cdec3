"""Every verdict of policy in the captures, beside a hand-written policy that could have caused it."""

from dataclasses import dataclass

import pytest

from jobs.flow_records import FlowRecords
from jobs.simulate import simulate_flows
from models.manifest.parse import parse_objects
from models.simulation.hubble import flow_to_policyflow
from tests.support import shared_path
from tests.unit.jobs.test_simulate import cnp

FOLDER = "data/hubble-captures"
LAB = "ephico2real2-cilium-implementation-poc"


def port(number, **more):
    """One toPorts element."""
    return {
        "toPorts": [{"ports": [{"port": number, "protocol": "ANY" if number == "53" else "TCP"}], **more}]
    }


HTTP, DNS = {"rules": {"http": [{}]}}, {"rules": {"dns": [{"matchPattern": "*"}]}}
SHUT = {"endpointSelector": {}, "ingress": [{}]}
SHOWN = {"endpointSelector": {}, "egress": [port("9080", **HTTP), port("53", **DNS)]}
LANDING = port("80", rules={"http": [{"method": "POST", "path": "/v1/request-landing"}]})
DEATHSTAR = {
    "endpointSelector": {"matchLabels": {"org": "empire", "class": "deathstar"}},
    "ingress": [{"fromEndpoints": [{"matchLabels": {"org": "empire"}}], **LANDING}],
}
#: Other names than the one that was refused, with the DNS rule that learns them.
OTHER_NAMES = {
    "endpointSelector": {"matchLabels": {"kind": "client"}},
    "egress": [{"toFQDNs": [{"matchName": "cilium.io"}], **port("80")}, port("53", **DNS)],
}
DENY = {"endpointSelector": {}, "egress": [{"toEntities": ["all"]}], "egressDeny": [{"toEndpoints": [{}]}]}


@dataclass(frozen=True)
class Written:
    """A capture, the policy written for it, and what we say of every record with a verdict of policy."""

    file: str
    namespace: str
    spec: dict
    version: str
    says: str


CAPTURES = (
    Written("cilium-1.18.3-egress-deny/dropped-egress-denied-by.jsonl", "net-lab", DENY, "1.18", "deny"),
    Written("cilium-cilium-pr-40519/ci-sysdump-excerpt.jsonl", "cilium-test-5", OTHER_NAMES, "1.19", "deny"),
    Written(f"{LAB}/26-flow-stranger-to-shop.observer.json", "cf2cnp-lab", SHUT, "1.20", "deny"),
    Written(f"{LAB}/26-flow-stranger-to-shop.export.json", "cf2cnp-lab", SHUT, "1.20", "deny"),
    Written(f"{LAB}/26-flow-stranger-to-shop.loki.json", "cf2cnp-lab", SHUT, "1.20", "deny"),
    Written(f"{LAB}/35-flows-audit.first9.ndjson", "shop-edge", SHUT, "1.20", "deny"),
    Written(
        "cilium-hubble-otel/basic-sample-400-l7-redirected-flows.json", "bookinfo", SHOWN, "1.17", "redirect"
    ),
    Written(
        "siegmund-heiss-ich-cilium-network-policy-generator/testdata1.json",
        "default",
        DEATHSTAR,
        "1.17",
        "redirect",
    ),
    # The exporter's field mask took the labels: whom a policy selects cannot be known, and is not guessed.
    Written("cilium-cilium-docs/hubble-exporter-fieldmask.jsonl", "default", SHUT, "1.17", "unknown"),
)


def judged(record):
    """Whether policy decided a record: denied it, audited it, or sent it through a proxy."""
    flow = record.get("flow", record)
    return flow_to_policyflow(record).hubble in {"denied", "audited"} or flow.get("verdict") == "REDIRECTED"


@pytest.mark.parametrize("written", CAPTURES, ids=lambda written: written.file)
def test_what_hubble_says_policy_did_is_what_we_say(written):
    """Record by record."""
    records = [r for r in FlowRecords([str(shared_path(f"{FOLDER}/{written.file}"))]) if judged(r)]
    policies = parse_objects([cnp(written.namespace, "p", **written.spec)], cilium_version=written.version)
    assert policies.rejected == ()
    answers = list(simulate_flows(policies, records, cilium_version=written.version))
    assert answers
    said = {"redirect" if one.redirect and one.verdict == "allow" else one.verdict for one in answers}
    assert said == {written.says}


def test_no_capture_with_a_verdict_of_policy_is_left_out():
    """A capture that is added later has to be answered, too."""
    folder = shared_path(FOLDER)
    found = set()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".json", ".jsonl", ".ndjson"}):
        if any(judged(record) for record in FlowRecords([str(path)])):
            found.add(str(path.relative_to(folder)))
    assert found == {written.file for written in CAPTURES}
