"""
What is deployed on the night: the demo's own proposals, and what somebody did to some of them by hand.

Only what the agents read is kept (name and specification): evidence and comments change with every run of
inference and mean nothing to a cluster.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

WORKLOADS = "portolan.dev/workloads"
Manifest = dict[str, Any]

#: Written by hand for pictures in blob storage, with a label that nobody carries: it was meant for `catalog`.
BY_HAND: Manifest = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumNetworkPolicy",
    "metadata": {"name": "catalog-pictures", "namespace": "shop"},
    "spec": {
        "endpointSelector": {"matchLabels": {"app.kubernetes.io/name": "catalogue"}},
        "egress": [
            {
                "toFQDNs": [{"matchName": "aksshopmedia.blob.core.windows.net"}],
                "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
            }
        ],
    },
}
#: What somebody opened for the payments team "for a minute".
ANYWHERE: Manifest = {
    "toEntities": ["world"],
    "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
}


class NothingToEditError(LookupError):
    """The proposals hold nothing of what a planted edit is about."""


def deploy(proposed: Iterable[Mapping[str, Any]]) -> list[Manifest]:
    """
    Take the proposals as exported, edit them, and sort them by namespace and name.

    Raises
    ------
    NothingToEditError
        If inference no longer proposes what is to be edited.
    """
    by_workload: dict[tuple[str, str], Manifest] = {}
    for manifest in proposed:
        about = manifest["metadata"]
        slim = {key: copy.deepcopy(manifest[key]) for key in ("apiVersion", "kind", "spec")}
        slim["spec"].pop("description", None)
        metadata = {key: about[key] for key in ("name", "namespace")}
        ordered = {"apiVersion": slim["apiVersion"], "kind": slim["kind"], "metadata": metadata}
        by_workload[about["namespace"], about["annotations"][WORKLOADS]] = ordered | {"spec": slim["spec"]}
    _remove_rule(_of(by_workload, "shop", "Deployment/orders"))
    _of(by_workload, "payments", "Deployment/checkout")["spec"]["egress"].append(copy.deepcopy(ANYWHERE))
    _of(by_workload, "shop", "Deployment/cart")
    del by_workload["shop", "Deployment/cart"]
    made = [*by_workload.values(), copy.deepcopy(BY_HAND)]
    return sorted(made, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))


def _of(by_workload: Mapping[tuple[str, str], Manifest], namespace: str, workload: str) -> Manifest:
    if (namespace, workload) not in by_workload:
        raise NothingToEditError(f"no policy of {namespace} is for {workload}")
    return by_workload[namespace, workload]


def _remove_rule(policy: Manifest) -> None:
    """Orders may no longer call the mainframe's bridge."""
    kept = [entry for entry in policy["spec"]["egress"] if not _to_bridge(entry)]
    if len(kept) == len(policy["spec"]["egress"]):
        raise NothingToEditError("the policy of orders does not name the mainframe's bridge")
    policy["spec"]["egress"] = kept


def _to_bridge(entry: Mapping[str, Any]) -> bool:
    peers = entry.get("toEndpoints", ())
    return any(peer.get("matchLabels", {}).get("component") == "bridge" for peer in peers)
