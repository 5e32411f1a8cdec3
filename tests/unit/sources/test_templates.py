"""Lines that share a template are read as they would be one by one."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.sources import reader, sheets
from jobs.sources.blanks import BLANK_SOURCE, BLANK_TARGET, BLANK_TIME, BLANK_UUID
from jobs.sources.layout import layout_of
from jobs.sources.reader import BARE, OTHER, WRAPPED
from tests.unit.sources.flows import Read, flow, lines, many, wrapped

FRACTIONS = ("", ".1", ".123", ".123456", ".123456789", ".000000001", ".1234567890")
ODD_TIMES = (
    "2026-02-30T00:00:00Z",
    "2026-03-02T24:00:00Z",
    "1999-01-01T00:00:00Z",
    "2026-03-02 10:15:30Z",
    "",
    "x",
)
PROTOCOLS = ("TCP", "UDP", "SCTP", "ICMPv4", "none")


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """A flow that differs from another in what is taken out, or in more."""
    second = draw(st.integers(0, 59))
    usual = f"2026-03-{draw(st.integers(1, 31)):02d}T10:15:{second:02d}{draw(st.sampled_from(FRACTIONS))}Z"
    protocol = draw(st.sampled_from(PROTOCOLS))
    ports = {
        "source_port": draw(st.integers(0, 70_000)),
        "destination_port": draw(st.sampled_from((53, 8080, 1, 0))),
    }
    if draw(st.booleans()):
        ports = {name: port for name, port in ports.items() if port}
    layer = {"none": None, "ICMPv4": {"ICMPv4": {"type": 8}}}.get(protocol, {protocol: ports})
    return flow(
        time=draw(st.one_of(st.just(usual), st.sampled_from(ODD_TIMES))),
        uuid=draw(st.one_of(st.none(), st.uuids().map(str), st.sampled_from(("", "short", 'a"b', "é" * 36)))),
        l4=layer,
        is_reply=draw(st.sampled_from((True, False, None))),
        Summary=draw(st.sampled_from(("SYN", '"source_port":1,"destination_port":2', "e_p"))),
    )


def said(read: Read) -> tuple[list[Any], list[Any]]:
    """Records and rejects in an order of their own."""
    return sorted(map(str, read.records)), sorted((r.line, r.reason, r.raw) for r in read.rejects)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=st.lists(flows(), min_size=1, max_size=12),
    bare=st.booleans(),
    spaced=st.sampled_from(((",", ":"), (", ", ":"), (", ", ": "))),
    end=st.sampled_from((b"\n", b"\r\n")),
)
def test_templates_change_no_record_and_no_reject(
    made: list[dict[str, Any]], bare: bool, spaced: tuple[str, str], end: bytes
) -> None:
    """Against the tolerant reader, which looks at every line by itself."""
    data = b"".join(
        json.dumps(one if bare else wrapped(one), separators=spaced, ensure_ascii=False).encode() + end
        for one in made
    )
    fast = Read(data, shape=BARE if bare else WRAPPED)
    tolerant = Read(data, shape=OTHER)
    fast_records, fast_rejects = said(fast)
    records, rejects = said(tolerant)
    assert fast_records == records
    assert [reject[:2] for reject in fast_rejects] == [reject[:2] for reject in rejects]


def test_a_thousand_flows_of_one_conversation_are_decoded_once() -> None:
    """Time, uuid and client port are all that differs between them."""
    read = Read(lines(*map(wrapped, many(1000))))
    assert len({record["uuid"] for record in read.records}) == 1000
    assert len({record["src_port"] for record in read.records}) == 1000
    assert len({record["time_us"] for record in read.records}) == 1000
    assert read.decoded == 1


@pytest.mark.parametrize(
    "text",
    [
        b'{"flow":{"time":"%T","uuid":"%U","time":"2020-01-01T00:00:00Z",%R},"time":"%T"}',
        b'{"flow":{"time":"%T","uuid":"%U","uuid":"other",%R},"time":"%T"}',
        b'{"flow":{"time":"%T","uuid":"%U",%R},"#":7,"time":"%T"}',
        b'{"#":1,"flow":{"time":"%T","uuid":"%U",%R},"time":"%T"}',
        b'{"\\u0023":2,"flow":{"time":"%T","uuid":"%U",%R},"time":"%T"}',
    ],
)
def test_a_line_made_to_mislead_is_read_by_itself(text: bytes) -> None:
    """Keys that come twice, and the key that the reader itself uses."""
    rest = json.dumps(flow(time=None, uuid=None))[1:-1].encode()
    honest = lines(*map(wrapped, many(3)))
    line = text.replace(b"%T", b"2026-03-02T10:15:31.5Z").replace(b"%U", b"0" * 36).replace(b"%R", rest)
    data = honest + line + b"\n" + honest.replace(b"6f1c", b"7f1c")
    fast, tolerant = Read(data, shape=WRAPPED), Read(data, shape=OTHER)
    assert len(fast.records) == 7
    assert len(fast.rejects) == len(tolerant.rejects) == 0
    usual = [record for record in fast.records if record["uuid"].endswith(("0001", "0002", "0000"))]
    assert len(usual) >= 6


def test_a_flow_that_shows_what_is_written_into_blanks_is_itself() -> None:
    """The very values that stand in for others are values like any."""
    blank = flow(time=BLANK_TIME.decode(), uuid=BLANK_UUID.decode())
    blank["l4"]["TCP"] |= {"source_port": int(BLANK_SOURCE), "destination_port": 8080}
    other = flow()
    records = Read(lines(wrapped(blank), wrapped(other), wrapped(blank))).records
    assert sorted((record["uuid"], record["src_port"]) for record in records) == [
        (other["uuid"], 45678),
        *[(BLANK_UUID.decode(), int(BLANK_SOURCE))] * 2,
    ]
    assert int(BLANK_TARGET) != int(BLANK_SOURCE)


def test_sheets_of_any_size_give_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines, their numbers and their parts stay together wherever a sheet ends."""
    data = lines(*map(wrapped, many(200)), "no flow", *map(wrapped, many(50, verdict=None)))
    whole = said(Read(data, shape=WRAPPED))
    for size in (1, 700, 5_000, 40_000):
        monkeypatch.setattr(sheets, "SHEET", size)
        monkeypatch.setattr(sheets, "_STEP", max(size // 3, 300))
        assert said(Read(data, shape=WRAPPED)) == whole, size


def test_a_full_dictionary_forgets_and_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """More templates than are remembered: what finds no room is decoded line by line."""
    made = [flow(node_name=f"prod/node-{number % 7}") for number in range(70)]
    data = lines(*map(wrapped, made))
    whole = said(Read(data, shape=WRAPPED))
    monkeypatch.setattr("jobs.sources.dictionary.MAX_TEMPLATES", 3)
    monkeypatch.setattr(reader, "MAX_TEMPLATES", 3)
    assert said(Read(data, shape=WRAPPED)) == whole
    assert said(Read(data, shape=WRAPPED)) == whole


def test_the_layout_is_that_of_the_first_flow() -> None:
    """Whatever stands before it."""
    text = lines({"lost_events": {"num_events_lost": "1"}}, wrapped(flow()))
    found = layout_of(text)
    assert found is not None
    assert found.before_time == b'{"flow":{"time":"'
    assert found.has_uuid
    assert found.before_end_time == b'"time":"'
    assert layout_of(b"no flows\n{}\n") is None
