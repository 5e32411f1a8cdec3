"""
Which files to read, and their bytes whatever they are packed in.

Plain, gzip and zstd are told apart by their first bytes: exporters rotate ``events.log`` into
``events-….log.gz``, collectors rename at will, and the extension of a capture says nothing.
"""

import glob
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from models.errors import BadInputError

STDIN: Final = "-"
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
#: Ends of names that a folder of flows holds beside them and that are never flows.
NOT_DATA: Final = (
    ".md", ".txt.license", ".yaml", ".yml", ".toml", ".py", ".go", ".sh", ".html", ".png", ".svg", ".pdf",
    ".tar", ".tgz", ".zip", ".parquet", ".lock", ".tmp", ".swp", ".part", ".csv", ".pcap",
)  # fmt: skip
BLOCK: Final = 1 << 20  # bytes read at a time from a packed file


def find_files(paths: Iterable[str], own: Path | None = None) -> tuple[list[Path | None], list[str]]:
    """
    Expand files, folders and globs; ``None`` stands for standard input.

    A folder is read recursively in the order of its names. Hidden files and what is obviously not
    data are left out and named in the second list; a file named by the caller is always read. What lies
    in Portolan's ``own`` folder is neither, unless it is named: it came from flows that were read.
    """
    found: dict[Path | None, None] = {}
    left_out: list[str] = []
    for text in paths:
        if text == STDIN:
            found[None] = None
            continue
        path = Path(text)
        if path.is_dir():
            apart = None if _within(path, own) else own
            for inner in sorted(path.rglob("*")):
                if not inner.is_file() or _within(inner, apart):
                    continue
                if _is_data(inner.relative_to(path)):
                    found[inner] = None
                else:
                    left_out.append(str(inner))
        elif path.exists():
            found[path] = None
        else:
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # the pattern may be absolute
            there = [
                match for match in matches if match != STDIN and Path(match).exists()
            ]  # links may dangle
            if not there:
                raise BadInputError(f"no such file, folder or pattern: {text}")
            inner_found, inner_left = find_files(there, own)
            found |= dict.fromkeys(inner_found)
            left_out += inner_left
    return list(found), left_out


def _within(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _is_data(relative: Path) -> bool:
    """Tell flow files from what lies beside them, by name alone."""
    hidden = any(part.startswith(".") for part in relative.parts)
    return not hidden and not relative.name.lower().endswith(NOT_DATA)


def packing(head: bytes) -> str:
    """Name the compression that the first bytes show: ``gzip``, ``zstd`` or ``plain``."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if head.startswith(ZSTD_MAGIC) else "plain"


class Unpacked:
    """
    The bytes behind a packed or piped stream, as far as they can be read.

    ``damage`` says why reading stopped early: what came before still counts.
    """

    def __init__(self, raw: BinaryIO, kind: str, head: bytes = b"") -> None:
        self.damage = ""
        self._blocks = self._read(raw, kind, head)

    def __iter__(self) -> Iterator[bytes]:
        """Blocks of content."""
        return self._blocks

    def _read(self, raw: BinaryIO, kind: str, head: bytes) -> Iterator[bytes]:
        joined = _Prefixed(head, raw)
        try:
            if kind == "gzip":
                with gzip.GzipFile(fileobj=joined) as stream:
                    while block := stream.read1(BLOCK):
                        yield block
            elif kind == "zstd":
                source = cast("BinaryIO", joined)
                reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
                while block := reader.read(BLOCK):
                    yield block
            else:
                while block := joined.read(BLOCK):
                    yield block
        except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
            self.damage = f"{kind}: {error}"


class _Prefixed(io.RawIOBase):
    """A stream whose first bytes were already taken off to look at them."""

    def __init__(self, head: bytes, raw: BinaryIO) -> None:
        super().__init__()
        self._head, self._raw = head, raw

    def read(self, size: int = -1) -> bytes:
        if self._head:
            piece, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return piece
        return self._raw.read(size)
