"""Seeded random cases: a flow, and policies that are about it, some of them spoilt on purpose."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from conformance import world
from conformance.policies import PolicyWriter

SPOILT_SHARE: Final = 0.07  # of cases with one object that validation should refuse


def generate(count: int, seed: int, *, cilium_version: str) -> Iterator[dict[str, Any]]:
    """Cases in the format of the reference cases, the same for the same seed and release."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        yield case(rng, f"{seed}-{number}", cilium_version)


def case(rng: random.Random, name: str, cilium_version: str) -> dict[str, Any]:
    """One case."""
    dual = rng.random() < 0.08
    host = rng.random() < 0.04
    asked = flow(rng, dual=dual, host=host)
    minor = int(cilium_version.split(".")[1])
    writer = PolicyWriter(rng, asked, dual=dual, requires=minor <= 18)
    policies = writer.objects()
    if rng.random() < SPOILT_SHARE:
        rng.choice(SPOILERS)(rng, rng.choice(policies))
    options: dict[str, Any] = {}
    if dual:
        options["dual_stack"] = True
    if host:
        options["host_firewall"] = True
    if rng.random() < 0.02:
        options["enablePolicy"] = rng.choice(("always", "never"))
    found: dict[str, Any] = {"id": name, "policies": policies, "flow": asked}
    return found | ({"options": options} if options else {})


def flow(rng: random.Random, *, dual: bool, host: bool) -> dict[str, Any]:
    """A flow whose asked end is an endpoint (or the host)."""
    direction = rng.choice(("ingress", "egress"))
    subject = world.pod(rng)
    if host:
        subject = {"entity": "host", "labels": ["k8s:role=worker"] if rng.random() < 0.6 else []}
    elif rng.random() < 0.04:
        subject = {"entity": rng.choice(("health", "ingress", "init"))}
    peer = world.pod(rng) if rng.random() < 0.55 else world.outsider(rng, dual=dual)
    if rng.random() < 0.05 and not host:
        peer = copy.deepcopy(subject)
    source, destination = (peer, subject) if direction == "ingress" else (subject, peer)
    return {"direction": direction, "src": source, "dst": destination} | layer_four(rng)


def layer_four(rng: random.Random) -> dict[str, Any]:
    """Protocol, port, and sometimes one request."""
    draw = rng.random()
    if draw < 0.1:
        protocol = rng.choice(("ICMP", "ICMPv6"))
        return {"l4": {"proto": protocol, "icmp_type": 8 if protocol == "ICMP" else 128}}
    protocol = rng.choice(("TCP", "TCP", "TCP", "TCP", "UDP", "UDP", "SCTP"))
    port = 53 if protocol == "UDP" and rng.random() < 0.6 else rng.choice(world.PORTS)
    found: dict[str, Any] = {"l4": {"proto": protocol, "port": port}}
    if protocol == "TCP" and rng.random() < 0.4:
        headers = {"X-Env": rng.choice(("prod", "dev"))} if rng.random() < 0.4 else {}
        headers |= {"x-token": "t"} if rng.random() < 0.3 else {}
        found["l7"] = {
            "http": {
                "method": rng.choice(world.METHODS),
                "path": rng.choice(world.PATHS),
                "host": rng.choice(world.HOSTS),
                "headers": headers,
            }
        }
    elif protocol == "UDP" and port == 53 and rng.random() < 0.7:
        found["l7"] = {"dns": {"name": rng.choice(world.NAMES)}}
    return found


def _rules(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [policy["spec"]] if "spec" in policy else policy["specs"]


def _entry(rng: random.Random, policy: dict[str, Any]) -> dict[str, Any]:
    rule = rng.choice(_rules(policy))
    entries = [e for key in ("ingress", "egress", "ingressDeny", "egressDeny") for e in rule.get(key, ())]
    return rng.choice(entries) if entries else rule


def _spoil_rule(key: str, value: Any) -> Callable[[random.Random, dict[str, Any]], None]:
    def spoil(rng: random.Random, policy: dict[str, Any]) -> None:
        if policy["kind"] != "NetworkPolicy":
            rng.choice(_rules(policy))[key] = value

    return spoil


def _spoil_entry(changes: dict[str, Any]) -> Callable[[random.Random, dict[str, Any]], None]:
    def spoil(rng: random.Random, policy: dict[str, Any]) -> None:
        if policy["kind"] != "NetworkPolicy":
            _entry(rng, policy).update(copy.deepcopy(changes))

    return spoil


def _ports(*ports: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"toPorts": [{"ports": list(ports)} | more]}


def _drop_subject(_: random.Random, policy: dict[str, Any]) -> None:
    for rule in _rules(policy):
        rule.pop("endpointSelector", None)
        rule.pop("nodeSelector", None)


SPOILERS: Final[tuple[Callable[[random.Random, dict[str, Any]], None], ...]] = (
    _spoil_rule("nodeSelector", {}),
    _spoil_rule("endpointSelector", {"matchLabels": {"app": "not a value"}}),
    _spoil_rule("endpointSelector", {"matchLabels": {"a" * 70: "x"}}),
    _spoil_rule("endpointSelector", {"matchLabels": {"-bad": "x"}}),
    _spoil_rule("endpointSelector", {"matchExpressions": [{"key": "app", "operator": "In"}]}),
    _spoil_rule(
        "endpointSelector", {"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}
    ),
    _spoil_rule("ingress", None),
    _spoil_rule("enableDefaultDeny", {"ingress": "yes"}),
    _spoil_rule("priority", 3),
    _spoil_rule("log", {"value": "x" * 33}),
    _drop_subject,
    _spoil_entry({"fromEndpoints": [{}], "fromEntities": ["world"]}),
    _spoil_entry({"toEndpoints": [{}], "toCIDR": ["10.0.0.0/8"]}),
    _spoil_entry({"fromEntities": ["galaxy"]}),
    _spoil_entry({"toEntities": ["world-ipv4"]}),
    _spoil_entry({"toCIDR": ["10.0.0.1"]}),
    _spoil_entry({"fromCIDR": ["10.0.0.0/33"]}),
    _spoil_entry({"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}]}),
    _spoil_entry({"toCIDRSet": [{"cidr": "10.1.0.0/16", "except": ["10.1.0.0/8"]}]}),
    _spoil_entry({"toCIDRSet": [{"cidr": "10.1.0.0/16", "cidrGroupRef": "corp"}]}),
    _spoil_entry({"toFQDNs": [{"matchName": "*.example.com"}]}),
    _spoil_entry({"toFQDNs": [{"matchName": "a.com", "matchPattern": "*.com"}]}),
    _spoil_entry({"toFQDNs": [{"matchPattern": ".example.com"}]}),
    _spoil_entry({"toFQDNs": [{}]}),
    _spoil_entry(_ports({"port": "65536", "protocol": "TCP"})),
    _spoil_entry(_ports({"port": "70000", "protocol": "TCP"})),
    _spoil_entry(_ports({"port": 80, "protocol": "TCP"})),
    _spoil_entry(_ports({"port": "80", "protocol": "tcp"})),
    _spoil_entry(_ports({"port": "8", "protocol": "ICMP"})),
    _spoil_entry(_ports({"port": "0x50", "protocol": "TCP"})),
    _spoil_entry(_ports({"port": "080", "protocol": "TCP"})),
    _spoil_entry(_ports({"port": "a--b", "protocol": "TCP"})),
    _spoil_entry(_ports({"port": "", "protocol": "TCP"})),
    _spoil_entry(_ports({"protocol": "TCP"})),
    _spoil_entry(_ports({"port": "80", "protocol": "TCP", "endPort": 70000})),
    _spoil_entry(_ports(*({"port": str(n), "protocol": "TCP"} for n in range(1000, 1041)))),
    _spoil_entry(_ports({"port": "80", "protocol": "UDP"}, rules={"http": [{"path": "/"}]})),
    _spoil_entry(_ports({"port": "0", "protocol": "TCP"}, rules={"http": [{"path": "/"}]})),
    _spoil_entry(_ports({"port": "80", "protocol": "TCP"}, rules={"http": [{"path": "/a(b"}]})),
    _spoil_entry(_ports({"port": "80", "protocol": "TCP"}, rules={"http": [{"mehtod": "GET"}]})),
    _spoil_entry(_ports({"port": "80", "protocol": "TCP"}, rules={})),
    _spoil_entry(
        _ports({"port": "53", "protocol": "ANY", "endPort": 60}, rules={"dns": [{"matchPattern": "*"}]})
    ),
    _spoil_entry(_ports(rules={"dns": [{"matchPattern": "*"}]})),
    _spoil_entry(_ports({"port": "443", "protocol": "TCP"}, serverNames=["a.com"], rules={"http": [{}]})),
    _spoil_entry(_ports({"port": "443", "protocol": "TCP"}, serverNames=[])),
    _spoil_entry({"icmps": [{"fields": [{"type": "Bogus", "family": "IPv4"}]}]}),
    _spoil_entry({"icmps": [{"fields": [{"type": "PacketTooBig", "family": "IPv4"}]}]}),
    _spoil_entry({"icmps": [{"fields": [{"type": 300}]}]}),
    _spoil_entry({"icmps": [{"fields": [{"type": 8}]}], "toPorts": [{"ports": [{"port": "80"}]}]}),
    _spoil_entry({"fromNodes": [{}]}),
    _spoil_entry({"authentication": {"mode": "maybe"}}),
    _spoil_entry({"fromRequires": [{"matchLabels": {"app": "web"}}]}),
    _spoil_entry({"toEndpoints": None}),
)
