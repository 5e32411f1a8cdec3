"""
Workloads that run: their pods are new each time, with labels of the run on them.

Spark, Airflow and a CI runner make bare pods; a workflow, a task and a Job own theirs, and are new with each
run, too; a script of a team's own makes bare pods with a label that no tool is known by. A workload has one
run on a day, and between two runs it is not there.
"""

from datetime import date, timedelta
from typing import Final

import numpy as np

from jobs.evaluation.draws import happens
from jobs.evaluation.estate import Estate
from jobs.evaluation.nouns import CHANCE, DAYS, NOBODY, Link, Rhythm, Run, Workload
from jobs.evaluation.words import digest, word_of

SPARK: Final = "spark"
AIRFLOW: Final = "airflow"
ARGO: Final = "argo"
TEKTON: Final = "tekton"
GITLAB: Final = "gitlab"
JOB: Final = "job"
SCRIPT: Final = "script"
TOOLS: Final = (SPARK, AIRFLOW, ARGO, TEKTON, GITLAB, JOB, SCRIPT)

_WHAT: Final = ("import", "export", "train", "report", "sync", "clean", "score", "merge", "index", "check")
#: Shares of the workloads that run daily, on working days, once a week; the others now and then.
_DAILY: Final = 0.55
_WORKDAYS: Final = 0.2
_WEEKLY: Final = 0.15
#: Chance of a run that comes now and then, and of a call that only some runs make.
_NOW_AND_THEN: Final = 0.3
_SATURDAY: Final = 5
_EXECUTORS: Final = ("exec-1", "exec-2")
_DRIVER: Final = "driver"
_DRIVER_PORTS: Final = (7078, 7079)


def run_labels(run: Run, namespace: str, day: int) -> dict[str, str]:
    """Labels of the pods of a day's run: what runs, and which run it is."""
    stem, own = run.stem, _own(run, namespace, day)
    match run.tool:
        case "spark":
            role = "driver" if run.part == _DRIVER else "executor"
            labels = {
                "spark-app-name": stem,
                "spark-role": role,
                "spark-app-selector": f"spark-{digest(own, 32)}",
                "spark-version": "3.5.1",
            }
            number = {"spark-exec-id": run.part.rpartition("-")[2], "spark-exec-resourceprofile-id": "0"}
            labels |= {} if run.part == _DRIVER else number
        case "airflow":
            labels = {
                "dag_id": stem,
                "task_id": "load",
                "run_id": f"scheduled__{digest(own, 12)}",
                "try_number": "1",
                "airflow-worker": str(int(digest(own, 6), 16)),
                "component": "worker",
                "kubernetes_executor": "True",
            }
        case "argo":
            labels = {
                "workflows.argoproj.io/workflow": f"{stem}-{word_of(own, 5)}",
                "workflows.argoproj.io/completed": "false",
            }
        case "tekton":
            name = f"{stem}-run-{word_of(own, 5)}"
            labels = {
                "app.kubernetes.io/managed-by": "tekton-pipelines",
                "tekton.dev/memberOf": "tasks",
                "tekton.dev/pipeline": stem,
                "tekton.dev/pipelineRun": name,
                "tekton.dev/pipelineTask": "test",
                "tekton.dev/taskRun": f"{name}-test",
            }
        case "gitlab":
            pod = f"runner-{word_of(namespace, 9)}-project-12-concurrent-0"
            labels = {
                "pod": pod,
                "job.runner.gitlab.com/pod": f"{pod}-{word_of(own, 8)}",
                "job.runner.gitlab.com/id": str(int(digest(own, 7), 16)),
                "job.runner.gitlab.com/sha": digest(own, 40),
            }
        case "job":
            name = f"{stem}-{word_of(own, 5)}"
            labels = {
                "app": stem,
                "batch.kubernetes.io/job-name": name,
                "job-name": name,
                "batch.kubernetes.io/controller-uid": digest(own, 32),
            }
        case _:
            labels = {"app": stem, "batch": digest(own, 10)}
    return labels


def run_pods(run: Run, namespace: str, day: int) -> list[str]:
    """Names of the pods of a day's run."""
    stem, own = run.stem, _own(run, namespace, day)
    match run.tool:
        case "spark":
            return [f"{stem}-{digest(own, 16)}-{run.part}"]
        case "argo":
            return [f"{stem}-{word_of(own, 5)}-{int(digest(own, 8), 16)}"]
        case "tekton":
            return [f"{stem}-run-{word_of(own, 5)}-test-pod"]
        case "gitlab":
            return [run_labels(run, namespace, day)["job.runner.gitlab.com/pod"]]
        case "job":
            return [f"{stem}-{word_of(own, 5)}-{word_of(own + stem, 5)}"]
        case _:
            return [f"{stem}-{word_of(own, 8)}"]


def run_owner(run: Run, namespace: str, day: int) -> tuple[str, str]:
    """Name and kind of what owns the pods of a day's run; empty for bare pods."""
    labels = run_labels(run, namespace, day)
    match run.tool:
        case "argo":
            return labels["workflows.argoproj.io/workflow"], "Workflow"
        case "tekton":
            return labels["tekton.dev/taskRun"], "TaskRun"
        case "job":
            return labels["job-name"], "Job"
        case _:
            return "", ""


def _own(run: Run, namespace: str, day: int) -> str:
    """What tells a run from all others."""
    return f"{namespace}/{run.tool}/{run.stem}/{day}"


def add_runs(estate: Estate) -> None:
    """Let tools start runs that use the applications' stores and the outside."""
    rng = estate.rng(15)
    teams = list(estate.teams)
    for place in range(estate.parameters.runs):
        tool = TOOLS[place % len(TOOLS)]
        # Half of them live beside the workloads of a team, the others in namespaces of runs alone.
        team = teams[int(rng.integers(len(teams)))]
        namespace = team if happens(rng, 0.5) else f"batch-{place // len(TOOLS)}"
        stem = f"{team.rpartition('-')[0]}-{_WHAT[place % len(_WHAT)]}"
        days = _days(estate, rng)
        hour = int(rng.integers(23))
        parts = (_DRIVER, *_EXECUTORS) if tool == SPARK else ("",)
        runs = [
            Run(tool, stem, part, days, hour, int(rng.integers(1, 3)) if not part else 1) for part in parts
        ]
        numbers = [_add(estate, namespace, run) for run in runs]
        for number in numbers:
            _connect(estate, number, team, rng)
        for number in numbers[1:]:
            for port in _DRIVER_PORTS:
                estate.link(_used(estate, Link(number, numbers[0], port, "core", flows=60.0)))
        if tool == SPARK:
            server = Link(numbers[0], NOBODY, 6443, "core", flows=10.0, entity="kube-apiserver")
            estate.link(_used(estate, server))


def _days(estate: Estate, rng: np.random.Generator) -> tuple[int, ...]:
    """Days with a run."""
    every = range(estate.parameters.days)
    start: date = estate.parameters.start
    weekday = [(start + timedelta(days=day)).weekday() for day in every]
    draw = float(rng.random())
    if draw < _DAILY:
        return tuple(every)
    if draw < _DAILY + _WORKDAYS:
        return tuple(day for day in every if weekday[day] < _SATURDAY)
    if draw < _DAILY + _WORKDAYS + _WEEKLY:
        at = int(rng.integers(7))
        return tuple(day for day in every if weekday[day] == at)
    return tuple(day for day in every if happens(rng, _NOW_AND_THEN)) or (0,)


def _add(estate: Estate, namespace: str, run: Run) -> int:
    name = f"{run.stem}-{run.part}".rstrip("-")
    ports = _DRIVER_PORTS if run.part == _DRIVER else ()
    labels = run_labels(run, namespace, run.days[0])
    account = run.tool if run.tool in (SPARK, AIRFLOW) else "default"
    number = estate.workload(Workload(namespace, name, "Pod", "run", labels, 1, ports, account, run=run))
    estate.workloads[number].versions = [(day, run_labels(run, namespace, day)) for day in run.days]
    return number


def _used(estate: Estate, link: Link) -> Link:
    """A link that is used in every run of its client."""
    run = estate.workloads[link.client].run
    if run is None:
        return link
    rhythm = Rhythm(DAYS, days=run.days, scheduled=True) if link.rhythm == Rhythm() else link.rhythm
    return link.at(rhythm, run.hour, run.hours)


def _connect(estate: Estate, client: int, team: str, rng: np.random.Generator) -> None:
    """Give a run a resolver, a store, and some of what else runs use."""
    base = estate.infrastructure
    stores, services = estate.of_role("store", team), estate.of_role("api", team)
    estate.link(_used(estate, Link(client, base["coredns"], 53, "dns", flows=20.0, protocol="UDP")))
    store = int(rng.choice(stores))
    flows = float(rng.integers(10, 200))
    estate.link(_used(estate, Link(client, store, estate.workloads[store].ports[0], "core", flows=flows)))
    if happens(rng, 0.3):
        estate.link(_used(estate, Link(client, base["kafka"], 9092, "core", flows=flows)))
    if happens(rng, 0.5):
        outside = int(rng.choice(estate.popular))
        estate.link(_used(estate, Link(client, NOBODY, 443, "core", flows=30.0, outside=outside)))
    if services and happens(rng, 0.5):
        server = int(rng.choice(services))
        port = estate.workloads[server].ports[0]
        sometimes = Rhythm(CHANCE, _NOW_AND_THEN)
        estate.link(_used(estate, Link(client, server, port, "tail", sometimes, 5.0)))
