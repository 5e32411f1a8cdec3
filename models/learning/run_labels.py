"""
Labels and names of pods that are made for one run: of a batch job, a pipeline, a workflow, a build.

Spark, Airflow, Argo, Tekton and CI runners make bare pods, or own them through a resource that is a run
itself. Their labels say both what runs (the same tomorrow) and which run it is (never seen again).
"""

import re
from collections.abc import Mapping
from typing import Final

#: Keys whose value names one run; a pod that carries one was made by a tool that makes the next one, too.
RUN_KEYS: Final = frozenset(
    {
        "spark-app-selector",
        "spark-app-id",
        "sparkoperator.k8s.io/submission-id",
        "run_id",
        "execution_date",
        "logical_date",
        "workflows.argoproj.io/workflow",
        "tekton.dev/pipelineRun",
        "tekton.dev/pipelineRunUID",
        "tekton.dev/taskRun",
        "tekton.dev/taskRunUID",
        "triggers.tekton.dev/triggers-eventid",
        "job.runner.gitlab.com/pod",
        "job.runner.gitlab.com/id",
        "buildkite.com/job-uuid",
        "dagster/run-id",
        "prefect.io/flow-run-id",
        "prefect.io/flow-run-name",
        "prefect.io/task-run-id",
        "pipeline/runid",
        "jobset.sigs.k8s.io/jobset-uid",
    }
)
#: Keys whose value differs between runs, or between the pods of one, without naming the run.
VOLATILE_IN_RUNS: Final = frozenset(
    {
        "spark-exec-id",
        "spark-exec-resourceprofile-id",
        "spark-exec-inactive",
        "spark-version",
        "try_number",
        "map_index",
        "airflow-worker",
        "airflow_version",
        "already_checked",
        "workflows.argoproj.io/completed",
        "tekton.dev/retryCount",
        "job.runner.gitlab.com/sha",
        "job.runner.gitlab.com/before_sha",
        "job.runner.gitlab.com/ref",
        "job.runner.gitlab.com/url",
        "jobset.sigs.k8s.io/job-key",
        "jobset.sigs.k8s.io/job-index",
        "jobset.sigs.k8s.io/job-global-index",
        "jobset.sigs.k8s.io/restart-attempt",
        "training.kubeflow.org/replica-index",
    }
)
_JOB_KEYS: Final = frozenset({"job-name", "batch.kubernetes.io/job-name"})
#: Keys that together say what runs, in words that the next run shares.
RUN_NAMES: Final = (
    ("spark-app-name", "spark-role"),
    ("spark-app-name",),
    ("dag_id", "task_id"),
    ("tekton.dev/pipeline", "tekton.dev/pipelineTask"),
    ("tekton.dev/pipeline", "tekton.dev/task"),
    ("tekton.dev/task",),
    ("dagster/job", "dagster/op"),
    ("dagster/job",),
    ("prefect.io/deployment-name",),
    ("prefect.io/flow-name",),
)
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand
#: Parts of a name that a machine made: numbers, random suffixes, and digests, which hold a digit.
_MADE: Final = re.compile(rf"[0-9]+|[{_SAFE}]{{5,}}|(?=[a-z]*[0-9])[a-z0-9]{{5,}}")
#: Inside a name, a digest or a moment; shorter numbers may be the owner's.
_RUN_INSIDE: Final = re.compile(r"-(?=[a-f]*[0-9])[0-9a-f]{8,}-")


def is_run(labels: Mapping[str, str]) -> bool:
    """Whether a pod says of itself that it belongs to one run."""
    return not RUN_KEYS.isdisjoint(labels)


def is_job(labels: Mapping[str, str]) -> bool:
    """Whether a pod belongs to a Job."""
    return not _JOB_KEYS.isdisjoint(labels)


def looks_like_run(pod: str) -> bool:
    """
    Whether the name of a pod holds a digest or a moment: its front is no name of an owner.

    Examples
    --------
    >>> looks_like_run("etl-00000008-exec-1"), looks_like_run("db-0"), looks_like_run("kafka-2024-0")
    (True, False, False)
    """
    return _RUN_INSIDE.search(pod) is not None


def run_stem(name: str) -> str:
    """
    Name of a run without what is new with every run; "" where nothing else is left.

    Examples
    --------
    >>> run_stem("imp-14"), run_stem("ci-run-x2k4z-test"), run_stem("etl-5424b215cab90517-exec-1")
    ('imp', 'ci-run-test', 'etl-exec')
    """
    return "-".join(part for part in re.split(r"[-.]", name) if part and not _MADE.fullmatch(part))
