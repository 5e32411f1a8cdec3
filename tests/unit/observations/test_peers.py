"""Who the other end was, and by which name: traps.md E, and G7 to G12 as far as they are joins."""

import pytest

from tests.unit.observations.builders import (
    API,
    APISERVER,
    DNS,
    HOST,
    NODE,
    OUTSIDE,
    START,
    WEB,
    WEB2,
    WINDOW,
    End,
    at,
    dns_answer,
    edge,
    edges,
    flow,
    lookup,
    observe,
    pod,
    reserved,
    set_aside,
    world,
)

HOUR = 60  # minutes


def test_trap_E1_world_with_names_keeps_address_and_names(tmp_path):
    """All names, sorted, and where they come from."""
    observed = observe(tmp_path, [flow(WEB, OUTSIDE, 443, dst_names="api.example.com,cdn.example.com")])
    row = edge(observed, WEB, "egress", OUTSIDE.ip, 443)
    assert (row["peer_kind"], row["names_from"]) == ("ip", "flow")
    assert row["peer_names"] == "api.example.com,cdn.example.com"


@pytest.mark.parametrize(("entity", "ip"), [("world-ipv4", "203.0.113.9"), ("world-ipv6", "2001:db8::9")])
def test_trap_E2_dual_stack_world_is_an_address_of_its_family(tmp_path, entity, ip):
    """Identities 9 and 10 are the world too."""
    row = edge(
        observe(tmp_path, [flow(WEB, world(ip, key=entity, entity=entity), 443)]), WEB, "egress", ip, 443
    )
    assert row["peer_kind"] == "ip"


def test_trap_E3_a_local_cidr_identity_is_an_address(tmp_path):
    """The labels of a matching rule are no pod's labels."""
    cidr = world(
        "52.1.2.4", key="cidr-key", labels='["cidr:52.1.2.4/32","reserved:world"]', identity=16777217
    )
    assert (
        edge(observe(tmp_path, [flow(WEB, cidr, 443)]), WEB, "egress", "52.1.2.4", 443)["peer_kind"] == "ip"
    )


def test_trap_E3_a_local_identity_number_without_labels_is_the_world(tmp_path):
    """Labels may be masked out; the number still says that it is no pod."""
    masked = End("", "52.1.2.4", identity=16777217)
    assert (
        edge(observe(tmp_path, [flow(WEB, masked, 443)]), WEB, "egress", "52.1.2.4", 443)["peer_kind"] == "ip"
    )


def test_trap_E4_ipv6_addresses_have_one_spelling(tmp_path):
    """The same address written twice is one edge."""
    long = world("2001:0db8:0000:0000:0000:0000:0000:0007")
    observed = observe(tmp_path, [flow(WEB, long, 443), flow(WEB, world("2001:db8::7"), 443)])
    assert edge(observed, WEB, "egress", "2001:db8::7", 443)["flows"] == 2


def test_trap_E5_the_api_server_is_an_entity_by_precedence(tmp_path):
    """The source gives the label set its entity; an address plays no part."""
    row = edge(observe(tmp_path, [flow(WEB, APISERVER, 443)]), WEB, "egress", "kube-apiserver", 443)
    assert row["peer_kind"] == "entity"


def test_trap_E6_a_webhook_keeps_the_peer_that_was_observed(tmp_path):
    """Arriving through a node it is the node, whoever sent it."""
    row = edge(observe(tmp_path, [flow(NODE, API, 9443, seen_at="dst")]), API, "ingress", "remote-node", 9443)
    assert row["peer_kind"] == "entity"


def test_trap_E7_probes_of_the_host_are_a_peer_of_their_own(tmp_path):
    """So that they can be told from application edges."""
    observed = observe(tmp_path, [flow(HOST, API, 8081, seen_at="dst")])
    assert edge(observed, API, "ingress", "host", 8081)["peer_kind"] == "entity"


def test_trap_E8_host_and_remote_node_stay_two_peers(tmp_path):
    """Both roles of nodes are kept."""
    observed = observe(tmp_path, [flow(n, API, 8080, seen_at="dst") for n in (HOST, NODE)])
    assert {row["peer"] for row in edges(observed, API, "ingress")} == {"host", "remote-node"}


@pytest.mark.parametrize("entity", ["ingress", "unmanaged"])
def test_trap_E9_reserved_peers_are_entities(tmp_path, entity):
    """Ingress and unmanaged can be named."""
    observed = observe(tmp_path, [flow(reserved(entity, "10.0.9.9"), API, seen_at="dst")])
    assert edge(observed, API, "ingress", entity, 8080)["peer_kind"] == "entity"


def test_trap_E9_health_is_set_aside(tmp_path):
    """Cilium's own health checks are nobody's traffic."""
    observed = observe(tmp_path, [flow(reserved("health", "10.0.9.9"), API, 4240, seen_at="dst")])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"health": 1}


def test_trap_E9_init_and_nothing_are_resolved_by_address_or_counted(tmp_path):
    """A pod without labels yet is the pod that has the address later."""
    early = reserved("init", WEB.ip, identity=5)
    observed = observe(tmp_path, [flow(early, API, seen_at="dst"), flow(WEB, DNS, 53, protocol="UDP")])
    assert edge(observed, API, "ingress", "web", 8080)["flows"] == 1
    unknown = observe(tmp_path / "unknown", [flow(early, API, seen_at="dst")])
    assert set_aside(unknown) == {"unresolved": 1}


def test_trap_E10_a_host_network_pod_is_no_subject(tmp_path):
    """Its labels are the host's, and no policy can select it."""
    agent = reserved("host", "10.9.0.4", pod="node-agent-1", namespace="kube-system")
    observed = observe(tmp_path, [flow(agent, API, seen_at="dst")])
    assert set(observed.edge_days["subject"]) == {"api"}
    assert edge(observed, API, "ingress", "host", 8080)["flows"] == 1


def test_trap_E11_a_service_without_known_backends_is_held(tmp_path):
    """A /32 of a virtual address would match nothing."""
    observed = observe(tmp_path, [flow(WEB, world("10.100.0.7"), 80, dst_service="shop/api")])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"service_without_known_pods": 1}
    row = observed.aside_edges.iloc[0]
    assert (row["subject"], row["direction"], row["peer"], row["port"]) == (
        observed.pods.set_index("pod").loc["web-1", "label_key"],
        "egress",
        "shop/api",
        80,
    )
    assert (row["flows"], row["days"]) == (1, 1)


def test_trap_E12_what_nothing_explains_is_told_with_its_ends(tmp_path):
    """A policy that closes the direction would break it, so a count is not enough."""
    early = reserved("init", WEB.ip, identity=5)
    observed = observe(tmp_path, [flow(early, API, seen_at="dst")])
    row = observed.aside_edges.iloc[0]
    assert (row["reason"], row["direction"], row["peer"], row["flows"]) == (
        "unresolved",
        "ingress",
        WEB.ip,
        1,
    )


def test_what_policy_refused_and_what_no_policy_touches_is_not_told_as_working(tmp_path):
    """Refused traffic needs no rule, and multicast passes whatever a policy says."""
    early = reserved("init", WEB.ip, identity=5)
    refused = flow(early, API, seen_at="dst", verdict="DROPPED", drop_reason="POLICY_DENIED")
    spread = flow(WEB, world("224.0.0.251"), 5353, protocol="UDP")
    assert observe(tmp_path, [refused, spread]).aside_edges.empty


def test_a_service_of_two_workloads_is_counted_and_not_told(tmp_path):
    """Its traffic was translated before policy saw it, and shows as links to its pods."""
    virtual = world("10.100.0.7")
    observed = observe(
        tmp_path,
        [
            flow(WEB, API, 8080, dst_service="shop/both"),
            flow(WEB, DNS, 8080, dst_service="shop/both"),
            flow(WEB, virtual, 80, dst_service="shop/both"),
        ],
    )
    assert set_aside(observed) == {"service_of_several_workloads": 1}
    assert observed.aside_edges.empty


def test_trap_E11_a_service_address_is_known_even_where_the_name_is_missing(tmp_path):
    """One record named the service of the address, another its pods."""
    virtual = world("10.100.0.7")
    observed = observe(
        tmp_path,
        [
            flow(WEB2, virtual, 80, dst_service="shop/api"),
            flow(WEB2, API, 8080, dst_service="shop/api"),
            flow(pod("batch-1", "10.0.0.30"), virtual, 80),
        ],
    )
    assert edge(observed, End("batch", ""), "egress", "api", 8080)["flows"] == 1


@pytest.mark.parametrize("late", [API.as_world(), API.nameless()])
def test_trap_E12_a_pod_address_is_the_pod(tmp_path, late):
    """Identity lag shows a pod as world or as nothing."""
    observed = observe(tmp_path, [flow(WEB, late), flow(WEB2, API, time=at(days=1))])
    assert [row["peer"] for row in edges(observed, WEB, "egress")] == ["api", "api"]


def test_trap_E12_what_nobody_had_is_discarded_and_counted(tmp_path):
    """An address without identity is no evidence."""
    observed = observe(tmp_path, [flow(WEB, End("", "10.77.0.1", identity=0))])
    assert observed.edge_days.empty
    assert set_aside(observed) == {"unresolved": 1}


def test_trap_E13_a_node_address_is_the_entity(tmp_path):
    """A CIDR rule would not match a node."""
    observed = observe(tmp_path, [flow(NODE, API, seen_at="dst"), flow(WEB, NODE.as_world(), 10250)])
    assert edge(observed, WEB, "egress", "remote-node", 10250)["peer_kind"] == "entity"


def test_trap_E14_a_reused_address_stays_with_who_had_it_then(tmp_path):
    """Two pods had the address far apart: each flow belongs to its own day."""
    later = pod("batch-1", API.ip)
    observed = observe(
        tmp_path,
        [
            flow(WEB, API, time=at()),
            flow(WEB, API.as_world(), 8081, time=at()),
            flow(WEB, later, time=at(days=7)),
            flow(WEB, API.as_world(), 8081, time=at(days=7)),
        ],
    )
    assert [row["peer"] for row in edges(observed, WEB, "egress", port=8081)] == ["api", "batch"]


def test_trap_E14_an_address_of_two_pods_on_one_day_is_not_guessed(tmp_path):
    """It is none of the outside either, where an identity came late: a CIDR matches no pod."""
    both = [flow(WEB, API), flow(WEB, pod("batch-1", API.ip))]
    for number, late in enumerate((End("", API.ip, identity=0), API.as_world())):
        observed = observe(tmp_path / str(number), [*both, flow(WEB, late, 8081)])
        assert set_aside(observed) == {"unresolved": 1}


def test_trap_E12_of_two_pods_with_one_address_the_one_that_is_called_on_the_port_is_meant(tmp_path):
    """Some records of the call show the address alone, before the node knows whose it is."""
    called = [flow(WEB, API, 8080), flow(WEB, pod("batch-1", API.ip), 9090)]
    observed = observe(tmp_path, [*called, flow(WEB, API.as_world(), 8080), flow(WEB, API.as_world(), 9090)])
    assert observed.set_aside.empty
    assert edge(observed, WEB, "egress", "api", 8080)["flows"] == 2
    assert edge(observed, WEB, "egress", "batch", 9090)["flows"] == 2


def test_trap_E12_where_both_are_called_on_the_port_nothing_is_missing(tmp_path):
    """Whichever it was has its rule; that it is counted is enough."""
    called = [flow(WEB, API, 8080), flow(WEB, pod("batch-1", API.ip), 8080)]
    observed = observe(tmp_path, [*called, flow(WEB, API.as_world(), 8080)])
    assert set_aside(observed) == {"reused_address": 1}
    assert observed.aside_edges.empty


def test_trap_E15_every_identity_of_ingress_traffic_is_kept(tmp_path):
    """World, node and ingress are three peers."""
    sources = [OUTSIDE, NODE, reserved("ingress", "10.0.9.8")]
    observed = observe(tmp_path, [flow(source, WEB, seen_at="dst") for source in sources])
    assert [row["peer"] for row in edges(observed, WEB, "ingress")] == ["ingress", "remote-node", OUTSIDE.ip]


def test_trap_E16_private_addresses_outside_stay_single_addresses(tmp_path):
    """Neither world nor a range."""
    observed = observe(tmp_path, [flow(WEB, world(f"10.200.0.{n}"), 5432) for n in (4, 5)])
    assert [row["peer"] for row in edges(observed, WEB, "egress")] == ["10.200.0.4", "10.200.0.5"]


@pytest.mark.parametrize("ip", ["169.254.169.254", "168.63.129.16"])
def test_trap_E17_platform_addresses_are_kept_for_the_reviewer(tmp_path, ip):
    """They are shown, never hidden."""
    assert edge(observe(tmp_path, [flow(WEB, world(ip), 80)]), WEB, "egress", ip, 80)["flows"] == 1


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        ("224.0.0.251", "multicast"),
        ("ff02::fb", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("127.0.0.1", "loopback"),
        ("169.254.3.4", "link_local"),
        ("fe80::1", "link_local"),
    ],
)
def test_trap_E18_addresses_that_no_rule_needs_are_set_aside(tmp_path, ip, reason):
    """Each with its reason."""
    observed = observe(tmp_path, [flow(WEB, world(ip), 5353, protocol="UDP")])
    assert observed.edge_days.empty
    assert set_aside(observed) == {reason: 1}


def test_trap_E18_a_link_local_resolver_is_a_peer(tmp_path):
    """LocalDNS answers on a link-local address."""
    observed = observe(tmp_path, [flow(WEB, world("169.254.10.11"), 53, protocol="UDP")])
    assert edge(observed, WEB, "egress", "169.254.10.11", 53)["flows"] == 1


@pytest.mark.parametrize(("ip", "reason"), [("0.0.0.0", "unspecified_address"), ("", "unresolved")])
def test_trap_E19_no_address_is_no_peer(tmp_path, ip, reason):
    """Neither 0.0.0.0/32 nor an empty text."""
    observed = observe(tmp_path, [flow(WEB, End("", ip, identity=0))])
    assert observed.edge_days.empty
    assert set_aside(observed) == {reason: 1}


def test_trap_E20_every_address_of_a_name_carries_the_name(tmp_path):
    """So that one name can stand for three hundred addresses."""
    targets = [world(f"198.51.100.{n}") for n in range(1, 31)]
    observed = observe(tmp_path, [flow(WEB, target, 443, dst_names="cdn.example.com") for target in targets])
    assert {row["peer_names"] for row in edges(observed, WEB, "egress")} == {"cdn.example.com"}


def test_trap_E21_a_pod_that_calls_its_replica_has_both_directions(tmp_path):
    """Self-traffic is egress and ingress of the same workload."""
    observed = observe(tmp_path, [flow(WEB, WEB2, 9300)])
    assert edge(observed, WEB, "egress", "web", 9300)["flows"] == 1
    assert edge(observed, WEB, "ingress", "web", 9300)["flows"] == 1


def test_trap_E22_the_same_workload_in_another_cluster_is_another_peer(tmp_path):
    """Its label set carries the cluster."""
    remote = pod("api-9", "10.8.0.9", key="api@west")
    observed = observe(tmp_path, [flow(WEB, API), flow(WEB, remote, dst_cluster="west")])
    assert {row["peer"] for row in edges(observed, WEB, "egress")} == {"api", "api@west"}


def test_trap_G7_G9_names_are_joined_as_the_source_spelled_them(tmp_path):
    """The queried name, lower-case and without a dot, is what a flow gets."""
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip)]
    row = edge(
        observe(tmp_path, [flow(WEB, OUTSIDE, 443, time=at(1))], answers), WEB, "egress", OUTSIDE.ip, 443
    )
    assert (row["peer_names"], row["names_from"]) == ("api.example.com", "lookup")


def test_trap_G8_a_failed_lookup_names_nothing(tmp_path):
    """NXDOMAIN is kept as a lookup, not as a name."""
    records = [lookup(WEB, "nowhere.example.com", rcode=3), flow(WEB, OUTSIDE, 443)]
    observed = observe(tmp_path, records)
    assert edge(observed, WEB, "egress", OUTSIDE.ip, 443)["peer_names"] == ""
    assert observed.lookups[["name", "rcode", "lookups"]].to_numpy().tolist() == [
        ["nowhere.example.com", 3, 1]
    ]


def test_a_lookup_says_when_its_answers_came_first_and_last(tmp_path):
    """Over days and batches; another outcome of the same question has times of its own."""
    records = [
        lookup(WEB, "api.example.com", time=at(40, days=2)),
        lookup(WEB, "api.example.com", rcode=3, time=at(5)),
        lookup(WEB, "api.example.com", time=at(10)),
    ]
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip, time=at(10))]
    observed = observe(tmp_path, records, answers)
    assert observed.lookups[["rcode", "days", "first_us", "last_us"]].to_numpy().tolist() == [
        [0, 2, at(10), at(40, days=2)],
        [3, 1, at(5), at(5)],
    ]


def test_trap_G10_all_names_within_their_lifetime_are_kept(tmp_path):
    """Two names for one address are two names."""
    answers = [dns_answer(WEB, name, OUTSIDE.ip) for name in ("b.example.com", "a.example.com")]
    row = edge(
        observe(tmp_path, [flow(WEB, OUTSIDE, 443, time=at(1))], answers), WEB, "egress", OUTSIDE.ip, 443
    )
    assert row["peer_names"] == "a.example.com,b.example.com"


@pytest.mark.parametrize(
    ("minutes", "named"), [(0.5, True), (5.5, True), (7, False), (3 * HOUR, False), (-1, False)]
)
def test_trap_G10_an_answer_names_flows_of_its_lifetime_only(tmp_path, minutes, named):
    """From the answer on, for its TTL of 60 seconds and five minutes of grace."""
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip, ttl=60, time=at(10))]
    row = edge(
        observe(tmp_path, [flow(WEB, OUTSIDE, 443, time=at(10 + minutes))], answers),
        WEB,
        "egress",
        OUTSIDE.ip,
        443,
    )
    assert (row["peer_names"] != "") is named


def test_trap_G11_names_are_joined_per_client(tmp_path):
    """Another tenant's name for the address is not ours."""
    answers = [dns_answer(API, "other.example.com", OUTSIDE.ip)]
    observed = observe(tmp_path, [flow(WEB, OUTSIDE, 443, time=at(1))], answers)
    assert edge(observed, WEB, "egress", OUTSIDE.ip, 443)["peer_names"] == ""


def test_trap_G12_an_earlier_answer_names_what_hubble_forgot(tmp_path):
    """A long TTL reaches into the next hours."""
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip, ttl=4 * 3600)]
    row = edge(
        observe(tmp_path, [flow(WEB, OUTSIDE, 443, time=at(3 * HOUR))], answers),
        WEB,
        "egress",
        OUTSIDE.ip,
        443,
    )
    assert row["peer_names"] == "api.example.com"


def test_lookups_of_the_day_before_the_window_count(tmp_path):
    """The first flows of a window may live on an older answer."""
    before = int(START.timestamp() - 1800) * 1_000_000
    answers = [dns_answer(WEB, "api.example.com", OUTSIDE.ip, ttl=2 * 3600, time=before)]
    row = edge(observe(tmp_path, [flow(WEB, OUTSIDE, 443)], answers), WEB, "egress", OUTSIDE.ip, 443)
    assert row["peer_names"] == "api.example.com"
    assert WINDOW.start == START


def test_a_pod_without_labels_is_kept_under_its_owner(tmp_path):
    """Stored logs have workloads and no labels: an edge of the workload, marked as such."""
    bare = End("", "10.0.0.1", "web-1", "shop", "web", identity=0)
    observed = observe(tmp_path, [flow(bare, API)])
    assert edge(observed, End("unlabelled:shop/Deployment/web", ""), "egress", "api", 8080)["flows"] == 1
