"""Traps F1, F2, F3, F14: pods that are made for one run, and the workload that runs again and again."""

import pytest

from jobs.propose import propose
from models.learning.owners import owner_of_pod_name
from models.learning.run_labels import RUN_KEYS
from models.learning.workloads import learn_workloads
from tests.unit.synthesis.world import DAYS, World, proposal_for, rule_to, shuffled, spec


def ran(world: World, namespace: str, stem: str, labels: dict[str, str], *, day: int, kind="Pod", **changes):
    """One run on one day: `{run}` in a label is the run's own."""
    name = f"{stem}-{day:02}x2k4z7"
    own = {key: value.format(run=name) for key, value in labels.items()}
    return world.pod(namespace, name, own, kind=kind, days=[day], **changes)


def members(world: World) -> list[tuple[str, ...]]:
    """Who the workloads of the world are."""
    return [one.members for one in learn_workloads(world.observations()).all]


@pytest.mark.parametrize(
    ("kind", "labels", "selected", "member"),
    [
        (
            "Pod",
            {"spark-app-selector": "spark-{run}", "spark-app-name": "etl", "spark-role": "driver"},
            (("spark-app-name", "etl"), ("spark-role", "driver")),
            "Workload/etl-driver",
        ),
        (
            "Pod",
            {"dag_id": "daily", "task_id": "load", "run_id": "{run}", "try_number": "1"},
            (("dag_id", "daily"), ("task_id", "load")),
            "Workload/daily-load",
        ),
        (
            "TaskRun",
            {"tekton.dev/pipeline": "ci", "tekton.dev/task": "test", "tekton.dev/pipelineRun": "{run}"},
            (("tekton.dev/pipeline", "ci"), ("tekton.dev/task", "test")),
            "Workload/ci-test",
        ),
        (
            "Pod",
            {"team": "build", "batch": "nightly", "our.example/run": "{run}"},
            (("batch", "nightly"),),
            "Pod/job",
        ),
    ],
)
def test_trap_F1_F2_runs_of_a_tool_are_one_workload_on_the_labels_that_stay(kind, labels, selected, member):
    """A selector of one run selects nothing tomorrow, and its server would admit past runs only."""
    world = World()
    db = world.pod("data", "db")
    for day in range(DAYS):
        world.edge(ran(world, "jobs", "job", labels, day=day, kind=kind), db, 5432, days=[day])
    (own,) = [one for one in learn_workloads(world.observations()).all if one.namespace == "jobs"]
    assert own.members == (member,)
    assert own.selector.labels == selected
    result = propose(world.observations())
    assert rule_to(proposal_for(result, member.partition("/")[2]), "db").evidence.days_seen == DAYS
    (entry,) = spec(result, "db")["ingress"]
    assert [form["matchLabels"] for form in entry["fromEndpoints"]] == [
        {**dict(selected), "k8s:io.kubernetes.pod.namespace": "jobs"}
    ]


@pytest.mark.parametrize("key", sorted(RUN_KEYS))
def test_trap_F1_a_known_label_of_a_run_is_never_selected_even_if_only_one_run_was_seen(key):
    """One run is enough to know it, and its name is tomorrow's, too."""
    world = World()
    ran(world, "jobs", "etl", {"app": "etl", key: "{run}"}, day=3)
    (etl,) = learn_workloads(world.observations()).all
    assert (etl.members, etl.selector.labels) == (("Workload/etl",), (("app", "etl"),))


def test_trap_F2_roles_of_one_application_stay_apart():
    """The driver owns its executors, and does something else."""
    world = World()
    db, hub = world.pod("data", "db"), world.pod("data", "hub")
    for day in range(DAYS):
        for role, server in (("driver", hub), ("executor", db)):
            labels = {"spark-app-selector": "{run}", "spark-app-name": "etl", "spark-role": role}
            pods = ran(world, "spark", "etl", labels, day=day, workload=f"etl-{day}-driver")
            world.edge(pods, server, 5432, days=[day])
    assert [one for one in members(world) if "etl" in one[0]] == [
        ("Workload/etl-driver",),
        ("Workload/etl-executor",),
    ]


def test_trap_F1_tenants_are_not_runs():
    """Their labels differ as those of runs do, but live for weeks, side by side, or come back every night."""
    world = World()
    for tenant in ("acme", "globex", "initech"):
        world.pod("shop", f"agent-of-{tenant}", {"app": "agent", "tenant": tenant}, kind="Pod")
    for day in range(DAYS):
        for tenant in ("acme", "globex", "initech"):
            labels = {"app": "bill", "tenant": tenant, "our.example/run": "{run}"}
            ran(world, "shop", f"bill-{tenant}", labels, day=day)
    chosen = {one.selector.labels for one in learn_workloads(world.observations()).all}
    assert chosen == {
        (("app", app), ("tenant", tenant))
        for app in ("agent", "bill")
        for tenant in ("acme", "globex", "initech")
    }


def test_trap_F1_lasting_owners_are_never_folded():
    """A preview environment lives for hours, and the next one after it; each is a workload of its own."""
    world = World()
    for day in range(5):
        world.pod("preview", f"web-{day}", {"app": "web", "branch": f"b{day}"}, days=[day])
    assert len(members(world)) == 5


def test_trap_F1_two_runs_are_too_few_to_tell_what_is_new_with_each():
    """A workload and its successor look the same; a third makes the difference."""
    labels = {"batch": "nightly", "our.example/run": "{run}"}
    for runs, workloads in ((2, 2), (3, 1)):
        world = World()
        for day in range(runs):
            ran(world, "jobs", "job", labels, day=day * 3)
        assert len(members(world)) == workloads


def test_trap_F1_pods_of_one_team_that_have_nothing_in_common_are_no_runs():
    """What is left of their labels is the team's, and their names differ."""
    world = World()
    for day, name in enumerate(["import", "report", "cleanup", "probe"]):
        ran(world, "jobs", name, {"team": "data", "app": name}, day=day)
    assert len(members(world)) == 4


def test_trap_F1_pods_that_a_person_started_are_never_folded():
    """Three debugging sessions are no workload: each is held back for itself."""
    world = World()
    world.pod("shop", "web", {"app": "web", "team": "shop"})
    for day in range(5):
        name = f"debug-{day}"
        world.pod("shop", name, {"run": name, "team": "shop"}, kind="Pod", days=[day])
    found = [one for one in learn_workloads(world.observations()).all if one.members != ("Deployment/web",)]
    assert len(found) == 5
    assert all(one.ownerless for one in found)


def test_trap_F6_runs_that_only_a_teams_label_names_share_no_policy_with_their_neighbours():
    """The neighbour's selector leaves them out, so nothing forces the two together."""
    world = World()
    world.pod("shop", "web", {"app": "web", "team": "shop"})
    for day in range(5):
        ran(world, "shop", "job", {"team": "shop", "app": "{run}"}, day=day * 2)
    found = {one.members: one.selector for one in learn_workloads(world.observations()).all}
    assert found[("Deployment/web",)].labels == (("app", "web"),)
    assert found[("Pod/job",)] is None


def test_trap_F14_runs_that_are_called_like_pods_of_a_daemon_set_are_no_reason_to_join_their_neighbours():
    """The name is a guess, and the record says that no controller made them."""
    world = World()
    world.pod("shop", "web", {"app": "web", "team": "shop"})
    for day in range(5):
        name = f"job-x2k4{'bcdfg'[day]}"
        world.pod("shop", name, {"team": "shop", "app": name}, kind="Pod", days=[day * 2])
    found = {one.members: one for one in learn_workloads(world.observations()).all}
    assert found[("Deployment/web",)].selector.labels == (("app", "web"),)
    assert "owner_guessed" in found[("DaemonSet/job",)].flags


def test_trap_F2_runs_without_a_stable_label_keep_one_name():
    """Only their name tells what they are; a list of past runs would be another one tomorrow."""
    world = World()
    for day in range(5):
        ran(world, "batch", "import", {"job-name": "{run}"}, day=day, kind="Job")
        ran(world, "argo", "build", {"workflows.argoproj.io/workflow": "{run}"}, day=day, kind="Workflow")
    assert members(world) == [("Workload/build",), ("Job/import",)]


def test_trap_F2_names_of_runs_are_the_same_tomorrow_and_in_any_order():
    """A proposal that is called otherwise is a new one, without the decisions of the old."""
    found = []
    for first in (0, 3):
        world = World()
        for day in range(first, DAYS):
            for stem in ("load", "clean"):
                labels = {"dag_id": "daily", "task_id": stem, "run_id": "{run}"}
                ran(world, "jobs", f"daily-{stem}", labels, day=day)
        observed = world.observations()
        found.append([(one.members, one.selector) for one in learn_workloads(observed).all])
        again = [(one.members, one.selector) for one in learn_workloads(shuffled(observed, first)).all]
        assert again == found[-1]
    assert found[0] == found[1]


def test_trap_F15_runs_that_pause_are_not_gone():
    """They run to completion; eight days of silence after three days of runs are no end."""
    world = World()
    db = world.pod("data", "db")
    for day in range(4):
        labels = {"dag_id": "daily", "task_id": "load", "run_id": "{run}"}
        world.edge(ran(world, "jobs", "job", labels, day=day), db, days=[day])
    world.edge(world.pod("data", "web"), db)
    assert not any(one.gone for one in learn_workloads(world.observations()).all)


def test_trap_F14_no_owner_is_guessed_from_a_name_that_looks_like_a_run():
    """``etl-00000008-exec-1`` is no StatefulSet of eight executors."""
    assert owner_of_pod_name("etl-00000008-exec-1", {}).kind == "Pod"
    assert owner_of_pod_name("etl-3-exec-1", {"spark-app-selector": "spark-1"}).kind == "Pod"
    assert owner_of_pod_name("kafka-2024-0", {}) == ("StatefulSet", "kafka-2024")


@pytest.mark.parametrize(("workload", "guessed"), [("", True), ("db", False)])
def test_trap_F14_an_owner_that_only_names_tell_of_is_said_to_be_a_guess(workload, guessed):
    """A bare pod may be called ``db-0``."""
    world = World()
    world.pod("shop", "db", kind="StatefulSet", workload=workload, pod_names=["db-0"])
    (db,) = learn_workloads(world.observations()).all
    assert db.members == ("StatefulSet/db",)
    assert ("owner_guessed" in db.flags) is guessed
    assert any("guess from their names" in note for note in db.notes) is guessed


def test_trap_F2_peers_that_no_label_tells_apart_are_one_rule_with_the_evidence_of_all():
    """Each by itself would be the same selector once more, with a small part of the evidence."""
    world = World()
    db = world.pod("data", "db")
    for day, name in enumerate(["import", "export", "report", "cleanup", "audit"]):
        world.edge(world.pod("batch", name, {"job-name": name}, kind="Job", days=[day]), db, days=[day])
    world.edge(world.pod("data", "web"), db)
    result = propose(world.observations())
    (rule,) = [one for one in proposal_for(result, "db").rules if "batch" in one.peer.key]
    assert rule.evidence.days_seen == 5
    assert {"wide_peer", "needs_review"} <= set(rule.flags)
    assert "seen_once" not in rule.flags
    assert (
        "No stable label selects audit, cleanup, export, import and 1 more, "
        "so every pod of batch is admitted." in rule.reasons
    )
    _, entry = spec(result, "db")["ingress"]
    assert entry["fromEndpoints"] == [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "batch"}}]


def test_trap_F2_the_rule_for_a_whole_namespace_keeps_its_id_when_another_workload_joins():
    """Who is behind it changes with every new job; what it opens does not, and so a decision stays."""
    found = []
    for names in (["import"], ["import", "export"]):
        world = World()
        db = world.pod("data", "db")
        for name in names:
            world.edge(world.pod("batch", name, {}, kind="Job"), db)
        (rule,) = [
            one
            for one in proposal_for(propose(world.observations()), "db").rules
            if one.direction == "ingress"
        ]
        found.append(rule.id)
    assert found[0] == found[1]
