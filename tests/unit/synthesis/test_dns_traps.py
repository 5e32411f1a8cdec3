"""Traps G: the resolver, and names of destinations outside."""

import pytest

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.peer import CidrPeer, EndpointPeer, EntityPeer, FqdnPeer
from tests.unit.synthesis.world import World, proposal_for, reasons, rule_to, spec, titles

RESOLVER = [{"port": "53", "protocol": "TCP"}, {"port": "53", "protocol": "UDP"}]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def web(world):
    return world.pod("shop", "web")


def names(proposal):
    """Names of the rules, those that share one included."""
    peers = [rule.peer for rule in proposal.rules if isinstance(rule.peer, FqdnPeer)]
    return [one.name for peer in peers for one in peer.each]


def resolvers(proposal):
    return [rule for rule in proposal.rules if "resolver" in rule.flags]


def test_trap_G1_constrained_egress_always_reaches_the_resolver_over_both_protocols(world, web):
    """Without it everything that uses a name breaks (and G19: long answers come over TCP)."""
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns(), seen=False)
    entry = spec(propose(world.observations()), "web")["egress"][0]
    assert entry == {
        "toEndpoints": [
            {"matchLabels": {"k8s-app": "kube-dns", "k8s:io.kubernetes.pod.namespace": "kube-system"}}
        ],
        "toPorts": [{"ports": RESOLVER}],
    }


def test_trap_G1_a_workload_that_was_not_seen_asking_gets_the_resolver_of_the_others(world, web):
    """Its own questions may have been cached, lost, or asked before the window."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.dns(api, world.kube_dns(), seen=False)
    proposal = proposal_for(propose(world.observations()), "web")
    (rule,) = resolvers(proposal)
    assert rule.evidence.assumed
    assert "assumed_dns" in rule.flags
    assert "assumed_dns" in {assumption.code for assumption in proposal.assumptions}


def test_trap_G1_without_any_dns_in_the_data_the_usual_resolver_is_assumed(world, web):
    """Said as an assumption, so that it can be corrected."""
    world.edge(web, world.pod("shop", "api"))
    (rule,) = resolvers(proposal_for(propose(world.observations()), "web"))
    assert rule.peer.namespace == "kube-system"
    assert "No DNS question was seen in the whole cluster" in rule.reasons[0]


def test_trap_G2_openshift_resolves_on_5353(world, web):
    """The port of the resolver pod, not the one of the service."""
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    dns = world.pod("openshift-dns", "dns-default", labels, kind="DaemonSet")
    world.edge(web, world.pod("shop", "api"))
    world.edge(web, dns, 5353, "UDP")
    (rule,) = resolvers(proposal_for(propose(world.observations()), "web"))
    assert [port.text for port in rule.ports] == ["TCP/5353", "UDP/5353"]


def test_trap_G2_openshift_is_assumed_where_it_is_configured(world, web):
    """Nothing was seen, but the distribution is known."""
    world.edge(web, world.pod("shop", "api"))
    result = propose(world.observations(), capabilities=CapabilityHints(distribution="openshift"))
    (rule,) = resolvers(proposal_for(result, "web"))
    assert rule.peer.namespace == "openshift-dns"
    assert [port.number for port in rule.ports] == [5353, 5353]


def test_trap_G2_a_node_local_cache_is_used_beside_kube_dns(world, web):
    """Lookups are redirected to a local pod where a redirect policy exists."""
    cache = world.pod("kube-system", "node-local-dns", {"k8s-app": "node-local-dns"}, kind="DaemonSet")
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns(), seen=False)
    world.dns(web, cache, seen=False)
    entry = spec(propose(world.observations()), "web")["egress"][0]
    labels = [form["matchLabels"]["k8s-app"] for form in entry["toEndpoints"]]
    assert labels == ["kube-dns", "node-local-dns"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.16", {CidrPeer("169.254.10.0/24")}),
        ("1.17", {EntityPeer("host")}),
        (None, {CidrPeer("169.254.10.0/24"), EntityPeer("host")}),
    ],
)
def test_trap_G2_local_dns_is_an_address_or_the_host_by_version(world, web, version, expected):
    """AKS LocalDNS listens on a link-local address of the node."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", "169.254.10.11", 53, "UDP")
    result = propose(world.observations(), capabilities=CapabilityHints(cilium_version=version))
    proposal = proposal_for(result, "web")
    assert {rule.peer for rule in resolvers(proposal)} == expected
    assert not proposal.backtest.denied


def test_trap_G2_local_dns_seen_as_the_host_is_the_host(world, web):
    """Cilium shows the node's own addresses as the host."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "entity", "host", 53, "UDP")
    (rule,) = resolvers(proposal_for(propose(world.observations()), "web"))
    assert rule.peer == EntityPeer("host")


ONE_DIRECTION = {"answered": 0}
VERDICTS_ALONE = {"answered": 0, "visible": False}
REFUSED_NAMES = {"reset": 10}


@pytest.mark.parametrize("labels", [{"k8s-app": "kube-dns"}, {"app": "unbound"}])
@pytest.mark.parametrize("answers", [{}, ONE_DIRECTION, VERDICTS_ALONE, REFUSED_NAMES])
def test_trap_G2_a_resolver_in_a_namespace_of_its_own_is_known_by_whom_it_answers(world, labels, answers):
    """By nothing else, and also where no answer over UDP is recorded at all, or every name is unknown."""
    dns = world.pod("names", "dns", labels)
    for namespace, name in (("shop", "a"), ("shop", "b"), ("crm", "c")):
        client = world.pod(namespace, name)
        world.dns(client, dns, seen=False, **answers)
        world.edge(client, world.pod(namespace, f"{name}-api"))
    world.edge(world.pod("crm", "quiet"), world.pod("crm", "quiet-api"))
    result = propose(world.observations())
    assert titles(proposal_for(result, "dns"), "ingress") == ["every pod of the cluster on TCP/53, UDP/53"]
    (rule,) = resolvers(proposal_for(result, "quiet"))
    assert (rule.peer.namespace, "assumed_dns" in rule.flags) == ("names", True)


def test_trap_G2_a_label_makes_no_resolver_where_anybody_may_put_it(world, web):
    """Who asks it gets in; the rest of the cluster gets neither a way in nor one there."""
    relay = world.pod("lab", "relay", {"k8s-app": "kube-dns"})
    world.dns(web, relay, seen=False)
    world.edge(web, world.pod("shop", "api"))
    assert titles(proposal_for(propose(world.observations()), "relay"), "ingress") == [
        "web in shop on TCP/53, UDP/53"
    ]


@pytest.mark.parametrize(("protocol", "left_out"), [("TCP", {"unanswered"}), ("UDP", set())])
def test_trap_B12_G2_nobody_is_a_resolver_who_never_answered(world, protocol, left_out):
    """Attempts of three workloads open no database to the cluster, and send no bystander there."""
    db, kube_dns = world.pod("data", "db"), world.kube_dns()
    for number in range(3):
        client = world.pod(f"team-{number}", "web")
        world.dns(client, kube_dns, seen=False)
        world.edge(client, db, 53, protocol, days=[10], flows=1, answered=0, subject_pods=1)
    world.edge(world.pod("quiet", "bystander"), world.pod("quiet", "store"))
    world.edge(world.pod("data", "reports"), db, 5432)
    result = propose(world.observations())
    database = proposal_for(result, "db")
    assert "every pod of the cluster on TCP/53, UDP/53" not in titles(database, "ingress")
    assert reasons(database.left_out) == left_out
    (rule,) = resolvers(proposal_for(result, "bystander"))
    assert rule.peer.namespace == "kube-system"


@pytest.mark.parametrize(
    ("kind", "peer"),
    [("entity", "remote-node"), ("entity", "host"), ("ip", "169.254.88.88"), ("ip", "169.254.169.254")],
)
def test_trap_B12_unanswered_connections_to_port_53_are_no_questions(world, web, kind, peer):
    """Nodes, link-local addresses and the metadata service are tried in a scan like everything else."""
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns(), seen=False)
    world.to(web, kind, peer, 53, days=[9], flows=1, answered=0)
    proposal = proposal_for(propose(world.observations()), "web")
    assert [rule.peer.namespace for rule in resolvers(proposal)] == ["kube-system"]
    assert reasons(proposal.left_out) == {"unanswered"}


def test_trap_B12_J4_unanswered_connections_to_port_53_of_a_pod_are_listed_at_both_ends(world, web):
    """Its number makes a port no better than its neighbour."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, api, 53, days=[9], flows=1, answered=0)
    result = propose(world.observations())
    assert titles(proposal_for(result, "api"), "ingress") == ["web in shop on TCP/8080"]
    assert reasons(proposal_for(result, "api").left_out) == {"unanswered"}
    assert reasons(proposal_for(result, "web").left_out) == {"unanswered"}


def test_trap_G19_questions_over_udp_vouch_for_the_tcp_port(world, web):
    """A connection that a resolver did not accept takes nothing away from who asks it."""
    dns = world.kube_dns()
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, dns, seen=False)
    world.edge(web, dns, 53, days=[9], flows=1, answered=0)
    proposal = proposal_for(propose(world.observations()), "web")
    assert "coredns in kube-system on TCP/53, UDP/53" in titles(proposal, "egress")
    assert not proposal.left_out


def test_trap_G2_G5_an_external_resolver_is_an_address_to_review(world, web):
    """DNS to the outside is also how data leaves."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", "8.8.8.8", 53, "UDP", names="dns.google")
    inside, outside = resolvers(proposal_for(propose(world.observations()), "web"))
    assert outside.peer == CidrPeer("8.8.8.8/32")
    assert "toFQDNs" not in str(spec(propose(world.observations()), "web"))
    assert {"external_resolver", "needs_review"} <= set(outside.flags)
    assert "assumed_dns" in inside.flags


def test_trap_G3_without_dns_policy_destinations_are_addresses_and_dns_is_plain(world, web):
    """The normal case: no names in the data; what is lost is said."""
    world.dns(web, world.kube_dns(), seen=False)
    world.to(web, "ip", "52.1.2.4", 443)
    result = propose(world.observations())
    proposal = proposal_for(result, "web")
    assert names(proposal) == []
    assert "rules" not in spec(result, "web")["egress"][0]["toPorts"][0]
    assert "no_fqdn_seen" in {assumption.code for assumption in proposal.assumptions}


def test_trap_G4_names_come_with_the_dns_rule_that_learns_them(world, web):
    """Without it a name selects no address."""
    world.dns(web, world.kube_dns())
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    egress = spec(propose(world.observations()), "web")["egress"]
    assert egress[0]["toPorts"][0]["rules"] == {"dns": [{"matchPattern": "*"}]}
    assert egress[1]["toFQDNs"] == [{"matchName": "api.example.com"}]


def test_a_policy_without_outside_names_does_not_send_dns_through_the_proxy(world, web):
    """Inspection costs, and nothing would be learned that is used."""
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns())
    assert "rules" not in spec(propose(world.observations()), "web")["egress"][0]["toPorts"][0]


def test_an_unnamed_address_does_not_send_dns_through_the_proxy(world, web):
    """Nothing in the policy would use the names; turning visibility on is a choice of its own."""
    world.dns(web, world.kube_dns())
    world.to(web, "ip", "45.9.9.9", 443)
    assert "rules" not in spec(propose(world.observations()), "web")["egress"][0]["toPorts"][0]


def codes(proposal):
    """Codes of a proposal's assumptions."""
    return {assumption.code for assumption in proposal.assumptions}


def test_how_names_were_found_is_told_where_a_name_is_written(world, web):
    """To a policy without one it says nothing."""
    api = world.pod("shop", "api")
    world.dns(web, world.kube_dns())
    world.edge(web, api)
    world.to(api, "ip", "52.1.2.4", 443, names="api.example.com")
    result = propose(world.observations())
    assert "fqdn_from_data" in codes(proposal_for(result, "api"))
    assert "fqdn_from_data" not in codes(proposal_for(result, "web"))


def test_addresses_of_a_workload_whose_questions_were_never_seen_say_what_would_show_the_names(world, web):
    """Another workload's questions pass the proxy, so names can be had; of this one they were not seen."""
    api = world.pod("shop", "api")
    world.dns(web, world.kube_dns())
    world.to(web, "ip", "45.9.9.9", 443)
    world.dns(api, world.kube_dns(), seen=False)
    world.to(api, "ip", "52.1.2.4", 443)
    result = propose(world.observations())
    assert "names_unseen" in codes(proposal_for(result, "api"))
    assert "names_unseen" not in codes(proposal_for(result, "web"))


def test_trap_G5_a_name_is_allowed_on_the_port_of_its_connection(world, web):
    """Not on port 53, where its question went."""
    world.to(web, "ip", "52.1.2.4", 8443, names="api.example.com")
    assert "api.example.com on TCP/8443" in titles(
        proposal_for(propose(world.observations()), "web"), "egress"
    )


def test_trap_G6_questions_of_the_search_list_pass_and_make_no_rule(world, web):
    """A refused expansion stops some resolvers."""
    world.dns(web, world.kube_dns())
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com,api.example.com.shop.svc.cluster.local")
    proposal = proposal_for(propose(world.observations()), "web")
    assert names(proposal) == ["api.example.com"]
    assert resolvers(proposal)[0].dns == ("*",)


def test_trap_G7_case_and_trailing_dot_make_no_second_rule(world, web):
    """Names are compared in lower case without the dot."""
    world.to(web, "ip", "52.1.2.4", 443, names="API.Example.com.", days=range(7))
    world.to(web, "ip", "52.1.2.5", 443, names="api.example.com", days=range(7, 14))
    assert names(proposal_for(propose(world.observations()), "web")) == ["api.example.com"]


def test_trap_G10_an_address_with_several_names_gets_all_of_them(world, web):
    """Choosing one would be a guess, and admitting one without the other is not possible: one rule for both."""
    world.to(web, "ip", "52.1.2.4", 443, names="a.example.com,b.example.net")
    proposal = proposal_for(propose(world.observations()), "web")
    assert names(proposal) == ["a.example.com", "b.example.net"]
    assert "shared_address" in rule_to(proposal, "fqdns").flags


def test_trap_G11_names_are_joined_per_client(world, web):
    """Another tenant's name for the same address is not ours."""
    other = world.pod("crm", "mail")
    world.to(web, "ip", "52.1.2.4", 443, names="a.example.com")
    world.to(other, "ip", "52.1.2.4", 443, names="b.example.net")
    result = propose(world.observations())
    assert names(proposal_for(result, "web")) == ["a.example.com"]
    assert names(proposal_for(result, "mail")) == ["b.example.net"]


def test_trap_G12_a_day_without_the_name_makes_no_second_rule(world, web):
    """The agent forgets a name when its lifetime ends; the connection goes on."""
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com", days=range(7))
    world.to(web, "ip", "52.1.2.4", 443, days=range(7, 14))
    proposal = proposal_for(propose(world.observations()), "web")
    assert not [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]
    assert rule_to(proposal, "fqdn:").evidence.days_seen == 14


def test_trap_G14_names_below_a_shared_suffix_stay_exact(world, web):
    """A pattern would open every tenant's storage."""
    for number in range(20):
        world.to(web, "ip", f"20.60.1.{number}", 443, names=f"acct{number:02}.blob.core.windows.net")
    proposal = proposal_for(propose(world.observations()), "web")
    assert len(names(proposal)) == 20
    peers = [rule.peer for rule in proposal.rules if isinstance(rule.peer, FqdnPeer)]
    assert not any(one.pattern for peer in peers for one in peer.each)


@pytest.mark.parametrize(
    "name", ["db.shop.svc.cluster.local", "10-0-0-1.shop.pod.cluster.local", "db.shop.svc"]
)
def test_trap_G15_names_of_the_cluster_never_become_fqdn_rules(world, web, name):
    """``toFQDNs`` does not select pods."""
    world.to(web, "ip", "10.50.0.9", 5432, names=name)
    result = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    proposal = proposal_for(result, "web")
    assert names(proposal) == []
    assert CidrPeer("10.50.0.9/32") in {rule.peer for rule in proposal.rules}


@pytest.mark.parametrize(
    "name", ["4.3.2.1.in-addr.arpa", "bad name.example.com", "*.example.com", "a" * 300 + ".com"]
)
def test_trap_G16_G17_names_that_no_policy_may_carry_are_not_written(world, web, name):
    """Reverse names (G16), wildcards, illegal or over-long ones: never a rule, the address is reviewed."""
    world.to(web, "ip", "52.1.2.4", 443, names=name)
    proposal = proposal_for(propose(world.observations(), capabilities=CapabilityHints(fqdn=True)), "web")
    assert names(proposal) == []
    assert "needs_review" in rule_to(proposal, "cidr:").flags


def test_trap_G16_underscores_are_legal_in_names(world, web):
    """Service records use them."""
    world.to(web, "ip", "52.1.2.4", 443, names="_sip._tcp.example.com")
    assert names(proposal_for(propose(world.observations()), "web")) == ["_sip._tcp.example.com"]


def test_trap_G18_no_deep_wildcards_are_written(world, web):
    """``**.`` means something else before 1.19."""
    world.to(web, "ip", "52.1.2.4", 443, names="a.b.c.example.com")
    assert "**" not in str(spec(propose(world.observations()), "web"))


def test_trap_G21_a_direct_address_is_flagged_beside_names(world, web):
    """A client that skips DNS, or asks over HTTPS."""
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    world.to(web, "ip", "45.9.9.9", 443)
    assert "address_only" in rule_to(proposal_for(propose(world.observations()), "web"), "cidr:").flags


def test_trap_G22_without_fqdn_capability_names_only_explain_an_address(world, web):
    """AKS without ACNS refuses or ignores FQDN rules."""
    world.dns(web, world.kube_dns())
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    result = propose(world.observations(), capabilities=CapabilityHints(fqdn=False))
    rule = rule_to(proposal_for(result, "web"), "cidr:")
    assert "api.example.com" in " ".join(rule.reasons)
    assert rule.evidence.names == ("api.example.com",)
    assert "dns" not in str(spec(result, "web")["egress"][0]["toPorts"])


def test_the_cluster_resolver_serves_every_pod_and_is_not_sent_to_itself(world, web):
    """A list of today's clients would leave tomorrow's without names."""
    dns = world.kube_dns()
    for name in ("a", "b", "c"):
        world.dns(world.pod("shop", name), dns, seen=False)
    world.to(dns, "ip", "168.63.129.16", 53, "UDP")
    world.to(dns, "entity", "kube-apiserver", 443)
    result = propose(world.observations())
    section = spec(result, "coredns")
    assert section["ingress"] == [
        {
            "fromEndpoints": [
                {"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}
            ],
            "toPorts": [{"ports": RESOLVER}],
        }
    ]
    assert not [
        rule
        for rule in proposal_for(result, "coredns").rules
        if rule.direction == "egress" and isinstance(rule.peer, EndpointPeer)
    ]


def test_the_strict_posture_lists_the_clients_of_the_resolver(world, web):
    """Whoever wants it exact gets it exact."""
    world.dns(web, world.kube_dns(), seen=False)
    strict = proposal_for(propose(world.observations(), posture="strict"), "coredns")
    assert titles(strict, "ingress") == ["web in shop on TCP/53, UDP/53"]


def test_trap_G9_the_queried_name_is_allowed_and_no_target_behind_it(world, web):
    """The edge carries the name that was asked; a CNAME's target rotates and is never written."""
    world.to(web, "ip", "52.1.2.4", 443, names="shop.example.com")
    result = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    assert names(proposal_for(result, "web")) == ["shop.example.com"]


def test_trap_G13_forty_random_names_stay_forty_exact_names_until_patterns_are_learned(world, web):
    """Without the learned part nothing is widened: the list is long, and exact."""
    for number in range(40):
        world.to(web, "ip", f"52.1.2.{number}", 443, names=f"a{number:02d}x.s3.example.com")
    result = propose(world.observations(), capabilities=CapabilityHints(fqdn=True))
    found = names(proposal_for(result, "web"))
    assert len(found) == 40
    assert not any("*" in name for name in found)


def test_trap_G19_every_resolver_is_reached_over_both_protocols(world, web):
    """An answer that does not fit is asked for again over TCP, also where only UDP was seen."""
    world.edge(web, world.pod("shop", "api"))
    world.dns(web, world.kube_dns(), seen=False)
    world.to(web, "ip", "9.9.9.9", 53, "UDP")
    found = resolvers(proposal_for(propose(world.observations()), "web"))
    assert {tuple(port.text for port in rule.ports) for rule in found} == {("TCP/53", "UDP/53")}
    assert len(found) == 2


def test_trap_G20_a_name_with_hundreds_of_addresses_is_flagged(world, web):
    """Policy churns with every answer, and the agent keeps only so many."""
    for number in range(120):
        world.to(web, "ip", f"52.1.{number}.4", 443, names="cdn.example.com")
    world.to(web, "ip", "52.2.2.2", 443, names="api.example.com")
    proposal = proposal_for(propose(world.observations(), capabilities=CapabilityHints(fqdn=True)), "web")
    assert "many_ips_of_name" in rule_to(proposal, "cdn.example.com").flags
    assert "tofqdns-endpoint-max-ip-per-hostname" in " ".join(rule_to(proposal, "cdn.example.com").reasons)
    assert rule_to(proposal, "cdn.example.com").evidence.address_count == 120
    assert "many_ips_of_name" not in rule_to(proposal, "api.example.com").flags
