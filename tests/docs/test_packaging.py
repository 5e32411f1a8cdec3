"""What is pinned is what is asked for, and no file says where packages come from."""

import re
import tomllib

from tests.support import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD_TOOLS = {"setuptools", "wheel"}


def _names(lines: list[str]) -> set[str]:
    return {
        re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0].lower()
        for line in lines
        if line.strip() and not line.startswith(("#", "-"))
    }


def test_requirements_in_lists_what_pyproject_asks_for():
    """The locks are compiled from the requirement lists, so the lists must not fall behind."""
    runtime = _names((ROOT / "requirements.in").read_text().splitlines())
    assert runtime - BUILD_TOOLS == _names(PYPROJECT["project"]["dependencies"])
    dev = _names((ROOT / "requirements-dev.in").read_text().splitlines())
    assert dev == _names(PYPROJECT["dependency-groups"]["dev"])


def test_locks_pin_every_requirement_with_a_hash_and_no_address():
    """A lock that names an index would tie every user to it."""
    for lock, wanted in (
        ("requirements.lock", "requirements.in"),
        ("requirements-dev.lock", "requirements-dev.in"),
    ):
        text = (ROOT / lock).read_text()
        pinned = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
        assert _names((ROOT / wanted).read_text().splitlines()) <= pinned
        assert text.count("==") <= text.count("--hash=sha256:")
        assert not re.search(r"--(extra-)?index-url|--find-links|://", text)


def test_every_make_target_of_the_readme_exists():
    """The commands a newcomer copies must work."""
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z-]+)`", readme)) | set(
        re.findall(r"^(?:[A-Z_]+=\S+ )?make ([a-z-]+)", readme, re.MULTILINE)
    )
    assert {"demo", "test"} <= named
    assert named <= targets
