"""
Which labels of a pod may stand in a selector, and the smallest set of them that selects a workload.

A label may be used only if it is in the identity (so only labels of the flows), comes from Kubernetes,
is not one of those that change with every rollout, run or pod, and did not change while we looked.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

from models.domain.labels import K8S, NAMESPACE_KEY, NAMESPACE_LABELS_PREFIX, SERVICE_ACCOUNT_KEY, parse_label
from models.domain.peer import Labels
from models.learning.run_labels import RUN_KEYS, VOLATILE_IN_RUNS

Pair = tuple[str, str]

#: Keys that name a workload, the most telling first; a selector without any of them is a last resort.
ANCHOR_KEYS: Final = (
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "app.kubernetes.io/component",
    "component",
    "name",
    "app.kubernetes.io/instance",
    "run",
)
_ANCHORS: Final = frozenset(ANCHOR_KEYS) - {"app.kubernetes.io/component", "component"}
#: Said of many workloads at once; used only where nothing else separates.
VAGUE_KEYS: Final = ("app.kubernetes.io/part-of", "part-of", "team", "env", "environment")
_RANK: Final = {key: rank for rank, key in enumerate(ANCHOR_KEYS)}
_PLAIN_RANK: Final = len(ANCHOR_KEYS)
_VAGUE_RANK: Final = _PLAIN_RANK + 1

#: Keys whose value names a rollout, a run, a pod or a release; some are filtered out of identities by
#: default, but the filter is configurable.
VOLATILE_KEYS: Final = frozenset(
    {
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "helm.sh/chart",
        "chart",
        "heritage",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "version",
        "revision",
        "istio.io/rev",
        "service.istio.io/canonical-revision",
        "linkerd.io/control-plane-ns",
        "linkerd.io/proxy-deployment",
        "security.istio.io/tlsMode",
        "argocd.argoproj.io/instance",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "pod-name",
        "date",
        "timestamp",
        "commit",
        "build",
        "git-sha",
    }
    | RUN_KEYS
    | VOLATILE_IN_RUNS
)
#: Keys by which the halves of one rollout differ.
ROLLOUT_KEYS: Final = frozenset(
    {"track", "slot", "color", "colour", "variant", "version", "canary", "release-track"}
)
_VOLATILE_PREFIXES: Final = (
    NAMESPACE_LABELS_PREFIX,
    "io.cilium.",
    "io.kubernetes.",
    "kustomize.toolkit.fluxcd.io/",
)

_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_KEY_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
#: Values that some machine made for one build or object: a digest, a UUID, a point in time.
_MACHINE_VALUE: Final = re.compile(r"[0-9a-f]{12,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{8,}")

MAX_LABELS: Final = 3  # more than that is hard to read and seldom needed


def kubernetes_labels(texts: Iterable[str]) -> dict[str, str]:
    """Labels of the source ``k8s``, key to value; keys or values that Kubernetes would refuse are dropped."""
    parsed = (parse_label(text) for text in texts)
    return {
        label.key: label.value for label in parsed if label.source == K8S and valid(label.key, label.value)
    }


def valid(key: str, value: str) -> bool:
    """Whether Kubernetes accepts the label; hostile text in a flow must not reach a manifest."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _KEY_PREFIX.fullmatch(prefix):
        return False
    return bool(_KEY_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def usable(key: str, value: str) -> bool:
    """Whether a label may stand in a selector as far as it can be told from itself."""
    if key == NAMESPACE_KEY or key in VOLATILE_KEYS or key.startswith(_VOLATILE_PREFIXES):
        return False
    return value != "" and not _MACHINE_VALUE.fullmatch(value)


def service_account(labels: Mapping[str, str]) -> Pair | None:
    """Label of the service account; not of ``default``, which any new pod gets."""
    value = labels.get(SERVICE_ACCOUNT_KEY, "default")
    return None if value in ("", "default") else (SERVICE_ACCOUNT_KEY, value)


def rank(pair: Pair) -> tuple[int, str, str]:
    """Order of preference of a label: telling keys first, then by name."""
    key, value = pair
    if key == SERVICE_ACCOUNT_KEY:
        return (_VAGUE_RANK + 1, key, value)
    return (_VAGUE_RANK if key in VAGUE_KEYS else _RANK.get(key, _PLAIN_RANK), key, value)


class LabelIndex:
    """
    Every label set seen in one namespace, so that a selector can be tested against all of them at once.

    Parameters
    ----------
    label_sets
        Labels by label-set key; live and historical alike.
    """

    def __init__(self, label_sets: Mapping[str, Mapping[str, str]]) -> None:
        self._keys: Sequence[str] = sorted(label_sets)
        self._bit = {key: 1 << place for place, key in enumerate(self._keys)}
        self._pairs: dict[Pair, int] = {}
        self._present: dict[str, int] = {}
        for key, labels in label_sets.items():
            for pair in labels.items():
                self._pairs[pair] = self._pairs.get(pair, 0) | self._bit[key]
                self._present[pair[0]] = self._present.get(pair[0], 0) | self._bit[key]
        self._all = (1 << len(self._keys)) - 1

    def strangers(self, pairs: Iterable[Pair], own: Iterable[str]) -> int:
        """Bit set of the label sets that the pairs select although they are not among ``own``."""
        selected = self._all
        for pair in pairs:
            selected &= self._pairs.get(pair, 0)
        return selected & ~self._own(own)

    def label_sets(self, bits: int) -> list[str]:
        """Label-set keys of a bit set, sorted."""
        return [key for key in self._keys if self._bit[key] & bits]

    def smallest(self, candidates: Iterable[Pair], own: Sequence[str]) -> Labels | None:
        """
        Fewest and most telling labels that select no stranger; ``None`` when all together still do.

        A selector without a naming label counts as one label longer, so ``component`` alone loses
        against ``name`` with ``component``.
        """
        ranked = sorted(candidates, key=rank)
        if not ranked or self.strangers(ranked, own):
            return None
        best: tuple[int, tuple[tuple[int, str, str], ...], Labels] | None = None
        for size in range(1, min(MAX_LABELS, len(ranked)) + 1):
            for chosen in combinations(ranked, size):
                cost = size + (not any(key in _ANCHORS for key, _ in chosen))
                order = tuple(rank(pair) for pair in chosen)
                better = best is None or (cost, order) < best[:2]
                if better and not self.strangers(chosen, own):
                    best = (cost, order, tuple(sorted(chosen)))
        if best is not None:
            return best[2]
        kept = list(ranked)
        for pair in reversed(ranked):
            rest = [other for other in kept if other != pair]
            if not self.strangers(rest, own):
                kept = rest
        return tuple(sorted(kept))

    def absent_keys(self, candidates: Iterable[Pair], own: Sequence[str]) -> tuple[str, ...] | None:
        """
        Keys whose absence keeps the strangers of all candidates out; ``None`` when that cannot be done.

        Only keys that no own label set carries; greedily the one that excludes most strangers.
        """
        left = self.strangers(candidates, own)
        mine = self._own(own)
        chosen: list[str] = []
        while left:
            gains = [
                (-(bits & left).bit_count(), key in VOLATILE_KEYS, key)
                for key, bits in self._present.items()
                if bits & left and not bits & mine and not key.startswith(_VOLATILE_PREFIXES)
            ]
            if not gains:
                return None
            key = min(gains)[2]
            chosen.append(key)
            left &= ~self._present[key]
        return tuple(sorted(chosen))

    def smallest_without(
        self, candidates: Iterable[Pair], absent: Iterable[str], own: Sequence[str]
    ) -> Labels:
        """Smallest choice of the candidates when label sets with one of the absent keys are out already."""
        excluded = 0
        for key in absent:
            excluded |= self._present[key]
        return self.smallest(candidates, [*own, *self.label_sets(excluded & ~self._own(own))]) or ()

    def _own(self, own: Iterable[str]) -> int:
        bits = 0
        for key in own:
            bits |= self._bit[key]
        return bits
