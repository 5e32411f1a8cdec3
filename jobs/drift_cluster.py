"""Deployed policies from a cluster, read-only: everything that policies are made of and refer to."""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from jobs.cluster_objects import Resource, connect, listed
from models.errors import UnsupportedError

#: What is read.
RESOURCES: Final[tuple[Resource, ...]] = (
    ("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", True),
    ("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", False),
    ("cilium.io", "v2", "CiliumCIDRGroup", "ciliumcidrgroups", False),
    ("cilium.io", "v2alpha1", "CiliumCIDRGroup", "ciliumcidrgroups", False),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True),
    ("", "v1", "Service", "services", True),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True),
)
_POLICIES: Final = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy")
_ABSENT: Final = 404

log = structlog.get_logger()


def read_cluster() -> tuple[list[dict[str, Any]], bool]:
    """
    Policies, Services, EndpointSlices and CIDR groups of the cluster that kubectl would speak to.

    Returns
    -------
    tuple
        The objects, sorted, and whether every kind that policies refer to could be read.

    Raises
    ------
    UnsupportedError
        If no cluster is configured, it cannot be reached, or it refuses to show its policies.
    """
    # Imported here: nobody who reads policies from files needs a Kubernetes client.
    from httpx2 import HTTPError  # noqa: PLC0415
    from lightkube.core.exceptions import ApiError  # noqa: PLC0415

    client = connect()
    objects: list[dict[str, Any]] = []
    complete = True
    for resource in RESOURCES:
        kind, plural = resource[2:4]
        try:
            objects += list(listed(client, resource))
        except ApiError as error:
            if error.status.code == _ABSENT:
                continue  # the kind is not installed there
            if kind in _POLICIES:
                why = error.status.message or f"status {error.status.code}"
                raise UnsupportedError(f"the cluster does not show its {plural}: {why}") from None
            log.warning("cluster.unreadable", kind=kind, code=error.status.code)
            complete = False
        except HTTPError as error:
            raise UnsupportedError(f"the cluster cannot be reached: {error}") from None
    return sorted(objects, key=_place), complete


def _place(item: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return str(item["kind"]), str(metadata.get("namespace", "")), str(metadata.get("name", ""))
