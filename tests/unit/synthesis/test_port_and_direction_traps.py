"""Traps D and I: ports, and what a section in a policy does to everything else."""

import copy
from dataclasses import replace

import pytest

from jobs.propose import propose
from models.domain.agent import AgentConfig
from models.domain.policy import Direction
from models.domain.rule import Port
from models.domain.window import Window
from models.errors import BadInputError
from models.frames import Observations
from models.manifest.parse import parse_objects
from models.manifest.render import cilium_manifest, comments
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.observed import agent_config
from models.simulation.replay import NOT_ADMITTED, replay, replayed
from models.simulation.verdict import evaluate
from models.synthesis.draft import draft
from tests.unit.synthesis.world import World, proposal_for, reasons, rule_to, spec, titles


@pytest.fixture
def world():
    return World()


@pytest.fixture
def web(world):
    return world.pod("shop", "web")


@pytest.fixture
def api(world):
    return world.pod("shop", "api")


def test_trap_D1_more_than_forty_ports_are_split_and_flagged(world, web, api):
    """The schema accepts forty per element; so many are a sign of a leak."""
    for port in range(9000, 9090):
        world.edge(web, api, port)
    result = propose(world.observations())
    lists = spec(result, "api")["ingress"][0]["toPorts"]
    assert [len(element["ports"]) for element in lists] == [40, 40, 10]
    assert all(
        "many_ports" in rule.flags
        for rule in proposal_for(result, "api").rules
        if rule.direction == "ingress"
    )


@pytest.mark.parametrize(("protocol", "number", "family"), [("ICMPv4", 8, "IPv4"), ("ICMPv6", 128, "IPv6")])
def test_trap_D2_echo_requests_get_an_entry_of_their_own(world, web, api, protocol, number, family):
    """Cilium refuses ``icmps`` beside ``toPorts``."""
    world.edge(web, api)
    world.edge(web, api, -1, protocol, icmp_type=number)
    result = propose(world.observations())
    entries = spec(result, "api")["ingress"]
    assert [set(entry) for entry in entries] == [{"fromEndpoints", "toPorts"}, {"fromEndpoints", "icmps"}]
    assert entries[1]["icmps"] == [{"fields": [{"family": family, "type": number}]}]
    (ping,) = [
        rule
        for rule in proposal_for(result, "api").rules
        if rule.direction == "ingress" and rule.ports[0].icmp
    ]
    assert "icmp" in ping.flags
    assert "ICMP rules have to be enabled" in " ".join(ping.reasons)


@pytest.mark.parametrize(
    ("protocol", "number"), [("ICMPv4", 0), ("ICMPv4", 3), ("ICMPv4", 11), ("ICMPv6", 129)]
)
def test_trap_D3_replies_and_errors_make_no_rule(world, web, api, protocol, number):
    """They belong to what caused them."""
    world.edge(web, api)
    world.edge(web, api, -1, protocol, icmp_type=number)
    proposal = proposal_for(propose(world.observations()), "api")
    assert reasons(proposal.left_out) == {"icmp_reply"}
    assert not proposal.backtest.denied


def test_trap_D4_sctp_is_written_and_flagged(world, web, api):
    """It has to be enabled in the cluster."""
    world.edge(web, api, 3868, "SCTP")
    rule = rule_to(proposal_for(propose(world.observations()), "api"), "web", "ingress")
    assert rule.ports == (Port("SCTP", 3868),)
    assert "sctp" in rule.flags
    assert "SCTP has to be enabled" in " ".join(rule.reasons)


@pytest.mark.parametrize("protocol", ["VRRP", "IGMP", "GRE", ""])
def test_trap_D5_protocols_without_ports_never_open_every_port(world, web, api, protocol):
    """A rule without ports would; what was seen once is left out, with its reason."""
    world.edge(web, api)
    world.edge(web, api, -1, protocol, days=[2])
    proposal = proposal_for(propose(world.observations()), "api")
    assert reasons(proposal.left_out) == {"unsupported_protocol"}
    assert len([rule for rule in proposal.rules if rule.direction == "ingress"]) == 1


@pytest.mark.parametrize(
    ("protocol", "port", "reason"), [("VRRP", -1, "unsupported_protocol"), ("UDP", 0, "no_port")]
)
def test_trap_D5_what_works_every_day_and_no_rule_can_say_keeps_its_direction_open(
    world, web, api, protocol, port, reason
):
    """A default deny would break it; the other direction is constrained as ever, and says nothing of it."""
    world.edge(web, api)
    world.edge(api, world.pod("shop", "db"), 5432)
    world.edge(web, api, port, protocol)
    proposal = proposal_for(propose(world.observations()), "api")
    assert (proposal.ingress.enforced, proposal.egress.enforced) == (False, True)
    assert proposal.ingress.reason == "incomplete"
    assert reason in proposal.ingress.why
    assert reason in reasons(proposal.left_out)


def test_trap_D6_one_number_on_two_protocols_is_two_ports(world, web, api):
    """ANY would add SCTP, and UDP where only TCP was seen."""
    world.edge(web, api, 7000, "TCP")
    world.edge(web, api, 7000, "UDP")
    assert spec(propose(world.observations()), "api")["ingress"][0]["toPorts"] == [
        {"ports": [{"port": "7000", "protocol": "TCP"}, {"port": "7000", "protocol": "UDP"}]}
    ]


def test_trap_D7_ports_are_text_and_protocols_upper_case(world, web, api):
    """The schema refuses anything else."""
    world.edge(web, api, 7000, "tcp")
    (element,) = spec(propose(world.observations()), "api")["ingress"][0]["toPorts"]
    assert element == {"ports": [{"port": "7000", "protocol": "TCP"}]}


@pytest.mark.parametrize("port", [0, -1])
def test_trap_D8_no_port_makes_no_rule(world, web, api, port):
    """Port 0 would mean all of them."""
    world.edge(web, api)
    world.edge(web, api, port, "UDP", days=[2])
    assert reasons(proposal_for(propose(world.observations()), "api").left_out) == {"no_port"}


def test_trap_D11_every_port_that_was_seen_is_allowed(world, web, api):
    """A named port may differ between pods of one workload."""
    world.edge(web, api, 8080)
    world.edge(web, api, 8081)
    ports = spec(propose(world.observations()), "api")["ingress"][0]["toPorts"][0]["ports"]
    assert [port["port"] for port in ports] == ["8080", "8081"]


def test_peers_with_the_same_ports_share_an_entry_and_no_others(world, api):
    """Few entries, and nothing opened that was not seen."""
    for name, ports in (("a", (80,)), ("b", (80,)), ("c", (80, 90))):
        for port in ports:
            world.edge(world.pod("shop", name), api, port)
    entries = spec(propose(world.observations()), "api")["ingress"]
    assert [len(entry["fromEndpoints"]) for entry in entries] == [3, 1]
    assert [port["port"] for port in entries[1]["toPorts"][0]["ports"]] == ["90"]


def test_trap_I1_no_entry_is_empty(world, web, api):
    """An empty entry allows nothing, an empty list is refused or means every peer."""
    world.edge(web, api)
    for manifest in propose(world.observations()).manifests.values():
        for section in ("ingress", "egress"):
            for entry in manifest["spec"].get(section, [{"placeholder": 1}]):
                assert entry
                assert all(entry.values())


def test_trap_I2_dns_alone_does_not_constrain_egress(world, web, api):
    """It would cut off whatever the answers were used for."""
    dns = world.kube_dns()
    world.edge(api, web)
    world.dns(web, dns, seen=False)
    proposal = proposal_for(propose(world.observations()), "web")
    assert (proposal.egress.enforced, proposal.egress.reason) == (False, "only_dns")
    assert "direction_open" in reasons(proposal.left_out)
    assert "egress" not in spec(propose(world.observations()), "web")


def test_trap_I3_a_direction_without_traffic_stays_open_and_says_so(world, web, api):
    """Silence is not absence."""
    world.edge(web, api)
    proposal = proposal_for(propose(world.observations()), "web")
    assert (proposal.ingress.enforced, proposal.ingress.reason) == (False, "nothing_observed")
    assert "silence is not proof of absence" in proposal.ingress.why
    assert "ingress" not in spec(propose(world.observations()), "web")


def test_trap_I5_both_ends_of_an_edge_are_proposed(world, web, api):
    """A policy for the client alone does not get through a server that denies."""
    world.edge(web, api)
    result = propose(world.observations())
    assert "api in shop on TCP/8080" in titles(proposal_for(result, "web"), "egress")
    assert titles(proposal_for(result, "api"), "ingress") == ["web in shop on TCP/8080"]
    assert "before, or together with" in " ".join(proposal_for(result, "web").reasons)


def test_trap_I6_a_workload_without_rules_gets_no_policy(world, web, api):
    """Four empty lists are refused, or select nobody."""
    world.edge(web, api, flows=0, answered=0, denied=5)
    result = propose(world.observations())
    assert not result.proposals
    assert {one.reason for one in result.unproposed} == {"both_directions_open"}


def test_trap_I7_one_kind_of_peer_per_entry(world, web, api):
    """Cilium refuses a mix."""
    world.edge(web, api, 443)
    world.to(web, "ip", "52.1.2.4", 443)
    world.to(web, "ip", "52.1.2.5", 443, names="api.example.com")
    world.to(web, "entity", "kube-apiserver", 443)
    entries = spec(propose(world.observations()), "web")["egress"]
    keys = [sorted(set(entry) - {"toPorts"}) for entry in entries]
    assert keys == [["toEndpoints"], ["toEndpoints"], ["toEntities"], ["toFQDNs"], ["toCIDR"]]


def test_trap_I7_addresses_and_names_of_every_kind_stay_apart(world, web, api):
    """What shares a port may share an entry, but never with a peer of another kind."""
    for peer, names in (("52.1.2.4", ""), ("169.254.169.254", ""), ("52.1.2.5", "api.example.com")):
        world.to(web, "ip", peer, 443, names=names)
    world.edge(web, api, 443)
    world.edge(web, web, 443)
    world.to(web, "entity", "kube-apiserver", 443)
    world.to(web, "entity", "remote-node", 443)
    for entry in spec(propose(world.observations()), "web")["egress"]:
        kinds = set(entry) & {"toEndpoints", "toEntities", "toFQDNs", "toCIDR", "toCIDRSet"}
        assert len(kinds) == 1, entry


def test_trap_I9_platform_traffic_is_part_of_the_policy(world, api):
    """Metrics and webhooks are not noise."""
    world.edge(world.pod("monitoring", "prometheus", kind="StatefulSet"), api, 9102)
    world.at_server(api, "entity", "kube-apiserver", 9443)
    assert titles(proposal_for(propose(world.observations()), "api"), "ingress") == [
        "prometheus in monitoring on TCP/9102",
        "entity kube-apiserver on TCP/9443",
    ]


def test_trap_I10_the_window_is_replayed_and_counts_add_up(world, web, api):
    """Denied forward edges must be none, or listed with their reason."""
    world.edge(web, api)
    world.to(web, "unresolved", "10.1.1.1", 443, days=[3])
    backtest = proposal_for(propose(world.observations()), "web").backtest
    assert (backtest.checked, backtest.admitted) == (15, 14)
    assert [(denial.reason, denial.edge_days) for denial in backtest.denied] == [("unresolved", 1)]


def test_trap_I10_an_edge_that_the_manifest_forgot_is_found_by_the_replay(world, web, api):
    """Nothing was left out on purpose: the proposal itself says that it would break what worked."""
    world.edge(web, api)
    world.edge(web, api, 9090)
    made = draft(world.observations())
    manifests = [copy.deepcopy(cilium_manifest(one)) for one in made.proposals]
    (server,) = [one for one in manifests if "api" in one["metadata"]["name"]]
    listed = server["spec"]["ingress"][0]["toPorts"][0]["ports"]
    listed[:] = [port for port in listed if port["port"] != "9090"]
    policies = parse_objects(manifests, config=agent_config(made.view))
    (proposed,) = [one for one in made.proposals if one.subject.workloads == ("Deployment/api",)]
    broken = replayed(proposed, replay(made, policies)[proposed.key])
    assert [(denial.reason, denial.edge_days) for denial in broken.backtest.denied] == [(NOT_ADMITTED, 14)]
    assert {"replay_mismatch", "needs_review"} <= set(broken.flags)


def test_a_rejected_rule_does_not_come_back(world, web, api):
    """And what it allowed is listed as rejected, and in the replay as denied."""
    world.edge(web, api)
    world.edge(web, api, 9090)
    rule = next(
        r for r in proposal_for(propose(world.observations()), "api").rules if r.ports[0].number == 9090
    )
    again = proposal_for(propose(world.observations(), rejected_rules=frozenset({rule.id})), "api")
    assert titles(again, "ingress") == ["web in shop on TCP/8080"]
    assert reasons(again.left_out) == {"rejected"}
    assert [denial.reason for denial in again.backtest.denied] == ["rejected"]


def test_rejecting_everything_leaves_the_direction_open(world, web, api):
    """Denying all is a choice of its own and not the sum of rejections."""
    world.edge(web, api)
    rules = proposal_for(propose(world.observations()), "api").rules
    result = propose(world.observations(), rejected_rules=frozenset(rule.id for rule in rules))
    assert [one.workloads for one in result.unproposed] == [("Deployment/api",)]
    assert "every incoming rule was rejected" in result.unproposed[0].why


def to_the_api(world):
    """Ids of the rules of the web for its calls to the API."""
    rules = proposal_for(propose(world.observations()), "web").rules
    return frozenset(rule.id for rule in rules if rule.ports[0].number == 8080)


def test_a_direction_of_which_nothing_was_rejected_does_not_say_so(world, web, api):
    """What calls the web was never seen; what it calls was turned down."""
    world.edge(web, api)
    result = propose(world.observations(), rejected_rules=to_the_api(world))
    (why,) = [one.why for one in result.unproposed if one.workloads == ("Deployment/web",)]
    assert "no incoming traffic was observed" in why
    assert "every outgoing rule was rejected" in why


def test_days_of_what_was_rejected_add_up_over_a_rollout(world, api):
    """Half of the days with the labels of before, half with those of after: one contact on all of them."""
    first, second = range(7), range(7, 14)
    before = world.pod("shop", "web", {"app": "web", "version": "1"}, days=first)
    after = world.pod("shop", "web", {"app": "web", "version": "2"}, days=second)
    world.edge(before, api, days=first)
    world.edge(after, api, days=second)
    result = propose(world.observations(), rejected_rules=to_the_api(world))
    (line,) = [one for one in result.left_out if one.direction == "egress"]
    assert (line.reason, line.days_seen) == ("rejected", 14)


def test_rejecting_one_role_of_a_node_is_shown_by_the_replay(world, web):
    """The rule for the other role stays, the traffic that was seen is denied."""
    world.at_server(web, "entity", "remote-node", 8080)
    rule = rule_to(proposal_for(propose(world.observations()), "web"), "remote-node", "ingress")
    again = proposal_for(propose(world.observations(), rejected_rules=frozenset({rule.id})), "web")
    assert [denial.reason for denial in again.backtest.denied] == ["rejected"]
    assert "replay_mismatch" not in again.flags


def test_one_namespace_can_be_proposed_for_alone(world, web, api):
    """The others are still looked at, so that selectors tell workloads apart."""
    world.edge(world.pod("crm", "client"), api)
    result = propose(world.observations(), namespace="crm")
    assert [proposal.namespace for proposal in result.proposals] == ["crm"]


def test_an_unknown_posture_is_refused(world):
    """With the three that exist."""
    with pytest.raises(BadInputError, match="generous, balanced, strict"):
        propose(world.observations(), posture="bold")


def test_an_empty_window_gives_an_empty_result(world):
    """A fresh store is no error."""
    result = propose(world.observations())
    assert (result.proposals, result.unproposed, result.left_out) == ((), (), ())


def shortened(observations: Observations, hours: int) -> Observations:
    """The same window with coverage of its first hours only."""
    coverage = observations.coverage
    first = coverage["hour"].min()
    return Observations(
        **{
            name: getattr(observations, name)
            for name in (
                "cluster",
                "window",
                "edge_days",
                "edge_pods",
                "edge_routes",
                "identities",
                "pods",
                "lookups",
                "set_aside",
            )
        },
        coverage=coverage[coverage["hour"] < first + hours],
    )


@pytest.mark.parametrize(
    ("hours", "days", "expected"),
    [
        (336, 14.0, "stable"),
        (335, 14.0, "stable"),
        (320, 13.3, "maturing"),
        (168, 7.0, "maturing"),
        (160, 6.7, "learning"),
    ],
)
def test_trap_J11_a_window_with_gaps_is_as_long_as_what_was_listened_to(
    world, web, api, hours, days, expected
):
    """Fourteen days are claimed only if fourteen days were observed."""
    world.edge(web, api)
    world.neighbours()
    proposal = proposal_for(propose(shortened(world.observations(), hours)), "api")
    assert (proposal.effective_days, proposal.maturity) == (days, expected)


def test_trap_A12_lossy_hours_do_not_count_as_observed(world, web, api):
    """Two of a hundred events lost prove presence, not absence."""
    world.edge(web, api)
    world.lost = dict.fromkeys(range(48), 500)
    result = propose(world.observations())
    assert (result.effective_days, result.lost_events) == (12.0, 24_000)


def test_trap_A1_hours_of_unreadable_records_do_not_count_as_observed(world, web, api):
    """What could not be read is missing like what was lost; one in a hundred is an accident."""
    world.edge(web, api)
    world.rejects = dict.fromkeys(range(48), 500) | dict.fromkeys(range(48, 96), 19)
    result = propose(world.observations())
    assert (result.effective_days, result.listened_share) == (12.0, 0.8571)
    assert proposal_for(result, "api").maturity == "maturing"


def test_trap_A15_minutes_that_rotated_away_do_not_count_as_observed(world, web, api):
    """Ten of sixty minutes of every hour, at both nodes: two weeks are two days and a bit."""
    world.edge(web, api)
    observations = world.observations()
    torn = observations.coverage.assign(seconds=2 * 600)
    result = propose(replace(observations, coverage=torn))
    assert (result.effective_days, result.listened_share) == (2.3, 0.1667)
    assert proposal_for(result, "api").maturity == "learning"


def test_without_coverage_the_days_with_traffic_count_and_it_is_said(world, web, api):
    """Older stores have none."""
    world.coverage = False
    world.edge(web, api)
    proposal = proposal_for(propose(world.observations()), "api")
    assert "coverage_unknown" in {assumption.code for assumption in proposal.assumptions}
    assert proposal.effective_days == 14.0


def test_the_hours_of_a_rule_are_those_of_all_its_callers_together(world, web, api):
    """Each client outside comes once a day, in an hour of its own: the load balancer works around the clock."""
    world.edge(web, api)
    for hour in range(24):
        world.at_server(web, "ip", f"{20 + hour}.113.7.9", 443, hour_bits=1 << hour, days=range(2, 12))
    world.at_server(web, "ip", "81.113.7.9", 443, hour_bits=0b11, days=range(2, 13))
    found = propose(world.observations())
    (rule,) = [one for one in proposal_for(found, "web").rules if one.ports[0].number == 443]
    assert (rule.evidence.days_seen, rule.evidence.hours_seen) == (11, 10 * 24 + 2)


def test_evidence_counts_days_pods_and_answers_not_volume(world, web, api):
    """What a reviewer needs, with samples to look up in Hubble."""
    world.edge(web, api, days=range(0, 14, 2), subject_pods=3, peer_pods=5)
    world.edge(web, api, 9090)
    evidence = next(
        rule
        for rule in proposal_for(propose(world.observations()), "web").rules
        if rule.ports[0].number == 8080
    ).evidence
    assert (evidence.days_seen, evidence.days_observed, evidence.hours_seen) == (7, 14, 21)
    assert (evidence.client_pods, evidence.server_pods) == (3, 5)
    assert evidence.answered_share == 1.0
    assert dict(evidence.verdicts) == {"forwarded": 70}
    assert 1 <= len(evidence.samples) <= 3
    assert isinstance(world.observations().window, Window)


def test_pods_behind_changing_addresses_of_a_name_are_told_apart(world, web, api):
    """Each address was called by one or two pods, the name by five; of a crowd only its number is known."""
    callers = [("web-1", "web-1"), ("web-2", "web-3"), ("web-3", "web-4"), ("web-5", "web-5")]
    for number, (first, last) in enumerate(callers):
        count = 1 if first == last else 2
        world.to(
            web,
            "ip",
            f"52.1.2.{number}",
            443,
            names="cdn.example.net",
            subject_pods=count,
            subject_pod=(first, last),
        )
    world.to(web, "ip", "52.9.9.9", 443, names="cdn.example.net", subject_pods=3, subject_pod=("a", "b"))
    proposal = proposal_for(propose(world.observations()), "web")
    evidence = next(rule for rule in proposal.rules if rule.ports[0].number == 443).evidence
    assert evidence.client_pods == 5


def test_trap_I8_policies_that_are_deployed_already_are_said_to_be_unread(world, web, api):
    """Allows add up and a deny wins, so this policy alone does not tell what will be in force."""
    world.edge(web, api, policies="shop/legacy")
    result = propose(world.observations())
    for name in ("web", "api"):  # C9: that no record names a policy says nothing about whether there is one
        proposal = proposal_for(result, name)
        assert "deployed_policies_unread" in {assumption.code for assumption in proposal.assumptions}
        assert "already were not read" in " ".join(comments(proposal))
    assert rule_to(proposal_for(result, "web"), "api").evidence.policies == ("shop/legacy",)


def test_trap_I8_with_the_deployed_policies_the_effective_set_is_judged(world, web, api):
    """Allows add up, a deny wins: over a proposal, over a NetworkPolicy, and cluster-wide."""
    world.edge(web, api)
    ours = list(propose(world.observations()).manifests.values())
    subject = {"endpointSelector": {"matchLabels": {"app": "api"}}}
    more = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "more", "namespace": "shop"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 9090}]}]},
    }
    deny = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "no-web"},
        "spec": subject | {"ingressDeny": [{"fromEndpoints": [{"matchLabels": {"app": "web"}}]}]},
    }
    config = AgentConfig(cilium_version="1.18")

    def verdicts(*deployed):
        policies = parse_objects([*ours, *deployed], config=config)
        assert policies.rejected == ()
        ends = [
            Side(labels=(f"k8s:app={name}", "k8s:io.kubernetes.pod.namespace=shop"))
            for name in ("web", "api")
        ]
        flows = [PolicyFlow(Direction.INGRESS, *ends, "TCP", port) for port in (8080, 9090)]
        return [evaluate(policies, flow, config).verdict for flow in flows]

    assert verdicts() == [Verdict.ALLOW, Verdict.DENY]
    assert verdicts(more) == [Verdict.ALLOW, Verdict.ALLOW]
    assert verdicts(more, deny) == [Verdict.DENY, Verdict.DENY]


def test_trap_L5_names_of_a_crowd_do_not_outgrow_the_object(world):
    """Two thousand jobs that share their labels are one policy: its annotations and words stay short."""
    server = world.pod("shop", "api")
    for number in range(2000):
        job = world.pod("shop", "job", {"app": "job", "run": str(number)}, workload=f"one-off-{number:04d}")
        world.identities[-1]["labels"] = world.identities[1]["labels"]
        if number < 2:
            world.edge(job, server)
    result = propose(world.observations())
    (manifest,) = [one for one in result.manifests.values() if "one-off" in one["spec"]["description"]]
    assert manifest["metadata"]["annotations"]["portolan.dev/workloads"].endswith("and 1950 more")
    assert manifest["spec"]["description"].count("one-off") == 6
    assert len(next(p for p in result.proposals if len(p.subject.workloads) > 9).subject.workloads) == 2000
