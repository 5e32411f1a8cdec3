"""What became of a packet, and which layer 4 it had: traps.md A5, A7, A8, C and D."""

import pytest

from tests.unit.observations.builders import (
    API,
    APISERVER,
    DNS,
    OUTSIDE,
    WEB,
    WEB2,
    answer_to,
    at,
    edge,
    edges,
    flow,
    observe,
    pod,
    set_aside,
)


def test_trap_A5_observation_points_of_one_connection_are_one_edge(tmp_path):
    """Verdict, trace and proxy records, at both nodes, make one edge in one hour, from one pod to one pod."""
    points = [
        flow(WEB, API, event=5),
        flow(WEB, API, trace_point="TO_STACK"),
        flow(WEB, API, seen_at="dst", event=5),
        flow(WEB, API, seen_at="dst", trace_point="TO_ENDPOINT"),
        flow(
            WEB, API, seen_at="dst", event=129, flags=None, l7_kind="http", l7_type="REQUEST", http_route="/"
        ),
    ]
    observed = observe(tmp_path, points)
    row = edge(observed, WEB, "egress", "api", 8080)
    assert (row["hour_bits"], row["flows"]) == (1 << 1, 2)
    pods = observed.edge_pods[observed.edge_pods["direction"] == "egress"].iloc[0]
    assert (pods["subject_pods"], pods["peer_pods"]) == (1, 1)


def test_the_first_and_the_last_pod_of_an_edge_are_named(tmp_path):
    """Two callers of one pod; an address outside has none."""
    observed = observe(tmp_path, [flow(WEB, API), flow(WEB2, API), flow(WEB, OUTSIDE)])
    columns = [f"{side}_pod{end}" for side in ("subject", "peer") for end in ("s", "_min", "_max")]
    rows = observed.edge_pods[observed.edge_pods["direction"] == "egress"].set_index("peer_kind")[columns]
    assert rows.loc["endpoint"].tolist() == [2, "web-1", "web-2", 1, "api-1", "api-1"]
    assert rows.loc["ip"].tolist() == [1, "web-1", "web-1", 0, "", ""]


def test_trap_A7_presence_counts_hours_not_records(tmp_path):
    """A connection that is reported every five seconds is present for as many hours, no more."""
    busy = [flow(WEB, API, flags="A", time=at(n / 12)) for n in range(24)]
    assert edge(observe(tmp_path, busy), WEB, "egress", "api", 8080)["hour_bits"] == 1 << 1


def test_the_hours_of_a_day_are_told_one_by_one(tmp_path):
    """So that edges of one rule can be united; an hour in which only a drop was seen is none of passing."""
    records = [flow(WEB, API, time=at(minutes)) for minutes in (0, 61, 22 * 60)]
    records.append(flow(WEB, API, verdict="DROPPED", drop_reason="POLICY_DENIED", time=at(5 * 60)))
    row = edge(observe(tmp_path, records), WEB, "egress", "api", 8080)
    assert row["hour_bits"] == 1 << 1 | 1 << 2 | 1 << 23


def test_trap_A8_an_aggregated_record_weighs_its_flows_and_shows_no_client_port(tmp_path):
    """What only the first flow of the group had is no evidence."""
    row = edge(observe(tmp_path, [flow(WEB, API, weight=30, aggregated=True)]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["aggregated"]) == (30, True)


def test_trap_A8_one_exact_record_is_enough_to_trust_an_edge(tmp_path):
    """An edge is aggregated only if nothing exact was seen of it."""
    observed = observe(tmp_path, [flow(WEB, API, weight=30, aggregated=True), flow(WEB, API)])
    assert not edge(observed, WEB, "egress", "api", 8080)["aggregated"]


@pytest.mark.parametrize("reason", ["POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED"])
def test_trap_C1_a_policy_drop_is_denied_and_never_a_flow(tmp_path, reason):
    """Denied traffic is listed, not allowed."""
    denied = flow(WEB, API, verdict="DROPPED", drop_reason=reason, is_reply=None)
    row = edge(observe(tmp_path, [denied]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["denied"], row["drop_reasons"]) == (0, 1, reason)


def test_trap_C1_one_denied_packet_gives_two_records_and_counts_once(tmp_path):
    """A verdict (type 5) and a drop (type 1) of the same packet."""
    verdict = flow(WEB, API, verdict="DROPPED", drop_reason="POLICY_DENIED", is_reply=None, event=5)
    drop = flow(WEB, API, verdict="DROPPED", drop_reason="POLICY_DENIED", is_reply=None, event=1)
    assert edge(observe(tmp_path, [verdict, drop]), WEB, "egress", "api", 8080)["denied"] == 1


def test_trap_C1_what_the_server_refused_is_no_flow_of_the_client(tmp_path):
    """The client's node let it pass, the server's did not, nothing came back."""
    sent = flow(WEB, API)
    refused = flow(
        WEB, API, verdict="DROPPED", drop_reason="POLICY_DENIED", is_reply=None, seen_at="dst", event=5
    )
    observed = observe(tmp_path, [sent, refused])
    for row in (edge(observed, WEB, "egress", "api", 8080), edge(observed, API, "ingress", "web", 8080)):
        assert (row["flows"], row["denied"]) == (0, 1)


def test_trap_C2_a_datapath_drop_is_health_and_not_policy(tmp_path):
    """It is neither allowed nor denied."""
    drop = flow(WEB, API, verdict="DROPPED", drop_reason="CT_MAP_INSERTION_FAILED", is_reply=None, event=1)
    row = edge(observe(tmp_path, [drop]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["denied"], row["dropped"]) == (0, 0, 1)
    assert row["drop_reasons"] == "CT_MAP_INSERTION_FAILED"


def test_trap_C3_audit_has_its_own_count(tmp_path):
    """It works today and would be denied."""
    row = edge(observe(tmp_path, [flow(WEB, API, verdict="AUDIT", event=5)]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["audited"]) == (0, 1)


def test_trap_C4_a_redirected_flow_and_its_layer_7_twin_are_one(tmp_path):
    """The proxy's own record of the same connection adds a route, not a flow."""
    redirected = flow(WEB, API, verdict="REDIRECTED", event=5)
    http = {"l7_kind": "http", "l7_type": "REQUEST", "http_method": "GET", "http_route": "/orders"}
    twin = flow(WEB, API, event=129, flags=None, **http)
    observed = observe(tmp_path, [redirected, twin])
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 1
    route = observed.edge_routes[observed.edge_routes["direction"] == "egress"].iloc[0]
    assert (route["l7_method"], route["l7_route"], route["flows"]) == ("GET", "/orders", 1)


def test_trap_H1_requests_and_responses_are_one_row_per_day_and_path(tmp_path):
    """Responses confirm or fail a request; the hours of requests are kept as bits, at either end."""
    http = {"l7_kind": "http", "http_method": "GET", "http_route": "/orders"}
    request = {"event": 129, "flags": None, **http, "l7_type": "REQUEST"}
    sent = flow(WEB, API, **request)
    codes = (200, 503)
    answers = [answer_to(sent, l7_type="RESPONSE", http_code=code) for code in codes]
    observed = observe(tmp_path, [flow(WEB, API), sent, flow(WEB, API, **request), *answers])
    assert sorted(observed.http_days["direction"]) == ["egress", "ingress"]
    for row in observed.http_days.to_dict("records"):
        assert (row["method"], row["route"], row["hours"].bit_count()) == ("GET", "/orders", 1)
        assert (row["flows"], row["l7_denied"], row["answered"], row["failed"]) == (2, 0, 2, 1)


@pytest.mark.parametrize("verdict", ["TRACED", "TRANSLATED"])
def test_trap_C5_socket_events_make_no_rule_for_a_virtual_address(tmp_path, verdict):
    """They are counted as what they are."""
    socket = flow(WEB, OUTSIDE, 80, verdict=verdict, event=7, is_reply=None, flags=None)
    observed = observe(tmp_path, [socket])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"traced": 1}


@pytest.mark.parametrize(
    ("verdict", "reason"), [("TRACED", "traced"), ("ERROR", "error"), ("VERDICT_UNKNOWN", "no_verdict")]
)
def test_trap_C6_other_verdicts_are_no_evidence(tmp_path, verdict, reason):
    """A verdict that lets nothing through allows nothing."""
    observed = observe(tmp_path, [flow(WEB, API, verdict=verdict)])
    assert observed.edge_days.empty
    assert set_aside(observed) == {reason: 1}


def test_trap_C7_a_layer_7_denial_is_its_own_class(tmp_path):
    """Layer 4 was allowed, the path was not."""
    http = {"l7_kind": "http", "l7_type": "REQUEST", "http_method": "GET", "http_route": "/admin"}
    refused = flow(WEB, API, verdict="DROPPED", event=129, flags=None, **http)
    row = edge(observe(tmp_path, [flow(WEB, API), refused]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["denied"], row["l7_denied"]) == (1, 0, 1)


def test_trap_C8_the_reason_is_the_one_of_the_record(tmp_path):
    """All reasons of a day are kept, sorted."""
    drops = [
        flow(WEB, API, verdict="DROPPED", drop_reason=reason, is_reply=None, event=1)
        for reason in ("STALE_OR_UNROUTABLE_IP", "CT_MAP_INSERTION_FAILED")
    ]
    row = edge(observe(tmp_path, drops), WEB, "egress", "api", 8080)
    assert row["drop_reasons"] == "CT_MAP_INSERTION_FAILED,STALE_OR_UNROUTABLE_IP"


def test_trap_C9_policies_are_kept_and_their_absence_says_nothing(tmp_path):
    """Only verdict records carry them."""
    named = flow(WEB, API, event=5, allowed_by="CiliumNetworkPolicy/shop/b,CiliumNetworkPolicy/shop/a")
    row = edge(observe(tmp_path, [flow(WEB, API), named]), WEB, "egress", "api", 8080)
    assert row["policies"] == "CiliumNetworkPolicy/shop/a,CiliumNetworkPolicy/shop/b"


def test_trap_D1_every_port_of_a_peer_is_kept(tmp_path):
    """Forty-one server ports are forty-one edges."""
    observed = observe(tmp_path, [flow(WEB, API, 9000 + n) for n in range(41)])
    assert len(edges(observed, WEB, "egress", "api")) == 41


@pytest.mark.parametrize(("protocol", "kind"), [("ICMPv4", 8), ("ICMPv6", 128)])
def test_trap_D2_an_echo_request_is_an_edge_with_its_type(tmp_path, protocol, kind):
    """ICMP has a type and no port."""
    ping = flow(WEB, API, None, None, protocol=protocol, icmp_type=kind)
    row = edge(observe(tmp_path, [ping]), WEB, "egress", "api", -1)
    assert (row["protocol"], row["icmp_type"], row["flows"]) == (protocol, kind, 1)


@pytest.mark.parametrize(
    ("protocol", "request_type", "answer_type"), [("ICMPv4", 8, 0), ("ICMPv6", 128, 129)]
)
def test_trap_D3_an_echo_reply_answers_its_request(tmp_path, protocol, request_type, answer_type):
    """Even when it is marked as no reply."""
    ping = flow(WEB, API, None, None, protocol=protocol, icmp_type=request_type)
    pong = flow(API, WEB, None, None, protocol=protocol, icmp_type=answer_type, seen_at="dst")
    observed = observe(tmp_path, [ping, pong])
    row = edge(observed, WEB, "egress", "api", -1)
    assert (row["icmp_type"], row["flows"], row["answered"]) == (request_type, 1, 1)
    assert not edges(observed, API, "egress")


@pytest.mark.parametrize(("protocol", "kind"), [("ICMPv4", 3), ("ICMPv4", 11), ("ICMPv6", 1), ("ICMPv6", 3)])
def test_trap_D3_icmp_errors_make_no_rule(tmp_path, protocol, kind):
    """Unreachable and time exceeded belong to other connections."""
    observed = observe(tmp_path, [flow(API, WEB, None, None, protocol=protocol, icmp_type=kind)])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"icmp_error": 1}


def test_trap_D4_sctp_is_a_protocol_of_its_own(tmp_path):
    """It is neither TCP nor unknown."""
    row = edge(observe(tmp_path, [flow(WEB, API, 38412, protocol="SCTP")]), WEB, "egress", "api", 38412)
    assert row["protocol"] == "SCTP"


@pytest.mark.parametrize("protocol", ["", "IGMP", "VRRP"])
def test_trap_D5_a_protocol_without_ports_is_never_every_port(tmp_path, protocol):
    """What a rule cannot say is counted and left out."""
    observed = observe(tmp_path, [flow(WEB, API, None, None, protocol=protocol)])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"unsupported_protocol": 1}


@pytest.mark.parametrize(
    ("protocol", "port", "reason"),
    [("", None, "unsupported_protocol"), ("VRRP", None, "unsupported_protocol"), ("UDP", 0, "port_zero")],
)
def test_trap_D5_what_works_without_a_port_is_kept_for_whoever_would_break_it(
    tmp_path, protocol, port, reason
):
    """Counting it is not enough: a default deny stops it. What policy refused is counted and no more."""
    observed = observe(tmp_path, [flow(WEB, API, port, port, protocol=protocol)])
    rows = observed.aside_edges.sort_values("direction")[["reason", "direction", "flows", "days"]]
    assert rows.to_numpy().tolist() == [[reason, "egress", 1, 1], [reason, "ingress", 1, 1]]
    refused = flow(WEB, API, port, port, protocol=protocol, verdict="DROPPED", drop_reason="POLICY_DENIED")
    assert observe(tmp_path / "refused", [refused]).aside_edges.empty


def test_trap_D6_tcp_and_udp_on_one_number_stay_apart(tmp_path):
    """Two protocols, two edges."""
    observed = observe(tmp_path, [flow(WEB, DNS, 53), flow(WEB, DNS, 53, protocol="UDP")])
    assert {row["protocol"] for row in edges(observed, WEB, "egress", "coredns", 53)} == {"TCP", "UDP"}


def test_trap_D7_ports_are_numbers_and_protocols_upper_case(tmp_path):
    """The frame says what a policy needs, in one form."""
    observed = observe(tmp_path, [flow(WEB, API)])
    assert str(observed.edge_days["port"].dtype) == "int32"
    assert set(observed.edge_days["protocol"]) == {"TCP"}


@pytest.mark.parametrize("port", [0, None])
def test_trap_D8_port_zero_is_dropped_and_counted(tmp_path, port):
    """A fragment has no port, and port 0 would mean all of them."""
    observed = observe(tmp_path, [flow(WEB, API, port, flags="A")])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"port_zero": 1}


def test_trap_D9_a_service_port_becomes_the_backends_port(tmp_path):
    """Policy acts after translation: the pods behind a service are known from any record that names both."""
    virtual = flow(WEB, OUTSIDE, 80, dst_service="shop/api")
    translated = flow(WEB2, API, 8080, dst_service="shop/api")
    observed = observe(tmp_path, [virtual, translated])
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 2
    assert len(edges(observed, WEB, "egress")) == 1


def test_trap_D10_a_node_port_stays_with_the_node(tmp_path):
    """The pod's own row has the target port; the node's port is the node's."""
    observed = observe(tmp_path, [flow(WEB, APISERVER, 30080), flow(OUTSIDE, API, 8080, seen_at="dst")])
    assert edge(observed, API, "ingress", OUTSIDE.ip, 8080)["flows"] == 1
    assert edge(observed, WEB, "egress", "kube-apiserver", 30080)["peer_kind"] == "entity"


def test_trap_D11_pods_of_one_workload_with_two_ports_give_both(tmp_path):
    """Named ports differ between versions; numbers are as seen."""
    newer = pod("api-2", "10.0.0.12")
    observed = observe(tmp_path, [flow(WEB, API, 8080), flow(WEB, newer, 8081)])
    assert [row["port"] for row in edges(observed, WEB, "egress", "api")] == [8080, 8081]


def test_network_hops_are_no_evidence(tmp_path):
    """Between nodes nobody knows whose packet it is; it shows again at an endpoint."""
    hop = flow(WEB, API, is_reply=None, seen_at="", trace_point="TO_OVERLAY")
    observed = observe(tmp_path, [hop, flow(WEB, API)])
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 1
    assert set_aside(observed) == {"network_hop": 1}


def test_a_refused_connection_is_answered_by_resets_only(tmp_path):
    """A RST that is no handshake is counted apart."""
    request = flow(WEB, API)
    refusal = answer_to(request, syn=False, rst=True)
    row = edge(observe(tmp_path, [request, refusal]), WEB, "egress", "api", 8080)
    assert (row["answered"], row["reset"]) == (1, 1)
