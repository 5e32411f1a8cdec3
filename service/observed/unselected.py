"""Why no policy can select a workload that inference has nothing to say about."""

from typing import Final

from jobs.observations.store import ObservationStore
from service.observed import queries

#: Entities of a node: whoever was seen as one of them has the node's identity in place of own labels.
_OF_NODES: Final = ("host", "remote-node", "kube-apiserver")
_HOST_NETWORK: Final = "carry the identity of their node, and no CiliumNetworkPolicy can select them"


def why_unselected(store: ObservationStore, reference: str) -> str:
    """A sentence for ``namespace/name`` of the host network; "" for all else."""
    namespace, _, name = reference.partition("/")
    seen = queries.entities_of(store, namespace, name)
    if "" not in seen and set(seen) & {*_OF_NODES}:
        return f"its pods are on the host network (seen as {', '.join(seen)}): they {_HOST_NETWORK}"
    return ""


def why_unknown(store: ObservationStore, reference: str) -> str:
    """
    A sentence for a ``namespace/name`` that no flow names; "" for all else.

    It may be a typo. It may be on the host network, too: Hubble names such pods now and then, mostly not.
    """
    namespace, slash, name = reference.partition("/")
    if not slash or queries.entities_of(store, namespace, name):
        return ""
    return f"no flow names {reference}, nor most pods on the host network: these {_HOST_NETWORK}"
