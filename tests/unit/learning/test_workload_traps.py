"""Traps F: labels and workloads."""

import pytest

from jobs.propose import propose
from models.learning.owners import owner_of_record
from models.learning.workloads import learn_workloads
from tests.unit.synthesis.world import World, proposal_for, reasons, rule_to, spec, titles


def selector(world: World, *keys: str) -> dict[str, str]:
    """Chosen labels of the workload behind one label set."""
    found = learn_workloads(world.observations()).by_label_key[keys[0]]
    assert found.selector is not None
    return dict(found.selector.labels)


def test_trap_F1_rollout_hashes_never_reach_a_selector():
    """A policy that selects a template hash dies with the next rollout."""
    world = World()
    labels = {"pod-template-hash": "6d4cf56db6", "controller-revision-hash": "x1", "app": "web"}
    web = world.pod("shop", "web", labels | {"statefulset.kubernetes.io/pod-name": "web-0"})
    assert selector(world, web.key) == {"app": "web"}


@pytest.mark.parametrize(
    "key",
    [
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
        "job-name",
        "batch.kubernetes.io/job-name",
        "helm.sh/chart",
        "app.kubernetes.io/version",
        "istio.io/rev",
    ],
)
def test_trap_F1_F2_F3_no_label_of_a_rollout_tells_two_workloads_apart(key):
    """Not even where nothing else would: they are proposed for together, and it is said."""
    world = World()
    keys = [world.pod("shop", name, {"app": "twin", key: name}).key for name in ("one", "two")]
    assert [selector(world, one) for one in keys] == [{"app": "twin"}] * 2
    (twins,) = learn_workloads(world.observations()).all
    assert (twins.members, twins.flags) == (("Deployment/one", "Deployment/two"), ("indistinguishable",))


def test_trap_F2_runs_of_a_cron_job_are_one_workload_on_stable_labels():
    """One policy per run would be one policy per night."""
    world = World()
    api = world.pod("shop", "api")
    for day in range(14):
        run = f"report-{29300000 + day * 1440}"
        labels = {"app": "report", "batch.kubernetes.io/job-name": run, "job-name": run}
        job = world.pod("shop", run, labels, kind="Job", days=[day])
        world.edge(job, api, 8080, days=[day])
    result = propose(world.observations())
    report = proposal_for(result, "report")
    assert report.subject.workloads == ("CronJob/report",)
    assert report.subject.selector.labels == (("app", "report"),)
    assert rule_to(report, "api").evidence.days_seen == 14


def test_trap_F2_runs_of_jobs_without_a_schedule_share_one_name():
    """A pipeline makes a Job per run; the workload must be called the same tomorrow."""
    world = World()
    for number in range(5):
        world.pod("ci", f"build-x{number}", {"app": "build", "job-name": f"build-x{number}"}, kind="Job")
    found = learn_workloads(world.observations()).all
    assert [one.members for one in found] == [("Workload/build",)]


def test_trap_F3_labels_that_name_a_version_are_not_selected():
    """Upgrades change chart and version labels; so does any label that was seen to change."""
    world = World()
    old = world.pod("shop", "web", {"app": "web", "helm.sh/chart": "web-1", "gen": "a"}, days=range(7))
    world.pod("shop", "web", {"app": "web", "helm.sh/chart": "web-2", "gen": "b"}, days=range(7, 14))
    world.pod("shop", "web2", {"app": "web2", "gen": "b"})
    assert selector(world, old.key) == {"app": "web"}


def test_trap_F3_a_label_that_keeps_changing_is_not_selected():
    """Whatever it is called, and although it is all that tells the two workloads apart (one change: F12)."""
    world = World()
    world.pod("shop", "web", {"app": "site", "gen": "a"}, days=range(4))
    world.pod("shop", "web", {"app": "site", "gen": "b"}, days=range(5, 9))
    new = world.pod("shop", "web", {"app": "site", "gen": "c"}, days=range(10, 14))
    world.pod("shop", "admin", {"app": "site", "gen": "z"})
    assert selector(world, new.key) == {"app": "site"}


@pytest.mark.parametrize("others", [(), ("backup",)])
def test_trap_F4_a_label_that_flips_at_failover_is_not_selected(others):
    """The replica of today is the master of tomorrow: neither as a subject nor as a peer, nor to tell others apart."""
    world = World()
    client = world.pod("shop", "client")
    master, _ = (
        world.pod("data", "pg", {"app": "pg", "role": role}, kind="StatefulSet", pod_names=pods)
        for role, pods in (("master", ["pg-0"]), ("replica", ["pg-0", "pg-1"]))
    )
    for name in others:
        world.pod("data", name, {"app": "pg", "role": name})
    world.edge(client, master, 5432)
    assert selector(world, master.key) == {"app": "pg"}
    rule = rule_to(proposal_for(propose(world.observations()), "client"), "pg")
    assert rule.peer.selector.labels == (("app", "pg"),)


def test_trap_F5_components_of_one_application_are_told_apart():
    """The same name with another component is another workload."""
    world = World()
    keys = {
        part: world.pod(
            "shop", f"shop-{part}", {"app.kubernetes.io/name": "shop", "app.kubernetes.io/component": part}
        ).key
        for part in ("web", "worker")
    }
    assert selector(world, keys["web"]) == {
        "app.kubernetes.io/name": "shop",
        "app.kubernetes.io/component": "web",
    }


def test_trap_F6_workloads_with_equal_labels_get_one_proposal_that_says_so():
    """A policy for one of them would land on the other anyway."""
    world = World()
    api = world.pod("shop", "api")
    one = world.pod("shop", "one", {"app": "twin", "version": "1"})
    two = world.pod("shop", "two", {"app": "twin", "version": "2"})
    world.edge(one, api)
    world.edge(two, api, 9090)
    twins = proposal_for(propose(world.observations()), "one")
    assert twins.subject.workloads == ("Deployment/one", "Deployment/two")
    assert "indistinguishable" in twins.flags
    assert "cannot be told apart" in " ".join(twins.reasons)
    assert len([rule for rule in twins.rules if "resolver" not in rule.flags]) == 2


def test_trap_F6_a_subset_of_labels_is_told_apart_by_what_it_lacks():
    """Only one of them has the second label, so the other is the one without it."""
    world = World()
    plain = world.pod("shop", "plain", {"app": "x"})
    world.pod("shop", "extra", {"app": "x", "tier": "batch"})
    found = learn_workloads(world.observations()).by_label_key[plain.key]
    assert (found.selector.labels, found.selector.absent) == ((("app", "x"),), ("tier",))


def test_trap_F7_equal_labels_in_two_namespaces_stay_two_workloads():
    """The peer selector carries the namespace."""
    world = World()
    client = world.pod("shop", "client")
    for namespace in ("blue", "green"):
        world.edge(client, world.pod(namespace, "db"), 5432)
    entries = spec(propose(world.observations()), "client")["egress"]
    namespaces = [
        form["matchLabels"]["k8s:io.kubernetes.pod.namespace"] for form in entries[1]["toEndpoints"]
    ]
    assert namespaces == ["blue", "green"]


def test_trap_F8_only_a_peer_of_another_namespace_needs_its_namespace_label():
    """The own namespace is implied in a CiliumNetworkPolicy; without the label another one is not meant."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    world.edge(web, api)
    world.edge(world.pod("crm", "web"), api)
    assert spec(propose(world.observations()), "api")["ingress"][0]["fromEndpoints"] == [
        {"matchLabels": {"app": "web"}},
        {"matchLabels": {"app": "web", "k8s:io.kubernetes.pod.namespace": "crm"}},
    ]


def test_trap_F9_without_labels_the_service_account_selects():
    """Some pods carry nothing else that is stable."""
    world = World()
    api = world.pod("shop", "api")
    bare = world.pod("shop", "bare", {}, service_account="bare-sa")
    world.edge(bare, api)
    proposal = proposal_for(propose(world.observations()), "bare")
    assert proposal.subject.service_account
    assert proposal.subject.selector.labels == (("io.cilium.k8s.policy.serviceaccount", "bare-sa"),)


def test_trap_F9_without_any_label_there_is_no_proposal_and_a_reason():
    """An empty selector would select the whole namespace."""
    world = World()
    api = world.pod("shop", "api")
    bare = world.pod("shop", "bare", {})
    world.edge(bare, api)
    result = propose(world.observations())
    assert [(one.workloads, one.reason) for one in result.unproposed] == [
        (("Deployment/bare",), "subject_no_selector")
    ]
    assert "subject_no_selector" in reasons(result.left_out)
    (rule,) = [one for one in proposal_for(result, "api").rules if one.direction == "ingress"]
    assert {"wide_peer", "needs_review"} <= set(rule.flags)
    assert "No stable label selects bare, so every pod of shop is admitted." in rule.reasons


def test_trap_F10_only_labels_of_the_flow_are_selected():
    """A label that is not in the identity matches nothing."""
    world = World()
    web = world.pod("shop", "web", {"tier": "front"})
    assert selector(world, web.key) == {"tier": "front"}


def test_trap_F11_other_sources_are_no_pod_labels_and_values_keep_their_equals_sign():
    """``container:`` and ``cidr:`` labels select no pod; Kubernetes refuses ``=`` in a value."""
    world = World()
    web = world.pod("shop", "web", {"app": "web", "odd": "a=b"})
    world.identities[0]["labels"] = world.identities[0]["labels"].replace(
        '"k8s:app=web"', '"container:app=other", "k8s:app=web"'
    )
    assert selector(world, web.key) == {"app": "web"}


def test_trap_F12_a_renamed_workload_keeps_its_evidence_under_the_current_labels():
    """Half the window under the old labels is still evidence for the same workload."""
    world = World()
    api = world.pod("shop", "api")
    old = world.pod("shop", "web", {"app": "site"}, days=range(7))
    new = world.pod("shop", "web", {"app": "web"}, days=range(7, 14))
    world.edge(old, api, days=range(7))
    world.edge(new, api, days=range(7, 14))
    result = propose(world.observations())
    web = proposal_for(result, "web")
    assert web.subject.selector.labels == (("app", "web"),)
    assert "labels_changed" in web.flags
    assert rule_to(web, "api").evidence.days_seen == 14
    assert not web.backtest.denied


@pytest.mark.parametrize("days_ago", [0, 1, 2])
def test_trap_F12_two_workloads_are_not_one_for_the_night_after_a_renaming(days_ago):
    """Old and new labels of one have nothing in common that the neighbour lacks; its new ones alone tell it."""
    world = World()
    changed = 13 - days_ago
    world.pod("shop", "web", {"app": "web", "tier": "a"}, days=range(changed))
    new = world.pod("shop", "web", {"app": "web", "tier": "b"}, days=range(changed, 14))
    other = world.pod("shop", "other", {"app": "web", "tier": "z"})
    assert len(learn_workloads(world.observations()).all) == 2
    assert selector(world, new.key) == {"app": "web", "tier": "b"}
    assert selector(world, other.key) == {"app": "web", "tier": "z"}


def test_trap_F12_labels_that_a_workload_has_side_by_side_are_all_selected():
    """A canary of another tier that stays is no renaming: nothing tells the two from their neighbour."""
    world = World()
    web = world.pod("shop", "web", {"app": "web", "tier": "a"})
    world.pod("shop", "web", {"app": "web", "tier": "b"}, days=range(6, 14))
    world.pod("shop", "other", {"app": "web", "tier": "z"})
    (both,) = learn_workloads(world.observations()).all
    assert web.key in both.label_keys
    assert "indistinguishable" in both.flags


@pytest.mark.parametrize(("first", "second"), [("web", "web-canary"), ("web-blue", "web-green")])
def test_trap_F13_the_halves_of_a_rollout_are_one_workload(first, second):
    """Canary and blue/green split confidence in two otherwise."""
    world = World()
    one = world.pod("shop", first, {"app": "web", "track": first})
    world.pod("shop", second, {"app": "web", "track": second})
    found = learn_workloads(world.observations())
    assert len(found.all) == 1
    assert dict(found.by_label_key[one.key].selector.labels) == {"app": "web"}
    assert "rollout" in found.all[0].flags


def test_trap_F14_a_replica_set_is_its_deployment_only_if_the_hash_label_confirms_it():
    """A name that ends like a hash may be a name."""
    assert owner_of_record("ReplicaSet", "web-abcdef", {"pod-template-hash": "abcdef"}).name == "web"
    assert owner_of_record("ReplicaSet", "web-abcdef", {}).name == "web-abcdef"
    assert owner_of_record("ReplicaSet", "web-abcdef", {"pod-template-hash": "zzz"}).name == "web-abcdef"


@pytest.mark.parametrize(
    ("pods", "member"),
    [
        (["web-6d4cf56db6-x2xvz", "web-6d4cf56db6-bbbbb"], "Deployment/web"),
        (["db-0", "db-1"], "StatefulSet/db"),
        (["report-29301840-k8r4n"], "CronJob/report"),
        (["agent-x2xvz"], "DaemonSet/agent"),
        ([], "Workload/named-by-label"),
    ],
)
def test_trap_F14_without_a_recorded_owner_pod_names_and_labels_tell(pods, member):
    """``workloads`` is empty in many records."""
    world = World()
    one = world.pod("shop", "x", {"app": "named-by-label"}, workload="", pod_names=pods)
    assert learn_workloads(world.observations()).by_label_key[one.key].members == (member,)


@pytest.mark.parametrize(
    ("pod", "labels"), [("debug-x2xvz", {"run": "debug-x2xvz"}), ("node-debugger-aks-nodepool1-k8r4n", {})]
)
def test_trap_F14_a_pod_that_a_person_started_has_no_owner(pod, labels):
    """Its name may end as a DaemonSet's does; ``kubectl run`` and ``kubectl debug`` leave their marks."""
    world = World()
    one = world.pod("shop", "x", labels, workload="", pod_names=[pod])
    (workload,) = learn_workloads(world.observations()).all
    assert workload.members == (f"Pod/{pod}",)
    assert workload.ownerless
    assert one.key in workload.label_keys


def test_trap_F15_a_workload_that_is_gone_gets_no_proposal_and_is_stale_as_a_peer():
    """A policy for a ghost helps nobody, nor does a rule for one."""
    world = World()
    api, ghost = world.pod("shop", "api"), world.pod("shop", "ghost", days=range(6))
    world.edge(ghost, api, days=range(6))
    world.edge(world.pod("shop", "web"), api)
    result = propose(world.observations())
    assert [one.reason for one in result.unproposed] == ["subject_gone"]
    api_proposal = proposal_for(result, "api")
    assert titles(api_proposal, "ingress") == ["web in shop on TCP/8080"]
    assert reasons(api_proposal.left_out) == {"stale_peer"}
    assert [denial.reason for denial in api_proposal.backtest.denied] == ["stale_peer"]
    generous = proposal_for(propose(world.observations(), posture="generous"), "api")
    assert {"stale_peer", "needs_review"} <= set(rule_to(generous, "ghost", "ingress").flags)


def test_trap_F15_a_scan_keeps_no_ghost_alive():
    """Seen on one day and silent since; what knocks in vain on another makes that no rhythm."""
    world = World()
    web, ghost = world.pod("shop", "web"), world.pod("shop", "ghost")
    world.edge(web, world.pod("shop", "api"))
    world.edge(ghost, web, days=[5])
    assert learn_workloads(world.observations()).by_label_key[ghost.key].gone
    world.edge(world.pod("zz", "scanner"), ghost, 22, days=[1], flows=1, answered=0)
    assert learn_workloads(world.observations()).by_label_key[ghost.key].gone
    world.edge(web, ghost, 9090, days=[1])
    assert not learn_workloads(world.observations()).by_label_key[ghost.key].gone


def test_trap_F15_a_weekly_job_is_not_gone():
    """Silence between runs is not absence."""
    world = World()
    api = world.pod("shop", "api")
    job = world.pod("shop", "weekly", kind="CronJob", days=[1, 8])
    world.edge(job, api, days=[1, 8])
    proposal = proposal_for(propose(world.observations()), "weekly")
    assert rule_to(proposal, "api").evidence.days_seen == 2


def test_trap_F16_a_young_workload_is_not_as_mature_as_the_others():
    """Two days old in a window of fourteen."""
    world = World()
    api, fresh = world.pod("shop", "api"), world.pod("shop", "fresh", days=[12, 13])
    world.edge(fresh, api, days=[12, 13])
    world.neighbours()
    result = propose(world.observations())
    assert (proposal_for(result, "fresh").maturity, proposal_for(result, "fresh").effective_days) == (
        "learning",
        2.0,
    )
    assert rule_to(proposal_for(result, "fresh"), "api").evidence.days_observed == 2
    assert proposal_for(result, "api").maturity == "stable"


def test_trap_F17_long_or_illegal_names_give_valid_and_distinct_object_names():
    """Two workloads must never share one file."""
    world = World()
    api = world.pod("shop", "api")
    names = ["a" * 120 + "-1", "a" * 120 + "-2", "Web.Front", "web_front", "web-front"]
    for name in names:
        world.edge(world.pod("shop", name, {"app": name[-60:].strip("_-.")}), api)
    result = propose(world.observations())
    found = [proposal.name for proposal in result.proposals]
    assert len(set(found)) == len(names) + 1
    assert all(len(name) <= 63 and name.replace("-", "").isalnum() and name.islower() for name in found)
