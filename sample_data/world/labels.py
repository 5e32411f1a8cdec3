"""Which pod labels become identity labels: Cilium's default filter, and the numbers it hands out."""

import hashlib

from sample_data.world.nouns import Namespace, Workload

#: Key prefixes that Cilium leaves out of identities by default.
EXCLUDED = (
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "annotation",
    "etcd_node",
)


def identity_labels(
    workload: Workload, namespace: Namespace, cluster: str, pod_labels: dict[str, str]
) -> tuple[str, ...]:
    """Labels of a pod as flows show them: filtered, prefixed with their source, sorted."""
    kept = {key: value for key, value in pod_labels.items() if not key.startswith(EXCLUDED)}
    kept |= {f"io.cilium.k8s.namespace.labels.{key}": value for key, value in namespace.labels.items()}
    kept["io.cilium.k8s.policy.cluster"] = cluster
    kept["io.cilium.k8s.policy.serviceaccount"] = workload.account
    kept["io.kubernetes.pod.namespace"] = namespace.name
    return tuple(sorted(f"k8s:{key}={value}" for key, value in kept.items()))


class IdentityNumbers:
    """One cluster-wide number per distinct label set."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._taken: set[int] = set()

    def number(self, labels: tuple[str, ...]) -> int:
        """The number of a label set, handed out at first sight."""
        if labels not in self._numbers:
            digest = hashlib.sha256("\n".join(labels).encode()).digest()
            number = 1024 + int.from_bytes(digest[:4], "big") % 60000
            while number in self._taken:
                number += 1
            self._taken.add(number)
            self._numbers[labels] = number
        return self._numbers[labels]
