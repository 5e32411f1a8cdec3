"""Where tests find the reference data that is not part of the repository."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def shared_path(relative: str) -> Path:
    """Path of a file or folder of the reference data; skips the test, saying so, when it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"reference data not present: ../shared/{relative}")
    return path
