"""
Policies and other small documents from files, safely: YAML or JSON of any origin.

The text is scanned as a stream of events before anything is built, so an alias bomb, deep nesting or
a huge document is refused in time and memory that grow with the file, not with what it would unfold to.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from models.errors import BadInputError

MAX_BYTES: Final = 32 << 20  # of one file: a cluster's policies are a few megabytes
MAX_NODES: Final = 2_000_000  # of one file, aliases unfolded
MAX_DEPTH: Final = 64  # a policy is about ten levels deep
MAX_SHOWN: Final = 200  # characters of a parser's complaint
SUFFIXES: Final = (".yaml", ".yml", ".json")


def read_objects(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """
    All Kubernetes objects in files and folders (sorted, recursively).

    Raises
    ------
    BadInputError
        If a path is missing, a file is no YAML or JSON, or too large or deep; names the file.
    """
    found = []
    for path in read_files(paths):
        for number, document in enumerate(read_documents(path), start=1):
            if document is None:
                continue
            if not isinstance(document, dict):
                raise BadInputError(f"{path}: document {number} is no Kubernetes object")
            found.append(document)
    return found


def read_files(paths: Iterable[Path]) -> Iterator[Path]:
    """
    Files meant by files and folders, those of a folder sorted.

    Raises
    ------
    BadInputError
        If a path is missing.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        elif path.exists():
            yield path
        else:
            raise BadInputError(f"{path}: no such file or folder")


def read_documents(path: Path) -> list[Any]:
    """Documents of one YAML or JSON file."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInputError(f"{path}: {size} bytes are more than {MAX_BYTES}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: is no UTF-8 text (byte {error.start})") from None
    try:
        return parse_documents(text)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None


def parse_documents(text: str) -> list[Any]:
    """
    Documents of a text.

    Raises
    ------
    BadInputError
        With the line, where the parser knows it.
    """
    try:
        _scan(text)
        return list(yaml.load_all(text, Loader=Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise BadInputError(f"{where}{error.problem or 'is no YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(
            f"is no YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}"
        ) from None


def check_objects(objects: Iterable[Any]) -> None:
    """
    Hold objects that arrived decoded to the limits of files.

    Raises
    ------
    BadInputError
        If they nest too deep or hold too many values.
    """
    waiting = [(one, 1) for one in objects]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise BadInputError(f"an object nests deeper than {MAX_DEPTH} levels")
        if count > MAX_NODES:
            raise BadInputError(f"the objects hold more than {MAX_NODES} values")
        members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        waiting += [(member, depth + 1) for member in members]


def _scan(text: str) -> None:
    """Refuse nesting, and sizes with aliases unfolded, beyond the limits."""
    total = 0
    meter = _Meter()
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.DocumentEndEvent):
            total, meter = total + meter.size, _Meter()
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            meter.take(event)
        if total + meter.size > MAX_NODES:
            raise BadInputError(f"holds more than {MAX_NODES} values once its aliases are unfolded")


class _Meter:
    """Size of one document as its events go by, aliases counted as what they stand for."""

    def __init__(self) -> None:
        self.size = 0
        self._anchored: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []  # anchor, and size of the document at its start

    def take(self, event: yaml.Event) -> None:
        """Count one event."""
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, start = self._open.pop()
            if anchor is not None:
                self._anchored[anchor] = self.size - start
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise BadInputError(f"line {line}: alias of nothing, or of itself")
            self.size += self._anchored[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= MAX_DEPTH:
                raise BadInputError(f"line {line}: nests deeper than {MAX_DEPTH} levels")
            self._open.append((event.anchor, self.size))
            self.size += 1
        elif isinstance(event, yaml.ScalarEvent):
            self.size += 1
            if event.anchor is not None:
                self._anchored[event.anchor] = 1


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses a key written twice, as the API server does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; the last of two equal keys never wins silently."""
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value.__hash__ is not None:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {ascii(key.value)[:60]} is written twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        built: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return built


def read_case_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """
    Cases of a JSON Lines file.

    Raises
    ------
    BadInputError
        With the line's number.
    """
    if not path.exists():
        raise BadInputError(f"{path}: no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if len(line) > MAX_BYTES:
                raise BadInputError(f"{path}: line {number} is longer than {MAX_BYTES} bytes")
            try:
                case = json.loads(line)
            except (ValueError, RecursionError):
                raise BadInputError(f"{path}: line {number} is no JSON") from None
            if not isinstance(case, dict):
                raise BadInputError(f"{path}: line {number} is no case")
            yield case
