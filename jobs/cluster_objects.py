"""Objects of the cluster that kubectl would speak to, read-only."""

from collections.abc import Iterator
from typing import Any, Final

from models.errors import UnsupportedError

#: API group, version, kind and plural; True where the kind belongs to a namespace.
Resource = tuple[str, str, str, str, bool]
_PAGE: Final = 500
_TIMEOUT: Final = 30.0  # seconds


def connect() -> Any:
    """
    Client of the configured cluster.

    Raises
    ------
    UnsupportedError
        If none is configured.
    """
    # Imported here: nobody who reads from files needs a Kubernetes client.
    from httpx2 import Timeout  # noqa: PLC0415
    from lightkube import Client  # noqa: PLC0415
    from lightkube.core.exceptions import ConfigError  # noqa: PLC0415

    try:
        return Client(timeout=Timeout(_TIMEOUT))
    except (ConfigError, OSError, ValueError) as error:
        raise UnsupportedError(f"no cluster to read from: {error}") from None


def listed(client: Any, resource: Resource) -> Iterator[dict[str, Any]]:
    """Objects of one kind, page by page, as plain mappings that name their kind."""
    from lightkube.generic_resource import (  # noqa: PLC0415 - see above
        create_global_resource,
        create_namespaced_resource,
        get_generic_resource,
    )

    group, version, kind, plural, namespaced = resource
    named = f"{group}/{version}" if group else version
    made = get_generic_resource(named, kind)  # type: ignore[no-untyped-call]
    if made is None:
        create = create_namespaced_resource if namespaced else create_global_resource
        made = create(group, version, kind, plural)
    where = {"namespace": "*"} if namespaced else {}
    for item in client.list(made, chunk_size=_PAGE, **where):
        yield {**dict(item), "kind": kind, "apiVersion": named}
