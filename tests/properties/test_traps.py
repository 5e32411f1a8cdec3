"""Input traps on the whole way: Hubble's JSON lines with every trap among them, one ingest, YAML."""

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml

from models.drift.find import DriftInput, find_drift
from models.drift.timeline import Snapshot
from tests.properties.cluster import DAYS, START, Chart, Contact, Naming, Traffic, chart

pytestmark = pytest.mark.slow
WEEK = tuple(range(DAYS))
WORLD, NODE, NODE_IP = ["reserved:world"], ["reserved:remote-node"], "10.9.0.5"
API_SERVER = ["reserved:kube-apiserver", "reserved:world"]
SERVICE_IP = "10.100.0.9"
SYN, ACK, SYN_ACK = {"SYN": True}, {"ACK": True}, {"SYN": True, "ACK": True}


def meet(
    traffic: Traffic,
    contact: Contact,
    *,
    at: str = "",
    labels: list[str] | None = None,
    identity: int = 2,
    minute: float = 30,
    flags: dict[str, bool] = SYN,
    answered: bool = True,
    back: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """
    Write one exchange per day.

    ``at`` and ``labels`` replace the address and the identity of the server, ``changes`` members of the
    request, ``back`` those of the reply.
    """
    for day in contact.days:
        moment = START + timedelta(days=day, hours=9, minutes=minute)
        client = traffic.naming.address(contact.client, day % 2)
        server = at or traffic.naming.address(contact.server)
        end = {"identity": identity, "labels": labels} if labels else traffic.naming.end(contact.server, 0)
        ports = {"source_port": 41_000 + day, "destination_port": contact.port}
        swapped = {"source_port": contact.port, "destination_port": 41_000 + day}
        tcp = contact.protocol == "TCP"
        request = {
            "destination": end,
            "IP": {"source": client, "destination": server},
            "l4": {contact.protocol: ports | ({"flags": flags} if tcp else {})},
        }
        reply = {
            "source": end,
            "IP": {"source": server, "destination": client},
            "l4": {contact.protocol: swapped | ({"flags": SYN_ACK} if tcp else {})},
        }
        traffic.record(contact, moment, day % 2, reply=False, **request | changes)
        if answered:
            later = moment + timedelta(milliseconds=2)
            traffic.record(contact, later, day % 2, reply=True, **reply | (back or {}))


def to(port: int, client: str = "web", server: str = "db", protocol: str = "TCP") -> Contact:
    """Contact of every day; the port says which trap it belongs to."""
    return Contact(client, server, port, protocol, WEEK)


def ask(traffic: Traffic, name: str, answer: dict[str, Any], *, qtype: str = "A") -> None:
    """One question of ``web`` per day and its answer, as the DNS proxy records them."""
    asked = {"query": name, "qtypes": [qtype], "observation_source": "proxy"}
    proxy = {"Type": "L7", "event_type": {"type": 129}}
    meet(
        traffic,
        to(53, server="coredns", protocol="UDP"),
        minute=20,
        back=proxy | {"l7": {"type": "RESPONSE", "dns": asked | answer}},
        **proxy,
        l7={"type": "REQUEST", "dns": asked},
    )


def trapped() -> Traffic:
    """Ordinary traffic, and every trap on a port of its own."""
    traffic = Traffic()
    plain = (to(8080, "web", "api"), to(5432, "api", "db"), to(5432, "job", "db"))
    traffic.say([*plain, to(53, "web", "coredns", "UDP"), to(53, "job", "coredns", "UDP")])
    meet(traffic, to(7001))
    meet(traffic, to(7002))
    l7 = {"type": "REQUEST", "http": {"method": "GET", "url": "http://db/x"}}
    for changes in (
        {"event_type": {"type": 5}, "is_reply": None, "traffic_direction": "EGRESS"},
        {"event_type": {"type": 4, "sub_type": 3}, "trace_observation_point": "TO_STACK"},
        {"event_type": {"type": 4}, "traffic_direction": "INGRESS", "node_name": "node-2"},
        {"event_type": {"type": 129}, "Type": "L7", "l7": l7, "node_name": "node-2"},
    ):
        meet(traffic, to(7002), answered=False, **changes)
    for number in range(30):
        meet(traffic, to(7003), flags=ACK, minute=30 + number / 12, answered=number == 0)
    meet(traffic, to(7004), flags=ACK)
    meet(traffic, to(7005), destination_service={"name": "db", "namespace": "data"})
    named = {"destination_service": {"name": "db", "namespace": "data"}}
    meet(traffic, to(80), at=SERVICE_IP, labels=WORLD, answered=False, **named)
    socket = {"verdict": "TRANSLATED", "Type": "SOCK", "event_type": {"type": 7}, "is_reply": None}
    meet(traffic, to(81), at="10.100.0.10", labels=WORLD, answered=False, **socket)
    for day in WEEK:  # a load balancer's client: to the node's port, and from the node to the pod
        moment = START + timedelta(days=day, hours=9)
        node = {"identity": 6, "labels": NODE}
        outside = {"identity": 2, "labels": WORLD}
        ports = {"source_port": 42_000 + day, "destination_port": 30_080}
        ends = {"source": "93.184.216.34", "destination": NODE_IP}
        at_node = {"source": outside, "destination": node, "IP": ends, "l4": {"TCP": ports | {"flags": SYN}}}
        at_pod = {"source": node, "IP": {"source": NODE_IP, "destination": traffic.naming.address("api")}}
        back = {"destination": node, "IP": {"source": traffic.naming.address("api"), "destination": NODE_IP}}
        traffic.record(to(7006, "web", "api"), moment, 0, reply=False, **at_node)
        traffic.record(to(7006, "web", "api"), moment, 0, reply=False, traffic_direction="INGRESS", **at_pod)
        traffic.record(to(7006, "web", "api"), moment + timedelta(milliseconds=1), 0, reply=True, **back)
    meet(traffic, to(443, "job"), at="20.1.2.3", labels=API_SERVER, identity=7)
    meet(traffic, to(8443, "job"), at="2a00:1450::e", labels=["reserved:world-ipv6"], identity=10)
    meet(traffic, to(8444, "job"), at="52.1.2.9", labels=["cidr:52.1.2.9/32", *WORLD], identity=16_777_300)
    meet(traffic, to(7007), at=traffic.naming.address("db"), labels=WORLD)
    meet(traffic, to(9100), at=NODE_IP, labels=WORLD)
    meet(traffic, to(7008), destination_names=["db.data.svc.cluster.local"])
    meet(traffic, to(7009), verdict="REDIRECTED", event_type={"type": 5}, is_reply=None)
    meet(traffic, to(7009), answered=False, Type="L7", event_type={"type": 129}, l7=l7)
    meet(traffic, to(7010), is_reply=None, back={"is_reply": None, "trace_observation_point": None})
    meet(
        traffic, to(7011), answered=False, verdict="DROPPED", drop_reason_desc="POLICY_DENIED", is_reply=None
    )
    meet(traffic, to(7012), answered=False, verdict="ERROR")
    once = Contact("web", "db", 7013, "TCP", WEEK[:1])  # every day, these two would keep the direction open
    meet(traffic, once, answered=False, l4=None)
    meet(traffic, once, answered=False, l4={"UDP": {"source_port": 41_000}})
    nowhere = {"rcode": 3}
    ask(traffic, "Api.Example.com.shop.svc.cluster.local.", nowhere)
    found = {"ips": ["93.184.216.34"], "ttl": 3600, "cnames": ["Edge.CDN.example.net."]}
    ask(traffic, "Api.Example.com.", found)
    ask(traffic, "unused.example.org.", {"ips": ["93.184.216.99"], "ttl": 3600})
    ask(traffic, "34.216.184.93.in-addr.arpa.", {"rcode": 0}, qtype="PTR")
    meet(traffic, to(443), at="93.184.216.34", labels=WORLD, destination_names=None)
    return traffic


@pytest.fixture(scope="module")
def made() -> Chart:
    """What came out of all of it."""
    return chart([trapped().lines])


def rule(made: Chart, workload: str, direction: str, port: int) -> Any:
    """The only rule of a workload with this port."""
    (proposal,) = [one for one in made.result.proposals if f"Deployment/{workload}" in one.subject.workloads]
    found = [
        one
        for one in proposal.rules
        if one.direction == direction and port in {entry.number for entry in one.ports}
        if one.peer.key != "entity:host"  # the other role of a node, allowed beside it
    ]
    assert len(found) == 1, [one.title for one in proposal.rules]
    return found[0]


def ports(made: Chart) -> set[int]:
    """Every port that any policy opens."""
    return {entry.number for one in made.result.proposals for rule in one.rules for entry in rule.ports}


def test_trap_A5_A7_C4_records_of_one_packet_make_nobody_surer(made: Chart) -> None:
    """Five points of observation, thirty records of one connection, a twin of the proxy: one edge, one chance."""
    once = rule(made, "web", "egress", 7001)
    for port in (7002, 7003, 7004, 7009):
        other = rule(made, "web", "egress", port)
        assert other.confidence == once.confidence, port
        assert other.evidence.days_seen == once.evidence.days_seen == DAYS
        assert (other.evidence.client_pods, other.evidence.server_pods) == (2, 1)


def test_trap_B1_B2_B3_B10_no_client_port_is_opened(made: Chart) -> None:
    """Neither by replies of either end, nor where ``is_reply`` is absent; what only acknowledged is allowed."""
    assert max(ports(made)) < 30_000
    assert {7004, 7010} <= ports(made)


def test_trap_C1_C5_C6_D5_D8_what_is_no_evidence_opens_nothing(made: Chart) -> None:
    """Denied, translated at the socket, failed, without ports, with port 0: no rule, and none without ports."""
    assert not {0, 80, 81, 7011, 7012, 7013} & ports(made)
    for text in made.texts.values():
        for section in ("ingress", "egress"):
            assert all("toPorts" in entry for entry in yaml.safe_load(text)["spec"].get(section, ()))
    said = made.result.set_aside
    assert (said["traced"], said["error"], said["unsupported_protocol"], said["port_zero"]) == (2, 2, 1, 1)


def test_trap_D9_D10_ports_are_those_of_the_pod(made: Chart) -> None:
    """A service's port and a node's port lead to it: the pod gets a rule for its own port only."""
    assert rule(made, "web", "egress", 7005).peer.key == rule(made, "web", "egress", 7001).peer.key
    assert rule(made, "api", "ingress", 7006).peer.key == "entity:remote-node"
    assert SERVICE_IP not in json.dumps(made.texts)


def test_trap_E2_E3_E4_E5_reserved_labels_are_no_selectors(made: Chart) -> None:
    """The API server is an entity whatever else it is; addresses are themselves, in their family."""
    keys = {port: rule(made, "job", "egress", port).peer.key for port in (443, 8443, 8444)}
    assert keys == {443: "entity:kube-apiserver", 8443: "cidr:2a00:1450::e/128", 8444: "cidr:52.1.2.9/32"}
    everything = json.dumps(made.texts)
    assert not [text for text in ("world-ipv6", "20.1.2.3", "cidr:", "reserved:") if text in everything]


def test_trap_E12_E13_addresses_of_pods_and_nodes_are_these(made: Chart) -> None:
    """Shown as the world while identities lag; no prefix would select them."""
    assert rule(made, "web", "egress", 7007).peer.key == rule(made, "web", "egress", 7001).peer.key
    assert rule(made, "web", "egress", 9100).peer.key == "entity:remote-node"
    assert Naming().address("db") not in json.dumps(made.texts)


def test_trap_G6_G7_G8_G9_G16_only_the_name_that_was_asked_answered_and_used_is_allowed(made: Chart) -> None:
    """No search-list expansion, no target of a CNAME, no reverse name, no name without a connection."""
    assert rule(made, "web", "egress", 443).peer.key == "fqdn:api.example.com"
    (text,) = [text for name, text in made.texts.items() if "portolan-web" in name]
    egress = yaml.safe_load(text)["spec"]["egress"]
    assert [entry["toFQDNs"] for entry in egress if "toFQDNs" in entry] == [
        [{"matchName": "api.example.com"}]
    ]
    (resolver,) = [
        entry for entry in egress if {"port": "53", "protocol": "UDP"} in entry["toPorts"][0]["ports"]
    ]
    assert resolver["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}


def test_trap_G15_a_name_of_the_cluster_is_its_pods(made: Chart) -> None:
    """A service's name beside a pod's identity: ``toFQDNs`` would not apply to it."""
    assert rule(made, "web", "egress", 7008).peer.key == rule(made, "web", "egress", 7001).peer.key
    assert "db.data.svc" not in json.dumps(made.texts)


def test_trap_K8_replies_and_doubtful_records_are_no_drift(made: Chart) -> None:
    """The night is judged by the policies that it gave: no answer, client port or service port is a violation."""
    deployed = (Snapshot(0, tuple(made.result.manifests.values())),)
    found = find_drift(DriftInput(made.observed, None, deployed), START + timedelta(days=DAYS)).findings
    assert "uncovered" not in {one.kind.value for one in found}
    assert max((port for one in found for _, port in one.ports), default=0) < 30_000


def test_trap_A10_a_stream_without_reply_marks_opens_no_client_port() -> None:
    """Neither ``is_reply`` nor flags nor reasons in the whole file: what stays unclear is left out."""
    lines = []
    for line in (
        Traffic().say([to(8080, "web", "api"), to(5432, "api", "db"), to(53, "web", "coredns", "UDP")]).lines
    ):
        data = json.loads(line)
        for gone in ("is_reply", "traffic_direction", "trace_observation_point"):
            del data["flow"][gone]
        for layer in data["flow"]["l4"].values():
            layer.pop("flags", None)
        lines.append(json.dumps(data))
    assert ports(chart([lines])) <= {53, 5432, 8080}
