"""
Where in which file a rule stands: ``policies/db.yaml:14``, for people who have to open it.

Kept beside the objects and not in them: a policy means the same wherever it was read. A file is read a
second time, as a tree with line numbers, only when somebody asks about a rule in it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from jobs.policy_files import Loader, read_documents, read_files
from models.domain.policy import POLICY_KINDS, PolicyRef
from models.errors import BadInputError
from models.manifest.parse import policy_ref

_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Place:
    """A document of a file, and the member of it where the document is a list; both from 0."""

    path: Path
    document: int
    member: int | None = None


@dataclass(slots=True)
class PolicyPlaces:
    """Objects of files and folders, and where each policy came from; the first of two of one name."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    places: dict[PolicyRef, Place] = field(default_factory=dict)
    _trees: dict[Path, list[yaml.Node]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "PolicyPlaces":
        """
        Read files and folders as `jobs.policy_files.read_objects` does.

        Raises
        ------
        BadInputError
            As it does.
        """
        found = cls()
        for path in read_files(paths):
            for number, document in enumerate(read_documents(path)):
                if document is None:
                    continue
                if not isinstance(document, dict):
                    raise BadInputError(f"{path}: document {number + 1} is no Kubernetes object")
                found.objects.append(document)
                for ref, member in _policies(document):
                    found.places.setdefault(ref, Place(path, number, member))
        return found

    def where(self, policy: PolicyRef, rule: str = "") -> str:
        """``file:line`` of a rule, or of its object; empty for a policy of no file."""
        place = self.places.get(policy)
        if place is None:
            return ""
        if place.path not in self._trees:
            text = place.path.read_bytes().decode("utf-8-sig")
            self._trees[place.path] = list(yaml.compose_all(text, Loader=Loader))
        node = self._trees[place.path][place.document]
        if place.member is not None:
            node = _walk(node, f"items[{place.member}]")
        inside = rule if rule.startswith("specs[") or not rule else f"spec.{rule}"
        return f"{place.path}:{_walk(node, inside).start_mark.line + 1}"


def _policies(document: dict[str, Any]) -> Iterator[tuple[PolicyRef, int | None]]:
    kind, members = document.get("kind"), document.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(members, list):
        inner = kind.removesuffix("List")
        for number, member in enumerate(members):
            if isinstance(member, dict):
                implied = ({"kind": inner} if inner else {}) | member
                if implied.get("kind") in POLICY_KINDS:
                    yield policy_ref(implied), number
    elif kind in POLICY_KINDS:
        yield policy_ref(document), None


def _walk(node: yaml.Node, path: str) -> yaml.Node:
    """The node of a path, or the nearest one above it that has a line of its own."""
    for key, index in _STEP.findall(path):
        if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
        elif key and isinstance(node, yaml.MappingNode):
            found = next((value for name, value in node.value if name.value == key), None)
            if found is None:
                break
            node = found
        else:
            break
    return node
