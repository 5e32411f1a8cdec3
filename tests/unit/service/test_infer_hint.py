"""A window of two weeks with a gap never holds fourteen days, and nobody should have to guess why."""

import pytest

from service.commands.infer import longer_window


@pytest.mark.parametrize(
    ("end", "effective", "told"),
    [("16", 13.5, True), ("16", 14.0, False), ("15", 12.0, False), ("28", 13.9, True), ("16", 3.0, False)],
)
def test_a_window_with_gaps_asks_for_alonger_window_one(end, effective, told):
    """One that is short has no gap to make up for: it only has to wait."""
    start, until = "2026-11-02T00:00:00+00:00", f"2026-11-{end}T00:00:00+00:00"
    hint = longer_window({"start": start, "end": until, "effective_days": effective})
    assert bool(hint) == told
    assert not told or f"--window {2 * (int(end) - 2)}d" in hint
