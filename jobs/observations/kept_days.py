"""
What a fold made of single days, kept for the next one: a night then costs a day's work and not a window's.

A file holds what one stage of a fold yields of one day. Its name says what it follows from, a digest of
everything that went in (``fold_days``), and ends in a digest of its bytes. So nothing here can be out of
date, only unused; what is damaged is found before it is read, and made anew as if it had never been there.
Files appear whole, by a rename; any number of processes may read and write, and none deletes what another may
still be reading.
"""

import hashlib
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import structlog

from jobs.observations.delta import naming

FOLDER: Final = "folded"
_DIGEST_BYTES: Final = 12
#: Two nights: what no fold asked for since then was made of files or for a window that nobody reads any more.
UNUSED_AFTER: Final = timedelta(hours=49)
log = structlog.get_logger()


def digest(*parts: str | bytes) -> str:
    """Digest of texts and their borders."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()


class KeptDays:
    """Days of one cluster under ``data_dir``."""

    def __init__(self, data_dir: Path, cluster: str) -> None:
        self._folder = data_dir / FOLDER / digest(cluster)
        found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        self._known = {tuple(path.name.split(".")[:3]): path for path in found}

    def find(self, stage: str, day: str, key: str) -> Path | None:
        """The whole and undamaged file of a day; None where it has to be made."""
        path = self._known.get((day, stage, key))
        if path is None:
            return None
        try:
            if path.name != _name(stage, day, key, path):
                log.warning("folded_day.damaged", path=str(path))
                path.unlink(missing_ok=True)
                return None
        except OSError as error:
            log.warning("folded_day.unreadable", path=str(path), reason=error.strerror)
            return None
        with suppress(OSError):  # of another user, whose own folds say what is in use
            os.utime(path)
        return path

    def keep(self, stage: str, day: str, key: str, con: duckdb.DuckDBPyConnection, table: str) -> Path | None:
        """Keep the rows of an engine's table; None where the disk does not let us: a fold goes on without."""
        unfinished = self._folder / f"{uuid.uuid4().hex}.unfinished"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            target = str(unfinished).replace("'", "''")
            con.execute(f"COPY \"{table}\" TO '{target}' (FORMAT parquet)")
            path = self._folder / _name(stage, day, key, unfinished)
            unfinished.replace(path)
        except (OSError, duckdb.IOException) as error:
            log.warning("folded_day.not_kept", path=str(unfinished), reason=str(error))
            return None
        return path


def _name(stage: str, day: str, key: str, path: Path) -> str:
    with path.open("rb") as file:
        read = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
    return f"{day}.{stage}.{key}.{read.hexdigest()}.parquet"


@dataclass(frozen=True, slots=True)
class Kept:
    """How much there is."""

    files: int
    size: int  # bytes


def kept(data_dir: Path) -> Kept:
    """What is kept of all clusters."""
    sizes = [path.stat().st_size for path in _files(data_dir)]
    return Kept(len(sizes), sum(sizes))


def forget_unused(data_dir: Path, now: datetime) -> int:
    """Delete what no fold asked for lately, and what killed ones left half written; says how many files."""
    limit = (now - UNUSED_AFTER).timestamp()
    with naming(str(data_dir / FOLDER)):
        unused = [path for path in _files(data_dir) if path.stat().st_mtime < limit]
        for path in unused:
            path.unlink(missing_ok=True)
    return len(unused)


def _files(data_dir: Path) -> Iterable[Path]:
    return sorted((data_dir / FOLDER).glob("*/*"))
