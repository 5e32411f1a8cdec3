"""Every row of the input traps that the way from flows to policies meets has a test named after it."""

import re
from pathlib import Path

import pytest

from service.configfile import load_settings
from service.main import create_app
from service.wiring import open_portolan
from tests.support import shared_path

TESTS = Path(__file__).parent.parent
ROWS = re.compile(r"^\| ([A-GIL]\d+) \|", re.MULTILINE)
NAMED = re.compile(r"^def test_trap_((?:[A-Z]\d+_)+)", re.MULTILINE)
PROPERTIES = re.compile(r"^def test_propert(?:y|ies)_((?:(?:and_)?M\d+_)+)", re.MULTILINE)
#: Rows that need what there is not yet, and where that is said: L6 needs reviewers who may not see every namespace.
LATER = {"L6": "Everybody sees every namespace"}


def _found(pattern: re.Pattern[str]) -> set[str]:
    names = (name for path in TESTS.rglob("test_*.py") for name in pattern.findall(path.read_text("utf-8")))
    return {row for name in names for row in re.findall(r"[A-Z]\d+", name)}


def test_every_row_of_the_traps_has_a_test() -> None:
    """Sections A to G, I and L."""
    rows = set(ROWS.findall(shared_path("reference/traps.md").read_text("utf-8")))
    assert len(rows) > 100
    assert rows - _found(NAMED) == set(LATER)
    limits = (TESTS.parent / "docs/limits.md").read_text("utf-8")
    assert [said for said in LATER.values() if said not in limits] == []


def test_no_reviewer_is_shown_less_than_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nobody has to say who they are, there is nobody to mask a namespace from (row L6)."""
    monkeypatch.chdir(tmp_path)
    with open_portolan(load_settings(data_dir=tmp_path / "data")) as portolan:
        described = create_app(portolan).openapi()
    assert "securitySchemes" not in described["components"]
    assert not [
        route for path in described["paths"].values() for route in path.values() if "security" in route
    ]


def test_every_property_has_a_test() -> None:
    """Those that the main job must keep, as Hypothesis tests."""
    assert {f"M{number}" for number in (1, 2, 3, 5, 6, 7, 9)} <= _found(PROPERTIES)
