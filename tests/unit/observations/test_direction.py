"""Which way an edge went: traps.md B."""

import pandas as pd
import pytest

from tests.unit.observations.builders import (
    API,
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
    world,
)


def test_trap_B1_replies_make_no_edge_however_many_client_ports(tmp_path):
    """Sixty replies confirm one edge and open no client port."""
    requests = [flow(WEB, API, sport=40000 + n) for n in range(60)]
    observed = observe(tmp_path, [*requests, *(answer_to(r) for r in requests)])
    assert len(observed.edge_days) == 2
    assert edge(observed, WEB, "egress", "api", 8080)["answered"] == 60
    assert edge(observed, API, "ingress", "web", 8080)["flows"] == 60


def test_trap_B1_a_reply_without_a_request_is_no_edge_but_is_counted(tmp_path):
    """A reply alone proves nothing that a policy may allow."""
    observed = observe(tmp_path, [answer_to(flow(WEB, API))])
    assert observed.edge_days.empty
    assert dict(zip(observed.set_aside["reason"], observed.set_aside["edges"], strict=True)) == {
        "reply_only": 1
    }


@pytest.mark.parametrize("seen_at", ["src", "dst"])
def test_trap_B2_direction_is_of_the_connection_and_ends_are_of_the_packet(tmp_path, seen_at):
    """A reply seen at either end lands on the client's egress and the server's ingress."""
    request = flow(WEB, API, seen_at=seen_at)
    observed = observe(tmp_path, [request, answer_to(request)])
    assert edge(observed, WEB, "egress", "api", 8080)["own_end"] is (seen_at == "src")
    assert edge(observed, API, "ingress", "web", 8080)["own_end"] is (seen_at == "dst")
    assert not edges(observed, WEB, "ingress")
    assert not edges(observed, API, "egress")


def test_trap_B3_a_syn_is_a_request_and_a_syn_ack_is_not(tmp_path):
    """Without is_reply the flags decide."""
    request = flow(WEB, API, is_reply=None)
    answer = answer_to(request, is_reply=None, trace_reason="")
    row = edge(observe(tmp_path, [request, answer]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["answered"]) == (1, 1)


def test_trap_B3_the_mirrored_edge_tells_an_unmarked_reply(tmp_path):
    """A record without is_reply and flags is a reply where the edge back is known."""
    unmarked = flow(API, WEB, 40001, 8080, is_reply=None, flags=None, seen_at="")
    observed = observe(tmp_path, [flow(WEB, API), unmarked])
    assert edge(observed, WEB, "egress", "api", 8080)["answered"] == 1
    assert not edges(observed, WEB, "ingress")
    assert set_aside(observed)["unmarked_reply"] == 1


def test_trap_B3_a_known_server_port_tells_an_unmarked_request(tmp_path):
    """Another client's request to the same server port is enough."""
    other = pod("batch-1", "10.0.0.30")
    unmarked = flow(other, API, is_reply=None, flags=None, seen_at="")
    observed = observe(tmp_path, [flow(WEB, API), unmarked])
    assert edge(observed, other, "egress", "api", 8080)["flows"] == 1


def test_trap_B3_what_nothing_decides_is_excluded_and_counted(tmp_path):
    """One packet between two unknown ports is neither a request nor a reply."""
    observed = observe(tmp_path, [flow(WEB, API, 50051, 40001, is_reply=None, flags=None, seen_at="")])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"ambiguous_direction": 1}
    told = observed.aside_edges.sort_values("direction")
    assert set(told["reason"]) == {"ambiguous_direction"}
    assert list(zip(told["direction"], told["port"], strict=True)) == [("egress", 50051), ("ingress", 50051)]


def test_trap_B4_a_dns_answer_marked_as_request_opens_no_port(tmp_path):
    """Port 53 answers to many client ports: none of them is a server port."""
    queries = [flow(WEB, DNS, 53, 43000 + n, protocol="UDP") for n in range(5)]
    answers = [flow(DNS, WEB, 43000 + n, 53, protocol="UDP", seen_at="dst") for n in range(5)]
    observed = observe(tmp_path, [*queries, *answers])
    assert not edges(observed, WEB, "ingress")
    assert not edges(observed, DNS, "egress")
    assert edge(observed, WEB, "egress", "coredns", 53)["answered"] == 5
    assert set_aside(observed) == {"misreported_reply": 5}


def test_trap_B4_one_question_and_its_misreported_answer_are_told_apart_by_time(tmp_path):
    """With nothing else to go by, the question came first."""
    query = flow(WEB, DNS, 53, 43000, protocol="UDP", time=at())
    reply = flow(DNS, WEB, 43000, 53, protocol="UDP", seen_at="dst", time=at() + 900)
    observed = observe(tmp_path, [reply, query])
    assert edge(observed, WEB, "egress", "coredns", 53)["answered"] == 1
    assert len(observed.edge_days) == 2


def test_trap_B5_many_swapped_records_are_turned_and_counted(tmp_path):
    """Replies without SYN that claim to be requests follow the fan-in of the real server port."""
    requests = [flow(WEB, API, sport=40000 + n) for n in range(20)]
    swapped = [flow(API, WEB, 40000 + n, 8080, flags="A") for n in range(20)]
    observed = observe(tmp_path, [*requests, *swapped])
    assert {row["port"] for row in observed.edge_days.to_dict("records")} == {8080}
    assert set_aside(observed) == {"misreported_reply": 20}


def others_ask(server, port, protocol="UDP"):
    """Calls of two workloads from ports that vary, as everybody's calls of a service do."""
    callers = [pod("cron-1", "10.0.0.29"), pod("batch-1", "10.0.0.30")]
    return [
        flow(one, server, port, 50000 + n, protocol=protocol, flags="A") for one in callers for n in range(3)
    ]


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize(("server", "port"), [(DNS, 53), (API, 9500)])
def test_trap_B4_an_answer_from_a_port_that_others_call_opens_none(tmp_path, server, port, count):
    """No question of this pod was caught: that the port is served to others tells its answers."""
    lonely = pod("lonely-1", "10.0.0.40")
    answers = [
        flow(server, lonely, 33000 + n, port, protocol="UDP", time=at(n, days=n % 9)) for n in range(count)
    ]
    observed = observe(tmp_path, [*others_ask(server, port), *answers])
    assert not edges(observed, lonely, "ingress")
    assert not edges(observed, server, "egress")
    assert set_aside(observed) == {"misreported_reply": count, "reply_only": 0}
    told = observed.aside_edges
    assert set(zip(told["subject"], told["direction"], told["port"], strict=True)) == {
        (lonely.key, "egress", port),
        (server.key, "ingress", port),
    }


def test_trap_B4_a_port_that_answers_met_on_several_days_is_no_server_port(tmp_path):
    """Client ports are few enough to come back by chance."""
    lonely = pod("lonely-1", "10.0.0.40")
    answers = [
        flow(DNS, lonely, 33000 + n % 30, 53, protocol="UDP", time=at(days=n % 13)) for n in range(300)
    ]
    observed = observe(tmp_path, [*others_ask(DNS, 53), *answers])
    assert not edges(observed, lonely, "ingress")
    assert set_aside(observed)["misreported_reply"] == 300


def test_trap_B4_E11_the_answer_to_a_question_that_went_to_a_service_opens_no_port(tmp_path):
    """Asked was the service's address, and who answers is a pod that no record puts behind it."""
    service = world("10.100.0.10")
    queries = [
        flow(WEB, service, 53, 43000 + n, protocol="UDP", dst_service="kube-system/dns") for n in range(5)
    ]
    answers = [flow(DNS, WEB, 43000 + n, 53, protocol="UDP", seen_at="dst") for n in range(5)]
    observed = observe(tmp_path, [*queries, *answers])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"misreported_reply": 5, "reply_only": 0, "service_without_known_pods": 5}


def test_trap_B4_E11_the_pods_behind_a_service_answer_for_it(tmp_path):
    """The service listens on one port and its pods on another; a record of somebody else named both."""
    service = world("10.100.0.10")
    named = flow(pod("batch-1", "10.0.0.30"), DNS, 5353, 50000, protocol="UDP", dst_service="kube-system/dns")
    queries = [
        flow(WEB, service, 53, 43000 + n, protocol="UDP", dst_service="kube-system/dns") for n in range(5)
    ]
    answers = [flow(DNS, WEB, 43000 + n, 5353, protocol="UDP", seen_at="dst") for n in range(5)]
    observed = observe(tmp_path, [named, *queries, *answers])
    assert edge(observed, WEB, "egress", "coredns", 5353)["answered"] == 5
    assert not edges(observed, WEB, "ingress")
    assert set_aside(observed)["misreported_reply"] == 5


def swapped(server, client, port, count, **fields):
    """A conversation whose answers claim to be requests, and its requests to be replies."""
    for n in range(count):
        when = at(n, days=n % 9)
        yield flow(client, server, port, 33000 + n, is_reply=True, time=when, **fields)
        yield flow(server, client, 33000 + n, port, time=when + 900, **fields)


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_trap_B5_where_all_is_swapped_the_fan_tells_the_server(tmp_path, protocol):
    """One port that faces many is the server's; what were called replies are its requests."""
    records = [*swapped(API, WEB, 9500, 40, protocol=protocol, flags=None)]
    observed = observe(tmp_path, records, batches=3)
    rows = observed.edge_days
    assert set(zip(rows["subject"], rows["direction"], rows["port"], strict=True)) == {
        (WEB.key, "egress", 9500),
        (API.key, "ingress", 9500),
    }
    called = rows[rows["direction"] == "egress"]
    assert (called["flows"].sum(), called["answered"].sum(), called["day"].nunique()) == (40, 40, 9)
    assert set_aside(observed) == {"misreported_reply": 40}
    pd.testing.assert_frame_equal(rows, observe(tmp_path / "again", records[::-1]).edge_days)


def relayed():
    """A relay of logs: many send to its port, and it sends on from it."""
    return [
        *others_ask(API, 514),
        *(flow(API, WEB, 1514, 514, protocol="UDP", time=at(n)) for n in range(30)),
    ]


def timed():
    """A time server that asks another, from the port on which it is asked."""
    return [*others_ask(API, 123), *(flow(API, WEB, 123, 123, protocol="UDP", time=at(n)) for n in range(30))]


def gossip():
    """Two members that send from the port on which they listen, each from another."""
    for n in range(30):
        yield flow(API, WEB, 7947, 7946, protocol="UDP", time=at(n, days=n % 9))
        yield flow(WEB, API, 7946, 7947, protocol="UDP", time=at(n, days=n % 9) + 900)


def transferred():
    """Active FTP without flags: the server opens a connection to a new port for each file."""
    requests = [flow(API, WEB, 33000 + n, 20, flags=None, time=at(days=n % 9)) for n in range(40)]
    return [flow(WEB, API, 21, 50000), *requests, *(answer_to(one) for one in requests)]


def media():
    """Calls from one port to a range whose ports come back."""
    requests = [
        flow(API, WEB, 16384 + n % 20, 6000, protocol="UDP", time=at(n, days=n % 13)) for n in range(200)
    ]
    return [*requests, *(answer_to(one) for one in requests)]


def bound():
    """A client that binds a port and calls some services of one workload."""
    requests = [flow(API, WEB, 9000 + n, 6000, protocol="UDP") for n in range(6)]
    return [*requests, *(answer_to(one) for one in requests)]


def probed():
    """A scan by ACK from one port: the kernel of the target refuses every port."""
    requests = [flow(API, WEB, 9000 + n, 6000, flags="A") for n in range(60)]
    return [*requests, *(answer_to(one, rst=True) for one in requests)]


@pytest.mark.parametrize("traffic", [relayed, timed, gossip, transferred, media, bound, probed])
def test_who_binds_a_port_and_calls_from_it_is_a_client_all_the_same(tmp_path, traffic):
    """Calls from one port are not turned round for that alone."""
    observed = observe(tmp_path, traffic())
    assert edges(observed, API, "egress", "web")
    assert "misreported_reply" not in set_aside(observed)


@pytest.mark.parametrize("port", [50051, 30080, 61616, 49152])
def test_trap_B6_no_port_number_is_a_reply_by_itself(tmp_path, port):
    """A high server port stays a server port."""
    requests = [flow(WEB, API, port, 33000 + n, flags="A") for n in range(3)]
    assert edge(observe(tmp_path, requests), WEB, "egress", "api", port)["flows"] == 3


def test_trap_B7_one_end_seen_gives_both_policies_their_row(tmp_path):
    """Egress records alone still give the server its ingress row."""
    observed = observe(tmp_path, [flow(WEB, API, seen_at="src")])
    assert edge(observed, WEB, "egress", "api", 8080)["own_end"]
    assert not edge(observed, API, "ingress", "web", 8080)["own_end"]


def test_trap_B7_the_same_connection_at_both_ends_is_not_counted_twice(tmp_path):
    """Two observations, one connection."""
    observed = observe(tmp_path, [flow(WEB, API, seen_at="src"), flow(WEB, API, seen_at="dst")])
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 1
    assert edge(observed, API, "ingress", "web", 8080)["flows"] == 1


def test_trap_B8_only_the_managed_side_gets_a_row(tmp_path):
    """An outside address is never a subject."""
    observed = observe(tmp_path, [flow(WEB, OUTSIDE, 443), flow(OUTSIDE, WEB, 8443, seen_at="dst")])
    assert set(observed.edge_days["subject"]) == {"web"}
    assert len(observed.edge_days) == 2


def test_trap_B9_an_unknown_direction_loses_nothing(tmp_path):
    """Orientation decides; the field may be absent."""
    observed = observe(tmp_path, [flow(WEB, API, seen_at="")])
    assert edge(observed, WEB, "egress", "api", 8080)["own_end"]


def test_trap_B10_a_connection_from_before_the_window_counts(tmp_path):
    """Forward records with ACK only are evidence, though they open nothing."""
    row = edge(observe(tmp_path, [flow(WEB, API, flags="A")]), WEB, "egress", "api", 8080)
    assert (row["flows"], row["connections"]) == (1, 0)


def test_trap_B11_gossip_on_one_port_stays_both_ways(tmp_path):
    """The same port at both ends is no reply."""
    there = flow(WEB, WEB2, 7946, 7946, protocol="UDP")
    back = flow(WEB2, WEB, 7946, 7946, protocol="UDP", time=at() + 10)
    observed = observe(tmp_path, [there, back])
    assert edge(observed, WEB, "egress", "web", 7946)["flows"] == 2
    assert edge(observed, WEB, "ingress", "web", 7946)["flows"] == 2


def test_trap_B12_a_syn_without_answer_is_unanswered_where_replies_show(tmp_path):
    """Another connection's reply that day shows that replies are delivered."""
    answered = flow(WEB, API)
    dead = flow(WEB, pod("dead-1", "10.0.0.66"), 9999)
    row = edge(observe(tmp_path, [answered, answer_to(answered), dead]), WEB, "egress", "dead", 9999)
    assert (row["flows"], row["answered"], row["replies_visible"]) == (1, 0, True)


def test_trap_B12_policy_verdicts_alone_show_no_replies(tmp_path):
    """A stream of verdicts is not a stream of unanswered connections."""
    row = edge(observe(tmp_path, [flow(WEB, API, event=5)]), WEB, "egress", "api", 8080)
    assert not row["replies_visible"]


def test_trap_B13_dynamic_server_ports_stay_apart(tmp_path):
    """A range of real server ports is kept port by port, with its answers."""
    requests = [flow(WEB, API, 40000 + n, 33000 + n) for n in range(4)]
    observed = observe(tmp_path, [*requests, *(answer_to(r) for r in requests)])
    assert [row["port"] for row in edges(observed, WEB, "egress", "api")] == [40000, 40001, 40002, 40003]


@pytest.mark.parametrize(("server", "clients"), [(8080, 40000), (50051, 33000), (61616, 1024)])
def test_trap_A10_B5_B6_fan_in_tells_servers_where_nothing_else_does(tmp_path, server, clients):
    """Without is_reply and flags: clients' ports vary, servers' do not, whichever number is larger."""
    masked = {"is_reply": None, "flags": None, "seen_at": ""}
    there = [flow(WEB, API, server, clients + n, **masked) for n in range(9)]
    back = [flow(API, WEB, clients + n, server, **masked) for n in range(9)]
    observed = observe(tmp_path, [*there, *back])
    assert edge(observed, WEB, "egress", "api", server)["flows"] == 9
    assert edge(observed, WEB, "egress", "api", server)["answered"] == 9
    assert len(observed.edge_days) == 2


def test_two_services_calling_each_other_from_many_ports_stay_two_edges(tmp_path):
    """Mutual dependence is not a reply."""
    there = [flow(WEB, API, 8080, 40000 + n, flags="A") for n in range(3)]
    back = [flow(API, WEB, 9090, 41000 + n, flags="A") for n in range(3)]
    observed = observe(tmp_path, [*there, *back])
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 3
    assert edge(observed, API, "egress", "web", 9090)["flows"] == 3
