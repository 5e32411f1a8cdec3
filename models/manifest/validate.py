"""
Would Cilium take this manifest? Our linter, run on everything before it is exported or evaluated.

Two gates, as in a cluster: the API server's schema of the target release, then the agent's own
checks. An object that passes the first and fails the second is stored and enforces nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from models.domain.agent import NEWEST, AgentConfig
from models.domain.policy import CILIUM_POLICY, CLUSTERWIDE_POLICY, KUBERNETES_POLICY
from models.manifest.lists import LIST, opened
from models.manifest.validate_agent import agent_problems
from models.manifest.validate_kubernetes import kubernetes_problems
from models.manifest.validate_nodes import MAX_PROBLEMS, Problem, check, shown
from models.manifest.validate_schema import rule_schema

__all__ = ["NEWEST", "Problem", "problems"]

MAX_NAME: Final = 253  # characters of an object's name
#: Bytes of an object as JSON: etcd refuses requests above 1.5 MiB, and the API server adds its own fields.
MAX_OBJECT_BYTES: Final = 3 * 512 * 1024 - 64 * 1024
MAX_ANNOTATION_BYTES: Final = 256 * 1024  # keys and values of all annotations together

_API_VERSIONS: Final = {
    CILIUM_POLICY: ("cilium.io/v2",),
    CLUSTERWIDE_POLICY: ("cilium.io/v2",),
    KUBERNETES_POLICY: ("networking.k8s.io/v1",),
}
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "specs", "status")


def problems(
    manifest: Mapping[str, Any], *, cilium_version: str = NEWEST, config: AgentConfig | None = None
) -> list[Problem]:
    """
    Why a cluster would refuse a policy object, or silently drop a part of it.

    Parameters
    ----------
    manifest
        A decoded CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy or NetworkPolicy, or a ``v1`` ``List``
        of them, in which paths begin with ``items[1].``.
    cilium_version
        Release of the target cluster.
    config
        Agent settings; replaces `cilium_version`. Without it Cilium's defaults are taken.

    Returns
    -------
    list of Problem
        Empty when the object is taken as written; at most ``MAX_PROBLEMS``, in document order.

    Raises
    ------
    UnsupportedError
        If the release is older than the oldest known one.

    Examples
    --------
    >>> problems({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
    ...           "metadata": {"name": "a", "namespace": "shop"},
    ...           "spec": {"endpointSelector": {}, "ingress": [{"fromEntities": ["internet"]}]}})[0].path
    'spec.ingress[0].fromEntities[0]'
    """
    settings = config or AgentConfig(cilium_version=cilium_version)
    _ = settings.release  # an unknown release is an error of the caller, not of the manifest
    found: dict[Problem, None] = dict.fromkeys(islice(_each_problem(manifest, settings), MAX_PROBLEMS))
    return list(found)


def _each_problem(manifest: Mapping[str, Any], config: AgentConfig) -> Iterator[Problem]:
    if manifest.get("kind") != LIST:
        yield from _all_problems(manifest, config)
        return
    for number, member in enumerate(opened(manifest)):
        for problem in _all_problems(member, config):
            yield replace(problem, path=f"items[{number}].{problem.path}")


def _all_problems(manifest: Mapping[str, Any], config: AgentConfig) -> Iterator[Problem]:
    kind = manifest.get("kind")
    if not isinstance(kind, str) or kind not in _API_VERSIONS:
        yield Problem("kind", f"{shown(kind)} is none of {', '.join(_API_VERSIONS)}")
        return
    yield from _size_problems(manifest)
    if manifest.get("apiVersion") not in _API_VERSIONS[kind]:
        yield Problem("apiVersion", f"must be {_API_VERSIONS[kind][0]} for {kind}")
    yield from _metadata_problems(manifest.get("metadata"), kind)
    for key in manifest:
        if key not in _TOP or (kind == KUBERNETES_POLICY and key == "specs"):
            yield Problem(shown(key), "unknown field", "unknown field")
    if kind == KUBERNETES_POLICY:
        yield from kubernetes_problems(manifest.get("spec"))
        return
    rules = list(_rules(manifest))
    if not rules and config.release.spec_required:
        yield Problem("spec", "either spec or specs is required")
    schema = rule_schema(config.release.name)
    for path, rule in rules:
        in_schema = list(islice(check(rule, schema, path), MAX_PROBLEMS))
        yield from in_schema
        if not any(problem.kind == "schema" for problem in in_schema):
            yield from agent_problems(rule, path, config, namespaced=kind == CILIUM_POLICY)
    specs = manifest.get("specs", [])
    if not isinstance(specs, (list, tuple)):
        yield Problem("specs", f"must be a list, not {shown(specs)}")


def _rules(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "spec" in manifest:
        yield "spec", manifest["spec"]
    specs = manifest.get("specs")
    if isinstance(specs, (list, tuple)):
        for index, rule in enumerate(specs):
            yield f"specs[{index}]", rule


def object_bytes(manifest: Mapping[str, Any]) -> int:
    """Bytes of an object as JSON, never less than the API server counts."""
    return len(json.dumps(manifest, separators=(",", ":"), default=str))


def _size_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        size = object_bytes(manifest)
    except (TypeError, ValueError, RecursionError):
        return  # no JSON at all: the other checks say where
    if size > MAX_OBJECT_BYTES:
        yield Problem(
            "spec",
            f"{size} bytes: an API server keeps at most {MAX_OBJECT_BYTES}; split the policy or name "
            "wider peers",
        )
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if isinstance(annotations, Mapping):
        held = sum(
            len(str(text).encode("utf-8", "surrogatepass")) for pair in annotations.items() for text in pair
        )
        if held > MAX_ANNOTATION_BYTES:
            yield Problem("metadata.annotations", f"{held} bytes: at most {MAX_ANNOTATION_BYTES} are kept")


def _metadata_problems(metadata: object, kind: str) -> Iterator[Problem]:
    if not isinstance(metadata, Mapping):
        yield Problem("metadata", f"must be a mapping, not {shown(metadata)}")
        return
    name, namespace = metadata.get("name"), metadata.get("namespace", "default")
    if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        yield Problem("metadata.name", f"{shown(name)} is no object name")
    if kind == CLUSTERWIDE_POLICY:
        if metadata.get("namespace"):
            yield Problem("metadata.namespace", "a clusterwide object has no namespace")
    elif not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        yield Problem("metadata.namespace", f"{shown(namespace)} is no namespace")
