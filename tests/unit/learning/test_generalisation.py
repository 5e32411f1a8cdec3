"""Prefixes, port ranges, route templates: as narrow as the evidence, and never a silent loss."""

from __future__ import annotations

import ipaddress
from uuid import UUID

import pandas as pd
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.special import reaches_reserved
from models.errors import BadInputError
from models.learning.cidrs import MAX_BUDGET, CidrCover
from models.learning.ports import DeclaredRange, PortRanges
from models.learning.routes import GROUP, RouteTemplates, escape_literal

HTTP = ("w", "egress", "endpoint", "p", "TCP", 80, "GET")


def cover(addresses: list[str], **options: object) -> CidrCover:
    """Cover of one subject's addresses."""
    ranges = options.pop("ranges", None)
    quarantined = options.pop("quarantined", None)
    frame = pd.DataFrame({"subject": "w", "address": addresses})
    bad = None if quarantined is None else pd.DataFrame({"subject": "w", "address": quarantined})
    return CidrCover(**options).fit(frame, ranges, bad)


def test_trap_E20_a_full_block_is_one_prefix() -> None:
    """Sixty-four neighbours, nothing unseen."""
    blocks = cover([f"52.1.2.{i}" for i in range(64)], budget=0).blocks_
    assert blocks[["cidr", "unseen"]].to_numpy().tolist() == [["52.1.2.0/26", 0]]


def test_the_budget_of_unseen_addresses_is_kept() -> None:
    """The cheapest cover would open 65 thousand addresses; each budget gets what it pays for."""
    spread = [f"52.1.{i}.7" for i in range(100, 250, 5)] + [f"52.1.2.{4 * i}" for i in range(16)]
    unseen = [int(cover(spread, budget=budget).blocks_["unseen"].sum()) for budget in (0, 100, 10**6)]
    assert unseen[0] == 0
    assert 0 < unseen[1] <= 100
    assert unseen[2] > 100
    assert len(cover(spread, budget=0).blocks_) == len(spread)


def test_no_prefix_is_wider_than_the_limit() -> None:
    """Neither /16 nor /32 is crossed, whatever the budget."""
    wide = [f"52.{i}.{j}.7" for i in range(4) for j in range(0, 250, 10)] + ["2001:db9::1", "2a00:db9::1"]
    blocks = cover(wide, budget=MAX_BUDGET).blocks_["cidr"].map(ipaddress.ip_network)
    assert all(block.prefixlen >= (16 if block.version == 4 else 32) for block in blocks)


def test_trap_E4_a_lone_ipv6_address_is_a_128() -> None:
    """Not a /32."""
    assert cover(["2606:4700::1111"]).blocks_["cidr"].tolist() == ["2606:4700::1111/128"]


def test_published_ranges_are_cheaper_and_carry_their_owner() -> None:
    """With a known owner a gap is worth opening that would not be otherwise."""
    few = ["20.3.4.5", "20.3.4.200", "20.3.4.90"]
    assert len(cover(few).blocks_) == 3 or cover(few).blocks_["unseen"].sum() <= 256
    known = cover(few, ranges={"20.3.4.0/24": "Cloud"}).blocks_
    assert known["owner"].tolist() == ["Cloud"]
    assert known["addresses"].tolist() == [3]


def test_trap_E16_private_addresses_need_a_declared_network() -> None:
    """They are set aside with a reason, or aggregated inside what the operator declared."""
    private = [f"10.1.2.{i}" for i in range(8)]
    assert cover(private).set_aside_["reason"].str.startswith("private").all()
    declared = cover(private, declared=("10.1.2.0/24",)).blocks_
    assert declared["cidr"].tolist() == ["10.1.2.0/29"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "unresolved"),
        ("127.0.0.1", "loopback"),
        ("169.254.169.254", "link local"),
        ("224.0.0.251", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("not an address", "no address"),
    ],
)
def test_trap_E17_E18_E19_what_is_no_destination_is_set_aside(address: str, reason: str) -> None:
    """Metadata, multicast, broadcast and nothing at all are never proposed."""
    fitted = cover([address])
    assert not len(fitted.blocks_)
    assert fitted.set_aside_["reason"].iloc[0].startswith(reason)


@pytest.mark.parametrize(
    "seen",
    [
        [f"100.64.3.{number}" for number in range(8)],
        [f"64:ff9b::a00:{number:x}" for number in range(8)],
        [
            f"192.0.{third}.{last}"
            for third, last in [(1, 250 + n) for n in range(5)] + [(3, n) for n in range(5)]
        ],
    ],
)
def test_trap_E16_what_carriers_and_gateways_use_inside_is_private(seen: list[str]) -> None:
    """RFC 6598, NAT64 of private addresses, and a prefix that would reach across a reserved one."""
    blocks = cover(seen, budget=MAX_BUDGET).blocks_
    wide = [network for network in map(ipaddress.ip_network, blocks["cidr"]) if network.num_addresses > 1]
    assert not any(reaches_reserved(network) for network in wide)


@pytest.mark.parametrize(
    ("start", "service"),
    [("168.63.129.{}", 16), ("100.100.100.{}", 200), ("64:ff9b::a83f:81{:02x}", 16)],
)
def test_trap_E17_no_prefix_holds_a_platform_service(start: str, service: int) -> None:
    """Its neighbours are covered around it, even in a declared network, and itself it is set aside."""
    neighbours = [start.format(service + number) for number in range(-4, 8)]
    fitted = cover(neighbours, declared=("100.64.0.0/10",))
    held = ipaddress.ip_address(start.format(service))
    networks = [ipaddress.ip_network(text) for text in fitted.blocks_["cidr"]]
    assert not any(held in network for network in networks)
    assert any(network.num_addresses == 4 for network in networks)
    assert fitted.set_aside_["reason"].tolist() == ["instance metadata or a platform service"]


def test_a_quarantined_address_is_in_no_prefix() -> None:
    """Seen or unseen, it is cut around and accounted for."""
    fitted = cover([f"52.1.2.{i}" for i in range(64)], quarantined=["52.1.2.5", "what?"])
    held = ipaddress.ip_address("52.1.2.5")
    assert not any(held in ipaddress.ip_network(text) for text in fitted.blocks_["cidr"])
    assert fitted.set_aside_["reason"].tolist() == ["quarantined"]
    assert fitted.blocks_["addresses"].sum() == 63


def test_bad_parameters_are_refused() -> None:
    """A negative budget and a prefix that is none."""
    with pytest.raises(BadInputError, match="budget"):
        cover(["1.1.1.1"], budget=-1)
    with pytest.raises(BadInputError, match="no address range"):
        cover(["1.1.1.1"], declared=("10.0.0.0/99",))


public = st.one_of(
    st.builds(lambda a, b: f"52.1.{a}.{b}", st.integers(0, 3), st.integers(0, 255)),
    st.builds(lambda a: f"2606:4700::{a:x}", st.integers(0, 40)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(public, min_size=1, max_size=40, unique=True), st.sampled_from([0, 10, 256]))
def test_every_address_is_in_exactly_one_prefix(addresses: list[str], budget: int) -> None:
    """A cover covers, is disjoint, and its counts are true."""
    blocks = cover(addresses, budget=budget).blocks_
    networks = [ipaddress.ip_network(text) for text in blocks["cidr"]]
    for text in addresses:
        address = ipaddress.ip_address(text)
        assert sum(address.version == n.version and address in n for n in networks) == 1
    assert blocks["unseen"].sum() == sum(n.num_addresses for n in networks) - len(addresses)
    assert blocks["unseen"].sum() <= budget


def ports_of(ports: dict[int, int], **options: object) -> PortRanges:
    """Ports of one peer with the days each was seen."""
    rows = [("w", "egress", "endpoint", "ftp", "TCP", port, x) for port, x in ports.items()]
    columns = ["subject", "direction", "peer_kind", "peer", "protocol", "port", "days_seen"]
    return PortRanges(**options).fit(pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize(("days", "drawn"), [(3, True), (7, True), (8, False), (14, False)])
def test_ports_of_a_busy_server_are_drawn_until_they_are_used_on_most_days(days: int, drawn: bool) -> None:
    """Thirty ports, each drawn on some days of the fourteen: neither rare nor too many to be its own."""
    ranges = ports_of({21: 14} | {50_000 + 7 * number: days for number in range(30)}).ranges_
    assert (len(ranges) == 1) == drawn


PASSIVE = {32800 + 37 * i: 1 for i in range(20)}


def test_trap_B13_a_negotiating_protocol_gets_a_range() -> None:
    """Twenty ports seen once beside port 21, and how many unseen ones the range adds."""
    fitted = ports_of({21: 14} | PASSIVE)
    assert len(fitted.ranges_) == 1
    span = fitted.ranges_.iloc[0]
    assert span["port"] <= 32800
    assert span["port_end"] >= 32800 + 37 * 19
    assert span["unseen"] == span["port_end"] - span["port"] + 1 - 20
    assert fitted.entries_[["port", "port_end"]].to_numpy().tolist()[0] == [21, 21]


@pytest.mark.parametrize("count", [20, 45])
def test_a_stable_port_was_not_drawn_however_many_were(count: int) -> None:
    """One that is used every day, within them or beside them, moves no end of the range."""
    passive = {32800 + 37 * i: 1 for i in range(count)}
    last = max(passive)
    alone = ports_of({21: 14} | passive)
    beside = ports_of({21: 14, 32801: 14, last + 3000: 14} | passive)
    assert beside.drawn_["port"].tolist() == alone.drawn_["port"].tolist() == sorted(passive)
    ends = ["port", "port_end"]
    assert beside.ranges_[ends].to_numpy().tolist() == alone.ranges_[ends].to_numpy().tolist()


@pytest.mark.parametrize(
    ("ports", "why"),
    [
        (PASSIVE, "no control port"),
        ({21: 14} | dict.fromkeys(PASSIVE, 9), "ports that return are services"),
        ({21: 14} | dict(list(PASSIVE.items())[:7]), "seven are too few"),
        ({21: 14} | {2000 + i: 1 for i in range(20)}, "not a dynamic range"),
    ],
)
def test_trap_B6_without_the_evidence_ports_are_listed(ports: dict[int, int], why: str) -> None:
    """A number above 1024 is never enough."""
    fitted = ports_of(ports)
    assert not len(fitted.ranges_), why
    assert sorted(fitted.entries_["port"]) == sorted(ports)


def test_trap_B13_a_busy_server_draws_every_port_again_and_again() -> None:
    """Five hundred passive ports on nine of fourteen days each are no five hundred services."""
    fitted = ports_of({21: 14} | {40000 + port: 9 for port in range(500)})
    assert fitted.ranges_[["port", "port_end", "unseen"]].to_numpy().tolist() == [[39999, 40500, 2]]
    assert not len(fitted.crowded_)
    assert not len(ports_of({40000 + port: 9 for port in range(500)}).ranges_), "no control port"


def test_a_declared_range_is_taken_as_it_is() -> None:
    """And only for its peer, and only where the target honours ranges."""
    ports = {2000 + i: 1 for i in range(10)}
    own = DeclaredRange("ftp", 2000, 2099)
    assert ports_of(ports, declared=(own,)).ranges_[["port", "port_end"]].to_numpy().tolist() == [
        [2000, 2099]
    ]
    assert not len(ports_of(ports, declared=(DeclaredRange("other", 2000, 2099),)).ranges_)
    assert not len(ports_of(ports, declared=(own,), end_port=False).ranges_)


def test_trap_D1_no_entry_holds_more_than_forty_ports() -> None:
    """Ninety ports are three entries, and a sign that something leaked in."""
    fitted = ports_of({1000 + 3 * i: 5 for i in range(90)})
    assert fitted.entries_.groupby("entry").size().tolist() == [40, 40, 10]
    assert fitted.crowded_["ports"].tolist() == [90]


def templates(routes: list[tuple[str, int]], day_count: int = 14, **options: object) -> RouteTemplates:
    """Templates of one peer and method."""
    rows = [(*HTTP, route, x, 3, 0) for route, x in routes]
    frame = pd.DataFrame(rows, columns=[*GROUP, "l7_route", "days", "flows", "l7_denied"])
    return RouteTemplates(**options).fit(frame, day_count)


@pytest.mark.parametrize(
    ("segments", "pattern"),
    [
        ([str(17 * i) for i in range(20)], "[0-9]+"),
        ([str(UUID(int=7919 * (i + 1) << 64)) for i in range(20)], "[0-9a-fA-F]{8}-"),
        ([f"{7919 * (i + 3):08x}" + "beef" for i in range(20)], "[0-9a-fA-F]{8,}"),
        ([f"2026-03-{i + 1:02d}" for i in range(20)], "[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        (
            [f"post-{'abcdefghijklmnopqrst'[i]}" for i in range(20)],
            "[A-Za-z0-9_~:@=,+-][A-Za-z0-9._~:@=,+-]{0,63}",
        ),
    ],
)
def test_trap_H2_growing_positions_become_classes(segments: list[str], pattern: str) -> None:
    """One template per kind of identifier, the narrowest class that fits."""
    fitted = templates([(f"/v1/items/{segment}/lines", 1) for segment in segments])
    assert len(fitted.templates_) == 1
    found = fitted.templates_["pattern"].iloc[0]
    assert found.startswith(f"^/v1/items/{pattern}")
    assert found.endswith("/lines$")


def test_a_class_is_inherited_by_what_was_seen_under_two_of_its_words() -> None:
    """At each position by itself: files of one tenant are a class below a word."""
    names = [f"tenant-{letter}" for letter in "abcdefghijklmnopqrst"]
    found = templates(
        [(f"/{name}/cache", 1) for name in names]
        + [(f"/{name}/data", 1) for name in names[:2]]
        + [("/tenant-a/drop", 14)]
        + [(f"/tenant-b/files/{name}", 1) for name in names]
    ).templates_
    slug = "[A-Za-z0-9_~:@=,+-][A-Za-z0-9._~:@=,+-]{0,63}"
    assert found[["pattern", "routes", "wide"]].to_numpy().tolist() == [
        [f"^/{slug}/cache$", 20, True],
        [f"^/{slug}/data$", 2, True],
        ["^/tenant-a/drop$", 1, False],
        [f"^/tenant-b/files/{slug}$", 20, True],
    ]


def test_stable_resources_stay_literals() -> None:
    """Eight sub-resources seen every day are eight templates."""
    assert len(templates([(f"/api/{name}", 14) for name in "abcdefgh"]).templates_) == 8


def test_trap_H3_too_many_templates_leave_only_the_method() -> None:
    """Never ``.*``: more than twenty templates are no rule about routes."""
    fitted = templates([(f"/{name}/x", 14) for name in "abcdefghijklmnopqrstuvw"])
    assert not len(fitted.templates_)
    assert fitted.method_only_["templates"].tolist() == [23]
    assert (fitted.routes_["pattern"] == "").all()


def test_trap_H4_H5_queries_and_fragments_are_left_out() -> None:
    """A token in a URL never reaches a pattern."""
    fitted = templates([("/login?token=secret#x", 3)])
    assert fitted.templates_["pattern"].tolist() == ["^/login$"]
    assert not fitted.routes_.astype(str).apply(lambda column: column.str.contains("secret")).any().any()


def test_trap_H6_routes_that_were_only_refused_are_rejected() -> None:
    """A scanner's 403 is no evidence; broken routes have their reasons too."""
    rows = [
        (*HTTP, "/admin", 1, 4, 4),
        (*HTTP, "relative", 1, 4, 0),
        (*HTTP, "/a b", 1, 4, 0),
        (*HTTP, "/ok", 1, 4, 1),
    ]
    frame = pd.DataFrame(rows, columns=[*GROUP, "l7_route", "days", "flows", "l7_denied"])
    fitted = RouteTemplates().fit(frame, 14)
    assert fitted.templates_["pattern"].tolist() == ["^/ok$"]
    assert sorted(fitted.rejected_["route"]) == ["/a b", "/admin", "relative"]


def test_trap_H10_service_and_method_of_grpc_are_kept() -> None:
    """Three methods are three literals."""
    found = templates([(f"/pkg.Cart/{method}", 14) for method in ("Add", "Get", "Empty")]).templates_
    assert found["pattern"].tolist() == [r"^/pkg\.Cart/Add$", r"^/pkg\.Cart/Empty$", r"^/pkg\.Cart/Get$"]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30))
def test_a_literal_matches_itself_and_nothing_else(text: str) -> None:
    """Escaping is exact in RE2, the engine that Envoy runs."""
    assert re2.fullmatch(escape_literal(text), text)
    assert not re2.fullmatch(escape_literal(text), text + "x")


segment = st.one_of(
    st.integers(0, 10**6).map(str),
    st.sampled_from(["orders", "users", "me", "a.b", "x+y"]),
    st.uuids().map(str),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(segment, min_size=1, max_size=4), st.integers(1, 14)), min_size=1, max_size=40
    )
)
def test_every_route_matches_the_template_it_was_given(rows: list[tuple[list[str], int]]) -> None:
    """What was learned from is admitted, and no pattern holds ``.*``."""
    fitted = templates([("/" + "/".join(segments), x) for segments, x in rows])
    assert set(fitted.routes_["route"]) == {"/" + "/".join(segments) for segments, _ in rows}
    for route, pattern in fitted.routes_[["route", "pattern"]].itertuples(index=False):
        assert ".*" not in pattern
        assert not pattern or re2.fullmatch(pattern, route)
    for pattern, routes, wide in fitted.templates_[["pattern", "routes", "wide"]].itertuples(index=False):
        mine = fitted.routes_.loc[fitted.routes_["pattern"] == pattern, "route"]
        assert len(mine) == routes
        assert wide == (pattern not in {f"^{escape_literal(route)}$" for route in mine})
