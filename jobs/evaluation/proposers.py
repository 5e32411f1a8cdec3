"""What is evaluated: Portolan's own run, and the exact allow-list that it has to beat."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from jobs.propose import InferResult, propose
from models.domain.capabilities import CapabilityHints
from models.domain.labels import NAMESPACE_KEY
from models.domain.proposal_json import proposal_to_json
from models.frames import Observations
from models.learning.label_choice import kubernetes_labels
from models.manifest.lists import opened
from models.synthesis.memory import Memory
from models.synthesis.view import Posture

#: Release whose meaning the worlds' cluster gives to a policy.
CILIUM_VERSION: Final = "1.18"
#: Key of an edge as it was recorded.
_RAW: Final = ["subject", "direction", "peer_kind", "peer", "protocol", "port"]


@dataclass(frozen=True, slots=True)
class Proposed:
    """
    What a proposer made of a window.

    Parameters
    ----------
    manifests
        CiliumNetworkPolicy objects.
    forms
        Proposals in their contract form; none where a proposer has no evidence to show.
    rule_count
        Units of decision.
    seconds
        Time it took.
    forecast
        What all proposals would deny together, in contract form; empty where a proposer says nothing.
    """

    manifests: tuple[Mapping[str, Any], ...]
    forms: tuple[Mapping[str, Any], ...]
    rule_count: int
    seconds: float
    forecast: Mapping[str, Any] = field(default_factory=dict)


#: Labels that Kubernetes and Cilium add.
_ADDED: Final = ("io.kubernetes.", "io.cilium.")
#: Observations and posture to what is proposed from them.
Proposer = Callable[[Observations, Posture, CapabilityHints], Proposed]
#: `jobs.propose.propose`, or whatever can be called like it.
Propose = Callable[..., InferResult]


@dataclass(frozen=True, slots=True)
class Portolan:
    """A run of Portolan as a proposer."""

    run: Propose = propose

    def __call__(self, observations: Observations, posture: Posture, hints: CapabilityHints) -> Proposed:
        """Propose, and keep what the contract shows."""
        started = time.perf_counter()
        result = self.run(observations, posture=posture, capabilities=hints)
        return _proposed(result, time.perf_counter() - started)


@dataclass(slots=True)
class Nights:
    """Portolan night after night, as the scheduler runs it: each run knows what the last one learned."""

    run: Propose = propose
    last: InferResult | None = None

    def __call__(self, observations: Observations, posture: Posture, hints: CapabilityHints) -> Proposed:
        """Propose, and keep what the contract shows."""
        known: dict[str, Any] = {}
        if self.last is not None:
            known = {"memory": Memory({}, self.last.fates), "previous": self.last.learned}
        started = time.perf_counter()
        self.last = self.run(observations, posture=posture, capabilities=hints, **known)
        return _proposed(self.last, time.perf_counter() - started)


def _proposed(result: InferResult, seconds: float) -> Proposed:
    forms = tuple(proposal_to_json(one, manifest=result.manifests[one.key]) for one in result.proposals)
    manifests = tuple(policy for one in result.proposals for policy in opened(result.manifests[one.key]))
    rules = sum(len(form["rules"]) for form in forms)
    return Proposed(manifests, forms, rules, seconds, result.forecast)


def exact_allow_list(observations: Observations, posture: Posture, hints: CapabilityHints) -> Proposed:
    """
    One policy per label set and one entry per recorded edge.

    Addresses are exact, names are not used, nothing is screened: what a script does that turns records
    into policies. Posture and capabilities change nothing.
    """
    del posture, hints
    started = time.perf_counter()
    labels = {
        str(row["label_key"]): (str(row["namespace"]), _own(str(row["labels"])))
        for row in observations.identities[["label_key", "namespace", "labels"]].to_dict("records")
    }
    edges = observations.edge_days[_RAW].drop_duplicates()
    # The node of a pod always reaches it, so even a script leaves its probes out.
    edges = edges[(edges["peer"] != "host") | (edges["direction"] != "ingress")]
    manifests = [
        _policy(str(subject), *labels[str(subject)], own, labels)
        for subject, own in edges.groupby("subject", sort=True)
    ]
    return Proposed(tuple(manifests), (), len(edges), time.perf_counter() - started)


def _own(texts: str) -> dict[str, str]:
    """All labels of a pod that its owner wrote."""
    found = kubernetes_labels(json.loads(texts))
    return {key: value for key, value in sorted(found.items()) if not key.startswith(_ADDED)}


def _policy(
    key: str,
    namespace: str,
    own: dict[str, str],
    edges: pd.DataFrame,
    labels: Mapping[str, tuple[str, dict[str, str]]],
) -> dict[str, Any]:
    spec: dict[str, Any] = {"endpointSelector": {"matchLabels": own}}
    for row in edges.to_dict("records"):
        way = "to" if row["direction"] == "egress" else "from"
        peer = str(row["peer"])
        match row["peer_kind"]:
            case "endpoint":
                theirs, selector = labels[peer]
                wanted = {**selector, f"k8s:{NAMESPACE_KEY}": theirs}
                entry: dict[str, Any] = {f"{way}Endpoints": [{"matchLabels": wanted}]}
            case "entity":
                entry = {f"{way}Entities": [peer]}
            case _:
                entry = {f"{way}CIDR": [f"{peer}/32"]}
        ports = [{"port": str(row["port"]), "protocol": str(row["protocol"])}]
        spec.setdefault(str(row["direction"]), []).append({**entry, "toPorts": [{"ports": ports}]})
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": f"exact-{key}", "namespace": namespace},
        "spec": spec,
    }
