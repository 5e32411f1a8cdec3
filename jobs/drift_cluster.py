"""Deployed policies from a cluster, read-only: everything that policies are made of and refer to."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from models.errors import UnsupportedError

#: API group, version, kind and plural of what is read; True where the kind belongs to a namespace.
RESOURCES: Final = (
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
_PAGE: Final = 500
_TIMEOUT: Final = 30.0  # seconds

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
    from httpx2 import HTTPError, Timeout  # noqa: PLC0415
    from lightkube import Client  # noqa: PLC0415
    from lightkube.core.exceptions import ApiError, ConfigError  # noqa: PLC0415

    try:
        client = Client(timeout=Timeout(_TIMEOUT))
    except (ConfigError, OSError, ValueError) as error:
        raise UnsupportedError(f"no cluster to read from: {error}") from None
    objects: list[dict[str, Any]] = []
    complete = True
    for group, version, kind, plural, namespaced in RESOURCES:
        try:
            objects += list(_listed(client, (group, version, kind, plural), namespaced=namespaced))
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


def _listed(client: Any, about: tuple[str, str, str, str], *, namespaced: bool) -> Iterator[dict[str, Any]]:
    """Objects of one kind, page by page, as plain mappings that name their kind."""
    from lightkube.generic_resource import (  # noqa: PLC0415 - see above
        create_global_resource,
        create_namespaced_resource,
        get_generic_resource,
    )

    group, version, kind, _ = about
    named = f"{group}/{version}" if group else version
    resource = get_generic_resource(named, kind)  # type: ignore[no-untyped-call]
    if resource is None:
        resource = create_namespaced_resource(*about) if namespaced else create_global_resource(*about)
    where = {"namespace": "*"} if namespaced else {}
    for item in client.list(resource, chunk_size=_PAGE, **where):
        yield {**dict(item), "kind": kind, "apiVersion": named}


def _place(item: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return str(item["kind"]), str(metadata.get("namespace", "")), str(metadata.get("name", ""))
