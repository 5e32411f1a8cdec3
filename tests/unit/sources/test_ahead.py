"""Lines are read ahead, within bounds, and their templates numbered."""

from pathlib import Path

import numpy as np
import pytest

from jobs.sources import ahead, dictionary, sheets
from jobs.sources.ahead import Ahead
from jobs.sources.dictionary import NONE, Dictionary
from jobs.sources.layout import layout_of
from jobs.sources.ranges import Block, FileRange
from tests.unit.sources.flows import flow, lines, many, wrapped


def numbers(known: Dictionary, *texts: bytes) -> tuple[list[int], list[int]]:
    """Numbers of these texts, and the places of the new ones."""
    data = np.frombuffer(b"".join(texts), dtype=np.uint8)
    ends = np.cumsum([len(text) for text in texts])
    found, news = known.find(data, ends - [len(text) for text in texts], ends)
    return found.tolist(), news.tolist()


def test_a_text_has_one_number_for_ever() -> None:
    """Whatever else is met, in one call or in several."""
    known = Dictionary()
    assert numbers(known, b"one", b"two", b"one", b"three") == ([1, 2, 1, 3], [0, 1, 3])
    assert numbers(known, b"three", b"four", b"one") == ([3, 4, 1], [1])
    known.forget()
    assert numbers(known, b"one", b"one") == ([5, 5], [0])


def test_a_full_dictionary_numbers_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it knows it still finds."""
    monkeypatch.setattr(dictionary, "MAX_TEMPLATES", 2)
    known = Dictionary()
    assert numbers(known, b"a", b"b", b"c", b"a") == ([1, 2, NONE, 1], [0, 1])
    assert numbers(known, b"c", b"b") == ([NONE, 2], [])


def test_what_goes_wrong_ahead_is_raised_where_lines_are_taken(tmp_path: Path) -> None:
    """A file that was deleted since it was found; what comes after it is still read."""
    reader = Ahead()
    data = lines(wrapped(flow()))
    try:
        reader.add({0: FileRange(tmp_path / "gone", 0, 10)}, {0: None})
        reader.add({1: Block(data)}, {1: layout_of(data)})
        with pytest.raises(FileNotFoundError):
            list(reader.take())
        assert [len(found.part) for found in reader.take()] == [1]
    finally:
        reader.close()


def test_reading_ahead_stops_at_its_bound_and_ends_when_nobody_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One block is always allowed, so that a line of any size gets through."""
    monkeypatch.setattr(ahead, "BLOCK", 1)
    monkeypatch.setattr(ahead, "MAX_WAITING", 1)
    monkeypatch.setattr(sheets, "SHEET", 1)
    monkeypatch.setattr(sheets, "_STEP", 500)
    data = lines(*map(wrapped, many(20)))
    reader = Ahead()
    reader.add({0: Block(data)}, {0: layout_of(data)})
    first = next(reader.take())
    assert (first.part.tolist(), first.line.tolist()) == ([0], [1])
    reader.close()
    assert sum(len(some.part) for some in reader._waiting if isinstance(some, ahead.Lines)) < 20
    assert reader._thread is not None
    assert not reader._thread.is_alive()
