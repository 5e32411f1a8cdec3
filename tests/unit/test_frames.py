"""Frames are read a column at a time, and say what pandas would say a row at a time."""

import pandas as pd

from models.frames import EDGE_DAYS, empty, records


def test_records_are_those_of_pandas() -> None:
    """Values of every kind as Python's own, missing ones included."""
    rows = pd.DataFrame(
        {
            "text": pd.Series(["a", ""], dtype="str"),
            "missing": pd.Series(["x", None], dtype="str"),
            "count": [1, 2],
            "share": [0.5, float("nan")],
            "flag": [True, False],
            "object": [("a", 1), None],
        }
    )
    found, expected = records(rows), rows.to_dict("records")
    assert repr(found) == repr(expected)
    assert [list(map(type, row.values())) for row in found] == [
        list(map(type, row.values())) for row in expected
    ]


def test_no_rows_are_no_records() -> None:
    """And a frame without columns has none either."""
    assert records(empty(EDGE_DAYS)) == []
    assert records(pd.DataFrame()) == []
