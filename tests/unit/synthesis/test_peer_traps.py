"""Traps E: who the other side is. And C and B as far as this layer decides them."""

import pytest

from jobs.propose import propose
from models.domain.capabilities import CapabilityHints
from models.domain.peer import CidrPeer, EndpointPeer, EntityPeer, FqdnPeer
from models.domain.rule import Port
from tests.unit.synthesis.world import World, proposal_for, reasons, rule_to, spec, titles


def peers(proposal, direction="egress"):
    return {rule.peer for rule in proposal.rules if rule.direction == direction}


@pytest.fixture
def world():
    return World()


@pytest.fixture
def web(world):
    return world.pod("shop", "web")


def test_trap_E1_a_named_destination_is_written_by_name_and_never_as_world(world, web):
    """``toEntities: [world]`` would open the internet."""
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    found = peers(proposal_for(propose(world.observations()), "web"))
    assert {one for one in found if not isinstance(one, EndpointPeer)} == {FqdnPeer("api.example.com")}


def test_trap_E1_an_unnamed_destination_is_an_address_to_be_reviewed(world, web):
    """The address may change, and nobody knows whose it is."""
    world.to(web, "ip", "52.1.2.4", 443)
    rule = rule_to(proposal_for(propose(world.observations()), "web"), "cidr:")
    assert rule.peer == CidrPeer("52.1.2.4/32")
    assert {"address_only", "needs_review"} <= set(rule.flags)


@pytest.mark.parametrize("entity", ["world-ipv4", "world-ipv6"])
def test_trap_E2_the_two_worlds_never_reach_the_schema(world, web, entity):
    """The enum of the schema has neither."""
    for number in range(12):
        world.at_server(web, "ip", f"93.184.216.{number}", 443)
    world.at_server(web, "entity", entity, 443)
    proposal = proposal_for(propose(world.observations()), "web")
    assert peers(proposal, "ingress") == {EntityPeer("world")}
    assert not proposal.left_out
    assert not proposal.backtest.denied


def test_trap_E2_clients_without_an_address_alone_open_nothing(world, web):
    """Who they are cannot be told, so ingress stays open instead of admitting the world."""
    world.at_server(web, "entity", "world-ipv6", 443)
    result = propose(world.observations())
    assert not result.proposals
    assert reasons(result.left_out) == {"address_unknown"}


def test_trap_E3_labels_of_addresses_are_no_pod_labels(world, web):
    """``cidr:`` and ``fqdn:`` labels show which rule matched; the peer is the address."""
    api = world.pod("shop", "api")
    world.identities[-1]["labels"] = world.identities[-1]["labels"].replace(
        '["k8s', '["cidr:52.1.2.4/32", "k8s'
    )
    world.edge(web, api)
    assert spec(propose(world.observations()), "web")["egress"][-1]["toEndpoints"] == [
        {"matchLabels": {"app": "api"}}
    ]


def test_trap_E4_an_outside_ipv6_address_is_a_128(world, web):
    """A /32 of IPv6 is four billion networks."""
    world.to(web, "ip", "2a00:1450:4001:800::200e", 443)
    assert CidrPeer("2a00:1450:4001:800::200e/128") in peers(
        proposal_for(propose(world.observations()), "web")
    )


def test_trap_E5_the_api_server_is_an_entity(world, web):
    """Whatever else its identity says; the fold gives the entity precedence."""
    world.to(web, "entity", "kube-apiserver", 443)
    assert EntityPeer("kube-apiserver") in peers(proposal_for(propose(world.observations()), "web"))


@pytest.mark.parametrize("entity", ["remote-node", "kube-apiserver"])
def test_trap_E6_a_webhook_admits_whom_it_saw(world, web, entity):
    """On AKS the API server arrives through a tunnel, as a node or as a pod."""
    world.at_server(web, "entity", entity, 9443)
    assert EntityPeer(entity) in peers(proposal_for(propose(world.observations()), "web"), "ingress")


def test_trap_E6_a_webhook_called_through_konnectivity_admits_that_pod(world, web):
    """Inside the cluster the API server looks like the tunnel's agent."""
    agent = world.pod("kube-system", "konnectivity-agent")
    world.edge(agent, web, 9443)
    proposal = proposal_for(propose(world.observations()), "web")
    assert titles(proposal, "ingress") == ["konnectivity-agent in kube-system on TCP/9443"]


def test_trap_E7_probes_of_the_own_node_make_no_rule(world, web):
    """The local host is let in anyway, and a probe is no evidence for a client."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    alone = rule_to(proposal_for(propose(world.observations()), "api"), "web", "ingress")
    world.at_server(api, "entity", "host", 8080)
    proposal = proposal_for(propose(world.observations()), "api")
    assert titles(proposal, "ingress") == ["web in shop on TCP/8080"]
    probed = rule_to(proposal, "web", "ingress")
    assert (probed.confidence.p_need, probed.evidence) == (alone.confidence.p_need, alone.evidence)
    assert reasons(proposal.left_out) == {"implicit_host"}
    assert not proposal.backtest.denied


def test_trap_E7_probes_alone_do_not_constrain_ingress(world, web):
    """Nobody was seen to call it, which is no proof that nobody does."""
    world.at_server(web, "entity", "host", 8080)
    world.to(web, "ip", "52.1.2.4", 443, names="api.example.com")
    proposal = proposal_for(propose(world.observations()), "web")
    assert not proposal.ingress.enforced
    assert proposal.ingress.reason == "nothing_observed"


def test_trap_E8_nodes_are_admitted_in_both_roles_with_a_warning(world, web):
    """A host-network client moves between the two when pods are rescheduled."""
    world.at_server(web, "entity", "remote-node", 8080)
    result = propose(world.observations())
    proposal = proposal_for(result, "web")
    assert spec(result, "web")["ingress"][0]["fromEntities"] == ["host", "remote-node"]
    assert "every process in the host network" in " ".join(
        rule_to(proposal, "remote-node", "ingress").reasons
    )


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        ("health", "health"),
        ("unmanaged", "unmanaged_peer"),
        ("init", "initialising_peer"),
        ("", "unresolved"),
    ],
)
def test_trap_E9_passing_identities_make_no_rule(world, web, entity, reason):
    """They are Cilium's own, or a pod that is seen again under its real identity."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.at_server(api, "entity", entity, 8080, days=[3])
    proposal = proposal_for(propose(world.observations()), "api")
    assert reasons(proposal.left_out) == {reason}
    assert entity != "unmanaged" or "restart it" in proposal.left_out[0].why
    assert titles(proposal, "ingress") == ["web in shop on TCP/8080"]


def test_trap_E9_the_ingress_proxy_is_an_entity(world, web):
    """Cilium's own ingress or gateway."""
    world.at_server(web, "entity", "ingress", 8080)
    assert peers(proposal_for(propose(world.observations()), "web"), "ingress") == {EntityPeer("ingress")}


def test_trap_E10_a_host_network_pod_is_no_subject(world, web):
    """No pod policy selects it; its traffic is listed."""
    node = world.pod("kube-system", "node-agent")
    world.identities[-1]["entity"] = "host"
    world.to(node, "ip", "52.1.2.4", 443)
    world.edge(web, node, 9100)
    result = propose(world.observations())
    assert "subject_not_a_pod" in reasons(result.left_out)
    assert EntityPeer("host") in peers(proposal_for(result, "web"))


def test_trap_E11_a_service_address_is_held_back(world, web):
    """Policy sees backends; an address of a service in a rule matches nothing."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "service", "shop/api", 80, days=[1])
    proposal = proposal_for(propose(world.observations()), "web")
    assert reasons(proposal.left_out) == {"service_address"}
    assert [denial.reason for denial in proposal.backtest.denied] == ["service_address"]


def test_trap_E12_an_unresolved_pod_address_is_counted_and_never_a_prefix(world, web):
    """A prefix never selects a pod."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "unresolved", "10.244.1.7", 8080, days=[2])
    proposal = proposal_for(propose(world.observations()), "web")
    assert not [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]
    assert reasons(proposal.left_out) == {"unresolved"}


def test_trap_E12_a_persistent_unresolved_peer_is_no_prefix_and_does_not_break(world, web):
    """A default deny would break for certain what works every day: its port stays open, and nothing else."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "unresolved", "10.244.1.7", 8081)
    proposal = proposal_for(propose(world.observations()), "web")
    assert not [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]
    (untold,) = [rule for rule in proposal.rules if "untold" in rule.flags]
    assert (untold.peer, untold.ports) == (EntityPeer("all"), (Port("TCP", 8081),))
    assert "needs_review" in untold.flags


def test_trap_E13_nodes_are_entities_and_not_addresses(world, web):
    """A prefix does not select a node."""
    world.to(web, "entity", "remote-node", 9100)
    entries = spec(propose(world.observations()), "web")["egress"]
    assert {"toEntities", "toPorts"} == set(entries[-1])


def test_trap_E14_a_peer_is_whom_the_record_names(world, web):
    """Labels at the time of the flow, not today's holder of the address."""
    api = world.pod("shop", "api", days=range(13))
    world.edge(web, api, days=range(13))
    assert rule_to(proposal_for(propose(world.observations()), "web"), "api").evidence.days_seen == 13


def test_trap_E15_every_identity_of_a_balanced_client_is_admitted(world, web):
    """Through a load balancer a client is itself, a node, or the proxy."""
    for number in range(12):
        world.at_server(web, "ip", f"93.184.216.{number}", 443)
    world.at_server(web, "entity", "remote-node", 443)
    world.at_server(web, "entity", "ingress", 443)
    proposal = proposal_for(propose(world.observations()), "web")
    found = peers(proposal, "ingress")
    assert found == {EntityPeer(name) for name in ("world", "remote-node", "host", "ingress")}
    warned = rule_to(proposal, "remote-node", "ingress").reasons
    assert "every process in the host network" in " ".join(warned)


def test_trap_E16_private_addresses_outside_stay_exact(world, web):
    """Not the world, and not all of 10.0.0.0/8: so many public neighbours would be a prefix (E20)."""
    for number in range(1, 13):
        world.to(web, "ip", f"10.20.0.{number}", 1433)
    result = propose(world.observations())
    entries = [entry for entry in spec(result, "web")["egress"] if "toCIDR" in entry or "toCIDRSet" in entry]
    assert [entry["toCIDR"] for entry in entries] == [[f"10.20.0.{number}/32" for number in range(1, 13)]]
    assert not [rule for rule in proposal_for(result, "web").rules if rule.widening]


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16"])
def test_trap_E17_metadata_services_stand_alone_and_need_a_person(world, web, address):
    """They give out credentials of the node."""
    world.to(web, "ip", address, 80, names="metadata.example.com")
    world.to(web, "ip", "52.1.2.4", 80)
    result = propose(world.observations())
    rule = rule_to(proposal_for(result, "web"), address)
    assert {"metadata", "needs_review"} <= set(rule.flags)
    assert {"toCIDR": [f"{address}/32"]}.items() <= spec(result, "web")["egress"][-1].items()


@pytest.mark.parametrize("rejected", [False, True])
def test_trap_E17_a_name_that_leads_to_a_metadata_service_needs_a_person(world, web, rejected):
    """Whoever owns the name lets the rule for it open that address (DNS rebinding), rejected or not."""
    address, hints = "169.254.169.254", CapabilityHints(fqdn=True)
    world.dns(web, world.kube_dns())
    for name, where, port in (
        ("flip.example.com", address, 80),
        ("flip.example.com", "52.1.2.4", 80),
        ("flip.example.com", "52.1.2.4", 443),
        ("calm.example.com", "52.1.2.5", 80),
    ):
        world.to(web, "ip", where, port, names=name)
    first = proposal_for(propose(world.observations(), capabilities=hints), "web")
    gone = frozenset([rule_to(first, address).id] if rejected else [])
    again = proposal_for(propose(world.observations(), capabilities=hints, rejected_rules=gone), "web")
    told = {
        (rule.peer.name, rule.ports[0].number): [text for text in rule.reasons if address in text]
        for rule in again.rules
        if isinstance(rule.peer, FqdnPeer)
    }
    assert {key for key, texts in told.items() if texts} == {("flip.example.com", 80)}
    (text,) = told[("flip.example.com", 80)]
    assert text.startswith(
        f"It also lets it call {address}{', which a reviewer rejected' if rejected else ''}: a metadata"
    )
    (rule,) = [rule for rule in again.rules if text in rule.reasons]
    assert {"metadata", "needs_review"} <= set(rule.flags)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("224.0.0.251", "multicast"),
        ("255.255.255.255", "multicast"),
        ("ff02::fb", "multicast"),
        ("169.254.7.7", "link_local"),
        ("127.0.0.1", "link_local"),
        ("fe80::1", "link_local"),
    ],
)
def test_trap_E18_multicast_and_link_local_make_no_rule(world, web, address, reason):
    """Policy does not select them."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", address, 5353, "UDP")
    assert reasons(proposal_for(propose(world.observations()), "web").left_out) == {reason}


@pytest.mark.parametrize("address", ["0.0.0.0", "", "::", "not-an-address"])
def test_trap_E19_a_missing_address_is_unresolved(world, web, address):
    """``0.0.0.0/32`` is nobody."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", address, 443, days=[1])
    assert reasons(proposal_for(propose(world.observations()), "web").left_out) == {"unresolved"}


def test_trap_E20_a_long_list_of_addresses_is_flagged_with_its_length(world, web):
    """Names first; else a person must see how many there are."""
    for number in range(30):
        world.to(web, "ip", f"52.{number}.2.1", 443)
    proposal = proposal_for(propose(world.observations()), "web")
    rules = [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]
    assert len(rules) == 30
    assert all("many_addresses" in rule.flags for rule in rules)
    assert "One of 30 unnamed addresses" in " ".join(rules[0].reasons)


def test_trap_E20_neighbouring_addresses_become_a_prefix_with_the_number_it_adds(world, web):
    """The budget is explicit: three unseen addresses for each one seen, and the rule says how many."""
    for number in range(1, 13):
        world.to(web, "ip", f"52.1.2.{number}", 443)
    proposal = proposal_for(propose(world.observations()), "web")
    (rule,) = [rule for rule in proposal.rules if isinstance(rule.peer, CidrPeer)]
    (record,) = rule.widening
    assert (rule.peer.cidr, record.covers, record.unseen) == ("52.1.2.0/28", 12, 4)
    assert {"generalised", "needs_review"} <= set(rule.flags)


def test_trap_E21_replicas_that_talk_to_each_other_get_a_self_rule_both_ways(world):
    """Through its own service a pod reaches its replicas."""
    db = world.pod("data", "pg", kind="StatefulSet")
    world.edge(db, db, 5432)
    section = spec(propose(world.observations()), "pg")
    assert section["ingress"][0]["fromEndpoints"] == [{"matchLabels": {"app": "pg"}}]
    assert section["egress"][-1]["toEndpoints"] == [{"matchLabels": {"app": "pg"}}]


def test_trap_E22_a_peer_of_another_cluster_is_selected_with_its_cluster(world, web):
    """Else local pods of the same labels are meant."""
    far = world.pod("shop", "ledger", cilium_cluster="west")
    world.edge(web, far)
    result = propose(world.observations())
    assert spec(result, "web")["egress"][-1]["toEndpoints"] == [
        {
            "matchLabels": {
                "app": "ledger",
                "k8s:io.cilium.k8s.policy.cluster": "west",
                "k8s:io.kubernetes.pod.namespace": "shop",
            }
        }
    ]
    assert "subject_other_cluster" in reasons(result.left_out)


def test_trap_E22_the_local_cluster_may_have_another_name_than_the_store(world):
    """``--cluster`` is a name for people; labels carry Cilium's."""
    one = world.pod("shop", "web", cilium_cluster="aks-1")
    two = world.pod("shop", "api", cilium_cluster="aks-1")
    world.edge(one, two)
    result = propose(world.observations())
    assert len(result.proposals) == 2
    assert not proposal_for(result, "web").backtest.denied


def test_trap_A9_aggregated_records_carry_no_address_and_keep_the_direction_open(world, web):
    """The address belongs to the first flow of a group; enforcing egress would break the others."""
    api = world.pod("shop", "api")
    world.edge(web, api, aggregated=True)
    world.to(web, "ip", "52.1.2.4", 443, aggregated=True)
    result = propose(world.observations())
    assert "address_unknown" in reasons(result.left_out)
    assert titles(proposal_for(result, "api"), "ingress") == ["web in shop on TCP/8080"]


def test_trap_B7_a_server_seen_only_from_its_clients_still_gets_ingress(world, web):
    """The first ingress policy of somebody else would cut it off."""
    world.edge(web, world.pod("shop", "api"), own_end=False)
    rule = rule_to(proposal_for(propose(world.observations()), "api"), "web", "ingress")
    assert "seen_from_other_end" in rule.flags


def test_trap_B11_symmetric_gossip_gets_both_directions(world):
    """Members of a ring call each other on the same port."""
    ring = world.pod("data", "ring", kind="StatefulSet")
    world.edge(ring, ring, 7946, "UDP", answered=0)
    proposal = proposal_for(propose(world.observations()), "ring")
    assert titles(proposal, "ingress") == ["ring in data on UDP/7946"]
    assert "ring in data on UDP/7946" in titles(proposal, "egress")


def test_trap_B12_an_unanswered_connection_is_listed_and_not_allowed(world, web):
    """A dead target or a closed port."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, api, 9999, answered=0)
    result = propose(world.observations())
    assert titles(proposal_for(result, "api"), "ingress") == ["web in shop on TCP/8080"]
    assert reasons(proposal_for(result, "web").left_out) == {"unanswered"}
    assert not proposal_for(result, "web").backtest.denied


def test_trap_B12_a_reset_is_no_answer(world, web):
    """A closed port answers too, with a reset."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, api, 9999, answered=10, reset=10)
    assert reasons(proposal_for(propose(world.observations()), "web").left_out) == {"unanswered"}


def test_unanswered_counts_only_where_replies_would_be_seen(world, web):
    """A stream of policy verdicts shows no reply at all."""
    world.edge(web, world.pod("shop", "api"), answered=0, visible=False)
    rule = rule_to(proposal_for(propose(world.observations()), "web"), "api")
    assert "unconfirmed" in rule.flags
    assert rule.evidence.answered_share is None


def test_one_way_udp_is_legitimate(world, web):
    """Statsd and syslog never answer."""
    world.edge(web, world.pod("monitoring", "statsd"), 8125, "UDP", answered=0)
    assert "statsd in monitoring on UDP/8125" in titles(
        proposal_for(propose(world.observations()), "web"), "egress"
    )


@pytest.mark.parametrize(
    ("measure", "reason"), [("denied", "denied"), ("dropped", "dropped"), ("l7_denied", "l7_refused")]
)
def test_trap_C1_C2_C7_refused_traffic_is_never_an_allow_rule(world, web, measure, reason):
    """A port scan that policy stopped must not come back as a rule (C1, C2, C7)."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, api, 22, flows=0, answered=0, **{measure: 50})
    result = propose(world.observations())
    for name in ("web", "api"):
        proposal = proposal_for(result, name)
        assert "TCP/22" not in " ".join(rule.title for rule in proposal.rules)
        assert reasons(proposal.left_out) == {reason}


def test_trap_C3_audited_traffic_is_allowed_with_its_own_tag(world, web):
    """It works today and would be denied by enforcement."""
    world.edge(web, world.pod("shop", "api"), flows=0, answered=10, audited=10)
    rule = rule_to(proposal_for(propose(world.observations()), "web"), "api")
    assert "audited" in rule.flags
    assert dict(rule.evidence.verdicts) == {"audited": 140}


def test_trap_A7_J7_volume_makes_no_rule_surer(world, web):
    """Monitor aggregation, sampling and an attacker all change counts: days, hours and pods are what counts."""
    api = world.pod("shop", "api")
    for port, flows in ((8080, 3), (8081, 30), (8082, 30_000)):
        world.edge(web, api, port, flows=flows)
    sure = {rule.confidence for rule in proposal_for(propose(world.observations()), "api").rules}
    assert len({(one.p_need, one.p_need_7d) for one in sure}) == 1
    assert next(iter(sure)).p_need > 0.9
    assert max(one.p_legit for one in sure) - min(one.p_legit for one in sure) < 0.02


def test_few_outside_clients_are_listed_and_many_make_the_world(world, web):
    """The world only where many addresses were served."""
    for number in range(9):
        world.at_server(web, "ip", f"93.184.216.{number}", 443)
    listed = proposal_for(propose(world.observations()), "web")
    assert len(peers(listed, "ingress")) == 9
    assert all({"outside_client", "needs_review"} <= set(rule.flags) for rule in listed.rules)
    world.at_server(web, "ip", "93.184.216.99", 443)
    opened = proposal_for(propose(world.observations()), "web")
    assert peers(opened, "ingress") == {EntityPeer("world")}
    assert {"internet_exposed", "needs_review"} <= set(opened.rules[0].flags)


def test_internet_noise_on_closed_ports_never_opens_them(world, web):
    """A hundred scanners without an answer are no clients."""
    world.at_server(web, "ip", "93.184.216.1", 443)
    for number in range(100):
        world.at_server(web, "ip", f"45.1.2.{number}", 23, answered=0, days=[number % 14])
    proposal = proposal_for(propose(world.observations()), "web")
    assert titles(proposal, "ingress") == ["93.184.216.1/32 on TCP/443"]
    assert sum(line.edges for line in proposal.left_out) == 100
    assert len(proposal.left_out) < 40


def test_what_one_pod_did_outside_on_one_day_is_held_back_unless_generous(world, web):
    """A single sighting outside, without a name where others have one, is what an attack looks like."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", "52.9.9.9", 443, names="api.example.net")
    world.to(web, "ip", "52.1.2.4", 443, days=[3], subject_pods=1)
    hints = CapabilityHints(fqdn=True)
    for posture in ("strict", "balanced"):
        held = proposal_for(propose(world.observations(), posture=posture, capabilities=hints), "web")
        assert reasons(held.left_out) == {"quarantined"}
    generous = proposal_for(propose(world.observations(), posture="generous", capabilities=hints), "web")
    assert "cidr:52.1.2.4/32" in [rule.peer.key for rule in generous.rules]


def test_strict_wants_two_kinds_of_evidence_for_the_outside(world, web):
    """Two days from one pod are enough for balanced and not for strict."""
    world.edge(web, world.pod("shop", "api"))
    world.to(web, "ip", "52.1.2.4", 443, days=[3, 9], subject_pods=1)
    hints = CapabilityHints(fqdn=True)
    strict = proposal_for(propose(world.observations(), posture="strict", capabilities=hints), "web")
    assert reasons(strict.left_out) == {"quarantined"}
    balanced = proposal_for(propose(world.observations(), capabilities=hints), "web")
    assert "cidr:52.1.2.4/32" in [rule.peer.key for rule in balanced.rules]


def test_generous_keeps_a_direction_open_for_anything_that_cannot_be_written(world, web):
    """Balanced accepts one stray record; generous does not."""
    api = world.pod("shop", "api")
    world.edge(web, api)
    world.at_server(api, "unresolved", "10.244.1.7", 8080, days=[2])
    assert proposal_for(propose(world.observations()), "api").ingress.enforced
    result = propose(world.observations(), posture="generous")
    assert [one.workloads for one in result.unproposed] == [("Deployment/api",)]


def test_trap_J5_a_debugging_session_is_held_back(world, web):
    """A bare pod of a day makes no rule at either end."""
    netshoot = world.pod("shop", "netshoot", kind="Pod")
    world.edge(netshoot, web, days=[12])
    world.edge(web, world.pod("shop", "api"))
    result = propose(world.observations())
    held = [line.reason for one in result.proposals for line in one.left_out] + [
        line.reason for line in result.left_out
    ]
    assert held == ["quarantined", "quarantined"]


def test_a_bare_pod_that_stays_is_flagged_as_a_peer(world, web):
    """Fourteen days are no debugging session, but nothing starts it again."""
    world.edge(world.pod("shop", "netshoot", kind="Pod"), web)
    flags = rule_to(proposal_for(propose(world.observations()), "web"), "netshoot", "ingress").flags
    assert {"ownerless_peer", "needs_review"} <= set(flags)


def test_what_one_pod_did_on_one_day_stands_apart_for_review(world, web):
    """It must not hide in an entry of everyday clients."""
    api = world.pod("shop", "api")
    world.edge(world.pod("shop", "everyday"), api)
    world.edge(web, api, days=[12], subject_pods=1, peer_pods=1)
    result = propose(world.observations())
    rule = rule_to(proposal_for(result, "api"), "/web", "ingress")
    assert {"seen_once", "needs_review"} <= set(rule.flags)
    assert len(spec(result, "api")["ingress"]) == 2


def test_addresses_are_sorted_as_numbers(world, web):
    """Text would put .10 before .9."""
    for last in (10, 9, 100):
        world.to(web, "ip", f"52.1.2.{last}", 443)
    entry = spec(propose(world.observations()), "web")["egress"][-1]
    assert entry["toCIDR"] == ["52.1.2.9/32", "52.1.2.10/32", "52.1.2.100/32"]


def test_a_destination_of_one_replica_only_is_flagged(world, web):
    """A compromised pod calls home while its siblings do not (trap J6, as far as a rule can say)."""
    world.edge(web, world.pod("shop", "api"), subject_pods=6)
    world.to(web, "ip", "52.1.2.4", 443, names="rare.example.com", subject_pods=1, days=range(5, 14))
    world.to(web, "ip", "52.1.2.5", 443, names="usual.example.com", subject_pods=6)
    proposal = proposal_for(propose(world.observations()), "web")
    assert {"one_replica", "needs_review"} <= set(rule_to(proposal, "rare").flags)
    assert "one_replica" not in rule_to(proposal, "usual").flags
