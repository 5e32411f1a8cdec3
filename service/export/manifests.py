"""Proposals as manifests, checked by the linter before anybody sees them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.domain.capabilities import VERSION_UNKNOWN
from models.domain.proposal import Proposal
from models.errors import UnsupportedError
from models.manifest.render import cilium_manifest, comments, remarks, to_yaml
from models.manifest.render_kubernetes import kubernetes_comments, kubernetes_manifest
from models.manifest.split import split_comments
from models.manifest.validate import NEWEST, problems

Kind = Literal["cilium", "kubernetes"]
Mode = Literal["shadow", "enforce"]


@dataclass(frozen=True, slots=True)
class Target:
    """What to render for."""

    kind: Kind = "cilium"
    mode: Mode = "enforce"
    cilium_version: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """One policy, ready to be written; as a ``List`` of its parts where it was split."""

    path: str
    manifest: Mapping[str, Any]
    text: str


def _configured(proposal: Proposal, target: Target) -> Proposal:
    """The proposal without the assumption that nobody said which release is meant, once somebody has."""
    if target.cilium_version is None:
        return proposal
    known = tuple(one for one in proposal.assumptions if one.code != VERSION_UNKNOWN)
    return replace(proposal, assumptions=known)


def render(proposal: Proposal, include: Collection[str], target: Target) -> tuple[Mapping[str, Any], str]:
    """Manifest of a proposal with some of its rules, and its text; refuses what a cluster would refuse."""
    proposal = _configured(proposal, target)
    notes: Sequence[Mapping[str, Sequence[str]]] = ()
    if target.kind == "cilium":
        manifest = cilium_manifest(
            proposal, include=include, mode=target.mode, cilium_version=target.cilium_version
        )
        lines, notes = (
            comments(proposal, include=include, mode=target.mode),
            remarks(proposal, include=include, mode=target.mode),
        )
    elif target.mode == "shadow":
        raise UnsupportedError("a NetworkPolicy always denies: shadow mode exists for CiliumNetworkPolicy")
    else:
        manifest = kubernetes_manifest(proposal, include=include)
        lines = kubernetes_comments(proposal, include=include)
    found = problems(manifest, cilium_version=target.cilium_version or NEWEST)
    if found:
        raise UnsupportedError(
            f"{proposal.namespace}/{proposal.name} would be refused by a cluster: "
            + "; ".join(str(problem) for problem in found[:5])
        )
    return manifest, to_yaml(manifest, (*lines, *split_comments(manifest)), notes)
