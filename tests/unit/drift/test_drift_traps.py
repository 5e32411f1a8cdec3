"""Rows K of the traps: what a drift report must not fall for."""

import copy
from dataclasses import replace

import pytest

from models.domain.capabilities import CapabilityHints
from models.domain.quarantine import quarantine_id
from models.drift.changed import Approved
from models.drift.find import DriftInput, find_drift
from models.drift.night import set_scene
from models.drift.standing import stand
from models.drift.timeline import Snapshot
from tests.unit.drift.nights import DAYS, LAST, NOW, cluster, kinds, parts, policies_of, policy, report
from tests.unit.synthesis.set_aside import row, with_rows


def without(frames, name):
    """The same observations with one frame emptied."""
    return replace(frames, **{name: getattr(frames, name).iloc[:0]})


def test_a_quiet_night_gives_an_empty_report():
    """Everything seen is allowed and nothing changed."""
    world, _ = cluster()
    assert report(world, policies_of(world)).findings == ()


def test_a_quiet_hour_a_day_takes_no_night_away():
    """Nor does a node that is there by day: three quarters of a day say what its refusals and its odd calls were."""
    world, _ = cluster()
    policies = policies_of(world)
    world.silent_hours = {24 * day + 3 for day in range(DAYS)}
    history, night = parts(world)
    scene = set_scene(night, history, (Snapshot(0, tuple(policies)),), CapabilityHints())
    assert stand(scene).days.count == DAYS
    assert not any("looks" in note for note in report(world, policies).notes)


def test_a_history_of_which_little_was_heard_is_said():
    """Nothing is screened in it, and a report without suspicions would read as if there were none."""
    world, _ = cluster()
    policies = policies_of(world)
    history, night = parts(world)
    deaf = replace(history, coverage=history.coverage.assign(expected_nodes=20))
    made = find_drift(DriftInput(night, deaf, (Snapshot(0, tuple(policies)),)), NOW)
    assert any(note.startswith("Enough was heard of 1 days only") for note in made.notes)


def test_trap_K1_what_the_evaluator_cannot_decide_is_no_alarm():
    """A rule for a Service that nobody gave along may allow the call: it is counted, and named once."""
    world, pods = cluster()
    policies = policies_of(world)
    unknown = copy.deepcopy(policy(policies, "web"))
    unknown["metadata"]["name"] = "services"
    unknown["spec"] = {
        "endpointSelector": unknown["spec"]["endpointSelector"],
        "egress": [{"toServices": [{"k8sService": {"serviceName": "api", "namespace": "shop"}}]}],
    }
    world.edge(pods["web"], pods["db"], 9999, both=False, days=[LAST])
    made = report(world, [*policies, unknown])
    assert kinds(made) == ["unknown"]
    assert made.counts["edges_undecided"] > 0
    assert "toServices" in made.findings[0].why


def test_trap_K1_every_form_of_rule_that_allows_a_call_allows_it_here():
    """endPort, named entity, matchExpressions: a full reading, and so no finding."""
    world, pods = cluster()
    policies = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, both=False, days=[LAST])
    for allowed in (
        {
            "toEntities": ["cluster"],
            "toPorts": [{"ports": [{"port": "9000", "endPort": 10000, "protocol": "TCP"}]}],
        },
        {"toEndpoints": [{"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "x"]}]}]},
        {"toEntities": ["all"]},
    ):
        more = copy.deepcopy(policy(policies, "web"))
        more["metadata"]["name"] = "more"
        more["spec"] = {"endpointSelector": more["spec"]["endpointSelector"], "egress": [allowed]}
        assert "uncovered" not in kinds(report(world, [*policies, more]))
    assert "uncovered" in kinds(report(world, policies))


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("", {"toCIDRSet": [{"cidr": "52.0.0.0/8", "except": ["52.9.0.0/16"]}]}),
        ("", {"toCIDRSet": [{"cidrGroupRef": "partners"}]}),
        ("", {"toFQDNs": [{"matchPattern": "*.example.com"}]}),
        ("Clusterwide", {"toEntities": ["world"]}),
        ("too little", {"toCIDRSet": [{"cidr": "52.0.0.0/8", "except": ["52.1.0.0/16"]}]}),
        ("too little", {"toFQDNs": [{"matchPattern": "*.com"}]}),
        ("too little", {"toEntities": ["cluster"]}),
    ],
)
def test_trap_K1_every_form_of_rule_for_the_outside_is_read(kind, allowed):
    """Exceptions, groups of addresses, patterns and cluster-wide policies, each as the agent reads it."""
    world, pods = cluster()
    policies = policies_of(world)
    world.to(pods["web"], "ip", "52.1.2.4", 8443, names="api.example.com", days=[LAST])
    group = {
        "apiVersion": "cilium.io/v2alpha1",
        "kind": "CiliumCIDRGroup",
        "metadata": {"name": "partners"},
        "spec": {"externalCIDRs": ["52.1.2.0/24"]},
    }
    more = copy.deepcopy(policy(policies, "web"))
    more["metadata"]["name"] = "more"
    more["spec"] = {"endpointSelector": more["spec"]["endpointSelector"], "egress": [allowed]}
    if kind == "Clusterwide":
        more["kind"] = "CiliumClusterwideNetworkPolicy"
        del more["metadata"]["namespace"]
        labels = more["spec"]["endpointSelector"]["matchLabels"]
        labels["k8s:io.kubernetes.pod.namespace"] = "shop"
    found = kinds(report(world, [*policies, group, more]))
    assert ("uncovered" in found) is (kind == "too little"), found


def test_trap_K1_a_namespace_selector_is_read():
    """By the namespace's own labels, which the identity carries."""
    world, pods = cluster()
    policies = policies_of(world)
    other = world.pod("crm", "mail", {"app": "mail", "io.cilium.k8s.namespace.labels.team": "crm"})
    world.edge(pods["web"], other, 9999, both=False, days=[LAST])
    for team, told in (("crm", False), ("ops", True)):
        labels = {"k8s:io.cilium.k8s.namespace.labels.team": team}
        more = copy.deepcopy(policy(policies, "web"))
        more["metadata"]["name"] = "more"
        peers = [
            {
                "matchLabels": labels,
                "matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}],
            }
        ]
        more["spec"] = {
            "endpointSelector": more["spec"]["endpointSelector"],
            "egress": [{"toEndpoints": peers}],
        }
        assert ("uncovered" in kinds(report(world, [*policies, more]))) is told


def test_trap_K2_a_flow_is_judged_by_the_revision_of_its_time():
    """A call of the morning was allowed then; the edit that stopped it came in the evening."""
    world, pods = cluster()
    before = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, both=False, days=[LAST])
    allowing = policies_of(world)
    tightened = copy.deepcopy(policy(before, "web"))
    tightened["metadata"]["managedFields"] = [{"manager": "kubectl", "time": "2026-03-28T23:00:00Z"}]
    others = [one for one in before if one is not policy(before, "web")]
    yesterday = Snapshot(world.at(LAST - 1), (policy(allowing, "web"), *others))
    today = Snapshot(world.at(LAST, 23) + 3600 * 1_000_000, (tightened, *others))
    assert "uncovered" not in kinds(report(world, (), snapshots=(yesterday, today)))
    early = copy.deepcopy(tightened)
    early["metadata"]["managedFields"][0]["time"] = "2026-03-28T00:00:01Z"
    late = Snapshot(today.taken_us, (early, *others))
    assert "uncovered" in kinds(report(world, (), snapshots=(yesterday, late)))


def test_trap_K3_audited_traffic_comes_first():
    """Only an audit mode lets it pass: it heads the report, whatever else there is."""
    world, pods = cluster()
    policies = policies_of(world)
    world.edge(pods["web"], pods["db"], 9999, both=False, days=[LAST])
    world.edge(pods["api"], pods["web"], 7777, both=False, days=[LAST], flows=0, audited=9, answered=9)
    made = report(world, policies)
    assert made.findings[0].audited
    assert kinds(made)[:2] == ["denied", "uncovered"]


def audited(**changes):
    """A world in which web calls db on a port of its own on the last night, let in by audit mode alone."""
    world, pods = cluster()
    policies = policies_of(world)
    passed = {"flows": 0, "audited": 9, "answered": 9}
    world.half(pods["db"], "ingress", "endpoint", pods["web"].key, 9999, days=[LAST], **passed | changes)
    return world, policies


def test_trap_K3_audited_traffic_is_told_while_it_is_held_back():
    """Screening keeps it out of proposals; what enforcing would stop is told, and nothing is opened for it."""
    world, policies = audited()
    (offered,) = report(world, policies).findings
    assert offered.suggestion.patch
    cell = "prod:shop/Deployment/db|ingress|endpoint|prod:shop/Deployment/web|TCP|9999"
    made = report(world, policies, held=frozenset({quarantine_id("prod", cell)}))
    (found,) = made.findings
    assert (found.kind.value, found.detector, found.audited) == ("denied", "audited", True)
    assert "enforcing the policy would stop it. Screening holds it back" in found.why
    assert (found.suggestion.action, found.suggestion.patch) == ("investigate", ())
    assert made.counts["held_back_by_screening"] == 0


def test_trap_K3_one_audited_call_of_one_pod_is_told():
    """Anybody else's single call is only counted."""
    once = {"hour_bits": 1, "subject_pods": 1, "peer_pods": 1}
    (found,) = report(*audited(**once)).findings
    assert (found.detector, found.audited) == ("audited", True)
    passed = report(*audited(**once, flows=9, audited=0))
    assert (passed.findings, passed.counts["seen_once"]) == ((), 1)


def test_trap_K3_what_audit_mode_stops_is_told_where_no_rule_by_name_can_be_decided():
    """The address has no name here; the agent knew the name, and says that no rule holds it."""
    for passed, told in (({"audited": 9, "flows": 0}, ["denied"]), ({}, [])):
        world, pods = cluster()
        world.to(pods["web"], "ip", "192.0.2.7", 443, names="api.example.com", days=range(DAYS))
        policies = policies_of(world)
        world.to(pods["web"], "ip", "192.0.2.8", 443, days=[LAST], answered=9, **passed)
        assert kinds(report(world, policies)) == told


def test_trap_K4_a_rule_without_traffic_is_unused_by_its_probability_alone():
    """Used every day and then silent for ten: dead. Silent for three: watched, and nothing is said."""
    for silent, expected in ((10, ["unused"]), (3, [])):
        world, pods = cluster()
        world.edge(pods["web"], pods["db"], 6379, days=range(DAYS - silent))
        policies = policies_of(world)
        found = [one for one in report(world, policies).findings if one.kind == "unused"]
        assert sorted({one.kind.value for one in found}) == expected
        assert all(one.suggestion.patch for one in found)


@pytest.mark.parametrize(("peer", "dead"), [("remote-node", False), ("kube-apiserver", True)])
def test_trap_K4_callers_from_other_nodes_come_back_when_a_pod_moves(peer, dead):
    """While the caller's pod is on the own node, its calls need no rule and are none of another node."""
    world, pods = cluster()
    world.at_server(pods["api"], "entity", peer, 9100, days=range(14))
    found = [one for one in report(world, policies_of(world)).findings if one.kind == "unused"]
    assert bool(found) == dead


@pytest.mark.parametrize(
    ("aside", "unused"),
    [
        ({}, False),
        ({"reason": "service_without_known_pods"}, True),
        ({"direction": "egress"}, True),
        ({"port": 9001}, True),
        ({"subject": "db"}, True),
        (None, True),
    ],
)
def test_trap_K4_a_port_that_is_open_for_what_no_record_tells_is_used_all_the_same(aside, unused):
    """Known pods gave the port up; it is needed while those call this workload that nobody can tell."""
    world, pods = cluster()
    world.edge(pods["db"], pods["api"], 9000, days=range(DAYS - 12))
    opened = policies_of(world)
    policy(opened, "api")["spec"]["ingress"] = [
        {"fromEntities": ["all"], "toPorts": [{"ports": [{"port": "9000", "protocol": "TCP"}]}]},
        {"fromEndpoints": [{"matchLabels": {"app": "web"}}]},
    ]
    told = {"subject": "api", "direction": "ingress", "port": 9000, **(aside or {})}
    told["subject"] = pods[told["subject"]].key
    rows = [] if aside is None else [row(world, told.pop("reason", "unresolved"), **told)]
    seen = with_rows(world, rows).aside_edges
    history, night = (replace(one, aside_edges=seen) for one in parts(world))
    found = find_drift(DriftInput(night, history, (Snapshot(0, tuple(opened)),)), NOW)
    about = [one for one in found.findings if one.kind == "unused" and one.direction == "ingress"]
    assert bool(about) == unused


def test_trap_K4_what_the_window_cannot_know_is_never_unused():
    """A job runs when it runs: its rules are not dead because it was away."""
    world, pods = cluster()
    job = world.pod("shop", "report", kind="CronJob", days=range(12))
    world.edge(job, pods["db"], 5432, days=range(12))
    assert "unused" not in kinds(report(world, policies_of(world)))


def test_trap_K5_a_workload_without_policy_is_unprotected():
    """Nothing selects it, and nobody said that this is right."""
    world, _ = cluster()
    policies = policies_of(world)
    rest = [one for one in policies if one is not policy(policies, "db")]
    made = report(world, rest)
    assert kinds(made) == ["unprotected"]
    assert made.findings[0].subject.workload == "Deployment/db"
    # it may have come since the last inference: there is nothing to show before the next one
    advice = made.findings[0].suggestion.text
    assert advice == "portolan infer --namespace shop && portolan show shop/db"
    assert kinds(report(world, rest, exempt=frozenset({("shop", "Deployment/db")}))) == []


def test_trap_K5_without_any_policy_everybody_is_unprotected():
    """A wrong path, an empty checkout and a cluster that lost its policies are no clean report."""
    world, _ = cluster()
    elsewhere = copy.deepcopy(policy(policies_of(world), "db"))
    elsewhere["metadata"]["namespace"] = "other"
    made = report(world, ())
    told = [(one.kind.value, one.subject) for one in made.findings]
    assert told
    assert told == [
        (one.kind.value, one.subject) for one in report(world, [elsewhere]).findings if one.kind != "unused"
    ]
    assert {kind for kind, _ in told} == {"unprotected"}
    assert any("No policy was read" in note for note in made.notes)
    assert not any("No policy was read" in note for note in report(world, [elsewhere]).notes)


def test_trap_K6_a_policy_that_is_not_enforced_protects_nobody():
    """The status says that the agents refuse it: it is named, and its workload is open."""
    world, _ = cluster()
    policies = policies_of(world)
    refused = copy.deepcopy(policy(policies, "db"))
    refused["status"] = {"conditions": [{"type": "Valid", "status": "False", "message": "no such thing"}]}
    rest = [one for one in policies if one is not policy(policies, "db")]
    made = report(world, [*rest, refused])
    assert sorted(kinds(made)) == ["changed", "unprotected"]
    assert "no such thing" in made.findings[0].why


def test_trap_K7_a_name_rule_and_a_flow_with_an_address_alone_is_undecided():
    """The store knew no name for the address, so the rule may well cover it."""
    world, pods = cluster()
    world.to(pods["web"], "ip", "192.0.2.7", 443, names="api.example.com", days=range(DAYS - 1))
    policies = policies_of(world)
    world.to(pods["web"], "ip", "192.0.2.8", 443, days=[LAST])
    made = report(world, policies)
    assert "uncovered" not in kinds(made)
    assert made.counts["edges_undecided"] == 1


def test_trap_K9_a_manual_edit_and_a_deletion_are_found():
    """The approved policies are known; what is deployed says something else, or nothing."""
    world, _ = cluster()
    policies = policies_of(world)
    approved = [Approved(copy.deepcopy(one)) for one in policies]
    edited = copy.deepcopy(policies)
    policy(edited, "web")["spec"]["egress"].append({"toEntities": ["world"]})
    edited.remove(policy(edited, "db"))
    made = report(world, edited, approved=approved)
    found = {one.detector: one for one in made.findings if one.kind == "changed"}
    assert set(found) == {"edited", "not_deployed"}
    assert found["edited"].suggestion.manifest == policy(policies, "web")
    seen_before = (Snapshot(world.at(LAST - 1), tuple(policies)), Snapshot(world.at(LAST, 23), tuple(edited)))
    made = report(world, (), approved=approved, snapshots=seen_before)
    assert {one.detector for one in made.findings if one.kind == "changed"} == {"edited", "deleted"}


def test_trap_K10_what_cilium_normalises_is_no_difference():
    """Prefixed labels, other order, ports as text: the same meaning."""
    world, _ = cluster()
    policies = policies_of(world)
    approved = [Approved(copy.deepcopy(one)) for one in policies]
    deployed = copy.deepcopy(policies)
    for one in deployed:
        labels = one["spec"]["endpointSelector"]["matchLabels"]
        one["spec"]["endpointSelector"]["matchLabels"] = {
            key if ":" in key else f"any:{key}": value for key, value in reversed(labels.items())
        }
        for way in ("ingress", "egress"):
            if way in one["spec"]:
                one["spec"][way] = list(reversed(one["spec"][way]))
    assert report(world, deployed, approved=approved).findings == ()


def test_trap_K11_the_same_violation_has_the_same_key_on_the_next_night():
    """First night, second night: one finding, whose first sight stays."""
    keys = []
    for days in ([LAST], [LAST - 1, LAST]):
        world, pods = cluster()
        policies = policies_of(world)
        world.edge(pods["web"], pods["db"], 9999, both=False, days=days)
        (found,) = report(world, policies).findings
        keys.append(found.key("prod"))
        assert found.first_us == world.at(days[0], 1)
    assert keys[0] == keys[1]


def test_trap_K8_replies_and_ephemeral_ports_are_no_violations():
    """Answers go to ports that no rule names: they are folded into the request before anything is judged."""
    world, pods = cluster()
    policies = policies_of(world)
    made = report(world, policies)
    assert made.findings == ()
    rows = world.observations().edge_days
    assert set(rows["port"]) == {53, 5432, 8080}
    world.edge(pods["api"], pods["web"], 40001, days=[LAST])  # the same port as a request is a violation
    assert kinds(report(world, policies)) == ["uncovered"]


def test_trap_K12_a_dead_exporter_is_no_data_and_never_no_drift():
    """Nothing arrived: one finding says so, and nothing is called unused, new or fine."""
    world, _ = cluster()
    policies = policies_of(world)
    history, night = parts(world)
    silent = without(without(night, "edge_days"), "coverage")
    made = find_drift(DriftInput(silent, history, (Snapshot(0, tuple(policies)),)), NOW)
    assert [one.detector for one in made.findings] == ["no_data"]
    assert made.coverage.to_json()["state"] == "none"


def test_a_scanner_that_is_stopped_every_night_is_no_news_and_a_burst_is():
    """The same count as always says nothing; twenty hours of retries on a new port do."""
    world, pods = cluster()
    policies = policies_of(world)
    scanner = world.pod("audit", "scanner")
    refused = {"flows": 0, "answered": 0, "denied": 2, "hour_bits": 1}
    world.half(pods["db"], "ingress", "endpoint", scanner.key, 22, **refused)
    quiet = [one for one in report(world, policies).findings if one.kind != "unprotected"]
    assert quiet == []
    world.half(
        pods["web"],
        "egress",
        "endpoint",
        pods["db"].key,
        8081,
        days=[LAST],
        **refused | {"denied": 90, "hour_bits": (1 << 20) - 1},
    )
    loud = [one for one in report(world, policies).findings if one.kind == "denied"]
    assert [(one.subject.workload, one.ports) for one in loud] == [("Deployment/web", (("TCP", 8081),))]


def test_a_connection_that_worked_every_day_and_is_stopped_tonight_needs_no_baseline():
    """Also where each connection is two records, a verdict and a trace, and one answer."""
    for records_per_connection in (1, 2, 3):
        world, _ = cluster()
        policies = policies_of(world)
        edited = copy.deepcopy(policy(policies, "api"))
        edited["spec"]["egress"] = [one for one in edited["spec"]["egress"] if "5432" not in str(one)]
        others = [one for one in policies if one["metadata"]["name"] != edited["metadata"]["name"]]
        history, night = parts(world)
        called = history.edge_days["port"] == 5432
        history = replace(
            history,
            edge_days=history.edge_days.assign(
                flows=history.edge_days["flows"].where(
                    ~called, history.edge_days["flows"] * records_per_connection
                )
            ),
        )
        rows = night.edge_days
        stopped = (rows["port"] == 5432) & (rows["direction"] == "egress")
        rows = rows.assign(
            denied=rows["flows"].where(stopped, 0),
            flows=rows["flows"].where(~stopped, 0),
            answered=rows["answered"].where(~stopped, 0),
        )
        rows = rows[~((rows["port"] == 5432) & (rows["direction"] == "ingress"))].reset_index(drop=True)
        given = DriftInput(replace(night, edge_days=rows), history, (Snapshot(0, (*others, edited)),))
        found = [one.detector for one in find_drift(given, NOW).findings]
        assert found == ["needed_and_stopped"], records_per_connection


def test_a_selector_that_matches_nobody_is_named_with_the_nearest_workload():
    """A typing mistake protects nothing."""
    world, _ = cluster()
    policies = policies_of(world)
    policy(policies, "api")["spec"]["endpointSelector"]["matchLabels"] = {"app": "appi"}
    made = report(world, policies)
    found = next(one for one in made.findings if one.detector == "selects_nothing")
    assert "shop/api" in found.suggestion.text


def test_hostile_names_stay_text():
    """A workload named like markup is carried as it is; rendering escapes it."""
    world, pods = cluster()
    policies = policies_of(world)
    evil = world.pod("shop", "<script>alert(1)</script>")
    world.edge(evil, pods["db"], 5432, days=[LAST])
    assert any("<script>" in one.why for one in report(world, policies).findings)
