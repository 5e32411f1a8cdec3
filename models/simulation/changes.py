"""
The smallest change to a policy that would allow a denied flow, as a JSON Patch that was tried.

The patched manifest has to pass validation and the evaluator has to allow the flow before a change is
offered. A deny rule is never patched away silently: taking it out is offered as what it is.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from models.domain.agent import AgentConfig
from models.domain.labels import CLUSTER_KEY, K8S, NAMESPACE_KEY, LabelSet
from models.domain.policy import KUBERNETES_POLICY, Direction, Entry, PolicyRef, PolicySet
from models.manifest.parse import parse_objects
from models.simulation.context import DnsQuestion, HttpRequest, PolicyFlow, ResolvedSide, resolve
from models.simulation.decision import Gate, Verdict
from models.simulation.verdict import judge, selects_subject

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
    "rollouts-pod-template-hash",
    "app.kubernetes.io/version",
    "io.cilium.",
    "io.kubernetes.",
)

#: Labels that say who a workload is, and beside them which part of it; a release, a team or the role in a
#: failover says neither, and changes while the workload stays.
WHO: Final = ("app.kubernetes.io/name", "app", "k8s-app", "name")
NAMING: Final = (*WHO, "app.kubernetes.io/component", "component", "tier")

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

    Only the object that changes is read again, and only rules on the subject are asked, so a change
    among a thousand policies is found in well under a second.

    Parameters
    ----------
    policies
        With their manifests.
    flow
        The denied flow.
    gate
        The end that denies it.
    selecting
        Objects that select this end; the narrowest of those that close it is tried first.
    config
        Agent settings.
    """
    at_this_end = PolicyFlow(
        gate.direction, flow.source, flow.destination, flow.protocol, flow.port, flow.l7, flow.reply
    )
    subject = resolve(flow.subject(gate.direction), config)
    mine = [e for e in policies.entries if e.direction is gate.direction and selects_subject(e, subject)]
    for change in _candidates(policies, at_this_end, gate, selecting, config):
        patched = patched_entries(policies, change, config)
        if patched is None:
            continue
        tried = [e for e in mine if e.policy != change.policy]
        tried += [e for e in patched if e.direction is gate.direction and selects_subject(e, subject)]
        tried.sort(key=lambda e: (e.policy, e.path))
        if judge(tried, at_this_end, gate.direction, config).verdict is Verdict.ALLOW:
            return change
    return None


def patched_entries(policies: PolicySet, change: Change, config: AgentConfig) -> list[Entry] | None:
    """
    Entries of a changed object; ``None`` if Cilium would refuse it then.

    Services and CIDR groups are not at hand when one object is read by itself, so a rule that the change
    leaves alone keeps what it meant.
    """
    source = policies.sources[change.policy]
    tried = parse_objects([apply_patch(source, change.patch)], config=config)
    if tried.rejected:
        return None
    alone = {entry.path: entry for entry in parse_objects([source], config=config, linted=True).entries}
    known = {
        alone[entry.path].meaning: entry
        for entry in policies.entries
        if entry.policy == change.policy and entry.path in alone
    }
    return [
        entry if kept is None else replace(kept, path=entry.path)
        for entry in tried.entries
        for kept in (known.get(entry.meaning),)
    ]


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
    for policy in _by_reach(policies, selecting, gate.direction):
        source = policies.sources.get(policy)
        if source is None:
            continue
        entry = _entry(policy, flow, gate.direction, peer, config)
        if entry is not None:
            because = "adds one rule for this peer and port"
            for patch in _appended(source, gate.direction, entry):
                yield Change(policy, patch, because)


def _by_reach(policies: PolicySet, selecting: Sequence[PolicyRef], direction: Direction) -> list[PolicyRef]:
    """Objects that close this end before others, and the narrowest subject first: it opens least."""
    closes: dict[PolicyRef, bool] = dict.fromkeys(selecting, False)
    needs: dict[PolicyRef, int] = dict.fromkeys(selecting, 0)
    for entry in policies.entries:
        if entry.policy in closes and entry.direction is direction:
            closes[entry.policy] |= entry.default_deny
            needs[entry.policy] = max(needs[entry.policy], len(entry.subject.requirements))
    return sorted(selecting, key=lambda p: (p.kind == KUBERNETES_POLICY, not closes[p], -needs[p], p))


def _entry(
    policy: PolicyRef, flow: PolicyFlow, direction: Direction, peer: ResolvedSide, config: AgentConfig
) -> dict[str, Any] | None:
    kubernetes = policy.kind == KUBERNETES_POLICY
    side = "from" if direction is Direction.INGRESS else "to"
    peers = _kubernetes_peer(peer, side, policy) if kubernetes else _cilium_peer(peer, side, policy, config)
    if peers is None or flow.protocol is None or flow.port is None:
        return None
    if flow.protocol in ("ICMP", "ICMPv6"):
        family = "IPv4" if flow.protocol == "ICMP" else "IPv6"
        icmps = [{"fields": [{"family": family, "type": flow.port}]}]
        return None if kubernetes or flow.port == 0 else peers | {"icmps": icmps}
    if kubernetes:
        return peers | {"ports": [{"protocol": flow.protocol, "port": flow.port}]}
    return peers | {"toPorts": [{"ports": [{"port": str(flow.port), "protocol": flow.protocol}]}]}


def _cilium_peer(
    peer: ResolvedSide, side: str, policy: PolicyRef, config: AgentConfig
) -> dict[str, Any] | None:
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
    if cluster not in (None, config.cluster_name):
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
    """
    Kubernetes labels to select an identity by, sorted: those that name it, else all that outlive a rollout.

    Examples
    --------
    >>> stable_labels(LabelSet.of(("k8s:app=db", "k8s:role=master", "k8s:pod-template-hash=5f")))
    {'app': 'db'}
    """
    stable = {
        label.key: label.value
        for label in labels.labels
        if label.source == K8S and not label.key.startswith(VOLATILE)
    }
    named = {key: value for key, value in stable.items() if key in NAMING}
    return named if any(key in named for key in WHO) else stable


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


def _appended(
    source: Mapping[str, Any], direction: Direction, entry: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], ...]]:
    """One patch for each part of the object that the rule could be added to."""
    spec, specs = source.get("spec"), source.get("specs")
    parts = [("/spec", spec)] if isinstance(spec, Mapping) else []
    parts += [(f"/specs/{at}", one) for at, one in enumerate(specs)] if isinstance(specs, Sequence) else []
    section = direction.value
    for base, rule in parts:
        if section in rule:
            yield ({"op": "add", "path": f"{base}/{section}/-", "value": dict(entry)},)
        else:
            yield ({"op": "add", "path": f"{base}/{section}", "value": [dict(entry)]},)


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
