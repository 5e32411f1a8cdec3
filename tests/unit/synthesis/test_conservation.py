"""Every record of a window ends in one place, and an inference that loses one is no inference."""

from dataclasses import replace

import pytest

from models.errors import DefectError
from models.synthesis.conservation import OUTCOMES, conserved
from models.synthesis.draft import draft
from models.synthesis.ledger import Ledger
from tests.unit.synthesis.world import World


@pytest.fixture
def observations():
    """Calls that work, are refused, are only audited and never were answered."""
    world = World()
    web, api = world.pod("shop", "web"), world.pod("shop", "api")
    world.edge(web, api)
    world.edge(web, api, 9090, flows=0, denied=7)
    world.edge(web, api, 9091, audited=3)
    world.to(web, "ip", "203.0.113.9", 443, days=[3], answered=0)
    return world.observations()


def test_records_of_a_window_are_counted_where_they_ended(observations):
    """Against the input, not against what was made of it."""
    made = draft(observations)
    came = int(observations.edge_days[list(OUTCOMES)].sum().sum())
    assert sum(made.records.values()) == came > 0
    assert made.records["admitted"] > 0
    assert made.records["excluded"] > 0


def test_a_cell_that_is_dropped_is_found(observations):
    """Cells and fates agree with each other here, and the count of the input does not."""
    made = draft(observations)
    lost = made.screened.raw.cells.index[0]
    raw = replace(made.screened.raw, cells=made.screened.raw.cells.drop(lost))
    screened = replace(made.screened, raw=raw, fates=made.screened.fates.drop(lost))
    with pytest.raises(DefectError, match="flows came in"):
        conserved(observations, made.table, screened, made.ledger)


def test_records_that_became_no_edge_are_found(observations):
    """A day that the table of edges never saw."""
    made = draft(observations)
    more = replace(observations, edge_days=observations.edge_days.assign(denied=1))
    with pytest.raises(DefectError, match="records came in, edges hold"):
        conserved(more, made.table, made.screened, made.ledger)


@pytest.mark.parametrize("twice", [True, False])
def test_an_edge_in_no_place_or_in_two_is_found(observations, twice):
    """A rule for what is also listed as left out, or nothing at all."""
    made = draft(observations)
    place = next(iter(made.ledger.rules_of))
    rules = {key: value for key, value in made.ledger.rules_of.items() if twice or key != place}
    reasons = made.ledger.reason_of | ({place: "quarantined"} if twice else {})
    with pytest.raises(DefectError, match="left out"):
        conserved(observations, made.table, made.screened, Ledger(rules, reasons))
