"""Several objects as one: the lists of the API and of ``kubectl``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

LIST: Final = "List"  # of objects of any kind; a list of one kind is called after it


def opened(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """
    Objects behind an object: the members of a list, typed ones too, or itself.

    Examples
    --------
    >>> [one["kind"] for one in opened({"kind": "ServiceList", "items": [{}, {}]})]
    ['Service', 'Service']
    """
    kind, members = item.get("kind"), item.get("items")
    if isinstance(kind, str) and kind.endswith(LIST) and isinstance(members, (list, tuple)):
        inner = kind.removesuffix(LIST)
        for member in members:
            if isinstance(member, Mapping):
                # kubectl and the API leave kind and apiVersion out of the members of typed lists.
                implied = {"kind": inner, "apiVersion": item.get("apiVersion")} if inner else {}
                yield implied | dict(member)
    else:
        yield item


def list_of(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Objects of any kind as one, which ``kubectl apply`` takes as if they came by themselves."""
    return {"apiVersion": "v1", "kind": LIST, "items": [dict(one) for one in objects]}
