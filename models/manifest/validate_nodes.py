"""
A small interpreter for the part of OpenAPI that Cilium's CRD schemas use.

The schema itself is data (`models.manifest.validate_schema`). The walk is as deep as the schema, never
as deep as the input, so hostile nesting ends at the first unexpected value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

import re2

from models.domain.cidr import parse_prefix

Kind = Literal["schema", "unknown field", "agent"]

MAX_SHOWN: Final = 60  # characters of a bad value repeated in a message
MAX_PROBLEMS: Final = 100  # per object: enough to mend it, bounded for hostile input

_QUIET: Final = re2.Options()
_QUIET.log_errors = False


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One reason why Cilium would not take an object as written.

    Parameters
    ----------
    path
        Where, such as ``spec.egress[0].toPorts[1].ports[0].port``.
    message
        What is wrong, naming the value.
    kind
        ``schema``: refused by the API server. ``unknown field``: refused under strict validation,
        otherwise silently dropped. ``agent``: stored, but refused by every agent.
    """

    path: str
    message: str
    kind: Kind = "schema"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Node:
    """
    One node of a schema.

    Parameters
    ----------
    kind
        Type of the value; ``any`` takes everything.
    properties
        Known keys of an object.
    required
        Keys an object must have.
    exactly_one, at_least_one
        Groups of keys, of which exactly (at least) one must be present.
    values
        Type of the values of an object with free keys.
    item
        Type of the elements of a list.
    low, high
        Bounds: length of a string or list, size of a number.
    pattern
        RE2 expression that must match somewhere in the string.
    choices
        Allowed strings.
    cidr
        The string must be a prefix.
    """

    kind: Literal["object", "array", "string", "integer", "boolean", "int-or-string", "any"]
    properties: Mapping[str, "Node"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    values: "Node | None" = None
    item: "Node | None" = None
    low: int | None = None
    high: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    cidr: bool = False


_PYTHON: Final[dict[str, tuple[type, ...]]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "int-or-string": (int, str),
}


def check(value: object, node: Node, path: str) -> Iterator[Problem]:
    """Every way in which the value departs from the schema, in document order."""
    if node.kind == "any":
        return
    wrong_type = not isinstance(value, _PYTHON[node.kind]) or (
        isinstance(value, bool) and node.kind in ("integer", "int-or-string")
    )
    if wrong_type:
        yield Problem(path, f"must be {_article(node.kind)}, not {shown(value)}")
    elif isinstance(value, Mapping):
        yield from _check_object(value, node, path)
    elif isinstance(value, (list, tuple)):
        yield from _check_list(value, node, path)
    elif isinstance(value, str):
        yield from _check_string(value, node, path)
    elif isinstance(value, int):
        low, high = node.low, node.high
        if (low is not None and value < low) or (high is not None and value > high):
            yield Problem(path, f"{value} is outside {low} to {high}")


def shown(value: object) -> str:
    """A value in a message: quoted, escaped and cut, for it may be anything."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN:
        return "a huge number"
    text = "null" if value is None else ascii(value[: MAX_SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _article(kind: str) -> str:
    return {"array": "a list", "object": "a mapping", "integer": "an integer"}.get(kind, f"a {kind}")


def _check_object(value: Mapping[Any, object], node: Node, path: str) -> Iterator[Problem]:
    for key in node.required:
        if key not in value:
            yield Problem(_join(path, key), "is required")
    if node.exactly_one:
        present = [key for key in node.exactly_one if key in value]
        if len(present) != 1:
            found = " and ".join(present) or "none"
            yield Problem(path, f"needs exactly one of {', '.join(node.exactly_one)}; found {found}")
    if node.at_least_one and not any(key in value for key in node.at_least_one):
        yield Problem(path, f"needs at least one of {', '.join(node.at_least_one)}")
    for key, member in value.items():
        if not isinstance(key, str):
            yield Problem(path, f"key {shown(key)} must be a string")
            continue
        kind = node.values if node.values is not None else node.properties.get(key)
        if kind is None:
            yield Problem(_join(path, key), "unknown field", "unknown field")
        elif not _good_text(member, kind):
            yield from check(member, kind, _join(path, key))


def _check_list(value: list[object] | tuple[object, ...], node: Node, path: str) -> Iterator[Problem]:
    if node.high is not None and len(value) > node.high:
        yield Problem(path, f"has {len(value)} elements; at most {node.high} are allowed")
    if node.low is not None and len(value) < node.low:
        yield Problem(path, f"needs at least {node.low} element")
    if node.item is not None:
        for index, member in enumerate(value):
            if not _good_text(member, node.item):
                yield from check(member, node.item, f"{path}[{index}]")


def _good_text(value: object, node: Node) -> bool:
    """Whether a value is a string with nothing wrong: most are, and need no path to say where they are."""
    return (
        node.kind == "string"
        and isinstance(value, str)
        and next(_check_string(value, node, ""), None) is None
    )


def _check_string(value: str, node: Node, path: str) -> Iterator[Problem]:
    if node.choices and value not in node.choices:
        yield Problem(path, f"{shown(value)} is none of {', '.join(node.choices)}")
    if node.high is not None and len(value) > node.high:
        yield Problem(path, f"is longer than {node.high} characters")
    if node.low is not None and len(value) < node.low:
        yield Problem(path, f"is shorter than {node.low} character")
    if node.pattern is not None and not _matches(node.pattern, value):
        yield Problem(path, f"{shown(value)} has a form that is not allowed here")
    if node.cidr and parse_prefix(value) is None:
        yield Problem(path, f"{shown(value)} is no prefix such as 10.0.0.0/8")


@lru_cache(maxsize=65536)
def _matches(pattern: str, text: str) -> bool:
    """Labels and names come again and again, in every policy of their workload's callers."""
    return re2.search(pattern, text, _QUIET) is not None


def _join(path: str, key: str) -> str:
    safe = key if key.isidentifier() and len(key) <= MAX_SHOWN else shown(key)
    return f"{path}.{safe}" if path else safe
