"""Log lines: data stays data, one event is one line."""

import io
import json
import logging

import pytest
import structlog

from service.logging import configure_logging
from service.printable import printable

HOSTILE = "a\nerror: fake\x1b[31m\u202e\x00\ud800"


@pytest.fixture
def logged():
    """Configures logging into a buffer; puts everything back."""
    root = logging.getLogger()
    saved = root.handlers[:], root.level
    stream = io.StringIO()

    def configure(log_format, level="info"):
        configure_logging(log_format, level, stream)
        return stream

    yield configure
    root.handlers[:], level = saved
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["text", "json", "auto"])
def test_hostile_values_never_make_a_second_line(logged, log_format):
    """Neither a line break nor an escape sequence leaves the logger as itself."""
    stream = logged(log_format)
    structlog.get_logger().info("flow.seen", name=HOSTILE, inner={"k\n": [HOSTILE]})
    logging.getLogger("library").warning("said %s", HOSTILE)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_json_lines_are_json(logged):
    """One object per line, with event, level and time."""
    stream = logged("json")
    structlog.get_logger().info("run.done", run="r1", count=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["run"], line["count"]) == ("run.done", "info", "r1", 3)
    assert line["timestamp"].endswith("Z")


def test_a_traceback_is_one_line(logged):
    """What went wrong inside is for the log, in one event."""
    stream = logged("json")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("request.failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError" in json.loads(line)["exception"]


def test_levels_are_kept(logged):
    """What is less severe is not written."""
    stream = logged("text", "warning")
    structlog.get_logger().info("run.done")
    assert stream.getvalue() == ""


def test_long_text_is_cut_and_says_so():
    """A label of a megabyte is no log line."""
    assert printable("x" * 5000, limit=10) == "xxxxxxxxxx… (5000 characters)"
    assert printable("plain äß漢") == "plain äß漢"
