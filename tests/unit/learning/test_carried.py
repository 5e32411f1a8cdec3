"""Verdicts on names that are in another cell today."""

import pandas as pd
import pytest

from models.learning.carried import carry_verdicts
from models.learning.cells import CELL_KEY, cell_ids
from models.learning.second_channel import ADMIT, UNWANTED


def cell(names: str, *, subject: str = "shop/web", port: int = 443, kind: str = "fqdn") -> str:
    row = (subject, "egress", kind, names, "TCP", port, port, -1)
    return str(cell_ids(pd.DataFrame([row], columns=list(CELL_KEY))).iloc[0])


def carried(verdicts: dict[str, str], *cells: str) -> tuple[dict[str, str], frozenset[str]]:
    found, doubtful = carry_verdicts(pd.Series(verdicts, dtype="str"), pd.Index(cells, dtype="str"))
    return {name: found[name] for name in found.index if name not in verdicts}, doubtful


def test_one_more_name_on_the_address_does_not_bring_the_unwanted_back() -> None:
    """Whoever owns the address names it: the new cell is put before a reviewer."""
    both = cell("mail.example,other.example")
    assert carried({cell("mail.example"): UNWANTED}, both) == ({}, frozenset({both}))


@pytest.mark.parametrize("verdict", [ADMIT, UNWANTED])
def test_a_verdict_on_names_holds_for_a_part_of_them(verdict: str) -> None:
    part = cell("a.example")
    assert carried({cell("a.example,b.example"): verdict}, part) == ({part: verdict}, frozenset())


def test_verdicts_on_several_cells_add_up() -> None:
    both = cell("a.example,b.example")
    verdicts = {cell("a.example"): UNWANTED, cell("b.example"): UNWANTED}
    assert carried(verdicts, both) == ({both: UNWANTED}, frozenset())


def test_what_was_admitted_by_one_name_is_not_admitted_by_another() -> None:
    assert carried({cell("a.example"): ADMIT}, cell("a.example,b.example")) == ({}, frozenset())


def test_a_verdict_of_its_own_comes_first() -> None:
    """Who looked at both names has decided about both."""
    both = cell("a.example,b.example")
    assert carried({cell("a.example"): UNWANTED, both: ADMIT}, both) == ({}, frozenset())


@pytest.mark.parametrize(
    "other",
    [
        cell("a.example,b.example", subject="shop/api"),
        cell("a.example,b.example", port=8443),
        cell("a.example,b.example", kind="ip"),
        cell("c.example"),
    ],
)
def test_another_call_is_left_alone(other: str) -> None:
    assert carried({cell("a.example"): UNWANTED}, other) == ({}, frozenset())


def test_names_with_the_separator_of_cells_are_read_as_they_were() -> None:
    part = cell("a|b%7C.example")
    assert carried({cell("a|b%7C.example,c.example"): UNWANTED}, part) == ({part: UNWANTED}, frozenset())
