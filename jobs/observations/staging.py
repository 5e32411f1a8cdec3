"""
Write-ahead staging: a batch is complete on disk before the first table hears of it.

All tables of a batch must appear or none. They are written under ``staging/<batch>.tmp``, made
durable, and the folder is renamed, which is the moment the batch exists. After that every table is
appended with the batch's number and the folder removed; whoever is interrupted in between finds the
folder again and goes on, and a table that has the number already is left alone.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc

from jobs.observations.delta import naming
from models.errors import BadInputError

_MANIFEST: Final = "manifest.json"
_UNFINISHED: Final = ".tmp"
_FILES: Final = "files"
_DIGITS: Final = 12  # so that folders sort as numbers
_WRITTEN_TOGETHER: Final = 2


@dataclass(frozen=True)
class StagedBatch:
    """A complete batch that may or may not have reached the tables yet."""

    number: int
    folder: Path

    def _manifest(self) -> dict[str, list[str]]:
        loaded: dict[str, list[str]] = json.loads((self.folder / _MANIFEST).read_text())
        return loaded

    def tables(self) -> list[str]:
        """Names of the batch's tables, in the order in which they were handed over."""
        return self._manifest()["tables"]

    @contextmanager
    def rows(self, name: str) -> Iterator[Any]:
        """Rows of one of its tables."""
        with pa.memory_map(str(self.folder / f"{name}.arrow")) as source:
            yield pyarrow.ipc.open_file(source).read_all()

    def move_files(self, target: Path) -> None:
        """Put the batch's own files (rejects) where they belong; those moved before are left alone."""
        names = self._manifest()["files"]
        if names:
            target.mkdir(parents=True, exist_ok=True)
        for name in names:
            staged = self.folder / _FILES / name
            if staged.exists():
                staged.replace(target / name)
        if names:
            _sync_folder(target)

    def remove(self) -> None:
        """Forget the batch. Without its manifest a half removed folder counts as unfinished."""
        (self.folder / _MANIFEST).unlink()
        shutil.rmtree(self.folder)


class Staging:
    """The staging folder of one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stage(self, number: int, tables: Mapping[str, Any], files: Mapping[str, bytes]) -> StagedBatch:
        """Write a batch completely, or leave nothing that counts."""
        for name in files:
            if name != Path(name).name or name in {"", ".", ".."}:
                raise BadInputError(f"{name!r} is no plain file name")
        final = self.folder / f"{number:0{_DIGITS}d}"
        unfinished = final.with_suffix(_UNFINISHED)
        with naming(str(unfinished)):
            if unfinished.exists():
                shutil.rmtree(unfinished)
            (unfinished / _FILES).mkdir(parents=True)
            with ThreadPoolExecutor(_WRITTEN_TOGETHER, thread_name_prefix="stage") as pool:
                list(pool.map(lambda name: _write(unfinished, name, tables[name]), tables))
            for name, content in files.items():
                with (unfinished / _FILES / name).open("wb") as out:
                    out.write(content)
                    _sync(out)
            with (unfinished / _MANIFEST).open("w") as out:
                json.dump({"tables": list(tables), "files": list(files)}, out)
                _sync(out)
            _sync_folder(unfinished / _FILES)
            _sync_folder(unfinished)
            unfinished.rename(final)
            _sync_folder(self.folder)
        return StagedBatch(number, final)

    def pending(self) -> list[StagedBatch]:
        """Complete batches that were not finished, oldest first."""
        if not self.folder.is_dir():
            return []
        return [
            StagedBatch(int(folder.name), folder)
            for folder in sorted(self.folder.iterdir())
            if folder.name.isdigit() and (folder / _MANIFEST).is_file()
        ]

    def discard_unfinished(self) -> int:
        """Delete what a killed process left half written; says how many folders."""
        if not self.folder.is_dir():
            return 0
        complete = {batch.folder for batch in self.pending()}
        leftovers = [folder for folder in sorted(self.folder.iterdir()) if folder not in complete]
        with naming(str(self.folder)):
            for folder in leftovers:
                shutil.rmtree(folder)
        return len(leftovers)


def _write(folder: Path, name: str, rows: Any) -> None:
    """Write one table of a batch; the disk is waited for."""
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with (folder / f"{name}.arrow").open("wb") as out:
        with pyarrow.ipc.new_file(out, rows.schema, options=options) as writer:
            writer.write_table(rows)
        _sync(out)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
