"""
The other side of a rule or an edge, in the four forms that a policy can name.

The order of preference is a workload, an entity, a DNS name, and an address last; who decides which
form an observed peer gets is ``models.synthesis.peers``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Stands for all namespaces of a cluster: pods, but neither nodes nor outside.
EVERY_NAMESPACE: Final = "*"
#: Members of a list of workloads or names that its title names.
MAX_TITLED: Final = 4
#: Sorted pairs of label key (without source) and value.
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class LabelSelector:
    """
    Pods that carry every label of ``labels`` and no key of ``absent``; the namespace is kept elsewhere.

    Parameters
    ----------
    labels
        Sorted ``(key, value)`` pairs without source; an empty tuple selects every pod of the namespace.
    absent
        Sorted keys that a selected pod must not carry (``DoesNotExist``).
    """

    labels: Labels = ()
    absent: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels (keys without source) is selected."""
        return all(labels.get(key) == value for key, value in self.labels) and not any(
            key in labels for key in self.absent
        )

    def to_json(self) -> dict[str, Any]:
        """Kubernetes form: ``matchLabels`` and, only where needed, ``matchExpressions``."""
        form: dict[str, Any] = {"matchLabels": dict(self.labels)}
        if self.absent:
            form["matchExpressions"] = [{"key": key, "operator": "DoesNotExist"} for key in self.absent]
        return form

    def text(self) -> str:
        """One line for sentences and sorting: ``app=web,!track``."""
        return ",".join([f"{key}={value}" for key, value in self.labels] + [f"!{key}" for key in self.absent])


@dataclass(frozen=True, slots=True, order=True)
class EndpointPeer:
    """
    A workload inside a cluster.

    Parameters
    ----------
    cluster
        Cilium's name of the peer's cluster when it is another one of the mesh; "" for the own cluster.
    namespace
        Namespace of the peer; `EVERY_NAMESPACE` for the pods of all of them.
    workloads
        Sorted ``Kind/name`` of what the selector selects; more than one when they cannot be told apart.
    selector
        Labels that select it inside its namespace.
    members
        For several workloads that one rule names: who they are, sorted. The namespace is then the one
        they share, or `EVERY_NAMESPACE` where they lie in several, and the selector says nothing.
    """

    cluster: str
    namespace: str
    workloads: tuple[str, ...]
    selector: LabelSelector
    members: "tuple[EndpointPeer, ...]" = ()

    @property
    def each(self) -> "tuple[EndpointPeer, ...]":
        """The selectors behind the peer, one each: its members, or itself."""
        return self.members or (self,)

    @property
    def key(self) -> str:
        """Identity that survives a change of the selector, and of the members of a list."""
        if self.members:
            return f"endpoints:{self.cluster}"
        return f"endpoint:{self.cluster}/{self.namespace}/{'+'.join(self.workloads)}"

    @property
    def title(self) -> str:
        """Name for sentences."""
        if self.members:
            return _listed(self.members)
        if self.namespace == EVERY_NAMESPACE and not self.workloads:
            return "every pod of the cluster"
        if self.namespace == EVERY_NAMESPACE:
            names = " + ".join(name.partition("/")[2] or name for name in self.workloads)
            return f"{names} in every namespace"
        names = " + ".join(name.partition("/")[2] or name for name in self.workloads)
        return f"{names or 'every pod'} in {self.namespace}" + (f" ({self.cluster})" if self.cluster else "")


def _listed(members: "tuple[EndpointPeer, ...] | tuple[FqdnPeer, ...]") -> str:
    more = len(members) - MAX_TITLED
    named = ", ".join(member.title for member in members[:MAX_TITLED])
    return f"{named} and {more} more" if more > 0 else named


@dataclass(frozen=True, slots=True, order=True)
class EntityPeer:
    """One of Cilium's entities: host, remote-node, kube-apiserver, ingress, world, ..."""

    entity: str

    @property
    def key(self) -> str:
        """Identity of the peer."""
        return f"entity:{self.entity}"

    @property
    def title(self) -> str:
        """Name for sentences."""
        return "anyone" if self.entity == "all" else f"entity {self.entity}"


#: Whoever it is: pods, nodes and outside, of this cluster and others.
ANYONE: Final = EntityPeer("all")
#: Whoever is outside of the cluster.
WORLD: Final = EntityPeer("world")


@dataclass(frozen=True, slots=True, order=True)
class FqdnPeer:
    """
    A DNS name outside the cluster, or several that one rule lists.

    Parameters
    ----------
    name, pattern
        Exactly one of them is filled; neither for a list.
    members
        Names of a list, sorted.
    """

    name: str = ""
    pattern: str = ""
    members: "tuple[FqdnPeer, ...]" = ()

    @property
    def each(self) -> "tuple[FqdnPeer, ...]":
        """The names behind the peer, one each: its members, or itself."""
        return self.members or (self,)

    @property
    def key(self) -> str:
        """Identity of the peer; that of a list survives a change of its members."""
        return "fqdns" if self.members else f"fqdn:{self.name or self.pattern}"

    @property
    def title(self) -> str:
        """Name for sentences."""
        return _listed(self.members) if self.members else self.name or self.pattern


@dataclass(frozen=True, slots=True, order=True)
class CidrPeer:
    """Addresses outside the cluster, as a prefix with its length."""

    cidr: str

    @property
    def key(self) -> str:
        """Identity of the peer."""
        return f"cidr:{self.cidr}"

    @property
    def title(self) -> str:
        """Name for sentences."""
        return self.cidr


Peer = EndpointPeer | EntityPeer | FqdnPeer | CidrPeer


def peer_to_json(peer: Peer) -> dict[str, Any]:
    """
    Contract form of a peer: ``{kind, ...}`` as in the proposals and the drift report.

    Examples
    --------
    >>> peer_to_json(CidrPeer("192.0.2.1/32"))
    {'kind': 'cidr', 'cidr': '192.0.2.1/32'}
    >>> web = EndpointPeer("", "shop", ("Deployment/web",), LabelSelector((("app", "web"),)))
    >>> peer_to_json(web)["workload"], peer_to_json(web)["labels"]
    ('Deployment/web', {'app': 'web'})
    """
    match peer:
        case EndpointPeer():
            form: dict[str, Any] = {
                "kind": "endpoint",
                "cluster": peer.cluster,
                "namespace": peer.namespace,
                "workload": " + ".join(peer.workloads),
                "labels": dict(peer.selector.labels),
            }
            if peer.selector.absent:
                form["without"] = list(peer.selector.absent)
            if peer.members:
                form["any_of"] = [peer_to_json(member) for member in peer.members]
            return form
        case EntityPeer():
            return {"kind": "entity", "entity": peer.entity}
        case FqdnPeer():
            if peer.members:
                return {"kind": "fqdn", "any_of": [peer_to_json(member) for member in peer.members]}
            return (
                {"kind": "fqdn", "name": peer.name}
                if peer.name
                else {"kind": "fqdn", "pattern": peer.pattern}
            )
        case CidrPeer():
            return {"kind": "cidr", "cidr": peer.cidr}


def peer_from_json(form: Mapping[str, Any]) -> Peer:
    """Peer from its contract form; the inverse of `peer_to_json`."""
    match form["kind"]:
        case "endpoint":
            workloads = tuple(part for part in str(form["workload"]).split(" + ") if part)
            selector = LabelSelector(tuple(sorted(form["labels"].items())), tuple(form.get("without", ())))
            members = [peer_from_json(member) for member in form.get("any_of", ())]
            endpoints = tuple(member for member in members if isinstance(member, EndpointPeer))
            return EndpointPeer(form["cluster"], form["namespace"], workloads, selector, endpoints)
        case "entity":
            return EntityPeer(form["entity"])
        case "fqdn":
            listed = [peer_from_json(member) for member in form.get("any_of", ())]
            names = tuple(member for member in listed if isinstance(member, FqdnPeer))
            return FqdnPeer(form.get("name", ""), form.get("pattern", ""), names)
        case _:
            return CidrPeer(form["cidr"])
