"""
One policy as several objects, where a cluster would not take it as one.

Allow rules of all policies that select an endpoint are a union, and a direction is closed as soon as one of
them has a section for it. So the entries of a policy may lie in several objects with the same selector: each
has the sections of which it holds entries, none has an empty one, and together they say what one would.

Parts are filled in the order of the entries, and an entry is cut only where it outgrows a part by itself. So
what is added later moves what comes after it, and nothing before.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.domain.rule import Direction
from models.manifest import validate
from models.manifest.cut import cut
from models.manifest.lists import LIST, list_of
from models.synthesis.entries import Entry
from models.synthesis.naming import MAX_NAME

#: Bytes of an object that ``kubectl apply`` takes: it keeps all of it in an annotation, once more, and the
#: annotations of an object have 256 KiB. The rest is for the others, of which workloads are the longest.
MAX_APPLIED_BYTES: Final = validate.MAX_ANNOTATION_BYTES - 16 * 1024
PART_ANNOTATION: Final = "portolan.dev/part"
#: Steps of a part's limit in which its overhead is counted: a digit more in an annotation moves no entry.
_STEPS: Final = 64
_MOST: Final = 9_999  # parts, for the room that their numbers take

Sections = Mapping[Direction, Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Shape:
    """
    How a policy is written.

    Parameters
    ----------
    sections
        Entries of each direction that has any, in the order to be written.
    entry
        Form of one entry.
    policy
        Object with some sections, each of which is written even if it is empty; a new one every time.
    """

    sections: Sections
    entry: Callable[[Entry], dict[str, Any]]
    policy: Callable[[Sections], dict[str, Any]]


def written(shape: Shape) -> dict[str, Any]:
    """
    Write a policy.

    Parameters
    ----------
    shape
        Of the policy.

    Returns
    -------
    dict
        The policy, or a ``v1`` ``List`` of its parts where it is too large for one object. The first part
        has its name, the others a number behind it.
    """
    whole = shape.policy(shape.sections)
    parts = _in_parts(shape, whole)
    if len(parts) == 1:
        return whole
    objects = [shape.policy(part) for part in parts]
    return list_of(_numbered(one, number, len(objects)) for number, one in enumerate(objects, start=1))


def in_parts(shape: Shape) -> list[Sections]:
    """
    Lay the entries of a policy out in objects.

    Parameters
    ----------
    shape
        Of the policy.

    Returns
    -------
    list of mapping
        Sections of each object; a single one where the policy fits, and where it cannot be split. No part
        holds less than its own name, labels and annotations take.
    """
    return _in_parts(shape, shape.policy(shape.sections))


def _in_parts(shape: Shape, whole: Mapping[str, Any]) -> list[Sections]:
    limit = min(validate.MAX_OBJECT_BYTES, MAX_APPLIED_BYTES)
    if validate.object_bytes(whole) <= limit:
        return [shape.sections]
    empty = shape.policy(dict.fromkeys(shape.sections, ()))
    step = max(1, limit // _STEPS)
    overhead = -(-validate.object_bytes(_numbered(empty, _MOST, _MOST)) // step) * step
    # A part may begin with less than is worth an object, and end with the last entries of all, if they are.
    room = limit - 3 * overhead
    if room < overhead:
        return [shape.sections]

    def size(entry: Entry) -> int:
        return len(json.dumps(shape.entry(entry), separators=(",", ":"))) + 1  # and a comma

    pieces = [
        (direction, piece, size(piece))
        for direction, entries in shape.sections.items()
        for entry in entries
        for piece in cut(entry, size, room)
    ]
    if any(taken > room for _, _, taken in pieces):
        return [shape.sections]
    return _filled(pieces, room, overhead)


def _filled(pieces: Sequence[tuple[Direction, Entry, int]], room: int, worth: int) -> list[Sections]:
    """Pieces in objects of at most ``room`` and twice ``worth``, the least that one may hold."""
    parts: list[list[tuple[Direction, Entry]]] = []
    held = room
    for direction, entry, size in pieces:
        if held >= worth and held + size > room:
            parts.append([])
            held = 0
        parts[-1].append((direction, entry))
        held += size
    if held < worth and len(parts) > 1:
        last = parts.pop()
        parts[-1] += last
    return [_sections(part) for part in parts]


def _sections(part: Sequence[tuple[Direction, Entry]]) -> Sections:
    made: dict[Direction, list[Entry]] = {}
    for direction, entry in part:
        made.setdefault(direction, []).append(entry)
    return made


def part_name(name: str, number: int) -> str:
    """
    Name of a part of a policy: its own for the first one.

    No other policy has it: the names of all of them end with a hash of one length, which a number is not.

    Examples
    --------
    >>> part_name("portolan-web-0a1b2c3d", 2), len(part_name("portolan-" + "x" * 45 + "-0a1b2c3d", 12))
    ('portolan-web-0a1b2c3d-2', 63)
    """
    if number == 1:
        return name
    if len(longer := f"{name}-{number}") <= MAX_NAME:
        return longer
    stem, _, digest = name.rpartition("-")
    end = f"-{digest}-{number}"
    return stem[: MAX_NAME - len(end)].rstrip("-") + end


def split_comments(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """A line to put above a manifest of several parts; none above a single policy."""
    if manifest["kind"] != LIST:
        return ()
    count = len(manifest["items"])
    return (f"Written as {count} policies that say together what one would, which is too large: apply all.",)


def _numbered(policy: dict[str, Any], number: int, count: int) -> dict[str, Any]:
    """A part with its name, and with the annotation that says which part it is."""
    metadata = policy["metadata"]
    metadata["name"] = part_name(metadata["name"], number)
    metadata["annotations"][PART_ANNOTATION] = f"{number} of {count}, to be applied together"
    return policy


def rule_paths(shape: Shape) -> dict[str, str]:
    """
    Places of the rules of a split policy in its list.

    Parameters
    ----------
    shape
        Of the policy.

    Returns
    -------
    dict of str to str
        By id of the rule, as ``items[1].spec.egress[0]``: the first entry that holds any of it. Empty where
        the policy is one object.
    """
    parts = in_parts(shape)
    paths: dict[str, str] = {}
    for number, sections in enumerate(parts if len(parts) > 1 else ()):
        for direction, entries in sections.items():
            for place, entry in enumerate(entries):
                for rule in entry.rules:
                    paths.setdefault(rule.id, f"items[{number}].spec.{direction}[{place}]")
    return paths
