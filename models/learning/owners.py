"""
The owner of a pod, from whatever the records say about it.

Hubble names the owner of most pods. Where it does not, or names an intermediate owner (a ReplicaSet, a
Job of a CronJob), the pod's name and labels tell: Kubernetes builds pod names from the owner's name by
fixed rules, with suffixes from an alphabet without vowels and without 0, 1 and 3.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from models.learning.run_labels import is_run, looks_like_run

#: Kinds that are owners in their own right; every other kind has an owner above it, or is none.
LASTING_KINDS: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Rollout", "DeploymentConfig"}
)
#: Kinds whose pods run to completion and are silent between runs.
RUN_KINDS: Final = frozenset({"CronJob", "Job"})

_HASH_LABELS: Final = ("pod-template-hash", "rollouts-pod-template-hash")
_JOB_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")
#: ``kubectl run`` labels a pod with its own name, and ``kubectl debug node/...`` names one after the node.
_RUN_LABEL: Final = "run"
_NODE_DEBUGGER: Final = "node-debugger-"
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand
_DEPLOYMENT_POD: Final = re.compile(rf"(?P<name>.+)-(?P<hash>[{_SAFE}]{{6,10}})-[{_SAFE}]{{5}}")
_CRONJOB_POD: Final = re.compile(rf"(?P<name>.+)-(?P<minute>[0-9]{{8,10}})-[{_SAFE}]{{5}}")
_CRONJOB_JOB: Final = re.compile(r"(?P<name>.+)-[0-9]{8,10}")  # the scheduled minute since the epoch
_ORDINAL_POD: Final = re.compile(r"(?P<name>.+)-[0-9]{1,4}")
_RANDOM_POD: Final = re.compile(rf"(?P<name>.+)-[{_SAFE}]{{5}}")
#: Ends of names that the two halves of one rollout carry.
_ROLLOUT_SUFFIX: Final = re.compile(
    r"(?P<stem>.+)-(canary|stable|blue|green|primary|preview|baseline|active)"
)


class Owner(NamedTuple):
    """Kind and name; the kind is "" when only labels named it."""

    kind: str
    name: str

    @property
    def text(self) -> str:
        """``Deployment/web``."""
        return f"{self.kind or 'Workload'}/{self.name}"


def owner_of_record(kind: str, name: str, labels: Mapping[str, str]) -> Owner | None:
    """
    Owner that a record named, lifted to the one that lasts.

    Parameters
    ----------
    kind, name
        As in ``workloads[]`` of the record; "" when absent.
    labels
        Kubernetes labels of the pod, keys without source.

    Returns
    -------
    Owner or None
        ``None`` when the record names no owner that could be one (empty, a Node).

    Examples
    --------
    >>> owner_of_record("ReplicaSet", "web-6d4cf56db6", {"pod-template-hash": "6d4cf56db6"})
    Owner(kind='Deployment', name='web')
    >>> owner_of_record("ReplicaSet", "web-front", {})
    Owner(kind='ReplicaSet', name='web-front')
    >>> owner_of_record("Job", "report-29301840", {})
    Owner(kind='CronJob', name='report')
    """
    if not name or kind == "Node":
        return None
    if kind == "Pod":
        return owner_of_pod_name(name, labels)
    if kind == "ReplicaSet":
        for label in _HASH_LABELS:
            value = labels.get(label, "")
            if value and name.endswith(f"-{value}"):
                lasting = "Rollout" if label.startswith("rollouts") else "Deployment"
                return Owner(lasting, name.removesuffix(f"-{value}"))
    if kind == "Job" and (match := _CRONJOB_JOB.fullmatch(name)):
        return Owner("CronJob", match["name"])
    return Owner(kind, name)


def owner_of_pod_name(pod: str, labels: Mapping[str, str]) -> Owner:
    """
    Owner that a pod's name tells of; the pod itself when it tells of none.

    Examples
    --------
    >>> owner_of_pod_name("web-6d4cf56db6-x2xvz", {}), owner_of_pod_name("db-0", {})
    (Owner(kind='Deployment', name='web'), Owner(kind='StatefulSet', name='db'))
    >>> owner_of_pod_name("report-29301840-k8r4n", {}), owner_of_pod_name("agent-x2xvz", {})
    (Owner(kind='CronJob', name='report'), Owner(kind='DaemonSet', name='agent'))
    >>> owner_of_pod_name("debug-x2xvz", {"run": "debug-x2xvz"})
    Owner(kind='Pod', name='debug-x2xvz')
    """
    if started_by_hand(pod, labels):
        return Owner("Pod", pod)
    job = next((labels[key] for key in _JOB_LABELS if labels.get(key)), "")
    if job and pod.startswith(f"{job}-"):
        return owner_of_record("Job", job, labels) or Owner("Job", job)
    for kind, pattern in _told_by(pod, labels):
        if match := pattern.fullmatch(pod):
            return Owner(kind, match["name"])
    return Owner("Pod", pod)


def _told_by(pod: str, labels: Mapping[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What a pod's name may tell of: nothing where a tool chose it, and no owner called like a run."""
    if is_run(labels):
        return ()
    certain_ends = (("CronJob", _CRONJOB_POD), ("Deployment", _DEPLOYMENT_POD))
    if looks_like_run(pod):
        return certain_ends
    return (*certain_ends, ("StatefulSet", _ORDINAL_POD), ("DaemonSet", _RANDOM_POD))


def started_by_hand(pod: str, labels: Mapping[str, str]) -> bool:
    """Whether ``kubectl run`` or ``kubectl debug`` made the pod: a person did, and may never again."""
    return labels.get(_RUN_LABEL) == pod or pod.startswith(_NODE_DEBUGGER)


def rollout_stem(name: str) -> str:
    """
    Name without the suffix by which the halves of one rollout differ.

    Examples
    --------
    >>> rollout_stem("web-canary"), rollout_stem("web")
    ('web', 'web')
    """
    match = _ROLLOUT_SUFFIX.fullmatch(name)
    return match["stem"] if match else name


def drop_intermediate(owners: set[Owner]) -> set[Owner]:
    """
    Owners without those that a lasting owner among them explains.

    ``ReplicaSet/web-6d4cf56db6`` beside ``Deployment/web`` is the same workload seen through another
    record; a pod's own name beside its owner too.
    """
    lasting = {owner for owner in owners if owner.kind in LASTING_KINDS}
    if not lasting:
        return owners
    return lasting | {
        owner
        for owner in owners - lasting
        if not any(owner.name == above.name or owner.name.startswith(f"{above.name}-") for above in lasting)
    }
