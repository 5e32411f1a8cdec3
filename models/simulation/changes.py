"""
The smallest change to a policy that would allow a denied flow, as a JSON Patch that was tried.

The patched manifest has to pass validation and the evaluator has to allow the flow before a change is
offered. A deny rule is never patched away silently: taking it out is offered as what it is.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.labels import CLUSTER_KEY, K8S, NAMESPACE_KEY, LabelSet
from models.domain.policy import KUBERNETES_POLICY, Direction, PolicyRef, PolicySet
from models.manifest.parse import parse_objects
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow, ResolvedSide, resolve
from models.simulation.decision import Gate, Verdict
from models.simulation.verdict import evaluate

#: Labels that change with every rollout, or that Cilium adds: never in a proposed selector.
VOLATILE: Final = (
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/",
    "job-name",
    "controller-uid",
    "helm.sh/chart",
    "app.kubernetes.io/version",
    "io.cilium.",
    "io.kubernetes.",
)

_ENTITIES: Final = ("kube-apiserver", "host", "remote-node", "ingress", "health", "init", "unmanaged")


@dataclass(frozen=True, slots=True)
class Change:
    """
    A change to one object that was tried and allows the flow.

    Parameters
    ----------
    policy
        Which object.
    patch
        JSON Patch (RFC 6902) for its manifest.
    because
        What it does, and what else it opens.
    """

    policy: PolicyRef
    patch: tuple[Mapping[str, Any], ...]
    because: str


def smallest_change(
    policies: PolicySet,
    flow: PolicyFlow,
    gate: Gate,
    selecting: Sequence[PolicyRef],
    config: AgentConfig,
) -> Change | None:
    """
    Try the candidates, narrowest first; the first one that really allows the flow at this end wins.

    Parameters
    ----------
    policies
        With their manifests.
    flow
        The denied flow.
    gate
        The end that denies it.
    selecting
        Objects that close this end, in the order in which they are tried.
    config
        Agent settings.
    """
    at_this_end = PolicyFlow(
        gate.direction, flow.source, flow.destination, flow.protocol, flow.port, flow.l7, flow.reply
    )
    for change in _candidates(policies, at_this_end, gate, selecting, config):
        patched = [
            apply_patch(source, change.patch) if policy == change.policy else source
            for policy, source in policies.sources.items()
        ]
        tried = parse_objects(patched, config=config)
        if any(refused.policy == change.policy for refused in tried.rejected):
            continue
        if evaluate(tried, at_this_end, config).verdict is Verdict.ALLOW:
            return change
    return None


def _candidates(
    policies: PolicySet,
    flow: PolicyFlow,
    gate: Gate,
    selecting: Sequence[PolicyRef],
    config: AgentConfig,
) -> Iterator[Change]:
    if gate.l4 is Verdict.ALLOW:
        yield from _request_changes(policies, flow, gate)
        return
    if gate.rules:
        # An explicit deny: allows cannot help, the deny itself has to go or to be narrowed.
        for rule in gate.rules:
            pointer = _pointer(rule.path.partition(".toPorts")[0].partition(".icmps")[0])
            because = "takes the deny rule out; narrow it instead if it is meant for others"
            yield Change(rule.policy, ({"op": "remove", "path": pointer},), because)
        return
    peer = resolve(flow.peer(gate.direction), config)
    for policy in sorted(selecting, key=lambda p: (p.kind == KUBERNETES_POLICY, p)):
        source = policies.sources.get(policy)
        if source is None:
            continue
        entry = _entry(policy, flow, gate.direction, peer)
        if entry is not None:
            yield Change(
                policy, _append(source, gate.direction, entry), "adds one rule for this peer and port"
            )


def _entry(
    policy: PolicyRef, flow: PolicyFlow, direction: Direction, peer: ResolvedSide
) -> dict[str, Any] | None:
    kubernetes = policy.kind == KUBERNETES_POLICY
    side = "from" if direction is Direction.INGRESS else "to"
    peers = _kubernetes_peer(peer, side, policy) if kubernetes else _cilium_peer(peer, side, policy)
    if peers is None or flow.protocol is None or flow.port is None:
        return None
    if flow.protocol in ("ICMP", "ICMPv6"):
        family = "IPv4" if flow.protocol == "ICMP" else "IPv6"
        icmps = [{"fields": [{"family": family, "type": flow.port}]}]
        return None if kubernetes or flow.port == 0 else peers | {"icmps": icmps}
    if kubernetes:
        return peers | {"ports": [{"protocol": flow.protocol, "port": flow.port}]}
    return peers | {"toPorts": [{"ports": [{"port": str(flow.port), "protocol": flow.protocol}]}]}


def _cilium_peer(peer: ResolvedSide, side: str, policy: PolicyRef) -> dict[str, Any] | None:
    if peer.labels is None:
        return None
    for entity in _ENTITIES:
        if peer.labels.reserved(entity):
            return {f"{side}Entities": [entity]}
    if peer.outside:
        if side == "to" and peer.names:
            return {"toFQDNs": [{"matchName": min(peer.names).rstrip(".").lower()}]}
        return (
            None
            if peer.address is None
            else {f"{side}CIDR": [f"{peer.address}/{peer.address.max_prefixlen}"]}
        )
    labels = {f"{K8S}:{key}": value for key, value in stable_labels(peer.labels).items()}
    if not labels:
        return None
    if peer.labels.namespace not in (None, policy.namespace):
        labels[f"{K8S}:{NAMESPACE_KEY}"] = str(peer.labels.namespace)
    cluster = peer.labels.lookup(K8S, CLUSTER_KEY)
    if cluster not in (None, "default"):
        labels[f"{K8S}:{CLUSTER_KEY}"] = str(cluster)
    return {f"{side}Endpoints": [{"matchLabels": labels}]}


def _kubernetes_peer(peer: ResolvedSide, side: str, policy: PolicyRef) -> dict[str, Any] | None:
    if peer.labels is None or any(peer.labels.reserved(entity) for entity in _ENTITIES):
        return None
    if peer.outside:
        if peer.address is None:
            return None
        return {side: [{"ipBlock": {"cidr": f"{peer.address}/{peer.address.max_prefixlen}"}}]}
    labels = stable_labels(peer.labels)
    if not labels:
        return None
    found: dict[str, Any] = {"podSelector": {"matchLabels": labels}}
    if peer.labels.namespace != policy.namespace:
        name = {"kubernetes.io/metadata.name": str(peer.labels.namespace)}
        found["namespaceSelector"] = {"matchLabels": name}
    return {side: [found]}


def stable_labels(labels: LabelSet) -> dict[str, str]:
    """Kubernetes labels of an identity that outlive a rollout, sorted."""
    return {
        label.key: label.value
        for label in labels.labels
        if label.source == K8S and not label.key.startswith(VOLATILE)
    }


def _request_changes(policies: PolicySet, flow: PolicyFlow, gate: Gate) -> Iterator[Change]:
    """Admit the request where a layer 7 rule restricts it."""
    for rule in gate.rules:
        source = policies.sources.get(rule.policy)
        if source is None or ".toPorts" not in rule.path:
            continue
        if isinstance(flow.l7, HttpRequest):
            http = {"method": flow.l7.method, "path": _literal(flow.l7.path)}
            added = {key: value for key, value in http.items() if value}
            place = f"{_pointer(rule.path)}/rules/http/-"
        elif isinstance(flow.l7, DnsQuestion):
            added, place = (
                {"matchName": flow.l7.name.rstrip(".").lower()},
                f"{_pointer(rule.path)}/rules/dns/-",
            )
        else:
            continue
        yield Change(rule.policy, ({"op": "add", "path": place, "value": added},), "admits this one request")


def _literal(text: str | None) -> str | None:
    """Escape a value so that RE2 matches it literally."""
    if text is None:
        return None
    return "".join(c if c.isalnum() or c in "/_-~%=&" else f"\\{c}" for c in text)


def _append(
    source: Mapping[str, Any], direction: Direction, entry: Mapping[str, Any]
) -> tuple[dict[str, Any], ...]:
    spec = source.get("spec")
    base, rule = ("/spec", spec) if isinstance(spec, Mapping) else ("/specs/0", source["specs"][0])
    section = direction.value
    if section in rule:
        return ({"op": "add", "path": f"{base}/{section}/-", "value": dict(entry)},)
    return ({"op": "add", "path": f"{base}/{section}", "value": [dict(entry)]},)


def _pointer(path: str) -> str:
    """JSON pointer of a rule's path."""
    base = path if path.startswith("specs[") else f"spec.{path}"
    return "/" + base.replace("[", ".").replace("]", "").replace(".", "/")


def apply_patch(manifest: Mapping[str, Any], patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Apply the ``add`` and ``remove`` operations of a JSON Patch to a copy.

    Raises
    ------
    KeyError, IndexError
        If a place does not exist.
    """
    patched: dict[str, Any] = copy.deepcopy(dict(manifest))
    for operation in patch:
        *parents, last = operation["path"].strip("/").split("/")
        place: Any = patched
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if operation["op"] == "remove":
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), copy.deepcopy(operation["value"]))
        else:
            place[last] = copy.deepcopy(operation["value"])
    return patched
