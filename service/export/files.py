"""
Writes manifests to a folder, one file per object, so that a second export changes only what changed.

The folder may be a Git checkout that people work in. An index file lists what Portolan wrote and its
hash; only such files are ever replaced or removed, and only while they still hold what was written.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.domain.rule import stable_id
from models.errors import BadInputError, ConflictError
from service.export.manifests import Kind, Rendered

INDEX: Final = "portolan-export.json"
_FORMAT: Final = 1
#: A path segment: what Kubernetes takes as a name, so neither a separator nor a leading dot.
_SEGMENT: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did to the folder; paths are relative to it."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]  # no longer exported, but edited by somebody: not ours to remove


def file_name(namespace: str, name: str, kind: Kind, *, cluster: str = "") -> str:
    """Relative path of an object, in its cluster's folder if one is named; refuses odd names of objects."""
    for part in (namespace, name):
        if not _is_segment(part):
            raise BadInputError(f"{part[:80]!r} is not a Kubernetes name, so it cannot name a file")
    above = f"{_cluster_folder(cluster)}/" if cluster else ""
    return f"{above}{namespace}/{name}.{kind}.yaml"


def _is_segment(text: str) -> bool:
    return _SEGMENT.fullmatch(text) is not None and ".." not in text


def _cluster_folder(cluster: str) -> str:
    """Folder of a cluster; flows may call a cluster anything, so what is no name is named by a hash."""
    return cluster if _is_segment(cluster) else f"cluster-{stable_id('cluster', cluster)}"


def write_export(folder: Path, objects: Iterable[Rendered], *, overwrite: bool = False) -> ExportReport:
    """Make the folder hold these objects; nothing is written when any file is not ours to replace."""
    files = {item.path: item.text.encode() for item in objects}
    _prepare(folder)
    ours = _read_index(folder)
    if not overwrite:
        _refuse_foreign(folder, files, ours)
    written, unchanged = [], []
    for path, content in sorted(files.items()):
        if _hash_of(folder / path) == _hash(content):
            unchanged.append(path)
        else:
            _write(folder, path, content)
            written.append(path)
    removed, left = _remove_stale(folder, {path: ours[path] for path in sorted(ours) if path not in files})
    index = {"format": _FORMAT, "files": {path: _hash(content) for path, content in sorted(files.items())}}
    _write(folder, INDEX, (json.dumps(index, indent=2) + "\n").encode())
    return ExportReport(tuple(written), tuple(unchanged), removed, left)


def _prepare(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{folder}: {error.strerror}") from None


def _read_index(folder: Path) -> dict[str, str]:
    path = folder / INDEX
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        entries = {str(name): str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise BadInputError(f"{path}: not an index that Portolan wrote; move it away") from None
    for name in entries:
        if not all(_SEGMENT.fullmatch(part) for part in name.split("/")) or ".." in name:
            raise BadInputError(f"{path}: names {name[:80]!r}, which Portolan never writes")
    return entries


def _refuse_foreign(folder: Path, files: Mapping[str, bytes], ours: Mapping[str, str]) -> None:
    foreign = [
        path
        for path, content in sorted(files.items())
        if (found := _hash_of(folder / path)) is not None and found not in {ours.get(path), _hash(content)}
    ]
    if foreign:
        raise ConflictError(
            f"{len(foreign)} files in {folder} were not written by Portolan, or were edited since: "
            f"{', '.join(foreign[:5])}; nothing was written (--overwrite replaces them)"
        )


def _remove_stale(folder: Path, stale: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    removed, left = [], []
    for path, digest in stale.items():
        found = _hash_of(folder / path)
        if found == digest:
            (folder / path).unlink()
            removed.append(path)
            parent = (folder / path).parent
            if parent != folder and not any(parent.iterdir()):
                parent.rmdir()
        elif found is not None:
            left.append(path)
    return tuple(removed), tuple(left)


def _write(folder: Path, path: str, content: bytes) -> None:
    """Replace a file in one step, so that a reader sees the old or the new one and never a part."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(f"{target.parent} leads out of {folder}: nothing is written through links")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".portolan-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(path: Path) -> str | None:
    """Hash of a regular file, None when there is none; a link or a folder is nobody's export."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return "not a regular file"
    return _hash(path.read_bytes()) if path.exists() else None
