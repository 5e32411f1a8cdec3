"""The endpoint objects of a flow as JSON text: local ones with ID and owner, remote ones without."""

import json
from functools import cache

from sample_data.world.pods import Node, Pod
from sample_data.world.traffic import Side

#: Numbers of reserved identities, and of the managed API server, which is node-local.
RESERVED = {
    "host": (1, ("reserved:host",)),
    "remote-node": (6, ("reserved:remote-node",)),
    "world": (2, ("reserved:world",)),
    "health": (4, ("reserved:health",)),
    "kube-apiserver": (16777217, ("reserved:kube-apiserver", "reserved:world")),
}


def compact(value: object) -> str:
    """JSON as Hubble writes it: no spaces, original order."""
    return json.dumps(value, separators=(",", ":"))


@cache
def reserved_json(entity: str, endpoint: int = 0) -> str:
    """Endpoint object of a reserved identity."""
    number, labels = RESERVED[entity]
    head = {"ID": endpoint} if endpoint else {}
    return compact(head | {"identity": number, "labels": list(labels)})


class EndpointText:
    """Endpoint objects of one cluster, rendered once per pod and point of view."""

    def __init__(self, cluster_name: str) -> None:
        self._cluster_name = cluster_name
        self._cache: dict[tuple[str, str, int, float, bool], str] = {}

    def side(self, side: Side, seen_from: int) -> str:
        """The object for one end as the agent of node ``seen_from`` writes it."""
        if isinstance(side, Pod):
            return self.pod(side, local=side.node == seen_from)
        if isinstance(side, Node):
            return reserved_json("host" if side.index == seen_from else "remote-node")
        return reserved_json(side.entity)

    def pod(self, pod: Pod, *, local: bool) -> str:
        """A pod; only its own node knows the endpoint id and the owner."""
        key = (pod.workload.ref, pod.name, pod.identity, pod.start, local)
        if key not in self._cache:
            shown: dict[str, object] = {"ID": pod.endpoint} if local else {}
            shown |= {
                "identity": pod.identity,
                "cluster_name": self._cluster_name,
                "namespace": pod.workload.namespace,
                "labels": list(pod.labels),
                "pod_name": pod.name,
            }
            if local:
                shown["workloads"] = [{"name": pod.workload.name, "kind": pod.workload.kind}]
            self._cache[key] = compact(shown)
        return self._cache[key]


def node_labels(node: Node) -> tuple[str, ...]:
    """Labels of an AKS node as its agent reports them."""
    return (
        "agentpool=nodepool1",
        "beta.kubernetes.io/arch=amd64",
        "beta.kubernetes.io/instance-type=Standard_D4ds_v5",
        "beta.kubernetes.io/os=linux",
        "kubernetes.azure.com/cluster=MC_rg-shop_aks-shop_westeurope",
        "kubernetes.azure.com/ebpf-dataplane=cilium",
        "kubernetes.azure.com/mode=system",
        "kubernetes.azure.com/network-policy=cilium",
        "kubernetes.io/arch=amd64",
        f"kubernetes.io/hostname={node.name}",
        "kubernetes.io/os=linux",
        "topology.kubernetes.io/region=westeurope",
        f"topology.kubernetes.io/zone=westeurope-{node.index + 1}",
    )
