"""From a line to a record."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.observations.records import RECORDS
from tests.unit.sources.flows import TIME_US, Read, flow, lines, many, wrapped


def camel(value: Any) -> Any:
    """Spell every key as protojson's camelCase."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key[0]
        + "".join(
            part.capitalize() if place else part for place, part in enumerate(key[1:].split("_"))
        ): camel(inner)
        for key, inner in value.items()
    }


def test_a_line_becomes_the_record_it_describes() -> None:
    """Every column of the contract, from a plain exporter line."""
    record = Read(lines(wrapped(flow()))).record
    assert list(record) == list(RECORDS)
    expected = {
        "cluster": "prod", "node": "node-1", "time_us": TIME_US, "weight": 1, "aggregated": False, "verdict": "FORWARDED",
        "event_type": 4, "event_sub_type": 3, "trace_point": "TO_STACK", "trace_reason": "NEW", "direction": "EGRESS",
        "is_reply": False, "src_ip": "10.244.1.17", "dst_ip": "10.244.2.33", "protocol": "TCP", "src_port": 45678,
        "dst_port": 8080, "icmp_type": None, "syn": True, "ack": False, "rst": False, "fin": False, "src_id": 1417,
        "dst_id": 0, "src_identity": 31001, "src_namespace": "shop", "src_pod": "frontend-7c9d6b5f4-x2k8q",
        "src_workload": "frontend", "src_workload_kind": "Deployment", "dst_workload": "", "drop_reason": "",
        "src_names": "", "dst_service": "", "l7_kind": "", "dns_rcode": None, "http_code": None, "allowed_by": "",
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected


def test_trap_A3_every_spelling_of_a_flow_gives_the_same_record() -> None:
    """CamelCase, numbers as strings, enums as numbers or in lower case change nothing."""
    plain = Read(lines(wrapped(flow()))).record
    numbers = flow(verdict=1, traffic_direction=2, trace_observation_point=3, trace_reason="1")
    numbers["l4"]["TCP"] |= {"source_port": "45678", "destination_port": "8080"}
    numbers["source"]["identity"] = "31001"
    numbers["event_type"] = {"type": "4", "sub_type": "3"}
    for other in (
        camel(wrapped(flow())),
        camel(flow()),
        flow(),
        wrapped(numbers),
        wrapped(flow(verdict="forwarded", traffic_direction="egress")),
        wrapped(flow(l4={"tcp": {"source_port": 45678, "destination_port": 8080, "flags": {"syn": True}}})),
    ):
        assert Read(lines(other)).record == plain, other


@pytest.mark.parametrize("place", [lambda one: one, wrapped, lambda one: camel(wrapped(one))])
def test_trap_A4_an_absent_is_reply_is_neither_true_nor_false(place: Any) -> None:
    """Only the old ``reply: true`` may stand in for it, and false is never inferred."""
    found = [flow(is_reply=None), flow(is_reply=False), flow(is_reply=True), flow(is_reply=None, reply=True)]
    for number, one in enumerate(found):
        one["uuid"] = f"u{number}"
    got = [record["is_reply"] for record in Read(lines(*(place(one) for one in found))).records]
    assert got == [None, False, True, True]


def test_trap_A3_an_end_that_is_absent_is_nobody_and_not_the_other() -> None:
    """Hubble leaves ``source`` out where it knows nothing of it; a member that is absent is not zero."""
    record = Read(lines(wrapped(flow(source=None, is_reply=None, event_type=None)))).record
    assert (record["src_key"], record["src_pod"], record["src_identity"]) == ("", "", 0)
    assert (record["src_ip"], record["dst_pod"]) == ("10.244.1.17", "cart-66f8c9d7b-pl4mz")
    assert (record["is_reply"], record["event_type"]) == (None, 0)


def test_trap_A3_zero_values_that_protojson_leaves_out_are_zero() -> None:
    """An echo reply has type 0; a socket event without a port has no port, not port 0."""
    echo = Read(lines(wrapped(flow(l4={"ICMPv4": {}})))).record
    assert (echo["protocol"], echo["icmp_type"], echo["src_port"], echo["syn"]) == ("ICMPv4", 0, None, None)
    socket = Read(lines(wrapped(flow(l4={"UDP": {"source_port": 44452}}, event_type={"type": 7})))).record
    assert (socket["protocol"], socket["src_port"], socket["dst_port"], socket["event_sub_type"]) == (
        "UDP",
        44452,
        None,
        0,
    )


def test_trap_A8_an_aggregated_record_has_the_weight_of_its_group() -> None:
    """The three counts of an exporter's aggregate are added up."""
    counts = {"ingress_flow_count": 3, "egress_flow_count": 184, "unknown_direction_flow_count": 1}
    one = {
        "time": "2026-03-02T10:15:30Z", "verdict": "FORWARDED", "IP": {"ipVersion": "IPv4"},
        "l4": {"TCP": {"destination_port": 8080}}, "source": {"identity": 31001, "namespace": "shop"},
        "destination": {"identity": 31002, "namespace": "shop"}, "is_reply": False, "aggregate": counts,
    }  # fmt: skip
    record = Read(lines({"flow": one, "time": one["time"]})).record
    assert (record["weight"], record["aggregated"], record["src_ip"], record["src_key"]) == (
        188,
        True,
        "",
        "",
    )
    assert record["syn"] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drop_reason": 133, "drop_reason_desc": "STALE_OR_UNROUTABLE_IP"}, "STALE_OR_UNROUTABLE_IP"),
        ({"drop_reason": 155, "drop_reason_desc": "POLICY_DENIED"}, "POLICY_DENIED"),
        ({"drop_reason": 0, "drop_reason_desc": 181}, "POLICY_DENY"),
        ({"drop_reason": 133}, "POLICY_DENIED"),
        ({"drop_reason_desc": "NEVER_HEARD_OF"}, "DROP_REASON_UNKNOWN"),
        ({}, ""),
    ],
)
def test_trap_C8_the_description_speaks_before_the_number(changes: dict[str, Any], reason: str) -> None:
    """The number is deprecated, and alone only in old records; a reason nobody knows is no policy's."""
    record = Read(lines(wrapped(flow(verdict="DROPPED", is_reply=None, **changes)))).record
    assert record["drop_reason"] == reason


@pytest.mark.parametrize(
    ("time", "us"),
    [
        ("2026-03-02T10:15:30.123456789Z", TIME_US),
        ("2026-03-02T12:15:30.123456789+02:00", TIME_US),
        ("2026-03-02T04:45:30.123456789-05:30", TIME_US),
        ("2026-03-02T10:15:30Z", 1_772_446_530_000_000),
        ("2026-03-02T10:15:30.5Z", 1_772_446_530_500_000),
        ("1772446530.5", 1_772_446_530_500_000),
        ("1772446530123", 1_772_446_530_123_000),
        ("1772446530123456789", TIME_US),
    ],
)
def test_trap_A11_times_are_read_to_the_microsecond_in_any_zone(time: str, us: int) -> None:
    """Nine digits, any offset, and the numbers that stores make of times."""
    assert Read(lines(wrapped(flow(time=time)))).record["time_us"] == us


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": None}, "no time"),
        ({"time": "yesterday"}, "time not understood"),
        ({"time": "2012-01-01T00:00:00Z"}, "time out of range"),
        ({"time": "2180-01-01T00:00:00Z"}, "time out of range"),
        ({"verdict": None}, "no verdict"),
        ({"source": None, "destination": None, "IP": None}, "no source and no destination"),
    ],
)
def test_trap_A11_a_flow_that_cannot_be_used_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    """On its own line, between good ones, with its text."""
    bad = flow(**changes)
    good = many(2)
    read = Read(lines(wrapped(good[0]), {"flow": bad}, wrapped(good[1])))
    assert read.reasons == [(2, reason)]
    assert json.loads(read.rejects[0].raw)["flow"] == bad
    assert len(read.records) == 2


def test_names_policies_and_services_are_texts_in_a_fixed_order() -> None:
    """Lower-case names without dots, policies as Kind/namespace/name."""
    policy = {"name": "allow", "namespace": "shop", "kind": "CiliumNetworkPolicy", "revision": "42"}
    old = {
        "name": "old",
        "namespace": "shop",
        "labels": ["k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy"],
    }
    one = flow(
        destination_names=["B.example.com.", "a.example.com"], egress_allowed_by=[policy, old],
        destination_service={"name": "cart", "namespace": "shop"},
    )  # fmt: skip
    record = Read(lines(wrapped(one))).record
    assert record["dst_names"] == "a.example.com,b.example.com"
    assert record["allowed_by"] == "CiliumNetworkPolicy/shop/allow,NetworkPolicy/shop/old"
    assert record["dst_service"] == "shop/cart"


def test_trap_G7_G9_a_dns_answer_gives_one_row_per_address_to_the_asking_pod() -> None:
    """The response goes to the asking pod; the all-ones TTL is none; NXDOMAIN has no addresses."""
    answer = {"query": "API.Example.com.", "ips": ["93.184.216.34", "93.184.216.35"], "ttl": 4294967295,
              "cnames": ["edge.example.net."], "qtypes": ["AAAA", "A"]}  # fmt: skip
    one = flow(l7={"type": "RESPONSE", "dns": answer}, event_type={"type": 129}, is_reply=True)
    read = Read(lines(wrapped(one)))
    assert [(row["ip"], row["client_pod"], row["dns_ttl"]) for row in read.answers] == [
        ("93.184.216.34", "cart-66f8c9d7b-pl4mz", None),
        ("93.184.216.35", "cart-66f8c9d7b-pl4mz", None),
    ]
    record = read.record
    assert (record["dns_query"], record["dns_rcode"], record["dns_qtypes"]) == (
        "api.example.com",
        0,
        "A,AAAA",
    )
    assert record["dns_cnames"] == "edge.example.net"
    request = Read(
        lines(wrapped(flow(l7={"type": "REQUEST", "dns": {"query": "x.", "qtypes": ["A"]}})))
    ).record
    assert request["dns_rcode"] is None


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("http://cart.shop:8080/items?id=1", "/items"),
        ("https://user:pw@cart/items#top", "/items"),
        ("http://cart", "/"),
        ("/a%2Fb/c", "/a%2Fb/c"),
        ("/pkg.Service/Method", "/pkg.Service/Method"),
        ("/orders/123", "/orders/123"),
        ("/users/jane.doe@example.com/mail", "/users/REDACTED/mail"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_/x", "/t/REDACTED/x"),
        ("/k/ghp_abcdefghijklmnopqrstuvwxyz0123456789/eyJabc.def", "/k/REDACTED/REDACTED"),
        ("/h/d41d8cd98f00b204e9800998ecf8427e", "/h/REDACTED"),
        ("/reset/Zm9vYmFyYmF6cXV4MTIz", "/reset/REDACTED"),
        ("/pay/4111111111111111", "/pay/REDACTED"),
    ],
)
def test_trap_H5_a_route_holds_no_host_no_query_and_no_secret(url: str, route: str) -> None:
    """Redaction happens before anything is stored (and H4: query and fragment never reach a rule)."""
    headers = [{"key": "Authorization", "value": "Bearer secret-token"}]
    http = {"method": "get", "url": url, "headers": headers}
    record = Read(lines(wrapped(flow(l7={"type": "REQUEST", "http": http}, event_type={"type": 129})))).record
    assert (record["http_method"], record["http_route"], record["http_code"]) == ("GET", route, None)
    assert "secret-token" not in str(record)


def test_trap_A14_hostile_strings_are_data() -> None:
    """NUL, quotes, YAML and SQL syntax, long names: kept as they are, and nothing else happens."""
    for text in ("a\x00b", "'; DROP TABLE decoded; --", "*: &x\n- y", "é" * 3000, "{{7*7}}", '"\\'):
        one = flow()
        one["source"] |= {"pod_name": text, "namespace": text, "labels": [f"k8s:app={text}"]}
        record = Read(lines(wrapped(one))).record
        assert (record["src_pod"], record["src_namespace"]) == (text, text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_wrong_types_anywhere_never_stop_a_file(data: st.DataObject) -> None:
    """Whatever stands in the place of a member, each line becomes a record or a reject."""
    junk = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    )  # fmt: skip
    one = flow()
    for _ in range(data.draw(st.integers(1, 4))):
        at: Any = one
        key = data.draw(st.sampled_from(sorted(at)))
        while isinstance(at[key], dict) and at[key] and data.draw(st.booleans()):
            at = at[key]
            key = data.draw(st.sampled_from(sorted(at)))
        at[key] = data.draw(junk)
    good = many(1)[0]
    read = Read(lines(wrapped(good), wrapped(one)))
    assert len(read.records) + len(read.rejects) == 2
    assert good["uuid"] in {record["uuid"] for record in read.records}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(range(6)), wraps=st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_order_and_wraps_change_no_record(order: list[int], wraps: list[int]) -> None:
    """Shuffled, and each line in a wrap of its own: the same records."""
    flows = many(6)
    forms = [
        wrapped,
        lambda one: one,
        lambda one: {"log": json.dumps(wrapped(one)), "stream": "stdout"},
        lambda one: {"kubernetes": {"pod_name": "x"}, "message": wrapped(one)},
        lambda one: [wrapped(one)],
        lambda one: {"body": {"stringValue": json.dumps(one)}},
    ]
    plain = Read(lines(*map(wrapped, flows))).records
    assert Read(lines(*(forms[wraps[place]](flows[place]) for place in order))).records == plain


@pytest.mark.parametrize("names_first", [True, False])
def test_one_text_is_a_list_of_labels_here_and_of_names_there(names_first: bool) -> None:
    """Texts are decoded once each, but once for everything that they are."""
    text = [f"k8s:app=twin-{names_first:d}"]
    named = flow(uuid="names", destination_names=text)
    labelled = flow(uuid="labels")
    labelled["destination"]["labels"] = text
    made = [named, labelled] if names_first else [labelled, named]
    found = {record["uuid"]: record for one in made for record in Read(lines(wrapped(one))).records}
    assert found["names"]["dst_names"] == text[0]
    both = flow(destination_names=[f"k8s:app=both-{names_first:d}"])
    both["destination"]["labels"] = both["destination_names"]
    sets = [row["labels"] for row in Read(lines(wrapped(labelled), wrapped(both))).labels]
    assert json.dumps(text) in sets
    assert json.dumps(both["destination_names"]) in sets
    assert Read(lines(wrapped(both))).record["dst_names"] == both["destination_names"][0]


#: Members that are not what Hubble writes there, nor any spelling of it.
OF_ANOTHER_TYPE: list[dict[str, Any]] = [
    {"source": "shop/frontend"},
    {"destination": ["10.0.0.1"]},
    {"IP": "10.0.0.1"},
    {"l4": "TCP"},
    {"l4": {"TCP": 8080}},
    {"event_type": 4},
    {"l7": {"type": "REQUEST", "dns": "api.example.com."}},
    {"l7": True},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": "http"}}},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": 70_000}}},
    {"l4": {"TCP": {"source_port": -1, "destination_port": 8080}}},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": 80.5}}},
    {"l4": {"TCP": {"source_port": 45678.5, "destination_port": 8080}}},
    {"l4": {"TCP": {"source_port": "45678", "destination_port": "80.4999"}}},
    {"source": {"identity": 0.1, "namespace": "shop"}},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": [8080]}}},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": 8080, "flags": "SYN"}}},
    {"l4": {"TCP": {"source_port": 45678, "destination_port": 8080, "flags": {"SYN": "perhaps"}}}},
    {"l4": {"ICMPv4": {"type": "echo"}}},
    {"is_reply": "maybe"},
    {"is_reply": {"value": True}},
    {"verdict": ["FORWARDED"]},
    {"traffic_direction": {"name": "EGRESS"}},
    {"IP": {"source": ["10.0.0.1"], "destination": "10.0.0.2"}},
    {"source": {"labels": "k8s:app=frontend", "namespace": "shop"}},
    {"source": {"labels": {"app": "frontend"}, "namespace": "shop"}},
    {"source": {"labels": [{"key": "app", "value": "frontend"}], "namespace": "shop"}},
    {"source": {"labels": [7], "namespace": "shop"}},
    {"source": {"workloads": ["frontend"], "namespace": "shop"}},
    {"source": {"namespace": ["shop"]}},
    {"source": {"pod_name": {"name": "web"}, "namespace": "shop"}},
    {"source": {"identity": "frontend", "namespace": "shop"}},
    {"source": {"identity": 1 << 70, "namespace": "shop"}},
    {"source": {"workloads": {"name": "frontend"}, "namespace": "shop"}},
    {"destination_names": "api.example.com"},
    {"destination_service": "shop/cart"},
    {"destination_service": {"name": ["cart"], "namespace": "shop"}},
    {"event_type": {"type": "trace"}},
    {"uuid": {"hex": "6f1c"}},
    {"time": {"seconds": 1_772_446_530}},
    {"l7": {"type": "RESPONSE", "dns": {"query": "api.example.com.", "ips": "93.184.216.34"}}},
    {"l7": {"type": "RESPONSE", "dns": {"query": "api.example.com.", "ttl": "long"}}},
    {"l7": {"type": "RESPONSE", "dns": {"query": ["api.example.com."]}}},
    {"l7": {"type": "RESPONSE", "http": {"code": "OK", "url": "/"}}},
    {"aggregate": {"ingress_flow_count": "many"}},
    {"egress_denied_by": "deny-all"},
]


@pytest.mark.parametrize("place", [lambda one: one, wrapped, lambda one: camel(wrapped(one))])
def test_a_member_of_another_type_is_refused_and_not_read_as_absent(place: Any) -> None:
    """A flow without ports, or without an end, would be another flow."""
    wrong = [flow(**changes) for changes in OF_ANOTHER_TYPE]
    honest = [flow(l7=None, uuid=uuid) for uuid in ("first", "last")]
    read = Read(lines(*map(place, [honest[0], *wrong, honest[1]])))
    assert sorted(record["uuid"] for record in read.records) == ["first", "last"]
    assert read.reasons == [(line, "member of another type") for line in range(2, len(wrong) + 2)]
    for reject, one in zip(read.rejects, wrong, strict=True):
        assert json.loads(reject.raw) in (place(one), {"flow": place(one)})


@pytest.mark.parametrize("place", [lambda one: one, wrapped, lambda one: camel(wrapped(one))])
def test_a_whole_number_may_have_a_point(place: Any) -> None:
    """Re-encoders that know one kind of number write 8080.0; no digit of a large one is lost in the check."""
    plain, pointed = flow(), flow()
    plain["source"]["ID"] = pointed["source"]["ID"] = 9_007_199_254_740_993
    pointed["l4"]["TCP"] |= {"destination_port": 8080.0}
    pointed["source"]["identity"] = f"{plain['source']['identity']}.0"
    assert Read(lines(place(pointed))).record == Read(lines(place(plain))).record


@pytest.mark.parametrize("place", [lambda one: one, wrapped, lambda one: camel(wrapped(one))])
def test_what_is_empty_or_text_that_begins_like_json_is_no_other_type(place: Any) -> None:
    """Re-encoders write empty strings for what is absent; a name may hold a bracket, and is data."""
    plain = Read(lines(wrapped(flow()))).record
    empty = flow(destination_names="", is_reply="false", dns="", aggregate=None, egress_denied_by="")
    empty["destination"] |= {"ID": "", "workloads": ""}
    assert Read(lines(place(empty))).record == plain
    odd = flow(uuid="[6f1c]")
    odd["source"] |= {"pod_name": "{web}", "labels": json.dumps(flow()["source"]["labels"])}
    record = Read(lines(place(odd))).record
    assert (record["uuid"], record["src_pod"], record["src_key"]) == ("[6f1c]", "{web}", plain["src_key"])
